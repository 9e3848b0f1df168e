"""Everything that a store of walvec holds, as the plain data of walvec_model.Model.to_data().

Rows of loaded partitions are read from the view, as a search reads them: from the files of
segments where these serve. The others are read from the log, which loads nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from walvec.crashlab.walvec_model import CURSORS, HIGH, LOW, QUERY
from walvec.segments.catalog import CollectionInfo
from walvec.segments.counting import count_rows
from walvec.segments.log_rows import read_rows
from walvec.segments.lookup import Lookup
from walvec.segments.search import Plan, search
from walvec.segments.state import State
from walvec.segments.store import Store
from walvec.segments.view import SegmentView, View
from walvec.wal.cursors import read_cursor
from walvec.wal.rows import Column
from walvec.wal.schema import Schema

ID, VECTOR, TEXT, NUMBER, ADDED = 100, 101, 102, 103, 104
QUERIES = np.array([QUERY], np.float32)
RANGE = Lookup(NUMBER, "range", (LOW, HIGH))
SEARCH_PARAMS = {"search_k": 1 << 20}
"""All trees to their ends: what an index finds is exact, and an index that is there is used."""

Rows = dict[int, tuple[Any, ...]]


def data_of(store: Store) -> dict[str, Any]:
    """What the store holds."""
    published = store.current()
    collections = {}
    for name, database in published.databases.items():
        for table, number in database.names.items():
            collections[f"{name}.{table}"] = _collection(store, published.collections[number])
    with store.log.reading() as txn:
        cursors = [name for name in CURSORS if read_cursor(store.log, txn, name) is not None]
    return {
        "databases": sorted(published.databases),
        "cursors": cursors,
        "collections": collections,
    }


def _collection(store: Store, info: CollectionInfo) -> dict[str, Any]:
    loaded = info.loaded_partitions
    rows: Rows = {}
    nearest = within = None
    if info.loaded:
        view = store.view(info)
        names = {number: name for name, number in info.partitions.items()}
        for segment in view.segments:
            rows.update(_seen(segment, names[segment.segment.partition], info.schema))
        nearest, within = _nearest(view, info), _within(view)
    if len(loaded) < len(info.partitions):
        rows.update(_rows_in_log(store, info))
    return {
        "aliases": sorted(info.aliases),
        "partitions": {name: i in loaded for name, i in sorted(info.partitions.items())},
        "loads_new": store.with_state(lambda state: state.collections[info.id].loads_new),
        "fields": [f.name for f in info.schema.fields],
        "indexes": sorted(info.indexes),
        "properties": dict(sorted(info.properties.items())),
        "count": count_rows(store, info),
        "rows": dict(sorted(rows.items())),
        "nearest": nearest,
        "within": within,
    }


def _plain(columns: dict[int, Column], partition: str, schema: Schema) -> list[tuple[Any, ...]]:
    """Rows as the model has them, each with its key before it."""
    keys = columns[ID].values.tolist()
    vectors = map(tuple, columns[VECTOR].values.tolist())
    texts, numbers = columns[TEXT].texts(), columns[NUMBER].values.tolist()
    added = columns[ADDED].values.tolist() if ADDED in schema.by_id else [None] * len(keys)
    partitions = [partition] * len(keys)
    return list(zip(keys, partitions, vectors, texts, numbers, added, strict=True))


def _seen(segment: SegmentView, partition: str, schema: Schema) -> Rows:
    """The visible rows of a segment."""
    columns = {f.id: segment.column(f.id) for f in schema.fields}
    rows = _plain(columns, partition, schema)
    alive = segment.alive()
    if alive is not None:
        rows = [row for row, lives in zip(rows, alive.tolist(), strict=True) if lives]
    return {row[0]: row[1:] for row in rows}


def _nearest(view: View, info: CollectionInfo) -> list[tuple[float, int]]:
    """All rows by their distance, found by a search."""
    found = search(view, plan_of(view, info), QUERIES)[0]
    keys = [int(segment.column(ID).values[row]) for segment, row in found.places]
    return sorted(zip(found.scores, keys, strict=True))


def plan_of(view: View, info: CollectionInfo) -> Plan:
    """A search for all rows, by the index where there is one."""
    k = max(1, view.row_count())
    field = info.schema.by_id[VECTOR]
    return Plan(field, "L2", info.index_of(VECTOR), SEARCH_PARAMS, k)


def _within(view: View) -> list[int]:
    """The keys of the rows whose number lies in the range, found by an index where there is one."""
    keys: list[int] = []
    for segment in view.segments:
        index = segment.scalars.get(NUMBER)
        if index is not None:
            mask = np.zeros(segment.n, np.bool_)
            mask[index.positions(RANGE)] = True
        else:
            numbers = segment.column(NUMBER).values
            mask = (numbers >= LOW) & (numbers <= HIGH)
        alive = segment.alive()
        mask = mask if alive is None else mask & alive
        keys += segment.column(ID).values[mask].tolist()
    return sorted(keys)


def _rows_in_log(store: Store, info: CollectionInfo) -> Rows:
    """The rows of partitions that are not loaded: what the entries that segments and deletes name
    leave, one after the other."""
    entries, expired = store.with_state(lambda state: _entries(state, info.id))
    names = {number: name for name, number in info.partitions.items()}
    left: Rows = {}
    with store.log.reading() as txn:
        for seq, partition in entries:
            if seq <= expired:
                continue
            rows = read_rows(store.log, txn, seq, info.schema)
            if partition:
                for row in _plain(rows.columns, names[partition], info.schema):
                    left[row[0]] = row[1:]
            else:
                for key in rows.columns[ID].values.tolist():
                    left.pop(key, None)
    unloaded = {name for name, i in info.partitions.items() if i not in info.loaded_partitions}
    return {key: row for key, row in left.items() if row[0] in unloaded}


def _entries(state: State, number: int) -> tuple[list[tuple[int, int]], int]:
    """(seq, partition) of the entries with a collection's rows, partition 0 where they delete, and
    up to where rows have expired."""
    collection = state.collections[number]
    entries = [(seq, 0) for seq, _ in collection.deletes]
    for segment in collection.segments.values():
        entries += [(seq, segment.partition) for seq, _ in segment.extents]
    return sorted(entries), collection.expired
