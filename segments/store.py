"""The store: one open log, the state folded from it, and what readers see of it.

    command -> lock -> catch up -> check -> append -> apply -> commit -> publish

Readers never wait for a writer: they take `published`, which is replaced as a whole.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import lmdb

from walvec.segments.catalog import CollectionInfo, Published, publish_catalog
from walvec.segments.commands import SEGMENT_MAX_BYTES, Command
from walvec.segments.fold import Applied, Fold
from walvec.segments.loaded import LoadedCollection
from walvec.segments.log_rows import read_rows
from walvec.segments.memory import trim
from walvec.segments.state import Collection, State
from walvec.segments.view import View
from walvec.segments.watcher import Watcher
from walvec.segments.writer import Outcome, Writer
from walvec.wal import failpoints
from walvec.wal.commit import GroupCommit, Request
from walvec.wal.errors import (
    CollectionNotExistException,
    CollectionNotLoadedException,
    MilvusException,
    ReadOnlyException,
    RestoreError,
    StoreBrokenException,
    StoreClosedException,
)
from walvec.wal.events import RowsDeleted, RowsInserted, SegmentPersisted
from walvec.wal.log import Log
from walvec.wal.writer_lock import WriterLock

T = TypeVar("T")


class Settings(NamedTuple):
    """What a handle may set. `segment_max_bytes`: vectors in a growing segment before its seal."""

    segment_max_bytes: int = SEGMENT_MAX_BYTES
    durability: str = "full"
    lock_timeout_s: float = 5.0
    allow_network_fs: bool = False


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
        self.folder = folder
        self.segments_folder = folder / "segments"
        self.log = log
        self.settings = settings
        self.damage = damage
        self.watcher = Watcher()
        self.counts: dict[int, tuple[int, int]] = {}
        self._fold = fold
        self._writer = Writer(log, fold)
        self._writer_lock = lock
        self._commits: GroupCommit[Command] = GroupCommit(self._execute)
        self._lock = threading.RLock()
        self._loaded: dict[int, LoadedCollection] = {}
        self._seen_txnid = seen_txnid
        self._closed = False
        self._broken = ""
        self.published = publish_catalog(fold.state, {})

    # Reading

    def current(self) -> Published:
        """What is published, after folding what others appended since."""
        self._refuse_if_unusable()
        self.log.check_process()
        if self._writer_lock is not None:
            # Nobody else can write while this handle has the lock, and asking LMDB costs more
            # than it takes: it lets go of the GIL.
            return self.published
        txnid = self.log.last_txnid()
        # While this process commits, the newest transaction may be its own, which is published
        # before it is acknowledged: a reader need not wait for it.
        if txnid != self._seen_txnid and txnid != self._writer.txnid:
            with self._lock, self.log.reading() as txn:
                self._catch_up(txn)
        return self.published

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
            raise StoreBrokenException(message=f"{self._broken}: close the store and open it again")

    def view(self, info: CollectionInfo) -> View:
        """The rows of a loaded collection; read into memory if they are not yet.

        Raises CollectionNotLoadedException.
        """
        view = self.published.views.get(info.id)
        if view is not None:
            return view
        with self._lock:
            self._refuse_if_unusable()
            collection = self._fold.state.collections.get(info.id)
            if collection is None:
                raise CollectionNotExistException(message=f"collection {info.name} does not exist")
            if not collection.loaded:
                raise CollectionNotLoadedException(
                    message=f"collection {info.name} is not loaded: call load_collection() first"
                )
            if info.id not in self._loaded:
                self._loaded[info.id] = self._materialize(collection)
                self._publish([], {info.id})
            return self.published.views[info.id]

    def _materialize(self, collection: Collection) -> LoadedCollection:
        def damaged(segment_id: int, name: str) -> None:
            self.watcher.damaged(collection.id, segment_id, name)

        limit, folder = self.settings.segment_max_bytes, self.segments_folder
        return LoadedCollection.materialize(collection, self.log, folder, limit, damaged)

    def with_state(self, read: Callable[[State], T]) -> T:
        """What `read` says of the state, which it must neither change nor keep."""
        self.current()
        with self._lock:
            return read(self._fold.state)

    def with_loaded(self, collection_id: int, act: Callable[[LoadedCollection], None]) -> None:
        """Change what a loaded collection has in memory beside its rows, and publish that."""
        with self._lock:
            loaded = self._loaded.get(collection_id)
            if loaded is not None and not self._closed:
                act(loaded)
                self._publish([], {collection_id})

    def _catch_up(self, txn: lmdb.Transaction) -> None:
        """Fold and publish what others appended. The caller holds the lock."""
        if txn.id() == self._seen_txnid:
            return
        applied = []
        try:
            for seq, event, _ in self._fold.advance(self.log, txn):
                rows = None
                loaded = self._loaded.get(event.collection)
                if loaded is not None and isinstance(event, RowsInserted | RowsDeleted):
                    rows = read_rows(self.log, txn, seq, loaded.schema)
                applied.append(Applied(seq, event, rows))
            self._seen_txnid = txn.id()
        finally:
            # What is whole before a damaged entry is true all the same.
            self._publish(applied)

    # Writing

    def execute(self, command: Command, timeout: float | None = None) -> Outcome:
        """Do a command. On return it is durable and visible.

        Raises the command's own CallError (nothing was done), WaitError, DiskFullException or
        CommitFailedException (the command is not in the log), StoreBrokenException.
        """
        self.refuse_unless_writable()
        deadline = None if timeout is None else time.monotonic() + timeout
        outcome: Outcome = self._commits.submit(Request(command, os.urandom(16)), deadline)
        return outcome

    def refuse_unless_writable(self) -> None:
        """Raise what keeps this handle from writing, if anything does."""
        self.log.check_process()
        self._refuse_if_unusable()
        if self.damage is not None:
            raise ReadOnlyException(
                message=f"the log is damaged, so the store is read-only: {self.damage.message}"
            )
        if self._writer_lock is None:
            raise ReadOnlyException(message=f"the store {self.folder} was opened read-only")

    def _execute(self, batch: list[Request[Command]]) -> None:
        with self._lock:
            self.refuse_unless_writable()
            before = self._fold.position
            try:
                assert self._writer_lock is not None, "only a writer executes"
                self._writer_lock.refuse_if_replaced()
                applied = self._writer.write(batch, self._follow_others, self._reset)
                if applied:
                    self._seen_txnid = self._writer.txnid
                    self._publish(applied)
                    failpoints.hit("publish.after")
            except (StoreBrokenException, RestoreError) as error:
                # The files are gone, or damaged, or the log could not be opened anew.
                self._broken = error.message
                raise
            except MilvusException:
                raise
            except Exception as error:
                self._broken = f"an error left this handle unusable ({error!r})"
                message = f"{self._broken}: close the store and open it again"
                raise StoreBrokenException(message=message) from error
            except BaseException as interrupt:
                # Ctrl-C, before, during or after the commit: what is durable is read again.
                try:
                    self._writer.find_out(interrupt, before, batch, self._reset)
                except BaseException:
                    self._broken = "an interrupted commit could not be cleared up"
                    raise
                raise

    def _follow_others(self, txn: lmdb.Transaction) -> None:
        # A write transaction has the id that it will commit as: one more than the newest.
        if txn.id() != self._seen_txnid + 1:
            with self.log.reading() as reader:
                self._catch_up(reader)

    def _reset(self) -> None:
        """The log was opened anew and the state read again: memory may lack what others wrote."""
        self._seen_txnid = self.log.last_txnid()
        self._loaded.clear()
        self.published = publish_catalog(self._fold.state, {})
        self.watcher.restarted()

    # Publishing

    def _publish(self, applied: Sequence[Applied], changed: set[int] | None = None) -> None:
        """Let readers see the state, and what `applied` does to rows in memory."""
        changed = set() if changed is None else changed
        catalog_changed = False
        for seq, event, rows in applied:
            loaded = self._loaded.get(event.collection)
            if loaded is not None:
                loaded.follow(seq, event, rows)
                changed.add(event.collection)
            if not isinstance(event, RowsInserted | RowsDeleted | SegmentPersisted):
                catalog_changed = True
        views = dict(self.published.views)
        state = self._fold.state
        if catalog_changed:
            self._let_go(views)
        for number in changed & self._loaded.keys():
            views[number] = self._loaded[number].view(state.seq)
        if catalog_changed:
            self.published = publish_catalog(state, views)
        else:
            self.published = self.published._replace(seq=state.seq, views=views)
        if applied:
            self.watcher.published(applied)

    def _let_go(self, views: dict[int, View]) -> None:
        """Free the memory of collections that were dropped or released."""
        collections = self._fold.state.collections
        for number in list(self._loaded):
            collection = collections.get(number)
            if collection is None or not collection.loaded:
                del self._loaded[number]
                views.pop(number, None)
            else:
                self._loaded[number].keep_indexes({i.id for i in collection.indexes.values()})

    def release_memory(self) -> None:
        """Give freed memory back to the system, after a release or a drop."""
        trim()

    def close(self) -> None:
        """Release every handle and thread. Calls after it raise StoreClosedException."""
        self.watcher.close()
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._loaded.clear()
            self.published = self.published._replace(views={})
            self.log.close()
            if self._writer_lock is not None:
                self._writer_lock.release()
        trim()
