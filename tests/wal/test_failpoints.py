"""Failpoints: armed in a block or from the environment, fired once, at the arrival asked for."""

from __future__ import annotations

import errno
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

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


def test_an_error_of_the_block_is_not_hidden_by_a_point_that_did_not_fire() -> None:
    with pytest.raises(KeyError, match="of the block"), failpoints.arm("commit.before"):
        raise KeyError("of the block")


def test_an_unknown_point_or_action_is_refused() -> None:
    for text in (
        "nowhere=kill",
        "commit.before=explode",
        "commit.before=kill@0",
        "commit.before",
        "commit.after=kill@x",
    ):
        with pytest.raises(ValueError, match="no failpoint"):
            failpoints.arm_from(text)
    with pytest.raises(ValueError, match=r"commit\.after"):
        failpoints.arm("nowhere").__enter__()
    with pytest.raises(ValueError, match="no failpoint elsewhere, nowhere;"):
        failpoints.arm_any(["nowhere", "commit.after", "elsewhere"]).__enter__()
    assert not failpoints._armed


def test_points_of_ones_own_are_armed_like_the_others_once_registered() -> None:
    failpoints.register("test.mine", "test.other")
    failpoints.register("test.mine")
    assert {"test.mine", "test.other"} | failpoints.POINTS <= failpoints.registered()
    with failpoints.arm("test.mine"), pytest.raises(OSError, match=r"test\.mine"):
        failpoints.hit("test.mine")
    for name in ("", "a=b", "a b", "a;b", "a/b"):
        with pytest.raises(ValueError, match="cannot name a failpoint"):
            failpoints.register(name)


def test_an_arrival_at_a_point_that_nobody_registered_is_an_error_while_any_is_armed() -> None:
    failpoints.hit("test.never-registered")
    with failpoints.recorded(), pytest.raises(ValueError, match="nobody has registered"):
        failpoints.hit("test.never-registered")


def test_a_countdown_over_all_points_fires_at_the_arrival_and_says_where() -> None:
    passed = ["commit.begin", "commit.before", "commit.after", "commit.begin"]

    def workload() -> None:
        for name in passed:
            failpoints.hit(name)

    fired = []
    for at in range(1, 10):
        with failpoints.arm_any(at=at) as countdown:
            if at <= len(passed):
                with pytest.raises(OSError, match="failpoint"):
                    workload()
            else:
                workload()
        assert countdown.arrivals == passed[:at]
        fired.append(countdown.fired)
    assert fired == [*passed, "", "", "", "", ""]
    workload()


def test_a_countdown_over_some_points_counts_these_alone() -> None:
    with failpoints.arm_any({"commit.before", "commit.after"}, at=2) as countdown:
        failpoints.hit("commit.before")
        failpoints.hit("commit.begin")
        with pytest.raises(OSError, match=r"commit\.after"):
            failpoints.hit("commit.after")
        failpoints.hit("commit.before")
    assert countdown.fired == "commit.after"
    assert countdown.arrivals == ["commit.before", "commit.after"]


def test_an_action_of_ones_own_is_given_the_name() -> None:
    seen: list[str] = []
    with failpoints.arm_any(action=seen.append, at=2):
        for _ in range(3):
            failpoints.hit("publish.after")
    assert seen == ["publish.after"]


def test_arrivals_are_recorded_in_order() -> None:
    with failpoints.recorded() as arrivals:
        for name in ("commit.begin", "commit.before", "commit.begin"):
            failpoints.hit(name)
    failpoints.hit("commit.after")
    assert arrivals == ["commit.begin", "commit.before", "commit.begin"]
    with failpoints.recorded(["commit.begin"]) as arrivals:
        failpoints.hit("commit.begin")
        failpoints.hit("commit.before")
    assert arrivals == ["commit.begin"]


def test_of_many_threads_that_arrive_one_fires() -> None:
    threads, each = 4, 500
    start = threading.Barrier(threads)
    seen: list[str] = []

    def arrive() -> None:
        start.wait()
        for _ in range(each):
            failpoints.hit("commit.before")

    with (
        failpoints.arm_any(action=seen.append, at=threads * each // 2),
        ThreadPoolExecutor(threads) as pool,
    ):
        for done in [pool.submit(arrive) for _ in range(threads)]:
            done.result()
    assert seen == ["commit.before"]


def test_a_point_armed_anew_within_a_block_is_left_alone_at_its_end() -> None:
    with failpoints.arm_any(["commit.before"]):
        inner = failpoints.arm("commit.before")
        inner.__enter__()
    with pytest.raises(OSError, match=r"commit\.before"):
        failpoints.hit("commit.before")
    inner.__exit__(None, None, None)


CHILD = """
from walvec.wal import failpoints
for number in range(1, 10):
    print(number, flush=True)
    failpoints.hit("commit.before")
"""


def test_the_environment_arms_a_child_which_is_killed_at_its_arrival() -> None:
    armed = "commit.after=error;commit.before=kill@4"
    done = run_child(CHILD, check=False, WALVEC_FAILPOINTS=armed)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["1", "2", "3", "4"]


def test_a_point_of_the_environment_that_never_fires_is_said_at_the_end() -> None:
    done = run_child(CHILD, WALVEC_FAILPOINTS="commit.before=kill@40;publish.after=error")
    assert done.stdout.split()[-1] == "9"
    assert done.stderr.splitlines() == [
        f"walvec: the failpoint {text} never fired: the code did not get there"
        for text in ("commit.before=kill@40", "publish.after=error")
    ]


def test_what_has_fired_is_not_said_and_what_has_not_can_be_asked_for() -> None:
    code = """
from walvec.wal import failpoints
print(failpoints.unfired())
try:
    failpoints.hit("commit.before")
except OSError:
    print(failpoints.unfired())
"""
    done = run_child(code, WALVEC_FAILPOINTS="commit.before=error;commit.after=error@2")
    assert done.stdout.splitlines() == [
        "['commit.before=error', 'commit.after=error@2']",
        "['commit.after=error@2']",
    ]
    assert "commit.before" not in done.stderr
    assert "commit.after=error@2" in done.stderr


def test_a_forked_child_leaves_it_to_its_parent_to_say_what_has_not_fired() -> None:
    code = """
import os, sys
from walvec.wal import failpoints
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
"""
    done = run_child(code, WALVEC_FAILPOINTS="commit.before=error")
    assert done.stderr.count("never fired") == 1


def test_a_wrong_environment_is_refused_at_import() -> None:
    done = run_child("import walvec.wal.failpoints", check=False, WALVEC_FAILPOINTS="x=kill")
    assert done.returncode == 1
    assert "no failpoint x; there are" in done.stderr
