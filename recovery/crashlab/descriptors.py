"""Descriptors: what every recorded process has open, by the calls that open, copy and close."""

from __future__ import annotations

from typing import NamedTuple

from walvec.crashlab.shadow import File, Folder


class Opened:
    """An open file: several descriptors, of several processes, may share it and its offset.

    `node` is None for a file outside of the folder, of which `path` is known.
    """

    __slots__ = ("append", "durable", "node", "offset", "path")

    def __init__(self, node: File | None, path: str, flags: frozenset[str]) -> None:
        self.node = node
        self.path = path
        self.offset = 0
        self.append = "O_APPEND" in flags
        self.durable = bool(flags & {"O_SYNC", "O_DSYNC"})


class Slot(NamedTuple):
    """What a descriptor is, and whether a new program does not get it."""

    opened: Opened
    cloexec: bool = False


class Mapping(NamedTuple):
    """A shared map of a file: from this byte of it on, at this address."""

    address: int
    length: int
    node: File
    offset: int


class Process(NamedTuple):
    """A thread's descriptors, current folder and maps: it may share each with other threads.

    `place` holds one: a folder of the recorded ones, or the path of another."""

    table: dict[int, Slot]
    place: list[Folder | str]
    maps: list[Mapping]

    def forked(self, flags: str) -> Process:
        """What its new child has."""
        return Process(
            self.table if "CLONE_FILES" in flags else dict(self.table),
            self.place if "CLONE_FS" in flags else list(self.place),
            self.maps if "CLONE_VM" in flags else list(self.maps),
        )

    def executed(self) -> Process:
        """What it has once it runs another program."""
        kept = {fd: slot for fd, slot in self.table.items() if not slot.cloexec}
        return Process(kept, list(self.place), [])

    def duplicate(self, old: int, new: int, *, cloexec: bool = False) -> None:
        """The descriptor `new` now is what `old` is."""
        slot = self.table.get(old)
        if old == new:
            return
        if slot is None:
            self.table.pop(new, None)
        else:
            self.table[new] = Slot(slot.opened, cloexec)

    def mark(self, fd: int, *, cloexec: bool) -> None:
        """Say whether a new program does not get a descriptor."""
        if slot := self.table.get(fd):
            self.table[fd] = Slot(slot.opened, cloexec)

    def close_range(self, first: int, last: int, flags: str) -> None:
        """Close descriptors, or have a new program not get them."""
        for fd in [fd for fd in self.table if first <= fd <= last]:
            if "CLOSE_RANGE_CLOEXEC" in flags:
                self.mark(fd, cloexec=True)
            else:
                del self.table[fd]

    def mapped_at(self, address: int) -> Mapping | None:
        """The map that an address lies in, the newest if an old one lay there before."""
        inside = (m for m in reversed(self.maps) if m.address <= address < m.address + m.length)
        return next(inside, None)
