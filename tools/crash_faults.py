"""What `walvec crashlab faults` does: what is no crash is done to walvec, case by case."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from walvec.crashlab.faults import FAULTS, run_faults
from walvec.crashlab.result import Result
from walvec.tools.crash_report import write_report
from walvec.tools.tables import print_table, progress_bar
from walvec.wal.errors import ParamError

SUBJECT = "walvec"
MAX_COLUMNS = 100


def fault_names() -> dict[str, str]:
    """The cases, and what each does."""
    return {name: fault.what for name, fault in FAULTS.items()}


def try_chosen(options: argparse.Namespace) -> int:
    """Run the cases that were named, or all, or list them; the exit code."""
    if options.list:
        names = fault_names()
        print(
            json.dumps(names) if options.json else "\n".join(f"{n}  {w}" for n, w in names.items())
        )
        return 0
    result = Result(SUBJECT, version("walvec"), options.seed)
    result.faults = try_faults(options.names or None, options.seed)
    result.seconds = sum(fault["seconds"] for fault in result.faults)
    if options.report is not None:
        write_report(options.report, [("", result)])
    if options.json:
        print(json.dumps(result.faults))
    else:
        print_faults(result.faults)
    return 0 if result.ok else 1


def try_faults(names: Sequence[str] | None, seed: int) -> list[dict[str, Any]]:
    """Run fault cases, None for all, and say how far that has got."""
    for name in names or ():
        if name not in FAULTS:
            raise ParamError(
                message=f"there is no fault case {name!r}; there are {', '.join(FAULTS)}"
            )
    total = len(names or FAULTS)
    with progress_bar("fault cases") as bar:

        def tell(done: list[dict[str, Any]]) -> None:
            last = done[-1]
            if sys.stderr.isatty():
                bar(len(done), total)
            else:
                print(f"{last['name']}: {_word(last)}, {last['seconds']:.1f} s", file=sys.stderr)

        return run_faults(names, seed=seed, progress=tell)


def print_faults(faults: Sequence[dict[str, Any]]) -> None:
    """A table of cases, those that failed first, and after it what they said."""
    found = sorted(faults, key=lambda each: bool(each["ok"]))
    rows = [
        (_word(each), each["name"], _line(each["outcome"]), f"{each['seconds']:.1f} s")
        for each in found
    ]
    print_table(("", "case", "what came of it", "time"), rows, "time")
    for each in found:
        if not each["ok"]:
            print(f"\n{each['name']} FAILED\n{each['what']}\n{each['outcome']}")


def _word(fault: dict[str, Any]) -> str:
    if fault["skipped"]:
        return "skipped"
    return "ok" if fault["ok"] else "FAILED"


def _line(outcome: str) -> str:
    """The last line of what a case said: of a traceback the error."""
    last = outcome.strip().rpartition("\n")[2]
    return last if len(last) <= MAX_COLUMNS else f"{last[: MAX_COLUMNS - 3]}..."
