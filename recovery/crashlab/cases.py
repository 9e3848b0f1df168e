"""Case folders: failing states that are kept, to be looked at, and to be tried first next time.

case.json     the plan, what was acknowledged, what was found, and what with
trace.gz      the recording, as strace wrote it (of the level power)
image/        the store as it was cut: `walvec log`, `info`, `verify` and `replay` open it
"""

from __future__ import annotations

import gzip
import json
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3

from walvec.crashlab.adapter import workload
from walvec.crashlab.judge import Expectation, Verdict
from walvec.crashlab.plan import Plan
from walvec.wal.errors import ParamError

CASE, TRACE, IMAGE = "case.json", "trace.gz", "image"


class Case(NamedTuple):
    """A kept case: its folder, its plan, what was to be expected of its image, and its notes."""

    folder: Path
    plan: Plan
    expectation: Expectation
    notes: dict[str, Any]

    @property
    def image(self) -> Path:
        return self.folder / IMAGE


def case_folder(cases: Path, plan: Plan) -> Path:
    """Where the case of a plan is kept: one folder a plan."""
    digest = blake3(str(plan).encode()).hexdigest(4)
    return cases / "-".join(filter(None, (plan.level, plan.model, plan.mutant, digest)))


def save_case(
    cases: Path,
    plan: Plan,
    image: Path,
    trace: str,
    expectation: Expectation,
    verdict: Verdict,
) -> Path:
    """Keep a failing state; one of the same plan is replaced. Returns its folder."""
    folder = case_folder(cases, plan)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(image, folder / IMAGE, symlinks=True)
    if trace:
        (folder / TRACE).write_bytes(gzip.compress(trace.encode(), mtime=0))
    notes = {
        "plan": str(plan),
        "ops": list(plan.ops),
        "tried": expectation.tried,
        "acked": expectation.acked,
        "may_lose": expectation.may_lose,
        "fingerprints": [list(seen) for seen in expectation.fingerprints],
        "wrong": list(verdict.wrong),
        "found": verdict.found,
        "expected": list(verdict.expected),
        "python": platform.python_version(),
    }
    (folder / CASE).write_text(json.dumps(notes, indent=1, ensure_ascii=False) + "\n")
    return folder


def is_case(folder: Path) -> bool:
    """Whether a folder is a case."""
    return (folder / CASE).is_file() and (folder / IMAGE).is_dir()


def load_case(folder: Path) -> Case:
    """The case in a folder. Raises ParamError."""
    try:
        notes = json.loads((folder / CASE).read_text())
        plan = Plan.of(notes["plan"])
        seen = tuple((str(at), str(digest)) for at, digest in notes["fingerprints"])
        expectation = Expectation(
            workload(plan.ops)[: notes["tried"]],
            notes["acked"],
            notes["tried"],
            notes["may_lose"],
            seen,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParamError(
            message=f"{folder} is not a case of the crash laboratory: {error}"
        ) from error
    return Case(folder, plan, expectation, notes)


def kept_cases(cases: Path) -> Iterator[Case]:
    """The cases in a folder, in the order of their names."""
    if cases.is_dir():
        for folder in sorted(cases.iterdir()):
            if is_case(folder):
                yield load_case(folder)
