"""The proof that the laboratory can fail: which level catches which mutant, and the controls.

A laboratory that finds nothing may be blind. So it is shown faults that are planted (mutants of
walvec), and stores that are known to keep their promises or to break them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from walvec.crashlab.lab import run
from walvec.crashlab.mutants import MUTANTS, mutant_named
from walvec.crashlab.plan import LEVELS
from walvec.crashlab.ready import adapter_named
from walvec.crashlab.result import Result

SUBJECT = "walvec"
"""The adapter that mutants are planted in."""


class Control(NamedTuple):
    """A store of which it is known whether it outlives a level."""

    adapter: str
    must_fail: bool
    level: str


CONTROLS = [
    Control("plain", False, "kill"),
    Control("plain", True, "power"),
    Control("plain-fsync", False, "kill"),
    Control("plain-fsync", False, "power"),
    Control("sqlite3", False, "kill"),
    Control("sqlite3", False, "power"),
    Control("sqlite3-normal", True, "power"),
    Control("sqlite3-off", False, "kill"),
    Control("sqlite3-off", True, "power"),
    Control("sqlite3-delete", True, "power"),
    Control("sqlite3-delete-extra", False, "power"),
    Control("lmdb", False, "kill"),
    Control("lmdb", False, "power"),
    Control("lmdb-nometasync", True, "power"),
    Control("lmdb-last-transaction", False, "power"),
    Control("lmdb-nosync", False, "kill"),
    Control("lmdb-nosync", True, "power"),
]

Table = dict[str, dict[str, str]]
Progress = Callable[[Table], None]


def run_mutants(
    names: Sequence[str] | None = None,
    *,
    levels: Sequence[str] = LEVELS,
    budget_s: float = 60.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Table:
    """What each level makes of each mutant (None: of all): mutant -> level -> "caught after 17
    states, 0.8 s" or "not caught in 900 states, 60.0 s".

    Each gets `budget_s` seconds at each level, and its turn ends when it is caught. `progress`
    is called with the table after each. Raises ParamError for a name that is not one.
    """
    chosen = [mutant_named(name) for name in (MUTANTS if names is None else names)]
    table: Table = {mutant.name: dict.fromkeys(levels, "") for mutant in chosen}
    for mutant in chosen:
        for level in levels:
            result = run(
                adapter_named(SUBJECT),
                levels=(level,),
                budget_s=budget_s,
                seed=seed,
                mutant=mutant.name,
                max_failures=1,
                shrink=False,
            )
            table[mutant.name][level] = said(result)
            if progress is not None:
                progress(table)
    return table


def said(result: Result) -> str:
    """What came of a run, in words."""
    caught = "caught after" if result.failed_states else "not caught in"
    states = "1 state" if result.states == 1 else f"{result.states} states"
    return f"{caught} {states}, {result.seconds:.1f} s"


def is_caught(row: dict[str, str]) -> bool:
    """Whether any level has caught the mutant of this row of the table."""
    return any(text.startswith("caught") for text in row.values())


def run_controls(
    controls: Sequence[Control] = CONTROLS,
    *,
    budget_s: float = 20.0,
    seed: int = 0,
    progress: Callable[[Control, Result], None] | None = None,
) -> list[str]:
    """Run the stores that are known; what came out otherwise than it must, each in a line."""
    wrong = []
    for control in controls:
        adapter = adapter_named(control.adapter)
        result = run(adapter, levels=(control.level,), budget_s=budget_s, seed=seed, max_failures=1)
        if bool(result.failed_states) != control.must_fail:
            must = "fail" if control.must_fail else "pass"
            wrong.append(
                f"{control.adapter} must {must} at the level {control.level}: {said(result)}"
            )
        if progress is not None:
            progress(control, result)
    return wrong
