"""Trials: crashes of all levels in one shape, each with what is needed to judge and to keep it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from walvec.crashlab.adapter import Adapter, Op, workload
from walvec.crashlab.disk import MODELS
from walvec.crashlab.image import Image
from walvec.crashlab.kill import KillLevel
from walvec.crashlab.level import Crash, Level
from walvec.crashlab.plan import LEVELS, POWER, Plan
from walvec.crashlab.points import PointLevel
from walvec.crashlab.power import PowerLevel
from walvec.crashlab.run import Run
from walvec.wal.errors import ParamError


class Trial(NamedTuple):
    """A crash to be judged. Of the level power it has an image and the run it is of; of the
    others a folder."""

    level: str
    model: str
    ops: tuple[Op, ...]
    crash: Crash
    image: Image | None = None
    run: Run | None = None
    folder: Path | None = None

    @property
    def kind(self) -> str:
        """Level and model: "power/ext4"."""
        return f"{self.level}/{self.model}" if self.model else self.level

    def lay(self, folder: Path) -> None:
        """Write the store as it was cut into an empty folder."""
        if self.image is not None:
            self.image.lay(folder)
        else:
            assert self.folder is not None, "a trial has the one or the other"
            shutil.copytree(self.folder, folder, dirs_exist_ok=True, symlinks=True)

    def forget(self) -> None:
        """Remove what it has on disk."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


class Levels:
    """The levels of a run of the laboratory. Close it."""

    def __init__(
        self, adapter: Adapter, levels: Sequence[str], models: Sequence[str], seed: int
    ) -> None:
        """Raises ParamError for what is none."""
        for name, known in [*((n, LEVELS) for n in levels), *((n, MODELS) for n in models)]:
            if name not in known:
                raise ParamError(message=f"{name!r} is not one of {', '.join(known)}")
        # Without failpoints there is nothing that the level of them could try.
        self.names = tuple(n for n in levels if n != PointLevel.name or adapter.failpoints)
        self._cleanup = ExitStack()
        self.power: PowerLevel | None = None
        self.others: dict[str, Level] = {}
        if POWER in levels:
            self.power = PowerLevel(adapter, seed, models)
            self._cleanup.callback(self.power.close)
        for kind in (PointLevel, KillLevel):
            if kind.name in levels:
                self.others[kind.name] = kind(adapter, seed)

    def close(self) -> None:
        """End what they have started."""
        self._cleanup.close()

    def trials(
        self, level: str, ops: Sequence[Op], scratch: Path, *, anew: bool = True
    ) -> Iterator[Trial]:
        """Every crash of a workload at a level; unless `anew`, those that may be new."""
        ops = tuple(ops)
        if level == POWER:
            assert self.power is not None, "asked for"
            for shot in self.power.shots(ops, scratch, anew=anew):
                yield Trial(level, shot.model, ops, shot.crash, shot.image, shot.run)
        else:
            for crash, folder in self.others[level].crashes(ops, scratch):
                yield Trial(level, "", ops, crash, folder=folder)

    def repeat(self, plan: Plan, scratch: Path) -> Trial:
        """The one crash that a plan names. Raises ParamError where it cannot be repeated."""
        ops = workload(plan.ops)
        try:
            if plan.level == POWER:
                return self._repeat_power(plan, ops, scratch)
            folder = Path(tempfile.mkdtemp(dir=scratch))
            crash = self.others[plan.level].repeat(ops, plan.cut, folder)
            return Trial(plan.level, "", ops, crash, folder=folder)
        except ValueError as error:
            message = f"the plan {plan} cannot be repeated: {error}"
            raise ParamError(message=message) from error

    def _repeat_power(self, plan: Plan, ops: tuple[Op, ...], scratch: Path) -> Trial:
        assert self.power is not None, "asked for"
        run = self.power.record(ops, scratch)
        first, *recoveries = plan.cut.split(">")
        shot = self.power.repeat(run, plan.model, first)
        for cut in recoveries:
            run = self.power.record_recovery(run, shot, scratch)
            shot = self.power.repeat(run, plan.model, cut)
        return Trial(plan.level, plan.model, ops, shot.crash, shot.image, shot.run)

    def unreached(self, adapter: Adapter, complete: Collection[str]) -> list[str]:
        """The failpoints of an adapter that no run of these levels has arrived at."""
        passed: set[str] = set()
        for level in self.others.values():
            passed.update(level.passed)
        looked = any(level in complete for level in self.others)
        return sorted(set(adapter.failpoints) - passed) if looked else []

    @property
    def limits(self) -> list[str]:
        """What they could not see or do."""
        found = dict(self.power.limits) if self.power else {}
        for level in self.others.values():
            found.update(dict.fromkeys(level.limits))
        return list(found)
