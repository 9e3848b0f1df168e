"""Stopping: one forked child that runs something, and is killed at one cut.

A cut is one of, as text:

    failpoint@3         at the third arrival at any of the adapter's failpoints
    call:pwrite64@7     at the seventh call of a thread to pwrite64, which is not done any more
    moment@0.00312      so many seconds after it was forked
    end                 not at all
"""

from __future__ import annotations

import json
import mmap
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from walvec.crashlab.stage import Child, Marks, Told, fork_child, frozen_chance
from walvec.crashlab.tracing import allow_tracing, attach
from walvec.wal.failpoints import arm_any, recorded, registered, unfired

FAILPOINT, CALL, MOMENT, END = "failpoint", "call", "moment", "end"
DEADLINE_S = 60
"""After so long a child hangs, and is ended by SIGALRM."""
TRAIL_S = 0.2
"""How long strace goes on with processes that outlive the child that has started them."""
BOARD_BYTES = 1 << 20
LAST_LINES = 6
CUT = re.compile(r"(failpoint)@(\d+)|call:(\w+)@(\d+)|(moment)@(\d+\.\d+)|(end)")
CALLED = re.compile(r"^(?:\d+ +)?(\w+)\((.*)", re.MULTILINE)
KILLED = "+++ killed by SIGKILL +++"
SEEN_PATH = re.compile(r'<(/[^>]*)>(?:, "([^"]*)")?|"([^"]*)"')
CHANGING_PART = re.compile(r"\d{3,}(-[0-9a-f]+)?|[0-9a-f]{8,}")
"""Of a file's name: process ids and random bytes."""

Run = Callable[[Marks], None]


class Cut(NamedTuple):
    """Where a child is stopped. `call` is the name of the system call, `at` counts from 1, and of
    a moment is seconds."""

    kind: str
    call: str = ""
    at: float = 0

    @classmethod
    def of(cls, text: str) -> Cut:
        """The cut of a text. Raises ValueError."""
        match = CUT.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is no cut: failpoint@N, call:NAME@N, moment@SECONDS or end is one"
            )
        if match[1]:
            return cls(FAILPOINT, "", int(match[2]))
        if match[3]:
            return cls(CALL, match[3], int(match[4]))
        return cls(MOMENT, "", float(match[6])) if match[5] else cls(END)

    def __str__(self) -> str:
        if self.kind == END:
            return END
        at = f"{self.at:.5f}" if self.kind == MOMENT else f"{self.at:.0f}"
        return f"{CALL}:{self.call}@{at}" if self.kind == CALL else f"{self.kind}@{at}"


class Stopped(NamedTuple):
    """How a child ended: what it had told, its exit code (minus the signal), where it was stopped
    ("" if it came to its end), the failpoints that it passed where they were recorded, and the
    seconds that it took."""

    told: Told
    code: int
    point: str = ""
    arrivals: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is wrong with that, if anything: an error or a death that is not the cut's."""
        if self.code == -signal.SIGALRM:
            return (f"the process hung: it had not come to its end after {DEADLINE_S} s",)
        if self.code < 0 and not (self.point and self.code == -signal.SIGKILL):
            return (f"the process died of {signal.Signals(-self.code).name}",)
        if self.told.error:
            return (f"the process failed by itself: {last_lines(self.told.error)}",)
        return ()


class Board:
    """Memory that a child shares with its parent: what it wrote last outlives it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, BOARD_BYTES)

    def write(self, data: Any) -> None:
        """In place of what was there."""
        text = json.dumps(data).encode()[: BOARD_BYTES - 1]
        self._memory[: len(text) + 1] = text + b"\0"

    def read(self) -> Any:
        """What was written last; None if nothing was."""
        text = self._memory[: self._memory.find(b"\0")]
        return json.loads(text) if text else None


def refuse_impossible(points: Collection[str]) -> None:
    """Raise ValueError for failpoints that do not exist, or that somebody else has armed."""
    if strangers := sorted(set(points) - registered()):
        raise ValueError(
            f"no failpoint {', '.join(strangers)}: names that the adapter gives are registered "
            "(failpoints.register), and are those that its code arrives at"
        )
    if others := unfired():
        raise ValueError(
            f"{', '.join(others)} is armed in this process (WALVEC_FAILPOINTS?): the laboratory "
            "arms failpoints itself"
        )


def stop(run: Run, cut: Cut, points: Collection[str], folder: Path) -> Stopped:
    """Run something in a child that is killed at a cut.

    With the cut "end" the arrivals at `points` are recorded. Paths are told relative to
    `folder`. Raises TracingUnavailable.
    """
    if cut.kind == CALL:
        return _stop_at_call(run, cut, folder)
    board = Board()
    start = time.monotonic()
    child = _fork(run, cut, points, board)
    if cut.kind == MOMENT:
        _wait(child.pid, cut.at)
        child.kill()
    told, code = child.bury()
    seconds = time.monotonic() - start
    if cut.kind == MOMENT:
        return Stopped(told, code, "a moment" if code == -signal.SIGKILL else "", (), seconds)
    said = board.read()
    if cut.kind == FAILPOINT:
        return Stopped(told, code, f"failpoint {said}" if said else "", (), seconds)
    return Stopped(told, code, "", tuple(said or ()), seconds)


def _wait(pid: int, seconds: float) -> None:
    """So long, or until the end of a process, should that come before."""
    descriptor = os.pidfd_open(pid)
    try:
        select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)


def _fork(run: Run, cut: Cut, points: Collection[str], board: Board) -> Child:
    def die(name: str) -> None:
        board.write(name)
        os.kill(os.getpid(), signal.SIGKILL)

    def act(marks: Marks) -> None:
        set_deadline()
        with frozen_chance():
            if cut.kind == FAILPOINT:
                with arm_any(points, die, int(cut.at)):
                    run(marks)
            elif cut.kind == END:
                with recorded(points) as arrivals:
                    run(marks)
                board.write(arrivals)
            else:
                run(marks)

    return fork_child(act)


def set_deadline() -> None:
    """End this process should it hang."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(DEADLINE_S)


def _stop_at_call(run: Run, cut: Cut, folder: Path) -> Stopped:
    inject = f"inject={cut.call}:signal=SIGKILL:when={cut.at:.0f}"
    told, code, trace, seconds = _traced(run, [cut.call], ["-e", inject])
    if KILLED not in trace:
        return Stopped(told, code, "", (), seconds)
    return Stopped(told, code, f"before {_what_was_called(trace, cut.call, folder)}", (), seconds)


def count_calls(run: Run, names: Sequence[str]) -> dict[str, int]:
    """How often a run makes system calls of these names, all its threads together.

    Raises TracingUnavailable.
    """
    _, _, trace, _ = _traced(run, names, [])
    found: dict[str, int] = {}
    for name, _ in CALLED.findall(trace):
        found[name] = found.get(name, 0) + 1
    return found


def _traced(run: Run, names: Sequence[str], options: Sequence[str]) -> tuple[Told, int, str, float]:
    """Run something under strace: what it told, its exit code, the trace, the seconds."""
    gate, ours = socket.socketpair()

    def wait_and_run(marks: Marks) -> None:
        ours.close()
        allow_tracing()
        gate.send(b"r")
        if not gate.recv(1):
            return  # The laboratory is gone, or cannot trace.
        gate.close()
        set_deadline()
        with frozen_chance():
            run(marks)

    with tempfile.NamedTemporaryFile(prefix="walvec-crashlab-", suffix=".trace") as trace:
        child = fork_child(wait_and_run)
        gate.close()
        # A name that this machine's architecture lacks (rename on arm64) is no error.
        wanted = f"trace={','.join(f'?{name}' for name in names)}"
        quiet = ["-y", "-s", "0", "-e", "signal=KILL", "-o", trace.name]
        try:
            with ours:
                ours.recv(1)
                tracer = attach(child.pid, [*quiet, "-e", wanted, *options])
                start = time.monotonic()
                ours.send(b"g")
        except BaseException:
            child.bury()
            raise
        told, code = child.bury()
        try:
            tracer.wait(TRAIL_S)
        except subprocess.TimeoutExpired:
            tracer.terminate()
            tracer.wait()
        seconds = time.monotonic() - start
        return told, code, Path(trace.name).read_text(errors="replace"), seconds


def _what_was_called(trace: str, name: str, folder: Path) -> str:
    """The last call in a trace: its name, and the file, as stable text."""
    calls = [arguments for called, arguments in CALLED.findall(trace) if called == name]
    found = SEEN_PATH.search(calls[-1]) if calls else None
    if found is None:
        return f"{name} elsewhere"
    path = Path(found[1] or "", found[2] or "") if found[1] else Path(found[3])
    if not path.is_relative_to(folder):
        return f"{name} elsewhere"
    return f"{name} {CHANGING_PART.sub('#', str(path.relative_to(folder)))}"


def last_lines(text: str) -> str:
    """The end of a traceback, in one line."""
    return " | ".join(line.strip() for line in text.strip().splitlines()[-LAST_LINES:])
