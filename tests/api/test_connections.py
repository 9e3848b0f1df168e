"""connections: stores by alias; db: the databases of one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from walvec import Collection, CollectionSchema, DataType, FieldSchema, connections, db, utility
from walvec.exceptions import (
    ConnectionConfigException,
    ConnectionNotExistException,
    DatabaseNotExistException,
    MilvusException,
    ParamError,
)

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
    ]
)


@pytest.fixture(autouse=True)
def no_connections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No connection is known before and after a test, and the working folder is its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WALVEC_URI", raising=False)
    connections.remove_connection("default")
    yield
    for alias, _ in connections.list_connections():
        connections.remove_connection(alias)


def test_a_connection_is_found_by_its_alias(tmp_path: Path) -> None:
    connections.connect("one", "me", uri=str(tmp_path / "one"))
    Collection("here", SCHEMA, using="one")
    assert utility.list_collections(using="one") == ["here"]
    assert connections.has_connection("one")
    address = {"address": str(tmp_path / "one"), "user": "me", "db_name": "default"}
    assert connections.get_connection_addr("one") == address
    assert dict(connections.list_connections()).keys() == {"default", "one"}
    connections.disconnect("one")
    assert not connections.has_connection("one")
    with pytest.raises(ConnectionNotExistException, match="one") as caught:
        utility.list_collections(using="one")
    assert caught.value.code == 1


def test_an_alias_that_is_open_on_another_store_is_refused(tmp_path: Path) -> None:
    connections.connect("one", uri=str(tmp_path / "one"))
    connections.connect("one", uri=str(tmp_path / "one"))
    with pytest.raises(ConnectionConfigException, match="disconnect"):
        connections.connect("one", uri=str(tmp_path / "two"))
    with pytest.raises(ConnectionConfigException, match="disconnect"):
        connections.add_connection(one={"uri": str(tmp_path / "two")})
    connections.disconnect("one")
    connections.connect("one", uri=str(tmp_path / "two"))
    assert connections.get_connection_addr("one")["address"] == str(tmp_path / "two")


def test_connect_opens_an_alias_where_it_was(tmp_path: Path) -> None:
    connections.connect("one", uri="one")
    connections.disconnect("one")
    assert dict(connections.list_connections())["one"] is None
    assert connections.get_connection_addr("one")["address"] == str(tmp_path / "one")
    connections.connect("one")
    assert connections.client("one").folder == tmp_path / "one"
    connections.remove_connection("one")
    assert connections.get_connection_addr("one") == {}
    with pytest.raises(ConnectionConfigException, match="uri="):
        connections.connect("one")


def test_add_connection_says_where_a_store_is_and_opens_nothing(tmp_path: Path) -> None:
    connections.add_connection(
        one={"uri": str(tmp_path / "one"), "user": "me"},
        two={"address": "localhost:19531"},
        three={"host": "example.org", "port": "7"},
    )
    assert not list(tmp_path.iterdir())
    assert connections.get_connection_addr("one") == {
        "address": str(tmp_path / "one"),
        "user": "me",
    }
    assert not connections.has_connection("one")
    for alias in ("one", "two", "three"):
        connections.connect(alias)
    assert {path.name for path in tmp_path.iterdir()} == {
        "one",
        "walvec-store-localhost-19531",
        "walvec-store-example.org-7",
    }
    with pytest.raises(ConnectionConfigException, match="password"):
        connections.add_connection(four={"uri": "x", "password": "y"})
    with pytest.raises(MilvusException):
        connections.add_connection(five=7)
    with pytest.raises(ConnectionConfigException, match="port"):
        connections.add_connection(six={"port": "seven"})


def test_without_a_connection_the_default_folder_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connections.list_connections() == [("default", None)]
    Collection("here", SCHEMA)
    assert (tmp_path / "walvec-store" / "log").is_dir()
    connections.disconnect("default")
    monkeypatch.setenv("WALVEC_URI", str(tmp_path / "elsewhere"))
    Collection("there", SCHEMA)
    assert (tmp_path / "elsewhere" / "log").is_dir()
    connections.connect("another")
    assert connections.client("another").folder == tmp_path / "elsewhere"


def test_a_default_connection_that_was_named_is_opened_again_where_it_was(tmp_path: Path) -> None:
    connections.connect(uri="mine")
    Collection("here", SCHEMA)
    connections.disconnect("default")
    assert utility.list_collections() == ["here"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_threads_that_need_the_default_connection_at_once_share_one() -> None:
    with ThreadPoolExecutor(8) as threads:
        clients = list(threads.map(lambda _: connections.client(), range(32)))
    assert len(set(map(id, clients))) == 1


def test_a_child_uses_connections_though_a_thread_of_its_parent_opened_one() -> None:
    with connections._lock:
        child = os.fork()
        if not child:
            try:
                connections.remove_connection("nobody")
            finally:
                os._exit(bool(connections.list_connections() != [("default", None)]))
    assert os.waitpid(child, 0)[1] == 0


def test_connections_are_closed_from_coroutines(tmp_path: Path) -> None:
    connections.connect("one", uri="one")
    asyncio.run(connections.async_disconnect("one"))
    assert not connections.has_connection("one")
    connections.connect("one")
    asyncio.run(connections.async_remove_connection("one"))
    assert "one" not in dict(connections.list_connections())


def test_disconnect_of_what_is_not_there_is_nothing() -> None:
    connections.disconnect("nobody")
    connections.remove_connection("nobody")
    with pytest.raises(ParamError):
        connections.disconnect(7)  # type: ignore[arg-type]


def test_databases_are_made_used_and_dropped() -> None:
    db.create_database("films", properties={"database.max.collections": 2})
    assert db.list_database() == ["default", "films"]
    assert db.describe_database("films")["database.max.collections"] == "2"
    db.set_properties("films", {"database.max.collections": 1})
    Collection("here", SCHEMA)
    db.using_database("films")
    assert connections.get_connection_addr("default")["db_name"] == "films"
    assert utility.list_collections() == []
    Collection("there", SCHEMA)
    with pytest.raises(MilvusException):
        Collection("one_too_many", SCHEMA)
    with pytest.raises(ParamError):
        db.drop_database("films")
    utility.rename_collection("there", "moved", "default")
    db.using_database("default")
    assert utility.list_collections() == ["here", "moved"]
    db.drop_database("films")
    assert db.list_database() == ["default"]


def test_a_connection_is_made_to_a_database(tmp_path: Path) -> None:
    db.create_database("films")
    folder = connections.client().folder
    connections.connect("films", db_name="films", uri=str(folder))
    Collection("there", SCHEMA, using="films")
    assert utility.list_collections() == []
    assert utility.list_collections(using="films") == ["there"]
    assert connections.get_connection_addr("films")["db_name"] == "films"
    connections.connect("films", uri=str(folder))
    assert utility.list_collections(using="films") == [], "connected again, to `default`"
    with pytest.raises(DatabaseNotExistException) as caught:
        db.using_database("nothing")
    assert caught.value.code == 800
    with pytest.raises(DatabaseNotExistException):
        connections.connect("nothing", db_name="nothing", uri=str(folder))
    assert not connections.has_connection("nothing")
