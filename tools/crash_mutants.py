"""What `walvec crashlab mutants` does: which level catches which planted bug."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import version

from walvec.crashlab.mutants import MUTANTS
from walvec.crashlab.plan import LEVELS
from walvec.crashlab.proof import SUBJECT, Table, is_caught, run_mutants
from walvec.crashlab.result import Result
from walvec.tools.crash_options import budget_of, names_of
from walvec.tools.crash_report import write_report
from walvec.tools.tables import print_table, progress_bar
from walvec.wal.errors import ParamError


def plant_chosen(options: argparse.Namespace) -> int:
    """Run the mutants that were named, or all; the exit code."""
    budget = budget_of(options.budget).seconds
    if budget is None:
        raise ParamError(message=f"--budget {options.budget} is no time: say 60s or 5m")
    levels = names_of(options.level) or list(LEVELS)
    total = len(options.names or MUTANTS) * len(levels)
    with progress_bar("mutants x levels") as bar:

        def tell(table: Table) -> None:
            tried = [(n, lv, text) for n, row in table.items() for lv, text in row.items() if text]
            if sys.stderr.isatty():
                bar(len(tried), total)
            else:
                print("{} at the level {}: {}".format(*tried[-1]), file=sys.stderr, flush=True)

        names = options.names or None
        table = run_mutants(names, levels=levels, budget_s=budget, seed=options.seed, progress=tell)
    if options.report is not None:
        result = Result(SUBJECT, version("walvec"), options.seed, levels=levels, mutants=table)
        write_report(options.report, [("", result)])
    if options.json:
        print(json.dumps(table))
    else:
        rows = [(name, *row.values()) for name, row in table.items()]
        print_table(("mutant", *levels), rows)
    missed = [name for name, row in table.items() if not is_caught(row)]
    if missed and not options.json:
        print(f"\nnot caught: {', '.join(missed)}")
    return 1 if missed else 0
