"""The adapter: what the laboratory has to know of a store. Four functions; the rest is optional.

A workload is a list of operations. The laboratory opens the store, applies them one after the
other, and stops it somewhere: what is found then must be the state after all operations that
were acknowledged, with or without the one that was under way.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

from walvec.wal.errors import ParamError


class Op(NamedTuple):
    """One operation: what is done, and its place in the workload, from 1.

    What it writes depends on both alone, so that a workload is its operations' names.
    """

    name: str
    number: int


class Adapter(ABC):
    """A store, as the laboratory sees it. An instance holds no state of a store.

    All is called in processes that are forked from the one that made the adapter.
    """

    name: str = ""
    """What plans and reports call it: a ready one's name, or "module:attribute"."""
    commands: tuple[str, ...] = ()
    """The names of the operations: every short workload of these is tried."""
    failpoints: Collection[str] = ()
    """The points of `walvec.wal.failpoints` that its code can arrive at."""
    volatile: frozenset[str] = frozenset()
    """Files (paths in the store's folder) that differ from run to run and decide nothing. Two
    images that differ in them alone count as one."""
    may_lose = 0
    """How many acknowledged operations a power cut may take: 0 for a store that promises."""
    promises_later = False
    """Whether `apply` returns before the store has promised. Then `walvec.crashlab.ack(op)` says
    when it has, and with that has promised all before it, too; what is never said is no promise."""
    reopen_errors: tuple[type[BaseException], ...] = (Exception,)
    """What a handle raises that has to be opened again, after an error within it."""

    @property
    def all_commands(self) -> tuple[str, ...]:
        """The operations of random workloads: more than `commands`, for some."""
        return self.commands

    @abstractmethod
    def open(self, folder: Path) -> Any:
        """Open the store in `folder`, which exists, or make one in it. Returns its handle."""

    @abstractmethod
    def apply(self, handle: Any, op: Op) -> None:
        """Do an operation, and return once the store has promised that it is durable (or see
        `promises_later`)."""

    @abstractmethod
    def state(self, handle: Any) -> Any:
        """Everything the store holds, as plain data: compared with ==, printed in reports."""

    @abstractmethod
    def close(self, handle: Any) -> None:
        """Close the handle."""

    def may_follow(self, names: Sequence[str], name: str) -> bool:
        """Whether the operation `name` can be done after those of these names."""
        return True

    def model(self, ops: Sequence[Op]) -> Any:
        """The state after these operations, found without the store.

        Raises NotImplementedError where there is none: the operations are then applied to a
        store in an empty folder, without a crash, and its state is the one that is expected.
        """
        raise NotImplementedError

    def between(self, ops: Sequence[Op]) -> list[Any]:
        """States that may also be found while the last of these operations is under way: none
        for operations that are atomic."""
        return []

    def check(self, handle: Any) -> list[str]:
        """What the store's own means find wrong with it. They may mend what is no loss."""
        return []

    def fingerprint(self, handle: Any) -> tuple[str, str] | None:
        """A name of the store's present moment, which no other moment of it has, nor any other
        store, and a digest of the state; None where the store has none. A moment that the run
        had seen must have the digest that it had then. No spaces."""
        return None

    def settle(self, handle: Any) -> None:  # noqa: B027 (nothing, for most stores)
        """Do at once what the store does in the background after it was opened."""

    def further(self, names: Sequence[str]) -> str:
        """An operation that can be done after those of these names: always the same one, and
        another after others."""
        possible = [name for name in self.all_commands if self.may_follow(names, name)]
        return possible[crc32(",".join(names).encode()) % len(possible)]


def name_of(adapter: Adapter) -> str:
    """What plans call an adapter: its name, or "module:class"."""
    return adapter.name or f"{type(adapter).__module__}:{type(adapter).__qualname__}"


def refuse_names(adapter: Adapter) -> None:
    """Raise ParamError for operations that no plan can name."""
    name, commands = name_of(adapter), adapter.commands
    if not commands or isinstance(commands, str):
        raise ParamError(message=f'{name} names no operations: say commands = ("put", "delete")')
    for command in (*commands, *adapter.all_commands):
        if not isinstance(command, str) or not command.strip() or set(command) & set("/,"):
            raise ParamError(
                message=f"{name} has the operation {command!r}: it must be a text without / and ,"
            )


def workload(names: Sequence[str]) -> tuple[Op, ...]:
    """The operations of these names, numbered."""
    return tuple(Op(name, number) for number, name in enumerate(names, 1))


def all_workloads(adapter: Adapter, length: int) -> Iterator[tuple[Op, ...]]:
    """Every workload of up to `length` operations that can be done, the short ones first: of one
    operation from all commands there are, of several from `commands`."""
    for n in range(1, length + 1):
        chosen = adapter.all_commands if n == 1 else adapter.commands
        for names in itertools.product(chosen, repeat=n):
            if all(adapter.may_follow(names[:i], name) for i, name in enumerate(names)):
                yield workload(names)


def random_workload(adapter: Adapter, random: Random, length: int) -> tuple[Op, ...]:
    """A workload of `length` operations, or fewer where nothing can follow."""
    names: list[str] = []
    while len(names) < length:
        possible = [n for n in adapter.all_commands if adapter.may_follow(names, n)]
        if not possible:
            break
        names.append(random.choice(possible))
    return workload(names)
