"""fork and spawn: a child opens the store anew by itself, and its parent goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import OpenStore
from lab import DIM, Table, assert_state_is_replayed, open_at, settle

from walvec import MilvusClient
from walvec.segments.forks import REST_S
from walvec.segments.store import Store
from walvec.wal import failpoints
from walvec.wal.errors import StoreBrokenException


def in_child(act: Callable[[], str]) -> str:
    """What `act` says in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, act().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    _, status = os.waitpid(child, 0)
    assert status == 0
    return text


def test_a_forked_child_opens_the_store_anew_and_the_parent_goes_on(store: Store) -> None:
    table = Table(store)
    table.insert([1, 2])
    table.flush()
    settle(store)

    def act() -> str:
        inherited = sorted(table.texts())
        table.insert([3])
        table.delete([1])
        table.flush()
        settle(store)
        found = f"{inherited} {sorted(table.texts())}"
        store.close()
        return found

    assert in_child(act) == "[1, 2] [2, 3]"
    assert sorted(table.texts()) == [2, 3]
    table.insert([4])
    assert sorted(table.texts()) == [2, 3, 4]
    assert_state_is_replayed(store)


def test_a_child_of_a_child_works_and_rows_in_memory_are_inherited(store: Store) -> None:
    table = Table(store)
    table.insert([1])
    view = store.view(table.info)

    def grandchild() -> str:
        assert store.current().views[table.id].segments[0].segment is view.segments[0].segment
        table.insert([3])
        return str(sorted(table.texts()))

    def child() -> str:
        table.insert([2])
        return in_child(grandchild) + str(sorted(table.texts()))

    assert in_child(child) == "[1, 2, 3][1, 2, 3]"
    assert sorted(table.texts()) == [1, 2, 3]


def test_a_child_and_its_parent_append_to_rows_in_memory_of_their_own(
    open_store_at: OpenStore,
) -> None:
    # So many that the columns lie in mappings of their own, which could be shared.
    store = open_store_at()
    table = Table(store)
    table.insert(range(100_000))

    def act() -> str:
        table.insert([200_000], version=1)
        mine = table.texts()
        table.insert([200_001], version=1)
        return f"{mine[200_000]} {table.texts()[200_001]}"

    before = store.view(table.info)
    assert in_child(act) == "200000/1 200001/1"
    assert before.segments[0].n == 100_000
    # What the child appended is not yet in this process' view; its buffers end before it.
    columns = store.published.views[table.id].segments[0].segment.columns
    assert columns.n == 100_000
    table.insert([300_000], version=2)
    assert len(table.texts()) == 100_003
    assert table.texts()[200_000] == "200000/1"
    assert table.texts()[300_000] == "300000/2"


def test_many_forked_children_leave_the_parent_its_reader_slots(store: Store) -> None:
    table = Table(store)
    table.insert([1])
    for _ in range(20):
        assert in_child(lambda: str(sorted(table.texts()))) == "[1]"
    readers = str(store.log.env.readers())
    assert readers.count(str(os.getpid())) <= 2
    table.insert([2])
    assert sorted(table.texts()) == [1, 2]


@pytest.mark.parametrize("how", ["close", "exit", "nothing"])
def test_a_child_that_never_uses_the_store_does_no_harm(store: Store, how: str) -> None:
    table = Table(store)
    table.insert([1])

    def act() -> str:
        if how == "close":
            store.close()
            assert store._closed
        if how == "exit":
            with pytest.raises(SystemExit):
                sys.exit(0)
        return "done"

    assert in_child(act) == "done"
    table.insert([2])
    assert sorted(table.texts()) == [1, 2]


def test_a_fork_while_other_threads_write_and_read_finds_the_store_at_rest(store: Store) -> None:
    table = Table(store)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            table.insert([number, number + 1])
            number += 2

    def read() -> None:
        while not stop.is_set():
            assert len(table.texts()) % 2 == 0

    def act() -> str:
        before = len(table.texts())
        table.insert([-2 * os.getpid(), -2 * os.getpid() - 1])
        # The parent goes on meanwhile.
        return str(len(table.texts()) >= before + 2 and before % 2 == 0)

    with ThreadPoolExecutor(3) as threads:
        work = [threads.submit(f) for f in (write, write, read)]
        try:
            for _ in range(10):
                assert in_child(act) == "True"
        finally:
            stop.set()
        for one in work:
            one.result(30)
    assert_state_is_replayed(store)


def test_a_child_of_a_parent_that_does_not_come_to_rest_is_told_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walvec.segments.forks.REST_S", 0.05)
    table = Table(store)

    def act() -> str:
        try:
            table.insert([1])
        except StoreBrokenException as error:
            store.close()
            return error.message
        return "no error"

    with ThreadPoolExecutor(1) as threads, store._lock:
        assert "forked while its parent was busy" in threads.submit(in_child, act).result(30)
    table.insert([2])
    assert sorted(table.texts()) == [2]


def _message_of(read: Callable[[], object]) -> str:
    try:
        return str(read())
    except StoreBrokenException as error:
        return error.message


def test_a_fork_within_a_command_leaves_the_child_no_uncommitted_rows(store: Store) -> None:
    table = Table(store)
    table.insert([1])
    said = []

    def act() -> str:
        return _message_of(table.texts)

    # In the thread that commits: a signal handler could do that.
    with failpoints.arm("commit.before", lambda _: said.append(in_child(act))):
        table.insert([2])
    assert "forked while its parent was busy" in said[0]
    assert sorted(table.texts()) == [1, 2]
    assert_state_is_replayed(store)


def test_a_fork_within_a_read_does_not_wait_for_itself(store: Store) -> None:
    table = Table(store)
    table.insert([1])
    started = time.monotonic()
    # A signal handler could do that.
    with store.log.reading():
        said = in_child(lambda: _message_of(table.texts))
    with store.log.gate.lock:
        assert in_child(lambda: _message_of(table.texts)) == said
    assert "forked while its parent was busy" in said
    assert time.monotonic() - started < REST_S / 2
    table.insert([2])
    assert in_child(lambda: str(sorted(table.texts()))) == "[1, 2]"


def test_a_store_closed_before_the_fork_is_opened_by_the_child(tmp_path: Path) -> None:
    store = open_at(tmp_path / "store")
    Table(store).insert([1])
    store.close()

    def act() -> str:
        child = open_at(tmp_path / "store")
        Table(child).insert([2])
        found = sorted(Table(child).texts())
        child.close()
        return str(found)

    assert in_child(act) == "[1, 2]"
    again = open_at(tmp_path / "store")
    assert sorted(Table(again).texts()) == [1, 2]
    again.close()


def test_a_living_forked_child_does_not_keep_the_store_from_its_parent(
    open_store_at: OpenStore,
) -> None:
    store = open_store_at()
    Table(store).insert([1])
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    try:
        store.close()
        again = open_store_at(lock_timeout_s=0)
        assert sorted(Table(again).texts()) == [1]
    finally:
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)


def test_a_forked_client_may_be_closed_and_the_parent_keeps_its_own(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "store") as client:
        client.create_collection("c", DIM)
        assert in_child(lambda: str(client.close())) == "None"
        client.insert("c", [{"id": 1, "vector": [0.5] * DIM}])
        assert client.get_collection_stats("c") == {"row_count": 1}


SPAWNED = """
import multiprocessing, sys
from walvec import MilvusClient

def work(folder):
    with MilvusClient(folder) as client:
        client.insert("c", [{"id": 2, "vector": [1.0, 2.0]}])

if __name__ == "__main__":
    folder = sys.argv[1]
    with MilvusClient(folder) as client:
        client.create_collection("c", 2)
        client.insert("c", [{"id": 1, "vector": [1.0, 2.0]}])
        for method in ("spawn", "fork"):
            child = multiprocessing.get_context(method).Process(target=work, args=(folder,))
            child.start()
            child.join()
            print(child.exitcode, client.get_collection_stats("c")["row_count"])
            client.delete("c", [2])
"""


def test_children_of_multiprocessing_work_beside_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "spawned.py"
    script.write_text(SPAWNED)
    command = [sys.executable, str(script), str(tmp_path / "store")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["0", "2", "0", "2"]
