"""The store: one open log, the state folded from it, and what readers see of it.

    command -> lock -> catch up -> check -> append -> apply -> commit -> publish

Any number of processes do this with one store. Two locks, taken in this order: the writer lock
(writer.lock), which orders processes and threads that write; and the handle's own, under which
the replica changes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import lmdb

from walvec.segments.commands import Command
from walvec.segments.fold import Fold
from walvec.segments.memory import trim
from walvec.segments.read_handle import ReadHandle
from walvec.segments.settings import Settings
from walvec.segments.writer import Outcome, Writer, refuse_unknown
from walvec.wal import failpoints
from walvec.wal.commit import GroupCommit, Request
from walvec.wal.errors import (
    MilvusException,
    ReadOnlyException,
    RestoreError,
    StoreBrokenException,
    StoreUnusableException,
    TimeoutException,
)
from walvec.wal.log import Log
from walvec.wal.writer_lock import WriterLock

T = TypeVar("T")


class Store(ReadHandle):
    """An open store. Any thread may call any method."""

    def __init__(
        self,
        folder: Path,
        log: Log,
        fold: Fold,
        settings: Settings,
        seen_txnid: int,
        *,
        lock: WriterLock | None = None,
        damage: MilvusException | None = None,
    ) -> None:
        """lock: of a handle that may write. damage: what is wrong with the log, if anything."""
        self.damage = damage
        self._writer_lock = lock
        self._unclear = False
        super().__init__(folder, log, fold, settings, seen_txnid)
        self._writer = Writer(log, self._replica)

    def _make_locks(self) -> None:
        super()._make_locks()
        self._beside: set[int] = set()
        if self._writer_lock is not None:
            self._commits: GroupCommit[Command] = GroupCommit(self._execute, self._writer_lock.held)

    def execute(self, command: Command, timeout: float | None = None) -> Outcome:
        """Do a command. On return it is durable and visible.

        Raises the command's own CallError (nothing was done), WaitError, DiskFullException,
        CommitFailedException or StoreUnusableException (the command is not in the log),
        StoreBrokenException.
        """
        self.refuse_unless_writable()
        assert self._writer_lock is not None, "checked"
        self._refuse_a_handler()
        now = time.monotonic()
        deadline = None if timeout is None else now + timeout
        enter_by = now + self._writer_lock.timeout_s
        if deadline is not None and deadline < enter_by:
            enter_by = deadline
        request = Request(command, os.urandom(16), enter_by)
        try:
            outcome: Outcome = self._commits.submit(request, deadline)
        except BaseException:
            self._writer_lock.leave()
            raise
        return outcome

    def side_write(self, act: Callable[[lmdb.Transaction], T], timeout_s: float | None = None) -> T:
        """A transaction beside the entries, for what is no event: checkpoints, cursors.

        Raises LockTimeoutException, DiskFullException or CommitFailedException (it may have been
        stored or not; `act` must be such that doing it again is no harm).
        """
        self.refuse_unless_writable()
        assert self._writer_lock is not None, "checked"
        self._refuse_a_handler()
        until = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            self._beside.add(threading.get_ident())
            with self._writer_lock.held(until), self._lock:
                self.refuse_unless_writable()
                return self._writer.write_beside(act)
        except BaseException:
            self._writer_lock.leave()
            raise
        finally:
            self._beside.discard(threading.get_ident())

    def has_request_of(self, thread: int) -> bool:
        """Whether a thread is in the midst of `execute`, or waits there for its turn."""
        return self._commits.has_request_of(thread)

    def _refuse_a_handler(self) -> None:
        """A signal handler cannot wait for the write that it interrupts, nor write within it."""
        thread = threading.get_ident()
        if thread in self._beside or self.has_request_of(thread):
            raise TimeoutException(
                message="this thread is in the midst of another write, which a signal handler "
                "cannot wait for; nothing was done"
            )

    def refuse_unless_writable(self) -> None:
        """Raise what keeps this handle from writing, if anything does."""
        if self._forked or self._closed or self._broken:
            self._get_ready()
        if self.damage is not None:
            raise ReadOnlyException(
                message=f"the log is damaged, so the store is read-only: {self.damage.message}"
            )
        if self._writer_lock is None:
            raise ReadOnlyException(message=f"the store {self.folder} was opened read-only")

    def _execute(self, batch: list[Request[Command]]) -> None:
        with self._lock:
            self.refuse_unless_writable()
            try:
                self._folding = True
                if self._unclear:
                    self._writer.find_out(KeyboardInterrupt(), [])
                    self._unclear = False
                self._writer.write(batch)
                failpoints.hit("publish.after")
            except StoreBrokenException as error:
                # The files are gone.
                self._broken = error.message
                raise
            except RestoreError as error:
                # They are damaged, or the log could not be opened anew.
                self._broken = f"{error.message}; close this store and open it again"
                raise
            except MilvusException:
                raise
            except lmdb.Error as error:
                # Before the commit; after it those whose fate is unknown have an error already.
                raise StoreUnusableException(
                    message=f"nothing of this command was stored, the log in {self.folder} cannot "
                    f"be written ({error}): its pages may be damaged, verify the store"
                ) from error
            except Exception as error:
                self._broken = (
                    f"an error left this handle unusable ({error!r}): close the store and open it "
                    "again"
                )
                raise StoreBrokenException(message=self._broken) from error
            except BaseException as interrupt:
                # Ctrl-C, before, during or after the commit: what is durable is read again. A
                # second one leaves that to the next write; readers catch up by themselves.
                self._unclear = True
                try:
                    self._writer.find_out(interrupt, batch)
                except BaseException as trouble:
                    refuse_unknown(batch, trouble)
                    raise
                self._unclear = False
                raise
            finally:
                self._folding = False

    def close(self) -> None:
        """Release every handle and thread. Calls after it raise StoreClosedException."""
        for watcher in reversed(self.watchers):
            if self._forked:
                watcher.abandon()
            else:
                watcher.close()
        with self._lock:
            # Once more is no harm: an interrupt may have cut the first time short.
            self._closed = True
            if self._forked:
                self.log.adopt()
            self._replica.close()
            if not (self._forked and self._broken):  # its environment has transactions
                self.log.close()
        if self._writer_lock is not None:
            # After the other lock: who has this one may be waiting for that.
            self._writer_lock.close()
        trim()
