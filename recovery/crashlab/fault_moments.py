"""Faults of the moment: a fork anywhere, a clock that goes back."""

from __future__ import annotations

import time
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from walvec.crashlab.adapter import Op, random_workload, workload
from walvec.crashlab.fault_disk import sound
from walvec.crashlab.fault_run import FaultFailed, FaultRun, Striven, fault, is_clear
from walvec.recovery.open import open_store
from walvec.wal import failpoints
from walvec.wal.log import Position

FORKED = workload(["insert", "built", "upsert", "checkpoint"])
HOUR_NS = 3600 * 10**9
CLOCK_RUNS = 3
CLOCK_OPS = 12


@fault(
    "fork-at-every-failpoint",
    "The process forks in the midst of its work, at every failpoint in turn: the child reads "
    "what was there before or after the operation, or is told clearly; the parent goes on.",
)
def fork_at_every_failpoint(lab: FaultRun) -> str:
    """The thread that works forks, which only a signal handler could do."""
    lab.know(FORKED)
    told: dict[str, int] = {}
    for number in count(1):
        folder = lab.scratch / f"fork-{number}"
        fired, said = lab.in_child(partial(_fork_at, lab, folder, number))
        if not fired:
            break
        told[said] = told.get(said, 0) + 1

    def judge() -> None:
        for k in range(1, number):
            lab.require(lab.scratch / f"fork-{k}", FORKED)

    lab.in_child(judge)
    outcomes = ", ".join(f"{said} ({n})" for said, n in sorted(told.items()))
    return f"{number - 1} forks: children: {outcomes}; parents went on"


def _fork_at(lab: FaultRun, folder: Path, number: int) -> tuple[str, str]:
    """Do the workload and fork at the n-th arrival at any failpoint: where, and what the child
    said."""
    adapter = lab.adapter
    done = 0
    handle: Any = None
    said = ""

    def fork(_point: str) -> None:
        nonlocal said
        states = [lab.judge.state_after(FORKED[:k]) for k in (done, done + 1)]
        states += adapter.between(FORKED[: done + 1])
        ended = lab.ended(lambda: _as_child(lab, folder, handle, states))
        if ended.error or ended.signal:
            raise FaultFailed(f"fork at {_point}: the child: {ended.words}")
        said = ended.value

    with failpoints.arm_any(adapter.failpoints, fork, number) as countdown:
        handle = adapter.open(folder)
        for op in FORKED:
            adapter.apply(handle, op)
            done += 1
        if (found := adapter.state(handle)) != lab.judge.state_after(FORKED):
            raise FaultFailed(f"after a fork at {countdown.fired} the parent holds {found}")
        adapter.close(handle)
    return countdown.fired, said


def _as_child(lab: FaultRun, folder: Path, handle: Any, states: list[Any]) -> str:
    """What a forked child can do with the handle that it has inherited."""
    if handle is None:
        return "no handle was open yet"
    try:
        found = lab.adapter.state(handle)
    except Exception as error:
        if not is_clear(error):
            raise
        return f"told {type(error).__name__}"
    if found not in states:
        raise FaultFailed(f"the child reads {found}")
    return "read what was there"


@fault(
    "clock-jumps-back",
    "The clock jumps back an hour, and forth, between operations: order is that of the log, its "
    "timestamps never decrease, and nothing expires or comes back for it.",
)
def clock_jumps_back(lab: FaultRun) -> str:
    """Random workloads by the seed, each with jumps of its own."""
    jumps = 0
    for number in range(CLOCK_RUNS):
        ops = random_workload(lab.adapter, lab.random, CLOCK_OPS)
        lab.know(ops)
        folder = lab.scratch / f"clock-{number}"
        offsets = [lab.random.choice((-1, 0, 1)) * HOUR_NS for _ in ops]
        jumps += sum(map(bool, offsets))
        striven = lab.in_child(partial(_with_jumps, lab, folder, ops, offsets))
        sound(striven, f"jumps {offsets}", refused=False)
        lab.in_child(partial(lab.require, folder, ops))
        lab.in_child(partial(_require_order, folder))
    return f"{jumps} jumps in {CLOCK_RUNS} workloads: all there, timestamps in order"


def _with_jumps(lab: FaultRun, folder: Path, ops: tuple[Op, ...], offsets: list[int]) -> Striven:
    real_ns, real = time.time_ns, time.time
    now = 0

    def jump() -> None:
        nonlocal now
        now += offsets.pop() if offsets else 0

    adapter = lab.adapter
    time.time_ns = lambda: real_ns() + now
    time.time = lambda: real() + now / 1e9
    handle = adapter.open(folder)
    for k, op in enumerate(ops, 1):
        jump()
        adapter.apply(handle, op)
        if adapter.state(handle) != lab.judge.state_after(ops[:k]):
            raise FaultFailed(f"{op.name} after a jump of the clock left another state")
    adapter.close(handle)
    return Striven([], [], len(ops))


def _require_order(folder: Path) -> None:
    store = open_store(folder, read_only=True, background=False)
    times = [header.timestamp for header, _ in store.log.scan(Position())]
    store.close()
    if times != sorted(times):
        raise FaultFailed(f"the log's timestamps go back: {times}")
