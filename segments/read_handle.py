"""A handle on a store, as far as it reads: the log, what is folded from it, what readers see of it.

Readers wait for nobody: they take what is published, which is replaced as a whole, and fold what
is new only when there is something new.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from walvec.segments.catalog import CollectionInfo, DatabaseInfo, Published
from walvec.segments.fold import Fold
from walvec.segments.forks import Forkable, follow_forks
from walvec.segments.loaded import LoadedCollection
from walvec.segments.loading import Loader
from walvec.segments.memory import trim
from walvec.segments.replica import Replica
from walvec.segments.settings import Settings
from walvec.segments.state import DEFAULT_DATABASE, State
from walvec.segments.view import View
from walvec.segments.watcher import Watcher
from walvec.wal.errors import (
    CollectionNotExistException,
    DatabaseNotExistException,
    StoreBrokenException,
    StoreClosedException,
)
from walvec.wal.log import Log

T = TypeVar("T")
LOOK_S = 1.0
"""How often a reader looks whether the log's files are still those that it has open."""


def database_of(published: Published, name: str) -> DatabaseInfo:
    """A database by its name. Raises DatabaseNotExistException."""
    database = published.databases.get(name)
    if database is None:
        raise DatabaseNotExistException(message=f"database {name} does not exist")
    return database


class ReadHandle(Forkable):
    """What of a store is for readers. Any thread may call any method."""

    def __init__(
        self, folder: Path, log: Log, fold: Fold, settings: Settings, seen_txnid: int
    ) -> None:
        """seen_txnid: the LMDB transaction up to which the log was folded."""
        self.folder = folder
        self.segments_folder = folder / "segments"
        self.log = log
        self.settings = settings
        self.counts: dict[int, tuple[int, dict[int, int]]] = {}
        self.expiry: dict[tuple[int, int], int] = {}
        self._replica = Replica(log, fold, seen_txnid)
        self._closed = False
        self._broken = ""
        self._forked = False
        self._look_at = 0.0
        self._make_locks()
        follow_forks(self)

    def _make_locks(self) -> None:
        self._lock = threading.RLock()
        self._folding = False
        self._loader = Loader(self._replica, self._lock, self._refuse_if_unusable)

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
        if txnid != self._replica.seen_txnid and txnid != self._replica.own_txnid:
            self._catch_up()
        return self._replica.published

    def _catch_up(self) -> None:
        with self._lock:
            self._refuse_if_unusable()
            if self._folding:
                return  # a signal handler within this thread's own catching up or commit
            try:
                self._folding = True
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

    def info(self, name: str, database: str = DEFAULT_DATABASE) -> CollectionInfo:
        """A collection by its name or alias.

        Raises CollectionNotExistException, DatabaseNotExistException.
        """
        published = self.current()
        within = database_of(published, database)
        number = within.names.get(name)
        if number is None:
            number = within.aliases.get(name)
        if number is None:
            where = "" if database == DEFAULT_DATABASE else f" in database {database}"
            raise CollectionNotExistException(message=f"collection {name} does not exist{where}")
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

    @property
    def watchers(self) -> tuple[Watcher, ...]:
        """Those who work behind the store."""
        return self._replica.watchers

    def add_watcher(self, watcher: Watcher) -> None:
        """Tell someone of everything that is published, and close him with the store."""
        with self._lock:
            self._replica.watchers = (*self._replica.watchers, watcher)

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
