"""The level "kill": real processes, real SIGKILLs, and stores that it must find wanting."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from notes_store import (
    POINTS,
    BadRecovery,
    Dying,
    Failing,
    Forgetful,
    Halving,
    Hanging,
    Notes,
    Threaded,
)

from walvec.crashlab import stopping
from walvec.crashlab.adapter import Adapter, Op, workload
from walvec.crashlab.judge import Judge, Verdict
from walvec.crashlab.kill import CALLS, KillLevel
from walvec.crashlab.level import Crash
from walvec.crashlab.stopping import Cut
from walvec.crashlab.walvec_adapter import WalvecAdapter
from walvec.wal import failpoints

OPS = workload(["note", "long"])


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder in memory, where it can be: the syncs of hundreds of runs are not what is tested."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


class Tried(NamedTuple):
    """A crash and what the judge says of it."""

    crash: Crash
    verdict: Verdict

    @property
    def wrong(self) -> str:
        return " ".join([*self.crash.wrong, *self.verdict.wrong])


def tried(level: KillLevel, scratch: Path, ops: tuple[Op, ...] = OPS) -> list[Tried]:
    """Every crash of a workload, judged."""
    judge = Judge(level.adapter)
    found = []
    for crash, folder in level.crashes(ops, scratch):
        found.append(Tried(crash, judge.judge(folder, crash.expectation)))
        shutil.rmtree(folder)
    assert not list(scratch.iterdir()), "a level leaves nothing beside what it yields"
    return found


def test_a_store_that_keeps_its_promises_is_killed_everywhere_and_nothing_is_found(
    scratch: Path,
) -> None:
    level = KillLevel(Notes(), 0)
    found = tried(level, scratch)
    assert [one for one in found if one.wrong] == []
    assert not level.limits
    at_points = [
        t.crash for t in found if t.crash.cut.startswith("failpoint") and ">" not in t[0].cut
    ]
    assert [c.cut for c in at_points] == [f"failpoint@{n}" for n in range(1, 8)]
    assert [c.point for c in at_points] == [
        f"failpoint {name}" for name in (POINTS[0], *POINTS[1:], *POINTS[1:])
    ]
    assert [c.during for c in at_points] == ["opening", *["note"] * 3, *["long"] * 3]
    assert [c.expectation.acked for c in at_points] == [0, 0, 0, 0, 1, 1, 1]
    places = {(t.crash.point, t.crash.during) for t in found}
    assert ("before write notes", "note") in places
    assert ("before fsync notes", "long") in places
    assert ("before ftruncate notes", "opening") in places
    assert any(t.crash.cut.count(">") == 1 and t.crash.during == "recovery" for t in found)
    assert any(t.crash.cut.count(">") == 2 for t in found)
    assert level.passed == {POINTS[0]: 1, **dict.fromkeys(POINTS[1:], 2)}


def test_the_system_call_at_which_a_process_is_killed_is_not_done(scratch: Path) -> None:
    level = KillLevel(Notes(), 0)
    marks = 3  # opening begun, open, the first operation begun
    sizes = []
    for number in (marks + 1, marks + 2):
        folder = scratch / str(number)
        folder.mkdir()
        crash = level.repeat(OPS, f"call:write@{number}", folder)
        assert (crash.expectation.acked, crash.expectation.tried) == (0, 1)
        sizes.append((folder / "notes").stat().st_size)
    assert sizes == [0, len('"note 1"\n')]


@pytest.mark.parametrize(
    ("adapter", "wrong", "kinds"),
    [
        (Forgetful(), "acknowledged and lost: note (1)", {"failpoint", "call"}),
        (Halving(), "the result of no first part", {"call"}),
    ],
)
def test_a_store_that_loses_what_it_acknowledged_is_found(
    scratch: Path, adapter: Adapter, wrong: str, kinds: set[str]
) -> None:
    found = [t for t in tried(KillLevel(adapter, 0), scratch) if t.wrong and ">" not in t[0].cut]
    assert any(wrong in one.wrong for one in found)
    assert kinds <= {one.crash.cut.split("@")[0].split(":")[0] for one in found}


def test_a_recovery_that_cannot_be_killed_is_found_by_killing_recoveries_alone(
    scratch: Path,
) -> None:
    found = [t.crash.cut for t in tried(KillLevel(BadRecovery(), 1), scratch) if t.wrong]
    assert found
    assert all(">" in cut for cut in found)


def test_a_cut_is_repeated(scratch: Path) -> None:
    level = KillLevel(Halving(), 0)
    first = next(t for t in tried(level, scratch) if t.wrong)
    folder = scratch / "again"
    folder.mkdir()
    crash = KillLevel(Halving(), 5).repeat(OPS, first.crash.cut, folder)
    assert crash == first.crash
    assert Judge(level.adapter).judge(folder, crash.expectation) == first.verdict


def test_a_cut_within_recoveries_is_repeated_and_expects_what_the_first_run_promised(
    scratch: Path,
) -> None:
    crash = KillLevel(Notes(), 0).repeat(OPS, "failpoint@5>call:fsync@1>failpoint@1", scratch)
    assert (crash.point, crash.during) == (f"failpoint {POINTS[0]}", "recovery")
    assert (crash.expectation.acked, crash.expectation.tried) == (1, 2)
    assert not crash.wrong


@pytest.mark.parametrize(
    "cut",
    [
        *("failpoint@8", "call:write@99", "call:mkdir@1", "failpoint@2>failpoint@2"),
        *("failpoint", "call:write", "nowhere@1", "", "failpoint@1>", "moment@60.0"),
    ],
)
def test_a_cut_that_is_none_or_is_not_reached_is_refused(scratch: Path, cut: str) -> None:
    with pytest.raises(ValueError, match=r"was not reached|is no cut"):
        KillLevel(Notes(), 0).repeat(OPS, cut, scratch)


@pytest.mark.parametrize("text", ["failpoint@3", "call:pwrite64@7", "moment@0.00312", "end"])
def test_a_cut_is_its_text(text: str) -> None:
    assert str(Cut.of(text)) == text


def test_a_process_is_killed_at_a_moment(scratch: Path) -> None:
    crash = KillLevel(Hanging(), 0).repeat(OPS, "moment@0.20000", scratch)
    assert (crash.point, crash.wrong) == ("a moment", ())
    assert crash.expectation.acked <= 1


@pytest.mark.parametrize(
    ("adapter", "wrong"),
    [
        (Failing(), "the process failed by itself"),
        (Dying(), "the process died of SIGUSR1"),
        (Hanging(), "the process hung"),
    ],
)
def test_an_error_that_is_not_of_the_cut_is_a_finding(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, adapter: Adapter, wrong: str
) -> None:
    monkeypatch.setattr(stopping, "DEADLINE_S", 1)
    (crash,) = [crash for crash, _ in KillLevel(adapter, 0).crashes(OPS, scratch)]
    assert (crash.cut, crash.during) == ("end", "long")
    assert wrong in crash.wrong[0]
    assert (crash.expectation.acked, crash.expectation.tried) == (1, 2)


def test_without_strace_the_rest_is_done_and_it_is_said(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    level = KillLevel(Notes(), 0)
    kinds = {t.crash.cut.split("@")[0] for t in tried(level, scratch)}
    assert "failpoint" in kinds
    assert not any("call" in kind for kind in kinds)
    assert level.limits == [
        "no process was killed at a system call: strace is missing: install it (apt install "
        "strace, dnf install strace)"
    ]


def test_a_failpoint_that_does_not_exist_is_an_error(scratch: Path) -> None:
    adapter = Notes()
    adapter.failpoints = ("notes.nowhere", *POINTS)
    with pytest.raises(ValueError, match=r"no failpoint notes\.nowhere"):
        next(KillLevel(adapter, 0).crashes(OPS, scratch))


def test_failpoints_that_somebody_else_has_armed_are_an_error(scratch: Path) -> None:
    failpoints.arm_from("checkpoint.before=error@77")
    try:
        with pytest.raises(ValueError, match=r"checkpoint\.before=error@77 is armed"):
            next(KillLevel(Notes(), 0).crashes(OPS, scratch))
    finally:
        failpoints._armed.clear()


def test_a_thread_is_killed_at_its_own_calls_and_failpoints(scratch: Path) -> None:
    found = tried(KillLevel(Threaded(), 0), scratch)
    assert [one for one in found if one.wrong] == []
    # The main thread makes one, and each of the two others the first of its own.
    fsyncs = [
        t.crash for t in found if t.crash.cut.startswith("call:fsync") and ">" not in t[0].cut
    ]
    assert [(c.cut, c.during) for c in fsyncs] == [("call:fsync@1", "opening")]
    assert f"failpoint {POINTS[3]}" in {t.crash.point for t in found}


def test_walvec_outlives_every_kill(scratch: Path) -> None:
    level = KillLevel(WalvecAdapter(), 0)
    found = tried(level, scratch, workload(["create"]))
    assert [one for one in found if one.wrong] == []
    assert {name for t in found for name in CALLS if f"before {name} " in t.crash.point} >= {
        *("pwrite64", "writev", "fdatasync", "fsync", "mkdir", "rename"),
    }


def test_where_threads_work_in_the_background_a_cut_that_is_not_reached_is_said(
    scratch: Path,
) -> None:
    level = KillLevel(WalvecAdapter(background=True), 0)
    with pytest.raises(ValueError, match="may be chance"):
        level.repeat(workload(["create"]), "failpoint@500", scratch)
