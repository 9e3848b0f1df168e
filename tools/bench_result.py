"""One line of the benchmark, and taking turns to measure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Result(NamedTuple):
    """`value` of walvec and of what it is compared with, in `unit`, and the ratio that has a
    target. `good` says whether the ratio must be at least or at most the target."""

    name: str
    unit: str
    value: float
    bare: float | None = None
    ratio: float | None = None
    target: float | None = None
    good: str = "at least"

    def line(self) -> str:
        """The result as a line of the table."""
        bare = "" if self.bare is None else f"bare {self.bare:>12,.1f}"
        ratio = "" if self.ratio is None else f"ratio {self.ratio:7.3f}"
        met = ""
        if self.target is not None:
            found = self.value if self.ratio is None else self.ratio
            reached = found >= self.target if self.good == "at least" else found <= self.target
            met = f"{'met' if reached else 'MISSED'}: {self.good} {self.target:g}"
        return (
            f"{self.name:46} {self.value:>12,.1f} {self.unit:9} {bare:18} {ratio:14} {met}".rstrip()
        )


def in_turns(rounds: int, *actions: Callable[[], object]) -> list[float]:
    """Median seconds of each action, which are run one after the other, `rounds` times."""
    seconds: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for number, action in enumerate(actions):
            start = time.perf_counter()
            action()
            seconds[number].append(time.perf_counter() - start)
    return [float(np.median(s)) for s in seconds]


def rates_by_threads(
    work: Callable[[int], None], each: int, rounds: int, *numbers: int
) -> list[float]:
    """Median calls a second with each number of threads, which take turns; every thread does
    `work(each)`, which is `each` calls."""
    rates: list[list[float]] = [[] for _ in numbers]
    for _ in range(rounds):
        for found, number in zip(rates, numbers, strict=True):
            threads = [threading.Thread(target=work, args=(each,)) for _ in range(number)]
            start = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            found.append(number * each / (time.perf_counter() - start))
    return [float(np.median(r)) for r in rates]
