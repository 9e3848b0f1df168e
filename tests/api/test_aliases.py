"""Aliases: other names of a collection, good wherever its name is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import assert_state_is_replayed
from peer import Peer

from walvec import DataType, LoadState, MilvusClient
from walvec.exceptions import (
    AliasAlreadyExistException,
    AliasNotExistException,
    CollectionAlreadyExistException,
    CollectionNotExistException,
    ParamError,
)

DIM = 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def client(folder: Path) -> Iterator[MilvusClient]:
    """A client with the collections a, of one row, with the alias `name`, and b, which is empty."""
    with MilvusClient(folder) as opened:
        for collection in ("a", "b"):
            opened.create_collection(collection, DIM, metric_type="L2")
            opened.create_partition(collection, "p")
        opened.insert("a", {"id": 1, "vector": [1, 2]})
        opened.create_alias("a", "name")
        yield opened


def index_params() -> Any:
    params = MilvusClient.prepare_index_params()
    params.add_index("vector", "FLAT", metric_type="L2")
    return params


READ: dict[str, Callable[[Any, str], Any]] = {
    "describe_collection": lambda c, n: c.describe_collection(n),
    "has_collection": lambda c, n: c.has_collection(n),
    "get_collection_stats": lambda c, n: c.get_collection_stats(n),
    "get_load_state": lambda c, n: c.get_load_state(n),
    "query": lambda c, n: c.query(n, "id > 0"),
    "get": lambda c, n: c.get(n, [1]),
    "search": lambda c, n: [h.ids for h in c.search(n, [[1, 2]])],
    "list_indexes": lambda c, n: c.list_indexes(n),
    "describe_index": lambda c, n: c.describe_index(n, "vector"),
    "list_partitions": lambda c, n: c.list_partitions(n),
    "has_partition": lambda c, n: c.has_partition(n, "p"),
    "get_partition_stats": lambda c, n: c.get_partition_stats(n, "p"),
    "list_aliases": lambda c, n: c.list_aliases(n),
    "list_segments": lambda c, n: c.list_segments(n),
    "list_loaded_segments": lambda c, n: c.list_loaded_segments(n),
    "describe_replica": lambda c, n: c.describe_replica(n),
}


@pytest.mark.parametrize("call", READ)
def test_an_alias_is_read_as_the_name(client: MilvusClient, call: str) -> None:
    assert READ[call](client, "name") == READ[call](client, "a")


def test_an_alias_is_written_to_as_the_name(client: MilvusClient) -> None:
    client.insert("name", {"id": 2, "vector": [2, 2]})
    client.upsert("name", {"id": 3, "vector": [2, 2]}, partition_name="p")
    client.upsert("name", {"id": 3, "vector": [3, 3]}, partial_update=True)
    client.delete("name", [1])
    client.delete("name", filter="id == 2")
    client.flush("name")
    assert [r["id"] for r in client.query("a", "id > 0")] == [3]
    client.create_partition("name", "q")
    client.release_partitions("name", "q")
    client.load_partitions("name", "q")
    client.release_partitions("name", "q")
    client.drop_partition("name", "q")
    client.add_collection_field("name", "more", DataType.INT64, nullable=True)
    client.alter_collection_properties("name", {"segment.max_bytes": 1000})
    client.drop_collection_properties("name", ["segment.max_bytes"])
    client.release_collection("name")
    assert client.get_load_state("a") == {"state": LoadState.NotLoad}
    client.drop_index("name", "vector")
    client.create_index("name", index_params())
    client.load_collection("name")
    client.compact("name")
    assert client.query("a", "id > 0")[0]["more"] is None
    client.truncate_collection("name")
    assert client.get_collection_stats("a") == {"row_count": 0}
    client.rename_collection("a", "c")
    assert client.describe_alias("name")["collection_name"] == "c"
    assert_state_is_replayed(client._store)


def test_aliases_are_described_and_listed(client: MilvusClient) -> None:
    client.create_alias("a", "also")
    client.create_alias("b", "third")
    described = {"alias": "name", "collection_name": "a", "db_name": "default"}
    assert client.describe_alias("name") == described
    listed = client.list_aliases("a")
    assert listed == {"aliases": ["also", "name"], "collection_name": "a", "db_name": "default"}
    assert client.list_aliases()["aliases"] == ["also", "name", "third"]
    assert client.describe_collection("a")["aliases"] == ["also", "name"]
    assert client.list_collections() == ["a", "b"]


def test_an_alias_is_taken_by_another_collection(client: MilvusClient, folder: Path) -> None:
    peer = Peer(folder)
    try:
        assert len(peer.query("name", "id > 0")) == 1
        client.alter_alias("b", "name")
        assert client.query("name", "id > 0") == peer.query("name", "id > 0") == []
        assert peer.list_aliases("a")["aliases"] == []
    finally:
        peer.end()
    client.close()
    with MilvusClient(folder) as again:
        assert again.describe_alias("name")["collection_name"] == "b"


def test_an_alias_is_created_once_or_again_for_the_same_collection(client: MilvusClient) -> None:
    client.create_alias("a", "name")
    with pytest.raises(AliasAlreadyExistException, match="name is an alias of collection a"):
        client.create_alias("b", "name")


def test_an_alias_that_is_not_there_is_not_altered_and_dropping_it_does_nothing(
    client: MilvusClient,
) -> None:
    for call in (lambda: client.alter_alias("a", "x"), lambda: client.describe_alias("x")):
        with pytest.raises(AliasNotExistException, match="alias x does not exist"):
            call()
    client.drop_alias("x")
    client.drop_alias("name")
    with pytest.raises(CollectionNotExistException):
        client.query("name", "id > 0")


def test_names_and_aliases_do_not_meet(client: MilvusClient) -> None:
    with pytest.raises(AliasAlreadyExistException) as refused:
        client.create_alias("a", "b")
    assert refused.value.code == 1601
    with pytest.raises(CollectionAlreadyExistException, match="name is an alias"):
        client.create_collection("name", DIM)
    with pytest.raises(CollectionAlreadyExistException, match="name is an alias"):
        client.rename_collection("b", "name")
    with pytest.raises(CollectionNotExistException):
        client.create_alias("absent", "x")
    for bad in ("", "1x", "a b", None):
        with pytest.raises(ParamError):
            client.create_alias("a", bad)  # type: ignore[arg-type]


def test_a_collection_with_aliases_is_not_dropped(client: MilvusClient) -> None:
    with pytest.raises(ParamError, match="has the aliases name: drop them first"):
        client.drop_collection("a")
    with pytest.raises(ParamError, match="name is an alias of collection a"):
        client.drop_collection("name")
    client.drop_alias("name")
    client.drop_collection("a")
    assert client.list_collections() == ["b"]


def test_an_alias_of_an_alias_is_one_of_its_collection(client: MilvusClient) -> None:
    client.create_alias("name", "second")
    assert client.describe_alias("second")["collection_name"] == "a"
    client.drop_alias("name")
    assert client.query("second", "id > 0")
