"""The oracle: what it accepts, and that it notices each kind of broken promise."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from walvec.crashlab import checkers as checking
from walvec.crashlab.adapter import Adapter, Op, workload
from walvec.crashlab.checkers import Checkers, Task
from walvec.crashlab.judge import Expectation, Judge, Verdict
from walvec.crashlab.plain_adapter import SyncedFileAdapter


class Lines(Adapter):
    """A file of lines; what each line says decides how its reader behaves."""

    commands = ("put", "drop")

    def open(self, folder: Path) -> Path:
        path = folder / "lines"
        path.touch()
        if "die" in path.read_text():
            os.kill(os.getpid(), signal.SIGSEGV)
        while "hang" in path.read_text():
            time.sleep(1)
        return path

    def apply(self, handle: Path, op: Op) -> None:
        with handle.open("a") as file:
            file.write(f"{op.name}{op.number}\n")

    def state(self, handle: Path) -> Any:
        return handle.read_text().split()

    def close(self, handle: Path) -> None:
        if "wander" in handle.read_text():
            self.apply(handle, Op("put", 9))

    def check(self, handle: Path) -> list[str]:
        return ["a line is odd"] if "odd" in handle.read_text() else []

    def between(self, ops: Any) -> list[Any]:
        return [["half"]] if ops[-1].name == "drop" else []


OPS = workload(["put", "put", "put"])


def judged(folder: Path, lines: str, acked: int, tried: int, **more: Any) -> Verdict:
    (folder / "lines").write_text("".join(f"{line}\n" for line in lines.split()))
    return Judge(Lines()).judge(folder, Expectation(OPS[:tried], acked, tried, **more))


@pytest.mark.parametrize("stored", ["put1", "put1 put2"])
def test_what_was_acknowledged_with_or_without_what_was_under_way_is_right(
    tmp_path: Path, stored: str
) -> None:
    verdict = judged(tmp_path, stored, 1, 2)
    assert verdict == Verdict((), len(stored.split()), repr(stored.split()))


@pytest.mark.parametrize(
    ("stored", "wrong"),
    [
        ("", "acknowledged and lost: put (1)"),
        ("put1 put2 put3", "what is found is the result of no first part"),
        ("put2", "what is found is the result of no first part"),
        ("put1 pu", "what is found is the result of no first part"),
        ("put1 put1", "what is found is the result of no first part"),
        ("put1 odd", "a line is odd"),
    ],
)
def test_whatever_else_is_found_is_wrong(tmp_path: Path, stored: str, wrong: str) -> None:
    verdict = judged(tmp_path, stored, 1, 2)
    assert wrong in "\n".join(verdict.wrong)
    assert verdict.expected == ("['put1', 'put2']", "['put1']")
    assert verdict.found == repr(stored.split())


def test_what_may_be_lost_may_be_lost_and_not_more(tmp_path: Path) -> None:
    assert judged(tmp_path, "put1", 2, 2, may_lose=1).ok
    assert not judged(tmp_path, "", 2, 2, may_lose=1).ok


def test_a_state_between_two_is_right_while_its_operation_is_under_way(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("half\n")
    ops = workload(["drop"])
    assert Judge(Lines()).judge(tmp_path, Expectation(ops, 0, 1)).ok
    (tmp_path / "lines").write_text("half\n")
    assert not Judge(Lines()).judge(tmp_path, Expectation(ops, 1, 1)).ok


def test_a_store_that_changes_by_being_closed_is_wrong(tmp_path: Path) -> None:
    class Wandering(Lines):
        def close(self, handle: Path) -> None:
            self.apply(handle, Op("put", 9))

        def model(self, ops: Any) -> Any:
            return [f"put{op.number}" for op in ops]

    (tmp_path / "lines").write_text("put1\n")
    verdict = Judge(Wandering()).judge(tmp_path, Expectation(OPS, 1, 2))
    assert "opened again it holds something else" in verdict.wrong[0]


def test_a_store_that_takes_no_further_operation_is_wrong(tmp_path: Path) -> None:
    class Full(Lines):
        def apply(self, handle: Path, op: Op) -> None:
            if handle.read_text():
                raise OSError("full")
            super().apply(handle, op)

    (tmp_path / "lines").write_text("put1\n")
    verdict = Judge(Full()).judge(tmp_path, Expectation(OPS, 1, 1))
    assert verdict.wrong == ("opening it once more failed: OSError: full",)


def test_an_adapter_that_fails_without_a_crash_is_told_so(tmp_path: Path) -> None:
    class Unreadable(SyncedFileAdapter):
        def model(self, ops: Any) -> Any:
            raise NotImplementedError

        def state(self, handle: Any) -> Any:
            raise KeyError("nope")

    verdict = Judge(Unreadable()).judge(tmp_path, Expectation((), 0, 0))
    said = "doing the same operations in an empty folder, without a crash, failed: KeyError: 'nope'"
    assert verdict.wrong == (said,)


def test_a_state_that_does_not_compare_is_told_so(tmp_path: Path) -> None:
    class Objects(SyncedFileAdapter):
        def state(self, handle: Any) -> Any:
            return object()

    verdict = Judge(Objects()).judge(tmp_path, Expectation((), 0, 0))
    assert verdict.wrong[-1].startswith("read twice it is not equal")


def test_a_fingerprint_that_the_run_saw_must_come_back(tmp_path: Path) -> None:
    class Printed(Lines):
        def fingerprint(self, handle: Path) -> tuple[str, str]:
            return str(len(self.state(handle))), "new"

    for seen, ok in ((("1", "new"), True), (("2", "old"), True), (("1", "old"), False)):
        (tmp_path / "lines").write_text("put1\n")
        expectation = Expectation(OPS, 1, 1, fingerprints=(seen,))
        verdict = Judge(Printed()).judge(tmp_path, expectation)
        assert verdict.ok is ok, verdict


def tasks(pool: Checkers, *contents: str) -> list[Task]:
    made = []
    for content in contents:
        folder = pool.place()
        (folder / "lines").write_text(f"{content}\n" if content else "")
        made.append(Task(folder, Expectation(OPS, 0, 2), content))
    return made


def all_judged(pool: Checkers, *contents: str) -> dict[str, Verdict]:
    found = []
    for task in tasks(pool, *contents):
        found += pool.submit(task)
    found += pool.drain()
    assert len(found) == len(contents)
    return {task.subject: verdict for task, verdict in found}


def test_a_checker_that_dies_is_a_verdict_and_the_others_are_judged(tmp_path: Path) -> None:
    pool = Checkers(Lines(), tmp_path, 2)
    try:
        found = all_judged(pool, "", "die", "put1", "die put1", "put1\nput2", "put2")
    finally:
        pool.close()
    assert {content: verdict.ok for content, verdict in found.items()} == {
        "": True,
        "put1": True,
        "put1\nput2": True,
        "die": False,
        "die put1": False,
        "put2": False,
    }
    assert found["die"].wrong == ("judging it killed the process: SIGSEGV",)
    assert not any(path.name != "lines" for path in tmp_path.rglob("*"))


def test_a_checker_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "DEADLINE_S", 0.3)
    pool = Checkers(Lines(), tmp_path, 1)
    try:
        found = all_judged(pool, "hang", "put1")
    finally:
        pool.close()
    assert "was not done in 0.3 s" in found["hang"].wrong[0]
    assert found["put1"].ok
