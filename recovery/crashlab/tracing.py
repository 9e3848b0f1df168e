"""strace, attached to a process that waits to be traced. It needs no root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

ATTACH_S = 10.0
LOOK_EVERY_S = 0.0003
ATTACHED = b" attached"
_PR_SET_PTRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)


class TracingUnavailable(Exception):
    """No strace, or it may not trace: the message says which, and what helps."""


def allow_tracing() -> None:
    """Let any process of the same user trace this one, where it may trace only its own children
    (Yama). To be called by the process that is to be traced."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANY, 0, 0, 0)


def strace_is_missing() -> str:
    """Why nothing can be traced; "" if strace is there."""
    if not sys.platform.startswith("linux"):
        return f"this system is {sys.platform}, and tracing needs Linux"
    if shutil.which("strace") is None:
        return "strace is missing: install it (apt install strace, dnf install strace)"
    return ""


def attach(pid: int, options: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start strace on a process, all its threads, and what it forks from now on.

    The process waits for something meanwhile: no call that it makes after this has returned is
    missed. strace ends with the last process that it traces. Raises TracingUnavailable.
    """
    if missing := strace_is_missing():
        raise TracingUnavailable(missing)
    # A file, which does not fill up as a pipe does: strace says a line of every process.
    with tempfile.TemporaryFile() as said:
        tracer = subprocess.Popen(
            ["strace", "-f", *options, "-p", str(pid)], stdin=subprocess.DEVNULL, stderr=said
        )
        deadline = time.monotonic() + ATTACH_S
        # Not TracerPid of /proc: that is there a moment before the process is stopped.
        while ATTACHED not in os.pread(said.fileno(), 1 << 16, 0):
            if tracer.poll() is not None or time.monotonic() > deadline:
                tracer.kill()
                tracer.wait()
                text = os.pread(said.fileno(), 1 << 16, 0).decode(errors="replace").strip()
                reason = text.splitlines()[-1] if text else "it does not answer"
                raise TracingUnavailable(
                    f"strace cannot trace process {pid} ({reason}): in a container it takes the "
                    "capability SYS_PTRACE"
                )
            time.sleep(LOOK_EVERY_S)
    _share_processor(tracer.pid, pid)
    return tracer


def _share_processor(*pids: int) -> None:
    """Keep processes on the processor of this one, which will only wait. strace and what it
    traces take turns at every call, and to wake another processor takes longer than most calls:
    a run takes half the time."""
    processor = ctypes.CDLL(None).sched_getcpu()
    for pid in pids:
        os.sched_setaffinity(pid, {processor})
