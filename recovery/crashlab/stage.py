"""The stage: runs a workload in a forked child, which says what it tries and what is acknowledged.

The marks go through a pipe, so that they outlive a child that is killed; a recording sees the
same writes, in their place among those of the store.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from walvec.crashlab.adapter import Adapter, Op

OPENING, CLOSING = 0, -1
"""Numbers of what every run does before its first operation and after its last."""
PLACES = {OPENING: "opening", CLOSING: "closing"}
MARK = b"walvec-crashlab"
CLOCK_START_NS = 1_767_225_600 * 10**9
"""The first moment of 2026."""
CLOCK_STEP_NS = 10**6


class Marks:
    """Says what is tried and what is acknowledged, each in one write."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def attempt(self, number: int) -> None:
        """The operation of this number is about to begin."""
        os.write(self._descriptor, b"%s try %d\n" % (MARK, number))

    def ack(self, number: int, fingerprint: tuple[str, str] | None = None) -> None:
        """The store has promised the operation of this number, and then has this fingerprint."""
        os.write(self._descriptor, b"%s ack %d\n" % (MARK, number))
        if fingerprint is not None:
            text = f"{fingerprint[0]} {fingerprint[1]}"
            os.write(self._descriptor, b"%s fingerprint %s\n" % (MARK, text.encode()))

    def fail(self, text: str) -> None:
        """The run ends with an error."""
        os.write(self._descriptor, b"%s error %s\n" % (MARK, repr(text[-4000:]).encode()))


class Told(NamedTuple):
    """What a run has said: how many operations were tried, how many acknowledged (each counts
    those of the workload, from the first on), whether it came to its end, its error, and its
    fingerprints, see Adapter."""

    tried: int = 0
    acked: int = 0
    finished: bool = False
    error: str = ""
    fingerprints: tuple[tuple[str, str], ...] = ()
    under_way: str = ""
    """What was begun last and not acknowledged: "opening", "closing", an operation's number; ""
    between two."""


def read_marks(text: bytes) -> Told:
    """What the marks in a pipe say. The last line may be cut."""
    tried = acked = 0
    finished, error, under_way = False, "", ""
    fingerprints: list[tuple[str, str]] = []
    for line in text.split(b"\n")[:-1]:
        _, kind, rest = line.split(b" ", 2)
        if kind == b"error":
            error = rest.decode()
        elif kind == b"fingerprint":
            at, digest = rest.decode().split(" ")
            fingerprints.append((at, digest))
        elif kind == b"try":
            tried = max(tried, int(rest))
            under_way = PLACES.get(int(rest), rest.decode())
        else:
            acked = max(acked, int(rest))
            finished = int(rest) == CLOSING
            under_way = ""
    return Told(tried, acked, finished, error, tuple(fingerprints), under_way)


def perform(adapter: Adapter, folder: Path, ops: Sequence[Op], marks: Marks) -> None:
    """Open the store, apply the operations, close it; each is marked before and after."""
    marks.attempt(OPENING)
    handle = adapter.open(folder)
    marks.ack(OPENING)
    for op in ops:
        apply(adapter, handle, op, marks)
    marks.attempt(CLOSING)
    adapter.close(handle)
    marks.ack(CLOSING)


_marks_of_run: Marks | None = None


def apply(adapter: Adapter, handle: Any, op: Op, marks: Marks) -> None:
    """Apply an operation, marked before and after."""
    global _marks_of_run
    _marks_of_run = marks
    marks.attempt(op.number)
    adapter.apply(handle, op)
    if not adapter.promises_later:
        marks.ack(op.number, adapter.fingerprint(handle))


def ack(op: Op) -> None:
    """Say that the store has promised this operation and all before it; for adapters whose
    `promises_later` is true. Outside of a run nobody listens."""
    if _marks_of_run is not None:
        _marks_of_run.ack(op.number)


def recover(adapter: Adapter, folder: Path, marks: Marks) -> None:
    """What happens after a crash: open the store, let it mend itself, close it."""
    marks.attempt(OPENING)
    handle = adapter.open(folder)
    adapter.settle(handle)
    marks.ack(OPENING)
    marks.attempt(CLOSING)
    adapter.close(handle)
    marks.ack(CLOSING)


def during(told: Told, ops: Sequence[Op]) -> str:
    """What was under way, in words: "opening", an operation's name, "closing", "between"."""
    if told.under_way.isdigit():
        return ops[int(told.under_way) - 1].name
    return told.under_way or "between"


class Child(NamedTuple):
    """A forked process and the pipe that its marks come through."""

    pid: int
    marks: int

    def bury(self) -> tuple[Told, int]:
        """Wait for its end; what it said, and its exit code, or minus the signal it died of."""
        text = b""
        while piece := os.read(self.marks, 1 << 16):
            text += piece
        os.close(self.marks)
        status = os.waitpid(self.pid, 0)[1]
        return read_marks(text), os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        """SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def fork() -> int:
    """os.fork. A Ctrl-C that comes meanwhile is raised when it is done: Python loses one that
    comes while it runs its hooks of a fork. In the child it is nothing, until `take_interrupts`
    says otherwise."""
    missed: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if is_main else None
    if before is not None:
        signal.signal(signal.SIGINT, lambda number, _: missed.append(number))
    pid = -1
    try:
        with warnings.catch_warnings():
            # Python warns of threads: the child uses no lock that one of them may hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
    finally:
        if pid and before is not None:
            signal.signal(signal.SIGINT, before)
            if missed:
                signal.raise_signal(signal.SIGINT)
    return pid


def take_interrupts(action: signal.Handlers) -> None:
    """In a child: what a Ctrl-C does to it."""
    signal.signal(signal.SIGINT, action)


def fork_child(run: Callable[[Marks], None]) -> Child:
    """Run something in a forked child, which is then gone without any clearing up."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = fork()
    if pid:
        os.close(writer)
        return Child(pid, reader)
    code = 1
    marks = Marks(writer)
    try:
        os.close(reader)
        # What a store prints is not the laboratory's output, which may be JSON.
        os.dup2(2, 1)
        # What a store says about damage is no news here.
        logging.disable(logging.CRITICAL)
        signal.set_wakeup_fd(-1)
        take_interrupts(signal.SIG_DFL)
        run(marks)
        code = 0
    except BaseException:
        marks.fail(traceback.format_exc())
    finally:
        os._exit(code)


@contextlib.contextmanager
def frozen_chance(seed: int = 0) -> Iterator[None]:
    """Random bytes and clocks that are the same in every run, so that two runs that begin with
    the same operations write the same bytes. Only what is written in Python asks them."""
    chance = random.Random(seed)
    ticks = iter(range(CLOCK_START_NS, CLOCK_START_NS + (1 << 60), CLOCK_STEP_NS))
    places: dict[tuple[Any, str], Any] = {
        (os, "urandom"): chance.randbytes,
        (random, "_urandom"): chance.randbytes,  # of SystemRandom, and so of secrets
        (tempfile, "_name_sequence"): map("frozen{}".format, itertools.count()),
        (time, "time_ns"): lambda: next(ticks),
        (time, "time"): lambda: next(ticks) / 1e9,
    }
    before = {(place, name): getattr(place, name) for place, name in places}
    state = random.getstate()
    try:
        random.seed(seed)
        for (place, name), value in places.items():
            setattr(place, name, value)
        yield
    finally:
        random.setstate(state)
        for (place, name), value in before.items():
            setattr(place, name, value)
