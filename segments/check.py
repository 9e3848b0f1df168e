"""check: may this event happen in this state? Refuses with a typed error and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from walvec.segments.catalog_check import (
    CATALOG,
    collection_created,
    database_changed,
    database_created,
    has_partitions,
    id_is_new,
)
from walvec.segments.state import Collection, Segment, State
from walvec.wal import events
from walvec.wal.errors import CollectionNotExistException, ParamError


def check(state: State, event: events.Event) -> None:
    """Raise a CallError if `event` cannot be the next one after `state`."""
    if isinstance(event, events.CollectionCreated):
        collection_created(state, event)
    elif isinstance(event, events.StoreCreated):
        if state.seq:
            raise ParamError(message="the store was created already")
    elif isinstance(event, events.DatabaseCreated):
        database_created(state, event)
    elif isinstance(event, events.DatabaseDropped | events.DatabaseAltered):
        database_changed(state, event)
    else:
        collection = state.collections.get(event.collection)
        if collection is None:
            raise CollectionNotExistException(
                message=f"collection with id {event.collection} does not exist, or was dropped"
            )
        refuse = _CHECK.get(type(event))
        if refuse is not None:
            refuse(state, collection, event)


def _rows_expired(state: State, collection: Collection, event: events.RowsExpired) -> None:
    if not collection.expired < event.until <= state.seq:
        raise ParamError(
            message=f"rows of {collection.name} cannot expire up to entry {event.until}: they are "
            f"gone up to {collection.expired}, and the log ends at {state.seq}"
        )


def _rows_inserted(state: State, collection: Collection, event: events.RowsInserted) -> None:
    has_partitions(collection, (event.partition,))
    if event.first_id is not None and event.first_id < collection.next_auto_id:
        raise ParamError(message=f"auto id {event.first_id} of {collection.name} was used before")
    growing = collection.growing.get(event.partition)
    if growing is None:
        id_is_new(state, event.segment)
    elif growing != event.segment:
        raise ParamError(message=f"segment {event.segment} of {collection.name} does not grow")


def _segments_sealed(_: State, collection: Collection, event: events.SegmentsSealed) -> None:
    for segment_id in event.segments:
        if segment_id not in collection.growing.values():
            raise ParamError(message=f"segment {segment_id} of {collection.name} does not grow")


def _sealed(collection: Collection, segment_id: int) -> Segment:
    segment = collection.segments.get(segment_id)
    if segment is None or not segment.sealed:
        raise ParamError(message=f"collection {collection.name} has no sealed segment {segment_id}")
    return segment


def _segment_persisted(_: State, collection: Collection, event: events.SegmentPersisted) -> None:
    _sealed(collection, event.segment)


def _segments_merged(state: State, collection: Collection, event: events.SegmentsMerged) -> None:
    id_is_new(state, event.target)
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


_CHECK: dict[type[events.Event], Callable[[State, Collection, Any], None]] = {
    **CATALOG,
    events.RowsExpired: _rows_expired,
    events.RowsInserted: _rows_inserted,
    events.RowsUpserted: _rows_inserted,
    events.SegmentsSealed: _segments_sealed,
    events.SegmentPersisted: _segment_persisted,
    events.SegmentsMerged: _segments_merged,
}
