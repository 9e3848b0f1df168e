"""Timelines: recordings as they are drawn, with the crashes that were tried."""

from __future__ import annotations

from walvec.crashlab import operation
from walvec.crashlab.disk import Disk
from walvec.crashlab.result import Step, Timeline
from walvec.crashlab.run import Run

UNCHANGED = frozenset({*operation.MARKS, *operation.SYNCS})


def timeline_of(run: Run, model: str, tries: dict[int, tuple[int, int]]) -> Timeline:
    """The timeline of a run under a model."""
    disk = Disk.before(run.recording, model)
    for done in run.recording.operations:
        disk.advance(done)
    names = {number: path for path, number in run.recording.files.items()}
    steps = []
    for at, done in enumerate(run.recording.operations, 1):
        if done.file and done.path and done.kind != operation.RENAME:
            names[done.file] = done.path
        elif done.kind == operation.RENAME:
            names[done.file] = done.target
        steps.append(
            Step(
                at,
                done.kind,
                done.path or names.get(done.file, ""),
                done.target,
                done.offset,
                len(done.data),
                None if done.kind in UNCHANGED else disk.durable_at.get(at),
                done.number,
                done.pid,
            )
        )
    ops = [op.name for op in run.ops]
    if run.before:
        ops = [*ops, f"recovery after {run.before}"]
    return Timeline(ops, "power", model, steps, tries)
