"""The processes of a run: started, stopped, killed, replaced, and what was done to them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil
from peer import state_of

from torture.plan import Plan
from torture.record import read_record
from torture.testimony import Stop

TESTS = Path(__file__).resolve().parents[1]


class Failed(Exception):
    """The run cannot go on; the message says what was violated."""


@dataclass
class Process:
    """One process. `stopped_at` is a time in ns while it stands still, `wake_at` when it is to go
    on, in s of the monotonic clock."""

    role: str
    number: int
    child: subprocess.Popen[bytes]
    stopped_at: int = 0
    wake_at: float = 0.0
    grew_at: float = 0.0
    size: int = 0

    @property
    def name(self) -> str:
        return f"{self.role}-{self.number}"


class Processes:
    """All processes of a run, living and dead."""

    def __init__(self, run: Path, plan: Plan) -> None:
        self.run = run
        self.plan = plan
        self.rng = random.Random(f"{plan.seed}/processes")
        self.living: list[Process] = []
        self.stops: list[Stop] = []
        self.faults: Counter[str] = Counter()
        self.pids: dict[str, int] = {}
        self._killed: set[str] = set()
        self._numbers = 0
        self._long_stops_due = 0

    def start(self, role: str, heir_of: str = "") -> None:
        """Start one process."""
        self._numbers += 1
        number = self._numbers
        errors = self.run / "errors" / f"{role}-{number}.txt"
        with errors.open("wb") as stderr:
            child = subprocess.Popen(
                [sys.executable, "-m", "torture.worker", self.run, role, str(number), heir_of],
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                cwd=self.run,
                env={**os.environ, "PYTHONPATH": str(TESTS)},
            )
        process = Process(role, number, child, grew_at=time.monotonic())
        self.living.append(process)
        self.pids[process.name] = child.pid

    def record_of(self, process: Process) -> Path:
        """The file that a process writes to."""
        return self.run / "records" / f"{process.name}.jsonl"

    def look(self) -> None:
        """Bury and replace those that were killed, wake those whose time has come. Raises Failed
        where one ended by itself, or does nothing any more."""
        now = time.monotonic()
        for process in list(self.living):
            code = process.child.poll()
            if code is not None:
                self._bury(process, code)
                self.start(process.role, process.name)
            elif process.stopped_at and now >= process.wake_at:
                self.wake(process)
            elif not process.stopped_at and state_of(process.child.pid) == "T":
                self._stopped_itself(process)
            self._refuse_stuck(process, now)

    def _stopped_itself(self, process: Process) -> None:
        if self._long_stops_due:
            self._long_stops_due = 0
            self.faults["stopped at a failpoint, long"] += 1
            self._fell_still(process, self.plan.long_stop_s)
        else:
            self.faults["stopped at a failpoint"] += 1
            self._fell_still(process, self._stop_s())

    def _bury(self, process: Process, code: int) -> None:
        self.living.remove(process)
        self._woke(process)
        if code != -signal.SIGKILL:
            raise Failed(f"{process.name} ended with exit code {code}\n{self.errors_of(process)}")
        if process.name not in self._killed:
            armed = [
                line["point"] for line in read_record(self.record_of(process)) if line["e"] == "arm"
            ]
            if not any(point.endswith("kill") for point in armed):
                raise Failed(f"{process.name} was killed, and not by this run")
            self.faults["killed at a failpoint"] += 1

    def errors_of(self, process: Process) -> str:
        """The end of what a process said on its standard error."""
        path = self.run / "errors" / f"{process.name}.txt"
        return path.read_text(errors="replace")[-4000:]

    def stacks_of(self, process: Process) -> str:
        """Where the threads of a process are."""
        process.child.send_signal(signal.SIGUSR1)
        time.sleep(1)  # they are being written
        return self.errors_of(process)

    def _refuse_stuck(self, process: Process, now: float) -> None:
        path = self.record_of(process)
        size = path.stat().st_size if path.exists() else 0
        if process.stopped_at or size != process.size:
            process.size, process.grew_at = size, now
        elif now - process.grew_at > self.plan.stuck_s:
            stacks = self.stacks_of(process)
            raise Failed(f"{process.name} did nothing for {self.plan.stuck_s} s\n{stacks}")

    def kill_one(self) -> None:
        """SIGKILL to any of them, also to one that stands still."""
        process = self.rng.choice(self.living)
        self._killed.add(process.name)
        process.child.kill()
        process.child.wait()
        self.faults["killed"] += 1

    def kill_builder(self) -> None:
        """SIGKILL to a process that builds indexes for one of them."""
        process = self.rng.choice(self.living)
        try:
            children = psutil.Process(process.child.pid).children()
            for child in children:
                child.kill()
                self.faults["builders killed"] += 1
        except psutil.NoSuchProcess:
            return

    def stop_long(self) -> None:
        """The next one that stops itself within a commit stands still for long."""
        self._long_stops_due = 1

    def stop_one(self) -> None:
        """SIGSTOP to any of them."""
        awake = [p for p in self.living if not p.stopped_at]
        if awake:
            process = self.rng.choice(awake)
            process.child.send_signal(signal.SIGSTOP)
            self.faults["stopped"] += 1
            self._fell_still(process, self._stop_s())

    def _stop_s(self) -> float:
        return self.rng.uniform(0.02, self.plan.short_stop_s)

    def _fell_still(self, process: Process, seconds: float) -> None:
        process.stopped_at = time.monotonic_ns()
        process.wake_at = time.monotonic() + seconds

    def wake(self, process: Process) -> None:
        """SIGCONT."""
        self._woke(process)
        process.child.send_signal(signal.SIGCONT)

    def _woke(self, process: Process) -> None:
        if process.stopped_at:
            stop = Stop(process.name, process.child.pid, process.stopped_at, time.monotonic_ns())
            self.stops.append(stop)
            process.stopped_at = 0

    def wake_all(self) -> None:
        """SIGCONT to all that stand still."""
        for process in self.living:
            if process.stopped_at:
                self.wake(process)

    def end_all(self) -> None:
        """Nobody is left behind, whatever happened."""
        for process in self.living:
            process.child.kill()
            process.child.wait()
