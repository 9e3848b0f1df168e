"""Shrinking a finding: fewer operations, then fewer lost writes and names, then no tears."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from walvec.crashlab.adapter import Adapter, Op, workload
from walvec.crashlab.bench import Bench, Finding
from walvec.crashlab.disk import POSIX
from walvec.crashlab.image import Cut
from walvec.crashlab.trial import Levels, Trial

TRIES_PER_WORKLOAD = 400


def shrunk(
    finding: Finding,
    bench: Bench,
    levels: Levels,
    adapter: Adapter,
    scratch: Path,
    until: float,
) -> Finding:
    """The finding, or a smaller one of the same level and model, found before `until`."""
    finding = _fewer_operations(finding, bench, levels, adapter, scratch, until)
    if finding.trial.image is not None:
        finding = _fewer_losses(finding, bench, levels, until)
    return finding


def _fewer_operations(
    finding: Finding,
    bench: Bench,
    levels: Levels,
    adapter: Adapter,
    scratch: Path,
    until: float,
) -> Finding:
    smaller: Finding | None = finding
    while smaller is not None:
        finding, smaller = smaller, None
        for ops in _shorter(finding, adapter):
            smaller = _first_failing(finding.trial, ops, bench, levels, scratch, until)
            if smaller is not None or time.monotonic() > until:
                break
    return finding


def _shorter(finding: Finding, adapter: Adapter) -> Iterator[tuple[Op, ...]]:
    """The workload without what came after the cut; then without one operation."""
    trial = finding.trial
    names = [op.name for op in trial.ops]
    tried = trial.crash.expectation.tried
    if tried < len(names):
        yield workload(names[:tried])
    for place in reversed(range(len(names))):
        fewer = names[:place] + names[place + 1 :]
        if all(adapter.may_follow(fewer[:i], name) for i, name in enumerate(fewer)):
            yield workload(fewer)


def _first_failing(
    like: Trial, ops: tuple[Op, ...], bench: Bench, levels: Levels, scratch: Path, until: float
) -> Finding | None:
    for number, trial in enumerate(levels.trials(like.level, ops, scratch)):
        if trial.model == like.model:
            verdict = bench.judge(trial)
            if not verdict.ok:
                return Finding(trial, verdict)
        trial.forget()
        if number > TRIES_PER_WORKLOAD or time.monotonic() > until:
            break
    return None


def _fewer_losses(finding: Finding, bench: Bench, levels: Levels, until: float) -> Finding:
    """The same cut with more of the writes and names kept, and whole."""
    again = True
    while again and time.monotonic() < until:
        again = False
        for cut in _milder(finding.trial, levels):
            trial = _at(finding.trial, cut, levels)
            verdict = bench.judge(trial)
            if not verdict.ok:
                finding, again = Finding(trial, verdict), True
                break
    return finding


def _milder(trial: Trial, levels: Levels) -> Iterator[Cut]:
    """Cuts that take one thing less."""
    assert levels.power is not None and trial.run is not None
    cut = Cut.of(trial.crash.cut.rsplit(">", 1)[-1])
    writes, names = levels.power.pending_at(trial.run, trial.model, cut.at)
    for number in range(names):
        if not cut.names >> number & 1:
            # Under ext4 the lowest that is lost comes first, so a first part stays one.
            yield cut._replace(names=cut.names | 1 << number)
            if trial.model != POSIX:
                break
    for number in range(writes):
        if not cut.writes >> number & 1:
            yield cut._replace(writes=cut.writes | 1 << number)
    for place in range(len(cut.tears)):
        yield cut._replace(tears=cut.tears[:place] + cut.tears[place + 1 :])


def _at(trial: Trial, cut: Cut, levels: Levels) -> Trial:
    assert levels.power is not None and trial.run is not None
    shot = levels.power.repeat(trial.run, trial.model, str(cut))
    return trial._replace(crash=shot.crash, image=shot.image)
