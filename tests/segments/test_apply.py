"""apply and the state's digest: every event, and equal digests for equal states alone."""

from __future__ import annotations

import copy

from lab import ID, TEXT, flat_spec, schema

from walvec.segments.apply import apply
from walvec.segments.extents import Extents
from walvec.segments.index import IndexSpec
from walvec.segments.state import State, digest, index_file
from walvec.wal.events import (
    EVENTS,
    AliasDropped,
    AliasSet,
    CollectionAltered,
    CollectionCreated,
    CollectionDropped,
    CollectionLoaded,
    CollectionReleased,
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

C, P, INDEX, S1, S2, MERGED = 1, 2, 3, 4, 5, 6
P2, S3, DB, S4 = 7, 8, 9, 10
ADDED = Field(103, "n", DataType.INT64, nullable=True)
ALTERED = Field(TEXT, "t", DataType.VARCHAR, max_length=200)
LAYOUT = ((ID, "v", "<i8", 0, 8),)
HISTORY: list[Event] = [
    StoreCreated(0, bytes(range(16)), "x"),
    CollectionCreated(C, "c", schema().to_data(), {"_default": P}, {"a": "1"}, "Strong", 2),
    IndexCreated(C, flat_spec(INDEX).to_data()),
    CollectionLoaded(C),
    RowsInserted(C, P, S1, 3, None, LAYOUT),
    RowsUpserted(C, P, S1, 2, None, LAYOUT),
    RowsDeleted(C, 2, LAYOUT),
    SegmentsSealed(C, (S1,), "flush"),
    SegmentPersisted(C, S1, (("columns.wvc", 9, bytes(16)),), {"numpy": "2"}),
    RowsInserted(C, P, S2, 4, 7, LAYOUT),
    SegmentsSealed(C, (S2,), "size"),
    SegmentsMerged(C, (S1, S2), MERGED),
    SegmentPersisted(C, MERGED, ((f"index-{INDEX:x}.bin", 5, bytes(16)),), {}),
    CollectionAltered(C, {"b": "2"}, ("a", "absent")),
    CollectionRenamed(C, "d"),
    IndexAltered(C, {**flat_spec(INDEX).to_data(), "properties": {"mmap.enabled": "true"}}),
    IndexDropped(C, "flat"),
    PartitionCreated(C, P2, "p"),
    RowsInserted(C, P2, S3, 6, None, LAYOUT),
    PartitionsReleased(C, (P2,)),
    PartitionsLoaded(C, (P2,)),
    RowsExpired(C, 6),
    AliasSet(C, "other"),
    AliasDropped(C, "other"),
    FieldAdded(C, ADDED.to_data()),
    FieldAltered(C, ALTERED.to_data()),
    DatabaseCreated(0, DB, "second", {"z": "1", "a": "2"}),
    DatabaseAltered(0, DB, {"b": "3"}, ("z",)),
    CollectionReleased(C),
    PartitionDropped(C, P2),
    CollectionTruncated(C),
    CollectionRenamed(C, "e", DB),
    CollectionRenamed(C, "e", 0),
    DatabaseDropped(0, DB),
    CollectionDropped(C),
]


def fold(events: list[Event]) -> State:
    """The state after these events."""
    state = State()
    for seq, event in enumerate(events, 1):
        apply(state, seq, 1000 + seq, event)
    return state


def after(kind: type[Event], number: int = 1) -> State:
    """The state right after the n-th event of a kind."""
    places = [i for i, event in enumerate(HISTORY, 1) if type(event) is kind]
    return fold(HISTORY[: places[number - 1]])


def test_the_history_has_every_event() -> None:
    assert {type(event) for event in HISTORY} == set(EVENTS.values())


def test_every_event_sets_seq_and_time() -> None:
    for n in range(1, len(HISTORY) + 1):
        state = fold(HISTORY[:n])
        assert (state.seq, state.timestamp) == (n, 1000 + n)


def test_a_created_collection_has_a_name_ids_and_a_time() -> None:
    state = after(CollectionCreated)
    collection = state.collections[C]
    assert state.store_id == bytes(range(16))
    assert state.databases[0].names == {"c": C}
    assert collection.schema == schema()
    assert (collection.partitions, collection.properties) == ({"_default": P}, {"a": "1"})
    assert (collection.consistency_level, collection.num_shards) == ("Strong", 2)
    assert (collection.loaded, collection.created_at, state.next_id) == (False, 1002, P + 1)


def test_an_index_is_found_by_its_field() -> None:
    collection = after(IndexCreated).collections[C]
    assert collection.indexes == {"flat": flat_spec(INDEX)}
    assert collection.index_of(flat_spec(INDEX).field_id) == flat_spec(INDEX)
    assert collection.index_of(ID) is None
    assert after(IndexCreated).next_id == INDEX + 1


def test_loaded_means_all_partitions_and_those_to_come() -> None:
    loaded, released = (after(k).collections[C] for k in (CollectionLoaded, CollectionReleased))
    assert (loaded.loaded, loaded.loads_new, loaded.loaded_partitions) == (True, True, {P})
    assert (released.loaded, released.loads_new, released.loaded_partitions) == (
        False,
        False,
        set(),
    )
    assert after(PartitionCreated).collections[C].loaded_partitions == {P, P2}


def test_partitions_are_loaded_and_released_one_by_one() -> None:
    released, loaded = (after(k).collections[C] for k in (PartitionsReleased, PartitionsLoaded))
    assert (released.loaded, released.loads_new, released.loaded_partitions) == (True, True, {P})
    assert (loaded.loaded, loaded.loads_new, loaded.loaded_partitions) == (True, True, {P, P2})


def test_a_collection_without_a_loaded_partition_is_released() -> None:
    state = after(PartitionsLoaded)
    apply(state, state.seq + 1, 1, PartitionsReleased(C, (P2, P)))
    collection = state.collections[C]
    assert (collection.loaded, collection.loads_new, collection.loaded_partitions) == (
        *(False, False),
        set(),
    )
    apply(state, state.seq + 1, 1, PartitionsLoaded(C, (P2,)))
    apply(state, state.seq + 1, 1, PartitionCreated(C, 90, "q"))
    assert (collection.loaded, collection.loads_new, collection.loaded_partitions) == (
        *(True, False),
        {P2},
    )


def test_inserted_and_upserted_rows_go_to_the_growing_segment() -> None:
    state = after(RowsUpserted)
    collection = state.collections[C]
    segment = collection.segments[S1]
    assert segment.extents == Extents([(5, 3), (6, 2)])
    assert (segment.rows, segment.sealed, segment.partition) == (5, 0, P)
    assert (collection.growing, collection.written) == ({P: S1}, 6)
    assert (collection.next_auto_id, state.next_id) == (1, S1 + 1)


def test_auto_ids_go_on_after_those_that_were_given() -> None:
    assert after(RowsInserted, 2).collections[C].next_auto_id == 7 + 4


def test_auto_ids_go_on_after_the_largest_key_that_was_brought() -> None:
    state = after(RowsInserted, 2)
    for last_key, wanted in ((0, 11), (5, 11), (10, 11), (11, 12), (99, 100), (50, 100)):
        apply(state, state.seq + 1, 1, RowsUpserted(C, P, S2, 1, None, LAYOUT, last_key))
        assert state.collections[C].next_auto_id == wanted


def test_deletes_are_remembered_with_their_seq() -> None:
    collection = after(RowsDeleted).collections[C]
    assert collection.deletes == Extents([(7, 2)])
    assert collection.written == 7


def test_a_sealed_segment_does_not_grow() -> None:
    collection = after(SegmentsSealed).collections[C]
    assert collection.segments[S1].sealed == 8
    assert collection.growing == {}


def test_persisted_files_are_recorded() -> None:
    files = after(SegmentPersisted).collections[C].segments[S1].files
    assert {name: (f.length, f.digest) for name, f in files.items()} == {
        "columns.wvc": (9, bytes(16))
    }


def test_merged_segments_are_one_with_all_rows_and_no_files() -> None:
    state = after(SegmentsMerged)
    (segment,) = state.collections[C].segments.values()
    assert (segment.id, segment.rows, segment.sealed) == (MERGED, 9, 12)
    assert segment.extents == Extents([(5, 3), (6, 2), (10, 4)])
    assert (segment.files, state.next_id) == ({}, MERGED + 1)


def test_a_merged_segment_takes_the_place_of_its_first_source() -> None:
    events = [*HISTORY[:11], RowsInserted(C, P, MERGED, 1, None, LAYOUT)]
    state = fold(events)
    apply(state, 13, 1, SegmentsMerged(C, (S1, S2), MERGED + 1))
    assert list(state.collections[C].segments) == [MERGED + 1, MERGED]


def test_properties_are_set_and_dropped() -> None:
    assert after(CollectionAltered).collections[C].properties == {"b": "2"}


def test_a_renamed_collection_is_found_by_its_new_name_alone() -> None:
    state = after(CollectionRenamed)
    assert state.databases[0].names == {"d": C}
    assert state.collections[C].name == "d"


def test_a_collection_moves_to_another_database_and_back() -> None:
    moved, back = after(CollectionRenamed, 2), after(CollectionRenamed, 3)
    assert (moved.collections[C].database, moved.collections[C].name) == (DB, "e")
    assert (moved.databases[0].names, moved.databases[DB].names) == ({}, {"e": C})
    assert (back.databases[0].names, back.databases[DB].names) == ({"e": C}, {})


def test_databases_come_with_properties_and_go() -> None:
    created = after(DatabaseCreated)
    seq = created.seq
    assert created.databases[DB].created_at == 1000 + seq
    assert list(created.databases[DB].properties.items()) == [("a", "2"), ("z", "1")]
    assert created.next_id == DB + 1
    assert after(DatabaseAltered).databases[DB].properties == {"a": "2", "b": "3"}
    assert list(after(DatabaseDropped).databases) == [0]
    assert after(StoreCreated).databases[0].created_at == 1001


def test_an_alias_is_of_a_database_and_is_taken_from_another_collection() -> None:
    state = after(AliasSet)
    assert state.databases[0].aliases == {"other": C}
    apply(state, state.seq + 1, 1, CollectionCreated(90, "x", schema().to_data(), {}, {}, "s", 1))
    apply(state, state.seq + 1, 1, AliasSet(90, "other"))
    assert state.databases[0].aliases == {"other": 90}
    assert after(AliasDropped).databases[0].aliases == {}


def test_a_field_is_added_last_and_altered_in_its_place() -> None:
    added, altered = (after(k).collections[C].schema for k in (FieldAdded, FieldAltered))
    assert added.fields == (*schema().fields, ADDED)
    assert altered.fields == (*schema().fields[:2], ALTERED, ADDED)
    dynamic = Field(104, "$meta", DataType.JSON, is_dynamic=True)
    later = Field(105, "m", DataType.BOOL, default=True)
    assert added.with_field(dynamic).with_field(later).fields[-2:] == (later, dynamic)


def test_an_altered_index_keeps_its_files() -> None:
    collection = after(IndexAltered).collections[C]
    assert collection.indexes["flat"] == IndexSpec.from_data(
        {**flat_spec(INDEX).to_data(), "properties": {"mmap.enabled": "true"}}
    )
    assert list(collection.segments[MERGED].files) == [index_file(flat_spec(INDEX))]


def test_expired_entries_take_their_tombstones_along_and_whole_segments() -> None:
    state = after(RowsExpired)
    collection = state.collections[C]
    assert (collection.expired, collection.written) == (6, state.seq)
    assert set(collection.segments) == {MERGED, S3}, "some of its rows are left"
    assert collection.deletes == Extents([(7, 2)])
    apply(state, state.seq + 1, 1, RowsExpired(C, 10))
    assert set(collection.segments) == {S3}
    assert collection.deletes == Extents()
    assert collection.growing == {P2: S3}
    apply(state, state.seq + 1, 1, RowsExpired(C, state.seq))
    assert (collection.segments, collection.growing) == ({}, {})


def test_a_truncated_collection_has_no_rows_and_keeps_everything_else() -> None:
    before, after_it = (fold(HISTORY[:n]).collections[C] for n in truncated_at())
    assert before.segments
    assert (after_it.segments, after_it.growing) == ({}, {})
    assert after_it.deletes == Extents()
    assert after_it.expired == after_it.written == truncated_at()[1]
    assert (after_it.partitions, after_it.schema) == (before.partitions, before.schema)
    assert after_it.next_auto_id == before.next_auto_id


def truncated_at() -> tuple[int, int]:
    """The seqs before and of the truncation."""
    seq = 1 + next(i for i, e in enumerate(HISTORY) if isinstance(e, CollectionTruncated))
    return seq - 1, seq


def test_the_keys_of_a_dropped_partition_go_on_as_tombstones() -> None:
    state = after(PartitionDropped)
    collection = state.collections[C]
    inserted = 1 + next(
        i for i, e in enumerate(HISTORY) if isinstance(e, RowsInserted) and e.partition == P2
    )
    assert collection.partitions == {"_default": P}
    assert set(collection.segments) == {MERGED}
    assert collection.deletes == Extents([(7, 2), (inserted, 6)])
    assert (collection.growing, collection.written) == ({}, state.seq)


def test_no_tombstones_are_left_where_no_rows_are() -> None:
    state = fold([*HISTORY[:2], PartitionCreated(C, P2, "p")])
    for event in (
        RowsInserted(C, P2, S3, 6, None, LAYOUT),
        RowsDeleted(C, 1, LAYOUT),
        SegmentsSealed(C, (S3,), "flush"),
        RowsInserted(C, P2, S4, 6, None, LAYOUT),
        PartitionDropped(C, P2),
    ):
        apply(state, state.seq + 1, 1, event)
    assert state.collections[C].deletes == Extents()
    assert state.collections[C].growing == {}


def test_a_dropped_index_takes_its_files_along() -> None:
    before = after(IndexAltered).collections[C].segments[MERGED]
    assert list(before.files) == [index_file(flat_spec(INDEX))]
    collection = after(IndexDropped).collections[C]
    assert (collection.indexes, collection.segments[MERGED].files) == ({}, {})


def test_a_dropped_collection_is_gone_and_its_ids_are_not_used_again() -> None:
    state = after(CollectionDropped)
    assert (state.collections, state.databases[0].names, state.next_id) == ({}, {}, DB + 1)


def test_equal_histories_have_equal_digests() -> None:
    for n in range(len(HISTORY) + 1):
        assert digest(fold(HISTORY[:n])) == digest(fold(copy.deepcopy(HISTORY[:n])))


def test_every_event_changes_the_digest() -> None:
    digests = [digest(fold(HISTORY[:n])) for n in range(len(HISTORY) + 1)]
    assert len(set(digests)) == len(digests)


def test_the_order_in_which_dictionaries_were_filled_does_not_matter() -> None:
    left, right = after(SegmentsSealed, 2), after(SegmentsSealed, 2)
    collection = right.collections[C]
    segments = dict(reversed(collection.segments.items()))
    collection.segments = segments
    collection.properties = {"y": "2", "x": "1"}
    left.collections[C].properties = {"x": "1", "y": "2"}
    assert list(collection.segments) != list(left.collections[C].segments)
    assert digest(left) == digest(right)


def test_any_difference_in_the_data_is_another_digest() -> None:
    whole = after(CollectionAltered)
    seen = {digest(whole)}

    def differ(change: str) -> None:
        state = copy.deepcopy(whole)
        exec(change, {"state": state, "c": state.collections[C], "s": MERGED})
        assert digest(state) not in seen, change
        seen.add(digest(state))

    for change in (
        "state.seq += 1",
        "state.timestamp += 1",
        "state.next_id += 1",
        "state.store_id = bytes(16)",
        "state.databases[0].names['x'] = 1",
        "state.databases[0].aliases['x'] = 1",
        "state.databases[0].properties['x'] = '1'",
        "state.databases[0].created_at += 1",
        "state.databases[0].name += 'x'",
        "state.databases[5] = state.databases[0]",
        "c.loaded = not c.loaded",
        "c.loads_new = not c.loads_new",
        "c.loaded_partitions.clear()",
        "c.database += 1",
        "c.expired += 1",
        "c.next_auto_id += 1",
        "c.written += 1",
        "c.growing[2] = 9",
        "c.deletes.append((1, 1))",
        "c.properties['b'] = '3'",
        "c.num_shards += 1",
        "c.segments[s].rows += 1",
        "c.segments[s].sealed += 1",
        "c.segments[s].extents.append((11, 3))",
        "c.segments[s].files.clear()",
        "c.indexes.clear()",
    ):
        differ(change)


def test_the_upper_limit_counts_the_bytes_of_all_vectors() -> None:
    assert schema(7).vector_bytes == 28
