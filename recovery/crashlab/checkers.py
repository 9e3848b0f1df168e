"""The checkers: processes that judge images and folders. The death of one is a verdict, too.

An image may kill who opens it (SIGBUS, SIGSEGV), or never let it go: so each is judged in a
process of its own kind, which is replaced when it dies, and killed when it takes too long.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import shutil
import signal
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from walvec.crashlab.adapter import Adapter
from walvec.crashlab.judge import Expectation, Judge, Verdict
from walvec.crashlab.stage import fork, frozen_chance, take_interrupts

DEADLINE_S = 30.0
AHEAD = 32
"""Tasks that a checker has in hand, so that it has work while a run is recorded."""


class Task(NamedTuple):
    """A folder to be judged, which is changed and then removed. `subject` is the caller's and
    comes back with the verdict."""

    folder: Path
    expectation: Expectation
    subject: Any


class Checkers:
    """A pool of processes that judge stores of one adapter. Close it."""

    def __init__(self, adapter: Adapter, scratch: Path, number: int | None = None) -> None:
        self._adapter = adapter
        self._scratch = scratch
        count = number or os.cpu_count() or 1
        self._all: list[_Checker] = []
        for _ in range(count):
            self._all.append(_Checker(adapter, self._all))

    def close(self) -> None:
        """End all; what they were judging is forgotten."""
        for checker in self._all:
            checker.end()

    @property
    def busy(self) -> bool:
        return any(checker.tasks for checker in self._all)

    def place(self) -> Path:
        """A new empty folder for what is to be judged."""
        return Path(tempfile.mkdtemp(dir=self._scratch))

    def submit(self, task: Task) -> Iterator[tuple[Task, Verdict]]:
        """Have something judged; waits while all have enough in hand. Yields what is finished."""
        yield from self.finished(0.0)
        while min(len(checker.tasks) for checker in self._all) >= AHEAD:
            yield from self.finished(1.0)
        min(self._all, key=lambda c: len(c.tasks)).give(task)

    def drain(self) -> Iterator[tuple[Task, Verdict]]:
        """Wait for all that was submitted."""
        while self.busy:
            yield from self.finished(1.0)

    def finished(self, timeout_s: float) -> Iterator[tuple[Task, Verdict]]:
        """What has been judged, waiting so long for the first."""
        by_pipe: dict[Any, _Checker] = {c.pipe: c for c in self._all if c.tasks}
        for pipe in wait(list(by_pipe), timeout_s):
            checker = by_pipe[pipe]
            try:
                verdict = checker.pipe.recv()
            except (EOFError, ConnectionResetError):
                yield from self._replace(checker, checker.obituary())
                continue
            yield checker.tasks.popleft(), verdict
            checker.since = time.monotonic()
        for checker in list(self._all):
            if checker.tasks and time.monotonic() - checker.since > DEADLINE_S:
                checker.kill()
                checker.obituary()
                yield from self._replace(checker, f"it was not done in {DEADLINE_S:g} s")

    def _replace(self, dead: _Checker, cause: str) -> Iterator[tuple[Task, Verdict]]:
        """Another checker for one that is dead, and the tasks that it had not begun."""
        successor = _Checker(self._adapter, self._all)
        self._all[self._all.index(dead)] = successor
        first, *rest = dead.tasks
        shutil.rmtree(first.folder, ignore_errors=True)
        for task in rest:
            successor.give(task)
        yield first, Verdict((f"judging it killed the process: {cause}",))


class _Checker:
    """One process, and the pipe to it."""

    def __init__(self, adapter: Adapter, others: list[_Checker]) -> None:
        self.tasks: deque[Task] = deque()
        self.since = time.monotonic()
        self.pipe, theirs = Pipe()
        self.pid = fork()
        if self.pid == 0:
            code = 1
            try:
                self.pipe.close()
                for other in others:
                    other.pipe.close()
                _serve(adapter, theirs)
                code = 0
            finally:
                os._exit(code)
        theirs.close()

    def give(self, task: Task) -> None:
        if not self.tasks:
            self.since = time.monotonic()
        self.tasks.append(task)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it is found dead
            self.pipe.send((task.folder, task.expectation))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def obituary(self) -> str:
        """Bury it and say what it died of."""
        self.pipe.close()
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def end(self) -> None:
        self.kill()
        self.obituary()


def _serve(adapter: Adapter, pipe: Connection) -> None:
    """Judge until the pipe is closed."""
    take_interrupts(signal.SIG_IGN)
    # What a store says about damage, or a signal, is what the verdict is about.
    faulthandler.disable()
    logging.disable(logging.CRITICAL)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    judge = Judge(adapter)
    while True:
        try:
            folder, expectation = pipe.recv()
        except EOFError:
            return
        with frozen_chance(2):
            verdict = judge.judge(folder, expectation)
        shutil.rmtree(folder, ignore_errors=True)
        pipe.send(verdict)
