"""A run from its beginning to its judgement."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from torture import invariants
from torture.batches import content_hash
from torture.history import History, read_history, replayed_digests
from torture.plan import STEADY, TOGGLED, Plan
from torture.processes import Failed, Processes
from torture.record import read_record
from torture.roles import ALL, prepare
from torture.testimony import Account, read_account
from walvec import MilvusClient
from walvec.recovery.verify import verify

ROUNDS = 60
QUIET_S = 90.0
SHOWN = 20


class Outcome(NamedTuple):
    """What a run came to. `violations` is empty where everything held."""

    folder: Path
    violations: list[str]
    account: Account
    history: History | None
    processes: Processes
    seconds: float


def torture(plan: Plan, folder: Path | None = None) -> Outcome:
    """Do a run in a folder of its own, which stays if anything was violated."""
    run = Path(tempfile.mkdtemp(prefix="walvec-torture-")) if folder is None else folder
    for name in ("records", "errors"):
        (run / name).mkdir(parents=True)
    (run / "plan.json").write_text(json.dumps(dataclasses.asdict(plan)))
    with MilvusClient(run / "store") as client:
        prepare(client)
    processes = Processes(run, plan)
    start = time.monotonic()
    violations: list[str] = []
    try:
        for role, count in plan.processes():
            for _ in range(count):
                processes.start(role)
        _go(processes, plan)
        seconds = time.monotonic() - start
        _bring_to_an_end(processes)
    except Failed as failure:
        seconds = time.monotonic() - start
        violations.append(str(failure))
    finally:
        processes.end_all()
    account = read_account(run / "records", processes.stops)
    history = None
    try:
        history = read_history(run / "store")
        violations += _judged(run, plan, account, history, processes, whole=not violations)
    except Exception as error:
        violations.append(f"the run cannot be judged: {error!r}")
    if not violations:
        shutil.rmtree(run)
    return Outcome(run, violations, account, history, processes, seconds)


def _go(processes: Processes, plan: Plan) -> None:
    """Let them work, and disturb them, until the time is over."""
    rng = random.Random(f"{plan.seed}/faults")
    acts: list[tuple[float, Callable[[], None]]] = []
    if not plan.calm:
        acts = [
            (plan.kill_every_s, processes.kill_one),
            (plan.stop_every_s, processes.stop_one),
            (plan.long_stop_every_s, processes.stop_long),
            (4 * plan.kill_every_s, processes.kill_builder),
        ]
    now = time.monotonic()
    end = now + plan.seconds
    due = [now + 1 + rng.expovariate(1 / every) for every, _ in acts]
    while (now := time.monotonic()) < end:
        processes.look()
        for place, (every, act) in enumerate(acts):
            if now >= due[place]:
                due[place] = now + rng.expovariate(1 / every)
                act()
        time.sleep(0.01)
    processes.wake_all()


def _bring_to_an_end(processes: Processes) -> None:
    """All stop working; when nobody makes files any more, all tell their state until they agree."""
    run = processes.run
    (run / "finish").touch()
    deadline = time.monotonic() + QUIET_S

    def wait_for(event: str, number: int = 0) -> None:
        waiting = {p.name: p for p in processes.living}
        while waiting:
            # One that stops or dies at a failpoint that it had armed does so in here, too.
            processes.look()
            for process in processes.living:
                lines = list(read_record(processes.record_of(process)))
                said = [x for x in lines if x["e"] == event and x.get("round", 0) == number]
                if said:
                    waiting.pop(process.name, None)
            waiting = {n: p for n, p in waiting.items() if p in processes.living}
            if time.monotonic() > deadline:
                stacks = [processes.stacks_of(process) for process in waiting.values()]
                names = ", ".join(waiting)
                raise Failed("\n".join([f"{names} did not come to {event} {number}", *stacks]))
            time.sleep(0.02)

    wait_for("idle")
    for number in range(1, ROUNDS + 1):
        (run / f"round-{number}").touch()
        wait_for("state", number)
        told = set()
        for process in processes.living:
            for line in read_record(processes.record_of(process)):
                if line["e"] == "state" and line.get("round") == number:
                    told.add((line["seq"], line["digest"]))
        if len(told) == 1:
            break
        time.sleep(0.2)
    (run / "end").touch()
    for process in processes.living:
        try:
            code = process.child.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failed(f"{process.name} does not end\n{processes.stacks_of(process)}") from None
        if code:
            raise Failed(f"{process.name} ended with {code}\n{processes.errors_of(process)}")


def _judged(
    run: Path,
    plan: Plan,
    account: Account,
    history: History,
    processes: Processes,
    *,
    whole: bool,
) -> Iterator[str]:
    """Everything that was violated."""
    yield from account.complaints
    yield from invariants.seqs_have_no_gaps(history)
    yield from invariants.acknowledged_is_stored(account.attempts, history)
    yield from invariants.stored_is_attempted(account.attempts, history)
    yield from invariants.reads_are_states(account.reads, history)
    yield from invariants.reads_are_fresh(account.reads, account.attempts)
    yield from invariants.no_reader_goes_back(account.reads)
    yield from invariants.loads_hold_for_all(account, history)
    yield from invariants.timeouts_are_explained(account.refusals, account.stops, plan)
    yield from invariants.readers_go_on(account, plan)
    replayed = replayed_digests(run / "store", [seen.seq for seen in account.states])
    yield from invariants.digests_are_replayed(account.states, replayed)
    if whole:
        names = [process.name for process in processes.living]
        yield from invariants.all_end_alike(account.states, names)
        yield from (f"{name} did not say done" for name in names if name not in account.done)
    yield from (str(finding) for finding in verify(run / "store").findings)
    yield from _opened_anew(run, history)


def _opened_anew(run: Path, history: History) -> Iterator[str]:
    """A process that opens the store now finds what the log says."""
    _, contents = next(history.contents([history.last_seq]))
    with MilvusClient(run / "store") as client:
        for name in (STEADY, TOGGLED):
            client.load_collection(name)
            found = client.query(name, limit=ALL, output_fields=["stamp"])
            pairs = [(row["id"], row["stamp"]) for row in found]
            content = contents[name]
            if (len(pairs), content_hash(pairs)) != (len(content.rows), content.hash):
                yield f"opened anew, {name} has {len(pairs)} rows, the log {len(content.rows)}"
