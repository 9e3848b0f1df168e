"""Counting the visible rows of a collection, exactly, whether it is loaded or not."""

from __future__ import annotations

from walvec.segments.catalog import CollectionInfo
from walvec.segments.commands import collection_of
from walvec.segments.deaths import NEVER, died_at
from walvec.segments.extents import Extents
from walvec.segments.log_rows import read_pks
from walvec.segments.state import State
from walvec.segments.store import Store


def count_rows(store: Store, info: CollectionInfo) -> int:
    """Visible rows. Of a collection that is not in memory the keys are read from the log, once
    for each change of its rows."""
    view = store.current().views.get(info.id)
    if view is not None:
        return view.row_count()

    def extents(state: State) -> tuple[int, list[Extents], Extents]:
        collection = collection_of(state, info.id, info.name)
        rows = [s.extents.copy() for s in collection.segments.values()]
        return collection.written, rows, collection.deletes.copy()

    written, rows, deletes = store.with_state(extents)
    known = store.counts.get(info.id)
    if known is not None and known[0] == written:
        return known[1]
    pks, born = read_pks(store.log, Extents.in_order(rows), info.schema)
    deleted, deleted_at = read_pks(store.log, deletes, info.schema)
    count = int((died_at(pks, born, deleted, deleted_at) == NEVER).sum())
    store.counts[info.id] = (written, count)
    return count
