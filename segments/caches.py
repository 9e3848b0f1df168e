"""Which files sealed segments are to have, which of them are absent, and removing all others."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from walvec.segments.build_lock import BuildLock
from walvec.segments.files import has_length, segment_folder
from walvec.segments.index import needs_file
from walvec.segments.state import COLUMNS_FILE, Collection, FileRecord, State, index_file
from walvec.wal import failpoints

POLL_S = 0.05
LIBRARIES = ("annoy", "faiss-cpu", "numpy")


def wanted_files(collection: Collection) -> list[str]:
    """The names of the files that each sealed segment of a collection has in the end."""
    indexes = [index_file(i) for i in collection.indexes.values() if needs_file(i)]
    return [COLUMNS_FILE, *indexes]


def wanted_paths(state: State) -> dict[str, set[str]]:
    """For each sealed segment's folder name the names of its files."""
    return {
        f"{segment.id:x}": set(wanted_files(collection))
        for collection in state.collections.values()
        for segment in collection.segments.values()
        if segment.sealed
    }


def library_versions() -> dict[str, str]:
    """Versions of the libraries that the bytes of an index file depend on."""
    return {name: found for name in LIBRARIES if (found := _version(name))}


@cache
def _version(library: str) -> str:
    """Empty where it is not installed. Looked up once: that takes as long as making a file."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def recorded_files(state: State) -> list[tuple[int, str, FileRecord]]:
    """(segment id, name, record) of all files that are to be there."""
    return [
        (segment.id, name, segment.files[name])
        for collection in state.collections.values()
        for segment in collection.segments.values()
        for name in wanted_files(collection)
        if name in segment.files
    ]


def absent_files(
    segments: Path, recorded: Iterable[tuple[int, str, FileRecord]]
) -> list[tuple[int, str]]:
    """(segment id, name) of the recorded files that are not there at their length."""
    return [
        (segment_id, name)
        for segment_id, name, record in recorded
        if not has_length(segment_folder(segments, segment_id) / name, record.length)
    ]


def sweep(segments: Path, wanted: Callable[[], dict[str, set[str]]]) -> bool:
    """Remove what no segment wants: merged, dropped, half made, and what has the name of a file
    and is none. Returns whether something stays because another process is at work there.

    wanted: gives wanted_paths of a state that has everything committed up to then. It is called
    after the folders are listed: what is made for a segment or index is made after the commit
    of that, so what is listed and then still unknown belongs to nothing, or no longer.
    """
    listed = {folder: _listed(folder) for folder in _listed(segments)}
    known = wanted()
    busy = False
    for folder, paths in listed.items():
        if not folder.is_dir():
            _remove(folder)
            continue
        names = known.get(folder.name)
        unwanted = [p for p in paths if names is None or p.name not in names or not p.is_file()]
        if unwanted or names is None:
            busy |= not _remove_alone(folder, None if names is None else unwanted)
    return busy


def _listed(folder: Path) -> list[Path]:
    """What is in a folder; nothing if it is none, or gone."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove_alone(folder: Path, unwanted: list[Path] | None) -> bool:
    """Remove some of a segment's files, or with None the folder, unless it is at work."""
    lock = BuildLock.take(folder)
    if lock is None:
        return not folder.exists()
    with lock:
        failpoints.hit("sweep.before")
        for path in [folder] if unwanted is None else unwanted:
            _remove(path)
            failpoints.hit("sweep.after")
    return True


def remove_all(segments: Path) -> tuple[int, int]:
    """Remove everything in the segments folder: how many files and bytes that was. Waits for those
    who are making files right now."""
    count = size = 0
    for folder in _listed(segments):
        files = [p for p in (folder, *folder.rglob("*")) if p.is_symlink() or p.is_file()]
        count += len(files)
        size += sum(p.lstat().st_size for p in files)
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink(missing_ok=True)
        while folder.exists() and not _remove_alone(folder, None):
            time.sleep(POLL_S)
    return count, size


def _remove(path: Path) -> None:
    """Remove a file, a link, or a folder with what is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
