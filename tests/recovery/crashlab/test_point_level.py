"""The level "point": errors raised in process, and handles that must know what became of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import handles_into
from notes_store import POINTS, Blind, Failing, Hanging, InTheWay, Lying, Notes, Threaded, Wrecked

from walvec.crashlab import stopping
from walvec.crashlab.adapter import Adapter, Op, workload
from walvec.crashlab.judge import Judge, Verdict
from walvec.crashlab.level import Crash
from walvec.crashlab.points import ERRORS, PointLevel
from walvec.crashlab.walvec_adapter import WalvecAdapter
from walvec.wal import failpoints

OPS = workload(["note", "long"])
ARRIVALS = 7


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


def tried(adapter: Adapter, scratch: Path, ops: tuple[Op, ...] = OPS) -> list[Tried]:
    """Every crash of a workload, judged."""
    judge = Judge(adapter)
    found = []
    for crash, folder in PointLevel(adapter, 0).crashes(ops, scratch):
        found.append(Tried(crash, judge.judge(folder, crash.expectation)))
        shutil.rmtree(folder)
    assert not list(scratch.iterdir()), "a level leaves nothing beside what it yields"
    return found


def test_every_error_is_raised_at_every_arrival_and_a_good_store_is_not_blamed(
    scratch: Path,
) -> None:
    found = tried(Notes(), scratch)
    assert [one for one in found if one.wrong] == []
    cuts = [f"{kind}@{n}" for kind in ERRORS for n in range(1, ARRIVALS + 1)]
    assert [one.crash.cut for one in found] == cuts
    points = [f"failpoint {name}" for name in (POINTS[0], *POINTS[1:], *POINTS[1:])]
    assert [one.crash.point for one in found] == points * len(ERRORS)
    places = ["opening", *["note"] * 3, *["long"] * 3]
    assert [one.crash.during for one in found] == places * len(ERRORS)


def test_the_laboratorys_own_process_has_no_part_in_it(scratch: Path) -> None:
    before = failpoints.registered()
    folder = scratch / "store"
    folder.mkdir()
    crash = PointLevel(Notes(), 0).repeat(OPS, "error@3", folder)
    assert crash.point
    assert failpoints._armed == {}
    assert failpoints.registered() == before
    assert handles_into(folder) == []


def test_a_handle_that_goes_on_blindly_is_found_by_what_it_leaves(scratch: Path) -> None:
    found = [one for one in tried(Blind(), scratch) if one.wrong]
    assert {one.crash.point for one in found} == {"failpoint notes.before-sync"}
    assert {one.crash.cut.split("@")[0] for one in found} == set(ERRORS)
    assert "the result of no first part" in found[0].wrong


def test_a_handle_that_lies_is_found(scratch: Path) -> None:
    found = {one.crash.cut: one for one in tried(Lying(), scratch) if one.wrong}
    errors = {cut for cut in found if cut.startswith("error")}
    assert errors == {"error@2", "error@4", "error@5", "error@7"}
    # Acknowledged before it was written, and then never written.
    assert "the result of no first part of the 3 operations" in found["error@2"].wrong
    # Written, and then once more noted by the handle.
    (seen,) = found["error@4"].crash.wrong
    assert seen.startswith("the handle, after the error at notes.after-sync: it shows")


def test_a_handle_that_fails_in_words_of_nobodys_or_cannot_be_closed_is_found(
    scratch: Path,
) -> None:
    crash = PointLevel(Wrecked(), 0).repeat(OPS, "error@2", scratch)
    start = "the handle, after the error at notes.before-write: "
    end = ", which does not say that it has to be opened again"
    assert crash.wrong == (
        f"{start}reading from it failed with RuntimeError: no idea{end}",
        f"{start}closing it failed with OSError: it cannot be closed{end}",
    )


def test_an_opening_that_failed_and_is_in_the_way_of_the_next_is_found(scratch: Path) -> None:
    found = [one for one in tried(InTheWay(), scratch) if one.crash.wrong]
    assert [one.crash.cut for one in found] == [f"{kind}@1" for kind in ERRORS]
    assert "opening it once more failed with RuntimeError: open already" in found[0].wrong


@pytest.mark.parametrize(
    ("adapter", "wrong"),
    [(Failing(), "the process failed by itself"), (Hanging(), "the process hung")],
)
def test_an_error_that_was_not_raised_by_the_level_is_a_finding(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, adapter: Adapter, wrong: str
) -> None:
    monkeypatch.setattr(stopping, "DEADLINE_S", 1)
    crashes = [crash for crash, _ in PointLevel(adapter, 0).crashes(OPS, scratch)]
    blamed = [crash for crash in crashes if crash.wrong]
    # The errors at the four arrivals before it are no findings.
    assert crashes[-1] in blamed
    assert wrong in blamed[-1].wrong[0]
    assert blamed[-1].during == "long"


@pytest.mark.parametrize("cut", ["error@8", "memory@99", "error", "error@0", "failpoint@1", ""])
def test_a_cut_that_is_none_or_is_not_reached_is_refused(scratch: Path, cut: str) -> None:
    with pytest.raises(ValueError, match=r"was not reached|is no cut"):
        PointLevel(Notes(), 0).repeat(OPS, cut, scratch)


def test_a_cut_is_repeated(scratch: Path) -> None:
    first = next(one for one in tried(Blind(), scratch) if one.wrong)
    folder = scratch / "again"
    folder.mkdir()
    crash = PointLevel(Blind(), 5).repeat(OPS, first.crash.cut, folder)
    assert crash == first.crash
    assert Judge(Blind()).judge(folder, crash.expectation) == first.verdict


def test_an_error_in_another_thread_is_judged_too(scratch: Path) -> None:
    found = tried(Threaded(), scratch)
    # Nobody tells the caller, who takes for written what is not.
    assert {one.crash.cut for one in found if one.wrong} >= {"error@2", "memory@5"}


def test_a_store_without_failpoints_is_a_limit_and_a_name_that_is_none_an_error(
    scratch: Path,
) -> None:
    adapter = Notes()
    adapter.failpoints = ()
    level = PointLevel(adapter, 0)
    assert list(level.crashes(OPS, scratch)) == []
    assert level.limits == ["no error was raised at a failpoint: the adapter names none"]
    adapter.failpoints = ("notes.nowhere",)
    with pytest.raises(ValueError, match=r"no failpoint notes\.nowhere"):
        next(PointLevel(adapter, 0).crashes(OPS, scratch))


def test_walvec_knows_what_became_of_every_error(scratch: Path) -> None:
    found = tried(WalvecAdapter(), scratch, workload(["create", "insert", "flush"]))
    assert [one for one in found if one.wrong] == []
    assert {one.crash.point for one in found} >= {
        f"failpoint {name}"
        for name in ("create.half-made", "open.after-fold", "commit.after", "side.after")
    }
