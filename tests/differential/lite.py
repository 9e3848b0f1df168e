"""milvus-lite in a process of its own: it runs cases by their names, over a pipe.

Its server is threads of the process that asks for it, and so is gRPC; neither survives a fork,
and other tests fork. The process ends with the pipe, whatever happens to its parent.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import pickle
import select
import subprocess
import sys
from pathlib import Path

from differential.case import Side
from differential.cases import CASES
from differential.outcome import Outcome

TESTS = Path(__file__).parents[1]
DEADLINE_S = 60.0


def absent() -> str:
    """Why milvus-lite cannot be run here; empty if it can."""
    lacking = [n for n in ("pymilvus", "milvus_lite") if importlib.util.find_spec(n) is None]
    return f"{' and '.join(lacking)} not installed" if lacking else ""


class Lite:
    """The process; started by the first case, and anew after one that did not come back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def send(self, id: str) -> None:
        """Have a case run."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "differential.lite", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(TESTS)},
            )
        assert self._process.stdin is not None
        pickle.dump(id, self._process.stdin)
        self._process.stdin.flush()

    def receive(self) -> Outcome:
        """What the case came to."""
        assert self._process is not None and self._process.stdout is not None
        try:
            if not select.select([self._process.stdout], [], [], DEADLINE_S)[0]:
                raise TimeoutError(f"milvus-lite did not come back within {DEADLINE_S} s")
            outcome: Outcome = pickle.load(self._process.stdout)
        except BaseException:
            self.kill()
            raise
        return outcome

    def close(self) -> int:
        """Have the server stopped and the process ended; its exit code."""
        if self._process is None:
            return 0
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(DEADLINE_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process at once."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def serve(folder: str) -> None:
    """The process: run cases until standard input ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)  # pymilvus logs a traceback for every refusal
    import pymilvus
    from milvus_lite import server_manager_instance as servers

    side = Side(pymilvus, str(Path(folder) / "lite.db"))
    while True:
        try:
            id = pickle.load(requests)
        except EOFError:
            break
        answers.write(pickle.dumps(side.run(CASES[id])))
        answers.flush()
    side.close()
    servers.release_all()


if __name__ == "__main__":
    serve(sys.argv[1])
