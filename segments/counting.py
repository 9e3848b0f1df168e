"""Counting the visible rows of a collection, exactly, whether it is loaded or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from walvec.segments.catalog import CollectionInfo
from walvec.segments.commands import collection_of
from walvec.segments.deaths import NEVER, died_at
from walvec.segments.extents import Extents
from walvec.segments.log_rows import read_pks
from walvec.segments.state import Collection, State
from walvec.segments.store import Store
from walvec.wal.log import Log
from walvec.wal.rows import Array
from walvec.wal.schema import Schema


def count_rows(store: Store, info: CollectionInfo, partition: int | None = None) -> int:
    """Visible rows, of all partitions or of one. Where rows are not in memory the keys are read
    from the log, once for each change of the collection's rows; what this handle has not read
    yet is read whole and checked. Raises LogCorruptedException."""
    published = store.current()
    # What is loaded now, and not what was when the caller looked.
    info = published.collections.get(info.id, info)
    view = published.views.get(info.id)
    everything = info.loaded_partitions == set(info.partitions.values())
    if view is not None and (everything or partition in info.loaded_partitions):
        return (view if partition is None else view.within({partition})).row_count()
    counts = _counts(store, info)
    return sum(counts.values()) if partition is None else counts.get(partition, 0)


def _counts(store: Store, info: CollectionInfo) -> dict[int, int]:
    """Visible rows by partition."""

    def extents(state: State) -> tuple[int, int, list[tuple[int, Extents]], Extents]:
        collection = collection_of(state, info.id, info.name)
        rows = [(s.partition, s.extents.copy()) for s in collection.segments.values()]
        return collection.written, collection.expired, rows, collection.deletes.copy()

    written, expired, rows, deletes = store.with_state(extents)
    known = store.counts.get(info.id)
    if known is not None and known[0] == written:
        return known[1]
    born = _alive(store.log, [e for _, e in rows], deletes, expired, info.schema)
    entries, counted = np.unique(born, return_counts=True)
    by_entry = dict(zip(entries.tolist(), counted.tolist(), strict=True))
    counts: dict[int, int] = {}
    for partition, pairs in rows:
        present = sum(by_entry.get(seq, 0) for seq, _ in pairs)
        counts[partition] = counts.get(partition, 0) + present
    store.counts[info.id] = (written, counts)
    return counts


def visible_rows(log: Log, collection: Collection) -> int:
    """Visible rows of a collection of a state that was folded from this log; read from it."""
    extents = [segment.extents for segment in collection.segments.values()]
    deletes, schema = collection.deletes, collection.schema
    return len(_alive(log, extents, deletes, collection.expired, schema))


def _alive(
    log: Log, rows: Sequence[Extents], deletes: Extents, expired: int, schema: Schema
) -> Array:
    """The seq of the entry of each visible row, (n,) int64."""
    pks, born = read_pks(log, Extents.in_order(rows), schema)
    deleted, deleted_at = read_pks(log, deletes, schema)
    alive: Array = born[(died_at(pks, born, deleted, deleted_at) == NEVER) & (born > expired)]
    return alive
