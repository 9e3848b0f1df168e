"""The models of a disk against another account of them, written for this test: slow, and told by
what each operation forces to be durable instead of step by step. Random runs; the seed is shown."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

import pytest

from walvec.crashlab.disk import EXT4, KILL, MODELS, POSIX, ROOT, Disk
from walvec.crashlab.image import Darkroom, cuts
from walvec.crashlab.operation import Operation, Recording

SECTOR, PAGE = 512, 4096
EMPTY = Recording({}, (), {}, ())
RUNS, AT_ONCE, LENGTH = 200, 50, 9
Entries = dict[tuple[int, str], int]
Files = dict[str, bytes]


class Left(NamedTuple):
    """What is in a folder."""

    files: Files
    folders: tuple[str, ...]


def random_run(random: Random) -> tuple[Operation, ...]:
    """Operations one after the other, on two folders and a few files."""
    done: list[Operation] = []
    paths: dict[str, int] = {}
    last = ROOT

    def add(kind: str, file: int, path: str = "", **more: Any) -> None:
        done.append(Operation(kind, len(done), file=file, path=path)._replace(**more))

    def new_path() -> str:
        folder = random.choice(["", *(f"{p}/" for p in paths if p == "d")])
        return folder + random.choice("abc")

    for path in random.choice([[], ["a"], ["d", "a", "d/b"]]):
        last += 1
        paths[path] = last
        add("mkdir" if path == "d" else "create", last, path)
    if random.random() < 0.5:
        add("sync-all", ROOT)
    for _ in range(random.randint(1, LENGTH)):
        files = [path for path in paths if path != "d"]
        kinds = ["create", "write", "write", "write", "truncate", "sync", "datasync", "rename"]
        kind = random.choice([*kinds, "link", "unlink", "mkdir", "sync folder"])
        if kind == "sync folder":
            add(random.choice(["sync", "datasync"]), random.choice([ROOT, paths.get("d", ROOT)]))
        elif kind == "mkdir" and "d" not in paths:
            last += 1
            paths["d"] = last
            add("mkdir", last, "d")
        elif kind == "create" and (path := new_path()) not in paths:
            last += 1
            paths[path] = last
            add("create", last, path)
        elif files and kind in ("write", "truncate", "sync", "datasync"):
            path = random.choice(files)
            more: dict[str, Any] = {}
            if kind == "write":
                data = bytes([len(done) + 1]) * random.choice([10, 600, 5000])
                more = {"offset": random.choice([0, 300, 4096, 8000]), "data": data}
                more["durable"] = random.random() < 0.3
            elif kind == "truncate":
                more = {"offset": random.choice([0, 0, 5, 4500, 9000])}
            add(kind, paths[path], path, **more)
        elif files and kind in ("rename", "link", "unlink"):
            path, target = random.choice(files), new_path()
            if kind == "unlink":
                add(kind, paths.pop(path), path)
            elif paths.get(target) != paths[path] and (kind == "rename" or target not in paths):
                add(kind, paths[path], path, target=target)
                paths[target] = paths[path] if kind == "link" else paths.pop(path)
    return tuple(done)


def runs(first: int, *, durable: bool = True) -> Iterator[tuple[Operation, ...]]:
    """Some of the random runs; unless `durable`, no write is durable when it returns."""
    for seed in range(first, first + AT_ONCE):
        run = random_run(Random(seed))
        yield run if durable else tuple(done._replace(durable=False) for done in run)


def disk_after(model: str, run: tuple[Operation, ...]) -> Disk:
    disk = Disk.before(EMPTY, model)
    for done in run:
        disk.advance(done)
    return disk


def images(disk: Disk) -> list[Left]:
    """Of the cuts that are tried."""
    darkroom = Darkroom(frozenset())
    made = [darkroom.develop(disk, (), cut) for cut in cuts(disk, (), Random(1))]
    return [Left(image.files, image.folders) for image in made]


class Reference:
    """What may be left after a run: by what must be durable, and what else may be."""

    def __init__(self, model: str, run: tuple[Operation, ...]) -> None:
        self.model = model
        self.run = run
        self.namings = [(i, self._changes(i, done)) for i, done in self._of(*NAME_KINDS)]

    def _of(self, *kinds: str) -> list[tuple[int, Operation]]:
        return [(i, done) for i, done in enumerate(self.run) if done.kind in kinds]

    def _changes(self, at: int, done: Operation) -> list[tuple[int, str, int]]:
        def place(path: str) -> tuple[int, str]:
            folder, _, name = path.rpartition("/")
            made = [o.file for o in self.run[:at] if o.kind == "mkdir" and o.path == folder]
            return (made[0] if folder else ROOT), name

        gone = (*place(done.path), 0)
        if done.kind == "rename":
            return [gone, (*place(done.target), done.file)]
        if done.kind == "link":
            return [(*place(done.target), done.file)]
        return [gone if done.kind == "unlink" else (*place(done.path), done.file)]

    def must(self, at: int, page: int) -> bool:
        """Whether what an operation put in a page of its file is durable. A truncation is in all
        pages."""
        done = self.run[at]
        for later in self.run[at:]:
            if later.kind == "sync-all":
                return True
            if later.file != done.file:
                continue
            if later.kind in ("sync", "datasync") or self.model == KILL:
                return True
            last = later.offset + len(later.data) - 1
            if later.durable and (
                done.kind == "truncate" or later.offset // PAGE <= page <= last // PAGE
            ):
                return True
        return self.model == KILL

    def name_choices(self) -> Iterator[Entries]:
        """The names that may be left."""
        forced = {i for i, changes in self.namings if self._must_name(i, changes)}
        free = [i for i, _ in self.namings if i not in forced]
        choices: Iterator[set[int]]
        if self.model == POSIX:
            choices = (
                set(c) for n in range(len(free) + 1) for c in itertools.combinations(free, n)
            )
        else:
            choices = (set(free[:n]) for n in range(len(free) + 1))
        for choice in choices:
            entries: Entries = {}
            for i, changes in self.namings:
                if i in forced | choice:
                    for folder, name, file in changes:
                        entries[folder, name] = file
            yield {place: file for place, file in entries.items() if file}

    def _must_name(self, at: int, changes: list[tuple[int, str, int]]) -> bool:
        if self.model == KILL:
            return True
        for i, later in enumerate(self.run):
            if later.kind == "sync-all" and i > at:
                return True
            is_folder = later.file == ROOT or any(
                o.kind == "mkdir" and o.file == later.file for o in self.run
            )
            if self.model == POSIX:
                if i > at and later.kind in ("sync", "datasync") and changes[-1][0] == later.file:
                    return True
            elif later.kind == "sync" or (later.kind == "datasync" and is_folder):
                if self._last_change(later.file, i) >= at:
                    return True
            elif (later.kind == "datasync" or later.durable) and self._last_size(later, i) >= at:
                return True
        return False

    def _last_change(self, file: int, before: int) -> int:
        """When a file or folder was changed last, in its bytes or names."""
        touching = [i for i, changes in self.namings if any(c[0] == file for c in changes)]
        own = [i for i, o in enumerate(self.run) if o.file == file and "sync" not in o.kind]
        return max([i for i in touching + own if i < before], default=-1)

    def _last_size(self, of: Operation, until: int) -> int:
        """When a file was made, or its length changed."""
        size, last = 0, -1
        for i, done in enumerate(self.run[: until + 1]):
            if done.file != of.file:
                continue
            end = done.offset + len(done.data)
            if done.kind == "truncate" or (done.kind == "write" and end > size):
                size, last = end, i
            elif done.kind == "create":
                last = i
        return last

    def allows(self, left: Left) -> bool:
        return any(self._fits(entries, left) for entries in self.name_choices())

    def _fits(self, entries: Entries, left: Left) -> bool:
        files, folders = paths_of(entries, {o.file for o in self.run if o.kind == "mkdir"})
        return (
            files.keys() == left.files.keys()
            and tuple(sorted(folders)) == left.folders
            and all(self.may_hold(file, left.files[path]) for path, file in files.items())
        )

    def may_hold(self, file: int, content: bytes) -> bool:
        """Whether these may be the bytes of a file: sector by sector, as each reaches the disk by
        itself, for one choice of the truncations."""
        data = [(i, o) for i, o in self._of("write", "truncate") if o.file == file]
        shortened = [i for i, o in data if o.kind == "truncate"]
        free = [i for i in shortened if not self.must(i, 0)]
        for n in range(len(free) + 1):
            for kept in itertools.combinations(free, n):
                cut = (set(shortened) - set(free)) | set(kept)
                if len(content) in self._lengths(data, cut) and all(
                    self._sector_fits(data, cut, content, at)
                    for at in range(0, len(content), SECTOR)
                ):
                    return True
        return False

    def _lengths(self, data: list[tuple[int, Operation]], cut: set[int]) -> set[int]:
        lengths = {0}
        for i, done in data:
            if done.kind == "truncate":
                lengths = {done.offset} if i in cut else lengths
                continue
            end = done.offset + len(done.data)
            borders = {*range(done.offset - done.offset % SECTOR, end, SECTOR), end}
            borders = {b for b in borders if b > done.offset}
            if self.must(i, (end - 1) // PAGE):
                borders = {end}
                lengths = {max(length, end) for length in lengths}
            else:
                lengths |= {max(length, b) for length in lengths for b in borders}
        return lengths

    def _sector_fits(
        self, data: list[tuple[int, Operation]], cut: set[int], content: bytes, at: int
    ) -> bool:
        wanted = content[at : at + SECTOR]
        found = {bytes(SECTOR)}
        for i, done in data:
            new = {_put(sector, done, at) for sector in found}
            if done.kind == "truncate":
                found = new if i in cut else found
            else:
                found = new if self.must(i, at // PAGE) else found | new
        return any(sector[: len(wanted)] == wanted for sector in found)


NAME_KINDS = ("create", "mkdir", "rename", "link", "unlink")


def _put(sector: bytes, done: Operation, at: int) -> bytes:
    """The sector that begins at a byte, after an operation."""
    text = bytearray(sector)
    for place in range(SECTOR):
        if done.kind == "truncate" and at + place >= done.offset:
            text[place] = 0
        elif done.offset <= at + place < done.offset + len(done.data):
            text[place] = done.data[at + place - done.offset]
    return bytes(text)


def paths_of(entries: Entries, folders: set[int]) -> tuple[dict[str, int], list[str]]:
    """Files and folders by path: those that the store's folder leads to."""
    files: dict[str, int] = {}
    found: list[str] = []
    for (folder, name), file in entries.items():
        if folder == ROOT and file in folders:
            found.append(name)
            files |= {f"{name}/{n}": f for (place, n), f in entries.items() if place == file}
        elif folder == ROOT:
            files[name] = file
    return files, found


@pytest.mark.parametrize("first", range(0, RUNS, AT_ONCE))
def test_every_image_is_one_that_the_model_allows(first: int) -> None:
    for run in runs(first):
        for model in MODELS:
            reference = Reference(model, run)
            for left in images(disk_after(model, run)):
                assert reference.allows(left), (model, run, left)


@pytest.mark.parametrize("first", range(0, RUNS, AT_ONCE))
def test_what_a_kill_leaves_ext4_may_and_what_ext4_may_posix_may(first: int) -> None:
    for run in runs(first):
        (killed,) = images(disk_after(KILL, run))
        by_ext4, by_posix = Reference(EXT4, run), Reference(POSIX, run)
        assert by_ext4.allows(killed)
        for left in images(disk_after(EXT4, run)):
            assert by_posix.allows(left), (run, left)


@pytest.mark.parametrize("first", range(0, RUNS, AT_ONCE))
def test_after_a_sync_of_everything_there_is_one_image(first: int) -> None:
    for run in runs(first):
        (killed,) = images(disk_after(KILL, run))
        everything = Operation("sync-all", len(run), file=ROOT)
        for model in (EXT4, POSIX):
            assert images(disk_after(model, (*run, everything))) == [killed]


@pytest.mark.parametrize("first", range(0, RUNS, AT_ONCE))
def test_of_a_few_writes_and_names_every_choice_is_an_image(first: int) -> None:
    for run in runs(first, durable=False):
        for model in (EXT4, POSIX):
            disk = disk_after(model, run)
            names = len(disk.namings) + 1 if model == EXT4 else 1 << len(disk.namings)
            if len(disk.writes) > 4 or names > 4:
                continue
            found = images(disk)
            reference = Reference(model, run)
            data = [(i, o) for i, o in reference._of("write", "truncate")]
            free = [i for i, o in data if not reference.must(i, o.offset // PAGE)]
            for entries in reference.name_choices():
                files, folders = paths_of(entries, {o.file for o in run if o.kind == "mkdir"})
                for n in range(len(free) + 1):
                    for kept in itertools.combinations(free, n):
                        bytes_of = dict.fromkeys(files.values(), b"")
                        for i, done in data:
                            if done.file in bytes_of and (i in kept or i not in free):
                                bytes_of[done.file] = _after(bytes_of[done.file], done)
                        left = {path: bytes_of[file] for path, file in files.items()}
                        assert Left(left, tuple(sorted(folders))) in found, (model, run, left)


def _after(content: bytes, done: Operation) -> bytes:
    if done.kind == "truncate":
        return content[: done.offset].ljust(done.offset, b"\0")
    end = done.offset + len(done.data)
    return content[: done.offset].ljust(done.offset, b"\0") + done.data + content[end:]
