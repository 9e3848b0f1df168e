"""A fault case: what it is given, and the list of all of them. faults.py runs them.

A case does to a store what is no crash (a full disk, damaged files, a peer that stands still) and
raises if it ends in anything but a clear error or full service. What may hurt its process is done
in a forked child: limits, injected errors, files whose reading kills.
"""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
import traceback
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from walvec.crashlab.adapter import Adapter, Op
from walvec.crashlab.judge import Expectation, Judge, shown
from walvec.crashlab.stage import fork_child
from walvec.wal.errors import MilvusException, StoreBrokenException

DEADLINE_S = 60
"""After so many seconds a child is ended by the kernel: it hangs."""
MAX_TRACEBACK = 2000
MAX_LOG = 600
"""So much of what a child that died has written on standard error is told."""
BACKGROUND = ("built", "checkpoint")
"""What is done here at once; the threads that do it for users log every error, and try again."""
TRIES = 3
"""How often an operation is tried before it counts as refused for good."""


class FaultFailed(AssertionError):
    """A fault had other consequences than a clear error or full service. Says which."""


class FaultSkipped(Exception):
    """A case that cannot be run here. Says what is missing."""


class Ended(NamedTuple):
    """How a child ended: what it returned, or with which error, or by which signal."""

    value: Any = None
    error: str = ""
    signal: int = 0

    @property
    def words(self) -> str:
        """How it ended, for reports."""
        if not self.signal:
            return self.error
        return f"the process was ended by {signal.Signals(self.signal).name}: {self.error}"


class Striven(NamedTuple):
    """What became of a workload under a fault: the errors that were told, each "operation: type",
    and what was wrong. `done` is how many operations were acknowledged."""

    refusals: list[str]
    wrong: list[str]
    done: int


class FaultRun:
    """What a case is given: an adapter and its judge, a folder of its own, chance."""

    def __init__(self, adapter: Adapter, seed: int, scratch: Path) -> None:
        self.adapter = adapter
        self.seed = seed
        self.random = Random(seed)
        self.scratch = scratch

    @cached_property
    def judge(self) -> Judge:
        """It keeps the states that it has worked out."""
        return Judge(self.adapter)

    def folder(self, name: str = "store") -> Path:
        """A new, empty folder for a store."""
        folder = self.scratch / name
        folder.mkdir(mode=0o700)
        return folder

    def ended(self, act: Callable[[], Any], deadline_s: int = DEADLINE_S) -> Ended:
        """Run something in a forked child and say how that ended."""
        reader, writer = os.pipe()
        with tempfile.TemporaryFile() as log:
            child = fork_child(lambda _marks: _tell(writer, log.fileno(), act, deadline_s))
            os.close(writer)
            with os.fdopen(reader, "rb") as pipe:
                said = pipe.read()
            told, code = child.bury()
            log.seek(0)
            last = log.read().decode(errors="replace")[-MAX_LOG:]
        if code < 0:
            return Ended(error=last, signal=-code)
        if not said:
            return Ended(error=told.error or f"exit code {code}: {last}")
        kind, value = pickle.loads(said)
        if kind == "skipped":
            raise FaultSkipped(value)
        return Ended(value) if kind == "done" else Ended(error=value)

    def in_child(self, act: Callable[[], Any]) -> Any:
        """What something returns in a forked child. Raises FaultFailed if it raised or died."""
        ended = self.ended(act)
        if ended.error or ended.signal:
            raise FaultFailed(ended.words)
        return ended.value

    def know(self, ops: Sequence[Op]) -> None:
        """Work out the states between these operations, before children are forked."""
        for k in range(len(ops) + 1):
            self.judge.state_after(tuple(ops[:k]))

    def require(self, folder: Path, ops: Sequence[Op]) -> None:
        """Raise FaultFailed unless a store is sound and holds what these operations leave."""
        ops = tuple(ops)
        verdict = self.judge.judge(folder, Expectation(ops, len(ops), len(ops)))
        if not verdict.ok:
            raise FaultFailed(f"{'; '.join(verdict.wrong)}: found {verdict.found}")

    def make_here(self, folder: Path, ops: Sequence[Op]) -> None:
        """Make a store by these operations, in this process."""
        handle = self.adapter.open(folder)
        for op in ops:
            self.adapter.apply(handle, op)
        self.adapter.close(handle)

    def strive(
        self,
        folder: Path,
        ops: Sequence[Op],
        *,
        done: int = 0,
        relief: Callable[[], None] = lambda: None,
    ) -> Striven:
        """Do all operations after the first `done`; what is refused is tried again, after
        `relief`. After each refusal what is there is compared with what must be there."""
        return _Striving(self, folder, tuple(ops), done, relief).strive()


class _Striving:
    """A workload that is refused now and then."""

    def __init__(
        self,
        lab: FaultRun,
        folder: Path,
        ops: tuple[Op, ...],
        done: int,
        relief: Callable[[], None],
    ) -> None:
        self._lab = lab
        self._adapter = lab.adapter
        self._folder = folder
        self._ops = ops
        self._done = done
        self._relief = relief
        self._refusals: list[str] = []
        self._wrong: list[str] = []
        self._half_done: list[Any] = []
        self._handle: Any = None

    def strive(self) -> Striven:
        if self._attempt("open", self._open):
            for op in self._ops[self._done :]:
                if not self._operate(op):
                    break
                self._done += 1
                self._half_done = []
            if not self._attempt("read", self._look):
                self._wrong.append("it could not be read in the end")
            self._attempt("close", self._close)
        return Striven(self._refusals, self._wrong, self._done)

    def _open(self) -> None:
        self._handle = self._adapter.open(self._folder)

    def _close(self) -> None:
        self._adapter.close(self._handle)

    def _reopen(self) -> None:
        """What a handle that says that it is broken asks for."""
        self._close()
        self._attempt("open", self._open)

    def _operate(self, op: Op) -> bool:
        """Do an operation, and again where it is refused; whether it was done."""
        self._half_done = self._adapter.between(self._ops[: self._done + 1])
        for _ in range(TRIES):
            try:
                self._adapter.apply(self._handle, op)
                return True
            except Exception as error:
                self._note(op.name, error)
                if isinstance(error, StoreBrokenException):
                    # What became of the operation, a look at the store tells.
                    self._reopen()
                    if self._state() == self._model(self._done + 1):
                        return True
                self._attempt("read", self._look)
                self._relief()
        self._wrong.append(f"{op.name} was refused {TRIES} times: {self._refusals[-1]}")
        return False

    def _look(self) -> None:
        """Compare what is there with what was acknowledged."""
        found = self._state()
        if found not in (self._model(self._done), *self._half_done):
            self._wrong.append(
                f"after {', '.join(self._refusals[-2:])}: {shown(found)} is there instead of "
                f"{shown(self._model(self._done))}"
            )

    def _attempt(self, name: str, act: Callable[[], None]) -> bool:
        """Do something that changes no row, and again where it is refused; whether it was done."""
        for _ in range(TRIES):
            try:
                act()
                return True
            except Exception as error:
                self._note(name, error)
                self._relief()
                if isinstance(error, StoreBrokenException):
                    self._reopen()
        self._wrong.append(f"{name} was refused {TRIES} times: {self._refusals[-1]}")
        return False

    def _state(self) -> Any:
        return self._adapter.state(self._handle)

    def _model(self, done: int) -> Any:
        return self._lab.judge.state_after(self._ops[:done])

    def _note(self, name: str, error: Exception) -> None:
        self._refusals.append(f"{name}: {type(error).__name__}")
        if not is_clear(error) and name not in BACKGROUND:
            self._wrong.append(f"{name} raised what is no error of walvec: {error!r}")


def is_clear(error: BaseException) -> bool:
    """Whether an error is one of walvec's, with words, or the one for want of memory."""
    if isinstance(error, MilvusException):
        return bool(error.message)
    return isinstance(error, MemoryError)


def _tell(writer: int, log: int, act: Callable[[], Any], deadline_s: int) -> None:
    """In the child: do it, and say what came of it. What it logs is read if it dies."""
    os.dup2(log, 2)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(deadline_s)
    said: tuple[str, Any]
    try:
        said = ("done", act())
    except FaultSkipped as reason:
        said = ("skipped", str(reason))
    except AssertionError as failure:
        said = ("failed", str(failure) or traceback.format_exc())
    except Exception as error:
        said = ("failed", f"{error!r}\n{traceback.format_exc()[-MAX_TRACEBACK:]}")
    os.writev(writer, [pickle.dumps(said)])  # not by write(), which may be the one that fails


class Fault(NamedTuple):
    """A named case. `what`: what happens, and what must follow. `run` returns what followed."""

    name: str
    what: str
    run: Callable[[FaultRun], str]


FAULTS: dict[str, Fault] = {}
"""All cases that were registered, in the order of their registration."""


def fault(name: str, what: str) -> Callable[[Callable[[FaultRun], str]], Callable[[FaultRun], str]]:
    """Register a case."""

    def register(run: Callable[[FaultRun], str]) -> Callable[[FaultRun], str]:
        assert name not in FAULTS, f"two fault cases are called {name}"
        FAULTS[name] = Fault(name, what, run)
        return run

    return register


def counted(texts: Sequence[str]) -> str:
    """Texts with how often each comes, in the order in which they came first."""
    counts = {text: list(texts).count(text) for text in texts}
    return ", ".join(f"{text} ({n})" if n > 1 else text for text, n in counts.items()) or "none"
