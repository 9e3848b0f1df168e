"""The bench: where trials are judged and counted, each distinct state once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3

from walvec.crashlab.adapter import Adapter, Op
from walvec.crashlab.checkers import Checkers, Task
from walvec.crashlab.image import DIGEST_SIZE
from walvec.crashlab.judge import Expectation, Verdict
from walvec.crashlab.result import Result
from walvec.crashlab.run import Run
from walvec.crashlab.trial import Trial

KEPT_RUNS = 12
"""So many recordings are kept to be drawn, beside those with failures."""


class Finding(NamedTuple):
    """A trial that failed."""

    trial: Trial
    verdict: Verdict


class Bench:
    """Judges trials with a pool of checkers, and counts them in a result.

    A state is known again by its bytes. It need not be judged anew where the one judgement says
    all: it was sound, and what it held is among what is expected now. Where the level itself has
    found something wrong, in the process that was stopped, that is told whatever is left on disk.
    """

    def __init__(
        self,
        adapter: Adapter,
        result: Result,
        scratch: Path,
        progress: Callable[[Result], None] | None = None,
    ) -> None:
        self.result = result
        self.findings: list[Finding] = []
        self.runs: dict[int, tuple[Run, str, dict[int, tuple[int, int]]]] = {}
        self._adapter = adapter
        self._progress = progress
        self._started = time.monotonic()
        self._sound: dict[bytes, tuple[Op, ...]] = {}
        self._seen: set[bytes] = set()
        self._failed: set[bytes] = set()
        self._in_hand: dict[bytes, list[Trial]] = {}
        self._again: list[tuple[Trial, bytes]] = []
        self._judged: set[tuple[bytes, Expectation]] = set()
        self._checkers = Checkers(adapter, scratch)

    def close(self) -> None:
        """End the checkers."""
        self._checkers.close()

    def put(self, trial: Trial) -> None:
        """Have a trial judged, some time."""
        self.result.tries += 1
        self._put(trial, self._digest(trial))
        self._put_again()

    def _put_again(self) -> None:
        while self._again:
            self._put(*self._again.pop())

    def _put(self, trial: Trial, digest: bytes) -> None:
        expectation = trial.crash.expectation
        if not trial.crash.wrong and self._is_known(digest, expectation):
            self._count_on_timeline(trial, False)
            trial.forget()
            return
        if digest in self._in_hand:
            # What is found out about it soon may say all.
            self._in_hand[digest].append(trial)
            return
        self._in_hand[digest] = []
        first = digest not in self._seen
        self._seen.add(digest)
        self._judged.add((digest, expectation._replace(fingerprints=())))
        self._take(self._checkers.submit(self._task(trial, digest, first)))

    def judge(self, trial: Trial) -> Verdict:
        """Judge one trial now, without counting it."""
        for _ in self._checkers.drain():
            raise AssertionError("the bench is in use")
        tasks = [*self._checkers.submit(self._task(trial, b"", False)), *self._checkers.drain()]
        return _with(tasks[0][1], trial)

    def finish(self) -> None:
        """Wait for what is being judged."""
        while self._checkers.busy:
            self._take(self._checkers.finished(1.0))
            self._put_again()

    def _task(self, trial: Trial, digest: bytes, first: bool) -> Task:
        folder = self._checkers.place()
        trial.lay(folder)
        return Task(folder, trial.crash.expectation, (trial, digest, first))

    def _digest(self, trial: Trial) -> bytes:
        if trial.image is not None:
            return trial.image.digest
        assert trial.folder is not None
        hashed = blake3()
        for path in sorted(trial.folder.rglob("*")):
            name = os.fsencode(path.relative_to(trial.folder))
            if path.is_dir():
                hashed.update(name + b"/\0")
                continue
            hashed.update(name + b"\0")
            if not any(fnmatchcase(os.fsdecode(name), v) for v in self._adapter.volatile):
                hashed.update(blake3(path.read_bytes()).digest(DIGEST_SIZE))
        return hashed.digest(DIGEST_SIZE)

    def _is_known(self, digest: bytes, expectation: Expectation) -> bool:
        if (digest, expectation._replace(fingerprints=())) in self._judged:
            return True
        held = self._sound.get(digest)
        if held is None:
            return False
        first = max(0, expectation.acked - expectation.may_lose)
        found = self._state_after(held)
        return any(
            self._state_after(expectation.ops[:k]) == found
            for k in range(first, expectation.tried + 1)
        )

    def _state_after(self, ops: tuple[Op, ...]) -> Any:
        """What tells the state after these operations."""
        try:
            return self._adapter.model(ops)
        except NotImplementedError:
            return ops

    def _take(self, judged: Iterable[tuple[Task, Verdict]]) -> None:
        for task, found in judged:
            trial, digest, first = task.subject
            verdict = _with(found, trial)
            result = self.result
            result.seconds = time.monotonic() - self._started
            place = (trial.kind, trial.crash.point, trial.crash.during)
            # A state that was seen before, with more or less expected, was counted there.
            failed = not verdict.ok and digest not in self._failed
            if first or failed:
                result.count(*place, failed, new=first)
            if verdict.ok and not verdict.between:
                self._sound[digest] = trial.crash.expectation.ops[: verdict.kept]
            if not verdict.ok:
                self._failed.add(digest)
                self.findings.append(Finding(trial, verdict))
            self._count_on_timeline(trial, not verdict.ok)
            if verdict.ok:
                trial.forget()
            if self._progress is not None:
                self._progress(result)
            self._again += [(waiting, digest) for waiting in self._in_hand.pop(digest, [])]

    def _count_on_timeline(self, trial: Trial, failed: bool) -> None:
        run = trial.run
        if run is None:
            return
        key = hash((id(run), trial.model))
        kept = self.runs.get(key)
        if kept is None:
            if len(self.runs) >= KEPT_RUNS and not failed:
                return
            kept = self.runs[key] = (run, trial.model, {})
        at = int(trial.crash.cut.rsplit(">", 1)[-1].split(".")[0])
        states, failures = kept[2].get(at, (0, 0))
        kept[2][at] = (states + 1, failures + failed)


def _with(verdict: Verdict, trial: Trial) -> Verdict:
    """The verdict, and what the level itself has found."""
    return verdict._replace(wrong=(*trial.crash.wrong, *verdict.wrong))
