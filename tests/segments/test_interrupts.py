"""Ctrl-C at any moment of a write: nothing acknowledged is lost, memory agrees with the log, and
the handle goes on."""

from __future__ import annotations

import random
import signal
import threading
import time
from types import FrameType

import pytest
from lab import Table, assert_state_is_replayed, run_child

from walvec.segments.state import Segment, State
from walvec.segments.store import Store

SECONDS = 2.0
LATEST_S = 0.0006
"""An insert takes less than this where the disk is fast; where it is not, the interrupts come
before its sync."""

INSERT = """
import sys
from pathlib import Path
from lab import Table, open_at
store = open_at(Path(sys.argv[1]), lock_timeout_s=5)
Table(store).insert([-2])
store.close()
"""


def segments_of(state: State, collection: int) -> list[Segment]:
    """The segments of a collection."""
    return list(state.collections[collection].segments.values())


class Alarm:
    """A signal that raises KeyboardInterrupt once, some time after `set`."""

    def __init__(self) -> None:
        self.armed = False
        self.hits = 0
        signal.signal(signal.SIGALRM, self._ring)

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        if self.armed:
            self.armed = False
            self.hits += 1
            raise KeyboardInterrupt

    def set(self, seconds: float) -> None:
        self.armed = True
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def off(self) -> None:
        self.armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(),
    reason="signals go to the main thread",
)
def test_writes_that_are_interrupted_at_random_moments(store: Store) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    moments = random.Random(seed)
    table = Table(store)
    table.insert([-1])
    before = signal.getsignal(signal.SIGALRM)
    alarm = Alarm()
    acknowledged = set()
    number = 0
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            number += 1
            try:
                alarm.set(moments.uniform(0.00001, LATEST_S))
                table.insert([number])
                acknowledged.add(number)
                alarm.off()
            except KeyboardInterrupt:
                pass
            finally:
                alarm.off()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert alarm.hits, "no write was interrupted"
    stored = set(table.texts()) - {-1}
    assert acknowledged <= stored <= set(range(1, number + 1))
    assert_state_is_replayed(store)
    # Each row is in memory once.
    rows = store.with_state(lambda state: {s.id: s.rows for s in segments_of(state, table.id)})
    assert {s.segment.id: s.n for s in store.view(table.info).segments} == rows
    # The writer lock is free, for another process too.
    run_child(INSERT, store.folder)
    assert -2 in table.texts()
