"""One write transaction, and the truth about a commit that raised."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lmdb
import pytest
from conftest import OpenStore
from lab import (
    Table,
    assert_state_is_replayed,
    file_maker,
    open_at,
    run_child,
    settle,
    state_data,
)

from walvec.segments.commands import Decision, flush
from walvec.segments.state import State
from walvec.segments.store import Store
from walvec.wal import failpoints
from walvec.wal.errors import (
    CommitFailedException,
    DiskFullException,
    StoreBrokenException,
    TimeoutException,
)


def test_a_commit_that_raised_and_was_not_stored_says_so_and_the_store_goes_on(
    store: Store,
) -> None:
    table = Table(store)
    table.insert([1])
    before = state_data(store)
    with (
        failpoints.arm("commit.before"),
        pytest.raises(CommitFailedException, match="nothing of this command was stored"),
    ):
        table.insert([2])
    assert state_data(store) == before
    assert table.texts() == {1: "1/0"}
    table.insert([3])
    assert sorted(table.texts()) == [1, 3]
    assert_state_is_replayed(store)


def test_a_commit_that_raised_and_was_stored_succeeds(open_store_at: OpenStore) -> None:
    store = open_store_at()
    table = Table(store)
    table.insert([1])
    with failpoints.arm("commit.after"):
        seq = table.insert([2])
    assert store.current().seq == seq
    assert sorted(table.texts()) == [1, 2]
    table.insert([3])
    assert_state_is_replayed(store)
    store.close()
    assert sorted(Table(open_store_at()).texts()) == [1, 2, 3]


@pytest.mark.parametrize("point", ["commit.before", "commit.after"])
def test_every_one_of_a_group_gets_the_right_answer(store: Store, point: str) -> None:
    table = Table(store)
    workers = 12
    barrier = threading.Barrier(workers)
    lock = threading.Lock()
    stored, refused = [], []

    def insert(number: int) -> None:
        barrier.wait(30)
        try:
            table.insert([number])
        except CommitFailedException:
            with lock:
                refused.append(number)
        else:
            with lock:
                stored.append(number)

    with failpoints.arm(point), ThreadPoolExecutor(workers) as threads:
        for future in [threads.submit(insert, n) for n in range(workers)]:
            future.result(60)
    assert len(stored) + len(refused) == workers
    assert bool(refused) == (point == "commit.before")
    assert sorted(table.texts()) == sorted(stored)
    assert_state_is_replayed(store)


def test_an_interrupt_after_the_publication_is_nobody_elses_and_what_is_stored_is_not_denied(
    store: Store,
) -> None:
    table = Table(store)
    workers = 12
    first_is_in = threading.Event()

    def await_the_others(name: str) -> None:
        first_is_in.set()
        deadline = time.monotonic() + 30
        while len(store._commits._queue) < workers - 1:
            assert time.monotonic() < deadline
            os.sched_yield()

    def interrupt(name: str) -> None:
        raise KeyboardInterrupt(name)

    def insert(number: int) -> type[BaseException] | None:
        # So that the first is alone in its group, and the others are together in theirs.
        assert number == 0 or first_is_in.wait(30)
        try:
            table.insert([number])
        except BaseException as error:
            return type(error)
        return None

    with (
        failpoints.arm("commit.begin", await_the_others),
        failpoints.arm("publish.after", interrupt, 2),
        ThreadPoolExecutor(workers) as threads,
    ):
        futures = [threads.submit(insert, n) for n in range(workers)]
        answers = [future.result(60) for future in futures]
    assert answers.count(KeyboardInterrupt) == 1
    assert answers.count(None) == workers - 1
    assert sorted(table.texts()) == list(range(workers))
    assert_state_is_replayed(store)


def test_an_error_before_the_commit_leaves_nothing_behind(open_store_at: OpenStore) -> None:
    store = open_store_at()
    table = Table(store)
    with failpoints.arm("commit.begin"), pytest.raises(StoreBrokenException, match="open it again"):
        table.insert([1])
    store.close()
    assert Table(open_store_at()).texts() == {}


def test_a_commit_whose_fate_cannot_be_found_out_is_not_said_to_be_undone(store: Store) -> None:
    table = Table(store)
    table.insert([1])
    settle(store)
    data = store.log.folder / "data.mdb"

    def take_away(name: str) -> None:
        data.rename(data.with_name("away"))
        raise OSError(errno.EIO, "the medium is gone")

    with failpoints.arm("commit.after", take_away), pytest.raises(StoreBrokenException) as told:
        table.insert([2])
    assert "a look at its rows tells" in told.value.message
    with pytest.raises(StoreBrokenException, match="open it again"):
        table.insert([3])
    store.close()
    data.with_name("away").rename(data)
    again = open_at(store.folder)
    assert sorted(Table(again).texts()) == [1, 2], "it was stored"
    again.close()


def test_after_a_commit_that_raised_a_seal_is_still_followed_by_its_files(store: Store) -> None:
    table = Table(store)
    table.insert([1, 2])
    settle(store)
    with failpoints.arm("commit.after"):
        table.flush()
    settle(store)
    (segment,) = state_data(store)["collections"][0]["segments"]
    assert segment["sealed"]
    assert "columns.wvc" in segment["files"]


@pytest.mark.parametrize("name", ["lock.mdb", "data.mdb"])
def test_a_replaced_log_is_noticed_before_anything_is_written(store: Store, name: str) -> None:
    table = Table(store)
    settle(store)
    file_maker(store).close()
    path = store.log.folder / name
    path.rename(path.with_name("old"))
    path.write_bytes(b"")
    size = path.with_name("old").stat().st_size
    with pytest.raises(StoreBrokenException, match="deleted or replaced"):
        table.insert([1])
    assert path.read_bytes() == b""
    assert path.with_name("old").stat().st_size == size


def test_a_full_map_grows_and_the_command_succeeds(
    open_store_at: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walvec.wal.environment.MAP_SIZE_BYTES", 1 << 20)
    store = open_store_at()
    assert store.log.env.info()["map_size"] == 1 << 20
    table = Table(store)
    for first in range(0, 60_000, 20_000):
        table.insert(range(first, first + 20_000))
    assert store.log.env.info()["map_size"] >= 2 << 20
    assert len(table.texts()) == 60_000
    assert_state_is_replayed(store)


READ_WHILE = """
import sys, threading
from pathlib import Path
from lab import Table, open_at
from walvec.segments.counting import count_rows
from walvec.wal import environment, failpoints
from walvec.wal.errors import CommitFailedException

environment.MAP_SIZE_BYTES = 1 << 20
store = open_at(Path(sys.argv[1]))
table = Table(store, load=False)
for first in range(0, 8000, 1000):
    table.insert(range(first, first + 1000))
done, counts = threading.Event(), set()

def read():
    while not done.is_set():
        store.counts.clear()
        counts.add(count_rows(store, table.info) % 1000)

threads = [threading.Thread(target=read) for _ in range(3)]
for thread in threads:
    thread.start()
for number in range(40):
    if sys.argv[2] == "grow":
        table.insert(range(10_000 + number * 2000, 12_000 + number * 2000))
        continue
    try:
        with failpoints.arm("commit.before"):
            table.insert([10_000])
    except CommitFailedException:
        print("refused")
done.set()
for thread in threads:
    thread.join()
print(counts)
store.close()
"""


@pytest.mark.parametrize("how", ["grow", "reopen"])
def test_the_map_may_move_while_other_threads_read(tmp_path: Path, how: str) -> None:
    lines = run_child(READ_WHILE, tmp_path / "store", how).stdout.splitlines()
    assert lines == ["refused"] * (40 if how == "reopen" else 0) + ["{0}"]


DISK_FULL = """
import os, resource, sys
from pathlib import Path
from lab import Table, assert_state_is_replayed, open_at, settle
from walvec.wal.errors import DiskFullException

store = open_at(Path(sys.argv[1]))
table = Table(store)
table.insert(range(10))
settle(store)
size = (Path(sys.argv[1]) / "log" / "data.mdb").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200_000, resource.RLIM_INFINITY))
refused = 0
for number in range(1, 12):
    try:
        table.insert(range(number * 1000, number * 1000 + 1000))
    except DiskFullException as error:
        assert error.code == 7, error
        assert "nothing of this command was stored" in error.message
        refused += 1
assert refused, "the limit was never reached"
stored = 10 + (11 - refused) * 1000
assert len(table.texts()) == stored
assert_state_is_replayed(store)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
table.insert(range(100_000, 101_000))
assert len(table.texts()) == stored + 1000
assert_state_is_replayed(store)
store.close()
print(stored + 1000)
"""


def test_a_full_disk_refuses_the_command_and_the_store_goes_on_when_there_is_room(
    tmp_path: Path, open_store_at: OpenStore
) -> None:
    stored = int(run_child(DISK_FULL, tmp_path / "store").stdout)
    assert len(Table(open_store_at()).texts()) == stored


class Failing:
    """A transaction whose commit raises, after it was stored or instead."""

    def __init__(self, txn: lmdb.Transaction, error: Exception) -> None:
        self._txn, self._error = txn, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._txn, name)

    def commit(self) -> None:
        """As LMDB does on an I/O error: the transaction is gone."""
        self._txn.abort()
        raise self._error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (lmdb.DiskError("no space"), DiskFullException),
        (OSError(28, "no space"), DiskFullException),
        (lmdb.Error("mdb_txn_commit: Input/output error"), CommitFailedException),
    ],
)
def test_an_io_error_is_a_full_disk_only_if_the_disk_is_full(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]
) -> None:
    table = Table(store)
    real = store.log.append

    class Once:
        left = 1

    begin = store.log.begin

    def failing(write: bool = False) -> Any:
        txn = begin(write)
        if write and Once.left:
            Once.left = 0
            return Failing(txn, error)
        return txn

    def append(txn: Any, *args: Any, **kwargs: Any) -> Any:
        return real(getattr(txn, "_txn", txn), *args, **kwargs)

    monkeypatch.setattr(store.log, "append", append)
    monkeypatch.setattr(store.log, "begin", failing)
    with pytest.raises(kind):
        table.insert([1])
    table.insert([2])
    assert table.texts() == {2: "2/0"}


def test_a_command_that_waits_too_long_is_not_done(store: Store) -> None:
    table = Table(store)
    entered, leave = threading.Event(), threading.Event()

    def slow(_: State) -> Decision:
        entered.set()
        assert leave.wait(30)
        return Decision([])

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(store.execute, slow)
        assert entered.wait(30)
        with pytest.raises(TimeoutException):
            store.execute(flush(table.id, "c"), timeout=0.05)
        leave.set()
        first.result(30)
    table.insert([1])
    assert table.texts() == {1: "1/0"}


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(),
    reason="signals go to the main thread",
)
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    "point", ["commit.begin", "commit.before", "commit.after", "publish.after"]
)
def test_an_interrupt_anywhere_in_a_commit_leaves_memory_and_log_in_accord(
    open_store_at: OpenStore, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    store = open_store_at()
    table = Table(store)
    table.insert([1])
    settle(store)

    def interrupt(name: str) -> None:
        if name == point:
            monkeypatch.undo()
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(5)

    monkeypatch.setattr(failpoints, "hit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        table.insert([2])
    wanted = [1, 2] if point in ("commit.after", "publish.after") else [1]
    assert sorted(table.texts()) == wanted
    assert_state_is_replayed(store)
    table.insert([3])
    assert sorted(table.texts()) == [*wanted, 3]
    store.close()
    assert sorted(Table(open_store_at()).texts()) == [*wanted, 3]
