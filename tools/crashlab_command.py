"""The command `walvec crashlab`: run, faults, mutants, list, and what can be said to each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from walvec.crashlab.disk import MODELS
from walvec.crashlab.plan import LEVELS
from walvec.crashlab.tracing import TracingUnavailable
from walvec.tools.crash_options import DEFAULT_BUDGET
from walvec.tools.crash_report import refuse_place, untraced
from walvec.wal.errors import ParamError

FINDINGS, USAGE = 1, 2
SUBJECT = "walvec"
EPILOG = """\
run stops a store everywhere and says whether what is found keeps what was promised; faults does
to walvec what is no crash (a full disk, damaged files); mutants plants bugs in walvec and says
which level catches them; list says what there is.

examples:
  walvec crashlab run --budget 20s
  walvec crashlab run --adapter plain --level power --report crash.html
  walvec crashlab run --adapter my_store.py:MyStore --ops put,put,delete
  walvec crashlab faults --list

exit codes: 0 nothing was found, 1 something was, 2 wrong usage"""
RUN_EPILOG = """\
First every workload of up to --length operations, then random ones, until the budget is spent.
The level `point` raises errors at named points in the code, `kill` sends SIGKILL, and `power`
builds, from a recording of its system calls, what a power cut may leave on the disk under each
model; this one needs strace.

Each failure is printed with the one line that repeats it, and as a test for pytest."""


def add_command(crashlab: argparse.ArgumentParser) -> None:
    """Add what can be said after `walvec crashlab`."""
    commands = crashlab.add_subparsers(metavar="COMMAND", required=True, title="commands")
    add = partial(_command, commands)
    _add_run_options(add("run", "crash_runs.try_store", "stop a store, and judge what is found"))
    what = "do to walvec what is no crash: full disks, damaged files, stopped peers"
    _add_fault_options(add("faults", "crash_faults.try_chosen", what))
    what = "plant bugs in walvec, and see which level catches them"
    _add_mutant_options(add("mutants", "crash_mutants.plant_chosen", what))
    what = "say what adapters, levels, models, mutants, faults and failpoints there are"
    add("list", "crash_runs.print_lists", what)


def _command(commands: Any, name: str, act: str, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=RUN_EPILOG if name == "run" else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=partial(_act, act))
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser


def _act(place: str, options: argparse.Namespace) -> int:
    """Call "module.function". It is imported now, since the laboratory is large, and the other
    commands do without it. A wrong argument is a matter of usage."""
    # As `python -m` does: adapters of users lie in the folder they work in.
    sys.path.append(str(Path.cwd()))
    module, function = place.split(".")
    act: Callable[[argparse.Namespace], int]
    act = getattr(import_module(f"walvec.tools.{module}"), function)
    try:
        if getattr(options, "report", None) is not None:
            refuse_place(options.report)
        return act(options)
    except ParamError as error:
        print(f"walvec crashlab: {error.message}", file=sys.stderr)
        return USAGE
    except TracingUnavailable as error:
        print(f"walvec crashlab: {untraced(error)}", file=sys.stderr)
        return FINDINGS


def _add_run_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--adapter",
        metavar="NAME",
        help=f"one of `walvec crashlab list`, or yours: MODULE:CLASS, FILE.py:CLASS ({SUBJECT})",
    )
    add("--level", action="append", metavar="L", help=f"{', '.join(LEVELS)} (all); repeatable")
    add("--model", action="append", metavar="M", help=f"{', '.join(MODELS)} (all); repeatable")
    add("--ops", metavar="A,B,...", help="try this workload alone")
    add("--length", type=int, metavar="N", help="every workload of up to N operations (3)")
    add(
        "--budget",
        metavar="B",
        help=f"a time (20s, 5m) or a number of distinct states ({DEFAULT_BUDGET})",
    )
    add("--seed", type=int, metavar="N", help="of what is left to chance (0)")
    add("--mutant", metavar="NAME", help="plant this bug in walvec first")
    add("--plan", metavar="LINE", help="repeat the one state of a failure")
    add("--cases", metavar="FOLDER", help="keep failing states there, and try those there first")
    add("--faults", action="store_true", help="then run the fault cases of walvec, too")
    add("--report", metavar="FILE", help="write the report, one HTML file")


def _add_fault_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("names", nargs="*", metavar="NAME", help="a case; without, all of them")
    command.add_argument("--list", action="store_true", help="say what cases there are")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of chance (0)")
    command.add_argument("--report", metavar="FILE", help="write the report, one HTML file")


def _add_mutant_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("names", nargs="*", metavar="NAME", help="a mutant; without, all of them")
    command.add_argument("--level", action="append", metavar="L", help=f"{', '.join(LEVELS)} (all)")
    command.add_argument(
        "--budget",
        default=DEFAULT_BUDGET,
        metavar="B",
        help=f"the time for each at each level ({DEFAULT_BUDGET})",
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of chance (0)")
    command.add_argument("--report", metavar="FILE", help="write the report, one HTML file")
