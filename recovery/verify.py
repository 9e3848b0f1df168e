"""verify: everything in a store that can be checked is checked, and nothing is changed.

The checking is done by a child process, inspection.py: pages that are damaged can kill the
process that reads them through LMDB (SIGBUS, SIGABRT), which is a finding like any other, and
the calling process may have the store open itself, which LMDB allows once a process.

The child gets the folder and the pins as arguments and writes one JSON array a line:
["finding", ...], ["progress", done, total], and at the end ["report", {...}].
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from walvec.recovery.open import LOG
from walvec.recovery.report import ERROR, Finding, Pin, Progress, Report
from walvec.wal.errors import StoreUnusableException

INSPECTION = "from walvec.recovery.inspection import main; main()"


def verify(
    path: str | os.PathLike[str], *, pins: Sequence[Pin] = (), progress: Progress | None = None
) -> Report:
    """Check a store: the log's pages, every entry's chain, body and payload, the state folded from
    zero against `pins`, the segment files against the log, and file modes.

    Other processes may have it open, also for writing. It goes on after a finding wherever it
    can. `progress` is called with the entries read and the entries there are.

    Raises StoreUnusableException where there is no store.
    """
    folder = Path(path)
    if not (folder / LOG).is_dir():
        raise StoreUnusableException(message=f"{folder} is not a walvec store, it has no log")
    report = Report(str(folder))
    arguments = [str(folder.resolve()), *(f"{pin.seq}:{pin.digest.hex()}" for pin in pins)]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, "-c", INSPECTION, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=child_environment(),
        ) as child,
    ):
        assert child.stdout is not None
        last = 0
        for line in child.stdout:
            kind, *content = json.loads(line)
            if kind == "finding":
                report.findings.append(Finding(*content))
            elif kind == "report":
                report = Report(**{**content[0], "path": str(folder), "findings": report.findings})
            else:
                last = content[0]
                if progress is not None:
                    progress(*content)
        code = child.wait()
        errors.seek(0)
        text = errors.read().decode(errors="replace").strip()
    if code:
        report.findings.append(_end_of_child(code, last, text))
    return report


def child_environment() -> dict[str, str]:
    """The environment of a child that imports what this process would, and nothing from its
    working folder."""
    paths = os.pathsep.join(str(Path(p).resolve()) for p in sys.path if p)
    return {**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": "1"}


def _end_of_child(code: int, last: int, text: str) -> Finding:
    if code < 0:
        what = f"reading them ended the checking process with {signal.Signals(-code).name}"
        return Finding(
            ERROR,
            "log pages",
            f"{what} after {last} entries: the pages are damaged, and the rest was not checked",
            "restore the log from a copy",
        )
    reason = text.splitlines()[-1] if text else f"exit code {code}"
    return Finding(
        ERROR,
        "verify",
        f"it broke off after {last} entries: {reason}",
        "report this as a bug of walvec: what follows was not checked",
    )
