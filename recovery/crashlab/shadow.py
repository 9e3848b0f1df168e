"""The shadow: the files of a folder as a recording has them, changed call by call.

It knows what is in a file where a call does not say so: how long it is (appends), what is copied
from it (sendfile), which file a name is by now.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from walvec.wal.errors import MilvusException

ROOT = 1
"""The number of the store's folder."""


class RecordingError(MilvusException):
    """Something was done that a recording cannot hold, or the recording is not right."""


class UnknownName(Exception):
    """A call succeeded on a name that is not there, as far as is known yet."""


class Snapshot(NamedTuple):
    """What is in a folder: the files, the folders in it, and the number of each, by path. Two
    names of one file have one number."""

    files: dict[str, bytes]
    folders: tuple[str, ...]
    numbers: dict[str, int]


def snapshot(folder: Path) -> Snapshot:
    """What is in a folder now. Raises RecordingError for a symbolic link."""
    files: dict[str, bytes] = {}
    folders: list[str] = []
    numbers: dict[str, int] = {}
    by_inode: dict[int, int] = {}
    rest = [("", str(folder))]
    while rest:
        prefix, place = rest.pop()
        with os.scandir(place) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                path = prefix + entry.name
                if entry.is_symlink():
                    raise RecordingError(
                        message=f"{entry.path} is a symbolic link, which a recording cannot hold; "
                        "leave it out"
                    )
                if entry.is_dir():
                    folders.append(path)
                    rest.append((f"{path}/", entry.path))
                elif entry.is_file():
                    files[path] = Path(entry.path).read_bytes()
                else:
                    continue
                numbers[path] = by_inode.setdefault(entry.inode(), ROOT + 1 + len(by_inode))
    return Snapshot(files, tuple(sorted(folders)), numbers)


class File:
    """A file: its bytes, and the name it got last, which it may have lost since."""

    def __init__(self, number: int, data: bytes = b"") -> None:
        self.number = number
        self.data = bytearray(data)
        self.folder: Folder | None = None
        self.name = ""

    @property
    def path(self) -> str:
        """Its name, from the store's folder on."""
        above = self.folder.path if self.folder else ""
        return f"{above}/{self.name}" if above else self.name


class Folder(File):
    """A folder: its names."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.entries: dict[str, File] = {}


class Shadow:
    """A tree of files, under the store's folder."""

    def __init__(self, start: Snapshot) -> None:
        self.root = Folder(ROOT)
        self._last_number = max([ROOT, *start.numbers.values()])
        nodes: dict[int, File] = {}
        for path in start.folders:
            self._place(path, Folder(start.numbers[path]))
        for path, data in start.files.items():
            number = start.numbers[path]
            self._place(path, nodes.setdefault(number, File(number, data)))

    def _place(self, path: str, node: File) -> None:
        folder, name = self.find(self.root, path)
        self.put(folder, name, node)

    def find(self, base: Folder, path: str) -> tuple[Folder, str]:
        """The folder and the name that a path means; the name is "" for the folder itself.

        Raises UnknownName if a folder on the way is not there, KeyError where the path leaves
        the store's folder.
        """
        place, name = base, ""
        for part in path.split("/"):
            if part in ("", "."):
                continue
            if name:
                below = place.entries.get(name)
                if not isinstance(below, Folder):
                    raise UnknownName(f"{place.path}/{name}")
                place, name = below, ""
            if part != "..":
                name = part
            elif place.folder is None:
                raise KeyError(path)
            else:
                place = place.folder
        return place, name

    def get(self, folder: Folder, name: str) -> File:
        """What has this name. Raises UnknownName."""
        node = folder.entries.get(name) if name else folder
        if node is None:
            raise UnknownName(f"{folder.path}/{name}" if folder.path else name)
        return node

    def new_number(self) -> int:
        """A number that no file has had."""
        self._last_number += 1
        return self._last_number

    def put(self, folder: Folder, name: str, node: File) -> None:
        """This name is now this file."""
        folder.entries[name] = node
        node.folder, node.name = folder, name
