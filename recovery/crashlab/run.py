"""A recorded run: what was done to the files, and what may be expected after each part of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from walvec.crashlab import operation
from walvec.crashlab.adapter import Op
from walvec.crashlab.judge import Expectation
from walvec.crashlab.operation import Operation, Recording
from walvec.crashlab.stage import PLACES, Told, during


class Run(NamedTuple):
    """A recorded run. Of a recovery also the cut before it, and what was expected there."""

    ops: tuple[Op, ...]
    recording: Recording
    told: Told
    trace: str
    before: str = ""
    expectation: Expectation | None = None

    def expected(self, at: int, may_lose: int) -> tuple[Expectation, str]:
        """What may be expected after `at` operations, and what was under way."""
        if self.expectation is not None:
            return self.expectation, "recovery"
        tried = acked = 0
        under_way = ""
        for mark in self.recording.operations[:at]:
            if mark.kind == operation.TRY:
                tried = max(tried, mark.number)
                under_way = PLACES.get(mark.number, str(mark.number))
            elif mark.kind == operation.ACK:
                acked = max(acked, mark.number)
                under_way = ""
        seen = self.told.fingerprints
        expectation = Expectation(self.ops[:tried], acked, tried, may_lose, seen)
        return expectation, during(Told(under_way=under_way), self.ops)

    def trouble(self, at: int) -> tuple[str, ...]:
        """What had gone wrong after `at` operations, though nothing had been done to the run."""
        error = self.recording.error
        if not error or at < len(self.recording.operations):
            return ()
        return (f"the run failed without a crash: {error}",)

    def volatile_files(self, patterns: frozenset[str]) -> set[int]:
        """The numbers of the files that decide nothing, whatever they were called."""
        named = list(self.recording.files.items())
        for done in self.recording.operations:
            named += [(path, done.file) for path in (done.path, done.target) if path]
        telling = {f for path, f in named if not any(fnmatchcase(path, p) for p in patterns)}
        return {file for _, file in named} - telling


def point_after(done: Sequence[Operation]) -> str:
    """The kind of place after these operations: "after sync log/data.mdb"."""
    last = next((o for o in reversed(done) if o.kind not in operation.MARKS), None)
    return "before anything" if last is None else f"after {_said(last)}"


def point_in(under_way: Operation) -> str:
    """The kind of place in the midst of an operation: "in write log/data.mdb"."""
    return f"in {_said(under_way)}"


def _said(done: Operation) -> str:
    return f"{done.kind} {generalized(done.path or '.')}"


def generalized(path: str) -> str:
    """A path with its numbers left out: "segments/*/columns.wvc"."""
    return re.sub(r"(?<![a-z])[0-9a-f]*\d[0-9a-f]*(?![a-z])", "*", path)
