"""The command line: `python -m torture [--seconds S] [--seed N] [--calm] [--folder RUN]`."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

from torture import report
from torture.plan import Plan, calm_plan
from torture.runner import torture


def main() -> int:
    """Do a run and print its numbers; 1 if anything was violated."""
    parser = argparse.ArgumentParser(prog="torture", description="many processes on one store")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--calm", action="store_true", help="4 writers, 4 readers, no faults")
    parser.add_argument("--folder", type=Path, help="where the run is kept while it lasts")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    plan = Plan(seed=given.seed, seconds=given.seconds)
    if given.calm:
        plan = calm_plan(given.seed, given.seconds)
    outcome = torture(plan, given.folder)
    print("\n".join(report.lines(outcome)), flush=True)
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
