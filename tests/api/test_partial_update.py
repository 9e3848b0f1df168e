"""Partial updates: what is not given stays, and no update is lost."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lab import assert_state_is_replayed
from peer import Peer

from walvec import DataType, MilvusClient
from walvec.exceptions import (
    CollectionNotLoadedException,
    DataNotMatchException,
    PartitionNotLoadedException,
)

NAME = "c"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def client(folder: Path) -> Iterator[MilvusClient]:
    """A client of a collection with a field of each kind of column."""
    with MilvusClient(folder) as opened:
        schema = opened.create_schema(enable_dynamic_field=True)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        schema.add_field("n", DataType.INT64, default_value=0)
        schema.add_field("m", DataType.INT64, nullable=True)
        schema.add_field("s", DataType.VARCHAR, max_length=50, nullable=True)
        schema.add_field(
            "a",
            DataType.ARRAY,
            element_type=DataType.VARCHAR,
            max_length=9,
            max_capacity=5,
            nullable=True,
        )
        params = opened.prepare_index_params()
        params.add_index("vector", "FLAT", metric_type="L2")
        opened.create_collection(NAME, schema=schema, index_params=params)
        yield opened


FIRST = {"id": 1, "vector": [1.0, 2.0], "n": 5, "m": 6, "s": "text", "a": ["x", "yy"], "k": [1]}


def row(client: Any, key: int = 1) -> dict[str, Any]:
    (found,) = client.query(NAME, f"id == {key}", output_fields=["*"])
    return dict(found)


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        {"vector": [3.0, 4.0]},
        {"n": 9},
        {"m": None},
        {"s": "other"},
        {"a": []},
        {"a": None, "s": None},
        {"k": 2},
        {"new": {"x": 1}},
        {},
    ],
)
def test_what_is_not_given_stays(
    client: MilvusClient, flushed: bool, change: dict[str, Any]
) -> None:
    client.insert(NAME, [FIRST, {"id": 2, "vector": [0.0, 1.0]}])
    if flushed:
        client.flush(NAME)
    made = client.upsert(NAME, {"id": 1, **change}, partial_update=True)
    assert (made["upsert_count"], made["ids"]) == (1, [1])
    assert row(client) == {**FIRST, **change}
    assert client.get_collection_stats(NAME) == {"row_count": 2}
    client.release_collection(NAME)
    client.load_collection(NAME)
    assert row(client) == {**FIRST, **change}
    assert_state_is_replayed(client._store)


def test_rows_from_many_segments_and_new_ones_in_one_update(client: MilvusClient) -> None:
    client.create_partition(NAME, "p")
    for key in range(6):
        client.insert(
            NAME,
            {**FIRST, "id": key, "n": key, "a": [str(key)] * (key % 3)},
            partition_name="p" if key % 2 else "",
        )
        if key % 2:
            client.flush(NAME)
    data = [{"id": k, "vector": [float(k), 0.0], "s": f"new {k}"} for k in (5, 7, 0, 3, 8, 2)]
    client.upsert(NAME, data, partial_update=True)
    for key in (5, 0, 3, 2):
        wanted = {**FIRST, "id": key, "n": key, "a": [str(key)] * (key % 3)}
        assert row(client, key) == {**wanted, "vector": [float(key), 0.0], "s": f"new {key}"}
    for key in (7, 8):
        assert row(client, key) == {
            "id": key,
            "vector": [float(key), 0.0],
            "n": 0,
            "m": None,
            "s": f"new {key}",
            "a": None,
        }
    assert client.get_collection_stats(NAME) == {"row_count": 8}


def test_a_row_that_is_not_there_needs_what_has_no_default(client: MilvusClient) -> None:
    client.insert(NAME, FIRST)
    seq = client._store.current().seq
    with pytest.raises(DataNotMatchException, match="field vector"):
        client.upsert(NAME, [{"id": 1, "n": 2}, {"id": 9, "n": 2}], partial_update=True)
    assert client._store.current().seq == seq
    assert row(client) == FIRST


def test_two_threads_that_update_other_fields_of_a_row_lose_nothing(client: MilvusClient) -> None:
    client.insert(NAME, {"id": 1, "vector": [0.0, 0.0]})

    def count(field: str) -> None:
        for number in range(1, 31):
            client.upsert(NAME, {"id": 1, field: number}, partial_update=True)
            assert row(client)[field] == number, "its own last update"

    fields = ("n", "m", "dynamic")
    with ThreadPoolExecutor(3) as threads:
        for future in [threads.submit(count, f) for f in fields]:
            future.result(60)
    assert [row(client)[f] for f in fields] == [30, 30, 30]
    assert_state_is_replayed(client._store)


def test_two_processes_that_update_other_fields_of_a_row_lose_nothing(
    folder: Path, client: MilvusClient
) -> None:
    client.insert(NAME, {"id": 1, "vector": [0.0, 0.0]})
    peer = Peer(folder)
    try:
        peer.send(
            "run",
            "for number in range(1, 31):\n"
            "    client.upsert('c', {'id': 1, 'n': number}, partial_update=True)\n",
            {},
        )
        for number in range(1, 31):
            client.upsert(NAME, {"id": 1, "m": number}, partial_update=True)
        peer.receive()
        for handle in (client, peer):
            found = row(handle)
            assert (found["n"], found["m"]) == (30, 30)
    finally:
        peer.end()


def test_deletes_by_filter_and_inserts_at_once_leave_no_row_that_matched(
    client: MilvusClient,
) -> None:
    rounds = 25

    def add() -> None:
        for number in range(rounds):
            data = [{"id": 10 * number + i, "vector": [0.0, 0.0], "n": i % 2} for i in range(10)]
            client.insert(NAME, data)

    def flip() -> None:
        for number in range(rounds):
            client.upsert(NAME, {"id": number, "vector": [0.0, 0.0], "n": 1})

    def remove() -> int:
        return sum(client.delete(NAME, filter="n == 1")["delete_count"] for _ in range(rounds))

    with ThreadPoolExecutor(3) as threads:
        adding, flipping = threads.submit(add), threads.submit(flip)
        removed = threads.submit(remove).result(60)
        adding.result(60)
        flipping.result(60)
    removed += client.delete(NAME, filter="n == 1")["delete_count"]
    assert client.query(NAME, "n == 1") == []
    left = client.get_collection_stats(NAME)["row_count"]
    assert left == len(client.query(NAME, "n == 0"))
    assert_state_is_replayed(client._store)
    assert removed >= 5 * rounds


def test_everything_must_be_loaded_for_it(client: MilvusClient) -> None:
    client.create_partition(NAME, "p")
    client.insert(NAME, FIRST, partition_name="p")
    client.release_partitions(NAME, "p")
    with pytest.raises(PartitionNotLoadedException):
        client.upsert(NAME, {"id": 1, "n": 2}, partial_update=True)
    client.release_collection(NAME)
    with pytest.raises(CollectionNotLoadedException):
        client.upsert(NAME, {"id": 1, "n": 2}, partial_update=True)
    client.load_collection(NAME)
    client.upsert(NAME, {"id": 1, "n": 2}, partial_update=True)
    assert row(client) == {**FIRST, "n": 2}


def test_it_moves_the_row_to_the_partition_that_is_named(client: MilvusClient) -> None:
    client.create_partition(NAME, "p")
    client.insert(NAME, FIRST)
    client.upsert(NAME, {"id": 1, "n": 7}, partition_name="p", partial_update=True)
    assert row(client) == {**FIRST, "n": 7}
    assert client.get_partition_stats(NAME, "p") == {"row_count": 1}
    assert client.get_partition_stats(NAME, "_default") == {"row_count": 0}


def test_rows_stay_in_their_partitions_where_none_is_named(client: MilvusClient) -> None:
    client.create_partition(NAME, "p")
    client.insert(NAME, FIRST, partition_name="p")
    client.insert(NAME, {**FIRST, "id": 2})
    client.upsert(NAME, [{"id": 1, "n": 7}, {"id": 2, "n": 8}], partial_update=True)
    assert row(client) == {**FIRST, "n": 7}
    assert client.get_partition_stats(NAME, "p") == {"row_count": 1}
    assert client.get_partition_stats(NAME, "_default") == {"row_count": 1}


def test_no_rows_are_no_update(client: MilvusClient) -> None:
    assert client.upsert(NAME, [], partial_update=True)["upsert_count"] == 0


class InBetween(MilvusClient):
    """A client that finds a partition released when it reads, and loaded again right after."""

    times = 1

    def _reader(self, *arguments: Any) -> Any:
        if not self.times:
            return super()._reader(*arguments)
        self.times -= 1
        self.release_partitions(NAME, "p")
        reader = super()._reader(*arguments)
        self.load_partitions(NAME, "p")
        return reader


def test_rows_keep_what_they_have_while_their_partition_is_released_for_a_moment(
    folder: Path, client: MilvusClient
) -> None:
    client.create_partition(NAME, "p")
    client.insert(NAME, FIRST, partition_name="p")
    with InBetween(folder) as racing:
        racing.upsert(NAME, {"id": 1, "vector": [9.0, 9.0]}, partial_update=True)
        assert racing.times == 0
    assert row(client) == {**FIRST, "vector": [9.0, 9.0]}


class Beside(MilvusClient):
    """A client beside which another writes a row each time before its own write is decided."""

    others: list[dict[str, Any]]
    reads = 0

    def _whole_reader(self, *arguments: Any) -> Any:
        self.reads += 1
        return super()._whole_reader(*arguments)

    def _execute(self, *arguments: Any) -> Any:
        if self.others:
            self.others, first = self.others[1:], self.others[0]
            self.upsert(NAME, first)
        return super()._execute(*arguments)


@pytest.mark.parametrize(("key", "reads"), [(2, 1), (1, 2)])
def test_rows_are_read_again_only_if_another_wrote_the_same_ones(
    folder: Path, client: MilvusClient, key: int, reads: int
) -> None:
    client.insert(NAME, FIRST)
    with Beside(folder) as busy:
        busy.others = [{**FIRST, "id": key, "m": 7}]
        busy.upsert(NAME, {"id": 1, "n": 8}, partial_update=True)
        assert (busy.reads, busy.others) == (reads, [])
    assert row(client) == {**FIRST, "n": 8, "m": 7 if key == 1 else 6}
