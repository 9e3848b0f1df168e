"""Failpoints: armed in a block or from the environment, fired once, at the arrival asked for."""

from __future__ import annotations

import errno
import signal

import pytest
from lab import run_child

from walvec.wal import failpoints


def test_an_unarmed_point_does_nothing() -> None:
    for name in failpoints.POINTS:
        failpoints.hit(name)


def test_an_armed_point_fires_once_at_its_arrival() -> None:
    with failpoints.arm("commit.before", at=3):
        failpoints.hit("commit.before")
        failpoints.hit("commit.after")
        failpoints.hit("commit.before")
        with pytest.raises(OSError, match=r"failpoint commit\.before") as caught:
            failpoints.hit("commit.before")
        assert caught.value.errno == errno.EIO
        failpoints.hit("commit.before")


def test_a_point_that_did_not_fire_fails_the_block_and_is_disarmed() -> None:
    with pytest.raises(AssertionError, match="did not fire"), failpoints.arm("commit.before"):
        failpoints.hit("commit.after")
    failpoints.hit("commit.before")


def test_an_unknown_point_or_action_is_refused() -> None:
    for text in ("nowhere=kill", "commit.before=explode", "commit.before=kill@0", "commit.before"):
        with pytest.raises(ValueError, match="no failpoint"):
            failpoints.arm_from(text)
    with pytest.raises(ValueError, match=r"commit\.after"):
        failpoints.arm("nowhere").__enter__()


def test_the_environment_arms_a_child_which_is_killed_at_its_arrival() -> None:
    code = """
from walvec.wal import failpoints
for number in range(1, 10):
    print(number, flush=True)
    failpoints.hit("commit.before")
"""
    armed = "commit.after=error;commit.before=kill@4"
    done = run_child(code, check=False, WALVEC_FAILPOINTS=armed)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["1", "2", "3", "4"]


def test_a_wrong_environment_is_refused_at_import() -> None:
    done = run_child("import walvec.wal.failpoints", check=False, WALVEC_FAILPOINTS="x=kill")
    assert done.returncode == 1
    assert "no failpoint x=kill@1" in done.stderr
