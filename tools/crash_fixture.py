"""The fixture `crashlab` of the plugin for pytest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from walvec.crashlab.adapter import Adapter, name_of
from walvec.crashlab.disk import MODELS
from walvec.crashlab.lab import run, run_plan
from walvec.crashlab.plan import LEVELS, Plan
from walvec.crashlab.ready import adapter_named
from walvec.crashlab.result import Result
from walvec.crashlab.tracing import TracingUnavailable
from walvec.tools.crash_options import budget_of, names_of
from walvec.tools.crash_report import failure_text, untraced
from walvec.tools.pytest_crashlab import DEFAULT_BUDGET
from walvec.wal.errors import ParamError

Names = str | Sequence[str] | None
MARKED = frozenset({"level", "model", "ops", "length", "budget", "seed", "mutant", "max_failures"})
LENGTH, MAX_FAILURES = 3, 3


def refuse_options(budget: str | None, plan: str | None) -> None:
    """Raise pytest.UsageError for a budget or a plan that is none."""
    try:
        if budget is not None:
            budget_of(budget)
        if plan is not None:
            Plan.of(plan)
    except ParamError as error:
        raise pytest.UsageError(f"crashlab: {error.message}") from error


class Crashlab:
    """The crash laboratory, in one test."""

    def __init__(
        self,
        test: str,
        marked: dict[str, Any],
        results: list[tuple[str, Result]],
        *,
        budget: str | None,
        plan: str | None,
    ) -> None:
        """marked: the keywords of the marker; results: found so far in the session, appended to;
        budget and plan: the options of the command line."""
        self._test = test
        self._marked = marked
        self._results = results
        self._budget = budget
        self._plan = plan
        if unknown := marked.keys() - MARKED:
            pytest.fail(
                f"the marker crash has no {min(unknown)}: {', '.join(sorted(MARKED))}",
                pytrace=False,
            )

    def run(
        self,
        adapter: Adapter | str,
        *,
        ops: Names = None,
        levels: Names = None,
        models: Names = None,
        length: int | None = None,
        budget: str | float | None = None,
        seed: int | None = None,
        mutant: str | None = None,
        cases: str | Path | None = None,
        max_failures: int | None = None,
    ) -> Result:
        """Try a store; the test fails if it breaks a promise.

        adapter: yours, or the name of a ready one. ops: that workload alone, as ["put", "put"] or
        "put,put". budget: as on the command line; a number is of seconds. What is not said
        here the marker says; --crash-budget stands above both.
        """
        __tracebackhide__ = True
        wished = budget if budget is not None else self._marked.get("budget", DEFAULT_BUDGET)
        spent = budget_of(self._budget or wished)
        subject = adapter_named(adapter) if isinstance(adapter, str) else adapter
        wish = {
            "levels": self._names(levels, "level") or LEVELS,
            "models": self._names(models, "model") or MODELS,
            "ops": self._names(ops, "ops"),
            "mutant": self._said(mutant, "mutant", ""),
        }
        if self._plan is not None:
            return self._repeat_if_meant(subject, wish, cases)
        return self._judged(
            partial(
                run,
                subject,
                **wish,
                length=self._said(length, "length", LENGTH),
                budget_s=spent.seconds,
                states=spent.states,
                seed=self._said(seed, "seed", 0),
                cases=cases,
                max_failures=self._said(max_failures, "max_failures", MAX_FAILURES),
            )
        )

    def repeat(
        self, plan: str, adapter: Adapter | None = None, *, cases: str | Path | None = None
    ) -> Result:
        """Judge the one state that a plan names; the test fails if it breaks a promise.

        adapter: needed where the plan's name does not lead to it.
        """
        __tracebackhide__ = True
        if self._plan is not None and plan != self._plan:
            pytest.skip(f"only {self._plan} is repeated")
        return self._judged(partial(run_plan, plan, adapter=adapter, cases=cases))

    def _repeat_if_meant(
        self, adapter: Adapter, wish: dict[str, Any], cases: str | Path | None
    ) -> Result:
        __tracebackhide__ = True
        assert self._plan is not None, "asked for"
        plan = Plan.of(self._plan)
        meant = (
            plan.adapter == name_of(adapter)
            and plan.mutant == wish["mutant"]
            and plan.level in wish["levels"]
            and (not plan.model or plan.model in wish["models"])
        )
        if not meant or self._results:
            pytest.skip(f"only {self._plan} is repeated")
        return self._judged(partial(run_plan, self._plan, adapter=adapter, cases=cases))

    def _said(self, said: Any, name: str, default: Any) -> Any:
        return self._marked.get(name, default) if said is None else said

    def _names(self, said: Names, name: str) -> list[str] | None:
        names = self._said(said, name, None)
        return names_of(names if names is None or isinstance(names, str) else list(names))

    def _judged(self, act: Callable[[], Result]) -> Result:
        __tracebackhide__ = True
        try:
            result = act()
        except TracingUnavailable as error:
            pytest.fail(untraced(error), pytrace=False)
        self._results.append((self._test, result))
        if not result.ok:
            shown = [failure_text(failure) for failure in result.failures]
            summary = f"{result.failed_states:,} of {result.states:,} distinct states failed"
            pytest.fail("\n\n".join([f"{result.adapter}: {summary}", *shown]), pytrace=False)
        return result
