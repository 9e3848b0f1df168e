"""A mutant: a fault planted in walvec from outside, which the laboratory must find.

It replaces functions of walvec's modules for as long as it is switched on; the code itself knows
nothing of it. `MutatedAdapter` switches it on for the length of each call to a store, so that
nothing of it is left between two calls, nor where one is cut short.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from walvec.crashlab.adapter import Adapter, Op

Switch = Callable[[], AbstractContextManager[None]]


class Mutant(NamedTuple):
    """`what` is wrong while `switch()` is entered."""

    name: str
    what: str
    switch: Switch


MUTANTS: dict[str, Mutant] = {}
"""By name. mutants.py imports all who add to it."""


def mutant(name: str, what: str) -> Callable[[Switch], Switch]:
    """Register what a switch plants. Raises ValueError for a name that is taken."""

    def register(switch: Switch) -> Switch:
        if name in MUTANTS:
            raise ValueError(f"there are two mutants called {name}: rename one of them")
        MUTANTS[name] = Mutant(name, what, switch)
        return switch

    return register


@contextlib.contextmanager
def replaced(*changes: tuple[object, str, Any]) -> Iterator[None]:
    """(module or class, name, value): so it is within the block, and as before after it."""
    with contextlib.ExitStack() as undo:
        for place, name, value in changes:
            undo.callback(setattr, place, name, vars(place)[name])
            setattr(place, name, value)
        yield


class MutatedAdapter(Adapter):
    """An adapter of walvec's whose every call to the store is made with a mutant switched on.

    What the state must be is asked without it: the model knows no fault.
    """

    def __init__(self, adapter: Adapter, planted: Mutant) -> None:
        self._adapter = adapter
        self._planted = planted
        for name, value in vars(Adapter).items():
            if not (name.startswith("_") or callable(value) or isinstance(value, property)):
                setattr(self, name, getattr(adapter, name))

    @property
    def all_commands(self) -> tuple[str, ...]:
        """Those of the adapter."""
        return self._adapter.all_commands

    def open(self, folder: Path) -> Any:
        """Open the store, mutated."""
        with self._planted.switch():
            return self._adapter.open(folder)

    def apply(self, handle: Any, op: Op) -> None:
        """Do an operation in the mutated store."""
        with self._planted.switch():
            self._adapter.apply(handle, op)

    def state(self, handle: Any) -> Any:
        """What the mutated store shows."""
        with self._planted.switch():
            return self._adapter.state(handle)

    def check(self, handle: Any) -> list[str]:
        """What the mutated store finds wrong."""
        with self._planted.switch():
            return self._adapter.check(handle)

    def fingerprint(self, handle: Any) -> tuple[str, str] | None:
        """That of the adapter."""
        # Asked from outside, to compare: it is no use of the store, which might act upon it.
        return self._adapter.fingerprint(handle)

    def settle(self, handle: Any) -> None:
        """Let the mutated store settle."""
        with self._planted.switch():
            self._adapter.settle(handle)

    def close(self, handle: Any) -> None:
        """Close the mutated store."""
        with self._planted.switch():
            self._adapter.close(handle)

    def may_follow(self, names: Sequence[str], name: str) -> bool:
        """As the adapter says."""
        return self._adapter.may_follow(names, name)

    def model(self, ops: Sequence[Op]) -> Any:
        """As the adapter says."""
        return self._adapter.model(ops)

    def between(self, ops: Sequence[Op]) -> list[Any]:
        """As the adapter says."""
        return self._adapter.between(ops)

    def further(self, names: Sequence[str]) -> str:
        """As the adapter says."""
        return self._adapter.further(names)
