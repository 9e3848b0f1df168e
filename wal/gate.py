"""The gate of a map that may move: many readers at once, or one thread that moves it, alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Gate:
    """Counts readers. A view into a map that is gone is a SIGSEGV."""

    def __init__(self) -> None:
        # Entered itself, not by the condition, whose Python code an interrupt may cut short.
        self.lock = threading.RLock()
        self._left = threading.Condition(self.lock)
        self._reading: list[int] = []  # threads, as often as they read
        self._waiting = 0

    @contextmanager
    def reading(self, begin: Callable[[], T]) -> Iterator[T]:
        """What `begin` gives, while the map neither moves nor goes."""
        counted = 0
        try:
            with self.lock:
                # One who waits to be alone goes first, or readers that overlap would keep him out.
                self._left.wait_for(lambda: not self._waiting)
                begun = begin()
                counted = threading.get_ident()
                self._reading.append(counted)
            yield begun
        finally:
            if counted:
                with self.lock:
                    self._reading.remove(counted)
                    self._left.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No thread reads, and none begins to."""
        with self.lock:
            self._until_alone(None)
            yield

    def _until_alone(self, timeout: float | None) -> bool:
        self._waiting += 1
        try:
            return self._left.wait_for(lambda: not self._reading, timeout)
        finally:
            self._waiting -= 1
            self._left.notify_all()

    def hold(self, deadline: float) -> bool:
        """As `alone`, until `let_go`; False if the time (time.monotonic) ran out, or where this
        thread itself reads: a signal handler of it cannot wait for that."""
        owned = self.lock._is_owned()  # type: ignore[attr-defined]
        if owned or threading.get_ident() in self._reading:
            return False
        if not self.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return False
        if self._until_alone(max(0.0, deadline - time.monotonic())):
            return True
        self.lock.release()
        return False

    def let_go(self) -> None:
        """End `hold`."""
        self.lock.release()
