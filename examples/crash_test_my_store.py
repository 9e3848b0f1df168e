"""Does a store of your own keep its promises? Tried with `pytest`, or run as a program.

A list of notes in one file. Written as most of us would, it loses what it has acknowledged when
the power goes. What it takes to keep it is marked below: three lines.

    pytest examples/crash_test_my_store.py --runxfail
    walvec crashlab run --adapter examples/crash_test_my_store.py:Notes --report crash.html
"""

import json
import os

import pytest

from walvec.crashlab.adapter import Adapter, Op


class Notes(Adapter):
    """One line a note, appended. Returns when the kernel has it, which is not the disk."""

    commands = ("add", "clear")

    def open(self, folder):
        handle = os.open(folder / "notes", os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self.prepare(handle, folder)
        return handle

    def apply(self, handle, op: Op):
        line = ["clear"] if op.name == "clear" else ["add", f"note {op.number}"]
        os.write(handle, json.dumps(line).encode() + b"\n")
        self.keep(handle)

    def state(self, handle):
        notes = []
        for line in os.pread(handle, 1 << 20, 0).splitlines():
            kind, *note = json.loads(line)
            notes = [] if kind == "clear" else notes + note
        return notes

    def close(self, handle):
        os.close(handle)

    def prepare(self, handle, folder):
        """Nothing."""

    def keep(self, handle):
        """Nothing."""


class KeptNotes(Notes):
    """The same, mended."""

    def prepare(self, handle, folder):
        # 1. A line that was torn was never acknowledged: it goes, or the next one is glued to it.
        whole = os.pread(handle, 1 << 20, 0).rpartition(b"\n")
        os.ftruncate(handle, len(whole[0] + whole[1]))
        # 2. A file whose name is lost is lost.
        parent = os.open(folder, os.O_RDONLY)
        os.fsync(parent)
        os.close(parent)

    def keep(self, handle):
        # 3. Acknowledged is what is on the disk.
        os.fsync(handle)


# `pytest --runxfail` lets this test fail: it prints what was lost, and the line that repeats it.
@pytest.mark.xfail(reason="it loses notes when the power goes", strict=True)
@pytest.mark.crash(budget="1s")
def test_notes_are_kept(crashlab):
    crashlab.run(Notes())


@pytest.mark.crash(budget="1s")
def test_kept_notes_are_kept(crashlab):
    crashlab.run(KeptNotes())


if __name__ == "__main__":
    raise SystemExit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
