"""The trace: what strace wrote, line by line, turned into a recording.

A call of one thread may be cut in two lines by those of others:

    2269  write(5</a/b>, "\\x61", 1 <unfinished ...>
    2270  fdatasync(6</a/c>)                = 0
    2269  <... write resumed>)              = 1

It counts where it returns. What had returned when it was called is what it came after; with all
else it was under way at once. Of two such calls the one seen to return first may have needed the
other (opened a file which that one was just renaming): it then waits for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from walvec.crashlab.calls import CALLS, CHANGING, CLONES, Call
from walvec.crashlab.descriptors import Process
from walvec.crashlab.effects import apply
from walvec.crashlab.operation import Recording
from walvec.crashlab.shadow import RecordingError, Snapshot, UnknownName
from walvec.crashlab.tape import Tape

LINE = re.compile(
    r"(\d+) +(?:(\w+)\(|<\.\.\. (\w+) resumed>|\+\+\+ (\w+)(?: by execve in pid (\d+))?)"
)
UNFINISHED = "<unfinished ...>"


def read_trace(text: str, folder: str, start: Snapshot) -> Recording:
    """The recording of a trace: what it says was done to `folder`, with `start` in it before.

    Raises RecordingError where something was done that a recording cannot hold.
    """
    return Trace(folder, start).read(text)


@dataclass
class _Begun:
    """A call that has not returned. `child` is what a new process has of its parent, until it is
    known which process that is."""

    name: str
    text: str
    begun: int
    child: Process | None


class _Waiting(NamedTuple):
    """What a thread has done since a call that nothing explains yet."""

    calls: list[Call]
    unknown: UnknownName


class Trace:
    """One trace while it is read."""

    def __init__(self, folder: str, start: Snapshot) -> None:
        self._tape = Tape(folder, start)
        self._begun: dict[int, _Begun] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._unknown: set[str] = set()

    @property
    def is_certain(self) -> bool:
        """Whether no process died in a call that changes files, which may or may not have."""
        return not self._unknown & CHANGING

    def read(self, text: str) -> Recording:
        """The recording of all lines."""
        lines = text.split("\n")
        match = LINE.match
        for at, line in enumerate(lines):
            found = match(line)
            if found is None:
                continue
            name = found[2] or found[3]
            if name is None:
                self._end(int(found[1]), found[4], found[5])
            elif name in CALLS:
                pid = int(found[1])
                if pid not in self._tape.processes:
                    self._adopt(pid, lines, at)
                self._line(pid, name, line[found.end() :], resumed=found[2] is None)
        for waiting in self._waiting.values():
            raise _inconsistent(waiting.unknown)
        self._unknown.update(call.name for call in self._begun.values())
        return self._tape.recording()

    def _line(self, pid: int, name: str, rest: str, *, resumed: bool) -> None:
        """A call, or the first or the second half of one."""
        begun = len(self._tape.operations)
        child = self._forked(pid, rest) if name in CLONES and not resumed else None
        if resumed:
            first = self._begun.pop(pid, None)
            if first is None:
                return
            rest, begun, child = first.text + rest, first.begun, first.child
        elif rest.endswith(UNFINISHED):
            text = rest[: -len(UNFINISHED)].rstrip(" ")
            self._begun[pid] = _Begun(name, text, begun, child)
            return
        call = Call.of(pid, name, rest, begun)
        if call is None:
            if "ERESTART" not in rest[-80:]:  # That one was not done, and is called once more.
                self._unknown.add(name)
        elif name not in CLONES:
            self._finish(call)
        elif call.result > 0 and child is not None:
            self._tape.processes[call.result] = child

    def _forked(self, pid: int, args: str) -> Process:
        """What a new child of a process has."""
        flags = re.search(r"flags=([A-Z_|]+)", args)
        return self._tape.processes[pid].forked(flags[1] if flags else "")

    def _finish(self, call: Call) -> None:
        """A call has returned; so may have others that needed it."""
        if call.pid in self._waiting:
            self._waiting[call.pid].calls.append(call)
            return
        try:
            apply(self._tape, call)
        except UnknownName as unknown:
            if not self._begun and not self._waiting:
                raise _inconsistent(unknown) from None
            self._waiting[call.pid] = _Waiting([call], unknown)
            return
        for pid in list(self._waiting):
            self._try_again(pid)

    def _try_again(self, pid: int) -> None:
        """Carry out the calls of a thread that wait, as far as they can be."""
        waiting = self._waiting.pop(pid)
        while waiting.calls:
            try:
                apply(self._tape, waiting.calls[0])
            except UnknownName as unknown:
                self._waiting[pid] = _Waiting(waiting.calls, unknown)
                return
            del waiting.calls[0]

    def _adopt(self, pid: int, lines: list[str], at: int) -> None:
        """Find the parent of a process that is seen before the call that makes it returns."""
        if not self._tape.processes:
            self._tape.processes[pid] = Process({}, ["/"], [])
            return
        parents = [p for p, call in self._begun.items() if call.child is not None]
        if len(parents) > 1:
            later = {
                int(line.split(" ", 1)[0])
                for line in lines[at:]
                if line.endswith(f" = {pid}") and "resumed>" in line
            }
            parents = [p for p in parents if p in later] or parents[:1]
        if not parents:
            raise RecordingError(message=f"process {pid} was begun by none that is recorded")
        parent = self._begun[parents[0]]
        assert parent.child is not None
        self._tape.processes[pid] = parent.child
        parent.child = None

    def _end(self, pid: int, how: str, successor: str | None) -> None:
        """A thread has ended, perhaps as another one of its process runs a new program."""
        if how == "superseded" and successor is not None:
            other = int(successor)
            if other in self._begun:
                self._begun[pid] = self._begun.pop(other)
            self._tape.processes[pid] = self._tape.processes.pop(other)
        else:
            self._tape.processes.pop(pid, None)


def _inconsistent(unknown: UnknownName) -> RecordingError:
    return RecordingError(
        message=f"{unknown} was there, and nothing that is recorded made it: something else "
        "changes the folder; record in a folder of its own"
    )
