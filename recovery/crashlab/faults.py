"""All fault cases, and running them: each in a folder of its own.

A fault is what is no crash: a full disk, an error of a call, damaged files, a peer that stands
still. Each case ends in a clear error or full service, with nothing acknowledged lost, or it has
failed. One that cannot be run here says why, and counts neither as passed nor as failed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from walvec.crashlab import (
    fault_disk,
    fault_files,
    fault_log,
    fault_memory,
    fault_moments,
    fault_processes,
    fault_read_only,
)
from walvec.crashlab.adapter import Adapter
from walvec.crashlab.fault_run import FAULTS, Fault, FaultFailed, FaultRun, FaultSkipped
from walvec.crashlab.walvec_adapter import WalvecAdapter

__all__ = ["CASES", "FAULTS", "Fault", "FaultFailed", "FaultSkipped", "run_fault", "run_faults"]

CASES = (
    *(fault_disk, fault_read_only, fault_memory, fault_files, fault_log),
    *(fault_processes, fault_moments),
)
"""Importing them has registered their cases."""
MAX_TEXT = 2000
WORKERS = 4
MEMORY = "/dev/shm"


def run_fault(
    name: str, seed: int, scratch: Path, *, adapter: Adapter | None = None
) -> dict[str, Any]:
    """Run a case in a folder, which is left as it ends.

    Returns {"name", "what", "ok", "outcome", "seconds", "skipped"}: what came of it in words, what
    is wrong where it is not ok, why where it was skipped. Raises ValueError for an unknown name.
    """
    if name not in FAULTS:
        raise ValueError(f"there is no fault case {name}; there are: {', '.join(FAULTS)}")
    case = FAULTS[name]
    started = time.perf_counter()
    ok, skipped = True, False
    try:
        outcome = case.run(FaultRun(adapter or WalvecAdapter(), seed, scratch))
    except FaultSkipped as reason:
        skipped, outcome = True, f"skipped: {reason}"
    except FaultFailed as failure:
        ok, outcome = False, str(failure)
    except Exception:
        ok, outcome = False, traceback.format_exc()
    return {
        "name": name,
        "what": case.what,
        "ok": ok,
        "outcome": outcome.replace(f"{scratch}/", "")[:MAX_TEXT],
        "seconds": time.perf_counter() - started,
        "skipped": skipped,
    }


def run_faults(
    names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Callable[[list[dict[str, Any]]], None] | None = None,
) -> list[dict[str, Any]]:
    """Run cases, all by default, as many at once as there are processors. `progress` is called
    after each with what there is so far.

    Raises ValueError for an unknown name, and RuntimeError elsewhere than on Linux.
    """
    if sys.platform != "linux":
        raise RuntimeError("fault cases need Linux: its limits, its namespaces, strace")
    if unknown := set(names or ()) - FAULTS.keys():
        raise ValueError(f"there is no fault case {min(unknown)}; there are: {', '.join(FAULTS)}")
    found: list[dict[str, Any]] = []
    # Forked workers, which know all cases; each forks children of its own for what may hurt.
    workers = ProcessPoolExecutor(min(WORKERS, os.cpu_count() or 1), get_context("fork"))
    with workers as pool:
        try:
            for result in pool.map(partial(_run_alone, seed), names or FAULTS):
                found.append(result)
                if progress is not None:
                    progress(list(found))
        except BaseException:
            # As of Ctrl-C: those that are not begun are not run.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _run_alone(seed: int, name: str) -> dict[str, Any]:
    # In memory where that can be: a case is no crash, so nothing depends on the disk.
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    scratch = Path(tempfile.mkdtemp(prefix="walvec-fault-", dir=place))
    try:
        return run_fault(name, seed, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
