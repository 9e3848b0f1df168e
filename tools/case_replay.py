"""What `walvec replay` does with a case of the crash laboratory: it is judged once more."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from walvec.crashlab.cases import Case
from walvec.crashlab.checkers import Checkers, Task
from walvec.crashlab.judge import Verdict
from walvec.crashlab.mutants import mutated
from walvec.crashlab.ready import adapter_named
from walvec.tools.crash_report import command_for

FINE, FINDINGS = 0, 1


def replay_case(case: Case, as_json: bool) -> int:
    """Print what is found in a case's image beside what was; the exit code."""
    verdict = judged_again(case)
    if as_json:
        print(json.dumps({**case.notes, "now": verdict._asdict()}, ensure_ascii=False))
        return FINE if verdict.ok else FINDINGS
    print(f"plan          {case.plan}")
    print(f"operations    {', '.join(case.plan.ops)}")
    print(f"acknowledged  {case.notes['acked']} of {case.notes['tried']} begun")
    print("\nwhen it was kept")
    _print_finding(case.notes["wrong"], case.notes["found"])
    print("\nnow")
    _print_finding(verdict.wrong, verdict.found)
    if case.notes["expected"]:
        print("\nexpected")
        for state in case.notes["expected"]:
            print(f"  {state}")
    print(f"\nfrom the beginning: {command_for(str(case.plan))}")
    return FINE if verdict.ok else FINDINGS


def _print_finding(wrong: Sequence[str], found: str) -> None:
    for text in wrong or ["nothing is wrong"]:
        print(f"  {text}")
    print(f"  found {found or 'nothing'}")


def judged_again(case: Case) -> Verdict:
    """What is found in a copy of a case's image now. Judged in a process of its own, which it may
    kill."""
    adapter = adapter_named(case.plan.adapter)
    if case.plan.mutant:
        adapter = mutated(adapter, case.plan.mutant)
    with tempfile.TemporaryDirectory(prefix="walvec-replay-") as scratch:
        checkers = Checkers(adapter, Path(scratch), number=1)
        try:
            folder = checkers.place()
            shutil.copytree(case.image, folder, dirs_exist_ok=True, symlinks=True)
            task = Task(folder, case.expectation, None)
            [(_, verdict)] = [*checkers.submit(task), *checkers.drain()]
        finally:
            checkers.close()
    return verdict
