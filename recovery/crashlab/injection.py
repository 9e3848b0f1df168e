"""Injected errors: strace makes one system call of a process fail, each in turn.

strace counts the calls of each thread by itself. So it is attached once, to a process that
forks a child for each turn, and each child lets some calls go to waste before it begins: the
call that fails, the ORDINAL-th of its thread, is then the first of the work in the first child,
the second in the second, and so on, until a child comes to its end without any failing.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from walvec.crashlab.fault_run import Ended, FaultFailed, FaultRun, FaultSkipped
from walvec.crashlab.tracing import TracingUnavailable, allow_tracing, attach

ORDINAL = 100
"""More calls of a kind than a workload makes."""
NOWHERE = 1 << 20
"""A descriptor that no process has."""
ABSENT = Path("/proc/self/absent")
WASTED: dict[str, Callable[[], Any]] = {
    "pwrite64": lambda: os.pwrite(NOWHERE, b"x", 0),
    "write": lambda: os.write(NOWHERE, b"x"),
    "fdatasync": lambda: os.fdatasync(NOWHERE),
    "fsync": lambda: os.fsync(NOWHERE),
    "ftruncate": lambda: os.ftruncate(NOWHERE, 0),
    "openat": lambda: os.open(ABSENT, os.O_RDONLY),
    "rename": lambda: ABSENT.rename(ABSENT),
    "mkdir": lambda: (ABSENT / "absent").mkdir(),
}
"""The system calls that can be made to fail, each with one that comes to nothing."""


class Turn(NamedTuple):
    """One child: the call that failed, as strace shows it, and how the child ended. In the last
    one no call has failed, which is the end."""

    number: int
    call: str
    ended: Ended


def each_call_failing(
    lab: FaultRun, call: str, error: str, work: Callable[[int], Any]
) -> list[Turn]:
    """Do `work(n)` in a child in which the n-th system call of this name fails with this error,
    for n = 1, 2, ... until there are no so many.

    What `work` returns is small. Raises FaultSkipped where there is no strace, or it may not
    trace.
    """
    turns: list[Turn] = lab.in_child(lambda: _take_turns(lab, call, error, work))
    return turns


def _take_turns(lab: FaultRun, call: str, error: str, work: Callable[[int], Any]) -> list[Turn]:
    trace = lab.scratch / f"{call}-{error}.trace"
    tracer = _trace_this_process(call, error, trace)
    turns: list[Turn] = []
    try:
        with trace.open() as lines:
            for number in range(1, ORDINAL):
                ended = lab.ended(partial(_turn, call, number, work))
                failed = [line for line in lines if "(INJECTED)" in line]
                turns.append(Turn(number, failed[0].strip() if failed else "", ended))
                if not failed:
                    return turns
        raise FaultFailed(f"the workload makes more than {ORDINAL} calls of {call}")
    finally:
        tracer.terminate()
        tracer.wait()


def _turn(call: str, number: int, work: Callable[[int], Any]) -> Any:
    for _ in range(ORDINAL - number):
        with contextlib.suppress(OSError):
            WASTED[call]()
    return work(number)


def _trace_this_process(call: str, error: str, trace: Path) -> subprocess.Popen[bytes]:
    """strace on this process and all that it forks from now on."""
    allow_tracing()
    options = ["-y", "-s", "8", "-e", "signal=none", "-e", f"trace={call}", "-o", str(trace)]
    inject = f"inject={call}:error={error}:when={ORDINAL}"
    try:
        return attach(os.getpid(), [*options, "-e", inject])
    except TracingUnavailable as reason:
        raise FaultSkipped(str(reason)) from reason
