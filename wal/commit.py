"""Group commit: concurrent callers share one transaction and one sync.

The first caller to arrive becomes the leader and executes everything queued, its own request
included; the others wait. When it is done, it wakes them and hands the lead to the oldest
request that has come in the meantime. A leader never serves more than one batch, so nobody
works for others for long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from walvec.wal.errors import TimeoutException

T = TypeVar("T")
MAX_BATCH = 256
GATHER_S = 0.0003
"""About the time of a sync: waiting longer costs more than it saves."""


class Request(Generic[T]):
    """One caller's command, and its result or its own error."""

    __slots__ = ("command", "error", "leads", "request_id", "result", "wake")

    def __init__(self, command: T, request_id: bytes) -> None:
        self.command = command
        self.request_id = request_id
        self.result: Any = None
        self.error: BaseException | None = None
        self.leads = False
        self.wake: threading.Lock | None = None


class GroupCommit(Generic[T]):
    """The queue in front of the writer lock. `execute` gets 1 to 256 requests at once.

    `execute` must set `result` or `error` of each; if it raises an Exception, the error is
    everyone's. An interrupt (KeyboardInterrupt) is raised in its thread alone.
    """

    def __init__(self, execute: Callable[[list[Request[T]]], None]) -> None:
        self._execute = execute
        self._mutex = threading.Lock()
        self._queue: list[Request[T]] = []
        self._busy = False
        self._expected = 1

    def submit(self, request: Request[T], deadline: float | None = None) -> Any:
        """Execute a request and return its result, or raise its error.

        `deadline` (time.monotonic) ends the wait for a turn with TimeoutException; a request
        that has been taken is waited for, since its fate must be known.
        """
        with self._mutex:
            self._queue.append(request)
            leads = not self._busy
            if leads:
                self._busy = True
            else:
                request.wake = threading.Lock()
                request.wake.acquire()
        if not leads:
            leads = self._follow(request, deadline)
        if leads:
            self._lead()
        if request.error is not None:
            raise request.error
        return request.result

    def _follow(self, request: Request[T], deadline: float | None) -> bool:
        """Wait until the request is done (False) or has to lead (True)."""
        assert request.wake is not None
        timeout = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            if not request.wake.acquire(timeout=timeout):
                if self._left(request):
                    raise TimeoutException(
                        message="the time ran out before the command had its turn; nothing was done"
                    )
                request.wake.acquire()
        except KeyboardInterrupt:
            # The main thread, in its wait: it must not take the lead with it.
            if not self._left(request) and request.leads:
                self._lead()
            raise
        return request.leads

    def _left(self, request: Request[T]) -> bool:
        """Take a request out of the queue; False if it was taken already, or is to lead."""
        with self._mutex:
            if request not in self._queue or request.leads:
                return False
            self._queue.remove(request)
            return True

    def _gather(self) -> None:
        """Give the callers that were just woken a moment to come back: else they and those who
        queued meanwhile would take turns, and each sync would serve half of them."""
        if len(self._queue) >= self._expected:
            return
        deadline = time.perf_counter() + GATHER_S
        while len(self._queue) < self._expected and time.perf_counter() < deadline:
            time.sleep(0)

    def _lead(self) -> None:
        try:
            try:
                self._gather()
            finally:
                with self._mutex:
                    batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
            self._execute(batch)
        except Exception as error:
            for request in batch:
                if request.error is None:
                    request.error = error
        except BaseException:
            # An interrupt of this thread, and of no other. What `execute` has not settled was
            # not begun.
            for request in batch:
                if request.error is None and request.result is None:
                    request.error = TimeoutException(
                        message="the thread that led the commit was interrupted; nothing was done"
                    )
            raise
        finally:
            with self._mutex:
                self._expected = min(len(batch) + len(self._queue), MAX_BATCH)
                heir = self._queue[0] if self._queue else None
                if heir is None:
                    self._busy = False
                else:
                    heir.leads = True
            for request in batch:
                # The leader's own lock, where it has one, is released already.
                if request.wake is not None and not request.leads:
                    request.wake.release()
            if heir is not None and heir.wake is not None:
                heir.wake.release()
