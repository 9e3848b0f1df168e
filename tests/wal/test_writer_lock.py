"""The writer lock: one holder, named to those who wait, freed by its death."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from walvec.wal.errors import LockTimeoutException, StoreUnusableException
from walvec.wal.writer_lock import WriterLock

HOLD = """
import sys
from pathlib import Path
from walvec.wal.writer_lock import WriterLock
lock = WriterLock(Path(sys.argv[1]))
lock.acquire(0)
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


def test_a_second_holder_is_refused_and_told_who_has_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with hold(path) as child:
        started = time.monotonic()
        with pytest.raises(LockTimeoutException) as caught:
            WriterLock(path).acquire(0.2)
        assert time.monotonic() - started >= 0.2
        message = caught.value.message
        assert f"process {child.pid} on {socket.gethostname()}, for " in message
        assert "waited 0.2 s" in message
        assert "read_only=True" in message
        child.communicate("done\n")


def test_the_lock_of_a_killed_holder_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with hold(path) as child:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    lock = WriterLock(path)
    lock.acquire(0)
    lock.release()


def test_one_who_waits_gets_the_lock_when_it_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with hold(path) as child:
        assert child.stdin is not None
        child.stdin.write("done\n")
        child.stdin.flush()
        lock = WriterLock(path)
        lock.acquire(30)
        lock.release()


def test_the_lock_may_be_taken_again_after_a_release(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "writer.lock")
    for _ in range(3):
        lock.acquire(0)
        lock.refuse_if_replaced()
        with pytest.raises(LockTimeoutException):
            WriterLock(lock.path).acquire(0)
        lock.release()
        lock.release()


def test_an_unreadable_lock_file_still_gives_a_clear_refusal(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "writer.lock")
    lock.acquire(0)
    for content in (b"", b"{", b"[]", b'{"pid": 1}', b"\xff" * 10_000):
        lock.path.write_bytes(content)
        with pytest.raises(LockTimeoutException, match="another process"):
            WriterLock(lock.path).acquire(0)
    lock.release()


def test_the_lock_file_is_private_and_a_link_is_refused(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "writer.lock")
    lock.acquire(0)
    assert stat.S_IMODE(lock.path.stat().st_mode) == 0o600
    lock.release()
    (tmp_path / "link.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnusableException, match="symbolic links"):
        WriterLock(tmp_path / "link.lock").acquire(0)
    assert not (tmp_path / "elsewhere").exists()


def test_a_forked_child_does_not_keep_the_lock_of_a_parent_that_gave_it_back(
    tmp_path: Path,
) -> None:
    lock = WriterLock(tmp_path / "writer.lock")
    lock.acquire(0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reading, 1)
        os._exit(0)
    try:
        lock.release()
        again = WriterLock(lock.path)
        again.acquire(0)
        again.release()
    finally:
        os.write(writing, b"x")
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def test_a_forked_child_that_gives_the_lock_back_takes_nothing_from_its_parent(
    tmp_path: Path,
) -> None:
    lock = WriterLock(tmp_path / "writer.lock")
    lock.acquire(0)
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(LockTimeoutException):
        WriterLock(lock.path).acquire(0)
    lock.release()


KILLED_PARENT = """
import os, signal, sys, time
from pathlib import Path
from walvec.wal.writer_lock import WriterLock
lock = WriterLock(Path(sys.argv[1]))
lock.acquire(0)
child = os.fork()
if child == 0:
    time.sleep(30)
    os._exit(0)
print(child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_forked_child_does_not_keep_the_lock_of_a_parent_that_was_killed(
    tmp_path: Path,
) -> None:
    lock = WriterLock(tmp_path / "writer.lock")
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED_PARENT, str(lock.path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        assert parent.wait() == -signal.SIGKILL
        lock.acquire(5)
        lock.release()
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()
