"""Images: what may lie on the disk after a power cut, each told by its cut.

A cut is text: "17.w5.n3.t2-512" is a cut after the 17th operation, where of the writes that are
not durable those of the bits 5 (the first and the third) survive, of the names those of the bits
3, and of the third write only the first 512 bytes; "t2-512+4096" if also those from the byte 4096
on survive: the pages of a write reach the disk in any order. A write that was to be durable on its
return and had been called when the power was cut counts as one that is not durable yet.
"""

from __future__ import annotations

import os
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
FILES = 6
"""Of so many files all is dropped, or they alone are kept."""
RANDOM_SUBSETS = 6
DIGEST_SIZE = 16
_TEAR = r"\.t(\d+)-(\d+)(?:\+(\d+))?"
_CUT = re.compile(rf"(\d+)\.w([0-9a-f]+)\.n([0-9a-f]+)((?:{_TEAR})*)")


class Tear(NamedTuple):
    """Of the write of this number the first `length` bytes survive, and those from `resumed` on,
    if it is not 0. At its end that says that the file has grown and the bytes are not there."""

    write: int
    length: int
    resumed: int = 0

    def __str__(self) -> str:
        text = f".t{self.write}-{self.length}"
        return f"{text}+{self.resumed}" if self.resumed else text


class Cut(NamedTuple):
    """Where and how: bits of the writes and names that survive, and writes that are torn."""

    at: int
    writes: int
    names: int
    tears: tuple[Tear, ...] = ()

    def __str__(self) -> str:
        tears = "".join(map(str, self.tears))
        return f"{self.at}.w{self.writes:x}.n{self.names:x}{tears}"

    @classmethod
    def of(cls, text: str) -> Cut:
        """The cut of a text. Raises ValueError."""
        match = _CUT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a cut such as 17.w5.n3.t2-512")
        at, writes, names, tears = match.groups()[:4]
        found = re.findall(_TEAR, tears)
        torn = tuple(Tear(int(n), int(length), int(on or 0)) for n, length, on in found)
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
            # Several a judged state, so without what pathlib does beside it.
            file = os.open(f"{folder}/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                done = 0
                while done < len(content):
                    done += os.write(file, content[done:])
            finally:
                os.close(file)


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
        tears = {tear.write: tear for tear in cut.tears}
        kept: dict[int, list[tuple[Write, Tear | None]]] = {}
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
        self, disk: Disk, file: int, kept: list[tuple[Write, Tear | None]]
    ) -> tuple[bytes, bytes]:
        """Bytes and digest of a file of which these writes survive."""
        parts = tuple((w.step, w.operation.offset, tear and tear[1:]) for w, tear in kept)
        key = (file, disk.versions.get(file, 0), parts)
        found = self._contents.get(key)
        if found is None:
            content = bytearray(disk.contents.get(file, b""))
            for write, tear in kept:
                _apply(content, write.operation, tear)
            found = bytes(content), blake3(content).digest(DIGEST_SIZE)
            if len(self._contents) > 1000:
                self._contents.clear()
            self._contents[key] = found
        return found


def _apply(content: bytearray, done: Operation, tear: Tear | None) -> None:
    """Carry out a write or a truncation, or what a tear leaves of it."""
    if tear is None:
        apply_write(content, done)
        return
    apply_write(content, done._replace(data=done.data[: tear.length]))
    if tear.resumed:
        end = done.offset + len(done.data)
        content.extend(bytes(max(0, end - len(content))))
        rest = done.data[tear.resumed :]
        apply_write(content, done._replace(offset=end - len(rest), data=rest))


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
    else:
        # Files reach the disk one by one.
        for file in list(dict.fromkeys(writes[number].file for number in reversed(telling)))[
            :FILES
        ]:
            own = sum(1 << number for number in telling if writes[number].file == file)
            yield Cut(at, every_write & ~own, every_name)
            yield Cut(at, dull | own, every_name)
    for number in newest[-3:]:
        for tear in _tears(number, writes[number].operation, random):
            yield Cut(at, every_write, every_name, (tear,))
            yield Cut(at, 1 << number, every_name, (tear,))
        for hole in _holes(number, writes[number].operation, disk.model, random):
            yield Cut(at, every_write, every_name, (hole,))
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
        found = _tears(number, write.operation, random)
        if found and kept >> number & 1 and random.random() < 0.3:
            tears.append(random.choice(found))
    return Cut(at, kept, random.choice(names), tuple(tears))


def _tears(number: int, write: Operation, random: Random) -> list[Tear]:
    """The write torn at borders of sectors, and of pages."""
    found: set[int] = set()
    for unit in (SECTOR, PAGE):
        if borders := _borders(write, unit):
            found.update((borders[0], borders[-1], borders[random.randrange(len(borders))]))
    return [Tear(number, length) for length in sorted(found)]


def _holes(number: int, write: Operation, model: str, random: Random) -> list[Tear]:
    """The write without its first part, and without one in the midst; under posix also without
    all, though the file has grown."""
    if write.kind != operation.WRITE:
        return []
    borders = _borders(write, PAGE)
    if len(borders) < 2:
        borders = _borders(write, SECTOR)
    found = [Tear(number, 0, border) for border in borders[:1]]
    if len(borders) > 1:
        place = random.randrange(len(borders) - 1)
        found += [Tear(number, borders[i], borders[i + 1]) for i in {0, place}]
    if model == POSIX:
        found.append(Tear(number, 0, len(write.data)))
    return found


def _borders(write: Operation, unit: int) -> range:
    """Where in a write a unit of the disk begins."""
    if write.kind != operation.WRITE:
        return range(0)
    return range(unit - write.offset % unit, len(write.data), unit)
