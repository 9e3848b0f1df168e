"""Stores over a fork: the parent goes on unharmed, the child opens the log anew by itself.

LMDB's environments must not be used over a fork. Before it each store comes to rest: nothing
is folded, no transaction is open. So the child inherits a whole state, and rows in memory that
it shares with its parent page by page; at its first use it opens the log and catches up.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import Any

from walvec.wal.gate import Gate
from walvec.wal.log import Log

REST_S = 30.0
"""How long a fork waits for a store to come to rest. A child of one that does not is told so."""


class Forkable:
    """What goes through a fork: it has a lock under which it changes, and a log."""

    log: Log
    _lock: Any

    def rest(self, deadline: float) -> bool:
        """Come to rest, until `go_on`; False if the time (time.monotonic) ran out, or where this
        thread itself is in the midst of something: in a signal handler, say."""
        if self._lock._is_owned():
            return False
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return False
        if self.log.gate.hold(deadline):
            return True
        self._lock.release()
        return False

    def go_on(self) -> None:
        """The fork is over, in the parent."""
        self.log.gate.let_go()
        self._lock.release()

    def forked(self, rested: bool) -> None:
        """This is the child; `rested` if this had come to rest before the fork."""
        raise NotImplementedError


_stores: weakref.WeakSet[Forkable] = weakref.WeakSet()
_resting: list[tuple[Forkable, bool]] = []
_one_fork = threading.RLock()
"""Two threads may fork at once: one after the other."""


def follow_forks(store: Forkable) -> None:
    """Look after a store over forks, as long as it is there."""
    _stores.add(store)


def _before() -> None:
    _one_fork.acquire()
    deadline = time.monotonic() + REST_S
    for store in sorted(_stores, key=id):
        _resting.append((store, store.rest(deadline)))


def _in_parent() -> None:
    while _resting:
        store, rested = _resting.pop()
        if rested:
            store.go_on()
    _one_fork.release()


def _in_child() -> None:
    global _one_fork
    _one_fork = threading.RLock()
    while _resting:
        store, rested = _resting.pop()
        # This thread holds it, or a thread that is not here does.
        store.log.gate = Gate()
        store.forked(rested)


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
