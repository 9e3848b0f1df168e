"""What the laboratory found: counts, failures, and timelines for those who look."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Step:
    """One operation of a recording, on its timeline. `at` counts from 1, in the order of return.

    `kind`, `path`, `target`, `offset`: as in operation.Operation. `size` is the bytes written.
    `durable_at` is the step that made a write, a truncation or a name durable under the
    timeline's model; None if none did. `number`: of a try or an ack.
    """

    at: int
    kind: str
    path: str
    target: str = ""
    offset: int = 0
    size: int = 0
    durable_at: int | None = None
    number: int = 0
    pid: int = 0


@dataclass
class Timeline:
    """One recorded run. `ops` are its operations' names; `tries` maps the steps after which a
    crash was tried to (states tried, states failed)."""

    ops: list[str]
    level: str
    model: str
    steps: list[Step]
    tries: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass
class Failure:
    """A state in which the store broke its promise.

    `plan` repeats it. `wrong`: what, line by line; `expected`: the states that may be found,
    the likeliest first; `found`: the one that was. `timeline` is the place of its recording in
    Result.timelines, -1 for none, and `at` the step after which the crash was. `case` is the
    folder in which it was kept, "" for none.
    """

    plan: str
    level: str
    model: str
    ops: list[str]
    point: str
    during: str
    cut: str
    wrong: list[str]
    expected: list[str]
    found: str
    timeline: int = -1
    at: int = 0
    case: str = ""


@dataclass
class Result:
    """A run of the laboratory.

    `states` are the distinct ones judged, `tries` also those that were known already. `matrix`:
    level -> point -> operation under way -> (states, failures). `limits` says what was not seen.
    `complete`: every workload of up to so many operations was tried as far as it goes.
    """

    adapter: str
    version: str
    seed: int
    mutant: str = ""
    levels: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    seconds: float = 0.0
    states: int = 0
    states_by_level: dict[str, int] = field(default_factory=dict)
    tries: int = 0
    workloads: int = 0
    complete: int = 0
    complete_by_level: dict[str, int] = field(default_factory=dict)
    matrix: dict[str, dict[str, dict[str, tuple[int, int]]]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    failed_states: int = 0
    limits: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    """Failpoints that the adapter names and no workload of a complete run arrived at."""
    timelines: list[Timeline] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    """Fault cases: {"name", "what", "ok", "outcome", "seconds", "skipped"}."""
    mutants: dict[str, dict[str, str]] = field(default_factory=dict)
    """Mutant -> level -> "caught after 17 states, 0.8 s", "not caught in ...", "" not tried."""

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return (
            not self.failed_states
            and not self.unreached
            and all(fault["ok"] for fault in self.faults)
        )

    def count(self, level: str, point: str, during: str, failed: bool, *, new: bool = True) -> None:
        """Count a state, if it is a new one, and its failure, if it is one."""
        self.states += new
        self.states_by_level[level] = self.states_by_level.get(level, 0) + new
        row = self.matrix.setdefault(level, {}).setdefault(point, {})
        states, failures = row.get(during, (0, 0))
        row[during] = (states + new, failures + failed)
        self.failed_states += failed

    def to_data(self) -> dict[str, Any]:
        """As JSON can hold it: keys of `tries` become text."""
        return {**asdict(self), "ok": self.ok}
