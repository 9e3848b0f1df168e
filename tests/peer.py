"""A walvec client in a process of its own, driven over a pipe: one request, one answer.

LMDB refuses to open one environment twice in a process, so a second handle on a store lives in
another process. A peer is a fresh interpreter (no fork), and stays warm: it can open one store
after the other.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
DEADLINE_S = 60.0


class Peer:
    """One such process. Every method that is not its own is called on its client."""

    def __init__(self, folder: Path | None = None, **settings: Any) -> None:
        """Start the process, and open a store in it if one is named."""
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )
        if folder is not None:
            self.open(folder, **settings)

    @property
    def pid(self) -> int:
        return self.process.pid

    def open(self, folder: Path, **settings: Any) -> None:
        """Open a store; `client` in the process is its client."""
        self.ask("open", folder, **settings)

    def do(self, code: str, **names: Any) -> Any:
        """The value of an expression in the process: `client`, `store`, `lab`, `failpoints`, `os`
        and the names given are known there."""
        return self.ask("do", code, names)

    def run(self, code: str, **names: Any) -> None:
        """Execute statements in the process; what they assign stays known there."""
        self.ask("run", code, names)

    def digest(self) -> tuple[int, bytes]:
        """(seq, digest) of the state, after catching up."""
        seq, found = self.do("store().with_state(lambda state: (state.seq, lab.digest(state)))")
        return int(seq), bytes(found)

    def ask(self, kind: str, *arguments: Any, **options: Any) -> Any:
        """Send a request and wait for its answer, which may be an exception that is raised."""
        self.send(kind, *arguments, **options)
        return self.receive()

    def send(self, kind: str, *arguments: Any, **options: Any) -> None:
        """Send a request without waiting for the answer."""
        assert self.process.stdin is not None
        pickle.dump((kind, arguments, options), self.process.stdin)
        self.process.stdin.flush()

    def receive(self, deadline_s: float = DEADLINE_S) -> Any:
        """The answer to the oldest request that was sent."""
        assert self.process.stdout is not None
        assert self.answers(deadline_s), f"process {self.pid} did not answer in {deadline_s} s"
        done, value = pickle.load(self.process.stdout)
        if done:
            return value
        raise value

    def answers(self, within_s: float) -> bool:
        """Whether an answer (or the end of the process) comes within some seconds."""
        assert self.process.stdout is not None
        return bool(select.select([self.process.stdout], [], [], within_s)[0])

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *arguments, **options: self.ask(name, *arguments, **options)

    def wait_until_stopped(self) -> None:
        """Wait until the process stands still by a SIGSTOP, its own or another's."""
        wait_until(lambda: state_of(self.pid) == "T", f"process {self.pid} stands still")

    def stop(self) -> None:
        """SIGSTOP, effective on return."""
        os.kill(self.pid, signal.SIGSTOP)
        self.wait_until_stopped()

    def go_on(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        os.kill(self.pid, signal.SIGKILL)
        self.bury()

    def bury(self) -> int:
        """Wait for the end of the process; its exit code."""
        code = self.process.wait(DEADLINE_S)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue
        return code

    def end(self) -> int:
        """Close the store, end the process; its exit code."""
        assert self.process.stdin is not None
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGCONT)
        self.process.stdin.close()
        try:
            return self.process.wait(DEADLINE_S)
        finally:
            self.process.kill()
            self.bury()


def state_of(pid: int) -> str:
    """One letter, as in ps: R, S, T (stopped), Z. Empty if there is no such process."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return status.rpartition(")")[2].split()[0]


def wait_until(holds: Callable[[], Any], what: str, within_s: float = DEADLINE_S) -> None:
    """Look until something holds; AssertionError if it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.002)


def serve() -> None:
    """The process: answer requests until standard input ends."""
    import lab

    from walvec import MilvusClient
    from walvec.wal import failpoints

    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    known: dict[str, Any] = {"lab": lab, "os": os, "failpoints": failpoints, "client": None}
    known["store"] = lambda: known["client"]._store

    def answer(kind: str, arguments: Any, options: Any) -> Any:
        if kind == "open":
            known["client"] = MilvusClient(*arguments, **options)
            return None
        if kind == "do":
            return eval(arguments[0], {**known, **arguments[1]})
        if kind == "run":
            known.update(arguments[1])
            exec(arguments[0], known)
            return None
        return getattr(known["client"], kind)(*arguments, **options)

    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            break
        try:
            reply = pickle.dumps((True, answer(*request)))
        except Exception as error:
            reply = pickle.dumps((False, error))
        answers.write(reply)
        answers.flush()
    if known["client"] is not None:
        known["client"].close()


if __name__ == "__main__":
    serve()
