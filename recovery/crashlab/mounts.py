"""File systems of a process's own, and rights that a process gives up: for forked children.

A mount needs a mount namespace: of root, or within a user namespace of one's own, which most
kernels allow to all. Both end with the process.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from walvec.crashlab.fault_run import FaultSkipped

NEW_MOUNTS, NEW_USER = 0x20000, 0x10000000
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 16384, 1 << 18
CAPABILITIES_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


def mount_small(folder: Path, size_bytes: int) -> None:
    """Put an empty file system of this size over a folder. Raises FaultSkipped."""
    _have_mounts()
    _mount("tmpfs", folder, "tmpfs", 0, f"size={size_bytes}")


def mount_read_only(folder: Path) -> None:
    """Make a folder read-only, as on a read-only medium. Raises FaultSkipped."""
    _have_mounts()
    _mount(str(folder), folder, "", BIND, "")
    _mount("", folder, "", BIND | REMOUNT | READ_ONLY, "")


def give_up_rights() -> None:
    """From now on the modes of files hold for this process, also if it is root's. For good."""
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if _libc.capset(header, nothing):
        raise FaultSkipped(f"needs to give up root's rights: {os.strerror(ctypes.get_errno())}")


def _have_mounts() -> None:
    """Mounts of this process's own, which nobody else sees."""
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(NEW_MOUNTS):
        if _libc.unshare(NEW_USER | NEW_MOUNTS):
            reason = os.strerror(ctypes.get_errno())
            raise FaultSkipped(f"needs root, or user namespaces for all: {reason}")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _mount("", Path("/"), "", RECURSIVE | PRIVATE, "")


def _mount(source: str, target: Path, kind: str, flags: int, options: str) -> None:
    arguments = (source, str(target), kind)
    texts = [ctypes.c_char_p(text.encode() or None) for text in arguments]
    if _libc.mount(*texts, ctypes.c_ulong(flags), ctypes.c_char_p(options.encode() or None)):
        reason = os.strerror(ctypes.get_errno())
        raise FaultSkipped(f"needs to mount a file system: {reason}")
