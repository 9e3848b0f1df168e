"""The writer lock: a flock on `writer.lock` that names its holder and gives waits a timeout.

LMDB's own lock waits for ever and names nobody, so this one is taken first. The kernel drops
it when its holder dies. A writing handle keeps it from open to close.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
import weakref
from pathlib import Path

from walvec.wal.errors import (
    LockTimeoutException,
    StoreBrokenException,
    StoreUnusableException,
)

MAX_HOLDER_BYTES = 4096


_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


class WriterLock:
    """An exclusive lock on a file. Use from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._pid = 0

    def acquire(self, timeout_s: float) -> None:
        """Take the lock, waiting at most `timeout_s` seconds.

        Raises LockTimeoutException naming the holder's pid, host and how long it has had it,
        StoreUnusableException where the file cannot be opened.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise StoreUnusableException(
                message=f"cannot open {self.path} for writing: {error.strerror}; "
                "open the store with read_only=True to read it"
            ) from error
        try:
            self._wait(descriptor, time.monotonic() + timeout_s, timeout_s)
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._pid = os.getpid()
        _held.add(self)

    def _wait(self, descriptor: int, deadline: float, timeout_s: float) -> None:
        pause = 0.0005
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LockTimeoutException(message=self._refusal(timeout_s)) from None
                time.sleep(min(pause, left))
                pause = min(pause * 2, 0.05)

    def _refusal(self, timeout_s: float) -> str:
        who = "another process"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            holder = json.loads(self.path.read_bytes()[:MAX_HOLDER_BYTES])
            age = time.time() - float(holder["since"])
            who = f"process {holder['pid']} on {holder['host']}, for {age:.1f} s"
        return (
            f"the store {self.path.parent} is open for writing in {who}; waited {timeout_s:g} s: "
            "close it there, or open it here with read_only=True"
        )

    def release(self) -> None:
        """Give the lock back. Does nothing if it is not held."""
        if self._descriptor is not None:
            # A forked child shares the lock: closing alone would leave it with a living child,
            # and a child must not unlock what its parent holds.
            if os.getpid() == self._pid:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = None

    def refuse_if_replaced(self) -> None:
        """Raise StoreBrokenException unless the file is still the one that is locked: with
        another in its place, another process takes the lock too."""
        assert self._descriptor is not None, "the lock is not held"
        try:
            same = os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            same = False
        if not same:
            raise StoreBrokenException(
                message=f"{self.path} was deleted or replaced while it was held; nothing was "
                "written: close this store and open it again"
            )


def _forget_after_fork() -> None:
    """A child that lives on must not keep the lock of a parent that was killed."""
    for lock in list(_held):
        if lock._descriptor is not None:
            os.close(lock._descriptor)
            lock._descriptor = None


os.register_at_fork(after_in_child=_forget_after_fork)
