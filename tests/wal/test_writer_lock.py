"""The writer lock: one holder, named to those who wait, freed by its death."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from walvec.wal.errors import (
    LockTimeoutException,
    StoreClosedException,
    StoreUnusableException,
)
from walvec.wal.writer_lock import WriterLock

HOLD = """
import sys
from pathlib import Path
from walvec.wal.writer_lock import WriterLock
with WriterLock(Path(sys.argv[1]), 0).held():
    print("held", flush=True)
    sys.stdin.readline()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """A process that holds the lock."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def take(path: Path, timeout_s: float = 0) -> None:
    """Take the lock as another handle would, and give it back."""
    lock = WriterLock(path, timeout_s)
    try:
        with lock.held():
            pass
    finally:
        lock.close()


def test_a_second_holder_is_refused_and_told_who_has_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with hold(path) as child:
        started = time.monotonic()
        with pytest.raises(LockTimeoutException) as caught:
            take(path, 0.2)
        assert time.monotonic() - started >= 0.2
        message = caught.value.message
        assert f"process {child.pid} on {socket.gethostname()}, for " in message
        assert "waited 0.2 s" in message
        assert "nothing was done" in message
        child.communicate("done\n")


def test_the_lock_of_a_killed_holder_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with hold(path) as child:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    take(path)


def test_one_who_waits_gets_the_lock_when_it_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with hold(path) as child:
        assert child.stdin is not None
        child.stdin.write("done\n")
        child.stdin.flush()
        take(path, 30)


def test_the_lock_may_be_taken_again_after_a_release(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "writer.lock", 0)
    for _ in range(3):
        with lock.held(), pytest.raises(LockTimeoutException):
            take(lock.path)
    lock.close()
    with pytest.raises(StoreClosedException), lock.held():
        pass


def test_threads_of_one_process_take_turns(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "writer.lock", 30)
    inside: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            with lock.held():
                inside.append(number)
                assert len(inside) == 1
                inside.pop()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    with lock.held(), ThreadPoolExecutor(1) as threads:
        late = threads.submit(lambda: lock.held(time.monotonic() + 0.01).__enter__())
        assert isinstance(late.exception(30), LockTimeoutException)
    lock.close()


def test_a_wait_ends_at_the_callers_own_deadline_too(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with WriterLock(path, 0).held():
        started = time.monotonic()
        with (
            pytest.raises(LockTimeoutException),
            WriterLock(path, 60).held(time.monotonic() + 0.1),
        ):
            pass
        assert 0.1 <= time.monotonic() - started < 30


def test_an_unreadable_lock_file_still_gives_a_clear_refusal(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with WriterLock(path, 0).held():
        for content in (b"", b"{", b"[]", b'{"pid": 1}', b"\xff" * 10_000):
            path.write_bytes(content)
            with pytest.raises(LockTimeoutException, match="another process"):
                take(path)


def test_the_lock_file_is_private_and_a_link_is_refused(tmp_path: Path) -> None:
    take(tmp_path / "writer.lock")
    assert stat.S_IMODE((tmp_path / "writer.lock").stat().st_mode) == 0o600
    (tmp_path / "link.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnusableException, match="symbolic links"):
        take(tmp_path / "link.lock")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_lock_file_that_was_deleted_or_replaced_is_taken_at_its_place(
    tmp_path: Path, replaced: bool
) -> None:
    lock = WriterLock(tmp_path / "writer.lock", 0)
    with lock.held():
        pass
    lock.path.unlink()
    if replaced:
        lock.path.touch(mode=0o600)
    with lock.held(), pytest.raises(LockTimeoutException, match=f"process {os.getpid()} on"):
        take(lock.path)


def test_a_forked_child_does_not_keep_the_lock_of_a_parent_that_gave_it_back(
    tmp_path: Path,
) -> None:
    lock = WriterLock(tmp_path / "writer.lock", 0)
    reading, writing = os.pipe()
    with lock.held():
        child = os.fork()
        if child == 0:
            os.read(reading, 1)
            os._exit(0)
    try:
        take(lock.path)
    finally:
        os.write(writing, b"x")
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def test_a_forked_child_takes_nothing_from_its_parent(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "writer.lock", 0)
    with lock.held():
        child = os.fork()
        if child == 0:
            refused = False
            try:
                with lock.held():
                    pass
            except LockTimeoutException:
                refused = True
            lock.close()
            os._exit(0 if refused else 1)
        assert os.waitpid(child, 0)[1] == 0
        with pytest.raises(LockTimeoutException):
            take(lock.path)


KILLED_PARENT = """
import os, signal, sys
from pathlib import Path
from walvec.wal.writer_lock import WriterLock
with WriterLock(Path(sys.argv[1]), 0).held():
    child = os.fork()
    if child == 0:
        signal.pause()
    print(child, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_forked_child_does_not_keep_the_lock_of_a_parent_that_was_killed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "writer.lock"
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED_PARENT, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        assert parent.wait() == -signal.SIGKILL
        take(path, 5)
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()
