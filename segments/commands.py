"""Commands: what a caller wants, turned into events under the writer lock.

A command is a function of the state. It resolves what was left open (ids, the segment that
receives the rows, whether it must be sealed) and returns drafts, which become entries of one
transaction: all or nothing. Everything slow was done before: rows are converted, encoded and
hashed when the command is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from walvec.segments.batch import Batch, batch_of, largest_key, whole_rows
from walvec.segments.index import IndexSpec
from walvec.segments.state import (
    COLUMNS_FILE,
    DEFAULT_PARTITION,
    Collection,
    State,
    index_file,
)
from walvec.wal.entry import Payload
from walvec.wal.errors import (
    CollectionNotExistException,
    IndexNotExistException,
    PartitionNotExistException,
)
from walvec.wal.events import (
    CollectionTruncated,
    Event,
    IndexCreated,
    IndexDropped,
    RowsDeleted,
    RowsExpired,
    RowsInserted,
    RowsUpserted,
    SegmentPersisted,
    SegmentsMerged,
    SegmentsSealed,
)
from walvec.wal.rows import Column, Rows

SEGMENT_MAX_BYTES = 64 << 20
SEGMENT_MAX_BYTES_PROPERTY = "segment.max_bytes"
CHANGED = "changed"
"""The result of a command that did nothing, because rows have changed that it depends on."""
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
    properties: dict[str, str] = {}

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


def insert(
    collection_id: int,
    name: str,
    batches: Sequence[Batch],
    max_bytes: int,
    *,
    upsert: bool = False,
    unless_written_since: int | None = None,
) -> Command:
    """Append rows to the growing segments of their partitions; one that reaches its upper limit is
    sealed.

    unless_written_since: a seq; the rows depend on those that were there at it, and nothing is
    stored if these have changed. The result is the first of the auto ids, which go through the
    batches in order; None where the rows bring their own; CHANGED where nothing was stored.
    """
    kind = RowsUpserted if upsert else RowsInserted

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        if unless_written_since is not None and collection.written > unless_written_since:
            return Decision([], CHANGED)
        schema = collection.schema
        auto = schema.primary.auto_id and schema.primary.id not in batches[0].chunks[0][0].columns
        first = next_id = collection.next_auto_id if auto else None
        limit = int(collection.properties.get(SEGMENT_MAX_BYTES_PROPERTY, max_bytes))
        drafts: list[Draft] = []
        full = []
        next_segment = state.next_id
        for batch in batches:
            partition = _partition_of(collection, batch)
            segment = collection.growing.get(partition, next_segment)
            next_segment += segment == next_segment
            for rows, layout, payload in batch.chunks:
                last_key = 0 if auto else largest_key(rows, schema)
                event = kind(collection_id, partition, segment, rows.n, next_id, layout, last_key)
                drafts.append(Draft(event, payload, whole_rows(rows, schema, next_id)))
                next_id = None if next_id is None else next_id + rows.n
            present = collection.segments.get(segment)
            filled = batch.n if present is None else batch.n + present.rows
            if filled * schema.vector_bytes >= limit:
                full.append(segment)
        if full:
            drafts.append(Draft(SegmentsSealed(collection_id, tuple(full), "size")))
        return Decision(drafts, first)

    return decide


def _partition_of(collection: Collection, batch: Batch) -> int:
    partition = batch.partition
    if partition is None:
        partition = collection.partitions[DEFAULT_PARTITION]
    elif partition not in collection.partitions.values():
        raise PartitionNotExistException(
            message=f"a partition of collection {collection.name} was dropped meanwhile"
        )
    return partition


def delete(
    collection_id: int,
    name: str,
    pk_field: int,
    pks: Column,
    *,
    unless_written_since: int | None = None,
) -> Command:
    """Tombstones for primary keys. The result is their number, or CHANGED as for `insert`."""
    rows = Rows(len(pks), {pk_field: pks})
    chunks = batch_of(rows).chunks

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        if unless_written_since is not None and collection.written > unless_written_since:
            return Decision([], CHANGED)
        drafts = [
            Draft(RowsDeleted(collection_id, part.n, layout), payload, part)
            for part, layout, payload in chunks
        ]
        return Decision(drafts, rows.n)

    return decide


def truncate(collection_id: int, name: str) -> Command:
    """Take all rows away."""

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        empty = not collection.segments
        return Decision([] if empty else [Draft(CollectionTruncated(collection_id))])

    return decide


def expire(collection_id: int, name: str, until: int) -> Command:
    """Take away the rows of all entries up to the seq `until`, unless another did."""

    def decide(state: State) -> Decision:
        gone = collection_of(state, collection_id, name).expired >= until
        return Decision([] if gone else [Draft(RowsExpired(collection_id, until))])

    return decide


def flush(collection_id: int, name: str) -> Command:
    """Seal what grows. The result is the ids of all sealed segments."""

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        growing = tuple(sorted(collection.growing.values()))
        drafts = [Draft(SegmentsSealed(collection_id, growing, "flush"))] if growing else []
        return Decision(drafts, sorted(collection.segments))

    return decide


def create_index(collection_id: int, name: str, wishes: Sequence[IndexWish]) -> Command:
    """Indexes in place of the implicit ones. Nothing for an index that is there already."""

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        drafts = []
        next_id = state.next_id
        for wish in wishes:
            present = collection.indexes.get(wish.name) or collection.index_of(wish.field_id)
            if present is not None and _is_same(wish, present):
                continue
            other = collection.index_of(wish.field_id)
            if other is not None and other.name.startswith(IMPLICIT_INDEX):
                drafts.append(Draft(IndexDropped(collection_id, other.name)))
            drafts.append(Draft(IndexCreated(collection_id, wish.with_id(next_id).to_data())))
            next_id += 1
        return Decision(drafts)

    return decide


def _is_same(wish: IndexWish, present: IndexSpec) -> bool:
    """Whether an index is what is wished for. Properties that the wish does not name may have been
    altered since."""
    properties = {**present.properties, **wish.properties}
    return replace(wish.with_id(present.id), properties=properties) == present


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
