"""fork and spawn: a child gets a clear error and its parent goes on."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import OpenStore
from lab import DIM, Table, open_at

from walvec import MilvusClient
from walvec.segments.store import Store
from walvec.wal.errors import MilvusException, StoreBrokenException


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


def refused(call: Callable[[], object]) -> str:
    try:
        call()
    except StoreBrokenException as error:
        return error.message
    except MilvusException as error:
        return f"another error: {error}"
    return "no error"


def test_a_forked_child_is_refused_everywhere_and_the_parent_goes_on(store: Store) -> None:
    table = Table(store)
    table.insert([1])
    calls: list[Callable[[], object]] = [
        store.current,
        lambda: table.insert([2]),
        lambda: store.info("c"),
        store.log.begin,
        store.log.reopen,
    ]
    for call in calls:
        said = in_child(lambda call=call: refused(call))  # type: ignore[misc]
        assert f"was opened by process {os.getpid()}, which forked this one" in said
        assert "open the store in the child" in said
    table.insert([3])
    assert sorted(table.texts()) == [1, 3]


def test_many_forked_children_leave_the_parent_its_reader_slots(store: Store) -> None:
    table = Table(store)
    for _ in range(20):
        in_child(lambda: refused(store.current))
    readers = store.log.env.readers()
    assert str(readers).count(str(os.getpid())) <= 2
    table.insert([1])
    assert sorted(table.texts()) == [1]


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
    child = multiprocessing.get_context("spawn").Process(target=work, args=(folder,))
    child.start()
    child.join()
    with MilvusClient(folder) as client:
        print(child.exitcode, client.get_collection_stats("c")["row_count"])
"""


def test_a_spawned_child_works_once_the_parent_has_closed(tmp_path: Path) -> None:
    script = tmp_path / "spawned.py"
    script.write_text(SPAWNED)
    command = [sys.executable, str(script), str(tmp_path / "store")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["0", "2"]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_child_forked_while_threads_hold_locks_gets_its_error_at_once(store: Store) -> None:
    table = Table(store)
    with store._lock:
        said = in_child(lambda: refused(lambda: table.insert([1])))
    assert "forked" in said
