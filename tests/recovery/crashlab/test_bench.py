"""The bench counts a state once, and never takes one as known that might be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from walvec.crashlab.adapter import Adapter, Op, workload
from walvec.crashlab.bench import Bench
from walvec.crashlab.judge import Expectation
from walvec.crashlab.level import Crash
from walvec.crashlab.result import Result
from walvec.crashlab.trial import Trial

FILE = "words"


class Words(Adapter):
    """A file of words: "two" writes a word, and then another one."""

    commands = ("two", "one")
    volatile = frozenset({"lock"})

    def open(self, folder: Path) -> Path:
        return folder / FILE

    def apply(self, handle: Path, op: Op) -> None:
        words = [*self.state(handle), *self._words(op)]
        handle.write_text(" ".join(words))

    def _words(self, op: Op) -> list[str]:
        return [f"{op.number}", "more"] if op.name == "two" else [f"{op.number}"]

    def state(self, handle: Path) -> list[str]:
        return handle.read_text().split() if handle.exists() else []

    def model(self, ops: Sequence[Op]) -> list[str]:
        return [word for op in ops for word in self._words(op)]

    def between(self, ops: Sequence[Op]) -> list[Any]:
        return [self.model(ops)[:-1]] if ops[-1].name == "two" else []

    def close(self, handle: Path) -> None:
        """Nothing is open."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "scratch").mkdir()
    made = Bench(Words(), Result("words", "", 0), tmp_path / "scratch")
    try:
        yield made
    finally:
        made.close()


def put(
    bench: Bench, folder: Path, text: str, acked: int, tried: int, *wrong: str, lock: str = ""
) -> None:
    """Have this content of the file judged."""
    folder.mkdir()
    (folder / FILE).write_text(text)
    (folder / "lock").write_text(lock)
    ops = workload(["two", "one"])
    crash = Crash("end", "somewhere", "two", Expectation(ops, acked, tried), wrong)
    bench.put(Trial("kill", "", ops, crash, folder=folder))
    bench.finish()


def told(bench: Bench) -> list[str]:
    return [line for finding in bench.findings for line in finding.verdict.wrong]


def test_what_a_level_has_found_is_told_where_the_state_on_disk_is_known(
    bench: Bench, tmp_path: Path
) -> None:
    put(bench, tmp_path / "1", "1 more", 1, 1)
    assert told(bench) == []
    put(bench, tmp_path / "2", "1 more", 1, 1, "the handle showed something else")
    assert told(bench) == ["the handle showed something else"]
    assert (bench.result.states, bench.result.failed_states) == (1, 1)


def test_a_state_between_two_is_not_known_where_it_may_not_be(bench: Bench, tmp_path: Path) -> None:
    put(bench, tmp_path / "1", "1", 0, 1)
    assert told(bench) == []
    put(bench, tmp_path / "2", "1", 0, 0)
    assert told(bench) == [
        "what is found is the result of no first part of the 0 operations attempted"
    ]


def test_a_known_state_is_judged_anew_where_more_is_expected_of_it(
    bench: Bench, tmp_path: Path
) -> None:
    put(bench, tmp_path / "1", "1 more", 1, 1)
    put(bench, tmp_path / "2", "1 more", 2, 2)
    assert told(bench) == ["acknowledged and lost: one (2)"]


def test_two_states_that_differ_in_what_decides_nothing_are_one(
    bench: Bench, tmp_path: Path
) -> None:
    put(bench, tmp_path / "1", "1 more", 1, 1, lock="a")
    put(bench, tmp_path / "2", "1 more", 1, 2, lock="b")
    put(bench, tmp_path / "3", "1 more 2", 1, 2)
    assert (bench.result.states, bench.result.tries, told(bench)) == (2, 3, [])
