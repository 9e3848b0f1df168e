"""The level "kill": a child process gets a real SIGKILL, at every failpoint, at every system call
that changes a file, and at random moments; and again while it recovers, and again in that.

What a killed process has written is there, in the page cache: this level says nothing of power
cuts. The child is killed on entering a system call, which is then not done. strace counts the
calls of each thread by itself, so the N-th call is the N-th of whichever thread gets there first.
Where threads work in the background the N-th arrival is not the same in every run.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import NamedTuple

from walvec.crashlab.adapter import Adapter, Op
from walvec.crashlab.judge import Expectation
from walvec.crashlab.level import Crash, Level
from walvec.crashlab.stage import during, perform, recover
from walvec.crashlab.stopping import (
    CALL,
    END,
    FAILPOINT,
    MOMENT,
    Cut,
    Stopped,
    count_calls,
    refuse_impossible,
    stop,
)
from walvec.crashlab.tracing import TracingUnavailable

CALLS = (
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range"),
    *("fsync", "fdatasync", "msync", "sync_file_range", "ftruncate", "truncate", "fallocate"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat"),
)
"""The system calls that change a file or a folder."""
MOMENTS = 8
"""Random moments of a workload."""
RECOVERED = 4
"""Crashes of a workload after which the recovery is killed too."""
RECOVERY_CUTS = 6
"""Places at which the recovery after such a crash is killed."""
SECOND_RECOVERY_CUTS = 2
MAX_ARRIVALS = 5000
"""More than any workload has: a loop that gets there would never end."""


class _Counts(NamedTuple):
    """What a run passes: how many failpoints, and system calls by name."""

    failpoints: int
    calls: dict[str, int]

    def cuts(self) -> list[Cut]:
        """Every place at which that run can be cut."""
        points = [Cut(FAILPOINT, "", n) for n in range(1, self.failpoints + 1)]
        calls = [Cut(CALL, call, n) for call, many in self.calls.items() for n in _upto(many)]
        return points + calls


def _upto(many: int) -> range:
    return range(1, many + 1)


class KillLevel(Level):
    """A real SIGKILL."""

    name = "kill"

    def __init__(self, adapter: Adapter, seed: int) -> None:
        super().__init__(adapter, seed)
        self._points = sorted(adapter.failpoints)
        if not self._points:
            self.limits.append("no process was killed at a failpoint: the adapter names none")

    def crashes(self, ops: Sequence[Op], scratch: Path) -> Iterator[tuple[Crash, Path]]:
        """Stop this workload at every failpoint and every system call, then at some moments.

        Of some crashes, chosen by `random`, the recovery is stopped as well. First comes the run
        that is not stopped. Raises ValueError for failpoints that do not exist.
        """
        refuse_impossible(self._points)
        ops = tuple(ops)
        whole = self._new_folder(scratch)
        ended = self._perform(ops, Cut(END), whole)
        yield self._crash(ops, ended, (Cut(END),), (ended,)), whole
        if ended.wrong:
            return  # There is nothing that could be stopped.
        for name in ended.arrivals:
            self.passed[name] = self.passed.get(name, 0) + 1
        counts = self._counts(ended, partial(self._count_perform, ops, scratch))
        chosen = _sample(self.random, counts.cuts(), RECOVERED)
        # One of its own: how far the caller gets must not decide which recoveries are tried.
        random = Random(self.random.random())
        moments = [Cut(MOMENT, "", random.uniform(0, ended.seconds)) for _ in range(MOMENTS)]
        loops: list[Iterator[Cut]] = [_counted(FAILPOINT, "")] if self._points else []
        loops += [_counted(CALL, call) for call in counts.calls]
        loops += [iter([cut]) for cut in moments]
        for loop in loops:
            for cut in loop:
                folder = self._new_folder(scratch)
                stopped = self._perform(ops, cut, folder)
                if not stopped.point and not stopped.wrong:
                    shutil.rmtree(folder)
                    break  # It came to its end: there is no such arrival any more.
                crash = self._crash(ops, stopped, (cut,), (stopped,))
                if cut in chosen and not stopped.wrong:
                    spare = self._copy(folder, scratch)
                    yield crash, folder
                    yield from self._in_recovery(ops, stopped, cut, spare, random, scratch)
                    shutil.rmtree(spare)
                else:
                    yield crash, folder
                if not stopped.point:
                    break

    def repeat(self, ops: Sequence[Op], cut: str, folder: Path) -> Crash:
        """Stop this workload at this cut once more, and the recoveries after it at theirs.

        Raises ValueError for a cut that is not one or is not reached: with threads in the
        background, or at a moment, that may be chance. Raises TracingUnavailable.
        """
        refuse_impossible(self._points)
        ops = tuple(ops)
        cuts = tuple(Cut.of(text) for text in cut.split(">"))
        runs: list[Stopped] = []
        for number, one in enumerate(cuts):
            run = self._recover(one, folder) if number else self._perform(ops, one, folder)
            runs.append(run)
            if one.kind != END and not run.point and not run.wrong:
                raise ValueError(
                    f"the cut {one} was not reached: the run came to its end before it; where "
                    "threads work in the background, or at a moment, that may be chance"
                )
        return self._crash(ops, runs[0], cuts, runs)

    def _in_recovery(
        self,
        ops: Sequence[Op],
        first: Stopped,
        cut: Cut,
        spare: Path,
        random: Random,
        scratch: Path,
    ) -> Iterator[tuple[Crash, Path]]:
        """Let the store in `spare` recover: wholly, then stopped at some places, and after the
        last of these once more."""
        whole = self._copy(spare, scratch)
        ended = self._recover(Cut(END), whole)
        yield self._crash(ops, first, (cut, Cut(END)), (first, ended)), whole
        if ended.wrong:
            return
        counts = self._counts(ended, partial(self._count_recover, spare, scratch))
        chosen = _sample(random, counts.cuts(), RECOVERY_CUTS)
        for number, second in enumerate(chosen, 1):
            folder = self._copy(spare, scratch)
            stopped = self._recover(second, folder)
            if not stopped.point and not stopped.wrong:
                shutil.rmtree(folder)
                continue
            crash = self._crash(ops, first, (cut, second), (first, stopped))
            if number < len(chosen) or stopped.wrong:
                yield crash, folder
                continue
            twice = self._copy(folder, scratch)
            yield crash, folder
            for third in _sample(random, counts.cuts(), SECOND_RECOVERY_CUTS):
                folder = self._copy(twice, scratch)
                last = self._recover(third, folder)
                if not last.point and not last.wrong:
                    third = Cut(END)  # It had less to do than the one before.
                runs = (first, stopped, last)
                yield self._crash(ops, first, (cut, second, third), runs), folder
            shutil.rmtree(twice)

    def _crash(
        self, ops: Sequence[Op], first: Stopped, cuts: Sequence[Cut], runs: Sequence[Stopped]
    ) -> Crash:
        """What was promised, the first run alone has promised."""
        told, last = first.told, runs[-1]
        expectation = Expectation(
            *(tuple(ops), max(0, told.acked), max(0, told.tried), 0),
            # What a recovery writes is of its own: the moments after the crash are others.
            told.fingerprints if len(runs) == 1 else (),
        )
        return Crash(
            ">".join(map(str, cuts)),
            last.point or "the end",
            "recovery" if len(runs) > 1 else during(told, ops),
            expectation,
            tuple(line for run in runs for line in run.wrong),
        )

    def _perform(self, ops: Sequence[Op], cut: Cut, folder: Path) -> Stopped:
        return stop(partial(perform, self.adapter, folder, ops), cut, self._points, folder)

    def _recover(self, cut: Cut, folder: Path) -> Stopped:
        return stop(partial(recover, self.adapter, folder), cut, self._points, folder)

    def _counts(self, ended: Stopped, count_calls_of_run: partial[dict[str, int]]) -> _Counts:
        """What a run passes that has come to its end once. Without strace no system call."""
        calls: dict[str, int] = {}
        try:
            calls = count_calls_of_run()
        except TracingUnavailable as reason:
            limit = f"no process was killed at a system call: {reason}"
            self.limits = list(dict.fromkeys([*self.limits, limit]))
        return _Counts(len(ended.arrivals), calls)

    def _count_perform(self, ops: Sequence[Op], scratch: Path) -> dict[str, int]:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            return count_calls(partial(perform, self.adapter, Path(folder), ops), CALLS)

    def _count_recover(self, spare: Path, scratch: Path) -> dict[str, int]:
        with tempfile.TemporaryDirectory(dir=scratch) as name:
            folder = Path(name)
            shutil.copytree(spare, folder, symlinks=True, dirs_exist_ok=True)
            return count_calls(partial(recover, self.adapter, folder), CALLS)

    def _new_folder(self, scratch: Path) -> Path:
        return Path(tempfile.mkdtemp(prefix="kill-", dir=scratch))

    def _copy(self, folder: Path, scratch: Path) -> Path:
        target = self._new_folder(scratch)
        shutil.copytree(folder, target, symlinks=True, dirs_exist_ok=True)
        return target


def _counted(kind: str, call: str) -> Iterator[Cut]:
    """The first, the second, ... arrival."""
    for n in count(1):
        assert n < MAX_ARRIVALS, f"{kind} {call} is arrived at without end"
        yield Cut(kind, call, n)


def _sample(random: Random, cuts: Sequence[Cut], n: int) -> list[Cut]:
    return random.sample(cuts, min(n, len(cuts)))
