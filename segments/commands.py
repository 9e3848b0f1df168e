"""Commands: what a caller wants, turned into events under the writer lock.

A command is a function of the state. It resolves what was left open (ids, the segment that
receives the rows, whether it must be sealed) and returns drafts, which become entries of one
transaction: all or nothing. Everything slow was done before: rows are converted, encoded and
hashed when the command is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from walvec.segments.batch import Batch, batch_of, with_auto_ids
from walvec.segments.index import IndexSpec
from walvec.segments.state import (
    COLUMNS_FILE,
    DEFAULT_PARTITION,
    Collection,
    State,
    index_file,
)
from walvec.wal.entry import Payload
from walvec.wal.errors import CollectionNotExistException, IndexNotExistException
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
)
from walvec.wal.rows import Column, Rows
from walvec.wal.schema import Schema

SEGMENT_MAX_BYTES = 64 << 20
SEGMENT_MAX_BYTES_PROPERTY = "segment.max_bytes"
IMPLICIT_INDEX = "_default_"
"""Prefix of the names of indexes that nobody asked for: every vector field has one until
`create_index` replaces it."""


class Draft(NamedTuple):
    """An event to append, with its payload, and its rows for those who keep them in memory."""

    event: Event
    payload: Payload | None = None
    rows: Rows | None = None


class Decision(NamedTuple):
    """What a command does to a state, and what it returns once that is durable."""

    drafts: list[Draft]
    result: Any = None


Command = Callable[[State], Decision]


class IndexWish(NamedTuple):
    """A resolved index that has no id yet."""

    field_id: int
    field_name: str
    name: str
    index_type: str
    metric_type: str
    params: dict[str, Any]

    def with_id(self, index_id: int) -> IndexSpec:
        """The index itself, once the command has an id for it."""
        # The seed is the id: different for every index, the same in every replay.
        return IndexSpec(id=index_id, seed=index_id, **self._asdict())


def collection_of(state: State, collection_id: int, name: str) -> Collection:
    """The collection. Raises CollectionNotExistException, naming it as the caller did."""
    collection = state.collections.get(collection_id)
    if collection is None:
        raise CollectionNotExistException(message=f"collection {name} does not exist")
    return collection


def create_collection(
    name: str,
    schema: Schema,
    properties: dict[str, str],
    indexes: Sequence[IndexWish],
    *,
    load: bool,
    consistency_level: str,
    num_shards: int,
) -> Command:
    """A collection, an index for every vector field and, with `load`, its load: one transaction."""

    def decide(state: State) -> Decision:
        collection_id, partition_id = state.next_id, state.next_id + 1
        created = CollectionCreated(
            collection_id,
            name,
            schema.to_data(),
            {DEFAULT_PARTITION: partition_id},
            properties,
            consistency_level,
            num_shards,
        )
        drafts = [Draft(created)]
        for number, wish in enumerate(indexes, partition_id + 1):
            drafts.append(Draft(IndexCreated(collection_id, wish.with_id(number).to_data())))
        if load:
            drafts.append(Draft(CollectionLoaded(collection_id)))
        return Decision(drafts, collection_id)

    return decide


def insert(
    collection_id: int, name: str, batch: Batch, max_bytes: int, *, upsert: bool = False
) -> Command:
    """Append rows to the growing segment, which is sealed if it reaches its upper limit.

    The result is the first of the auto ids, None where the rows bring their own.
    """
    kind = RowsUpserted if upsert else RowsInserted

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        partition = collection.partitions[DEFAULT_PARTITION]
        segment = collection.growing.get(partition)
        filled = collection.segments[segment].rows if segment is not None else 0
        segment = state.next_id if segment is None else segment
        primary = collection.schema.primary
        auto = primary.auto_id and primary.id not in batch.chunks[0][0].columns
        first = next_id = collection.next_auto_id if auto else None
        drafts = []
        for rows, layout, payload in batch.chunks:
            event = kind(collection_id, partition, segment, rows.n, next_id, layout)
            drafts.append(Draft(event, payload, with_auto_ids(rows, collection.schema, next_id)))
            next_id = None if next_id is None else next_id + rows.n
        limit = int(collection.properties.get(SEGMENT_MAX_BYTES_PROPERTY, max_bytes))
        if (filled + batch.n) * collection.schema.vector_bytes >= limit:
            drafts.append(Draft(SegmentsSealed(collection_id, (segment,), "size")))
        return Decision(drafts, first)

    return decide


def delete(collection_id: int, name: str, pk_field: int, pks: Column) -> Command:
    """Tombstones for primary keys. The result is their number."""
    rows = Rows(len(pks), {pk_field: pks})
    chunks = batch_of(rows).chunks

    def decide(state: State) -> Decision:
        collection_of(state, collection_id, name)
        drafts = [
            Draft(RowsDeleted(collection_id, part.n, layout), payload, part)
            for part, layout, payload in chunks
        ]
        return Decision(drafts, rows.n)

    return decide


def flush(collection_id: int, name: str) -> Command:
    """Seal what grows. The result is the ids of all sealed segments."""

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        growing = tuple(sorted(collection.growing.values()))
        drafts = [Draft(SegmentsSealed(collection_id, growing, "flush"))] if growing else []
        return Decision(drafts, sorted(collection.segments))

    return decide


def load(collection_id: int, name: str) -> Command:
    """Nothing if the collection is loaded already."""

    def decide(state: State) -> Decision:
        loaded = collection_of(state, collection_id, name).loaded
        return Decision([] if loaded else [Draft(CollectionLoaded(collection_id))])

    return decide


def release(collection_id: int, name: str) -> Command:
    """Nothing if the collection is not loaded."""

    def decide(state: State) -> Decision:
        loaded = collection_of(state, collection_id, name).loaded
        return Decision([Draft(CollectionReleased(collection_id))] if loaded else [])

    return decide


def create_index(collection_id: int, name: str, wishes: Sequence[IndexWish]) -> Command:
    """Indexes in place of the implicit ones. Nothing for an index that is there already."""

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        drafts = []
        next_id = state.next_id
        for wish in wishes:
            present = collection.indexes.get(wish.name) or collection.index_of(wish.field_id)
            if present is not None and wish.with_id(present.id) == present:
                continue
            other = collection.index_of(wish.field_id)
            if other is not None and other.name.startswith(IMPLICIT_INDEX):
                drafts.append(Draft(IndexDropped(collection_id, other.name)))
            drafts.append(Draft(IndexCreated(collection_id, wish.with_id(next_id).to_data())))
            next_id += 1
        return Decision(drafts)

    return decide


def drop_index(
    collection_id: int, name: str, index_name: str, implicit: Callable[[int], IndexWish | None]
) -> Command:
    """Drop an index; `implicit` names what takes its place for a field, if anything does."""

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        index = collection.indexes.get(index_name)
        if index is None:
            raise IndexNotExistException(
                message=f"collection {name} has no index named {index_name}"
            )
        drafts = [Draft(IndexDropped(collection_id, index_name))]
        if (wish := implicit(index.field_id)) is not None:
            created = IndexCreated(collection_id, wish.with_id(state.next_id).to_data())
            drafts.append(Draft(created))
        return Decision(drafts)

    return decide


def drop_collection(collection_id: int, name: str) -> Command:
    """Drop a collection with all its rows."""
    return _single(collection_id, name, CollectionDropped(collection_id))


def rename_collection(collection_id: int, name: str, new_name: str) -> Command:
    """Give a collection another name."""
    return _single(collection_id, name, CollectionRenamed(collection_id, new_name))


def alter_collection(
    collection_id: int, name: str, properties: dict[str, str], dropped: tuple[str, ...] = ()
) -> Command:
    """Set and drop properties."""
    return _single(collection_id, name, CollectionAltered(collection_id, properties, dropped))


def persist_segment(
    collection_id: int,
    segment_id: int,
    files: tuple[tuple[str, int, bytes], ...],
    versions: dict[str, str],
) -> Command:
    """Record files of a sealed segment, but for those of indexes that were dropped meanwhile."""

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, str(collection_id))
        wanted = {COLUMNS_FILE, *map(index_file, collection.indexes.values())}
        kept = tuple(file for file in files if file[0] in wanted)
        event = SegmentPersisted(collection_id, segment_id, kept, versions)
        return Decision([Draft(event)] if kept else [])

    return decide


def merge_segments(collection_id: int, sources: tuple[int, ...]) -> Command:
    """Make one sealed segment of several. The result is its id."""

    def decide(state: State) -> Decision:
        collection_of(state, collection_id, str(collection_id))
        event = SegmentsMerged(collection_id, sources, state.next_id)
        return Decision([Draft(event)], state.next_id)

    return decide


def _single(collection_id: int, name: str, event: Event) -> Command:
    def decide(state: State) -> Decision:
        collection_of(state, collection_id, name)
        return Decision([Draft(event)])

    return decide
