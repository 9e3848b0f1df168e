"""The recorder: runs something in a traced child and turns the trace into a recording.

strace follows the child and all that it starts. It needs no root: the child allows to be traced.
At the end what was recorded is compared with what is in the folder: a recording is right, or an
error says where it is not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType

from walvec.crashlab.calls import CALLS, RAW
from walvec.crashlab.disk import KILL, Disk
from walvec.crashlab.operation import Recording
from walvec.crashlab.shadow import RecordingError, Snapshot, snapshot
from walvec.crashlab.stage import Marks, Told, fork_child
from walvec.crashlab.trace import Trace
from walvec.crashlab.tracing import TracingUnavailable, allow_tracing, attach, strace_is_missing

TIMEOUT_S = 60.0
MAX_PRINTED = 1 << 26
"""Bytes of one call that are printed: a longer write is an error."""


def replayed(recording: Recording) -> dict[str, bytes]:
    """The files that all operations of a recording make, by path."""
    return _replayed(recording)[0]


def _replayed(recording: Recording) -> tuple[dict[str, bytes], list[str]]:
    disk = Disk.before(recording, KILL)
    for done in recording.operations:
        disk.advance(done)
    files, folders = disk.tree(())
    return {path: bytes(disk.contents.get(file, b"")) for path, file in files.items()}, folders


class Recorder:
    """Records what child processes do to a folder.

    Raises TracingUnavailable where that is not possible: strace is missing, or may not trace, or
    the system is not Linux.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        """`timeout_s`: a run that takes longer is killed, with an error."""
        if missing := strace_is_missing():
            raise TracingUnavailable(missing)
        self.last_trace = ""
        """The text of the last trace, also where the recording of it failed."""
        self._timeout_s = timeout_s
        self._output = os.fdopen(os.memfd_create("walvec-trace"), "rb", buffering=0)
        output = f"/proc/{os.getpid()}/fd/{self._output.fileno()}"
        # A "?" in front: not every machine has every call.
        calls = ",".join(f"?{name}" for name in sorted(CALLS))
        self._options = ["-y", "-xx", "-s", str(MAX_PRINTED), "-o", output]
        for option in (f"trace={calls}", f"raw={','.join(sorted(RAW))}", "signal=none"):
            self._options += ["-e", option]

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the memory that traces are written to."""
        self._output.close()

    def record(self, run: Callable[[Marks], None], folder: Path) -> tuple[Recording, Told, int]:
        """Run something in a forked child; record what it and all that it starts do to `folder`.

        Returns also what it said, and its exit code, or minus the signal it died of: when every
        process that it started has ended. What is in the folder before is the recording's start.
        A run that takes too long is killed, which is its error; what it did till then is there.
        """
        start = snapshot(folder)
        told, code = self._run(run)
        trace = Trace(str(folder), start)
        recording = trace.read(self.last_trace)
        if trace.is_certain:
            _compare(recording, snapshot(folder))
        error = told.error
        if code and not error:
            error = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return recording._replace(error=error), told, code

    def _run(self, run: Callable[[Marks], None]) -> tuple[Told, int]:
        """Run it under strace; the trace is then in `last_trace`."""
        self.last_trace = ""
        ours, theirs = socket.socketpair()
        child = fork_child(partial(_wait_and_run, run, ours, theirs))
        theirs.close()
        overdue = threading.Event()
        timer = threading.Timer(self._timeout_s, _end_overdue, [child.pid, overdue])
        timer.daemon = True
        tracer: subprocess.Popen[bytes] | None = None
        try:
            with ours:
                ours.recv(1)
                tracer = attach(child.pid, self._options)
                timer.start()
                ours.send(b"g")
                told, code = child.bury()
            tracer.wait(self._timeout_s)
        except BaseException as error:
            timer.cancel()
            _kill_group(child.pid)
            if tracer is not None:
                tracer.kill()
                tracer.wait()
            with contextlib.suppress(OSError):  # It may be buried.
                child.bury()
            if isinstance(error, subprocess.TimeoutExpired):
                raise RecordingError(message=self._overdue()) from None
            raise
        timer.cancel()
        self._output.seek(0)
        self.last_trace = self._output.read().decode("latin-1")
        if overdue.is_set():
            told = told._replace(error=self._overdue())
        return told, code

    def _overdue(self) -> str:
        return f"the run did not end within {self._timeout_s:g} s and was killed"


def _wait_and_run(
    run: Callable[[Marks], None], ours: socket.socket, theirs: socket.socket, marks: Marks
) -> None:
    """In the child: run it once it is traced."""
    ours.close()
    os.setpgid(0, 0)  # With all that it starts, so that all of it can be ended.
    allow_tracing()
    theirs.send(b"r")
    go = theirs.recv(1)
    theirs.close()
    if go:
        with contextlib.suppress(FileNotFoundError):
            os.chdir(Path.cwd())  # So that the trace says where relative paths begin.
        run(marks)


def _kill_group(pid: int) -> None:
    """SIGKILL to a child and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _end_overdue(pid: int, overdue: threading.Event) -> None:
    overdue.set()
    _kill_group(pid)


def _compare(recording: Recording, found: Snapshot) -> None:
    """Raises RecordingError if the operations do not make what is in the folder."""
    made, folders = _replayed(recording)
    wrong = [
        path
        for path in made.keys() | found.files.keys()
        if made.get(path) != found.files.get(path) and path not in recording.mapped
    ]
    wrong += set(folders) ^ set(found.folders)
    if wrong:
        raise RecordingError(
            message=f"the recording does not make what is in the folder: {min(wrong)} differs; was "
            "it changed by a process that is not recorded, by two threads in one moment, or "
            "through a map that was made for reading? Record once more, in a new folder"
        )
