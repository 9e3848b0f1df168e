"""The laboratory: tries a store, or repeats one state of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from walvec.crashlab.adapter import Adapter
from walvec.crashlab.disk import MODELS
from walvec.crashlab.plan import LEVELS, Plan
from walvec.crashlab.result import Result
from walvec.crashlab.session import Session, Wish


def run(
    adapter: Adapter | str,
    *,
    levels: Sequence[str] = LEVELS,
    models: Sequence[str] = MODELS,
    ops: Sequence[str] | None = None,
    length: int = 3,
    budget_s: float | None = 60.0,
    states: int | None = None,
    seed: int = 0,
    mutant: str = "",
    cases: str | Path | None = None,
    max_failures: int = 3,
    shrink: bool = True,
    progress: Callable[[Result], None] | None = None,
) -> Result:
    """Try a store until the budget is spent, there is nothing left, or enough was found.

    With `ops` that workload alone is tried, as far as it goes. Without, first every workload of
    up to `length` operations, then random ones. The budget is in seconds, or with `states` in
    distinct states (`budget_s` may then be None). `cases` is a folder in which failing states
    are kept; the workloads of those that are there are tried first. A run ends after
    `max_failures` distinct failures, each of which is then shrunk, unless told not to.
    `progress` is called after every judged state.

    The same seed tries the same in the same order; how far it gets, the machine decides.
    Raises ParamError for what cannot be, TracingUnavailable where the level power lacks strace.
    """
    folder = None if cases is None else Path(cases)
    wish = Wish(
        *(levels, models, ops, length, budget_s, states, seed, mutant, folder),
        max_failures=max_failures,
        progress=progress,
    )
    with Session(adapter, wish) as session:
        session.try_all()
        return session.told(shrink=shrink)


def run_plan(
    plan: str, *, adapter: Adapter | None = None, cases: str | Path | None = None
) -> Result:
    """Repeat the one state that a plan names, and judge it. `adapter`: the plan's, if at hand."""
    wanted = Plan.of(plan)
    models = [wanted.model] if wanted.model else []
    folder = None if cases is None else Path(cases)
    wish = Wish([wanted.level], models, wanted.ops, mutant=wanted.mutant, cases=folder)
    with Session(adapter or wanted.adapter, wish) as session:
        session.try_plan(wanted)
        return session.told(shrink=False)
