"""Faults of other processes: those that stand still or are killed in the midst of their work."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from walvec.crashlab import fault_store
from walvec.crashlab.fault_run import FaultFailed, FaultRun, fault
from walvec.crashlab.fault_store import EXPECTED, FURTHER, FaultStore, opened, texts_of
from walvec.crashlab.stage import Child, fork_child
from walvec.recovery.open import open_store
from walvec.segments.settings import Settings
from walvec.segments.store import Store
from walvec.wal import failpoints
from walvec.wal.errors import LockTimeoutException

BEFORE_COMMIT = ("commit.begin", "commit.before")
AFTER_COMMIT = ("commit.after", "publish.after")
LOCK_TIMEOUT_S = 0.2
PR_SET_PDEATHSIG = 1
THEIRS, OURS = range(7000, 7005), range(7100, 7105)
COMMITS = 60


class Peer:
    """A process beside this one, which comes to stand still. Killed at the end of the block."""

    def __init__(self, act: Callable[[], object]) -> None:
        """Run `act` there; on return it has stopped itself."""
        self._child: Child = fork_child(lambda _marks: _do(act))
        _, status = os.waitpid(self._child.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            raise FaultFailed(f"a process that was to stand still ended: status {status}")

    @property
    def pid(self) -> int:
        return self._child.pid

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def go_on(self) -> None:
        """Let it come to its end."""
        os.kill(self.pid, signal.SIGCONT)
        self._bury()

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._child.pid:
            self._child.kill()
            self._bury()

    def _bury(self) -> None:
        child, self._child = self._child, Child(0, 0)
        told, code = child.bury()
        if code not in (0, -signal.SIGKILL):
            raise FaultFailed(f"the other process ended with {code}: {told.error}")


def _do(act: Callable[[], object]) -> None:
    # Who stands still when its parent is gone would stand there for ever.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    act()


def _stand_still(_point: str = "") -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _writer_at(folder: Path, point: str, inherited: Store) -> Peer:
    """A process that stands still at a failpoint of its insert. It lets go of the handle that it
    inherits, and opens the store for itself."""

    def write() -> None:
        inherited.close()
        with opened(folder, background=False) as store, failpoints.arm(point, _stand_still):
            store.insert(THEIRS)

    return Peer(write)


def _patient(folder: Path, timeout_s: float) -> AbstractContextManager[FaultStore]:
    return opened(folder, lock_timeout_s=timeout_s, background=False)


def _rows(store: FaultStore, *more: range) -> None:
    """Raise FaultFailed unless a store holds what it held before, and these."""
    expected = dict(EXPECTED)
    for ids in more:
        expected |= texts_of(ids)
    found = store.texts()
    if found != expected:
        wrong = sorted(expected.keys() ^ found.keys())
        raise FaultFailed(f"of rows {wrong[:10]} some are lost, or there and may not be")


@fault(
    "writer-stopped-in-transaction",
    "A writer stands still within its write transaction: others read, open and close; a write "
    "is refused in time and names it; when it goes on, so does everything.",
)
def writer_stopped(lab: FaultRun) -> str:
    """At every failpoint of a commit, for handles opened before and while it stands."""
    folder = fault_store.copied(lab.scratch / "store")

    def meet(point: str, number: int) -> str:
        committed = point in AFTER_COMMIT
        mine = range(OURS.start + 10 * number, OURS.stop + 10 * number)
        before = open_store(folder, settings=Settings(lock_timeout_s=LOCK_TIMEOUT_S))
        with _writer_at(folder, point, before) as writer:
            said = _refused_write(FaultStore(before), writer.pid)
            _same(FaultStore(before), committed)
            before.close()
            with _patient(folder, LOCK_TIMEOUT_S) as later:
                _same(later, committed)
                _refused_write(later, writer.pid)
            writer.go_on()
        with _patient(folder, 10) as after:
            after.insert(mine)
            if not texts_of([*THEIRS, *mine]).items() <= after.texts().items():
                raise FaultFailed(f"{point}: rows of the one that went on, or later ones, are lost")
            after.delete([*THEIRS, *mine])
        return said

    points = (*BEFORE_COMMIT, *AFTER_COMMIT)
    said = [lab.in_child(partial(meet, point, n)) for n, point in enumerate(points)]
    return f"at {', '.join(points)}: {said[0]}"


def _same(store: FaultStore, committed: bool) -> None:
    """What a reader sees while a writer stands still: all or nothing of what that writes."""
    try:
        _rows(store)
    except FaultFailed:
        if not committed:
            raise
        _rows(store, THEIRS)


def _refused_write(store: FaultStore, holder: int) -> str:
    try:
        store.insert(OURS)
    except LockTimeoutException as error:
        if f"process {holder} " not in error.message:
            raise FaultFailed(f"the holder, {holder}, is not named: {error.message}") from error
        return error.message
    raise FaultFailed("a write beside a write transaction was not refused")


@fault(
    "writer-killed-in-transaction",
    "A writer is killed within its write transaction: the others go on at once; what it had not "
    "committed is not there, what it had committed is there whole.",
)
def writer_killed(lab: FaultRun) -> str:
    """At every failpoint of a commit."""

    def meet(folder: Path, point: str) -> None:
        with _patient(folder, 10) as store:
            _rows(store)
            _writer_at(folder, point, store.store).kill()
            there = (THEIRS,) if point in AFTER_COMMIT else ()
            _rows(store, *there)
            store.insert(OURS)
            _rows(store, OURS, *there)
        with _patient(folder, 10) as again:
            _rows(again, OURS, *there)

    points = (*BEFORE_COMMIT, *AFTER_COMMIT)
    for point in points:
        folder = fault_store.copied(lab.scratch / point)
        lab.in_child(partial(meet, folder, point))
    return f"at {', '.join(points)}: the next write was served at once"


@fault(
    "reader-stopped-or-killed",
    "A reader stands still within a read transaction and is killed there: writers go on all the "
    "time, and its place in LMDB's table of readers is free again.",
)
def reader_killed(lab: FaultRun) -> str:
    """One that only reads, one whose handle may write."""
    folder = fault_store.copied(lab.scratch / "store")

    def read(read_only: bool) -> None:
        with opened(folder, read_only=read_only, background=False) as store:
            with store.store.log.reading() as txn:
                before = store.store.log.last_seq(txn)
                _stand_still()
                if store.store.log.last_seq(txn) != before:
                    raise FaultFailed("a read transaction saw a later commit")
            if not texts_of(THEIRS).items() <= store.texts().items():
                raise FaultFailed("a reader that went on does not see what was committed")

    def meet() -> str:
        with Peer(lambda: read(True)), Peer(lambda: read(False)) as going_on:
            with _patient(folder, 10) as store:
                store.insert(THEIRS)
                for _ in range(COMMITS):
                    store.insert(OURS)
                    store.delete(OURS)
                _rows(store, THEIRS)
                grown = (folder / "log" / "data.mdb").stat().st_size
            going_on.go_on()
        with _patient(folder, 10) as store:
            store.insert(OURS)
            _rows(store, THEIRS, OURS)
            left = store.store.log.env.reader_check()
        if left:
            raise FaultFailed(f"{left} dead readers were still in the table after an open")
        return f"{2 * COMMITS + 1} commits beside them, the file then had {grown} bytes"

    said: str = lab.in_child(meet)
    lab.in_child(
        lambda: fault_store.require_full_service(folder, {**EXPECTED, **texts_of([*THEIRS, *OURS])})
    )
    return said


@fault(
    "maker-of-files-stopped",
    "A process that makes a segment's files stands still, then is killed: the others search "
    "without them, open and close, and make them when it is dead.",
)
def maker_stopped(lab: FaultRun) -> str:
    """With the lock of the segment taken, and before its file has its name."""
    points = ("build.after-lock", "build.before-rename")

    def make(folder: Path, point: str) -> None:
        with failpoints.arm(point, _stand_still), opened(folder) as store:
            store.settle()

    def meet(folder: Path, point: str) -> None:
        with Peer(lambda: make(folder, point)) as maker:
            with opened(folder) as store:
                store.insert([FURTHER])
                expected = {**EXPECTED, **texts_of([FURTHER])}
                if store.texts() != expected:
                    raise FaultFailed("other rows beside a process that stands still")
                store.seek(sorted(EXPECTED)[:5])
            maker.kill()
        fault_store.require_full_service(folder, expected)

    for point in points:
        folder = fault_store.copied(lab.scratch / point)
        for path in (folder / "segments").glob("*/*"):
            path.unlink()
        lab.in_child(partial(meet, folder, point))
    return f"at {' and '.join(points)}: searched without files, and made them after its death"
