"""The change feed on databases, aliases, partitions, fields and rows that go by themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peer import Peer

from walvec import DataType, MilvusClient, changes
from walvec.wal.events import EVENTS

NAME = "docs"
NS = 10**9
real_time_ns = time.time_ns


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MilvusClient]:
    with MilvusClient(tmp_path / "store") as opened:
        yield opened


def insert(client: Any, *ids: int, partition: str = "") -> None:
    data = [{"id": i, "vector": [float(i), 1.0]} for i in ids]
    client.insert(NAME, data, partition_name=partition)


def everything(client: MilvusClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind of change that a client can cause."""
    client.create_database("second", {"timezone": "UTC"})
    client.alter_database_properties("second", {"database.max.collections": 9})
    client.drop_database_properties("second", ["timezone"])
    client.create_collection(NAME, dimension=2)
    client.create_partition(NAME, "p")
    client.create_alias(NAME, "name")
    client.drop_alias("name")
    insert(client, 1, 2, partition="p")
    client.flush(NAME)
    insert(client, 3, partition="p")
    client.upsert(NAME, {"id": 4, "vector": [1.0, 2.0]})
    client.delete(NAME, [1])
    client.flush(NAME, wait=True, timeout=60)
    client.compact(NAME)
    client.add_collection_field(NAME, "n", DataType.VARCHAR, max_length=5, default_value="x")
    client.alter_collection_field(NAME, "n", {"max_length": 9})
    client.release_partitions(NAME, "p")
    client.load_partitions(NAME, ["p"])
    client.alter_collection_properties(NAME, {"collection.ttl.seconds": 60})
    monkeypatch.setattr(time, "time_ns", lambda: real_time_ns() + 61 * NS)
    assert client.get_collection_stats(NAME) == {"row_count": 0}
    insert(client, 5)
    client.truncate_collection(NAME)
    client.release_collection(NAME)
    client.drop_partition(NAME, "p")
    client.alter_index_properties(NAME, "vector", {"mmap.enabled": True})
    client.drop_index(NAME, "vector")
    client.rename_collection(NAME, "letters", target_db="second")
    client.use_database("second")
    client.drop_collection("letters")
    client.use_database("default")
    client.drop_database("second")


def test_every_kind_of_event_is_a_change_with_what_happened(
    client: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything(client, monkeypatch)
    found: list[Any] = list(client.changes())
    assert [change.seq for change in found] == list(range(1, len(found) + 1))
    by_kind: dict[str, list[Any]] = {}
    for change in found:
        by_kind.setdefault(type(change).__name__, []).append(change)
    assert set(by_kind) == {event.__name__ for event in EVENTS.values()}

    def told(kind: str, *names: str) -> list[Any]:
        return [tuple(getattr(c, n) for n in names) for c in by_kind[kind]]

    assert told("DatabaseCreated", "database", "properties", "collection") == [
        ("second", {"timezone": "UTC"}, None)
    ]
    assert told("DatabaseAltered", "database", "properties", "dropped") == [
        ("second", {"database.max.collections": "9"}, ()),
        ("second", {}, ("timezone",)),
    ]
    assert told("DatabaseDropped", "database") == [("second",)]
    assert told("PartitionCreated", "collection", "partition") == [(NAME, "p")]
    assert told("PartitionDropped", "collection", "partition") == [(NAME, "p")]
    assert told("PartitionsLoaded", "partitions") == [(("p",),)]
    assert told("PartitionsReleased", "partitions") == [(("p",),)]
    assert told("AliasSet", "collection", "alias") == [(NAME, "name")]
    assert told("AliasDropped", "collection", "alias") == [(NAME, "name")]
    assert told("RowsInserted", "pks", "partition") == [
        *(([1, 2], "p"), ([3], "p"), ([5], "_default"))
    ]
    (added,), (altered,) = by_kind["FieldAdded"], by_kind["FieldAltered"]
    assert (added.field["name"], added.field["params"]["max_length"]) == ("n", 5)
    assert (altered.field["name"], altered.field["params"]["max_length"]) == ("n", 9)
    (expired,), (truncated,) = by_kind["RowsExpired"], by_kind["CollectionTruncated"]
    assert by_kind["RowsUpserted"][0].seq == expired.until < expired.seq < truncated.seq
    (index,) = by_kind["IndexAltered"]
    assert (index.index_name, index.properties) == ("vector", {"mmap.enabled": "true"})
    assert told("CollectionRenamed", "collection", "database", "new_name", "new_database") == [
        (NAME, "default", "letters", "second")
    ]
    assert told("CollectionDropped", "collection", "database") == [("letters", "second")]
    assert all(c.database == "default" for c in by_kind["RowsInserted"])


def test_a_follower_in_another_process_is_told_the_same(
    client: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Peer(client.folder)
    try:
        everything(client, monkeypatch)
        mine = [repr(change) for change in client.changes()]
        assert peer.do("[repr(change) for change in client.changes()]") == mine
    finally:
        peer.end()


def test_a_feed_that_begins_in_the_middle_is_told_the_same(
    client: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything(client, monkeypatch)
    whole = list(client.changes())
    for since in range(len(whole)):
        assert list(client.changes(since=since)) == whole[since:]


def test_a_collection_is_followed_through_its_alias_and_in_its_own_database(
    client: MilvusClient,
) -> None:
    client.create_collection(NAME, dimension=2)
    insert(client, 1)
    client.create_alias(NAME, "name")
    client.create_database("second")
    client.use_database("second")
    client.create_collection(NAME, dimension=2)
    insert(client, 7, 8)

    def pks(name: str) -> list[Any]:
        told = client.changes(collection=name)
        return [c.pks for c in told if isinstance(c, changes.RowsInserted)]

    assert pks(NAME) == [[7, 8]]
    client.use_database("default")
    assert pks(NAME) == pks("name") == [[1]]
