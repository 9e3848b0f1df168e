"""Calls: one system call as strace prints it, and the parts of its text.

Strings are printed as "\\x61\\x62": no comma, quote or bracket in a line is one of a string.
"""

from __future__ import annotations

import binascii
import os
import re
from typing import NamedTuple

from walvec.crashlab.shadow import RecordingError

CLONES = frozenset({"clone", "clone3", "fork", "vfork"})
RAW = frozenset({"read", "readv"})
"""Printed as numbers: what was read is not asked for, only how much."""
DATA_CALLS = frozenset({"write", "pwrite64", "writev", "pwritev", "pwritev2"})
DATA_CALLS |= {"sendfile", "copy_file_range", "splice", "truncate", "ftruncate", "fallocate"}
SYNC_CALLS = frozenset({"fsync", "fdatasync", "syncfs", "msync"})
NAME_CALLS = frozenset({"rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat"})
NAME_CALLS |= {"rmdir", "mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat"}
OPENS = frozenset({"open", "openat", "openat2", "creat"})
CHANGING = DATA_CALLS | NAME_CALLS | OPENS
OTHER_CALLS = frozenset({"close", "close_range", "dup", "dup2", "dup3", "fcntl", "ioctl"})
OTHER_CALLS |= {"lseek", "mmap", "execve", "execveat", "chdir", "fchdir", "sync", "io_uring_setup"}
CALLS = CLONES | RAW | DATA_CALLS | SYNC_CALLS | NAME_CALLS | OPENS | OTHER_CALLS
"""What is traced."""

_RESULT = re.compile(r"-?(?:0x[0-9a-f]+|\d+)")


class Call(NamedTuple):
    """A call that returned. `result` is -1 if it failed; `path` what the new descriptor is;
    `begun`: how many operations had returned when it was called."""

    pid: int
    name: str
    args: str
    result: int
    path: str
    begun: int

    @classmethod
    def of(cls, pid: int, name: str, text: str, begun: int) -> Call | None:
        """The call of a line's text behind the bracket; None if it did not return, or begins
        anew (after a signal)."""
        at = text.rfind(" = ")
        result = _RESULT.match(text, at + 3) if at >= 0 else None
        if result is None:
            return None
        args = text[: text.rindex(")", 0, at)]
        path = ""
        if text.startswith("<", result.end()):
            path = unquoted(text[result.end() + 1 : text.index(">", result.end())])
        return cls(pid, name, args, int(result[0], 0), path, begun)

    @property
    def descriptor(self) -> int:
        """The first argument, a descriptor."""
        return descriptor(self.args)

    def fields(self) -> list[str]:
        """The arguments."""
        return self.args.split(", ")

    def data(self) -> tuple[bytes, list[str]]:
        """What was written, and the arguments behind it. Raises RecordingError for a cut one."""
        parts = self.args.split('"')
        cut = any(part.startswith("...") for part in parts[2::2])
        if cut or (len(parts) == 1 and self.result > 0):
            raise RecordingError(
                message=f"strace has left out bytes of a {self.name} of {self.result} bytes: "
                "it was told to print too few, or could not read them"
            )
        data = unhexed("".join(parts[1::2]))
        return data[: self.result], parts[-1].split(", ")


def descriptor(text: str) -> int:
    """The number of a descriptor as in `7</a/b>`, in decimal or hexadecimal; -1 if none."""
    number = text.split("<", 1)[0] if "<" in text[:12] else text.split(",", 1)[0]
    try:
        return int(number, 0)
    except ValueError:
        return -1


def path_of(text: str) -> str:
    """The path of a descriptor as in `7</a/b>`; "" if it says none."""
    begin = text.find("<")
    return unquoted(text[begin + 1 : text.index(">", begin)]) if begin >= 0 else ""


def unhexed(text: str) -> bytes:
    """The bytes of a string as strace prints it."""
    return binascii.unhexlify(text.encode("ascii").translate(None, b"\\x"))


def unquoted(text: str) -> str:
    """A path as strace prints it, in quotes or without."""
    text = text.strip('"')
    if not text.startswith("\\x"):
        return text
    return os.fsdecode(unhexed(text))
