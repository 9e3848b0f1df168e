"""Group commit: concurrent callers share one transaction and one sync.

The first caller to arrive becomes the leader and executes everything queued, its own request
included; the others wait. When it is done, it wakes them and hands the lead to the oldest
request that has come in the meantime. What has to be waited for first, as the lock that other
processes take too, the leader waits for with its own time; the others stay in the queue. A
leader never serves more than one batch, so nobody works for others for long.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar

from walvec.wal.errors import TimeoutException

T = TypeVar("T")
MAX_BATCH = 256
GATHER_S = 0.0008
"""The most that a leader waits for callers who were just woken: two syncs or three."""


class Request(Generic[T]):
    """One caller's command, and its result or its own error."""

    __slots__ = (
        *("command", "enter_by", "error", "request_id", "result", "settled", "thread", "wake"),
    )

    def __init__(self, command: T, request_id: bytes, enter_by: float = math.inf) -> None:
        """enter_by: until when (time.monotonic) to wait for what comes before the execution."""
        self.command = command
        self.request_id = request_id
        self.enter_by = enter_by
        self.thread = threading.get_ident()
        self.result: Any = None
        self.error: BaseException | None = None
        self.settled = False
        self.wake: threading.Lock | None = None

    def rouse(self) -> None:
        """Let the waiting caller look again. May be called once too often."""
        if self.wake is not None and self.wake.locked():
            self.wake.release()


@contextmanager
def _nothing(_enter_by: float) -> Iterator[None]:
    yield


class GroupCommit(Generic[T]):
    """The queue in front of the writer lock. `execute` gets 1 to 256 requests at once.

    `execute` must set `result` or `error` of each; if it raises an Exception, the error is
    everyone's. An interrupt (KeyboardInterrupt) is raised in its thread alone, wherever it
    comes: the lead is always passed on.
    """

    def __init__(
        self,
        execute: Callable[[list[Request[T]]], None],
        enter: Callable[[float], AbstractContextManager[None]] = _nothing,
    ) -> None:
        """`enter` is around each execution; it gets the leader's `enter_by`, and what it raises
        is the leader's error alone."""
        self._execute = execute
        self._enter = enter
        # Reentrant for signal handlers, which ask has_request_of.
        self._mutex = threading.RLock()
        self._gathered = threading.Condition(self._mutex)
        self._queue: list[Request[T]] = []
        self._batch: list[Request[T]] = []
        self._leader: Request[T] | None = None
        self._expected = 1

    def submit(self, request: Request[T], deadline: float | None = None) -> Any:
        """Execute a request and return its result, or raise its error.

        `deadline` (time.monotonic) ends the wait for a turn with TimeoutException; a request
        that has been taken is waited for, since its fate must be known.
        """
        try:
            with self._mutex:
                self._queue.append(request)
                if self._leader is None:
                    self._leader = request
                else:
                    request.wake = threading.Lock()
                    request.wake.acquire()
                    if len(self._queue) >= self._expected:
                        self._gathered.notify()
            if self._leader is not request:
                self._follow(request, deadline)
            if self._leader is request:
                self._lead(request)
        except BaseException:
            self._leave(request)
            raise
        if request.error is not None:
            raise request.error
        return request.result

    def has_request_of(self, thread: int) -> bool:
        """Whether a thread is in the midst of `submit`: then a signal handler of it must not be."""
        with self._mutex:
            return any(other.thread == thread for other in (*self._batch, *self._queue))

    def _follow(self, request: Request[T], deadline: float | None) -> None:
        """Wait until the request is settled or has to lead."""
        assert request.wake is not None
        timeout = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
        while True:
            if request.wake.acquire(timeout=timeout):
                with self._mutex:
                    if request.settled or self._leader is request:
                        return
            else:
                with self._mutex:
                    waits = request in self._queue and self._leader is not request
                    if waits:
                        self._queue.remove(request)
                if waits:
                    raise TimeoutException(
                        message="the time ran out before the command had its turn; nothing was done"
                    )
                timeout = -1.0

    def _leave(self, request: Request[T]) -> None:
        """An error or an interrupt takes a caller away: not the lead with it."""
        request.thread = 0  # which may submit again, while another leads what it has left
        with self._mutex:
            if request in self._queue:
                self._queue.remove(request)
        if self._leader is request:
            self._hand_over()

    def _gather(self) -> None:
        """Give the callers that were just woken a moment to come back: else they and those who
        queued meanwhile would take turns, and each sync would serve half of them."""
        if len(self._queue) >= self._expected:
            return
        with self._mutex:
            self._gathered.wait_for(lambda: len(self._queue) >= self._expected, GATHER_S)

    def _lead(self, request: Request[T]) -> None:
        try:
            self._gather()
            with self._enter(request.enter_by):
                with self._mutex:
                    self._batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
                self._serve()
        finally:
            self._hand_over()

    def _serve(self) -> None:
        try:
            self._execute(self._batch)
        except Exception as error:
            for request in self._batch:
                if request.error is None:
                    request.error = error
        except BaseException:
            # An interrupt of this thread, and of no other. What `execute` has not settled was
            # not begun.
            for request in self._batch:
                if request.error is None and request.result is None:
                    request.error = TimeoutException(
                        message="the thread that led the commit was interrupted; nothing was done"
                    )
            raise

    def _hand_over(self) -> None:
        """Rouse the batch and pass the lead on. Where an interrupt cuts this short, the leader
        does it again."""
        with self._mutex:
            for request in self._batch:
                request.settled = True
                request.rouse()
            self._expected = min(len(self._batch) + len(self._queue), MAX_BATCH)
            heir = self._queue[0] if self._queue else None
            if heir is not None:
                heir.rouse()
            # Last: an heir that was roused waits for the mutex, or for being roused again.
            self._batch, self._leader = [], heir
