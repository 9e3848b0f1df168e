"""check: may this event happen in this state? Refuses with a typed error and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from walvec.segments.state import Collection, Segment, State
from walvec.wal.errors import (
    CollectionAlreadyExistException,
    CollectionNotExistException,
    IndexAlreadyExistException,
    IndexNotExistException,
    ParamError,
    PartitionNotExistException,
)
from walvec.wal.events import (
    CollectionCreated,
    CollectionRenamed,
    Event,
    IndexCreated,
    IndexDropped,
    RowsInserted,
    RowsUpserted,
    SegmentPersisted,
    SegmentsMerged,
    SegmentsSealed,
    StoreCreated,
)

MAX_COLLECTIONS = 65_536


def check(state: State, event: Event) -> None:
    """Raise a CallError if `event` cannot be the next one after `state`."""
    if not isinstance(event, CollectionCreated | StoreCreated):
        collection = state.collections.get(event.collection)
        if collection is None:
            raise CollectionNotExistException(
                message=f"collection with id {event.collection} does not exist, or was dropped"
            )
        refuse = _CHECK.get(type(event))
        if refuse is not None:
            refuse(state, collection, event)
    elif isinstance(event, CollectionCreated):
        _collection_created(state, event)
    elif state.seq:
        raise ParamError(message="the store was created already")


def _collection_created(state: State, event: CollectionCreated) -> None:
    _name_is_free(state, event.name)
    _id_is_new(state, event.collection)
    if len(state.collections) >= MAX_COLLECTIONS:
        raise ParamError(message=f"the store has {MAX_COLLECTIONS} collections, the most it may")


def _collection_renamed(state: State, _: Collection, event: CollectionRenamed) -> None:
    _name_is_free(state, event.name)


def _name_is_free(state: State, name: str) -> None:
    if name in state.names:
        raise CollectionAlreadyExistException(message=f"collection {name} exists already")


def _id_is_new(state: State, number: int) -> None:
    if number < state.next_id:
        raise ParamError(message=f"id {number} was used before, the next is {state.next_id}")


def _rows_inserted(state: State, collection: Collection, event: RowsInserted) -> None:
    if event.partition not in collection.partitions.values():
        raise PartitionNotExistException(
            message=f"collection {collection.name} has no partition with id {event.partition}"
        )
    if event.first_id is not None and event.first_id < collection.next_auto_id:
        raise ParamError(message=f"auto id {event.first_id} of {collection.name} was used before")
    growing = collection.growing.get(event.partition)
    if growing is None:
        _id_is_new(state, event.segment)
    elif growing != event.segment:
        raise ParamError(message=f"segment {event.segment} of {collection.name} does not grow")


def _segments_sealed(_: State, collection: Collection, event: SegmentsSealed) -> None:
    for segment_id in event.segments:
        if segment_id not in collection.growing.values():
            raise ParamError(message=f"segment {segment_id} of {collection.name} does not grow")


def _sealed(collection: Collection, segment_id: int) -> Segment:
    segment = collection.segments.get(segment_id)
    if segment is None or not segment.sealed:
        raise ParamError(message=f"collection {collection.name} has no sealed segment {segment_id}")
    return segment


def _segment_persisted(_: State, collection: Collection, event: SegmentPersisted) -> None:
    _sealed(collection, event.segment)


def _segments_merged(state: State, collection: Collection, event: SegmentsMerged) -> None:
    _id_is_new(state, event.target)
    if not event.sources:
        raise ParamError(message=f"no segments of {collection.name} to merge")
    sources = [_sealed(collection, i) for i in event.sources]
    starts = [s.extents[0][0] for s in sources]
    partitions = {s.partition for s in sources}
    between = [
        s.extents[0][0]
        for s in collection.segments.values()
        if s.partition in partitions and starts[0] <= s.extents[0][0] <= starts[-1]
    ]
    if len(partitions) != 1 or starts != sorted(between):
        raise ParamError(
            message=f"segments {list(event.sources)} of {collection.name} are not neighbours in "
            "one partition and in the order of their rows"
        )


def _index_created(state: State, collection: Collection, event: IndexCreated) -> None:
    _id_is_new(state, event.index["id"])
    name, field_id = event.index["name"], event.index["field_id"]
    if name in collection.indexes:
        raise IndexAlreadyExistException(
            message=f"collection {collection.name} has an index named {name} already: drop it first"
        )
    if (other := collection.index_of(field_id)) is not None:
        raise IndexAlreadyExistException(
            message=f"field {other.field_name} of {collection.name} has the index {other.name} "
            "already, at most one is allowed: drop it first"
        )


def _index_dropped(_: State, collection: Collection, event: IndexDropped) -> None:
    if event.index_name not in collection.indexes:
        raise IndexNotExistException(
            message=f"collection {collection.name} has no index named {event.index_name}"
        )


_CHECK: dict[type[Event], Callable[[State, Collection, Any], None]] = {
    CollectionRenamed: _collection_renamed,
    RowsInserted: _rows_inserted,
    RowsUpserted: _rows_inserted,
    SegmentsSealed: _segments_sealed,
    SegmentPersisted: _segment_persisted,
    SegmentsMerged: _segments_merged,
    IndexCreated: _index_created,
    IndexDropped: _index_dropped,
}
