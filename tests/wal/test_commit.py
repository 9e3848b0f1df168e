"""Group commit: many callers, few batches, each its own answer."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from walvec.wal.commit import MAX_BATCH, GroupCommit, Request
from walvec.wal.errors import ParamError, TimeoutException

Batch = list[Request[int]]


class Gate:
    """An executor that holds its first batch until `opened`, and remembers every batch."""

    def __init__(self, act: Callable[[Request[int]], None] | None = None) -> None:
        self.opened = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[int]] = []
        self.act = act
        self.commits: GroupCommit[int] = GroupCommit(self.execute)

    def execute(self, batch: Batch) -> None:
        self.batches.append([request.command for request in batch])
        self.entered.set()
        assert self.opened.wait(30)
        for request in batch:
            if self.act is not None:
                self.act(request)
            else:
                request.result = request.command * 10

    def submit(self, command: int, deadline: float | None = None) -> object:
        return self.commits.submit(Request(command, bytes(16)), deadline)

    def queued(self) -> int:
        return len(self.commits._queue)

    def wait_for_queue(self, length: int) -> None:
        """Until so many requests stand in the queue."""
        end = time.monotonic() + 30
        while self.queued() < length:
            assert time.monotonic() < end
            threading.Event().wait(0.001)


def test_one_caller_alone_gets_its_result() -> None:
    gate = Gate()
    gate.opened.set()
    assert [gate.submit(n) for n in range(3)] == [0, 10, 20]
    assert gate.batches == [[0], [1], [2]]


def test_callers_who_come_meanwhile_share_the_next_batch() -> None:
    gate = Gate()
    with ThreadPoolExecutor(41) as threads:
        first = threads.submit(gate.submit, 0)
        assert gate.entered.wait(30)
        others = [threads.submit(gate.submit, n) for n in range(1, 41)]
        gate.wait_for_queue(40)
        gate.opened.set()
        assert first.result(30) == 0
        assert [o.result(30) for o in others] == [n * 10 for n in range(1, 41)]
    assert gate.batches[0] == [0]
    assert sorted(gate.batches[1]) == list(range(1, 41))
    assert len(gate.batches) == 2


def test_a_batch_has_a_largest_size_and_nobody_is_forgotten() -> None:
    gate = Gate()
    count = MAX_BATCH + 10
    with ThreadPoolExecutor(count + 1) as threads:
        first = threads.submit(gate.submit, 0)
        assert gate.entered.wait(30)
        others = [threads.submit(gate.submit, n) for n in range(1, count + 1)]
        gate.wait_for_queue(count)
        gate.opened.set()
        assert first.result(30) == 0
        assert [o.result(30) for o in others] == [n * 10 for n in range(1, count + 1)]
    assert [len(batch) for batch in gate.batches] == [1, MAX_BATCH, 10]


def test_each_caller_gets_its_own_error() -> None:
    def odd_ones_fail(request: Request[int]) -> None:
        if request.command % 2:
            request.error = ParamError(message=f"no {request.command}")
        else:
            request.result = request.command

    gate = Gate(odd_ones_fail)
    with ThreadPoolExecutor(21) as threads:
        futures = [threads.submit(gate.submit, n) for n in range(21)]
        assert gate.entered.wait(30)
        gate.opened.set()
        for number, future in enumerate(futures):
            if number % 2:
                with pytest.raises(ParamError, match=f"no {number}"):
                    future.result(30)
            else:
                assert future.result(30) == number


def test_an_executor_that_raises_fails_its_batch_and_not_the_next_one() -> None:
    def fail(request: Request[int]) -> None:
        raise RuntimeError(f"broken at {request.command}")

    gate = Gate(fail)
    gate.opened.set()
    with pytest.raises(RuntimeError, match="broken at 1"):
        gate.submit(1)
    gate.act = None
    assert gate.submit(2) == 20


def test_one_who_waits_too_long_leaves_the_queue_and_nothing_is_done_for_him() -> None:
    gate = Gate()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(gate.submit, 0)
        assert gate.entered.wait(30)
        with pytest.raises(TimeoutException, match="nothing was done"):
            gate.submit(1, time.monotonic() + 0.05)
        gate.opened.set()
        assert first.result(30) == 0
    assert gate.submit(2) == 20
    assert gate.batches == [[0], [2]]


def test_a_request_that_was_taken_is_waited_for_beyond_its_deadline() -> None:
    gate = Gate()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(gate.submit, 0)
        assert gate.entered.wait(30)
        deadline = time.monotonic() + 0.5
        second = threads.submit(gate.submit, 1, deadline)
        third = threads.submit(gate.submit, 2, None)
        gate.wait_for_queue(1)
        gate.opened.set()
        assert [f.result(30) for f in (first, second, third)] == [0, 10, 20]


def test_a_leader_who_is_interrupted_hands_the_lead_on() -> None:
    interrupted = threading.Event()

    def interrupt_first(request: Request[int]) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt
        request.result = request.command

    gate = Gate(interrupt_first)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(gate.submit, 0)
        assert gate.entered.wait(30)
        second = threads.submit(gate.submit, 1)
        gate.wait_for_queue(1)
        gate.opened.set()
        with pytest.raises(KeyboardInterrupt):
            first.result(30)
        assert second.result(30) == 1
    assert gate.submit(2) == 2


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(),
    reason="signals go to the main thread",
)
@pytest.mark.usefixtures("interruptible")
def test_a_follower_who_is_interrupted_does_not_take_the_lead_with_him() -> None:
    gate = Gate()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(gate.submit, 0)
        assert gate.entered.wait(30)

        def interrupt() -> None:
            gate.wait_for_queue(1)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        killer = threads.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            gate.submit(1)
        killer.result(30)
        gate.opened.set()
        assert first.result(30) == 0
    assert gate.submit(2) == 20
    assert gate.batches == [[0], [2]]


@pytest.mark.usefixtures("interruptible")
def test_no_interrupt_anywhere_leaves_the_others_waiting_for_ever() -> None:
    def execute(batch: Batch) -> None:
        for request in batch:
            request.result = request.command

    commits: GroupCommit[int] = GroupCommit(execute)
    done = threading.Event()
    served: list[int] = []

    def work(start: int) -> None:
        number = start
        while not done.is_set():
            number += 1
            # An interrupted leader takes those who stood in its batch with it, and tells them.
            with contextlib.suppress(TimeoutException):
                served.append(commits.submit(Request(number, bytes(16))))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    with ThreadPoolExecutor(2) as threads:
        workers = [threads.submit(work, n * 10**9) for n in (1, 2)]
        rng = random.Random(1)
        end = time.monotonic() + 2
        try:
            while time.monotonic() < end:
                with contextlib.suppress(KeyboardInterrupt, TimeoutException):
                    signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 4e-4))
                    while True:
                        commits.submit(Request(0, bytes(16)), time.monotonic() + 10)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
            before = len(served)
            assert commits.submit(Request(7, bytes(16)), time.monotonic() + 10) == 7
            time.sleep(0.05)
            assert len(served) > before, "the other threads still have their turns"
            done.set()
        for worker in workers:
            worker.result(10)
