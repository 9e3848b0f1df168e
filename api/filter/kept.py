"""Things that are kept because they may be asked for again: bounded, the oldest go first."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """Values by key, for several threads. One for the life of the process."""

    def __init__(self, most: int, weight: Callable[[Value], int] = lambda _: 1) -> None:
        """most: what the values may weigh together."""
        self._most = most
        self._weight = weight
        self._total = 0
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        """This is a child: a thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._values, self._total = OrderedDict(), 0

    def get(self, key: Key) -> Value | None:
        """The value, which is the youngest from now on."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
            return found

    def put(self, key: Key, value: Value) -> None:
        """Keep a value, unless it is too heavy for all the room there is."""
        weight = self._weight(value)
        if weight > self._most:
            return
        with self._lock:
            if key in self._values:
                self._forget(key)
            while self._total + weight > self._most:
                self._forget(next(iter(self._values)))
            self._values[key] = value
            self._total += weight

    def _forget(self, key: Key) -> None:
        self._total -= self._weight(self._values.pop(key))

    def drop(self, test: Callable[[Value], bool], *, wait: bool = True) -> None:
        """Forget the values that pass a test. Without `wait` only if no thread is in here, this
        one neither: for the end of an object, which comes at any time."""
        if self._lock.acquire(blocking=wait):
            try:
                for key in [key for key, value in self._values.items() if test(value)]:
                    self._forget(key)
            finally:
                self._lock.release()
