"""collection.ttl.seconds: rows that are too old go, once and for all, by an entry in the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lab import assert_state_is_replayed
from peer import Peer

from walvec import MilvusClient
from walvec.exceptions import ParamError
from walvec.wal.events import RowsExpired
from walvec.wal.log import Position

DIM = 2
NAME = "c"
TTL = "collection.ttl.seconds"
NS = 10**9
real_time_ns = time.time_ns
IN_PEER = "import time\nreal = time.time_ns\ntime.time_ns = lambda: real() + offset * 10**9"


class Clock:
    """The time of this process, which goes on by itself and can be moved on."""

    def __init__(self) -> None:
        self.ahead_s = 0

    def time_ns(self) -> int:
        return real_time_ns() + self.ahead_s * NS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "time_ns", made.time_ns)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def client(folder: Path, clock: Clock) -> Iterator[MilvusClient]:
    """A client of a collection whose rows live for 100 seconds."""
    with MilvusClient(folder) as opened:
        opened.create_collection(NAME, DIM, metric_type="L2", properties={TTL: 100})
        yield opened


def insert(client: Any, *ids: int, partition: str = "", **more: Any) -> None:
    data = [{"id": i, "vector": [float(i), 1.0], **more} for i in ids]
    client.insert(NAME, data, partition_name=partition)


def ids(client: Any) -> list[int]:
    return sorted(r["id"] for r in client.query(NAME, "id >= 0", output_fields=["id"]))


def assert_rows(client: Any, wanted: list[int]) -> None:
    """Query, count, get and search all see these rows alone."""
    assert ids(client) == wanted
    assert client.query(NAME, output_fields=["count(*)"])[0]["count(*)"] == len(wanted)
    assert client.get_collection_stats(NAME) == {"row_count": len(wanted)}
    assert sorted(r["id"] for r in client.get(NAME, list(range(20)))) == wanted
    (hits,) = client.search(NAME, [[0.0, 1.0]], limit=20)
    assert sorted(hits.ids) == wanted


def expirations(client: MilvusClient) -> list[int]:
    """The `until` of each expiry in the log."""
    found = (entry.event for entry in client._store.log.scan(Position()))
    return [event.until for event in found if isinstance(event, RowsExpired)]


def test_rows_expire_by_the_time_of_their_entry(client: MilvusClient, clock: Clock) -> None:
    insert(client, 1, 2)
    clock.ahead_s = 60
    insert(client, 3)
    assert_rows(client, [1, 2, 3])
    clock.ahead_s = 99
    assert_rows(client, [1, 2, 3])
    clock.ahead_s = 101
    assert_rows(client, [3])
    clock.ahead_s = 161
    assert_rows(client, [])
    insert(client, 1)
    assert_rows(client, [1])
    assert len(expirations(client)) == 2, "one entry for each time that rows went"
    assert_state_is_replayed(client._store)


@pytest.mark.parametrize("first", ["query", "stats", "search", "delete", "partial"])
def test_whatever_looks_first_does_not_see_them(
    client: MilvusClient, clock: Clock, first: str
) -> None:
    insert(client, 1, text="old")
    clock.ahead_s = 101
    if first == "query":
        assert ids(client) == []
    elif first == "stats":
        assert client.get_collection_stats(NAME) == {"row_count": 0}
    elif first == "search":
        assert client.search(NAME, [[1.0, 1.0]])[0].ids == []
    elif first == "delete":
        assert client.delete(NAME, filter="text == 'old'")["delete_count"] == 0
    else:
        client.upsert(NAME, {"id": 1, "vector": [2.0, 2.0]}, partial_update=True)
        assert "text" not in client.get(NAME, 1)[0]


def test_an_upsert_makes_a_row_young_again(client: MilvusClient, clock: Clock) -> None:
    insert(client, 1, 2)
    clock.ahead_s = 50
    client.upsert(NAME, {"id": 1, "vector": [9.0, 1.0]})
    clock.ahead_s = 101
    assert_rows(client, [1])


def test_expired_rows_do_not_come_back(folder: Path, client: MilvusClient, clock: Clock) -> None:
    insert(client, 1, 2)
    client.flush(NAME, wait=True, timeout=60)
    clock.ahead_s = 50
    insert(client, 3)
    insert(client, 2)
    client.delete(NAME, [3])
    insert(client, 4)
    client.flush(NAME)
    clock.ahead_s = 101
    assert_rows(client, [2, 4])
    # The clock of another machine, or of this one after a correction.
    clock.ahead_s = 0
    assert_rows(client, [2, 4])
    client.alter_collection_properties(NAME, {TTL: 1_000_000})
    assert_rows(client, [2, 4])
    client.release_collection(NAME)
    assert client.get_collection_stats(NAME) == {"row_count": 2}
    client.load_collection(NAME)
    assert_rows(client, [2, 4])
    client.compact(NAME)
    client.wait_for_files(60)
    assert_rows(client, [2, 4])
    client.close()
    with MilvusClient(folder) as again:
        assert_rows(again, [2, 4])
        assert_state_is_replayed(again._store)
        again.drop_collection_properties(NAME, [TTL])
        clock.ahead_s = 10_000_000
        assert_rows(again, [2, 4])


def test_rows_are_there_again_for_a_longer_life_only_if_nobody_has_looked(
    client: MilvusClient, clock: Clock
) -> None:
    insert(client, 1)
    clock.ahead_s = 150
    client.alter_collection_properties(NAME, {TTL: 200})
    assert_rows(client, [1])
    client.alter_collection_properties(NAME, {TTL: 10})
    assert_rows(client, [])


def test_a_shorter_life_holds_at_once(client: MilvusClient, clock: Clock) -> None:
    client.drop_collection_properties(NAME, [TTL])
    insert(client, 1)
    clock.ahead_s = 60
    insert(client, 2)
    assert_rows(client, [1, 2])
    client.alter_collection_properties(NAME, {TTL: 30})
    assert_rows(client, [2])
    client.alter_collection_properties(NAME, {TTL: 0})
    clock.ahead_s = 1000
    assert_rows(client, [2])


def test_other_processes_and_readers_see_them_go(
    folder: Path, client: MilvusClient, clock: Clock
) -> None:
    writer, reader = Peer(folder), Peer(folder, read_only=True)
    try:
        insert(writer, 1)
        insert(client, 2)
        for handle in (client, writer, reader):
            assert ids(handle) == [1, 2]
        reader.run(IN_PEER, offset=101)
        assert ids(reader) == [1, 2], "it may log nothing, and sees what others have"
        writer.run(IN_PEER, offset=101)
        assert ids(writer) == []
        for handle in (client, reader):
            assert_rows(handle, [])
        assert len(expirations(client)) == 1
        writer.run("time.time_ns = real")
        insert(client, 3)
        for handle in (client, writer, reader):
            assert_rows(handle, [3])
        found = {tuple(handle.digest()) for handle in (writer, reader)}
        assert len(found) == 1
    finally:
        for peer in (writer, reader):
            peer.end()


def test_where_nothing_can_be_logged_they_stay_and_go_a_second_later(
    client: MilvusClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walvec.segments.expiry.LOCK_WAIT_S", 0.01)
    insert(client, 1)
    clock.ahead_s = 80
    insert(client, 2)
    lock = client._store._writer_lock
    assert lock is not None
    clock.ahead_s = 101
    with lock.held(), ThreadPoolExecutor(1) as other:
        assert other.submit(ids, client).result(30) == [1, 2]
    lock.leave()
    clock.ahead_s = 103
    assert ids(client) == [2]


def test_many_that_look_at_once_log_it_once(folder: Path, clock: Clock) -> None:
    with MilvusClient(folder) as client:
        client.create_collection(NAME, DIM, properties={TTL: 100})
        for number in range(10):
            insert(client, number)
        peers = [Peer(folder) for _ in range(2)]
        for peer in peers:
            peer.run(IN_PEER, offset=101)
            peer.send("do", "client.get_collection_stats('c')", {})
        clock.ahead_s = 101
        assert client.get_collection_stats(NAME) == {"row_count": 0}
        for peer in peers:
            assert peer.receive() == {"row_count": 0}
            peer.end()
        assert len(expirations(client)) == 1


def test_rows_of_all_partitions_expire_loaded_or_not(client: MilvusClient, clock: Clock) -> None:
    client.create_partition(NAME, "p")
    insert(client, 1)
    insert(client, 2, partition="p")
    client.release_partitions(NAME, "p")
    clock.ahead_s = 50
    insert(client, 3, partition="p")
    clock.ahead_s = 101
    assert client.get_partition_stats(NAME, "p") == {"row_count": 1}
    assert client.get_partition_stats(NAME, "_default") == {"row_count": 0}
    client.load_partitions(NAME, "p")
    assert_rows(client, [3])


def test_a_row_that_had_been_replaced_does_not_come_back_by_expiry(
    client: MilvusClient, clock: Clock
) -> None:
    client.create_partition(NAME, "p")
    insert(client, 1)
    insert(client, 1, partition="p")
    clock.ahead_s = 101
    insert(client, 2)
    assert_rows(client, [2])
    client.release_collection(NAME)
    client.load_collection(NAME)
    assert_rows(client, [2])


@pytest.mark.parametrize("value", [-1, "x", 1.5, None, 10**12])
def test_a_life_that_is_none_is_refused(client: MilvusClient, value: Any) -> None:
    with pytest.raises(ParamError, match=TTL):
        client.alter_collection_properties(NAME, {TTL: value})


def test_segments_whose_rows_have_all_expired_are_gone(client: MilvusClient, clock: Clock) -> None:
    insert(client, 1)
    client.flush(NAME, wait=True, timeout=60)
    clock.ahead_s = 60
    insert(client, 2)
    clock.ahead_s = 101
    assert_rows(client, [2])
    (segment,) = client.list_segments(NAME)
    assert segment.num_rows == 1
    client.wait_for_files(60)
    folders = [p.name for p in client._store.segments_folder.iterdir() if p.is_dir()]
    assert folders == []
