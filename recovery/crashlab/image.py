"""Images: what may lie on the disk after a power cut, each told by its cut.

A cut is text: "17.w5.n3.t2-512" is a cut after the 17th operation, where of the writes that are
not durable those of the bits 5 (the first and the third) survive, of the names those of the bits
3, and of the third write only the first 512 bytes. A write that was to be durable on its return
and had been called when the power was cut counts as one that is not durable yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import NamedTuple

from blake3 import blake3

from walvec.crashlab import operation
from walvec.crashlab.disk import KILL, POSIX, Disk, Write, apply_write
from walvec.crashlab.operation import Operation

SECTOR, PAGE = 512, 4096
EVERY_SUBSET = 4
"""Up to so many writes and names that are not durable, every subset of them is tried."""
SINGLES = 24
"""Of more, so many of the newest are dropped one by one, or kept alone."""
RANDOM_SUBSETS = 6
DIGEST_SIZE = 16
_CUT = re.compile(r"(\d+)\.w([0-9a-f]+)\.n([0-9a-f]+)((?:\.t\d+-\d+)*)")


class Cut(NamedTuple):
    """Where and how: bits of the writes and names that survive, and (write, bytes of it)."""

    at: int
    writes: int
    names: int
    tears: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        tears = "".join(f".t{write}-{length}" for write, length in self.tears)
        return f"{self.at}.w{self.writes:x}.n{self.names:x}{tears}"

    @classmethod
    def of(cls, text: str) -> Cut:
        """The cut of a text. Raises ValueError."""
        match = _CUT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a cut such as 17.w5.n3.t2-512")
        at, writes, names, tears = match.groups()
        pairs = (part.split("-") for part in tears.split(".t")[1:])
        torn = tuple((int(write), int(length)) for write, length in pairs)
        return cls(int(at), int(writes, 16), int(names, 16), torn)


class Image(NamedTuple):
    """A folder as it may be found: files by path, folders, and a digest of both."""

    files: dict[str, bytes]
    folders: tuple[str, ...]
    digest: bytes

    def lay(self, folder: Path) -> None:
        """Write it into an empty folder, with the modes that keep others out."""
        for path in self.folders:
            (folder / path).mkdir(mode=0o700)
        for path, content in self.files.items():
            (folder / path).touch(mode=0o600)
            (folder / path).write_bytes(content)


class Darkroom:
    """Makes the images of one disk, and remembers what it has made of its files."""

    def __init__(self, volatile: frozenset[str], pids: Set[int] = frozenset()) -> None:
        """`pids`: of the processes that wrote, which do not count where they stand in names."""
        self._volatile = volatile
        numbers = "|".join(map(str, sorted(pids))) or "(?!)"
        self._pid = re.compile(rf"(?<!\d)(?:{numbers})(?!\d)")
        self._contents: dict[object, tuple[bytes, bytes]] = {}

    def develop(self, disk: Disk, coming: Sequence[Operation], cut: Cut) -> Image:
        """The image of a cut. `coming` are the operations that had been called."""
        writes = pending(disk, coming)
        tears = dict(cut.tears)
        kept: dict[int, list[tuple[Write, int | None]]] = {}
        for number, write in enumerate(writes):
            if cut.writes >> number & 1:
                kept.setdefault(write.file, []).append((write, tears.get(number)))
        names = [n for i, n in enumerate(disk.namings) if cut.names >> i & 1]
        tree, folders = disk.tree(names)
        hashed = blake3()
        for folder in folders:
            hashed.update(folder.encode() + b"/\0")
        files: dict[str, bytes] = {}
        for path, file in sorted(tree.items()):
            content, digest = self._content(disk, file, kept.get(file, []))
            files[path] = content
            hashed.update(self._pid.sub("pid", path).encode() + b"\0")
            if not any(fnmatchcase(path, pattern) for pattern in self._volatile):
                hashed.update(digest)
        return Image(files, tuple(folders), hashed.digest(DIGEST_SIZE))

    def _content(
        self, disk: Disk, file: int, kept: list[tuple[Write, int | None]]
    ) -> tuple[bytes, bytes]:
        """Bytes and digest of a file of which these writes survive."""
        key = (file, disk.versions.get(file, 0), tuple((w.step, length) for w, length in kept))
        found = self._contents.get(key)
        if found is None:
            content = bytearray(disk.contents.get(file, b""))
            for write, length in kept:
                apply_write(content, write.operation, length)
            found = bytes(content), blake3(content).digest(DIGEST_SIZE)
            if len(self._contents) > 1000:
                self._contents.clear()
            self._contents[key] = found
        return found


def pending(disk: Disk, coming: Sequence[Operation]) -> list[Write]:
    """The writes of which any subset may survive now."""
    writes = list(disk.writes)
    if disk.model != KILL:
        for number, called in enumerate(coming, disk.step + 1):
            if called.kind == operation.WRITE and called.durable and called.begun <= disk.step:
                writes.append(Write(number, called.file, called))
    return writes


def cuts(
    disk: Disk,
    coming: Sequence[Operation],
    random: Random,
    volatile: Set[int] = frozenset(),
) -> Iterator[Cut]:
    """The cuts to be tried now, each once; the plainest first.

    Writes to the files `volatile`, which decide nothing, are lost together or at random.
    """
    seen: set[Cut] = set()
    for cut in _cuts(disk, pending(disk, coming), random, volatile):
        if cut not in seen:
            seen.add(cut)
            yield cut


def _cuts(disk: Disk, writes: list[Write], random: Random, volatile: Set[int]) -> Iterator[Cut]:
    at, m = disk.step, len(disk.namings)
    telling = [number for number, write in enumerate(writes) if write.file not in volatile]
    n = len(telling)
    every_write, every_name = (1 << len(writes)) - 1, (1 << m) - 1
    dull = every_write & ~sum(1 << number for number in telling)
    names = list(_name_subsets(disk, random))
    yield Cut(at, every_write, every_name)
    if not writes and not m:
        return
    yield Cut(at, 0, 0)
    yield Cut(at, 0, every_name)
    yield Cut(at, every_write, 0)
    for kept in names:
        yield Cut(at, every_write, kept)
    newest = telling[-SINGLES:]
    for number in newest:
        yield Cut(at, every_write & ~(1 << number), every_name)
    for number in newest:
        yield Cut(at, dull | 1 << number, every_name)
    if n <= EVERY_SUBSET and len(names) <= EVERY_SUBSET:
        for bits in range(1 << n):
            subset = sum(1 << number for i, number in enumerate(telling) if bits >> i & 1)
            for kept in names:
                yield Cut(at, dull | subset, kept)
    for number in newest[-3:]:
        for length in _tears(writes[number].operation, random):
            yield Cut(at, every_write, every_name, ((number, length),))
            yield Cut(at, 1 << number, every_name, ((number, length),))
    for _ in range(RANDOM_SUBSETS if n + m > 1 else 0):
        yield _random_cut(at, writes, names, random)


def _name_subsets(disk: Disk, random: Random) -> Iterator[int]:
    """The subsets of names that may survive: under ext4 first parts, under posix any."""
    m = len(disk.namings)
    if disk.model != POSIX:
        yield from ((1 << k) - 1 for k in range(m, max(-1, m - SINGLES), -1))
        return
    if m <= EVERY_SUBSET:
        yield from range((1 << m) - 1, -1, -1)
        return
    every = (1 << m) - 1
    yield every
    for number in range(max(0, m - SINGLES), m):
        yield every & ~(1 << number)
        yield 1 << number
    for _ in range(RANDOM_SUBSETS):
        yield random.getrandbits(m)


def _random_cut(at: int, writes: list[Write], names: list[int], random: Random) -> Cut:
    kept = random.getrandbits(len(writes)) if writes else 0
    tears = []
    for number, write in enumerate(writes):
        if kept >> number & 1 and random.random() < 0.3:
            lengths = _tears(write.operation, random)
            if lengths:
                tears.append((number, random.choice(lengths)))
    return Cut(at, kept, random.choice(names), tuple(tears))


def _tears(write: Operation, random: Random) -> list[int]:
    """Lengths at which a write may be torn: at borders of sectors, and of pages."""
    if write.kind != operation.WRITE:
        return []
    end = len(write.data)
    found: list[int] = []
    for unit in (SECTOR, PAGE):
        first = unit - write.offset % unit
        borders = range(first, end, unit)
        if borders:
            found += [borders[0], borders[-1], borders[random.randrange(len(borders))]]
    return sorted(set(found))
