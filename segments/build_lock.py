"""The build lock of a segment: who has it makes the files of that segment, or removes them.

A flock on the segment's folder itself, so that there is no lock file to look after. The kernel
drops it when its holder dies, also by SIGKILL: whoever asks next has it then.

On the folder of all segments everybody who makes files has a shared one, so that who looks at
the files (verify) knows that somebody is there who makes and removes them.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

_held: weakref.WeakSet[BuildLock] = weakref.WeakSet()


class BuildLock:
    """The lock on a folder, taken by `take` and given back by `release` or on leaving `with`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pid = os.getpid()
        _held.add(self)

    @classmethod
    def take(cls, folder: Path, *, shared: bool = False) -> BuildLock | None:
        """Take the lock, without waiting; None if another has it, or removed the folder.

        A file system that knows no flock gives it to everybody: a file is then made twice,
        under different names until it is whole. Raises OSError where the folder cannot be read.
        """
        try:
            lock = cls(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except FileNotFoundError:
            return None
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(lock._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.release()
            return None
        except OSError:
            return lock
        try:
            same = os.path.samestat(folder.stat(), os.fstat(lock._descriptor))
        except FileNotFoundError:
            same = False
        if not same:
            # Its last holder removed the folder: this is a lock on nothing.
            lock.release()
            return None
        return lock

    def release(self) -> None:
        """Give the lock back. Does nothing if that was done."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            # A forked child may have the descriptor too: closing alone would leave it the lock.
            if self._pid == os.getpid():
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def __enter__(self) -> BuildLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_being_made(folder: Path) -> bool:
    """Whether a process has a segment's lock right now, or one on the folder of all."""
    lock = None
    try:
        lock = BuildLock.take(folder)
    except OSError:
        return False
    if lock is None:
        return folder.is_dir()
    lock.release()
    return False


def _forget_after_fork() -> None:
    """A child that lives on must not keep the lock of a parent that was killed."""
    for lock in list(_held):
        descriptor, lock._descriptor = lock._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


os.register_at_fork(after_in_child=_forget_after_fork)
