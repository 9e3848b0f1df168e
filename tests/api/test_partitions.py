"""Partitions: what each holds, loads and counts, and what a dropped one leaves behind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import assert_state_is_replayed
from peer import Peer

from walvec import LoadState, MilvusClient
from walvec.convert import rows_of
from walvec.exceptions import (
    CollectionNotLoadedException,
    MilvusException,
    ParamError,
    PartitionNotExistException,
    PartitionNotLoadedException,
)

DIM = 2
NAME = "c"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def client(folder: Path) -> Iterator[MilvusClient]:
    """A client with an empty collection that has the partitions p and q."""
    with MilvusClient(folder) as opened:
        create(opened)
        yield opened


@pytest.fixture
def other(folder: Path, client: MilvusClient) -> Iterator[Peer]:
    """A client of the same store in another process."""
    peer = Peer(folder)
    yield peer
    peer.end()


def create(client: Any) -> None:
    client.create_collection(NAME, DIM, metric_type="L2")
    client.create_partition(NAME, "p")
    client.create_partition(NAME, "q")


def rows(*ids: int, text: str = "") -> list[dict[str, Any]]:
    return [{"id": i, "vector": [float(i), 1.0], "text": text} for i in ids]


def found(client: Any, partitions: list[str] | None = None) -> dict[int, str]:
    """The rows that a query sees, id -> text."""
    named = {} if partitions is None else {"partition_names": partitions}
    read = client.query(NAME, "id >= 0", limit=1000, output_fields=["id", "text"], **named)
    return {r["id"]: r["text"] for r in read}


def assert_counts(client: Any, wanted: dict[str, int]) -> None:
    """get_partition_stats of each, and the whole collection's."""
    counts = {p: client.get_partition_stats(NAME, p)["row_count"] for p in wanted}
    assert counts == wanted
    if set(wanted) == set(client.list_partitions(NAME)):
        assert client.get_collection_stats(NAME) == {"row_count": sum(wanted.values())}


def reopened(client: MilvusClient, folder: Path) -> MilvusClient:
    client.close()
    return MilvusClient(folder)


def test_partitions_are_made_listed_and_dropped(client: MilvusClient) -> None:
    assert client.list_partitions(NAME) == ["_default", "p", "q"]
    assert client.has_partition(NAME, "p")
    assert not client.has_partition(NAME, "absent")
    client.create_partition(NAME, "p")
    client.release_partitions(NAME, "p")
    client.drop_partition(NAME, "p")
    client.drop_partition(NAME, "p")
    assert client.list_partitions(NAME) == ["_default", "q"]
    assert client.describe_collection(NAME)["num_partitions"] == 2


def test_the_default_partition_and_a_loaded_one_are_not_dropped(client: MilvusClient) -> None:
    with pytest.raises(ParamError, match="p of c is loaded: release_partitions"):
        client.drop_partition(NAME, "p")
    client.release_collection(NAME)
    with pytest.raises(ParamError, match="default partition of c cannot be dropped"):
        client.drop_partition(NAME, "_default")


@pytest.mark.parametrize("name", ["", "1p", "p q", "x" * 256, None, 7])
def test_a_name_that_is_none_is_refused(client: MilvusClient, name: Any) -> None:
    with pytest.raises(ParamError):
        client.create_partition(NAME, name)


def test_rows_are_in_the_partition_that_they_were_given(client: MilvusClient) -> None:
    client.insert(NAME, rows(1))
    client.insert(NAME, rows(2, 3), partition_name="p")
    client.insert(NAME, rows(4), partition_name="q")
    assert set(found(client)) == {1, 2, 3, 4}
    assert set(found(client, ["p"])) == {2, 3}
    assert set(found(client, ["p", "_default"])) == {1, 2, 3}
    assert_counts(client, {"_default": 1, "p": 2, "q": 1})
    (hits,) = client.search(NAME, [[1.0, 1.0]], limit=9, partition_names=["q", "p"])
    assert hits.ids == [2, 3, 4]
    counted = client.query(NAME, "", output_fields=["count(*)"], partition_names=["p"])
    assert counted[0]["count(*)"] == 2
    assert [r["id"] for r in client.get(NAME, [1, 2, 4], partition_names=["p"])] == [2]


def test_a_partition_that_is_not_there_is_refused_everywhere(client: MilvusClient) -> None:
    calls = (
        lambda: client.insert(NAME, rows(1), partition_name="x"),
        lambda: client.upsert(NAME, rows(1), partition_name="x"),
        lambda: client.delete(NAME, [1], partition_name="x"),
        lambda: client.delete(NAME, filter="id > 1", partition_name="x"),
        lambda: client.search(NAME, [[1.0, 1.0]], partition_names=["p", "x"]),
        lambda: client.query(NAME, "id > 1", partition_names=["x"]),
        lambda: client.get(NAME, [1], partition_names=["x"]),
        lambda: client.load_partitions(NAME, ["x"]),
        lambda: client.release_partitions(NAME, "x"),
        lambda: client.get_partition_stats(NAME, "x"),
        lambda: client.get_load_state(NAME, "x"),
    )
    for call in calls:
        with pytest.raises(PartitionNotExistException, match="no partition x"):
            call()
    for names in ([], "", [""]):
        with pytest.raises(ParamError):
            client.load_partitions(NAME, names)


def test_a_row_that_moves_is_in_one_partition_alone(client: MilvusClient) -> None:
    client.insert(NAME, rows(1, 2, text="old"), partition_name="p")
    client.upsert(NAME, rows(2, text="new"), partition_name="q")
    client.insert(NAME, rows(1, text="new"))
    assert found(client) == {1: "new", 2: "new"}
    assert_counts(client, {"_default": 1, "p": 0, "q": 1})


@pytest.mark.parametrize("flushed", [False, True])
def test_what_a_dropped_partition_had_replaced_stays_replaced(
    folder: Path, client: MilvusClient, other: Peer, flushed: bool
) -> None:
    client.insert(NAME, rows(1, 2, 3, text="old"))
    client.insert(NAME, rows(2, text="new"), partition_name="p")
    if flushed:
        client.flush(NAME, wait=True, timeout=60)
    assert set(found(other)) == {1, 2, 3}
    client.release_partitions(NAME, "p")
    client.drop_partition(NAME, "p")
    wanted = {1: "old", 3: "old"}
    for handle in (client, other):
        assert found(handle) == wanted
        assert_counts(handle, {"_default": 2, "q": 0})
    client.release_collection(NAME)
    assert_counts(client, {"_default": 2, "q": 0})
    client.load_collection(NAME)
    assert found(client) == wanted
    fresh = reopened(client, folder)
    assert found(fresh) == wanted
    assert found(other) == wanted
    fresh.insert(NAME, rows(2, text="again"))
    assert found(other) == {**wanted, 2: "again"}
    assert_state_is_replayed(fresh._store)
    fresh.close()


def test_a_dropped_partition_of_auto_ids_leaves_their_tombstones(folder: Path) -> None:
    with MilvusClient(folder) as client:
        client.create_collection(NAME, DIM, auto_id=True)
        client.create_partition(NAME, "p")
        client.insert(NAME, [{"vector": [1, 2]}] * 3, partition_name="p")
        client.insert(NAME, [{"vector": [1, 2]}] * 2)
        client.release_partitions(NAME, "p")
        client.drop_partition(NAME, "p")
        for _ in range(2):
            assert [r["id"] for r in client.query(NAME, "id > 0", limit=9)] == [4, 5]
            assert client.get_collection_stats(NAME) == {"row_count": 2}
            client.release_collection(NAME)
            assert client.get_collection_stats(NAME) == {"row_count": 2}
            client.load_collection(NAME)


def test_partitions_are_loaded_and_released_one_by_one(folder: Path, client: MilvusClient) -> None:
    client.insert(NAME, rows(1))
    client.insert(NAME, rows(2), partition_name="p")
    client.insert(NAME, rows(3), partition_name="q")
    client.release_partitions(NAME, ["p"])
    for _ in range(2):
        assert set(found(client)) == {1, 3}
        assert client.get_load_state(NAME) == {"state": LoadState.Loaded}
        assert client.get_load_state(NAME, "p") == {"state": LoadState.NotLoad}
        assert client.get_load_state(NAME, "q") == {"state": LoadState.Loaded}
        with pytest.raises(PartitionNotLoadedException, match="partition p of collection c"):
            found(client, ["p"])
        assert_counts(client, {"_default": 1, "p": 1, "q": 1})
        client = reopened(client, folder)
    client.load_partitions(NAME, "p")
    assert set(found(client)) == {1, 2, 3}
    client.release_partitions(NAME, ["p", "q", "_default"])
    assert client.get_load_state(NAME) == {"state": LoadState.NotLoad}
    with pytest.raises(CollectionNotLoadedException):
        found(client)
    client.load_partitions(NAME, ["q"])
    assert set(found(client)) == {3}
    client.create_partition(NAME, "later")
    assert client.get_load_state(NAME, "later") == {"state": LoadState.NotLoad}
    client.load_collection(NAME)
    assert set(found(client)) == {1, 2, 3}
    client.create_partition(NAME, "last")
    assert client.get_load_state(NAME, "last") == {"state": LoadState.Loaded}
    client.close()


def test_a_row_of_a_partition_that_is_not_loaded_replaces_one_that_is(
    client: MilvusClient, other: Peer
) -> None:
    client.insert(NAME, rows(1, 2, text="old"))
    assert found(other) == {1: "old", 2: "old"}
    client.release_partitions(NAME, "p")
    other.upsert(NAME, rows(1, text="new"), partition_name="p")
    for handle in (client, other):
        assert found(handle) == {2: "old"}
        assert_counts(handle, {"_default": 1, "p": 1, "q": 0})
    other.load_partitions(NAME, ["p"])
    assert found(client) == {1: "new", 2: "old"}
    assert set(found(client, ["_default"])) == {2}


def test_a_delete_in_a_partition_leaves_the_others_alone(client: MilvusClient) -> None:
    client.insert(NAME, rows(1, 2))
    client.insert(NAME, rows(3, 4), partition_name="p")
    assert client.delete(NAME, [1, 3, 9], partition_name="p")["delete_count"] == 3
    assert set(found(client)) == {1, 2, 4}
    assert client.delete(NAME, filter="id >= 0", partition_name="p")["delete_count"] == 1
    assert set(found(client)) == {1, 2}
    assert client.delete(NAME, filter="id > 100", partition_name="p")["delete_count"] == 0


def test_a_delete_by_filter_needs_all_partitions_or_one_by_name(client: MilvusClient) -> None:
    client.insert(NAME, rows(1, text="a"))
    client.insert(NAME, rows(2, text="a"), partition_name="p")
    client.release_partitions(NAME, "p")
    with pytest.raises(PartitionNotLoadedException, match="some partitions of collection c"):
        client.delete(NAME, filter="text == 'a'")
    client.delete(NAME, filter="text == 'a'", partition_name="_default")
    client.load_partitions(NAME, "p")
    assert set(found(client)) == {2}


def test_a_writer_in_another_process_sees_its_partition_go(
    client: MilvusClient, other: Peer
) -> None:
    other.insert(NAME, rows(1), partition_name="p")
    client.release_partitions(NAME, "p")
    client.drop_partition(NAME, "p")
    with pytest.raises(PartitionNotExistException):
        other.insert(NAME, rows(2), partition_name="p")
    client.create_partition(NAME, "p")
    other.insert(NAME, rows(3), partition_name="p")
    assert set(found(client)) == {3}


def test_loads_and_releases_of_partitions_while_another_process_writes(
    folder: Path, client: MilvusClient, other: Peer
) -> None:
    other.run(
        "import threading\n"
        "def write():\n"
        "    for i in range(60):\n"
        "        part = ('_default', 'p', 'q')[i % 3]\n"
        "        row = {'id': i % 20, 'vector': [float(i), 1.0], 'text': str(i)}\n"
        "        client.upsert('c', [row], partition_name=part)\n"
        "        if i % 10 == 9: client.flush('c')\n"
        "writer = threading.Thread(target=write)\n"
        "writer.start()\n"
    )
    number = 0
    while other.do("writer.is_alive()"):
        part = ("p", "q", "_default")[number % 3]
        client.release_partitions(NAME, part)
        assert len(found(client)) <= 20
        client.load_partitions(NAME, part)
        number += 1
    wanted = {i % 20: str(i) for i in range(60)}
    by_partition = {"_default": 0, "p": 0, "q": 0}
    for text in wanted.values():
        by_partition[("_default", "p", "q")[int(text) % 3]] += 1
    for handle in (client, other):
        assert found(handle) == wanted
        assert_counts(handle, by_partition)
    fresh = reopened(client, folder)
    assert found(fresh) == wanted
    assert_state_is_replayed(fresh._store)
    fresh.close()


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_exact_at_once_after_any_mix(
    folder: Path, client: MilvusClient, other: Peer, seed: int
) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    model: dict[int, tuple[str, str]] = {}
    partitions = ["_default", "p", "q"]
    for step in range(60):
        handle: Any = rng.choice([client, other])
        part = rng.choice(partitions)
        keys = rng.sample(range(30), rng.randint(1, 4))
        kind = rng.choice(["insert", "upsert", "delete", "within", "flush", "swap", "drop", "cut"])
        if kind in ("insert", "upsert"):
            getattr(handle, kind)(NAME, rows(*keys, text=str(step)), partition_name=part)
            model.update({k: (part, str(step)) for k in keys})
        elif kind == "delete":
            handle.delete(NAME, keys)
            model = {k: v for k, v in model.items() if k not in keys}
        elif kind == "within" and client.get_load_state(NAME, part)["state"] == LoadState.Loaded:
            handle.delete(NAME, keys, partition_name=part)
            model = {k: v for k, v in model.items() if k not in keys or v[0] != part}
        elif kind == "flush":
            handle.flush(NAME)
        elif kind == "swap":
            loaded = client.get_load_state(NAME, part)["state"] == LoadState.Loaded
            (handle.release_partitions if loaded else handle.load_partitions)(NAME, [part])
        elif kind == "drop" and part != "_default":
            handle.release_partitions(NAME, [part])
            handle.drop_partition(NAME, part)
            handle.create_partition(NAME, part)
            model = {k: v for k, v in model.items() if v[0] != part}
        elif kind == "cut" and rng.random() < 0.3:
            handle.truncate_collection(NAME)
            model = {}
        held = {p: sum(v[0] == p for v in model.values()) for p in partitions}
        for one in (client, other):
            assert_counts(one, held)
        states = {p: client.get_load_state(NAME, p)["state"] for p in partitions}
        seen = {p for p, s in states.items() if s == LoadState.Loaded}
        if seen:
            wanted = {k: v[1] for k, v in model.items() if v[0] in seen}
            assert found(client) == found(other) == wanted
    client.load_collection(NAME)
    fresh = reopened(client, folder)
    assert found(fresh) == found(other) == {k: v[1] for k, v in model.items()}
    assert_state_is_replayed(fresh._store)
    fresh.close()


def test_a_partition_that_is_dropped_meanwhile_is_named(client: MilvusClient) -> None:
    info = client.info(NAME)
    client.release_partitions(NAME, "p")
    client.drop_partition(NAME, "p")
    batch = rows_of(rows(1), info.schema, NAME)
    with pytest.raises(MilvusException, match="was dropped meanwhile"):
        client.write_rows(info, batch, None, "p", upsert=False)


class Late(MilvusClient):
    """A client that learns of a partition, which is released before it reads."""

    def _reader(self, *arguments: Any) -> Any:
        self.release_partitions(NAME, "p")
        return super()._reader(*arguments)


def test_a_read_of_a_partition_that_is_released_meanwhile_is_refused_and_not_empty(
    folder: Path, client: MilvusClient
) -> None:
    client.insert(NAME, rows(1), partition_name="p")
    with Late(folder) as late:
        for read in (
            lambda: late.get(NAME, 1, partition_names=["p"]),
            lambda: late.query(NAME, "id > 0", partition_names=["p"]),
            lambda: late.query(NAME, output_fields=["count(*)"], partition_names=["p"]),
            lambda: late.search(NAME, [[1.0, 1.0]], partition_names=["p"]),
            lambda: late.delete(NAME, filter='text == ""', partition_name="p"),
        ):
            client.load_partitions(NAME, "p")
            with pytest.raises(PartitionNotLoadedException, match="p of collection c"):
                read()
