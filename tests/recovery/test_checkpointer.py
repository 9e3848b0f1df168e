"""Checkpoints are written when they are due and at close, once for all processes, or not at all."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import OpenStore
from lab import Table, assert_state_is_replayed, open_at, replayed, run_child
from peer import Peer, wait_until

from walvec.recovery.checkpointer import BYTES_PER_EVENT, Checkpointer
from walvec.recovery.open import LOG, open_store
from walvec.segments.state import digest
from walvec.segments.store import Settings, Store
from walvec.wal import failpoints
from walvec.wal.checkpoints import checkpoint_seqs, read_checkpoint
from walvec.wal.log import Log


def saved(store: Store) -> list[int]:
    """The seqs of the checkpoints, oldest first; each is that of a replay."""
    with store.log.reading() as txn:
        return checkpoint_seqs(store.log, txn)[::-1]


def saved_in(folder: Path) -> list[int]:
    log = Log(folder / LOG, read_only=True)
    try:
        with log.reading() as txn:
            return checkpoint_seqs(log, txn)[::-1]
    finally:
        log.close()


def wait_for(store: Store, holds: Callable[[list[int]], bool], what: str) -> None:
    wait_until(lambda: holds(saved(store)), f"{what}, there are {saved(store)}")


def newest_reaches(seq: int) -> Callable[[list[int]], bool]:
    return lambda seqs: bool(seqs) and seqs[-1] >= seq


# At intervals


def test_one_is_written_after_so_many_events(open_store_at: OpenStore) -> None:
    store = open_store_at(checkpoint_events=20)
    table = Table(store)
    assert store.current().seq == 4
    for number in range(15):
        table.insert([number])
    assert saved(store) == []
    table.insert([15])
    wait_for(store, newest_reaches(20), "a checkpoint at entry 20")
    assert saved(store) == [20]
    for number in range(19):
        table.insert([number])
    assert saved(store) == [20]
    table.insert([0])
    wait_for(store, newest_reaches(40), "a checkpoint at entry 40")
    assert saved(store) == [20, 40]
    with store.log.reading() as txn:
        checkpoint, _ = read_checkpoint(store.log, txn, 40)
    assert checkpoint.state_digest == store.with_state(digest) == digest(replayed(store.log))


def test_one_is_written_after_so_many_bytes_of_rows(open_store_at: OpenStore) -> None:
    store = open_store_at(checkpoint_bytes=50_000)
    table = Table(store)
    for number in range(5):
        table.insert(range(100 * number, 100 * number + 100))
    assert saved(store) == []
    for number in range(15):
        table.insert(range(100 * number, 100 * number + 100))
    wait_for(store, newest_reaches(8), "a checkpoint after 50,000 bytes")


def test_none_is_written_oftener_than_its_size_allows(open_store_at: OpenStore) -> None:
    store = open_store_at(checkpoint_events=10)
    table = Table(store)
    for number in range(6):
        table.insert([number])
    wait_for(store, newest_reaches(10), "the first checkpoint")
    assert saved(store) == [10]
    [worker] = [w for w in store.watchers if isinstance(w, Checkpointer)]
    wait_until(lambda: worker._base == 10, "it is noted")
    # As if it had been of 2048 bytes for each of 40 events.
    worker._size = 40 * BYTES_PER_EVENT
    for number in range(39):
        table.insert([number])
    assert store.current().seq == 49
    assert worker._share(49) < 1
    assert saved(store) == [10]
    table.insert([1])
    wait_for(store, newest_reaches(50), "a checkpoint after 40 events")


def test_what_is_due_from_before_is_written_at_the_next_open(tmp_path: Path) -> None:
    with killed_writer(tmp_path / "store", events=40):
        pass
    assert saved_in(tmp_path / "store") == []
    store = open_at(tmp_path / "store", checkpoint_events=20)
    wait_for(store, newest_reaches(44), "a checkpoint without any write")
    assert_state_is_replayed(store)
    store.close()


@contextmanager
def killed_writer(folder: Path, events: int) -> Iterator[None]:
    """A store that a process has written that many rows to before it was killed."""
    code = f"""
import os, signal, sys
from pathlib import Path
from lab import Table, open_at
table = Table(open_at(Path(sys.argv[1])))
for number in range({events}):
    table.insert([number])
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run_child(code, folder, check=False).returncode == -signal.SIGKILL
    yield


# At close


def test_one_is_written_at_close_and_the_next_open_reads_no_entry(
    tmp_path: Path, open_store_at: OpenStore
) -> None:
    store = open_store_at()
    Table(store).insert([1])
    last = store.current().seq
    store.close()
    assert saved_in(tmp_path / "store") == [last]
    again = open_store_at()
    assert again.current().seq == last
    assert_state_is_replayed(again)
    again.close()
    assert saved_in(tmp_path / "store") == [last], "nothing new, nothing written"


def test_a_close_after_reading_alone_writes_none(tmp_path: Path) -> None:
    with killed_writer(tmp_path / "store", events=5):
        pass
    for read_only in (True, False):
        store = open_at(tmp_path / "store", read_only=read_only)
        assert sorted(Table(store).texts()) == list(range(5))
        store.close()
    assert saved_in(tmp_path / "store") == []


def test_without_background_work_none_is_written(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store", settings=Settings(checkpoint_events=2), background=False)
    table = Table(store)
    for number in range(10):
        table.insert([number])
    store.close()
    assert saved_in(tmp_path / "store") == []


def test_a_close_does_not_wait_long_for_a_writer(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    open_at(folder).close()
    holder = Peer(folder)
    try:
        store = open_at(folder)
        Table(store).insert([1])
        holder.run("lock = store()._writer_lock.held(); lock.__enter__()")
        start = os.times().elapsed
        store.close()
        assert os.times().elapsed - start < 5
        holder.run("lock.__exit__(None, None, None)")
    finally:
        holder.end()
    store = open_at(folder)
    assert sorted(Table(store).texts()) == [1]
    store.close()


# Killed


@pytest.mark.parametrize("point", ["checkpoint.before", "checkpoint.after"])
@pytest.mark.parametrize("arrival", [1, 2])
def test_killed_while_one_is_written_everything_is_there_and_the_next_is_written(
    tmp_path: Path, point: str, arrival: int
) -> None:
    code = """
import sys
from pathlib import Path
from lab import Table, open_at
store = open_at(Path(sys.argv[1]), checkpoint_events=10)
table = Table(store)
for number in range(10_000):
    table.insert([number])
    print(number, flush=True)
"""
    done = run_child(
        *(code, tmp_path / "store"), check=False, WALVEC_FAILPOINTS=f"{point}=kill@{arrival}"
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    acknowledged = len(done.stdout.split())
    before = saved_in(tmp_path / "store")
    assert len(before) == arrival - (point == "checkpoint.before")
    store = open_at(tmp_path / "store", checkpoint_events=10)
    table = Table(store)
    assert set(range(acknowledged)) <= set(table.texts()) <= set(range(acknowledged + 1))
    assert_state_is_replayed(store)
    last = store.current().seq
    for number in range(30):
        table.insert([number])
    wait_for(store, newest_reaches(last + 10), "a checkpoint after the kill")
    store.close()


# Failure


def test_a_failure_is_said_once_disturbs_nothing_and_it_is_tried_again(
    open_store_at: OpenStore, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store_at(checkpoint_events=10)
    table = Table(store)
    with caplog.at_level(logging.WARNING, "walvec"):
        for due in (10, 13):
            with failpoints.arm("checkpoint.before"):
                while store.current().seq < due:
                    table.insert([1])
                wait_until(
                    lambda: "checkpoint.before" not in failpoints._armed, "a checkpoint fails"
                )
        said = [m for m in caplog.messages if "cannot be written" in m]
    assert len(said) == 1
    assert saved(store) == []
    for number in range(20):
        table.insert([number])
    wait_for(store, newest_reaches(20), "a checkpoint after two failures")
    assert sorted(table.texts()) == list(range(20))
    assert_state_is_replayed(store)


def test_a_failure_at_close_is_not_raised(tmp_path: Path) -> None:
    store = open_at(tmp_path / "store")
    Table(store).insert([1])
    with failpoints.arm("checkpoint.before"):
        store.close()
    assert saved_in(tmp_path / "store") == []


# Many processes


def test_many_processes_write_about_one_for_all(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    open_at(folder).close()
    code = """
import sys
from pathlib import Path
import walvec.recovery.checkpointer as writing
from lab import Table, open_at
encoded = 0
encode = writing.encode_state
def counting(state):
    global encoded
    encoded += 1
    return encode(state)
writing.encode_state = counting
store = open_at(Path(sys.argv[1]), checkpoint_events=50)
table = Table(store, sys.argv[2])
sys.stdin.readline()
for number in range(300):
    table.insert([number])
print(encoded, store.current().seq)
sys.stdin.readline()
store.close()
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", code, str(folder)]
    writers = [
        subprocess.Popen(
            [*command, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name in "abc"
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    encoded = 0
    for writer in writers:
        assert writer.stdout is not None
        encoded += int(writer.stdout.readline().split()[0])
    for writer in writers:
        writer.communicate("end\n", timeout=60)
        assert writer.returncode == 0
    store = open_at(folder)
    last = store.current().seq
    # Each of 3 for itself would be 3 * 18.
    assert 6 <= encoded <= 1.5 * last / 50
    assert_state_is_replayed(store)
    store.close()


def test_one_that_was_killed_before_it_wrote_is_replaced_by_another(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = open_at(folder, checkpoint_events=40)
    table = Table(store)
    settings = {"checkpoint_events": 40}
    other = Peer(folder, **settings)
    other.run("t = lab.Table(store()); failpoints._arm(['checkpoint.before'], 'kill', 1)")
    while store.current().seq < 38:
        table.insert([1])
    # Its commit reaches the mark, so it is its turn; it dies of that.
    other.send("run", "[t.insert([i]) for i in range(5000)]", {})
    wait_until(lambda: other.process.poll() is not None, "the other one dies")
    other.bury()
    before = store.current().seq
    assert before >= 40
    assert saved(store) == []
    for number in range(40):
        table.insert([number])
    wait_for(store, newest_reaches(40), "a checkpoint by the one that lives")
    assert_state_is_replayed(store)
    store.close()


def test_a_forked_child_writes_its_own(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from lab import Table, open_at
from peer import wait_until
from walvec.wal.checkpoints import checkpoint_seqs
store = open_at(Path(sys.argv[1]), checkpoint_events=10)
table = Table(store)
table.insert([1])
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    os._exit(0)
def saved():
    with store.log.reading() as txn:
        return checkpoint_seqs(store.log, txn)
for number in range(10):
    table.insert([number])
wait_until(saved, "a checkpoint by the child")
store.close()
assert saved
os._exit(0)
"""
    run_child(code, tmp_path / "store")
    assert saved_in(tmp_path / "store")[-1] == 15
