"""The level `power`: a recorded run, and every image that a power cut may leave of it.

Of some images the recovery is recorded too, and cut short, and of some of these that of it once
more: cuts within cuts are joined by ">".
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from walvec.crashlab import operation
from walvec.crashlab.adapter import Adapter, Op
from walvec.crashlab.disk import KILL, MODELS, Disk
from walvec.crashlab.image import Cut, Darkroom, Image, cuts, pending
from walvec.crashlab.judge import Expectation
from walvec.crashlab.level import Crash
from walvec.crashlab.operation import Operation, Recording
from walvec.crashlab.recorder import Recorder
from walvec.crashlab.run import Run, generalized, point_after, point_in
from walvec.crashlab.stage import CLOSING, Marks, frozen_chance, perform, recover

RECOVERIES = 2
"""So many images of a recording have their recovery cut short, too."""
DEPTH = 2
SHORT, SHORT_SHARE = 3, 1 / 3
"""Of the workloads of so few operations, which are many, only a part has one."""
IN_FLIGHT = 8
"""So many operations after a cut are looked at: they may have been called before it."""


class Shot(NamedTuple):
    """One image to be judged, and the recording it is of."""

    crash: Crash
    image: Image
    model: str
    run: Run


class _Moment(NamedTuple):
    """A place in a run: what may be expected there, what was under way, what kind of place it is,
    and that of a write that was under way, the one of the number `whole`, if not -1."""

    expectation: Expectation
    during: str
    point: str
    in_point: str
    whole: int
    wrong: tuple[str, ...]


class _Chance(NamedTuple):
    """A shot whose recovery may be cut short, the least number first."""

    times: int
    lot: float
    shot: Shot


class PowerLevel:
    """Records workloads and develops their images. Close it: it has a tracer."""

    name = "power"

    def __init__(self, adapter: Adapter, seed: int, models: Sequence[str] = MODELS) -> None:
        self.adapter = adapter
        self.models = tuple(models)
        self.random = Random(seed)
        self.limits: dict[str, None] = {}
        self._tried: set[tuple[Op, ...]] = set()
        self._recovered: Counter[tuple[str, str, bool]] = Counter()
        self._recorder = Recorder()

    def close(self) -> None:
        """End the tracer."""
        self._recorder.close()

    def record(self, ops: Sequence[Op], scratch: Path) -> Run:
        """Run a workload in a new folder and record it."""
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            job = partial(_perform, self.adapter, Path(folder), tuple(ops))
            recording, told, _ = self._recorder.record(job, Path(folder))
        self._note_limits(recording)
        return Run(tuple(ops), recording, told, self._recorder.last_trace)

    def record_recovery(self, run: Run, shot: Shot, scratch: Path) -> Run:
        """Lay an image, open the store in it, close it, and record that."""
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            shot.image.lay(Path(folder))
            job = partial(_recover, self.adapter, Path(folder))
            recording, told, _ = self._recorder.record(job, Path(folder))
        crash = shot.crash
        # What a recovery writes is of its own: the moments after the crash are others.
        expectation = crash.expectation._replace(fingerprints=())
        return Run(run.ops, recording, told, self._recorder.last_trace, crash.cut, expectation)

    def _note_limits(self, recording: Recording) -> None:
        for path in recording.mapped:
            self.limits[f"{generalized(path)} is written through a map, which is not seen"] = None

    def shots(self, ops: Sequence[Op], scratch: Path, *, anew: bool = True) -> Iterator[Shot]:
        """Every image of a workload under every model, then those of some recoveries.

        Unless `anew`, the part that it has in common with one that was tried is left out.
        """
        run = self.record(ops, scratch)
        first = 0 if anew else self._first_new(run.ops)
        sampled: list[_Chance] = []
        for shot in self._develop_all(run, first):
            yield shot
            self._sample(sampled, shot)
        if not anew and len(run.ops) <= SHORT and self.random.random() >= SHORT_SHARE:
            sampled.clear()
        for *_, shot in sampled:
            self._recovered[shot.model, shot.crash.point, ".t" in shot.crash.cut] += 1
            yield from self._recoveries(run, shot, scratch, DEPTH)
        self._tried.update(run.ops[:n] for n in range(1, len(run.ops) + 1))

    def _first_new(self, ops: tuple[Op, ...]) -> int:
        """The number of the first operation at which a workload differs from all that were
        tried; 0 where the opening is new, too."""
        common = 0
        while ops[: common + 1] in self._tried and common < len(ops):
            common += 1
        if common == len(ops):
            return CLOSING  # Another one began with these, and went on.
        return common + 1 if self._tried else 0

    def _sample(self, sampled: list[_Chance], shot: Shot) -> None:
        """Keep some shots: those of the kinds of place whose recovery was cut short least."""
        kind = (shot.model, shot.crash.point, ".t" in shot.crash.cut)
        sampled.append(_Chance(self._recovered[kind], self.random.random(), shot))
        if len(sampled) > RECOVERIES:
            sampled.remove(max(sampled, key=lambda chance: chance[:2]))

    def _recoveries(self, run: Run, shot: Shot, scratch: Path, depth: int) -> Iterator[Shot]:
        if depth == 0:
            return
        again = self.record_recovery(run, shot, scratch)
        chosen: Shot | None = None
        for number, inner in enumerate(self._develop(again, shot.model)):
            yield inner
            if self.random.random() < 1 / (number + 1):
                chosen = inner
        if chosen is not None:
            yield from self._recoveries(run, chosen, scratch, depth - 1)

    def _develop_all(self, run: Run, first: int) -> Iterator[Shot]:
        told: dict[int, list[int]] = {}
        for model in self.models:
            yield from self._develop(run, model, first, told)

    def _develop(
        self, run: Run, model: str, first: int = 0, told: dict[int, list[int]] | None = None
    ) -> Iterator[Shot]:
        """The images from the moment on when the operation `first` is tried.

        `told` is shared by the models: a moment at which no name may be lost is the same for two
        of them if the same writes may be.
        """
        operations = run.recording.operations
        disk = Disk.before(run.recording, model)
        darkroom = self._darkroom(run)
        volatile = run.volatile_files(self.adapter.volatile)
        begun, wrong = first == 0, run.trouble(0)
        developed: list[tuple[Cut, Image]] = []
        for step in range(len(operations) + 1):
            if step:
                done = operations[step - 1]
                disk.advance(done)
                begun = begun or (done.kind == operation.TRY and done.number == first)
                wrong = run.trouble(step)  # To be told at the end, whatever is there.
                if not wrong and (done.kind == operation.TRY or done.file in volatile):
                    continue  # The same files as before it, and no less is expected.
                if done.kind != operation.ACK:
                    developed = []
            coming = operations[step : step + IN_FLIGHT]
            in_flight = _in_flight(disk, coming)
            if not begun:
                continue
            if step and done.kind in operation.SYNCS and not in_flight and not wrong:
                continue  # What may be left after a sync might have been left before it.
            if told is not None and not wrong and _is_told(told, disk):
                continue
            moment = self._moment(run, disk, coming)
            if developed:
                for cut, image in developed:
                    yield self._shot(run, moment, model, cut._replace(at=step), image)
                continue
            for cut in cuts(disk, coming, self.random, volatile):
                image = darkroom.develop(disk, coming, cut)
                if not in_flight:
                    developed.append((cut, image))
                yield self._shot(run, moment, model, cut, image)

    def _moment(self, run: Run, disk: Disk, coming: Sequence[Operation]) -> _Moment:
        expectation, place = run.expected(disk.step, self.adapter.may_lose)
        in_flight = _in_flight(disk, coming)
        return _Moment(
            expectation,
            place,
            point_after(run.recording.operations[: disk.step]),
            point_in(coming[0]) if in_flight else "",
            len(disk.writes) if in_flight else -1,
            run.trouble(disk.step),
        )

    def _shot(self, run: Run, moment: _Moment, model: str, cut: Cut, image: Image) -> Shot:
        before = f"{run.before}>" if run.before else ""
        in_flight = moment.whole >= 0 and cut.writes >> moment.whole
        crash = Crash(
            f"{before}{cut}",
            moment.in_point if in_flight else moment.point,
            moment.during,
            moment.expectation,
            moment.wrong,
        )
        return Shot(crash, image, model, run)

    def pending_at(self, run: Run, model: str, at: int) -> tuple[int, int]:
        """How many writes and names may be lost by a cut after so many operations."""
        disk = self._disk_at(run, model, at)
        coming = run.recording.operations[at : at + IN_FLIGHT]
        return len(pending(disk, coming)), len(disk.namings)

    def repeat(self, run: Run, model: str, cut_text: str) -> Shot:
        """The shot of one cut of a recording. Raises ValueError."""
        cut = Cut.of(cut_text)
        disk = self._disk_at(run, model, cut.at)
        coming = run.recording.operations[cut.at : cut.at + IN_FLIGHT]
        image = self._darkroom(run).develop(disk, coming, cut)
        return self._shot(run, self._moment(run, disk, coming), model, cut, image)

    def _darkroom(self, run: Run) -> Darkroom:
        pids = {done.pid for done in run.recording.operations}
        return Darkroom(self.adapter.volatile, pids)

    def _disk_at(self, run: Run, model: str, at: int) -> Disk:
        operations = run.recording.operations
        if at > len(operations):
            raise ValueError(f"the run has {len(operations)} operations, the cut is after {at}")
        disk = Disk.before(run.recording, model)
        for done in operations[:at]:
            disk.advance(done)
        return disk


def _perform(adapter: Adapter, folder: Path, ops: tuple[Op, ...], marks: Marks) -> None:
    with frozen_chance():
        perform(adapter, folder, ops, marks)


def _recover(adapter: Adapter, folder: Path, marks: Marks) -> None:
    with frozen_chance(1):
        recover(adapter, folder, marks)


def _is_told(told: dict[int, list[int]], disk: Disk) -> bool:
    """Whether another model has had the same to lose now. Takes note of it if it has not."""
    if disk.namings or disk.model == KILL:
        return False
    writes = [write.step for write in disk.writes]
    return told.setdefault(disk.step, writes) is not writes and told[disk.step] == writes


def _in_flight(disk: Disk, coming: Sequence[Operation]) -> bool:
    """Whether a write had been called that is durable when it returns."""
    return len(pending(disk, coming)) > len(disk.writes)
