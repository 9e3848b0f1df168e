"""A session of the laboratory: which crashes are tried, in which order, until when, and what is
told of it."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random

from walvec.crashlab.adapter import (
    Adapter,
    Op,
    all_workloads,
    name_of,
    random_workload,
    refuse_names,
    workload,
)
from walvec.crashlab.bench import Bench, Finding
from walvec.crashlab.cases import kept_cases, save_case
from walvec.crashlab.disk import MODELS
from walvec.crashlab.mutants import mutated
from walvec.crashlab.plan import LEVELS, POWER, Plan
from walvec.crashlab.ready import adapter_named
from walvec.crashlab.result import Failure, Result
from walvec.crashlab.shrink import shrunk
from walvec.crashlab.timeline import timeline_of
from walvec.crashlab.trial import Levels, Trial
from walvec.wal.errors import ParamError

SHARES = {"point": 1, "kill": 1, POWER: 8}
"""How the time is shared between levels that have something left to try."""
RANDOM_LENGTHS = (4, 9)
MAX_DRAWS = 1000
"""After so many draws in a row of what was tried before, there is nothing left."""
SHRINK_S = 15.0
MAX_FINDINGS = 200
MEMORY_DISK = Path("/dev/shm")


@dataclass
class Wish:
    """What is to be tried, and until when. See `run`."""

    levels: Sequence[str] = LEVELS
    models: Sequence[str] = MODELS
    ops: Sequence[str] | None = None
    length: int = 3
    budget_s: float | None = 60.0
    states: int | None = None
    seed: int = 0
    mutant: str = ""
    cases: Path | None = None
    max_failures: int = 3
    progress: Callable[[Result], None] | None = None


class Session:
    """One run of the laboratory."""

    def __init__(self, adapter: Adapter | str, wish: Wish) -> None:
        if sys.platform != "linux":
            raise ParamError(message="the crash laboratory needs Linux (fork, strace)")
        plain = adapter_named(adapter) if isinstance(adapter, str) else adapter
        if not isinstance(plain, Adapter):
            raise ParamError(
                message=f"{plain!r} is not an adapter: give an instance of a class of them"
            )
        self.name = name_of(plain)
        self.adapter = mutated(plain, wish.mutant) if wish.mutant else plain
        self.wish = wish
        self._refuse_impossible()
        self.result = Result(
            self.name,
            _version(),
            wish.seed,
            wish.mutant,
            list(wish.levels),
            list(wish.models) if POWER in wish.levels else [],
        )

    def _refuse_impossible(self) -> None:
        refuse_names(self.adapter)
        names = list(self.wish.ops or ())
        known = {*self.adapter.commands, *self.adapter.all_commands}
        for place, name in enumerate(names):
            if name not in known:
                text = f"{self.name} has no operation {name!r}: {', '.join(sorted(known))}"
                raise ParamError(message=text)
            if not self.adapter.may_follow(names[:place], name):
                before = ", ".join(names[:place]) or "nothing"
                raise ParamError(message=f"the operation {name} cannot follow {before}")

    def __enter__(self) -> Session:
        self._cleanup = ExitStack()
        try:
            memory = str(MEMORY_DISK) if MEMORY_DISK.is_dir() else None
            folder = tempfile.TemporaryDirectory(prefix="walvec-crashlab-", dir=memory)
            self.scratch = Path(self._cleanup.enter_context(folder))
            if self.wish.cases is not None:
                self._prepare_cases(self.wish.cases)
            # The checkers first: they are forked, and small still.
            self.bench = Bench(self.adapter, self.result, self.scratch, self.wish.progress)
            self._cleanup.callback(self.bench.close)
            wish = self.wish
            self.levels = Levels(self.adapter, wish.levels, wish.models, wish.seed)
            self._cleanup.callback(self.levels.close)
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def _prepare_cases(self, cases: Path) -> None:
        """Raise ParamError where no case could be kept: before the work, not after it."""
        try:
            cases.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=cases).close()
        except OSError as error:
            raise ParamError(message=f"no case can be kept in {cases}: {error}") from error

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def try_plan(self, plan: Plan) -> None:
        """The one state of a plan."""
        self.bench.put(self.levels.repeat(plan, self.scratch))
        self.bench.finish()

    def try_all(self) -> None:
        """What there is to try, the levels in turn by the time that they have had."""
        streams = {level: self._stream(level) for level in self.levels.names}
        used = dict.fromkeys(streams, 0.0)
        started = time.monotonic()
        while streams and not self._is_spent(started):
            level = min(streams, key=lambda name: used[name] / SHARES[name])
            before = time.monotonic()
            trials = next(streams[level], None)
            if trials is None:
                del streams[level]
            for trial in trials or ():
                self.bench.put(trial)
            used[level] += time.monotonic() - before
        self.bench.finish()
        self.result.seconds = time.monotonic() - started

    def _is_spent(self, started: float) -> bool:
        wish, result = self.wish, self.result
        if wish.budget_s is not None and time.monotonic() - started >= wish.budget_s:
            return True
        if wish.states is not None and result.states >= wish.states:
            return True
        found = self.bench.findings
        return len(found) >= MAX_FINDINGS or len(_distinct(found)) >= wish.max_failures

    def _stream(self, level: str) -> Iterator[list[Trial]]:
        """The trials of a level, workload after workload: one at a time, and none at the end of
        a workload, which may have nothing new in it; the budget is looked at all the same."""
        for ops, full_length in self._workloads(level):
            for trial in self.levels.trials(level, ops, self.scratch, anew=False):
                yield [trial]
            self.result.workloads += 1
            if full_length:
                complete = self.result.complete_by_level
                complete[level] = full_length
                self.result.complete = min(complete.get(n, 0) for n in self.levels.names)
            yield []

    def _workloads(self, level: str) -> Iterator[tuple[tuple[Op, ...], int]]:
        """Workloads; with the last of one length, that length."""
        wish = self.wish
        if wish.cases is not None:
            for case in kept_cases(wish.cases):
                if case.plan.level == level and case.plan.adapter == self.name:
                    yield workload(case.plan.ops), 0
        if wish.ops is not None:
            yield workload(wish.ops), 0
            return
        for length in range(1, wish.length + 1):
            batch = [ops for ops in all_workloads(self.adapter, length) if len(ops) == length]
            for number, ops in enumerate(batch, 1):
                yield ops, length if number == len(batch) else 0
        random = Random(f"{wish.seed} {level}")
        tried: set[tuple[Op, ...]] = set()
        draws = 0
        # A store of few commands has few workloads.
        while draws < MAX_DRAWS:
            ops = random_workload(self.adapter, random, random.randint(*RANDOM_LENGTHS))
            draws = draws + 1 if ops in tried else 0
            if not draws:
                tried.add(ops)
                yield ops, 0

    def told(self, *, shrink: bool) -> Result:
        """The result, with its failures shrunk, kept and told."""
        result = self.result
        for finding in _distinct(self.bench.findings)[: self.wish.max_failures]:
            self._tell(finding, shrink)
        # The models under which something may be lost show more.
        for run, model, tries in sorted(self.bench.runs.values(), key=lambda kept: kept[1]):
            result.timelines.append(timeline_of(run, model, tries))
        result.limits = self.levels.limits
        length = self.wish.length
        complete = [n for n, done in result.complete_by_level.items() if done >= length]
        result.unreached = self.levels.unreached(self.adapter, complete)
        return result

    def _tell(self, finding: Finding, shrink: bool) -> None:
        until = time.monotonic() + SHRINK_S
        if shrink:
            finding = shrunk(finding, self.bench, self.levels, self.adapter, self.scratch, until)
        trial, verdict = finding
        crash = trial.crash
        names = tuple(op.name for op in trial.ops)
        plan = Plan(self.name, self.wish.mutant, trial.level, trial.model, names, crash.cut)
        if any(told.plan == str(plan) for told in self.result.failures):
            return  # Two that shrank to one.
        case = ""
        if self.wish.cases is not None:
            with tempfile.TemporaryDirectory(dir=self.scratch) as image:
                trial.lay(Path(image))
                trace = trial.run.trace if trial.run else ""
                case = str(
                    save_case(self.wish.cases, plan, Path(image), trace, crash.expectation, verdict)
                )
        failure = Failure(
            *(str(plan), trial.level, trial.model, list(names)),
            *(crash.point, crash.during, crash.cut),
            *(list(verdict.wrong), list(verdict.expected), verdict.found),
            case=case,
        )
        if trial.run is not None:
            failure.at = int(crash.cut.rsplit(">", 1)[-1].split(".")[0])
            failure.timeline = len(self.result.timelines)
            timeline = timeline_of(trial.run, trial.model, {failure.at: (1, 1)})
            self.result.timelines.append(timeline)
        self.result.failures.append(failure)
        trial.forget()


def _distinct(findings: Sequence[Finding]) -> list[Finding]:
    """One finding of each kind: the same level, model, place, and operation under way."""
    first: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        trial = finding.trial
        first.setdefault((trial.kind, trial.crash.point, trial.crash.during), finding)
    return list(first.values())


def _version() -> str:
    try:
        return version("walvec")
    except PackageNotFoundError:
        return ""
