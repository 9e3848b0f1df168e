"""Waiting for commits: told by the system or by looking, at once, without work while idle."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from walvec.wal import tail as tails
from walvec.wal.creation import create_log
from walvec.wal.entry import payload_of
from walvec.wal.errors import StoreClosedException
from walvec.wal.events import CollectionRenamed, StoreCreated
from walvec.wal.log import Log
from walvec.wal.tail import Tail

LONG_S = 20.0
"""A wait that is meant to end by something else."""
COMMIT = """
import sys, time
from pathlib import Path
from walvec.wal.events import CollectionRenamed
from walvec.wal.creation import create_log
from walvec.wal.log import Log, Position
log = Log(Path(sys.argv[1]))
for line in sys.stdin:
    with log.reading() as txn:
        after = log.position_at(txn, log.last_seq(txn))
    txn = log.begin(write=True)
    event = CollectionRenamed(1, "x")
    more = dict(timestamp=after.timestamp, request=bytes(16), more_follows=False)
    log.append(txn, after, event, None, **more)
    txn.commit()
    print(time.monotonic(), flush=True)
"""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    create_log(tmp_path / "log", StoreCreated(0, bytes(16), "test"), 5)
    opened = Log(tmp_path / "log")
    yield opened
    opened.close()


@pytest.fixture(params=["told", "looking"])
def tail(log: Log, request: pytest.FixtureRequest) -> Iterator[Tail]:
    """A tail with inotify (where the system has it), and one without."""
    told = request.param == "told"
    with Tail(log, notify=told) as made:
        assert made.notified == (told and sys.platform == "linux")
        yield made


@pytest.fixture
def other(log: Log) -> Iterator[subprocess.Popen[str]]:
    """A process that commits once for every line it is sent, and prints when it had."""
    with subprocess.Popen(
        [sys.executable, "-c", COMMIT, str(log.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        yield child
        child.communicate()


def commit(log: Log, size: int = 0) -> None:
    """One more entry, by this process."""
    with log.reading() as txn:
        after = log.position_at(txn, log.last_seq(txn))
    txn = log.begin(write=True)
    log.append(
        txn,
        after,
        CollectionRenamed(1, "x"),
        payload_of([bytes(size)]) if size else None,
        timestamp=after.timestamp,
        request=bytes(16),
        more_follows=False,
    )
    txn.commit()


def handles() -> int:
    """How many file descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_wait_ends_with_the_commit_of_another_process(
    log: Log, tail: Tail, other: subprocess.Popen[str]
) -> None:
    assert other.stdin is not None
    assert other.stdout is not None
    lags = []
    for number in range(20):
        seen = log.newest_txnid()
        other.stdin.write("go\n")
        other.stdin.flush()
        assert tail.wait(seen, LONG_S), f"commit {number}"
        ended = time.monotonic()
        assert log.newest_txnid() == seen + 1
        lags.append(ended - float(other.stdout.readline()))
    way = "inotify" if tail.notified else "looking"
    print(f"lag by {way}, ms: {', '.join(f'{lag * 1000:.2f}' for lag in sorted(lags))}")
    assert sorted(lags)[len(lags) // 2] < 2


def test_a_wait_ends_with_a_commit_of_another_thread(log: Log, tail: Tail) -> None:
    seen = log.newest_txnid()
    writer = threading.Thread(target=commit, args=(log,))
    writer.start()
    assert tail.wait(seen, LONG_S)
    writer.join()


def test_a_commit_before_the_wait_is_noticed_at_once(log: Log, tail: Tail) -> None:
    seen = log.newest_txnid()
    commit(log, 100_000)
    assert tail.wait(seen, 0)
    assert tail.wait(seen, LONG_S)
    assert not tail.wait(log.newest_txnid(), 0)


def test_a_wait_without_a_commit_ends_with_its_time(log: Log, tail: Tail) -> None:
    commit(log, 100_000)  # its events must not end the wait
    started = time.monotonic()
    assert not tail.wait(log.newest_txnid(), 0.1)
    assert time.monotonic() - started >= 0.1


def test_a_wait_is_ended_by_wake_and_by_close_from_another_thread(log: Log, tail: Tail) -> None:
    for end in (tail.wake, tail.close):
        answers: list[bool] = []
        thread = threading.Thread(
            target=lambda found=answers: found.append(tail.wait(log.newest_txnid()))
        )
        thread.start()
        deadline = time.monotonic() + LONG_S
        while not tail._waits:
            assert time.monotonic() < deadline
        end()
        thread.join(LONG_S)
        assert answers == [False]


def test_a_wake_before_the_wait_ends_it_once(log: Log, tail: Tail) -> None:
    for _ in range(100_000):  # more than a pipe holds
        tail.wake()
    started = time.monotonic()
    assert not tail.wait(log.newest_txnid(), LONG_S)
    assert time.monotonic() - started < LONG_S
    started = time.monotonic()
    assert not tail.wait(log.newest_txnid(), 0.1)
    assert time.monotonic() - started >= 0.1


def test_a_signals_handler_may_close_the_tail_of_its_own_thread(log: Log, tail: Tail) -> None:
    signal = pytest.importorskip("signal")
    before = signal.signal(signal.SIGALRM, lambda *_: tail.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert not tail.wait(log.newest_txnid(), LONG_S)
    finally:
        signal.signal(signal.SIGALRM, before)
    tail.wake()
    with pytest.raises(StoreClosedException):
        tail.wait(0)


def test_closing_releases_every_handle(log: Log) -> None:
    before = handles()
    for notify in (True, False):
        made = Tail(log, notify=notify)
        assert handles() > before
        made.wait(log.newest_txnid(), 0.01)
        made.close()
        made.close()
        made.wake()
        assert handles() == before


def test_an_idle_wait_looks_a_few_times_a_second_only(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    newest = log.newest_txnid()

    def counted(_: Log) -> int:
        nonlocal looks
        looks += 1
        return newest

    monkeypatch.setattr(Log, "newest_txnid", counted)
    with Tail(log) as told, Tail(log, notify=False) as looking:
        for tail, most in ((told, 5), (looking, 400)):
            looks = 0
            started = time.process_time()
            tail.wait(newest, 1.0)
            print(f"{looks} looks, {(time.process_time() - started) * 1000:.1f} ms of CPU in 1 s")
            assert looks <= most


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux'")
@pytest.mark.parametrize("call", ["inotify_init1", "inotify_add_watch"])
def test_without_an_instance_or_a_watch_left_the_log_is_looked_at(
    log: Log, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = handles()

    class Exhausted:
        def __getattr__(self, name: str) -> object:
            return self.fail if name == call else getattr(ctypes.CDLL(None), name)

        def fail(self, *_: object) -> int:
            ctypes.set_errno(errno.ENOSPC)
            return -1

    monkeypatch.setattr(tails, "_libc", Exhausted)
    with Tail(log) as tail:
        assert not tail.notified
        seen = log.newest_txnid()
        writer = threading.Thread(target=commit, args=(log,))
        writer.start()
        assert tail.wait(seen, LONG_S)
        writer.join()
    assert handles() == before


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs"])
def test_where_other_machines_write_the_log_is_looked_at(
    log: Log, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(tails, "file_system_of", lambda _: kind)
    with Tail(log) as tail:
        assert not tail.notified


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux'")
def test_a_watch_that_the_system_took_away_is_replaced_by_looking(log: Log) -> None:
    with Tail(log) as tail:
        before = handles()
        libc = tails._libc()
        assert libc.inotify_rm_watch(tail._inotify, 1) == 0  # as by unmounting
        assert not tail.wait(log.newest_txnid(), 0.05)
        assert not tail.notified
        assert handles() == before - 1
        seen = log.newest_txnid()
        writer = threading.Thread(target=commit, args=(log,))
        writer.start()
        assert tail.wait(seen, LONG_S)
        writer.join()


def test_a_commit_that_readers_cannot_see_yet_is_told_again_after_a_pause(
    log: Log, tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = log.newest_txnid()
    monkeypatch.setattr(Log, "newest_txnid", lambda _: seen + 1)
    assert tail.wait(seen, LONG_S)
    started = time.monotonic()
    for _ in range(20):
        assert tail.wait(seen, LONG_S)
    assert time.monotonic() - started >= 20 * tails.UNSYNCED_S * 0.9


def test_a_forked_child_waits_by_handles_of_its_own(log: Log, tail: Tail) -> None:
    shared = tail._poll
    child = os.fork()
    if not child:
        # Nothing but the tail is used: LMDB must not be.
        tail._leave_to_the_parent()
        os._exit(0 if tail._poll is not shared and tail._pid == os.getpid() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    seen = log.newest_txnid()
    commit(log)
    assert tail.wait(seen, LONG_S)
