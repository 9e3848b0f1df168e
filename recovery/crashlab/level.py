"""A level: one way to stop a store. What all of them have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from walvec.crashlab.adapter import Adapter, Op
from walvec.crashlab.judge import Expectation


class Crash(NamedTuple):
    """A store that was stopped, and lies in a folder to be judged.

    `cut` says where, as text without spaces or slashes: the level can repeat it. `point` is the
    kind of place, for counting ("before pwrite64 log/data.mdb", "failpoint commit.after");
    `during` the operation that was under way ("insert", "opening", "closing", "recovery").
    `wrong` is what the level itself has found wrong, in the process that was stopped.
    """

    cut: str
    point: str
    during: str
    expectation: Expectation
    wrong: tuple[str, ...] = ()


class Level(ABC):
    """Stops a store in one way.

    `passed` says how often each failpoint was arrived at, in runs that were not stopped; `limits`
    what could not be done here.
    """

    name: str

    def __init__(self, adapter: Adapter, seed: int) -> None:
        self.adapter = adapter
        self.random = Random(seed)
        self.passed: dict[str, int] = {}
        self.limits: list[str] = []

    @abstractmethod
    def crashes(self, ops: Sequence[Op], scratch: Path) -> Iterator[tuple[Crash, Path]]:
        """Stop this workload everywhere, or, where that cannot be, at places chosen by `random`.

        Yields what was stopped and its store's folder, a new one in `scratch`, which the caller
        judges and removes.
        """

    @abstractmethod
    def repeat(self, ops: Sequence[Op], cut: str, folder: Path) -> Crash:
        """Stop this workload at this cut once more; the store is left in `folder`, which exists
        and is empty. Raises ValueError for a cut that is not one or is not reached."""
