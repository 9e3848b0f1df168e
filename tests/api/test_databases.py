"""Databases: each with names of its own, for clients that share one store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import assert_state_is_replayed
from peer import Peer

from walvec import MilvusClient
from walvec.exceptions import (
    CollectionAlreadyExistException,
    CollectionNotExistException,
    DatabaseNotExistException,
    ParamError,
)

DIM = 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def client(folder: Path) -> Iterator[MilvusClient]:
    """A client of a store that has the database `two`."""
    with MilvusClient(folder) as opened:
        opened.create_database("two")
        yield opened


def fill(client: Any, name: str, *ids: int) -> None:
    client.create_collection(name, DIM)
    client.insert(name, [{"id": i, "vector": [1, 2]} for i in ids])


def ids(client: Any, name: str) -> list[int]:
    return [r["id"] for r in client.query(name, "id >= 0")]


def test_one_name_in_two_databases_is_two_collections(folder: Path, client: MilvusClient) -> None:
    with MilvusClient(folder, db_name="two") as second:
        fill(client, "c", 1)
        fill(second, "c", 2, 3)
        second.create_alias("c", "name")
        fill(client, "name", 4)
        for _ in range(2):
            assert (ids(client, "c"), ids(second, "c")) == ([1], [2, 3])
            assert (ids(client, "name"), ids(second, "name")) == ([4], [2, 3])
            assert (client.list_collections(), second.list_collections()) == (["c", "name"], ["c"])
            second.flush_all()
        assert second.describe_alias("name")["db_name"] == "two"
        assert client.list_aliases()["aliases"] == []
        second.drop_alias("name")
        second.drop_collection("c")
        assert ids(client, "c") == [1]
        assert not second.has_collection("c")
        assert_state_is_replayed(client._store)


def test_databases_are_made_listed_described_altered_and_dropped(client: MilvusClient) -> None:
    client.create_database("three", properties={"database.max.collections": 1})
    assert client.list_databases() == ["default", "two", "three"]
    assert client.describe_database("three")["database.max.collections"] == "1"
    client.alter_database_properties("three", {"timezone": "Europe/Berlin"})
    client.drop_database_properties("three", ["database.max.collections"])
    assert client.describe_database("three") == {"name": "three", "timezone": "Europe/Berlin"}
    client.drop_database("three")
    assert client.list_databases() == ["default", "two"]
    with pytest.raises(ParamError, match="two exists already"):
        client.create_database("two")
    with pytest.raises(ParamError, match="default cannot be dropped"):
        client.drop_database("default")
    for properties in ({"x": 1}, {"database.max.collections": 0}, {"timezone": "Moon/Sea"}):
        with pytest.raises(ParamError):
            client.create_database("four", properties=properties)


def test_a_database_that_is_not_there_is_refused_everywhere(
    folder: Path, client: MilvusClient
) -> None:
    client.create_collection("c", DIM)
    calls = (
        lambda: client.use_database("x"),
        lambda: client.using_database("x"),
        lambda: client.describe_database("x"),
        lambda: client.drop_database("x"),
        lambda: client.alter_database_properties("x", {"timezone": "UTC"}),
        lambda: client.rename_collection("c", "d", target_db="x"),
        lambda: MilvusClient(folder, db_name="x"),
    )
    for call in calls:
        with pytest.raises(DatabaseNotExistException, match="database x does not exist"):
            call()
    for name in ("", None, 5):
        with pytest.raises(ParamError):
            client.use_database(name)  # type: ignore[arg-type]


def test_a_database_with_collections_is_not_dropped(client: MilvusClient) -> None:
    client.use_database("two")
    fill(client, "c", 1)
    with pytest.raises(ParamError, match="two has 1 collections: drop them first"):
        client.drop_database("two")
    client.drop_collection("c")
    client.drop_database("two")
    with pytest.raises(DatabaseNotExistException, match="two"):
        client.list_collections()
    client.use_database("default")
    assert client.list_collections() == []


def test_each_client_uses_a_database_of_its_own(folder: Path, client: MilvusClient) -> None:
    peer = Peer(folder)
    try:
        with MilvusClient(folder) as second:
            second.use_database("two")
            peer.use_database("two")
            fill(second, "c", 7)
            assert client.list_collections() == []
            assert ids(peer, "c") == [7]
            peer.use_database("default")
            with pytest.raises(CollectionNotExistException):
                ids(peer, "c")
            client.use_database("two")
            assert ids(client, "c") == [7]
    finally:
        peer.end()


def test_a_collection_moves_between_databases(folder: Path, client: MilvusClient) -> None:
    fill(client, "c", 1, 2)
    client.create_alias("c", "name")
    with pytest.raises(ParamError, match="aliases name, which cannot move"):
        client.rename_collection("c", "d", target_db="two")
    client.drop_alias("name")
    client.rename_collection("c", "d", target_db="two")
    assert client.list_collections() == []
    client.close()
    with MilvusClient(folder, db_name="two") as second:
        assert ids(second, "d") == [1, 2]
        second.insert("d", {"id": 3, "vector": [1, 2]})
        fill(second, "taken", 9)
        with pytest.raises(CollectionAlreadyExistException):
            second.rename_collection("d", "taken")
        second.rename_collection("d", "c", target_db="default")
        assert second.list_collections() == ["taken"]
        second.use_database("default")
        assert ids(second, "c") == [1, 2, 3]
        assert_state_is_replayed(second._store)


def test_a_database_has_at_most_as_many_collections_as_its_property_says(
    client: MilvusClient,
) -> None:
    client.alter_database_properties("two", {"database.max.collections": 1})
    client.use_database("two")
    fill(client, "c")
    with pytest.raises(ParamError, match="two has 1 collections, the most it may"):
        fill(client, "d")


def test_databases_are_there_when_the_store_is_opened_again(
    folder: Path, client: MilvusClient
) -> None:
    client.create_database("three", properties={"timezone": "UTC"})
    client.use_database("three")
    fill(client, "c", 5)
    client.create_alias("c", "name")
    client.drop_database("two")
    client.close()
    # The first time from the checkpoint that closing made, then by a replay of everything.
    for read_only in (False, True):
        with MilvusClient(folder, db_name="three", read_only=read_only) as again:
            assert again.list_databases() == ["default", "three"]
            assert again.describe_database("three")["timezone"] == "UTC"
            assert ids(again, "name") == [5]
            assert_state_is_replayed(again._store)
