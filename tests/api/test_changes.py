"""The change feed: every change once, in order, whole; waiting; cursors that never skip."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import damage
import pytest
from lab import run_child

from walvec import DataType, MilvusClient, MilvusException, changes
from walvec.change_calls import Changes
from walvec.changes import Change
from walvec.wal import scan
from walvec.wal.errors import (
    CollectionNotExistException,
    LogCorruptedException,
    ParamError,
    ReadOnlyException,
    StoreBrokenException,
    StoreClosedException,
)
from walvec.wal.events import EVENTS

LONG_S = 30.0
FEED = """
import sys, time
from walvec import MilvusClient
client = MilvusClient(sys.argv[1])
feed = client.changes(cursor="reader", follow=True, timeout=60)
for change in feed:
    print(change.seq, type(change).__name__, time.time_ns(), flush=True)
    if change.collection == "end":
        break
    if len(sys.argv) > 2 and change.seq % int(sys.argv[2]) == 0:
        feed.ack()
        print("acked", change.seq, flush=True)
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MilvusClient]:
    with MilvusClient(tmp_path / "store") as opened:
        yield opened


def rows(*ids: int) -> list[dict[str, Any]]:
    return [{"id": i, "vector": [float(i), 1.0, 2.0, 3.0]} for i in ids]


def seqs(feed: Changes) -> list[int]:
    return [change.seq for change in feed]


def last(client: MilvusClient) -> int:
    return max(seqs(client.changes()))


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def everything(client: MilvusClient) -> None:
    """Every kind of change that a client can cause."""
    client.create_collection("docs", dimension=4)
    client.insert("docs", rows(1, 2, 3))
    client.upsert("docs", rows(2, 4))
    client.delete("docs", ids=[1, 77])
    client.flush("docs")
    client.wait_for_files()
    client.alter_collection_properties("docs", {"mmap.enabled": "true"})
    client.release_collection("docs")
    client.drop_index("docs", "vector")
    client.rename_collection("docs", "letters")
    client.drop_collection("letters")


# What is delivered


def test_every_entry_is_one_change_of_the_kind_of_its_event(client: MilvusClient) -> None:
    everything(client)
    found = list(client.changes())
    assert [change.seq for change in found] == list(range(1, len(found) + 1))
    assert [c.timestamp for c in found] == sorted(c.timestamp for c in found)
    entries = list(client._store.log.scan(scan.Position()))
    assert [type(c).__name__ for c in found] == [type(e.event).__name__ for e in entries]


def test_every_event_of_the_log_has_a_class_of_its_name() -> None:
    for event in EVENTS.values():
        kind = getattr(changes, event.__name__)
        assert issubclass(kind, Change)
        assert kind.__doc__


def test_changes_carry_what_happened(client: MilvusClient) -> None:
    everything(client)
    by_kind: dict[str, Any] = {type(c).__name__: c for c in client.changes()}
    created = by_kind["CollectionCreated"]
    assert (created.collection, created.collection_id) == ("docs", 1)
    assert [f["name"] for f in created.schema["fields"]] == ["id", "vector"]
    assert created.consistency_level == "Strong"
    inserted, upserted = by_kind["RowsInserted"], by_kind["RowsUpserted"]
    assert (inserted.pks, inserted.partition) == ([1, 2, 3], "_default")
    assert (upserted.pks, upserted.partition) == ([2, 4], "_default")
    assert by_kind["RowsDeleted"].pks == [1, 77]
    sealed = by_kind["SegmentsSealed"]
    assert (sealed.rows, sealed.cause, len(sealed.segments)) == ((5,), "flush", 1)
    assert by_kind["SegmentPersisted"].segment == sealed.segments[0]
    assert all(size > 0 for size in by_kind["SegmentPersisted"].files.values())
    assert by_kind["CollectionAltered"].properties == {"mmap.enabled": "true"}
    assert by_kind["IndexDropped"].index_name == "vector"
    assert by_kind["CollectionRenamed"].new_name == "letters"
    assert by_kind["CollectionRenamed"].collection == "docs"
    assert by_kind["CollectionDropped"].collection == "letters"
    assert by_kind["StoreCreated"].collection is None


@pytest.mark.parametrize("kind", [DataType.INT64, DataType.VARCHAR])
def test_automatic_keys_are_the_ones_that_insert_returned(
    client: MilvusClient, kind: DataType
) -> None:
    schema = client.create_schema(auto_id=True)
    length = {"max_length": 20} if kind == DataType.VARCHAR else {}
    schema.add_field("id", kind, is_primary=True, **length)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    client.create_collection("c", schema=schema)
    ids = [client.insert("c", [{"v": [1, 2]}] * n)["ids"] for n in (2, 3)]
    client.drop_collection("c")
    found = [c.pks for c in client.changes() if isinstance(c, changes.RowsInserted)]
    assert found == ids


def test_the_rows_of_a_merge_are_told(client: MilvusClient) -> None:
    from walvec.segments import commands

    client.create_collection("docs", dimension=4)
    for number in (1, 2):
        client.insert("docs", rows(number))
        client.flush("docs")
    sealed = [c for c in client.changes() if isinstance(c, changes.SegmentsSealed)]
    sources = tuple(c.segments[0] for c in sealed)
    target = client._execute(commands.merge_segments(1, sources), None).result
    merged = [c for c in client.changes() if isinstance(c, changes.SegmentsMerged)]
    assert [(c.sources, c.target, c.rows) for c in merged] == [(sources, target, 2)]


def test_since_is_exclusive_and_the_end_ends(client: MilvusClient) -> None:
    everything(client)
    whole = list(client.changes())
    for since in range(len(whole) + 3):
        assert list(client.changes(since)) == whole[since:], since


def test_a_saved_state_is_where_a_feed_begins(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "store", checkpoint_events=3) as client:
        everything(client)
        whole = list(client.changes())
    with MilvusClient(tmp_path / "store") as client:
        for since in range(len(whole)):
            assert list(client.changes(since)) == whole[since:], since


def test_a_collection_is_chosen_by_the_name_it_had_then(client: MilvusClient) -> None:
    everything(client)
    client.create_collection("docs", dimension=4)
    whole = list(client.changes())
    renamed = next(c.seq for c in whole if isinstance(c, changes.CollectionRenamed))
    docs = [c.seq for c in whole if c.collection == "docs"]
    assert seqs(client.changes(collection="docs")) == docs
    assert renamed in docs
    letters = [c.seq for c in whole if c.collection == "letters" or c.seq == renamed]
    assert seqs(client.changes(collection="letters")) == letters
    assert {c.collection_id for c in client.changes(collection="docs")} == {
        1,
        whole[-1].collection_id,
    }


def test_a_name_that_nothing_ever_had_is_an_error_unless_it_may_come(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    with pytest.raises(CollectionNotExistException, match="dogs"):
        next(client.changes(collection="dogs"))
    with client.changes(collection="dogs", follow=True, timeout=0) as feed:
        assert list(feed) == []
        client.create_collection("dogs", dimension=4)
        assert {c.collection for c in feed} == {"dogs"}
    assert list(client.changes(last(client), collection="docs")) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"since": -1},
        {"since": True},
        {"since": "5"},
        {"since": 1.0},
        {"since": None},
        {"collection": ""},
        {"collection": 5},
        {"follow": 1},
        {"timeout": 1},
        {"timeout": -1, "follow": True},
        {"timeout": "x", "follow": True},
        {"cursor": ""},
        {"cursor": 5},
        {"cursor": "x" * 256},
        {"cursor": "é" * 128},
        {"cursor": "\ud800"},
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused(client: MilvusClient, arguments: dict[str, Any]) -> None:
    with pytest.raises(ParamError):
        client.changes(**arguments)


# Iterating


def test_a_user_may_write_while_iterating(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    found = []
    for change in client.changes():
        found.append(change)
        if len(found) <= 50:
            client.insert("docs", rows(len(found)))
    assert [change.seq for change in found] == list(range(1, 55))
    assert isinstance(change, changes.RowsInserted)
    assert change.pks == [50]


def test_a_feed_that_ended_goes_on_with_what_came_since(client: MilvusClient) -> None:
    feed = client.changes()
    assert seqs(feed) == [1]
    client.create_collection("docs", dimension=4)
    assert seqs(feed) == [2, 3, 4]
    assert seqs(feed) == []


def test_a_command_is_delivered_whole_or_not_at_all(
    client: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walvec.segments.batch.MAX_EVENT_BYTES", 100)
    client.create_collection("docs", dimension=4)
    seq = client.insert("docs", rows(*range(20)))["seq"]
    parts = list(client.changes(4))
    assert len(parts) > 3
    assert [pk for c in parts for pk in getattr(c, "pks", [])] == list(range(20))
    folder = client.folder
    client.close()
    damaged = damage.place(folder, "RowsInserted", 2)
    assert 5 < damaged.seq < seq
    damage.flip(damage.data_file(folder), damaged.payload)
    with MilvusClient(folder) as again:
        feed = again.changes()
        assert [next(feed).seq for _ in range(4)] == [1, 2, 3, 4]
        for _ in range(2):
            with pytest.raises(LogCorruptedException) as caught:
                next(feed)
            assert caught.value.seq == damaged.seq


def test_an_interrupt_loses_nothing(client: MilvusClient, monkeypatch: pytest.MonkeyPatch) -> None:
    everything(client)
    whole = seqs(client.changes())
    from walvec.segments import feed as feeds

    take, left = feeds.FeedFold.take, list(range(len(whole)))

    def interrupted(fold: Any, entry: Any) -> Any:
        scene = take(fold, entry)
        if left and left[0] < entry.header.seq:
            left.pop(0)
            raise KeyboardInterrupt
        return scene

    monkeypatch.setattr(feeds.FeedFold, "take", interrupted)
    feed = client.changes()
    found = []
    interrupts = 0
    while True:
        try:
            found.append(next(feed).seq)
        except KeyboardInterrupt:
            interrupts += 1
        except StopIteration:
            break
    assert found == whole
    assert interrupts == len(whole)


def test_iterating_holds_no_more_than_a_chunk_and_no_transaction(
    client: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walvec.wal.log.SCAN_CHUNK", 7)
    client.create_collection("docs", dimension=4)
    for number in range(30):
        client.insert("docs", rows(number))
    feed = client.changes()
    for expected, change in enumerate(feed, 1):
        assert change.seq == expected
        assert not client._store.log.gate._reading
        client._store.log.env.set_mapsize(0)  # refused while a transaction is open
    assert expected == 34


def test_a_closed_feed_ends_and_a_closed_client_is_an_error(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    closed, left = client.changes(), client.changes(follow=True)
    assert next(closed).seq == next(left).seq == 1
    closed.close()
    assert list(closed) == []
    client.close()
    for _ in range(2):
        with pytest.raises(StoreClosedException):
            next(left)
    assert list(closed) == []
    with pytest.raises(StoreClosedException):
        client.changes()


# Following


def collect(feed: Changes, into: list[Any]) -> threading.Thread:
    """A thread that iterates until the end, or an error, which it notes."""

    def run() -> None:
        try:
            into.extend(feed)
        except MilvusException as error:
            into.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_until(what: Any) -> None:
    deadline = time.monotonic() + LONG_S
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.001)


def test_a_follower_waits_for_the_next_change_and_close_ends_it(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    before = handles()
    found: list[Any] = []
    feed = client.changes(follow=True, since=2)
    thread = collect(feed, found)
    wait_until(lambda: len(found) == 2)
    client.insert("docs", rows(1))
    wait_until(lambda: len(found) == 3)
    feed.close()
    thread.join(LONG_S)
    assert not thread.is_alive()
    assert [change.seq for change in found] == [3, 4, 5]
    assert handles() == before


def test_closing_the_client_ends_a_wait_with_an_error(client: MilvusClient) -> None:
    found: list[Any] = []
    feed = client.changes(follow=True, since=1)
    assert feed._tail is not None
    thread = collect(feed, found)
    wait_until(lambda: feed._tail._waits)
    started = time.monotonic()
    client.close()
    thread.join(LONG_S)
    assert [type(error) for error in found] == [StoreClosedException]
    assert time.monotonic() - started < LONG_S


def test_a_timeout_counts_from_the_last_change_that_was_asked_for(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    client.create_collection("other", dimension=4)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            client.insert("other", rows(number))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        feed = client.changes(collection="docs", follow=True, timeout=0.2)
        assert {c.collection for c in feed} == {"docs"}
        assert feed.seq > 7
    finally:
        stop.set()
        writer.join()


def test_waiting_for_a_store_whose_files_are_gone_is_an_error(
    client: MilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walvec.wal.following.LOOK_S", 0.01)
    feed = client.changes(1, follow=True, timeout=LONG_S)
    damage.data_file(client.folder).unlink()
    for _ in range(2):
        with pytest.raises(StoreBrokenException, match="deleted or replaced"):
            next(feed)


def test_a_forgotten_follower_leaves_no_handle(client: MilvusClient) -> None:
    before = handles()
    for _ in range(3):
        list(client.changes(follow=True, timeout=0))
    assert handles() <= before  # Fewer, where a store of another test was let go meanwhile.


def test_two_followers_of_one_process_see_the_same(client: MilvusClient) -> None:
    found: list[list[Any]] = [[], []]
    feeds = [client.changes(follow=True) for _ in found]
    threads = [collect(feed, into) for feed, into in zip(feeds, found, strict=True)]
    everything(client)
    end = last(client)
    wait_until(lambda: all(into and into[-1].seq == end for into in found))
    for feed, thread in zip(feeds, threads, strict=True):
        feed.close()
        thread.join(LONG_S)
    assert found[0] == found[1] == list(client.changes())


def follower(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """A process that follows by the cursor `reader` and prints seq, kind and time of each."""
    command = [sys.executable, "-c", FEED, str(folder), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_follower_in_another_process_sees_every_change_once_in_order(
    client: MilvusClient,
) -> None:
    client.create_collection("docs", dimension=4)
    acknowledged: dict[int, int] = {}
    with follower(client.folder) as reader:
        assert reader.stdout is not None
        lines = [reader.stdout.readline().split() for _ in range(4)]
        for number in range(100):
            seq = client.insert("docs", rows(number))["seq"]
            acknowledged[seq] = time.time_ns()
        client.create_collection("end", dimension=4)
        lines += [line.split() for line in reader.stdout]
    assert reader.returncode == 0
    assert [int(seq) for seq, *_ in lines] == list(range(1, 106))
    lags = sorted(
        (int(at) - acknowledged[int(seq)]) / 1e6 for seq, _, at in lines if int(seq) in acknowledged
    )
    print(f"lag after the acknowledgement, ms: median {lags[50]:.2f}, worst {lags[-1]:.2f}")
    assert lags[50] < 2000


# Cursors


def test_a_cursor_continues_after_what_was_acknowledged(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    feed = client.changes(cursor="a")
    assert feed.ack() == 0
    assert [next(feed).seq for _ in range(3)] == [1, 2, 3]
    assert seqs(client.changes(cursor="a")) == [1, 2, 3, 4]
    assert feed.ack(2) == 2
    assert seqs(client.changes(cursor="a")) == [3, 4]
    assert feed.ack() == 3
    assert feed.ack(1) == 3  # never back
    assert seqs(client.changes(cursor="a")) == [4]
    assert seqs(client.changes(cursor="b")) == [1, 2, 3, 4]
    [cursor] = client.list_cursors()
    assert (cursor["name"], cursor["seq"], cursor["behind"]) == ("a", 3, 1)


def test_what_was_not_delivered_cannot_be_acknowledged(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    feed = client.changes(cursor="a")
    next(feed)
    for seq in (2, -1, True, "1"):
        with pytest.raises(ParamError):
            feed.ack(seq)  # type: ignore[arg-type]
    with pytest.raises(ParamError, match="cursor"):
        client.changes().ack()
    assert client.list_cursors() == []


def test_since_counts_only_where_a_cursor_is_new(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    feed = client.changes(2, cursor="a")
    assert seqs(feed) == [3, 4]
    assert seqs(client.changes(3, cursor="a")) == [4]
    feed.ack()
    assert seqs(client.changes(0, cursor="a")) == []


def test_a_cursor_beyond_the_end_is_noted_at_the_end(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    assert client.changes(100, cursor="a").ack() == 4


def test_acknowledging_with_a_collection_passes_over_the_others(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    client.create_collection("other", dimension=4)
    feed = client.changes(collection="docs", cursor="a")
    assert [next(feed).seq for _ in range(3)] == [2, 3, 4]
    assert feed.ack() == 4
    assert seqs(feed) == []
    assert feed.ack() == 7


def test_a_dropped_cursor_begins_anew(client: MilvusClient) -> None:
    feed = client.changes(cursor="a")
    assert seqs(feed) == [1]
    feed.ack()
    client.drop_cursor("a")
    client.drop_cursor("a")
    assert client.list_cursors() == []
    assert seqs(client.changes(cursor="a")) == [1]
    with pytest.raises(ParamError):
        client.drop_cursor("")


def test_a_reader_uses_a_cursor_and_cannot_move_it(client: MilvusClient) -> None:
    feed = client.changes(cursor="a")
    next(feed)
    feed.ack()
    folder = client.folder
    client.create_collection("docs", dimension=4)
    client.close()
    with MilvusClient(folder, read_only=True) as reader:
        feed = reader.changes(cursor="a")
        assert seqs(feed) == [2, 3, 4]
        with pytest.raises(ReadOnlyException):
            feed.ack()
        assert [c["seq"] for c in reader.list_cursors()] == [1]
        with pytest.raises(ReadOnlyException):
            reader.drop_cursor("a")


def test_the_furthest_of_two_readers_counts(client: MilvusClient) -> None:
    everything(client)
    first, second = client.changes(cursor="a"), client.changes(cursor="a")
    assert [next(first).seq for _ in range(5)] == [next(second).seq for _ in range(5)]
    first.ack(5)
    assert second.ack(3) == 5
    assert next(client.changes(cursor="a")).seq == 6


def test_killed_between_delivery_and_ack_everything_comes_again(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    client.insert("docs", rows(1))
    assert [c.seq for c in killed_reader(client.folder, 0)] == [1, 2, 3, 4, 5]
    assert client.list_cursors() == []
    assert seqs(client.changes(cursor="reader")) == [1, 2, 3, 4, 5]


def test_killed_after_an_ack_only_the_rest_comes_again(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    client.insert("docs", rows(1))
    killed_reader(client.folder, 2)
    assert [c["seq"] for c in client.list_cursors()] == [4]
    folder = client.folder
    client.close()
    with MilvusClient(folder) as again:
        assert seqs(again.changes(cursor="reader")) == [5]


class Seen:
    """A line of a reader."""

    def __init__(self, seq: int) -> None:
        self.seq = seq


def killed_reader(folder: Path, step: int) -> list[Seen]:
    """What a reader printed that acknowledges every `step` changes (0: none) and is killed after
    the fifth."""
    found: list[Seen] = []
    with follower(folder, *([step] if step else [])) as reader:
        assert reader.stdout is not None
        while len(found) < 5:
            first, *_ = reader.stdout.readline().split()
            if first != "acked":
                found.append(Seen(int(first)))
        os.kill(reader.pid, signal.SIGKILL)
    return found


def test_a_forked_child_is_told_to_begin_its_own(client: MilvusClient) -> None:
    code = """
import os, sys
from walvec import MilvusClient
client = MilvusClient(sys.argv[1])
feed = client.changes(follow=True, timeout=0)
next(feed)
child = os.fork()
if not child:
    try:
        next(feed)
    except Exception as error:
        own = len(list(client.changes()))
        print(type(error).__name__, own, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(len(list(feed)))
client.close()
"""
    client.create_collection("docs", dimension=4)
    out = run_child(code, client.folder).stdout.split()
    assert out == ["StoreBrokenException", "4", "3"]


# The seq of every answer


def test_every_answer_carries_the_seq_it_was_served_at(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=4)
    client.create_collection("other", dimension=4)
    wrote = client.insert("docs", rows(1, 2))["seq"]
    assert client.upsert("docs", rows(2))["seq"] == wrote + 1
    assert client.delete("docs", ids=[1])["seq"] == wrote + 2
    # A write to another collection: what is served is the store as it is after it.
    now = client.insert("other", rows(5))["seq"]
    assert client.insert("docs", [])["seq"] == now
    assert client.delete("docs", ids=[])["seq"] == now
    assert client.delete("docs", filter="id == 99 and id < 5")["seq"] == now
    answers = [
        client.get("docs", 2),
        client.get("docs", []),
        client.query("docs", "id > 0"),
        client.query("docs", "id == 2"),
        client.query("docs", ids=[2]),
        client.query("docs", output_fields=["count(*)"]),
        client.search("docs", [[1.0, 2.0, 3.0, 4.0]]),
        client.search("docs", [[1.0, 2.0, 3.0, 4.0]], filter="id > 9"),
    ]
    assert [answer.extra for answer in answers] == [{"seq": now}] * len(answers)
    assert json.dumps([c.seq for c in client.changes(now)]) == "[]"
