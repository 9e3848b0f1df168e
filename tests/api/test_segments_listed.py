"""Segments as users see them: listed, merged on demand, truncated; and the one replica."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import assert_state_is_replayed
from peer import Peer

from walvec import MilvusClient
from walvec.descriptions import SegmentState
from walvec.exceptions import (
    CollectionNotExistException,
    NotSupportedException,
    ParamError,
    TimeoutException,
)
from walvec.optimizing import OptimizeResult, OptimizeTask
from walvec.segment_calls import size_bytes

DIM = 2
NAME = "c"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def client(folder: Path) -> Iterator[MilvusClient]:
    """A client of an empty collection, loaded, with the partition p."""
    with MilvusClient(folder) as opened:
        opened.create_collection(NAME, DIM, metric_type="L2")
        opened.create_partition(NAME, "p")
        yield opened


def insert(client: Any, *ids: int, partition: str = "") -> None:
    data = [{"id": i, "vector": [float(i), 1.0]} for i in ids]
    client.insert(NAME, data, partition_name=partition)


def ids(client: Any) -> list[int]:
    return sorted(r["id"] for r in client.query(NAME, "id >= 0", limit=1000))


def numbers(client: MilvusClient) -> list[int]:
    return [s.num_rows for s in client.list_segments(NAME)]


def test_segments_grow_are_sealed_and_have_files(client: MilvusClient) -> None:
    assert client.list_segments(NAME) == []
    insert(client, 1, 2)
    insert(client, 3, partition="p")
    first, second = client.list_segments(NAME)
    assert (first.num_rows, first.state, first.collection_name) == (2, SegmentState.Growing, NAME)
    assert first.partition_id == client.info(NAME).partitions["_default"]
    assert second.partition_id == client.info(NAME).partitions["p"]
    assert first.state_name == "Growing"
    assert client.list_persistent_segments(NAME) == []
    client.flush(NAME, wait=True, timeout=60)
    insert(client, 4)
    states = [s.state for s in client.list_segments(NAME)]
    assert states == [SegmentState.Flushed, SegmentState.Flushed, SegmentState.Growing]
    assert len(client.list_persistent_segments(NAME)) == 2
    (growing,) = client.list_segments(NAME, [SegmentState.Growing])
    assert growing.num_rows == 1
    assert client.list_segments(NAME, [3]) == []
    for states in ([99], ["Growing"]):
        with pytest.raises(ParamError, match="SegmentState"):
            client.list_segments(NAME, states)


def test_loaded_segments_are_those_in_memory(client: MilvusClient) -> None:
    insert(client, *range(10))
    insert(client, 20, partition="p")
    client.flush(NAME, wait=True, timeout=60)
    insert(client, 30)
    loaded = client.list_loaded_segments(NAME)
    assert sorted((s.num_rows, s.state) for s in loaded) == [
        (1, SegmentState.Growing),
        (1, SegmentState.Sealed),
        (10, SegmentState.Sealed),
    ]
    large = next(s for s in loaded if s.num_rows == 10)
    assert large.mem_size >= 10 * (8 + DIM * 4)
    client.release_partitions(NAME, "p")
    assert sorted(s.num_rows for s in client.list_loaded_segments(NAME)) == [1, 10]
    assert len(client.describe_replica(NAME)) == 1
    client.release_collection(NAME)
    assert client.list_loaded_segments(NAME) == client.describe_replica(NAME) == []


def test_compact_merges_neighbours_of_a_partition(folder: Path, client: MilvusClient) -> None:
    for i in range(4):
        insert(client, i)
        insert(client, 10 + i, partition="p")
        client.flush(NAME)
    insert(client, 2, 99)
    wanted = [0, 1, 2, 3, 10, 11, 12, 13, 99]
    job = client.compact(NAME)
    assert client.get_compaction_state(job) == "Completed"
    assert sorted(numbers(client)) == [2, 4, 4]
    assert ids(client) == wanted
    assert client.get_collection_stats(NAME) == {"row_count": 9}
    seq = client._store.current().seq
    client.wait_for_files(60)
    assert ids(client) == wanted
    assert client.compact(NAME) >= seq
    assert sorted(numbers(client)) == [2, 4, 4]
    for bad in (0, "1", 10**9):
        with pytest.raises(ParamError):
            client.get_compaction_state(bad)  # type: ignore[arg-type]
    client.close()
    with MilvusClient(folder) as again:
        assert ids(again) == wanted
        assert_state_is_replayed(again._store)


def test_compact_merges_up_to_a_size(client: MilvusClient) -> None:
    for i in range(6):
        insert(client, *range(10 * i, 10 * i + 10))
        client.flush(NAME)
    client.compact(NAME, target_size=20 * DIM * 4, target_size_unit="b")
    assert numbers(client) == [20, 20, 20]
    client.compact(NAME, target_size=1)
    assert numbers(client) == [60]
    assert len(ids(client)) == 60


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"is_clustering": True}, NotSupportedException),
        ({"is_l0": True}, NotSupportedException),
        ({"target_size": 0}, ParamError),
        ({"target_size": "1"}, ParamError),
        ({"target_size": 1, "target_size_unit": "pounds"}, ParamError),
        ({"unknown": 1}, ParamError),
    ],
)
def test_what_compact_cannot_honour_is_refused(
    client: MilvusClient, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        client.compact(NAME, **options)


def test_optimize_returns_when_merged_segments_have_their_files(client: MilvusClient) -> None:
    for i in range(3):
        insert(client, i)
        client.flush(NAME)
    done = client.optimize(NAME, "64MB", timeout=60)
    assert isinstance(done, OptimizeResult)
    assert (done.status, done.collection_name, done.target_size) == ("success", NAME, "64MB")
    assert done.progress[-1] == "waiting for the indexes of merged segments"
    (segment,) = client.list_segments(NAME)
    assert (segment.num_rows, segment.state) == (3, SegmentState.Flushed)
    assert client.get_compaction_state(done.compaction_id) == "Completed"
    task = client.optimize(NAME, wait=False)
    assert isinstance(task, OptimizeTask)
    assert task.result(60).status == "success"
    assert task.done()
    assert not task.cancel()
    for size in ("", "x", "0MB", "-1GB", 5):
        with pytest.raises(ParamError):
            client.optimize(NAME, size)  # type: ignore[arg-type]


def test_an_optimization_that_is_under_way_can_be_left_or_cancelled() -> None:
    go_on = threading.Event()

    def work(tell: Any) -> OptimizeResult:
        tell("one")
        assert go_on.wait(30)
        tell("two")
        return OptimizeResult("success", NAME, 1, None, [])

    task = OptimizeTask(work)
    with pytest.raises(TimeoutException, match="still optimizing"):
        task.result(0.01)
    assert task.progress() in ("one", "waiting to start")
    assert task.cancel()
    go_on.set()
    with pytest.raises(Exception, match="cancelled before"):
        task.result(30)
    assert task.cancelled()


@pytest.mark.parametrize(
    ("text", "size"),
    [("1b", 1), ("512MB", 512 << 20), ("1.5 gb", 3 << 29), (" 2KB ", 2048), ("1tb", 1 << 40)],
)
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    assert size_bytes(text) == size


def test_truncate_takes_all_rows_and_nothing_else(folder: Path, client: MilvusClient) -> None:
    peer = Peer(folder)
    try:
        insert(client, 1, 2, 3)
        client.flush(NAME, wait=True, timeout=60)
        insert(client, 3, 4)
        insert(client, 5, partition="p")
        client.delete(NAME, [1])
        client.release_partitions(NAME, "p")
        before = client.describe_collection(NAME)
        assert ids(peer) == [2, 3, 4]
        client.truncate_collection(NAME)
        for handle in (client, peer):
            assert ids(handle) == []
            assert handle.get_collection_stats(NAME) == {"row_count": 0}
            assert handle.search(NAME, [[1.0, 1.0]])[0] == []
        assert client.describe_collection(NAME) == before
        assert client.list_segments(NAME) == []
        seq = client._store.current().seq
        client.truncate_collection(NAME)
        assert client._store.current().seq == seq, "there was nothing to take"
        insert(peer, 1, 4)
        insert(peer, 6, partition="p")
        for handle in (client, peer):
            assert ids(handle) == [1, 4]
            assert handle.get_collection_stats(NAME) == {"row_count": 3}
        client.wait_for_files(60)
        assert [p for p in client._store.segments_folder.iterdir() if p.is_dir()] == []
    finally:
        peer.end()
    client.close()
    with MilvusClient(folder) as again:
        assert ids(again) == [1, 4]
        again.load_collection(NAME)
        assert ids(again) == [1, 4, 6]
        assert_state_is_replayed(again._store)


def test_automatic_ids_go_on_after_a_truncation(client: MilvusClient) -> None:
    client.create_collection("auto", DIM, auto_id=True)
    assert client.insert("auto", [{"vector": [1, 2]}] * 2)["ids"] == [1, 2]
    client.truncate_collection("auto")
    assert client.insert("auto", [{"vector": [1, 2]}])["ids"] == [3]


def test_flush_all_seals_the_collections_of_the_database(client: MilvusClient) -> None:
    client.create_collection("d", DIM)
    client.create_database("two")
    insert(client, 1)
    client.insert("d", {"id": 1, "vector": [1, 2]})
    client.use_database("two")
    client.create_collection("e", DIM)
    client.insert("e", {"id": 1, "vector": [1, 2]})
    client.use_database("default")
    client.flush_all()
    for name in (NAME, "d"):
        assert client.list_segments(name, [SegmentState.Growing]) == []
    client.use_database("two")
    assert len(client.list_segments("e", [SegmentState.Growing])) == 1


def test_a_collection_that_is_not_there_is_named(client: MilvusClient) -> None:
    for call in (
        client.list_segments,
        client.list_persistent_segments,
        client.list_loaded_segments,
        client.describe_replica,
        client.compact,
        client.optimize,
        client.truncate_collection,
        client.flush,
    ):
        with pytest.raises(CollectionNotExistException, match="absent"):
            call("absent")
