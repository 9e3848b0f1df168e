"""The file system under a store: what kind it is, whether a file is whole, making names durable."""

from __future__ import annotations

import errno
import mmap
import os
import struct
import sys
from functools import lru_cache
from pathlib import Path

import lmdb

from walvec.wal.errors import DiskFullException, MilvusException, StoreUnusableException

NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "coda", "glusterfs"),
        *("lustre", "gpfs", "beegfs", "ocfs2", "gfs2", "davfs"),
    }
)

# The two meta pages of LMDB 0.9 (format 1, 64 bit), from lib/mdb.c: a page header of 16 bytes,
# then MDB_meta: magic, version, address, map size, two MDB_db of 48 bytes (the first begins
# with the page size), last page number, transaction id.
_META = struct.Struct("<IIQQI44s48sQQ")
META_OFFSET = 16
META_TXNID_OFFSET = _META.size - 8
_META_MAGIC = 0xBEEFC0DE


def refuse_network_file_system(folder: Path) -> None:
    """Raise StoreUnusableException if `folder` lies on a network file system.

    LMDB must not be used on one, not even by processes of one host. Where the kind of file
    system cannot be told (no /proc/self/mountinfo), nothing is refused.
    """
    kind = file_system_of(folder)
    if kind in NETWORK_FILE_SYSTEMS or kind.startswith("fuse."):
        raise StoreUnusableException(
            message=f"{folder} is on a {kind} file system; LMDB is not safe on network file "
            "systems: use a local folder, or pass allow_network_fs=True if you know better"
        )


def file_system_of(folder: Path) -> str:
    """The kind of file system ("ext4", "nfs4") that holds `folder`; "" where unknown."""
    mounts = Path("/proc/self/mountinfo")
    if sys.platform != "linux" or not mounts.exists():
        return ""
    kinds = _mounted(mounts.read_bytes())
    place = str(folder.resolve())
    while place not in kinds and place != os.sep:
        place = os.path.dirname(place)  # noqa: PTH120  a tenth of the time, at every open
    return kinds.get(place, "")


@lru_cache(maxsize=1)
def _mounted(mounts: bytes) -> dict[str, str]:
    """Kinds of file systems by where they are mounted, of the text that the kernel gives."""
    kinds = {}
    for line in mounts.decode(errors="replace").splitlines():
        fields, _, rest = line.partition(" - ")
        point = fields.split(" ")[4].replace("\\040", " ")
        # Of two mounts on one point, the later line is the one on top.
        kinds[point] = rest.split(" ", 1)[0]
    return kinds


def check_data_file(path: Path) -> None:
    """Raise StoreUnusableException unless the LMDB file is as long as its newest meta page says.

    A shorter file would be a SIGBUS at the first access to a missing page, which Python
    cannot catch.
    """
    try:
        with path.open("rb") as file:
            head = file.read(1 << 17)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise StoreUnusableException(
            message=f"{path} cannot be read ({error.strerror}): restore the log from a copy"
        ) from error
    first = _meta(head, 0)
    page_size = first[0] if first else 4096
    metas = [m for m in (first, _meta(head, page_size)) if m]
    if not metas:
        raise StoreUnusableException(
            message=f"{path} is not an LMDB file of format 1: restore the log from a copy"
        )
    page_size, last_page, _ = max(metas, key=lambda m: m[2])
    wanted = (last_page + 1) * page_size
    if size < wanted:
        raise StoreUnusableException(
            message=f"{path} is cut off: it has {size} bytes of {wanted}: "
            "restore the log from a copy"
        )


def meta_page_size(path: Path) -> int:
    """The page size of an LMDB file that was checked: its second meta page begins there."""
    with path.open("rb") as file:
        meta = _meta(file.read(META_OFFSET + _META.size), 0)
    # The first page may be the damaged one of the two.
    return meta[0] if meta else mmap.PAGESIZE


def _meta(head: bytes, offset: int) -> tuple[int, int, int] | None:
    """(page size, last page number, transaction id) of the meta page at `offset`."""
    if len(head) < offset + META_OFFSET + _META.size:
        return None
    magic, version, _, _, page_size, _, _, last_page, txnid = _META.unpack_from(
        head, offset + META_OFFSET
    )
    if magic != _META_MAGIC or version != 1 or page_size not in (1 << s for s in range(9, 17)):
        return None
    return page_size, last_page, txnid


def sync_file(path: Path) -> None:
    """Make a file's bytes, or a folder's names, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_names(folder: Path) -> None:
    """Make the names in `folder`, and those of it and of the folders above it, durable.

    Any of them may have been made by this process, or by one that was killed before it had
    synced them; a synced file in a folder whose name is lost is lost. Stops at the border of
    the file system, and where a folder may not be read: we have made no name in that.
    """
    device = folder.stat().st_dev
    for place in (folder, *folder.parents):
        if place.stat().st_dev != device or not os.access(place, os.R_OK):
            return
        sync_file(place)


def refusal(error: Exception, what: str) -> MilvusException:
    """An error of the operating system or of LMDB as one of ours; `what` failed."""
    reason = getattr(error, "strerror", None) or str(error)
    name = getattr(error, "filename", None)
    if name is not None and os.fsdecode(name) not in what:
        reason = f"{reason}: {os.fsdecode(name)}"
    if says_disk_full(error):
        return DiskFullException(message=f"{what}: {reason}; make room")
    return StoreUnusableException(message=f"{what}: {reason}")


def says_disk_full(error: BaseException) -> bool:
    """Whether an error of the operating system or of LMDB is that of a full disk."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, lmdb.DiskError) or getattr(error, "errno", 0) in full


def free_bytes(folder: Path) -> int:
    """Bytes that an ordinary user may still write to the file system of `folder`."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize
