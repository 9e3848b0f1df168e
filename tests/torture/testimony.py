"""What the processes wrote down, as one account: attempts, reads, refusals, digests, stops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torture.batches import Batch
from torture.record import Line, read_record


@dataclass
class Attempt:
    """A command that changes the store: what was meant, and what came of it.

    `end` is when its process knew, None where it was killed before. Times are in ns.
    """

    process: str
    op: int
    kind: str
    collection: str
    start: int
    batch: Batch | None = None
    stamp: int = 0
    seq: int | None = None
    end: int | None = None
    refused: str = ""

    def __str__(self) -> str:
        return f"{self.process} op {self.op} ({self.kind} {self.collection} {self.batch})"


@dataclass
class Read:
    """A read: `what` it gave, as roles.Reading writes it down."""

    process: str
    op: int
    kind: str
    collection: str
    start: int
    end: int
    seq: int
    level: str = "Strong"
    what: Line = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.process} op {self.op} ({self.kind} {self.collection} at seq {self.seq})"


class Refusal(NamedTuple):
    """A call that raised one of the expected errors."""

    process: str
    op: int
    kind: str
    collection: str
    start: int
    end: int
    error: str
    text: str

    def __str__(self) -> str:
        return f"{self.process} op {self.op} ({self.kind} {self.collection}): {self.error}"


class Stop(NamedTuple):
    """A process stood still from `start` to `end`, ns."""

    process: str
    pid: int
    start: int
    end: int


class StateSeen(NamedTuple):
    """The digest that a process had at a seq; `round` counts from 1 once all were idle."""

    process: str
    seq: int
    digest: str
    round: int


@dataclass
class Account:
    """Everything that was written down in a run."""

    attempts: list[Attempt] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    states: list[StateSeen] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    done: set[str] = field(default_factory=set)


def read_account(records: Path, stops: Iterable[Stop] = ()) -> Account:
    """The account of all records in a folder."""
    account = Account(stops=list(stops))
    for path in sorted(records.glob("*.jsonl")):
        _take_record(account, path.stem, read_record(path))
    return account


def _take_record(account: Account, process: str, lines: Iterable[Line]) -> None:
    pending: dict[int, Attempt] = {}
    for line in lines:
        kind = line["e"]
        if kind == "try":
            attempt = _attempt(process, line)
            pending[attempt.op] = attempt
            account.attempts.append(attempt)
        elif kind == "ack":
            attempt = pending[line["op"]]
            attempt.seq, attempt.end = line["seq"], line["at"]
        elif kind == "fail":
            refusal = _refusal(process, line)
            account.refusals.append(refusal)
            if refusal.op in pending:
                pending[refusal.op].refused = refusal.error
                pending[refusal.op].end = refusal.end
        elif kind == "read":
            account.reads.append(_read(process, line))
        elif kind == "state":
            seen = StateSeen(process, line["seq"], line["digest"], line.get("round", 0))
            account.states.append(seen)
        elif kind == "torn":
            account.complaints.append(f"{process} op {line['op']}: {line['text']}")
        elif kind == "error":
            account.complaints.append(f"{process} raised {line['error']}\n{line['trace']}")
        elif kind == "done":
            account.done.add(process)


def _attempt(process: str, line: Line) -> Attempt:
    batch = Batch(*line["batch"]) if "batch" in line else None
    collection, stamp = line.get("collection", ""), line.get("stamp", 0)
    return Attempt(process, line["op"], line["kind"], collection, line["at"], batch, stamp)


def _read(process: str, line: Line) -> Read:
    names = ("op", "kind", "collection", "at", "end", "seq", "level")
    what = {k: v for k, v in line.items() if k not in (*names, "e")}
    values: list[Any] = [line[name] for name in names]
    return Read(process, *values, what=what)


def _refusal(process: str, line: Line) -> Refusal:
    names = ("op", "kind", "collection", "at", "end", "error", "text")
    return Refusal(process, *(line[name] for name in names))
