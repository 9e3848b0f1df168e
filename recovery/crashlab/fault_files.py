"""Faults of files beside the log: damaged, missing, exchanged, deleted while they are open.

Segment files are caches: whatever becomes of them, there is full service, and they are made again
as they were. Lock files hold nothing. A log that is exchanged under an open store must not be
written to, and a log that is gone must not be made anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from walvec.crashlab import fault_store
from walvec.crashlab.fault_run import FaultFailed, FaultRun, fault
from walvec.crashlab.fault_store import EXPECTED, FURTHER, opened, texts_of
from walvec.wal.errors import StoreBrokenException, StoreUnusableException

Damage = Callable[[Path, Random], object]


def _flip(path: Path, chance: Random) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def _zero_part(path: Path, chance: Random) -> None:
    data = bytearray(path.read_bytes())
    start = chance.randrange(len(data) - 64)
    data[start : start + 64] = bytes(b ^ 255 for b in data[start : start + 64])
    path.write_bytes(data)


def _make_folder(path: Path, _: Random) -> None:
    path.unlink()
    path.mkdir()


def _make_link(path: Path, _: Random) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


DAMAGES: dict[str, Damage] = {
    "a bit flipped": _flip,
    "64 bytes changed": _zero_part,
    "deleted": lambda path, _: path.unlink(),
    "emptied": lambda path, _: os.truncate(path, 0),
    "cut somewhere": lambda path, chance: os.truncate(path, chance.randrange(path.stat().st_size)),
    "a byte short": lambda path, _: os.truncate(path, path.stat().st_size - 1),
    "made longer": lambda path, chance: os.truncate(
        path, path.stat().st_size + chance.randrange(1, 9000)
    ),
    "replaced by a folder": _make_folder,
    "replaced by a link to a device": _make_link,
}


@fault(
    "segment-files-damaged",
    "Every kind of segment file (columns, indexes of Annoy and FAISS, of texts and numbers) is "
    "damaged in every way: full service at once, and each is made again as it was.",
)
def segment_files_damaged(lab: FaultRun) -> str:
    """Each segment's files get another damage, in two stores as many as there are."""
    kinds = list(DAMAGES)
    lab.random.shuffle(kinds)
    for number in range(0, len(kinds), fault_store.SEGMENTS):
        folder = fault_store.copied(lab.scratch / f"store-{number}")
        for kind, segment in zip(kinds[number:], _segments(folder), strict=False):
            for path in sorted(segment.iterdir()):
                DAMAGES[kind](path, lab.random)
        lab.in_child(partial(fault_store.require_full_service, folder))
    files = len(list(_segments(fault_store.copied(lab.scratch / "whole"))[0].iterdir()))
    return f"{len(kinds)} damages to {files} kinds of files ({', '.join(DAMAGES)}): full service"


@fault(
    "segment-files-exchanged",
    "Segment files change places: between two segments, between two stores, with those of an "
    "earlier time: none is taken for what it is not, full service.",
)
def segment_files_exchanged(lab: FaultRun) -> str:
    """Whole folders and single files."""
    other = fault_store.copied(lab.scratch / "other", seed=1)
    among, single, foreign, nowhere = (
        fault_store.copied(lab.scratch / name) for name in ("among", "single", "foreign", "nowhere")
    )
    first, second, *_ = _segments(among)
    _exchange(first, second)
    first, second, third, *_ = _segments(single)
    for name in sorted(path.name for path in first.iterdir()):
        _exchange(first / name, second / name)
    files = sorted(third.iterdir())
    _exchange(files[0], files[1])
    shutil.rmtree(foreign / "segments")
    shutil.copytree(other / "segments", foreign / "segments")
    shutil.rmtree(nowhere / "segments")
    (nowhere / "segments").write_text("not a folder")
    for folder in (among, single, foreign, nowhere):
        lab.in_child(partial(fault_store.require_full_service, folder))
    return "two folders, files of two segments, all files of another store, no folder: full service"


@fault(
    "lock-files-damaged",
    "LMDB's lock file and the writer's are damaged, empty, missing, or another store's, while "
    "nobody has the store open: full service.",
)
def lock_files_damaged(lab: FaultRun) -> str:
    """All damages to both at once; a link in place of a file is refused instead."""
    damages = [kind for kind in DAMAGES if "replaced" not in kind]
    for number, kind in enumerate(damages):
        folder = fault_store.copied(lab.scratch / f"store-{number}")
        for name in ("writer.lock", "log/lock.mdb"):
            DAMAGES[kind](folder / name, lab.random)

        def work(folder: Path = folder, kind: str = kind) -> None:
            with opened(folder, background=False) as store:
                store.insert([FURTHER])
                if store.texts() != {**EXPECTED, **texts_of([FURTHER])}:
                    raise FaultFailed(f"lock files {kind}: other rows")

        lab.in_child(work)
    return f"{', '.join(damages)}: full service"


@fault(
    "lock-file-deleted-while-open",
    "LMDB's lock file is deleted or replaced under an open store, which would admit a second "
    "writer: the store refuses to write, and opened again serves everything.",
)
def lock_file_deleted(lab: FaultRun) -> str:
    """Deleted; replaced by a copy; and the writer's lock file, which is no harm."""

    def replace(path: Path) -> None:
        shutil.copy(path, path.with_name("copy"))
        path.with_name("copy").rename(path)

    said = [
        _change_while_open(lab, "deleted", lambda f: (f / "log" / "lock.mdb").unlink()),
        _change_while_open(lab, "replaced", lambda f: replace(f / "log" / "lock.mdb")),
    ]
    folder = fault_store.copied(lab.scratch / "writer-lock")

    def without_writer_lock() -> None:
        with opened(folder) as store:
            store.insert([FURTHER])
            (folder / "writer.lock").unlink()
            store.insert([FURTHER + 1])

    lab.in_child(without_writer_lock)
    expected = {**EXPECTED, **texts_of([FURTHER, FURTHER + 1])}
    lab.in_child(lambda: fault_store.require_full_service(folder, expected))
    return f"{'; '.join(said)}; without writer.lock it goes on"


@fault(
    "log-replaced-while-open",
    "The log's file is replaced or deleted under an open store: it refuses to write, and what "
    "was acknowledged is in the file that was open.",
)
def log_replaced_while_open(lab: FaultRun) -> str:
    """By an older copy of itself; renamed away with its folder."""

    def put_older(folder: Path) -> None:
        data = folder / "log" / "data.mdb"
        data.rename(data.with_name("kept"))
        shutil.copy(lab.scratch / "older" / "log" / "data.mdb", data)

    def put_back(folder: Path) -> None:
        data = folder / "log" / "data.mdb"
        data.with_name("kept").rename(data)

    fault_store.copied(lab.scratch / "older")
    said = _change_while_open(lab, "replaced", put_older, put_back)
    moved = _change_while_open(
        lab,
        "moved",
        lambda folder: (folder / "log").rename(folder.with_name("log-elsewhere")),
        lambda folder: folder.with_name("log-elsewhere").rename(folder / "log"),
    )
    return f"{said}; {moved}"


def _change_while_open(
    lab: FaultRun,
    name: str,
    change: Callable[[Path], object],
    mend: Callable[[Path], object] = lambda _: None,
) -> str:
    """Insert, change a file, and see that nothing is written then; after the mending all that
    was acknowledged must be there."""
    folder = fault_store.copied(lab.scratch / name)

    def work() -> str:
        with opened(folder) as store:
            store.insert([FURTHER])
            change(folder)
            try:
                store.insert([FURTHER + 1])
            except StoreBrokenException as error:
                return error.message
        raise FaultFailed(f"a store whose file was {name} took an insert")

    said: str = lab.in_child(work)
    mend(folder)
    expected = {**EXPECTED, **texts_of([FURTHER])}
    lab.in_child(lambda: fault_store.require_full_service(folder, expected))
    return f"{name}: refused ({said})"


@fault(
    "log-missing",
    "The log, or one of its files, is gone: refused by name, and nothing is made in its place that "
    "would look like an empty store.",
)
def log_missing(lab: FaultRun) -> str:
    """data.mdb deleted; the folder deleted; a file in its place; half a creation beside it."""
    said = []

    def leave_half_a_creation(folder: Path) -> None:
        (folder / "log").rename(folder / "log.tmp")

    def put_file(folder: Path) -> None:
        shutil.rmtree(folder / "log")
        (folder / "log").write_text("not a folder")

    changes: dict[str, Callable[[Path], object]] = {
        "data.mdb deleted": lambda folder: (folder / "log" / "data.mdb").unlink(),
        "log deleted": lambda folder: shutil.rmtree(folder / "log"),
        "a file instead": put_file,
        "log renamed to log.tmp": leave_half_a_creation,
    }
    for number, (name, change) in enumerate(changes.items()):
        folder = fault_store.copied(lab.scratch / f"store-{number}")
        change(folder)
        before = sorted(folder.rglob("*"))

        def look(folder: Path = folder, name: str = name) -> str:
            try:
                with opened(folder):
                    raise FaultFailed(f"{name}: it was opened")
            except StoreUnusableException as error:
                return error.message

        said.append(f"{name}: {lab.in_child(look)}")
        gone = {p for p in before if "log" in p.parts and not p.exists()}
        if gone or (folder / "log" / "data.mdb").exists():
            raise FaultFailed(f"{name}: {gone or 'a new log'} after it was refused")
    return "; ".join(said)


@fault(
    "log-exchanged",
    "The log is another store's, or an older copy, beside the segment files of this one: it is "
    "the store of that log, exactly, and no file is taken for what it is not.",
)
def log_exchanged(lab: FaultRun) -> str:
    """Nothing in an older copy says that it is one: it is served as what it is."""
    other = fault_store.copied(lab.scratch / "other", seed=1)
    foreign = fault_store.copied(lab.scratch / "foreign")
    older = fault_store.copied(lab.scratch / "older")
    copy = shutil.copy(older / "log" / "data.mdb", lab.scratch / "data.mdb")

    def go_on() -> None:
        with opened(older) as store:
            store.insert(range(20_000, 20_060))
            store.flush()
            store.delete(range(20))
            store.settle()

    lab.in_child(go_on)
    shutil.copy(copy, older / "log" / "data.mdb")
    shutil.copy(other / "log" / "data.mdb", foreign / "log" / "data.mdb")
    lab.in_child(lambda: fault_store.require_full_service(older))
    expected = {**EXPECTED, **texts_of([fault_store.SEEDED])}
    lab.in_child(lambda: fault_store.require_full_service(foreign, expected))
    return "both are served as they are; that a copy is older cannot be told from it"


def _segments(folder: Path) -> list[Path]:
    return sorted((folder / "segments").iterdir())


def _exchange(one: Path, other: Path) -> None:
    kept = one.with_name("kept")
    one.rename(kept)
    other.rename(one)
    kept.rename(other)
