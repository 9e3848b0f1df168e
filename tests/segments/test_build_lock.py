"""The build lock: one holder, gone with its process, on the folder that is there now."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from walvec.segments.build_lock import BuildLock, is_being_made

HOLDER = """
import sys
from pathlib import Path
from walvec.segments.build_lock import BuildLock
lock = BuildLock.take(Path(sys.argv[1]))
print("taken" if lock is not None else "refused", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "5").mkdir()
    return tmp_path / "5"


def take(folder: Path) -> BuildLock:
    lock = BuildLock.take(folder)
    assert lock is not None
    return lock


def test_one_has_it_until_it_is_given_back(folder: Path) -> None:
    with take(folder):
        assert BuildLock.take(folder) is None
        assert is_being_made(folder)
    assert not is_being_made(folder)
    take(folder).release()
    assert list(folder.iterdir()) == [], "a lock leaves nothing behind"


def test_a_folder_that_is_not_there_has_no_lock(folder: Path) -> None:
    assert BuildLock.take(folder / "absent") is None
    assert not is_being_made(folder / "absent")


def test_a_lock_on_a_folder_that_was_removed_is_none_on_its_successor(folder: Path) -> None:
    with take(folder):
        folder.rmdir()
        folder.mkdir()
        with take(folder):
            assert is_being_made(folder)


def test_it_is_free_when_its_holder_was_killed(folder: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as holder:  # type: ignore[call-overload]
        assert holder.stdout.readline() == "taken\n"
        assert BuildLock.take(folder) is None
        holder.kill()
    take(folder).release()


def test_a_forked_child_neither_keeps_nor_drops_it(folder: Path) -> None:
    lock = take(folder)
    done, end = os.pipe()
    pid = os.fork()
    if not pid:
        lock.release()
        os.close(end)
        os.read(done, 1)
        os._exit(0)
    os.close(done)
    assert BuildLock.take(folder) is None, "the child has dropped its parent's lock"
    lock.release()
    take(folder).release()
    os.close(end)
    os.waitpid(pid, 0)
