"""check: what may not happen is refused by name, and a refusal changes nothing."""

from __future__ import annotations

import pytest
from lab import ID, VECTOR, flat_spec, schema

from walvec.segments.apply import apply
from walvec.segments.catalog_check import MAX_COLLECTIONS_PROPERTY, MAX_DATABASES, MAX_PARTITIONS
from walvec.segments.check import check
from walvec.segments.state import State, digest
from walvec.wal.errors import (
    AliasAlreadyExistException,
    AliasNotExistException,
    CallError,
    CollectionAlreadyExistException,
    CollectionNotExistException,
    DatabaseNotExistException,
    FieldNotExistException,
    IndexAlreadyExistException,
    IndexNotExistException,
    ParamError,
    PartitionNotExistException,
)
from walvec.wal.events import (
    AliasDropped,
    AliasSet,
    CollectionCreated,
    CollectionDropped,
    CollectionLoaded,
    CollectionRenamed,
    CollectionTruncated,
    DatabaseAltered,
    DatabaseCreated,
    DatabaseDropped,
    Event,
    FieldAdded,
    FieldAltered,
    IndexAltered,
    IndexCreated,
    IndexDropped,
    PartitionCreated,
    PartitionDropped,
    PartitionsLoaded,
    PartitionsReleased,
    RowsDeleted,
    RowsExpired,
    RowsInserted,
    RowsUpserted,
    SegmentPersisted,
    SegmentsMerged,
    SegmentsSealed,
    StoreCreated,
)
from walvec.wal.schema import DataType, Field

LAYOUT = ((ID, "v", "<i8", 0, 8),)
SEALED = (4, 5, 6)
GROWING = 7
LOADED, EMPTY, DB, FULL, ALIASED = 8, 9, 10, 11, 12
NEXT = 16
ADDED = Field(103, "n", DataType.INT64, nullable=True).to_data()


def collection(number: int, name: str, database: int = 0) -> CollectionCreated:
    plain = schema().to_data()
    return CollectionCreated(number, name, plain, {"_default": number + 1}, {}, "x", 1, database)


@pytest.fixture
def state() -> State:
    """Collection 1 `c` with index 3, sealed segments 4, 5, 6, the growing 7, and the partitions 8
    (loaded) and 9; databases 10 (empty) and 11 (one collection, all it may have); collection 12
    `other` with the alias `name`."""
    result = State()
    events: list[Event] = [
        StoreCreated(0, bytes(16), ""),
        collection(1, "c"),
        IndexCreated(1, flat_spec(3).to_data()),
    ]
    for segment in SEALED:
        events.append(RowsInserted(1, 2, segment, 1, 10 * segment, LAYOUT))
        events.append(SegmentsSealed(1, (segment,), "flush"))
    events += [
        RowsInserted(1, 2, GROWING, 1, None, LAYOUT),
        PartitionCreated(1, LOADED, "loaded"),
        PartitionCreated(1, EMPTY, "empty"),
        PartitionsLoaded(1, (LOADED,)),
        DatabaseCreated(0, DB, "second", {}),
        DatabaseCreated(0, FULL, "full", {MAX_COLLECTIONS_PROPERTY: "1"}),
        collection(ALIASED, "other"),
        AliasSet(ALIASED, "name"),
        collection(14, "c", FULL),
    ]
    for seq, event in enumerate(events, 1):
        check(result, event)
        apply(result, seq, seq, event)
    assert result.next_id == NEXT
    return result


REFUSED: list[tuple[Event, type[CallError], str]] = [
    (StoreCreated(0, bytes(16), ""), ParamError, "created already"),
    (collection(NEXT, "c"), CollectionAlreadyExistException, "c exists already"),
    (collection(1, "d"), ParamError, "id 1 was used before, the next is 16"),
    (CollectionRenamed(1, "c"), CollectionAlreadyExistException, "c exists already"),
    (CollectionRenamed(9, "d"), CollectionNotExistException, "9"),
    (CollectionRenamed(1, "name"), CollectionAlreadyExistException, "name is an alias"),
    (CollectionRenamed(1, "c", FULL), CollectionAlreadyExistException, "c exists already"),
    (CollectionRenamed(1, "c", 99), DatabaseNotExistException, "99"),
    (CollectionRenamed(ALIASED, "d", DB), ParamError, "has the aliases name, which cannot move"),
    (collection(NEXT, "name"), CollectionAlreadyExistException, "name is an alias"),
    (collection(NEXT, "x", 99), DatabaseNotExistException, "99"),
    (collection(NEXT, "x", FULL), ParamError, "full has 1 collections, the most it may"),
    (CollectionDropped(ALIASED), ParamError, "has the aliases name: drop them first"),
    (DatabaseCreated(0, NEXT, "second", {}), ParamError, "second exists already"),
    (DatabaseCreated(0, 9, "x", {}), ParamError, "id 9 was used before"),
    (DatabaseDropped(0, 99), DatabaseNotExistException, "99"),
    (DatabaseDropped(0, 0), ParamError, "default cannot be dropped"),
    (DatabaseDropped(0, FULL), ParamError, "full has 1 collections: drop them first"),
    (DatabaseAltered(0, 99, {}, ()), DatabaseNotExistException, "99"),
    (AliasSet(1, "other"), AliasAlreadyExistException, "other is the name of a collection"),
    (AliasSet(99, "x"), CollectionNotExistException, "99"),
    (AliasDropped(1, "name"), AliasNotExistException, "c has no alias name"),
    (AliasDropped(1, "absent"), AliasNotExistException, "absent"),
    (PartitionCreated(1, NEXT, "empty"), ParamError, "c has a partition empty"),
    (PartitionCreated(1, 9, "x"), ParamError, "id 9 was used before"),
    (PartitionDropped(1, 99), PartitionNotExistException, "99"),
    (PartitionDropped(1, 2), ParamError, "default partition of c cannot be dropped"),
    (PartitionDropped(1, LOADED), ParamError, "loaded of c is loaded: release_partitions"),
    (PartitionsLoaded(1, (2, 99)), PartitionNotExistException, "99"),
    (PartitionsReleased(1, (99,)), PartitionNotExistException, "99"),
    (FieldAdded(1, {**ADDED, "name": "t"}), ParamError, "c has a field t already"),
    (FieldAdded(1, {**ADDED, "id": 102}), ParamError, "field id 102 of c was used before"),
    (FieldAltered(1, ADDED), FieldNotExistException, "c has no field n"),
    (FieldAltered(1, {**ADDED, "id": 102}), FieldNotExistException, "c has no field n"),
    (RowsExpired(1, 0), ParamError, "gone up to 0"),
    (RowsExpired(1, 999), ParamError, "the log ends at 18"),
    (CollectionTruncated(99), CollectionNotExistException, "99"),
    (CollectionDropped(9), CollectionNotExistException, "9"),
    (CollectionLoaded(9), CollectionNotExistException, "9"),
    (RowsDeleted(9, 1, LAYOUT), CollectionNotExistException, "9"),
    (RowsInserted(9, 2, GROWING, 1, None, LAYOUT), CollectionNotExistException, "9"),
    (RowsInserted(1, 5, GROWING, 1, None, LAYOUT), PartitionNotExistException, "5"),
    (RowsInserted(1, 2, 4, 1, None, LAYOUT), ParamError, "segment 4 of c does not grow"),
    (RowsUpserted(1, 2, NEXT, 1, None, LAYOUT), ParamError, "segment 16 of c does not grow"),
    (RowsInserted(1, 2, GROWING, 1, 60, LAYOUT), ParamError, "auto id 60 of c was used"),
    (SegmentsSealed(1, (4,), "flush"), ParamError, "segment 4 of c does not grow"),
    (SegmentsSealed(1, (GROWING, 9), "flush"), ParamError, "segment 9 of c does not grow"),
    (SegmentPersisted(1, GROWING, (), {}), ParamError, "no sealed segment 7"),
    (SegmentPersisted(1, 99, (), {}), ParamError, "no sealed segment 99"),
    (SegmentsMerged(1, (4, GROWING), NEXT), ParamError, "no sealed segment 7"),
    (SegmentsMerged(1, (4, 5), 6), ParamError, "id 6 was used before"),
    (SegmentsMerged(1, (5, 4), NEXT), ParamError, "in the order of their rows"),
    (SegmentsMerged(1, (4, 4), NEXT), ParamError, "in the order of their rows"),
    (SegmentsMerged(1, (4, 6), NEXT), ParamError, "are not neighbours"),
    (SegmentsMerged(1, (), NEXT), ParamError, "no segments"),
    (IndexCreated(1, flat_spec(NEXT).to_data()), IndexAlreadyExistException, "named flat already"),
    (
        IndexCreated(1, flat_spec(NEXT, "other").to_data()),
        IndexAlreadyExistException,
        "field v of c has the index flat",
    ),
    (IndexCreated(1, flat_spec(3, "other").to_data()), ParamError, "id 3 was used before"),
    (IndexDropped(1, "absent"), IndexNotExistException, "absent"),
    (IndexAltered(1, flat_spec(3, "x").to_data()), IndexNotExistException, "named x"),
    (IndexAltered(1, flat_spec(4).to_data()), IndexNotExistException, "named flat"),
]


@pytest.mark.parametrize(
    ("event", "error", "words"), REFUSED, ids=[f"{type(e).__name__}-{w}" for e, _, w in REFUSED]
)
def test_refused(state: State, event: Event, error: type[CallError], words: str) -> None:
    before = digest(state)
    with pytest.raises(error, match=words):
        check(state, event)
    assert digest(state) == before


@pytest.mark.parametrize(
    "event",
    [
        collection(NEXT, "d"),
        CollectionRenamed(1, "d"),
        CollectionDropped(1),
        RowsInserted(1, 2, GROWING, 5, 61, LAYOUT),
        RowsUpserted(1, 2, GROWING, 5, None, LAYOUT),
        RowsDeleted(1, 1, LAYOUT),
        SegmentsSealed(1, (GROWING,), "flush"),
        SegmentPersisted(1, 4, (), {}),
        SegmentsMerged(1, (4, 5), NEXT),
        SegmentsMerged(1, (4, 5, 6), NEXT),
        IndexDropped(1, "flat"),
        IndexAltered(1, {**flat_spec(3).to_data(), "properties": {"mmap.enabled": "true"}}),
        collection(NEXT, "c", DB),
        CollectionRenamed(1, "c", DB),
        CollectionRenamed(ALIASED, "d", 0),
        DatabaseCreated(0, NEXT, "x", {}),
        DatabaseDropped(0, DB),
        DatabaseAltered(0, 0, {"timezone": "UTC"}, ()),
        AliasSet(1, "name"),
        AliasDropped(ALIASED, "name"),
        PartitionCreated(1, NEXT, "x"),
        PartitionDropped(1, EMPTY),
        PartitionsLoaded(1, (2, EMPTY)),
        PartitionsReleased(1, (LOADED, EMPTY)),
        FieldAdded(1, ADDED),
        FieldAltered(1, {**schema().fields[2].to_data(), "max_length": 9}),
        RowsExpired(1, 18),
        CollectionTruncated(1),
    ],
    ids=lambda e: type(e).__name__,
)
def test_allowed_without_a_change(state: State, event: Event) -> None:
    before = digest(state)
    check(state, event)
    assert digest(state) == before
    apply(state, state.seq + 1, state.timestamp, event)
    assert digest(state) != before


def test_a_collection_has_at_most_so_many_partitions(state: State) -> None:
    for number in range(MAX_PARTITIONS - 3):
        apply(state, state.seq + 1, 1, PartitionCreated(1, state.next_id, f"p{number}"))
    with pytest.raises(ParamError, match="1024 partitions, the most it may"):
        check(state, PartitionCreated(1, state.next_id, "x"))


def test_a_store_has_at_most_so_many_databases(state: State) -> None:
    for number in range(MAX_DATABASES - 3):
        apply(state, state.seq + 1, 1, DatabaseCreated(0, state.next_id, f"d{number}", {}))
    with pytest.raises(ParamError, match="64 databases, the most it may"):
        check(state, DatabaseCreated(0, state.next_id, "x", {}))


def test_a_partition_of_another_partitions_segment_is_no_neighbour(state: State) -> None:
    segment = state.next_id
    for event in (
        RowsInserted(1, EMPTY, segment, 1, None, LAYOUT),
        SegmentsSealed(1, (segment, GROWING), "flush"),
    ):
        check(state, event)
        apply(state, state.seq + 1, 1, event)
    with pytest.raises(ParamError, match="not neighbours in one partition"):
        check(state, SegmentsMerged(1, (GROWING, segment), state.next_id))


def test_rows_go_to_the_growing_segment_of_their_own_partition(state: State) -> None:
    with pytest.raises(ParamError, match="id 7 was used before"):
        check(state, RowsInserted(1, EMPTY, GROWING, 1, None, LAYOUT))


def test_the_ids_of_the_fixture_are_those_of_its_schema(state: State) -> None:
    assert state.collections[1].index_of(VECTOR) == flat_spec(3)
