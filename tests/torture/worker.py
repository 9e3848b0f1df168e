"""One process of a run: it opens the store, does what its role does, and writes everything down.

    python -m torture.worker RUN ROLE NUMBER HEIR_OF

RUN is the folder of the run. A process that replaces a killed one is its heir: it takes over what
that one left in the store.
"""

from __future__ import annotations

import faulthandler
import json
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torture.batches import Batch
from torture.plan import Plan
from torture.record import Recorder, read_record
from torture.roles import ROLES
from walvec import MilvusClient
from walvec.exceptions import (
    CollectionNotLoadedException,
    LockTimeoutException,
    TimeoutException,
)
from walvec.segments.state import digest
from walvec.wal import failpoints

EXPECTED = (CollectionNotLoadedException, LockTimeoutException, TimeoutException)
"""Written down, and judged at the end; whatever else is raised ends the process."""

COMMIT_POINTS = ("commit.begin", "commit.before", "commit.after", "publish.after")
OTHER_POINTS = sorted(p for p in failpoints.POINTS if not p.startswith(("create.", "open.")))
STATE_EVERY_S = 0.5


class Refused(Exception):
    """A call raised one of the expected errors, which is written down."""


class Worker:
    """What all roles share: the client, the record, the random stream of this process alone."""

    def __init__(self, run: Path, role: str, number: int, heir_of: str) -> None:
        self.run = run
        self.role = role
        self.number = number
        self.plan = Plan(**json.loads((run / "plan.json").read_text()))
        self.rng = random.Random(f"{self.plan.seed}/{role}/{number}")
        self.record = Recorder(run / "records" / f"{role}-{number}.jsonl")
        self.left: list[tuple[str, Batch]] = []
        if heir_of:
            self.left = left_behind(run / "records" / f"{heir_of}.jsonl")
        self.op = 0
        self._next_state = 0.0
        self.client = MilvusClient(run / "store", **self.plan.client_settings(role))

    def work(self, step: Callable[[], None]) -> None:
        """Do one thing after the other until the run is finished."""
        while not (self.run / "finish").exists():
            if self.role != "observer" and not self.plan.calm:
                self.maybe_arm()
            try:
                step()
            except Refused:
                self.pause(0.02)
            if time.monotonic() >= self._next_state:
                self._next_state = time.monotonic() + STATE_EVERY_S
                self.write_state()

    def maybe_arm(self) -> None:
        """Now and then this process stops or dies at a point of its next commit."""
        if self.rng.random() < (0.03 if self.role == "writer" else 0.01):
            action = self.rng.choice(("kill", "stop", "stop"))
            points = COMMIT_POINTS if self.rng.random() < 0.7 else OTHER_POINTS
            point = f"{self.rng.choice(points)}={action}"
            self.record.write("arm", point=point)
            failpoints.arm_from(point)

    def attempt(self, kind: str, call: Callable[[], Any], **what: Any) -> Any:
        """Call something that changes the store; written down before and after."""
        self.op += 1
        op = self.op
        start = time.monotonic_ns()
        self.record.write("try", op=op, kind=kind, at=start, **what)
        answer = self.guarded(call, op=op, kind=kind, at=start, **what)
        seq = answer.get("seq") if isinstance(answer, dict) else None
        self.record.write("ack", op=op, seq=seq)
        return answer

    def guarded(self, call: Callable[[], Any], **what: Any) -> Any:
        """Call something. An expected error is written down and becomes Refused."""
        try:
            return call()
        except EXPECTED as error:
            end = time.monotonic_ns()
            self.record.write(
                "fail", **what, end=end, error=type(error).__name__, text=error.message
            )
            raise Refused from error

    def pause(self, mean_s: float) -> None:
        """Stand aside for a random time; not at all in a calm run."""
        if not self.plan.calm:
            time.sleep(min(self.rng.expovariate(1 / mean_s), 20 * mean_s))

    def write_state(self, **more: Any) -> None:
        """Write down the digest of the whole state."""
        seq, found = self.client._store.with_state(lambda s: (s.seq, digest(s).hex()))
        self.record.write("state", seq=seq, digest=found, **more)

    def finish(self) -> None:
        """Nobody writes any more: wait until no file is being made, then tell the state as often
        as asked."""
        failpoints._armed.clear()  # nobody looks after those that stop from here on
        if self.role != "observer":
            self.client.wait_for_files(60)
        self.record.write("idle")
        asked = 0
        while not (self.run / "end").exists():
            if (self.run / f"round-{asked + 1}").exists():
                asked += 1
                self.write_state(round=asked)
            time.sleep(0.005)
        self.client.close()
        self.record.write("done")
        self.record.close()


def left_behind(record: Path) -> list[tuple[str, Batch]]:
    """What a writer may have left in the store: (collection, batch), its newest first."""
    live: dict[tuple[str, Batch], None] = {}
    for line in read_record(record):
        if line["e"] == "try" and "batch" in line:
            place = (line["collection"], Batch(*line["batch"]))
            if line["kind"] in ("insert", "upsert") and place[1].owner:
                live[place] = None
            elif line["kind"] == "delete":
                live.pop(place, None)
    return list(live)


def main() -> None:
    """Be a process of a run."""
    run, role, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    worker = Worker(run, role, number, sys.argv[4])
    try:
        worker.work(ROLES[role](worker).step)
        worker.finish()
    except Exception as error:
        worker.record.write("error", error=repr(error), trace=traceback.format_exc())
        raise


if __name__ == "__main__":
    main()
