"""What a run is: its seed, its processes, its faults, the times that make timeouts decidable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torture.batches import DIM

STEADY, TOGGLED = "steady", "toggled"
"""Two collections: one is loaded from the first moment to the last, one is loaded and released."""


@dataclass(frozen=True)
class Plan:
    """The settings of a run. `calm`: no faults, no pauses, nobody but writers and readers.

    A command may time out waiting for the writer lock only while a process was kept stopped for
    longer than `lock_timeout_s`. Short stops are far shorter than it, long ones far longer.
    """

    seed: int = 1
    seconds: float = 30.0
    calm: bool = False
    writers: int = 3
    readers: int = 2
    loaders: int = 1
    flushers: int = 1
    observers: int = 1
    lock_timeout_s: float = 3.0
    short_stop_s: float = 0.4
    long_stop_s: float = 4.5
    slack_s: float = 1.0
    kill_every_s: float = 0.8
    stop_every_s: float = 0.5
    long_stop_every_s: float = 12.0
    live_batches: int = 25
    segment_rows: int = 400
    stuck_s: float = 40.0

    def processes(self) -> list[tuple[str, int]]:
        """(role, how many) of the run."""
        if self.calm:
            return [("writer", self.writers), ("reader", self.readers)]
        return [
            ("writer", self.writers),
            ("reader", self.readers),
            ("loader", self.loaders),
            ("flusher", self.flushers),
            ("observer", self.observers),
        ]

    def client_settings(self, role: str) -> dict[str, Any]:
        """How a process of a role opens the store."""
        return {
            "lock_timeout": self.lock_timeout_s,
            "segment_max_bytes": self.segment_rows * DIM * 4,
            "checkpoint_events": 1000 if self.calm else 60,
            "read_only": role == "observer",
        }


def calm_plan(seed: int, seconds: float) -> Plan:
    """The issue's minute: 4 writers and 4 readers, as fast as they can."""
    return Plan(
        seed=seed,
        seconds=seconds,
        calm=True,
        writers=4,
        readers=4,
        lock_timeout_s=30.0,
        segment_rows=4000,
    )
