"""The writer lock: a flock on `writer.lock` that names its holder and gives waits a timeout.

LMDB's own lock waits for ever and names nobody, so this one is taken first, for each commit.
The kernel drops it when its holder dies. It orders and explains; it is LMDB's lock that keeps
two writers apart, also where this file was deleted or replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import socket
import threading
import time
import weakref
from contextlib import AbstractContextManager
from pathlib import Path

from walvec.wal.errors import LockTimeoutException, StoreClosedException, StoreUnusableException
from walvec.wal.medium import refusal

HOLDER_BYTES = 512
"""The record of the holder: JSON, padded with spaces."""
FIRST_PAUSE_S, LAST_PAUSE_S = 0.0002, 0.002
LONG_WAIT_S, LONG_PAUSE_S = 1.0, 0.02
"""After so long the holder is not at work: it need not be asked as often."""

_locks: weakref.WeakSet[WriterLock] = weakref.WeakSet()


class WriterLock:
    """An exclusive lock on a file, of one thread of one process at a time."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        """timeout_s: how long `held` waits."""
        self.path = path
        self._name = str(path)
        self.timeout_s = timeout_s
        # An RLock knows whether this thread has it. It is never entered twice.
        self._thread_lock = threading.RLock()
        self._descriptor: int | None = None
        self._closed = False
        self._identity = (0, 0)
        self._record = self._record_of_this_process()
        _locks.add(self)

    def _record_of_this_process(self) -> bytes:
        host = json.dumps(socket.gethostname()[:64]).replace("%", "%%")
        record = f'{{"pid": {os.getpid()}, "host": {host}, "since": %17.6f}}'
        return record.ljust(HOLDER_BYTES - 11).encode()  # "%17.6f" becomes 17 characters

    def held(self, until: float | None = None) -> AbstractContextManager[None]:
        """The lock, waited for until `until` (time.monotonic), at most `timeout_s`.

        Raises LockTimeoutException naming the holder's pid, host and for how long it has had it,
        StoreUnusableException where the file cannot be opened or locked, DiskFullException.
        """
        return _Held(self, until)

    def _enter(self, until: float | None) -> None:
        self.leave()
        started = time.monotonic()
        deadline = started + self.timeout_s
        if until is not None and until < deadline:
            deadline = until
        if not self._thread_lock.acquire(timeout=max(0.0, deadline - started)):
            raise self._too_late(started)
        self._acquire(started, deadline)

    def leave(self) -> None:
        """Give the lock back, if this thread has it. For those whom an interrupt took out of the
        block before its end could do it."""
        if self._thread_lock._is_owned():  # type: ignore[attr-defined]
            try:
                self._unlock()
            except BaseException:  # an interrupt, perhaps before it was done
                self._unlock()
                raise
            finally:
                self._thread_lock.release()

    def _unlock(self) -> None:
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _acquire(self, started: float, deadline: float) -> None:
        while True:
            descriptor = self._open() if self._descriptor is None else self._descriptor
            self._wait(descriptor, started, deadline)
            if self._is_in_place():
                break
            # Deleted or replaced: the next process would lock another file.
            self._close()
        try:
            os.pwrite(descriptor, self._record % time.time(), 0)
        except OSError as error:
            # Without the record those who wait would be told of another holder.
            raise refusal(error, f"nothing was done, cannot write {self.path}") from error

    def _open(self) -> int:
        self._refuse_if_closed()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise StoreUnusableException(
                message=f"cannot open {self.path} for writing: {error.strerror}; "
                "open the store with read_only=True to read it"
            ) from error
        status = os.fstat(self._descriptor)
        self._identity = (status.st_dev, status.st_ino)
        return self._descriptor

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreClosedException(
                message=f"the store {self.path.parent} is closed: open it again"
            )

    def _is_in_place(self) -> bool:
        try:
            status = os.stat(self._name)  # noqa: PTH116  half the time, before every commit
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _wait(self, descriptor: int, started: float, deadline: float) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                self._refuse_if_closed()
                now = time.monotonic()
                if now >= deadline:
                    raise self._too_late(started) from None
                # Not all waiters at the same moments.
                time.sleep(min(pause * random.uniform(0.5, 1.0), deadline - now))
                last = LONG_PAUSE_S if now - started > LONG_WAIT_S else LAST_PAUSE_S
                pause = min(pause * 1.5, last)
            except OSError as error:
                raise refusal(error, f"nothing was done, cannot lock {self.path}") from error

    def _too_late(self, started: float) -> LockTimeoutException:
        who = "another process or thread"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            holder = json.loads(self.path.read_bytes()[:HOLDER_BYTES])
            age = time.time() - float(holder["since"])
            who = f"process {holder['pid']} on {holder['host']}, for {age:.1f} s"
        return LockTimeoutException(
            message=f"the store {self.path.parent} is being written by {who}; waited "
            f"{time.monotonic() - started:.1f} s, nothing was done: look what that process is "
            "doing; reading goes on"
        )

    def close(self) -> None:
        """Let go of the file, for good. Who waits for the lock gets StoreClosedException."""
        self._closed = True
        with self._thread_lock:
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _forked(self) -> None:
        """A child shares its parent's lock. Closing leaves it to the parent; a child that lived
        on with it would keep the lock of a parent that was killed."""
        self._thread_lock = threading.RLock()
        self._record = self._record_of_this_process()
        self._close()


class _Held:
    """A block in which the lock is held. A class: the generator of a contextmanager costs as much
    as the lock."""

    __slots__ = ("_lock", "_until")

    def __init__(self, lock: WriterLock, until: float | None) -> None:
        self._lock = lock
        self._until = until

    def __enter__(self) -> None:
        try:
            self._lock._enter(self._until)
        except BaseException:  # an interrupt, perhaps when it was done
            self._lock.leave()
            raise

    def __exit__(self, *_: object) -> None:
        self._lock.leave()


def _forget_after_fork() -> None:
    for lock in list(_locks):
        lock._forked()


os.register_at_fork(after_in_child=_forget_after_fork)
