"""Which files sealed segments are to have, which of them are absent, and removing all others."""

from __future__ import annotations

import contextlib
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from walvec.segments.files import has_length, segment_folder
from walvec.segments.index import needs_file
from walvec.segments.state import COLUMNS_FILE, Collection, State, index_file

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
    versions = {}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def absent_files(state: State, segments: Path) -> list[tuple[int, str]]:
    """(segment id, name) of the recorded files that are not there at their length."""
    return [
        (segment.id, name)
        for collection in state.collections.values()
        for segment in collection.segments.values()
        for name, record in segment.files.items()
        if not has_length(segment_folder(segments, segment.id) / name, record.length)
    ]


def sweep(segments: Path, wanted: dict[str, set[str]]) -> None:
    """Remove what no segment wants: merged, dropped, half made, and what has the name of a file
    and is none. `wanted`: see wanted_paths."""
    for folder in segments.iterdir() if segments.exists() else ():
        names = wanted.get(folder.name)
        if names is None or not folder.is_dir():
            _remove(folder)
            continue
        for path in folder.iterdir():
            if path.name not in names or not path.is_file():
                _remove(path)


def _remove(path: Path) -> None:
    """Remove a file, a link, or a folder with what is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
