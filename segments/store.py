"""The store: one open log, the state folded from it, and what readers see of it.

    command -> lock -> catch up -> check -> append -> apply -> commit -> publish

Any number of processes do this with one store. Two locks, taken in this order: the writer lock
(writer.lock), which orders processes and threads that write; and the handle's own, under which
the replica changes. Readers wait for neither: they take what is published, which is replaced
as a whole, and fold what is new only when there is something new.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import lmdb

from walvec.segments.catalog import CollectionInfo, Published
from walvec.segments.commands import Command
from walvec.segments.fold import Fold
from walvec.segments.forks import follow_forks
from walvec.segments.loaded import LoadedCollection
from walvec.segments.loading import Loader
from walvec.segments.memory import trim
from walvec.segments.replica import Replica
from walvec.segments.settings import Settings
from walvec.segments.state import State
from walvec.segments.view import View
from walvec.segments.watcher import Watcher
from walvec.segments.writer import Outcome, Writer, refuse_unknown
from walvec.wal import failpoints
from walvec.wal.commit import GroupCommit, Request
from walvec.wal.errors import (
    CollectionNotExistException,
    MilvusException,
    ReadOnlyException,
    RestoreError,
    StoreBrokenException,
    StoreClosedException,
)
from walvec.wal.log import Log
from walvec.wal.writer_lock import WriterLock

T = TypeVar("T")
LOOK_S = 1.0
"""How often a reader looks whether the log's files are still those that it has open."""


class Store:
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
        self.folder = folder
        self.segments_folder = folder / "segments"
        self.log = log
        self.settings = settings
        self.damage = damage
        self.counts: dict[int, tuple[int, int]] = {}
        self._replica = Replica(log, fold, seen_txnid)
        self._writer = Writer(log, self._replica)
        self._writer_lock = lock
        self._closed = False
        self._broken = ""
        self._forked = self._unclear = False
        self._look_at = 0.0
        self._make_locks()
        follow_forks(self)

    def _make_locks(self) -> None:
        self._lock = threading.RLock()
        self._folding = False
        self._loader = Loader(self._replica, self._lock, self._refuse_if_unusable)
        lock = self._writer_lock
        if lock is not None:
            self._commits: GroupCommit[Command] = GroupCommit(self._execute, lock.held)

    # Reading

    @property
    def published(self) -> Published:
        """What readers of this process see, without looking for anything new."""
        return self._replica.published

    @property
    def seen_txnid(self) -> int:
        """The LMDB transaction up to which the log was read."""
        return self._replica.seen_txnid

    def current(self) -> Published:
        """What is published, after folding what others appended since."""
        if self._forked or self._closed or self._broken or time.monotonic() > self._look_at:
            self._get_ready()
        txnid = self.log.newest_txnid()
        # While this process commits, the newest transaction may be its own, which is published
        # before it is acknowledged: a reader need not wait for it.
        if txnid != self._replica.seen_txnid and txnid != self._writer.txnid:
            self._catch_up()
        return self._replica.published

    def _catch_up(self) -> None:
        with self._lock:
            self._refuse_if_unusable()
            if self._folding:
                return  # a signal handler within this thread's own catching up or commit
            self._folding = True
            try:
                self._replica.mend()
                with self.log.reading() as txn:
                    self._replica.catch_up(txn)
            finally:
                self._folding = False
            freed, self._replica.let_go = self._replica.let_go, False
        if freed:
            trim()

    def _get_ready(self) -> None:
        """Open the log anew in a forked child, and look whether its files are still there."""
        self._refuse_if_unusable()
        if self._forked:
            with self._lock:
                if self._forked:
                    self.log.adopt()
                    self.log.reopen()
                    self._forked = False
                    for watcher in self.watchers:
                        watcher.forked()
        self.log.refuse_replaced_files()
        self._look_at = time.monotonic() + LOOK_S

    def info(self, name: str) -> CollectionInfo:
        """A collection by its name. Raises CollectionNotExistException."""
        published = self.current()
        if (number := published.names.get(name)) is None:
            raise CollectionNotExistException(message=f"collection {name} does not exist")
        return published.collections[number]

    def _refuse_if_unusable(self) -> None:
        if self._closed:
            raise StoreClosedException(message=f"the store {self.folder} is closed: open it again")
        if self._broken:
            raise StoreBrokenException(message=self._broken)

    def view(self, info: CollectionInfo) -> View:
        """The rows of a loaded collection; read into memory if they are not yet.

        Raises CollectionNotLoadedException.
        """
        view = self._replica.published.views.get(info.id)
        if view is None:
            limit = self.settings.segment_max_bytes
            view = self._loader.load(info, self.segments_folder, limit)
        return view

    def with_state(self, read: Callable[[State], T]) -> T:
        """What `read` says of the state, which it must neither change nor keep."""
        self.current()
        return self.with_fold(lambda fold: read(fold.state))

    def with_fold(self, read: Callable[[Fold], T]) -> T:
        """What `read` says of the fold as it is, without catching up."""
        with self._lock:
            self._refuse_if_unusable()
            return read(self._replica.fold)

    def with_loaded(self, collection_id: int, act: Callable[[LoadedCollection], None]) -> None:
        """Change what a loaded collection has in memory beside its rows, and publish that."""
        with self._lock:
            loaded = self._replica.loaded(collection_id)
            if loaded is not None and not self._closed:
                act(loaded)
                self._replica.show_again(collection_id)

    # Writing

    def execute(self, command: Command, timeout: float | None = None) -> Outcome:
        """Do a command. On return it is durable and visible.

        Raises the command's own CallError (nothing was done), WaitError, DiskFullException or
        CommitFailedException (the command is not in the log), StoreBrokenException.
        """
        self.refuse_unless_writable()
        assert self._writer_lock is not None, "checked"
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

        Raises LockTimeoutException, DiskFullException or CommitFailedException (nothing was
        stored).
        """
        self.refuse_unless_writable()
        assert self._writer_lock is not None, "checked"
        until = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            with self._writer_lock.held(until), self._lock:
                self.refuse_unless_writable()
                return self._writer.write_beside(act)
        except BaseException:
            self._writer_lock.leave()
            raise

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
            self._folding = True
            try:
                if self._unclear:
                    self._writer.find_out(KeyboardInterrupt(), [])
                    self._unclear = False
                self._writer.write(batch)
                failpoints.hit("publish.after")
            except (StoreBrokenException, RestoreError) as error:
                # The files are gone, or damaged, or the log could not be opened anew.
                self._broken = error.message
                raise
            except MilvusException:
                raise
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
                except BaseException:
                    refuse_unknown(batch)
                    raise
                self._unclear = False
                raise
            finally:
                self._folding = False

    # Background work, forks, the end

    @property
    def watchers(self) -> tuple[Watcher, ...]:
        """Those who work behind the store."""
        return self._replica.watchers

    def add_watcher(self, watcher: Watcher) -> None:
        """Tell someone of everything that is published, and close him with the store."""
        with self._lock:
            self._replica.watchers = (*self._replica.watchers, watcher)

    def rest(self, deadline: float) -> bool:
        """See forks.py."""
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return False
        if self.log.gate.hold(deadline):
            return True
        self._lock.release()
        return False

    def go_on(self) -> None:
        """See forks.py."""
        self.log.gate.let_go()
        self._lock.release()

    def forked(self, rested: bool) -> None:
        """See forks.py."""
        self._make_locks()
        self._replica.forked()
        self._forked = not self._closed
        if not rested:
            self._broken = (
                "this process was forked while its parent was busy with the store: close it here "
                "and open it again"
            )

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
