"""What a recording is made of: one thing that a process did to the files of a folder."""

from __future__ import annotations

from typing import NamedTuple

WRITE, TRUNCATE = "write", "truncate"
SYNC, DATASYNC, SYNC_ALL = "sync", "datasync", "sync-all"
CREATE, MKDIR, RENAME, LINK, UNLINK, RMDIR = "create", "mkdir", "rename", "link", "unlink", "rmdir"
TRY, ACK = "try", "ack"
DATA = frozenset({WRITE, TRUNCATE})
NAMES = frozenset({CREATE, MKDIR, RENAME, LINK, UNLINK, RMDIR})
SYNCS = frozenset({SYNC, DATASYNC, SYNC_ALL})
MARKS = frozenset({TRY, ACK})


class Operation(NamedTuple):
    """A system call that succeeded, in the order in which the calls returned.

    `begun` is how many operations had returned when it was called: it may have overtaken none
    of them. `file` numbers the file, or for a sync perhaps the folder, that it is done to (1 is
    the store's folder; a number is never used twice). Paths are relative to the store's folder.

    write: `data` at `offset`, durable when it returns if `durable`. truncate: to `offset` bytes.
    sync, datasync: of `file`, which may be a folder. create, mkdir: `path` now is the new `file`.
    rename, link: `path` to `target`; both are `file`. unlink, rmdir: `path`, which was `file`.
    try, ack: of the operation `number` of the workload; 0 is its opening, -1 its closing.
    """

    kind: str
    begun: int
    pid: int = 0
    file: int = 0
    path: str = ""
    target: str = ""
    offset: int = 0
    data: bytes = b""
    durable: bool = False
    number: int = 0


class Recording(NamedTuple):
    """What a run did to a folder. `start` are the files that were there before, `folders` the
    folders; `files` numbers both, by path. `mapped` are files that were mapped to be written,
    through which writes go that no recording sees. `calls` counts system calls by name."""

    start: dict[str, bytes]
    folders: tuple[str, ...]
    files: dict[str, int]
    operations: tuple[Operation, ...]
    mapped: tuple[str, ...] = ()
    calls: dict[str, int] = {}
    error: str = ""
    """How the run failed, if it did: a traceback, or the signal that ended it."""
