"""What this process knows of a store: the fold of the log, the rows in memory, what readers see.

A process is a replica: it folds what others appended before it reads or decides. All methods
are called with the store's lock held.
"""

from __future__ import annotations

from collections.abc import Sequence

import lmdb

from walvec.segments.catalog import publish_catalog
from walvec.segments.files import logger
from walvec.segments.fold import Applied, Fold
from walvec.segments.loaded import LoadedCollection
from walvec.segments.log_rows import read_rows
from walvec.segments.view import View
from walvec.segments.watcher import Watcher
from walvec.wal.errors import MilvusException
from walvec.wal.events import (
    CollectionLoaded,
    PartitionDropped,
    PartitionsLoaded,
    PartitionsReleased,
    RowsDeleted,
    RowsInserted,
    SegmentPersisted,
)
from walvec.wal.log import Log

NEVER_SEEN = -1


class Replica:
    """A fold that is followed by collections in memory, and `published` for the readers.

    `shown` is the position of what is published; `seen_txnid` the LMDB transaction up to which
    the log was read; `own_txnid` the one that this process has committed last, or is committing.
    """

    def __init__(self, log: Log, fold: Fold, seen_txnid: int) -> None:
        self.log = log
        self.fold = fold
        self.seen_txnid = seen_txnid
        self.own_txnid = 0
        self.watchers: tuple[Watcher, ...] = ()
        self.let_go = False
        self._loaded: dict[int, LoadedCollection] = {}
        self.shown = fold.position
        self.published = publish_catalog(fold.state, {})

    def catch_up(self, txn: lmdb.Transaction) -> None:
        """Fold and publish what `txn` sees and this process does not know.

        Raises LogCorruptedException at a damaged entry; what is before it is published.
        """
        if txn.id() == self.seen_txnid:
            return
        applied: list[Applied] = []
        try:
            for seq, event, _ in self.fold.advance(self.log, txn):
                applied.append(Applied(seq, event))
        finally:
            # What is whole before a damaged entry is true all the same.
            self.publish(applied, txn)
        # Last: who finds it does not wait, and takes what is published.
        self.seen_txnid = txn.id()

    def mend(self) -> None:
        """Undo what an interrupt has left half done. Not within a transaction: it begins one."""
        if not self.fold.whole or self.fold.position != self.shown:
            self.restore()

    def restore(self) -> None:
        """Bring the fold back to what is shown: a transaction was not committed, or an interrupt
        came in between.

        Raises what is wrong with a damaged entry.
        """
        damage = self.fold.restore(self.log, self.shown.seq)
        if damage is not None:
            raise damage

    def publish(
        self,
        applied: Sequence[Applied],
        txn: lmdb.Transaction | None = None,
        changed: set[int] | None = None,
    ) -> None:
        """Let readers see the state, and what `applied` does to rows in memory.

        The rows of an event that have been written elsewhere are read in `txn`.
        """
        if not self.fold.whole:
            return  # An interrupt came; `restore` goes back to what is shown.
        first = applied[0].seq if applied else self.fold.position.seq + 1
        # An interrupt came between folding an event and noting it.
        catalog_changed = first != self.shown.seq + 1
        if catalog_changed:
            self._forget_memory()
        changed = set() if changed is None else changed
        try:
            for one in applied:
                if one.event.collection in self._loaded:
                    self._follow(one, txn)
                    changed.add(one.event.collection)
                if not isinstance(one.event, RowsInserted | RowsDeleted | SegmentPersisted):
                    catalog_changed = True
            self._show(changed, catalog_changed)
        except BaseException:
            self._forget_memory()
            raise
        if applied:
            for watcher in self.watchers:
                watcher.published(applied)

    def _follow(self, one: Applied, txn: lmdb.Transaction | None) -> None:
        """Take one event over into memory; what cannot follow is read again when it is used."""
        number = one.event.collection
        loaded = self._loaded[number]
        if isinstance(one.event, CollectionLoaded | PartitionsLoaded):
            del self._loaded[number]  # it is read with its new partitions when it is used
            return
        self.let_go |= isinstance(one.event, PartitionDropped | PartitionsReleased)
        try:
            rows = one.rows
            if rows is None and isinstance(one.event, RowsInserted | RowsDeleted):
                assert txn is not None, "this process has not written these rows"
                rows = read_rows(self.log, txn, one.seq, loaded.schema)
            loaded.follow(one.seq, one.event, rows)
        except (MilvusException, MemoryError) as error:
            logger.warning("collection %x is read anew, entry %d: %s", number, one.seq, error)
            del self._loaded[number]

    def _show(self, changed: set[int], catalog_changed: bool) -> None:
        state = self.fold.state
        views = self.published.views
        if catalog_changed:
            self._let_go()
        if catalog_changed or changed:
            # By the collections in memory: what could not follow has no view.
            views = {n: v for n, v in views.items() if n in self._loaded}
            for number in changed & self._loaded.keys():
                views[number] = self._loaded[number].view(state.seq)
        if catalog_changed:
            self.published = publish_catalog(state, views)
        else:
            self.published = self.published._replace(seq=state.seq, views=views)
        self.shown = self.fold.position

    def _let_go(self) -> None:
        """Free the memory of collections that were dropped or released."""
        collections = self.fold.state.collections
        for number in list(self._loaded):
            collection = collections.get(number)
            if collection is None or not collection.loaded:
                del self._loaded[number]
                self.let_go = True
            else:
                self._loaded[number].keep_indexes({i.id for i in collection.indexes.values()})

    def _forget_memory(self) -> None:
        """Rows in memory may have missed an event: they are read again when they are used."""
        self._loaded.clear()
        self.published = self.published._replace(views={})

    def loaded(self, collection_id: int) -> LoadedCollection | None:
        """A collection's rows in memory, if they are."""
        return self._loaded.get(collection_id)

    def take(self, loaded: LoadedCollection) -> View:
        """Keep a collection in memory that was read up to what is shown, and show it."""
        self._loaded[loaded.id] = loaded
        self.publish([], changed={loaded.id})
        return self.published.views[loaded.id]

    def show_again(self, collection_id: int) -> None:
        """Show what was changed in memory beside the rows."""
        self.publish([], changed={collection_id})

    def start_over(self) -> None:
        """Read the state again, and the rows when they are used."""
        self._forget_memory()
        damage = self.fold.restore(self.log)
        if damage is not None:
            raise damage
        self.seen_txnid = NEVER_SEEN
        self._show(set(), True)

    def forked(self) -> None:
        """This is a child: a thread of the parent may have held a lock of a segment."""
        for loaded in self._loaded.values():
            loaded.forked()
        for view in self.published.views.values():
            for segment in view.segments:
                segment.segment.forked()

    def close(self) -> None:
        """Let go of all rows in memory."""
        self._forget_memory()
