"""Small stores of the tests' own, with failpoints of their own: one that keeps its promises, and
some that break one each."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from walvec.crashlab.adapter import Adapter, Op
from walvec.wal import failpoints

POINTS = ("notes.open", "notes.before-write", "notes.before-sync", "notes.after-sync")
failpoints.register(*POINTS)


class MustReopen(Exception):
    """A handle of Notes that failed."""


class Handle:
    """An open file of notes: what is in it, as this handle has it."""

    def __init__(self, folder: Path) -> None:
        failpoints.hit("notes.open")
        self.file = os.open(folder / "notes", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        content = os.pread(self.file, 1 << 20, 0)
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self.file, whole)
        os.fsync(self.file)
        self.notes: list[str] = [json.loads(line) for line in content[:whole].splitlines()]
        self.broken = False


class Notes(Adapter):
    """A line of JSON per operation, synced. A handle whose write failed says so from then on."""

    name = "notes"
    commands = ("note", "long")
    failpoints = POINTS
    reopen_errors = (MustReopen,)

    def open(self, folder: Path) -> Handle:
        return Handle(folder)

    def apply(self, handle: Handle, op: Op) -> None:
        self._refuse_broken(handle)
        try:
            self._write(handle, text_of(op))
        except BaseException:
            handle.broken = True
            raise

    def _write(self, handle: Handle, text: str) -> None:
        failpoints.hit("notes.before-write")
        os.write(handle.file, json.dumps(text).encode() + b"\n")
        failpoints.hit("notes.before-sync")
        os.fsync(handle.file)
        handle.notes.append(text)
        failpoints.hit("notes.after-sync")

    def state(self, handle: Handle) -> Any:
        self._refuse_broken(handle)
        return list(handle.notes)

    def close(self, handle: Handle) -> None:
        os.close(handle.file)

    def model(self, ops: Sequence[Op]) -> Any:
        return [text_of(op) for op in ops]

    @staticmethod
    def _refuse_broken(handle: Handle) -> None:
        if handle.broken:
            raise MustReopen("a write failed: open the notes again")


def text_of(op: Op) -> str:
    """What an operation writes."""
    return f"{op.name} {op.number}" * (50 if op.name == "long" else 1)


class Forgetful(Notes):
    """Acknowledges first, and writes with the next operation: loses the last one to a kill."""

    def apply(self, handle: Handle, op: Op) -> None:
        waiting = handle.notes[self._written(handle) :]
        for text in waiting:
            failpoints.hit("notes.before-write")
            os.write(handle.file, json.dumps(text).encode() + b"\n")
        handle.notes.append(text_of(op))

    def close(self, handle: Handle) -> None:
        for text in handle.notes[self._written(handle) :]:
            failpoints.hit("notes.before-write")
            os.write(handle.file, json.dumps(text).encode() + b"\n")
        os.close(handle.file)

    @staticmethod
    def _written(handle: Handle) -> int:
        return os.pread(handle.file, 1 << 20, 0).count(b"\n")


class Halving(Notes):
    """Writes a note in two calls, and takes the half of one for a whole note."""

    def _write(self, handle: Handle, text: str) -> None:
        line = json.dumps(text).encode() + b"\n"
        os.write(handle.file, line[: len(line) // 2] + b'"\n')
        os.ftruncate(handle.file, os.fstat(handle.file).st_size - 2)
        os.write(handle.file, line[len(line) // 2 :])
        os.fsync(handle.file)
        handle.notes.append(text)


class Blind(Notes):
    """Goes on after an error as if nothing had been written, which may have been."""

    def apply(self, handle: Handle, op: Op) -> None:
        self._write(handle, text_of(op))


class Wrecked(Notes):
    """Its handle fails in words of nobody's after an error, and cannot be closed."""

    def state(self, handle: Handle) -> Any:
        if handle.broken:
            raise RuntimeError("no idea")
        return super().state(handle)

    def close(self, handle: Handle) -> None:
        if handle.broken:
            raise OSError("it cannot be closed")
        super().close(handle)


class BadRecovery(Notes):
    """Mends in place: what it cannot read while it recovers is lost to a second crash."""

    def settle(self, handle: Handle) -> None:
        os.ftruncate(handle.file, 0)
        for text in handle.notes:
            os.write(handle.file, json.dumps(text).encode() + b"\n")
        os.fsync(handle.file)


class Failing(Notes):
    """Its second operation fails by itself."""

    def apply(self, handle: Handle, op: Op) -> None:
        if op.number == 2:
            raise KeyError("by itself")
        super().apply(handle, op)


class Dying(Notes):
    """Its second operation is the end of the process."""

    def apply(self, handle: Handle, op: Op) -> None:
        if op.number == 2:
            os.kill(os.getpid(), signal.SIGUSR1)
        super().apply(handle, op)


class Threaded(Notes):
    """Writes in a thread of its own; the caller waits for it."""

    def _write(self, handle: Handle, text: str) -> None:
        thread = threading.Thread(target=super()._write, args=(handle, text))
        thread.start()
        thread.join()


class Lying(Notes):
    """Acknowledges what it could not write."""

    def apply(self, handle: Handle, op: Op) -> None:
        try:
            self._write(handle, text_of(op))
        except OSError:
            handle.notes.append(text_of(op))


class InTheWay(Notes):
    """An opening that fails is in the way of the next one in the same process."""

    _opened = False

    def open(self, folder: Path) -> Handle:
        if self._opened:
            raise RuntimeError("open already")
        self._opened = True
        handle = super().open(folder)
        self._opened = False
        return handle


class Hanging(Notes):
    """Its second operation never ends."""

    def apply(self, handle: Handle, op: Op) -> None:
        while op.number == 2:
            signal.pause()
        super().apply(handle, op)
