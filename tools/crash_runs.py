"""What `walvec crashlab run` and `list` do."""

from __future__ import annotations

import argparse
import json
import traceback

from walvec.crashlab.adapter import Adapter
from walvec.crashlab.disk import MODELS
from walvec.crashlab.lab import run, run_plan
from walvec.crashlab.mutants import MUTANTS, mutant_named
from walvec.crashlab.plan import LEVELS
from walvec.crashlab.ready import READY, adapter_named
from walvec.crashlab.result import Result
from walvec.tools.crash_faults import fault_names, print_faults, try_faults
from walvec.tools.crash_options import DEFAULT_BUDGET, budget_of, names_of
from walvec.tools.crash_progress import run_progress
from walvec.tools.crash_report import failure_text, shown_data, write_report
from walvec.tools.tables import print_table
from walvec.wal.errors import ParamError
from walvec.wal.failpoints import POINTS

FINE, FINDINGS = 0, 1
SUBJECT = "walvec"
ONLY_WITHOUT_PLAN = ("adapter", "level", "model", "ops", "length", "budget", "seed", "mutant")
"""A plan says all this itself."""


def try_store(options: argparse.Namespace) -> int:
    """Run the laboratory, or repeat a plan; the exit code."""
    result = _repeat(options) if options.plan is not None else _try_all(options)
    if options.faults:
        result.faults = try_faults(None, result.seed)
    if options.report is not None:
        write_report(options.report, [("", result)])
    if options.json:
        print(json.dumps(shown_data(result)))
    else:
        _print_result(result)
        if options.report is not None:
            print(f"report: {options.report}")
    return FINE if result.ok else FINDINGS


def _repeat(options: argparse.Namespace) -> Result:
    for name in ONLY_WITHOUT_PLAN:
        if getattr(options, name) is not None:
            raise ParamError(message=f"--plan says what --{name} says: leave that out")
    return run_plan(options.plan, cases=options.cases)


def _adapter_of(name: str) -> Adapter:
    """An adapter; where the user's code cannot make it, where that fails, as wrong usage."""
    try:
        return adapter_named(name)
    except ParamError:
        raise
    except Exception as error:
        traceback.print_exc()
        raise ParamError(message=f"{name} cannot be made: {type(error).__name__}") from error


def _try_all(options: argparse.Namespace) -> Result:
    budget = budget_of(DEFAULT_BUDGET if options.budget is None else options.budget)
    if options.length is not None and options.length < 0:
        raise ParamError(message=f"--length {options.length} is less than 0")
    with run_progress(budget) as progress:
        return run(
            _adapter_of(SUBJECT if options.adapter is None else options.adapter),
            levels=names_of(options.level) or LEVELS,
            models=names_of(options.model) or MODELS,
            ops=names_of(options.ops),
            length=3 if options.length is None else options.length,
            budget_s=budget.seconds,
            states=budget.states,
            seed=options.seed or 0,
            mutant=options.mutant or "",
            cases=options.cases,
            progress=progress,
        )


def _print_result(result: Result) -> None:
    for number, failure in enumerate(result.failures, 1):
        print(f"failure {number}\n{failure_text(failure)}\n")
    if result.faults:
        print_faults(result.faults)
        print()
    rows = [
        (level, f"{states:,}", f"{_failed_at(result, level):,}")
        for level, states in result.states_by_level.items()
    ]
    if rows:
        print_table(("level", "states", "failed"), rows, "states failed")
    who = result.adapter + (f", with the mutant {result.mutant}" if result.mutant else "")
    rate = f", {result.states / result.seconds:,.0f} a second" if result.seconds else ""
    print(f"\n{who}: {result.states:,} distinct states of {result.tries:,} stops{rate}")
    for level, length in result.complete_by_level.items():
        print(f"complete at the level {level} for every workload of up to {length} operations")
    for limit in result.limits:
        print(f"limit: {limit}")
    print(_verdict(result))


def _failed_at(result: Result, level: str) -> int:
    rows = result.matrix.get(level, {}).values()
    return sum(failed for row in rows for _, failed in row.values())


def _verdict(result: Result) -> str:
    if result.ok:
        return "nothing was found" if result.states or result.faults else "nothing was tried"
    failed = sum(not fault["ok"] for fault in result.faults)
    said = [f"{result.failed_states:,} states failed"] if result.failed_states else []
    return ", ".join([*said, *([f"{failed} fault cases failed"] if failed else [])])


def print_lists(options: argparse.Namespace) -> int:
    """Say what can be named."""
    lists = {
        "adapters": {name: ", ".join(adapter_named(name).commands) for name in READY},
        "levels": dict.fromkeys(LEVELS, ""),
        "models": dict.fromkeys(MODELS, ""),
        "mutants": {name: mutant_named(name).what for name in MUTANTS},
        "faults": fault_names(),
        "failpoints": dict.fromkeys(sorted(POINTS), ""),
    }
    if options.json:
        print(json.dumps(lists))
        return FINE
    for title, names in lists.items():
        print(title)
        width = max(map(len, names), default=0)
        for name, what in names.items():
            print(f"  {name:{width}}  {what}".rstrip())
    return FINE
