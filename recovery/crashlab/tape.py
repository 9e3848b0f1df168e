"""The tape: what the recorded processes have, and the operations that are noted one by one."""

from __future__ import annotations

import os
import posixpath
from collections import Counter

from walvec.crashlab.calls import Call, descriptor, path_of, unquoted
from walvec.crashlab.descriptors import Opened, Process
from walvec.crashlab.disk import apply_write
from walvec.crashlab.operation import DATA, Operation, Recording
from walvec.crashlab.shadow import File, Folder, RecordingError, Shadow, Snapshot, UnknownName

Place = tuple[Folder, str]
"""A folder and a name in it; the name is "" for the folder itself."""


class Tape:
    """The operations so far, the files after them, and the processes by id."""

    def __init__(self, folder: str, start: Snapshot) -> None:
        self.shadow = Shadow(start)
        self.processes: dict[int, Process] = {}
        self.operations: list[Operation] = []
        self.mapped: set[File] = set()
        self.calls: Counter[str] = Counter()
        self._folders = {os.path.abspath(folder), os.path.realpath(folder)}  # noqa: PTH100
        self._start = start

    def recording(self) -> Recording:
        """All that was noted."""
        return Recording(
            self._start.files,
            self._start.folders,
            self._start.numbers,
            tuple(self.operations),
            tuple(sorted({node.path for node in self.mapped})),
            {name: count for name, count in self.calls.items() if count},
        )

    def note(
        self,
        call: Call,
        kind: str,
        node: File,
        path: str = "",
        *,
        target: str = "",
        offset: int = 0,
        data: bytes = b"",
        durable: bool = False,
    ) -> None:
        """An operation on a file; if it is one on its bytes, they are changed."""
        number = node.number
        done = Operation(kind, call.begun, call.pid, number, path, target, offset, data, durable)
        self.operations.append(done)
        if kind in DATA:
            apply_write(node.data, done)

    def refuse(self, call: Call, what: str) -> RecordingError:
        """The error of a call that a recording cannot hold."""
        return RecordingError(message=f"{call.name}: {what}, which a recording cannot hold")

    def opened(self, call: Call, text: str) -> Opened | None:
        """What a descriptor, printed like `7</a/b>`, is; None for a pipe and the like."""
        slot = self.processes[call.pid].table.get(descriptor(text))
        if slot is not None:
            return slot.opened
        if "<" in text and self._inside(path := path_of(text)) is not None:
            raise RecordingError(
                message=f"{path} was opened before the recording began or was handed over by "
                "another process, which is not followed; open it in the process that uses it"
            )
        return None

    def locate(self, call: Call, base: str, text: str) -> Place | None:
        """What a path means that is printed like `AT_FDCWD</a>, "b"`; None if outside.

        Raises UnknownName.
        """
        path = unquoted(text)
        place: Folder | str = self.processes[call.pid].place[0]
        if path.startswith("/"):
            place = "/"
        elif base and not base.startswith("AT_FDCWD"):
            opened = self.opened(call, base)
            if opened is None:
                place = path_of(base)
            else:
                place = opened.node if isinstance(opened.node, Folder) else opened.path
        if isinstance(place, str):
            inside = self._inside(posixpath.join(place, path))
            if inside is None:
                return None
            place, path = self.shadow.root, inside
        try:
            return self.shadow.find(place, path)
        except KeyError:
            return None

    def touches(self, call: Call, base: str, text: str) -> bool:
        """Whether a path, of a call that failed, is in the folder."""
        try:
            return self.locate(call, base, text) is not None
        except UnknownName:
            return True

    def _inside(self, path: str) -> str | None:
        """An absolute path from the store's folder on; None if it is outside."""
        if "//" in path or "/." in path:
            path = posixpath.normpath(path)
        for folder in self._folders:
            if path.startswith(folder) and path[len(folder) : len(folder) + 1] in ("", "/"):
                return path[len(folder) + 1 :]
        return None

    def inside(self, path: str) -> Place | None:
        """What an absolute path means; None if it is outside. Raises UnknownName."""
        inside = self._inside(path)
        return None if inside is None else self.shadow.find(self.shadow.root, inside)

    def is_above(self, path: str) -> bool:
        """Whether the store's folder lies in this one."""
        return any(folder.startswith(f"{path.rstrip('/')}/") for folder in self._folders)


def joined(place: Place) -> str:
    """A place as a path."""
    folder, name = place
    above = folder.path
    return f"{above}/{name}" if above and name else above or name
