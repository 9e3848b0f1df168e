"""apply: the only code that changes a state. Live writes and replay share it.

It does no I/O, reads no clock, draws no random number and refuses nothing: what an event needs
is in the event, and `check` has been asked before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from walvec.segments.extents import Extents
from walvec.segments.index import IndexSpec
from walvec.segments.state import (
    DEFAULT_DATABASE,
    Collection,
    Database,
    FileRecord,
    Segment,
    State,
    altered,
    index_file,
)
from walvec.wal import events
from walvec.wal.schema import Field, Schema


def apply(state: State, seq: int, timestamp: int, event: events.Event) -> None:
    """Change `state` by one event, which is entry `seq` of the log."""
    state.seq = seq
    state.timestamp = timestamp
    _APPLY[type(event)](state, event)


def _store_created(state: State, event: events.StoreCreated) -> None:
    state.store_id = event.store_id
    state.databases[0] = Database(0, DEFAULT_DATABASE, state.timestamp)


def _database_created(state: State, event: events.DatabaseCreated) -> None:
    properties = dict(sorted(event.properties.items()))
    created = Database(event.database, event.name, state.timestamp, properties)
    state.databases[event.database] = created
    state.next_id = event.database + 1


def _database_dropped(state: State, event: events.DatabaseDropped) -> None:
    del state.databases[event.database]


def _database_altered(state: State, event: events.DatabaseAltered) -> None:
    database = state.databases[event.database]
    database.properties = altered(database.properties, event.properties, event.dropped)


def _collection_created(state: State, event: events.CollectionCreated) -> None:
    state.collections[event.collection] = Collection(
        id=event.collection,
        name=event.name,
        schema=Schema.from_data(event.schema),
        partitions=dict(event.partitions),
        properties=dict(sorted(event.properties.items())),
        consistency_level=event.consistency_level,
        num_shards=event.num_shards,
        created_at=state.timestamp,
        database=event.database,
    )
    state.databases[event.database].names[event.name] = event.collection
    state.next_id = max([event.collection, *event.partitions.values()]) + 1


def _collection_dropped(state: State, event: events.CollectionDropped) -> None:
    dropped = state.collections.pop(event.collection)
    del state.databases[dropped.database].names[dropped.name]


def _collection_renamed(state: State, event: events.CollectionRenamed) -> None:
    collection = state.collections[event.collection]
    del state.databases[collection.database].names[collection.name]
    collection.name = event.name
    if event.database is not None:
        collection.database = event.database
    state.databases[collection.database].names[event.name] = collection.id


def _collection_altered(state: State, event: events.CollectionAltered) -> None:
    collection = state.collections[event.collection]
    collection.properties = altered(collection.properties, event.properties, event.dropped)


def _field_changed(state: State, event: events.FieldAdded | events.FieldAltered) -> None:
    collection = state.collections[event.collection]
    collection.schema = collection.schema.with_field(Field.from_data(event.field))


def _alias_set(state: State, event: events.AliasSet) -> None:
    collection = state.collections[event.collection]
    state.databases[collection.database].aliases[event.alias] = collection.id


def _alias_dropped(state: State, event: events.AliasDropped) -> None:
    collection = state.collections[event.collection]
    del state.databases[collection.database].aliases[event.alias]


def _partition_created(state: State, event: events.PartitionCreated) -> None:
    collection = state.collections[event.collection]
    collection.partitions[event.name] = event.partition
    if collection.loads_new:
        collection.loaded_partitions.add(event.partition)
    state.next_id = event.partition + 1


def _partition_dropped(state: State, event: events.PartitionDropped) -> None:
    collection = state.collections[event.collection]
    partitions = collection.partitions
    collection.partitions = {n: i for n, i in partitions.items() if i != event.partition}
    collection.loaded_partitions.discard(event.partition)
    collection.growing.pop(event.partition, None)
    gone = [s for s in collection.segments.values() if s.partition == event.partition]
    for segment in gone:
        del collection.segments[segment.id]
    # Its rows may have replaced others, which stay replaced: their keys go on as tombstones.
    extents = [segment.extents for segment in gone]
    collection.deletes = Extents.in_order([collection.deletes, *extents])
    if not collection.segments:
        collection.deletes = Extents()
    collection.written = state.seq


def _rows_inserted(state: State, event: events.RowsInserted) -> None:
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
    elif event.last_key:
        collection.next_auto_id = max(collection.next_auto_id, event.last_key + 1)


def _rows_deleted(state: State, event: events.RowsDeleted) -> None:
    collection = state.collections[event.collection]
    collection.deletes.append((state.seq, event.n))
    collection.written = state.seq


def _segments_sealed(state: State, event: events.SegmentsSealed) -> None:
    collection = state.collections[event.collection]
    for segment_id in event.segments:
        segment = collection.segments[segment_id]
        segment.sealed = state.seq
        del collection.growing[segment.partition]


def _segment_persisted(state: State, event: events.SegmentPersisted) -> None:
    files = state.collections[event.collection].segments[event.segment].files
    for name, length, digest in event.files:
        files[name] = FileRecord(length, digest)


def _segments_merged(state: State, event: events.SegmentsMerged) -> None:
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


def _index_created(state: State, event: events.IndexCreated) -> None:
    index = IndexSpec.from_data(event.index)
    state.collections[event.collection].indexes[index.name] = index
    state.next_id = max(state.next_id, index.id + 1)


def _index_dropped(state: State, event: events.IndexDropped) -> None:
    collection = state.collections[event.collection]
    name = index_file(collection.indexes.pop(event.index_name))
    for segment in collection.segments.values():
        segment.files.pop(name, None)


def _index_altered(state: State, event: events.IndexAltered) -> None:
    index = IndexSpec.from_data(event.index)
    state.collections[event.collection].indexes[index.name] = index


def _rows_gone(state: State, event: events.RowsExpired | events.CollectionTruncated) -> None:
    until = event.until if isinstance(event, events.RowsExpired) else state.seq
    collection = state.collections[event.collection]
    for segment in list(collection.segments.values()):
        if segment.extents[-1][0] <= until:
            del collection.segments[segment.id]
            if collection.growing.get(segment.partition) == segment.id:
                del collection.growing[segment.partition]
    collection.deletes = collection.deletes.after(until)
    collection.expired = until
    collection.written = state.seq


def _collection_loaded(state: State, event: events.CollectionLoaded) -> None:
    collection = state.collections[event.collection]
    collection.loaded = collection.loads_new = True
    collection.loaded_partitions = set(collection.partitions.values())


def _collection_released(state: State, event: events.CollectionReleased) -> None:
    collection = state.collections[event.collection]
    collection.loaded = collection.loads_new = False
    collection.loaded_partitions = set()


def _partitions_loaded(state: State, event: events.PartitionsLoaded) -> None:
    collection = state.collections[event.collection]
    collection.loaded = True
    collection.loaded_partitions.update(event.partitions)


def _partitions_released(state: State, event: events.PartitionsReleased) -> None:
    collection = state.collections[event.collection]
    collection.loaded_partitions.difference_update(event.partitions)
    if not collection.loaded_partitions:
        collection.loaded = collection.loads_new = False


_APPLY: dict[type[events.Event], Callable[[State, Any], None]] = {
    events.StoreCreated: _store_created,
    events.DatabaseCreated: _database_created,
    events.DatabaseDropped: _database_dropped,
    events.DatabaseAltered: _database_altered,
    events.CollectionCreated: _collection_created,
    events.CollectionDropped: _collection_dropped,
    events.CollectionRenamed: _collection_renamed,
    events.CollectionAltered: _collection_altered,
    events.FieldAdded: _field_changed,
    events.FieldAltered: _field_changed,
    events.AliasSet: _alias_set,
    events.AliasDropped: _alias_dropped,
    events.PartitionCreated: _partition_created,
    events.PartitionDropped: _partition_dropped,
    events.RowsInserted: _rows_inserted,
    events.RowsUpserted: _rows_inserted,
    events.RowsDeleted: _rows_deleted,
    events.SegmentsSealed: _segments_sealed,
    events.SegmentPersisted: _segment_persisted,
    events.SegmentsMerged: _segments_merged,
    events.IndexCreated: _index_created,
    events.IndexDropped: _index_dropped,
    events.IndexAltered: _index_altered,
    events.RowsExpired: _rows_gone,
    events.CollectionTruncated: _rows_gone,
    events.CollectionLoaded: _collection_loaded,
    events.CollectionReleased: _collection_released,
    events.PartitionsLoaded: _partitions_loaded,
    events.PartitionsReleased: _partitions_released,
}
