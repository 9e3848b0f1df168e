"""Reading a collection into memory beside everything else: nobody waits for it.

The rows are read as of a moment, without the store's lock; what was appended meanwhile follows
from the log, in rounds that become shorter, the last of them with the lock held.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from walvec.segments.catalog import CollectionInfo
from walvec.segments.loaded import LoadedCollection
from walvec.segments.log_rows import read_rows
from walvec.segments.replica import Replica
from walvec.segments.state import Collection
from walvec.segments.view import View
from walvec.wal.errors import (
    CollectionNotExistException,
    CollectionNotLoadedException,
    TimeoutException,
)
from walvec.wal.events import Event, RowsDeleted, RowsInserted
from walvec.wal.log import Log, Position

FEW_EVENTS = 64
"""So many are followed with the lock held."""
MAX_ROUNDS = 8
"""After these the rest is followed with the lock held, however long it is."""


def _loadable(collections: dict[int, Collection], number: int, name: str) -> Collection:
    """A collection that is flagged as loaded.

    Raises CollectionNotExistException, CollectionNotLoadedException.
    """
    collection = collections.get(number)
    if collection is None:
        raise CollectionNotExistException(message=f"collection {name} does not exist")
    if not collection.loaded:
        raise CollectionNotLoadedException(
            message=f"collection {name} is not loaded: call load_collection() first"
        )
    return collection


class Loading:
    """A collection on its way into memory."""

    def __init__(self, collection: Collection, at: Position) -> None:
        """collection: as it is at `at`; it is copied, so that the state may go on."""
        self.at = at
        self._collection = collection.copy()
        self._loaded: LoadedCollection | None = None

    def read(
        self, log: Log, folder: Path, max_bytes: int, damaged: Callable[[int, int, str], None]
    ) -> None:
        """Read all rows. damaged: see Watcher.

        Raises LogCorruptedException, MemoryException.
        """
        number = self._collection.id
        self._loaded = LoadedCollection.materialize(
            self._collection, log, folder, max_bytes, lambda s, name: damaged(number, s, name)
        )

    @property
    def loaded(self) -> LoadedCollection:
        """The rows, up to `at`."""
        assert self._loaded is not None, "read() comes first"
        return self._loaded

    def follow(self, log: Log, until: int) -> None:
        """Take over what the log says up to seq `until`."""
        if self.at.seq >= until:
            return
        for header, event in log.scan(self.at):
            if event.collection == self._collection.id:
                self._take(log, header.seq, event)
            self.at = Position(header.seq, header.chain, header.timestamp)
            if header.seq >= until:
                return

    def _take(self, log: Log, seq: int, event: Event) -> None:
        if isinstance(event, RowsInserted | RowsDeleted):
            with log.reading() as txn:
                self.loaded.follow(seq, event, read_rows(log, txn, seq, self.loaded.schema))
        else:
            self.loaded.follow(seq, event, None)


class Loader:
    """Brings collections into the memory of a replica. One thread at a time reads a collection."""

    def __init__(
        self, replica: Replica, lock: AbstractContextManager[bool], refuse: Callable[[], None]
    ) -> None:
        """lock: under which the replica changes. refuse: raises where the store is unusable."""
        self._replica = replica
        self._lock = lock
        self._refuse = refuse
        self._mutex = threading.Lock()
        self._turns: dict[int, Any] = {}

    def load(self, info: CollectionInfo, folder: Path, max_bytes: int) -> View:
        """The rows of a collection that is flagged as loaded.

        Raises CollectionNotExistException, CollectionNotLoadedException, LogCorruptedException,
        MemoryException.
        """
        with self._mutex:
            turn = self._turns.setdefault(info.id, threading.RLock())
        if turn._is_owned():
            raise TimeoutException(
                message=f"this thread is in the midst of loading collection {info.name}, which a "
                "signal handler cannot wait for"
            )
        with turn:
            view = None
            while view is None:
                with self._lock:
                    self._replica.mend()
                    collection = self._still_loadable(info)
                    if (view := self._replica.published.views.get(info.id)) is not None:
                        return view
                    loading = Loading(collection, self._replica.shown)
                loading.read(self._replica.log, folder, max_bytes, self._damaged)
                view = self._follow(info, loading)
        for watcher in self._replica.watchers:
            watcher.restarted()
        return view

    def _follow(self, info: CollectionInfo, loading: Loading) -> View | None:
        """Take over what came meanwhile; None where other partitions are to be loaded by now."""
        rounds = 0
        while True:
            with self._lock:
                collection = self._still_loadable(info)
                newest = self._replica.shown.seq
                if newest - loading.at.seq <= FEW_EVENTS or rounds == MAX_ROUNDS:
                    loading.follow(self._replica.log, newest)
                    if loading.loaded.partitions != collection.loaded_partitions:
                        return None
                    loading.loaded.keep_indexes({i.id for i in collection.indexes.values()})
                    return self._replica.take(loading.loaded)
            loading.follow(self._replica.log, newest)
            rounds += 1

    def _still_loadable(self, info: CollectionInfo) -> Collection:
        self._refuse()
        return _loadable(self._replica.fold.state.collections, info.id, info.name)

    def _damaged(self, collection_id: int, segment_id: int, name: str) -> None:
        for watcher in self._replica.watchers:
            watcher.damaged(collection_id, segment_id, name)
