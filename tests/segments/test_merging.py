"""Merging: few segments whatever the flushes, every row found, the newest of each key."""

from __future__ import annotations

import random

import pytest
from conftest import OpenStore
from lab import DIM, Table, assert_state_is_replayed, flat_wish, settle, state_data

from walvec.segments.apply import apply
from walvec.segments.check import check
from walvec.segments.merging import FAN_IN, forced_merges, next_merge
from walvec.segments.state import State
from walvec.segments.store import Store
from walvec.wal.events import (
    CollectionCreated,
    PartitionCreated,
    RowsInserted,
    SegmentsMerged,
    SegmentsSealed,
    StoreCreated,
)


def merged_state(sizes: list[int], limit: int) -> tuple[State, int]:
    """The state after seals of these many rows and all merges due; and the rows rewritten."""
    from lab import schema

    state = State()

    def do(event: object) -> None:
        check(state, event)  # type: ignore[arg-type]
        apply(state, state.seq + 1, 1, event)  # type: ignore[arg-type]

    do(StoreCreated(0, bytes(16), ""))
    do(CollectionCreated(1, "c", schema().to_data(), {"_default": 2}, {}, "Strong", 1))
    rewritten = 0
    for n in sizes:
        segment = state.next_id
        do(RowsInserted(1, 2, segment, n, None, ()))
        do(SegmentsSealed(1, (segment,), "flush"))
        while (merge := next_merge(state, limit)) is not None:
            sources = state.collections[1].segments
            rewritten += sum(sources[i].rows for i in merge[1])
            do(SegmentsMerged(1, merge[1], state.next_id))
    return state, rewritten


@pytest.mark.parametrize("seed", range(5))
def test_segments_stay_few_and_in_the_order_of_their_rows(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    sizes = [rng.choice([1, 1, 2, 9, 70]) for _ in range(600)]
    state, rewritten = merged_state(sizes, 1 << 20)
    segments = list(state.collections[1].segments.values())
    assert sum(s.rows for s in segments) == sum(sizes)
    extents = [e for s in segments for e in s.extents]
    assert extents == sorted(extents)
    assert len(segments) < 40
    assert rewritten < 8 * sum(sizes)


def test_equal_seals_are_rewritten_once_a_tier() -> None:
    state, rewritten = merged_state([1] * FAN_IN**3, 1 << 20)
    assert len(state.collections[1].segments) == 1
    assert rewritten == 3 * FAN_IN**3


def test_large_segments_are_left_alone() -> None:
    limit = 100 * DIM * 4
    state, rewritten = merged_state([100] * 20, limit)
    assert len(state.collections[1].segments) == 20
    assert rewritten == 0


def sealed_state(sizes: list[tuple[int, int]]) -> State:
    """The state after seals of (partition, rows) each; partition 2 is the default one, 3 another.
    The last one grows."""
    from lab import schema

    state = State()

    def do(event: object) -> None:
        check(state, event)  # type: ignore[arg-type]
        apply(state, state.seq + 1, 1, event)  # type: ignore[arg-type]

    do(StoreCreated(0, bytes(16), ""))
    do(CollectionCreated(1, "c", schema().to_data(), {"_default": 2}, {}, "Strong", 1))
    do(PartitionCreated(1, 3, "p"))
    for partition, n in sizes:
        segment = state.next_id
        do(RowsInserted(1, partition, segment, n, None, ()))
        do(SegmentsSealed(1, (segment,), "flush"))
    do(RowsInserted(1, 2, state.next_id, 1, None, ()))
    return state


def test_only_segments_of_one_partition_are_merged() -> None:
    state = sealed_state([(2 + i % 2, 1) for i in range(2 * FAN_IN - 1)])
    assert next_merge(state, 1 << 20) == (1, tuple(range(4, 4 + 2 * FAN_IN, 2)))
    few = sealed_state([(2 + i % 2, 1) for i in range(2 * FAN_IN - 2)])
    assert next_merge(few, 1 << 20) is None


def test_forced_merges_are_long_runs_of_neighbours_within_a_limit() -> None:
    row = DIM * 4
    sizes = [(2, 5), (3, 1), (2, 5), (2, 5), (3, 1), (2, 90), (2, 1), (2, 1)]
    state = sealed_state(sizes)
    # Ids in the order of the seals: 4 to 11.
    assert forced_merges(state, 1, 1 << 30) == [(4, 6, 7, 9, 10, 11), (5, 8)]
    assert forced_merges(state, 1, 12 * row) == [(4, 6), (10, 11), (5, 8)]
    assert forced_merges(state, 1, 1) == []
    assert forced_merges(state, 99, 1 << 30) == []
    for run in forced_merges(state, 1, 12 * row):
        event = SegmentsMerged(1, run, state.next_id)
        check(state, event)
        apply(state, state.seq + 1, 1, event)


def test_a_flush_after_every_insert_leaves_few_segments_and_every_row(store: Store) -> None:
    table = Table(store)
    for number in range(200):
        table.insert([number])
        table.flush()
    settle(store)
    (collection,) = state_data(store)["collections"]
    assert len(collection["segments"]) <= 3 * (FAN_IN - 1)
    assert sum(s["rows"] for s in collection["segments"]) == 200
    wanted = {n: f"{n}/0" for n in range(200)}
    assert table.texts() == wanted
    view = store.view(table.info)
    assert all(view.find(n) is not None for n in range(200))
    table.release()
    table.load()
    assert table.texts() == wanted
    folders = {p.name for p in store.segments_folder.iterdir()}
    assert folders == {f"{s['id']:x}" for s in collection["segments"]}
    assert_state_is_replayed(store)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_newest_row_of_a_key_is_found_after_any_merges(
    open_store_at: OpenStore, seed: int
) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    store = open_store_at()
    table = Table(store, wish=flat_wish())
    model: dict[int, str] = {}
    for version in range(160):
        # Flushes of one row, and now and then of many: tiers lie between one another.
        count = 30 if rng.random() < 0.08 else 1
        keys = [rng.randrange(50) for _ in range(count)]
        table.insert(keys, version=version)
        model.update({k: f"{k}/{version}" for k in keys})
        if rng.random() < 0.2:
            gone = rng.randrange(50)
            table.delete([gone])
            model.pop(gone, None)
        table.flush()
        if version % 20 == 0:
            settle(store)
        assert table.texts() == model
        view = store.view(table.info)
        assert {k for k in range(50) if view.find(k) is not None} == set(model)
    settle(store)
    assert_state_is_replayed(store)
    live = [[s.segment.id for s in store.view(table.info).segments], table.texts()]
    assert live[1] == model
    store.close()
    again = Table(open_store_at())
    assert [[s.segment.id for s in again.store.view(again.info).segments], again.texts()] == live
    for key in list(model):
        again.delete([key])
        assert again.store.view(again.info).find(key) is None
