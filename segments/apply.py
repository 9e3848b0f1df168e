"""apply: the only code that changes a state. Live writes and replay share it.

It does no I/O, reads no clock, draws no random number and refuses nothing: what an event needs
is in the event, and `check` has been asked before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from walvec.segments.extents import Extents
from walvec.segments.index import IndexSpec
from walvec.segments.state import Collection, FileRecord, Segment, State, index_file
from walvec.wal.events import (
    CollectionAltered,
    CollectionCreated,
    CollectionDropped,
    CollectionLoaded,
    CollectionReleased,
    CollectionRenamed,
    Event,
    IndexCreated,
    IndexDropped,
    RowsDeleted,
    RowsInserted,
    RowsUpserted,
    SegmentPersisted,
    SegmentsMerged,
    SegmentsSealed,
    StoreCreated,
)
from walvec.wal.schema import Schema


def apply(state: State, seq: int, timestamp: int, event: Event) -> None:
    """Change `state` by one event, which is entry `seq` of the log."""
    state.seq = seq
    state.timestamp = timestamp
    _APPLY[type(event)](state, event)


def _store_created(state: State, event: StoreCreated) -> None:
    state.store_id = event.store_id


def _collection_created(state: State, event: CollectionCreated) -> None:
    state.collections[event.collection] = Collection(
        id=event.collection,
        name=event.name,
        schema=Schema.from_data(event.schema),
        partitions=dict(event.partitions),
        properties=dict(sorted(event.properties.items())),
        consistency_level=event.consistency_level,
        num_shards=event.num_shards,
        created_at=state.timestamp,
    )
    state.names[event.name] = event.collection
    state.next_id = max(event.collection, *event.partitions.values()) + 1


def _collection_dropped(state: State, event: CollectionDropped) -> None:
    dropped = state.collections.pop(event.collection)
    del state.names[dropped.name]


def _collection_renamed(state: State, event: CollectionRenamed) -> None:
    collection = state.collections[event.collection]
    del state.names[collection.name]
    collection.name = event.name
    state.names[event.name] = collection.id


def _collection_altered(state: State, event: CollectionAltered) -> None:
    collection = state.collections[event.collection]
    properties = {**collection.properties, **event.properties}
    for key in event.dropped:
        properties.pop(key, None)
    # Sorted, as a saved state has them: what a user sees does not depend on how it was opened.
    collection.properties = dict(sorted(properties.items()))


def _rows_inserted(state: State, event: RowsInserted) -> None:
    collection = state.collections[event.collection]
    segment = collection.segments.get(event.segment)
    if segment is None:
        segment = Segment(event.segment, event.partition)
        collection.segments[event.segment] = segment
        collection.growing[event.partition] = event.segment
        state.next_id = max(state.next_id, event.segment + 1)
    segment.extents.append((state.seq, event.n))
    segment.rows += event.n
    collection.written = state.seq
    if event.first_id is not None:
        collection.next_auto_id = event.first_id + event.n


def _rows_deleted(state: State, event: RowsDeleted) -> None:
    collection = state.collections[event.collection]
    collection.deletes.append((state.seq, event.n))
    collection.written = state.seq


def _segments_sealed(state: State, event: SegmentsSealed) -> None:
    collection = state.collections[event.collection]
    for segment_id in event.segments:
        segment = collection.segments[segment_id]
        segment.sealed = state.seq
        del collection.growing[segment.partition]


def _segment_persisted(state: State, event: SegmentPersisted) -> None:
    files = state.collections[event.collection].segments[event.segment].files
    for name, length, digest in event.files:
        files[name] = FileRecord(length, digest)


def _segments_merged(state: State, event: SegmentsMerged) -> None:
    collection = state.collections[event.collection]
    sources = [collection.segments[i] for i in event.sources]
    merged = Segment(
        id=event.target,
        partition=sources[0].partition,
        rows=sum(s.rows for s in sources),
        sealed=state.seq,
        extents=Extents.joined(s.extents for s in sources),
    )
    # In the place of the first one: segments stay in the order of their rows.
    segments: dict[int, Segment] = {}
    for segment in collection.segments.values():
        if segment.id == event.sources[0]:
            segments[merged.id] = merged
        elif segment.id not in event.sources:
            segments[segment.id] = segment
    collection.segments = segments
    state.next_id = max(state.next_id, event.target + 1)


def _index_created(state: State, event: IndexCreated) -> None:
    index = IndexSpec.from_data(event.index)
    state.collections[event.collection].indexes[index.name] = index
    state.next_id = max(state.next_id, index.id + 1)


def _index_dropped(state: State, event: IndexDropped) -> None:
    collection = state.collections[event.collection]
    name = index_file(collection.indexes.pop(event.index_name))
    for segment in collection.segments.values():
        segment.files.pop(name, None)


def _collection_loaded(state: State, event: CollectionLoaded) -> None:
    state.collections[event.collection].loaded = True


def _collection_released(state: State, event: CollectionReleased) -> None:
    state.collections[event.collection].loaded = False


_APPLY: dict[type[Event], Callable[[State, Any], None]] = {
    StoreCreated: _store_created,
    CollectionCreated: _collection_created,
    CollectionDropped: _collection_dropped,
    CollectionRenamed: _collection_renamed,
    CollectionAltered: _collection_altered,
    RowsInserted: _rows_inserted,
    RowsUpserted: _rows_inserted,
    RowsDeleted: _rows_deleted,
    SegmentsSealed: _segments_sealed,
    SegmentPersisted: _segment_persisted,
    SegmentsMerged: _segments_merged,
    IndexCreated: _index_created,
    IndexDropped: _index_dropped,
    CollectionLoaded: _collection_loaded,
    CollectionReleased: _collection_released,
}
