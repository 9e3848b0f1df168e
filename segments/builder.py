"""The builder: a child process that builds indexes, so that nothing it does harms this one.

Annoy holds the GIL for seconds while rows are added, and kills its process when memory is
short; FAISS' number of threads is a switch of the whole process. The child is started by the
first build, stays, takes one processor at low priority, and ends, also in the middle of a build,
when its standard input is closed (by `close`, or by the kernel when this process is gone) or when
it finds that its parent is another process. Should it still finish a file after that, nobody
looks for it under the name it was told: see file_maker.

One JSON object a line, requests on standard input, replies on standard output:

    {"columns": path, "field": Field data, "spec": IndexSpec data, "out": path}
    {"ok": true, "params": {...}, "rows": n}
    {"ok": false, "error": "..."}

The field's column is read in place from the columns file, which is mapped. Of a vector field
that may be null only the rows that are not are indexed, in their order: `rows` of them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import IO, Any

from walvec.segments.files import map_column
from walvec.segments.index import IndexSpec, build_index, say_clamped
from walvec.segments.scalar_build import write_scalar_index
from walvec.wal.schema import Field

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MAX_STDERR_CHARS = 400
NICENESS = 10
PARENT_CHECK_S = 1.0

_builders: weakref.WeakSet[Builder] = weakref.WeakSet()


class BuildFailed(Exception):
    """An index could not be built; the message says why. Searches stay exact."""


class Builder:
    """Builds one index at a time in a child of its own. Safe to call from several threads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._guard = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._owner = 0
        self._stderr: IO[bytes] | None = None
        self._closed = False
        _builders.add(self)

    def build(
        self, spec: IndexSpec, field: Field, columns: str | Path, out: str | Path
    ) -> dict[str, Any]:
        """Build an index of a field in a columns file (see files.py), into the file `out`.

        Blocks until it is there and returns the parameters used. Raises BuildFailed if the
        child reports an error, dies (the next build starts another), or `close` was called.
        """
        request = {
            "columns": str(Path(columns).absolute()),
            "field": field.to_data(),
            "spec": spec.to_data(),
            "out": str(Path(out).absolute()),
        }
        with self._turn:
            reply = self._ask(json.dumps(request))
        if not reply["ok"]:
            raise BuildFailed(str(reply["error"]))
        params: dict[str, Any] = reply["params"]
        say_clamped(spec, params, reply["rows"])
        return params

    def _ask(self, request: str) -> dict[str, Any]:
        child = self._started()
        assert child.stdin is not None and child.stdout is not None, "both are pipes"
        line = ""
        # A child that is gone shows as a broken pipe when written to, or as the end when read.
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(request + "\n")
            child.stdin.flush()
            line = child.stdout.readline()
        if not line.endswith("\n"):
            raise BuildFailed(self._obituary(child))
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _started(self) -> subprocess.Popen[str]:
        """The child, started if there is none. After a fork it is the parent's, not ours."""
        with self._guard:
            if self._closed:
                raise BuildFailed("the builder was closed")
            if self._child is None or self._owner != os.getpid():
                self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the child)
                try:
                    self._child = _start(self._stderr)
                except OSError as error:
                    raise BuildFailed(f"no process for building can be started: {error}") from error
                self._owner = os.getpid()
            return self._child

    def _obituary(self, child: subprocess.Popen[str]) -> str:
        """Bury a dead child and say what it died of."""
        child.kill()
        code = child.wait()
        with self._guard:
            self._child = None
            stderr, self._stderr = self._stderr, None
        _hang_up(child)
        said = ""
        if stderr is not None:
            stderr.seek(0)
            said = stderr.read().decode(errors="replace").strip()[-MAX_STDERR_CHARS:]
            stderr.close()
        if self._closed:
            return "the builder was closed during the build"
        cause = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        if code == -signal.SIGKILL:
            cause += ", often for want of memory"
        return f"the building process died ({cause})" + (f": {said}" if said else "")

    def rest(self) -> None:
        """End the child if it has nothing to do; the next build starts another."""
        if self._turn.acquire(blocking=False):
            try:
                if self._child is not None and self._owner == os.getpid():
                    self._obituary(self._child)
            finally:
                self._turn.release()

    def close(self) -> None:
        """End the child, also in the middle of a build, which then fails. No build follows."""
        with self._guard:
            self._closed = True
            child = self._child if self._owner == os.getpid() else None
        if child is None:
            return
        child.kill()
        # A build under way sees its child die and buries it; else that is done here.
        with self._turn:
            if self._child is child:
                self._obituary(child)


def _start(stderr: IO[bytes]) -> subprocess.Popen[str]:
    # The child must find the walvec that this process runs, however it was found, and nothing
    # that lies in the working directory.
    paths = os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p)
    env = {**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": "1", **dict.fromkeys(THREADS, "1")}
    return subprocess.Popen(
        [sys.executable, "-c", f"from walvec.segments.builder import serve; serve({os.getpid()})"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        encoding="utf-8",
        env=env,
        close_fds=True,
        cwd=os.sep,
        # Out of reach of Ctrl-C in the parent's terminal.
        start_new_session=True,
    )


def _hang_up(child: subprocess.Popen[str]) -> None:
    for pipe in (child.stdin, child.stdout):
        # Closing flushes what a dead child did not read.
        with contextlib.suppress(BrokenPipeError):
            if pipe is not None:
                pipe.close()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Carry out one request; every error is a reply."""
    try:
        field = Field.from_data(request["field"])
        column = map_column(Path(request["columns"]), field)
        spec, out = IndexSpec.from_data(request["spec"]), Path(request["out"])
        if spec.is_scalar:
            write_scalar_index(spec.index_type, field, column, out)
            return {"ok": True, "params": spec.params, "rows": len(column)}
        vectors = column.values
        if column.valid is not None and not column.valid.all():
            vectors = vectors[column.valid]
        return {"ok": True, "params": build_index(spec, vectors, out), "rows": len(vectors)}
    except Exception as error:
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}


def serve(parent: int) -> None:
    """The child of process `parent`: answer requests until standard input ends, then be gone at
    once."""
    os.nice(NICENESS)
    # The libraries create files with the usual mode: a draft must not be open to others either.
    os.umask(0o077)
    logging.getLogger("walvec").disabled = True
    # Replies have a descriptor of their own: what a library prints must not come between them.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, parent), daemon=True).start()
    while True:
        replies.write(json.dumps(answer(json.loads(requests.get()))) + "\n")
        replies.flush()


def _read(requests: queue.SimpleQueue[str], parent: int) -> None:
    """Pass requests on. At the end of input nobody waits for an answer: leave mid-build, too."""
    data = b""
    while os.getppid() == parent:
        # A process that the parent forked without Python's knowing keeps the pipe open.
        if not select.select([0], [], [], PARENT_CHECK_S)[0]:
            continue
        piece = os.read(0, 1 << 16)
        if not piece:
            break
        *lines, data = (data + piece).split(b"\n")
        for line in lines:
            requests.put(line.decode())
    os._exit(0)


def _hang_up_after_fork() -> None:
    """A child that lives on must not keep the pipes of a parent that was killed: the builder would
    not see their end. Nothing is flushed into them either."""
    for builder in list(_builders):
        child = builder._child
        for pipe in (child.stdin, child.stdout) if child is not None else ():
            if pipe is not None and not pipe.closed:
                null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
                os.dup2(null, pipe.fileno(), inheritable=False)
                os.close(null)


os.register_at_fork(after_in_child=_hang_up_after_fork)
