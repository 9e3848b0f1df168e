"""Whether rows that a write depends on have changed since it read them."""

from __future__ import annotations

from walvec.segments.catalog import CollectionInfo
from walvec.segments.commands import collection_of
from walvec.segments.extents import Extents
from walvec.segments.log_rows import read_pks
from walvec.segments.pk_index import pk_values
from walvec.segments.state import State
from walvec.segments.store import Store
from walvec.wal.rows import Column


def unchanged_until(store: Store, info: CollectionInfo, pks: Column, since: int) -> int | None:
    """A later seq at which the rows of these keys are still as they were at the seq `since`, or
    have expired; None where they may have changed.

    info: the collection as it was before `since`. What was written to other keys does not count:
    one who reads much before a write would never come to it beside others who write all the time.
    """

    def newer(state: State) -> tuple[int, Extents] | None:
        collection = collection_of(state, info.id, info.name)
        dropped = not set(info.partitions.values()) <= set(collection.partitions.values())
        if dropped or collection.expired > since:
            return None
        written = [s.extents for s in collection.segments.values() if s.extents[-1][0] > since]
        parts = [extents.after(since) for extents in (*written, collection.deletes)]
        return collection.written, Extents.in_order(parts)

    found = store.with_state(newer)
    if found is None:
        return None
    until, extents = found
    touched, _ = read_pks(store.log, extents, info.schema)
    return until if set(pk_values(touched)).isdisjoint(pk_values(pks)) else None
