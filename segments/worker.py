"""A worker: a thread behind a store that looks for something to do whenever it is told of news.

What it finds depends on the state and the files alone, never on which call woke it, so that a
call that is missed or made twice does no harm. While other processes are at work on something,
it looks again at intervals.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from walvec.segments.files import logger
from walvec.segments.fold import Applied
from walvec.segments.store import Store
from walvec.segments.watcher import Watcher
from walvec.wal.errors import MilvusException, ReopenError, WaitError
from walvec.wal.events import RowsDeleted, RowsInserted

INTERVAL_S = 1.0
"""Between two looks at what another process is doing."""
WAITED_FOR_INTERVAL_S = 0.05
"""The same, while a caller waits for the end of it."""
REST_S = 10.0
"""After so long without work, what work needs is given back."""


class Worker(Watcher):
    """The thread, and the calls that wake it. Those who work say how in `_work`."""

    name = "walvec-worker"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._started = False
        self._begin()

    def _begin(self) -> None:
        """Everything that belongs to one process."""
        # Entered itself, not by the condition, whose Python code an interrupt may cut short.
        self._mutex = threading.RLock()
        self._wake = threading.Condition(self._mutex)
        self._idle = True
        self._again = False
        self._sleeping = False
        self._stopping = False
        self._waiting = 0
        self._trouble: Exception | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """From now on the thread is started by the first news."""
        self._started = True

    def forked(self) -> None:
        """Start anew in a child, with its first news."""
        self._begin()

    def close(self) -> None:
        """Stop, also in the middle of work that can be broken off."""
        with self._mutex:
            self._stopping = True
            self._wake.notify_all()
        self._break_off()
        if self._thread is not None:
            self._thread.join()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do, here or in other processes as far as this one needs
        it; False if the time ran out first.

        Raises MilvusException where the last attempt failed, as on a full disk.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._store.current()  # What others have sealed counts, too.
        with self._mutex:
            if self._sleeping:
                self._look_again()
            self._waiting += 1
            try:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                done = self._wake.wait_for(lambda: self._idle or self._stopping, left)
            finally:
                self._waiting -= 1
            if done and self._trouble is not None:
                raise MilvusException(
                    message=f"segment files cannot be made, searches are exact: {self._trouble}"
                ) from self._trouble
            return done

    def published(self, applied: Sequence[Applied]) -> None:
        """Look again, unless only rows changed."""
        if not all(isinstance(a.event, RowsInserted | RowsDeleted) for a in applied):
            self._look_again()

    def restarted(self) -> None:
        """Look again: files may have been recorded while the rows were read."""
        self._look_again()

    def _look_again(self) -> None:
        with self._mutex:
            if not self._started or self._stopping:
                return
            self._idle, self._again = False, True
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                try:
                    thread.start()
                    self._thread = thread
                except RuntimeError as error:  # No thread is left, or the interpreter ends.
                    self._idle, self._trouble = True, error
                    logger.warning("no thread for work behind the store: %s", error)
            self._wake.notify_all()

    def _run(self) -> None:
        delay: float | None = None
        while self._next(delay):
            delay = None
            try:
                delay = self._work()
            except WaitError as late:
                # Another writer stands still: it is tried again.
                logger.info("work behind the store is put off: %s", late)
                delay = INTERVAL_S
            except ReopenError as end:
                # The store was closed, or is of no use any more: those who call it are told.
                self._trouble = end
            except Exception as trouble:
                # A thread has nobody to raise to, but those who wait. Searches stay exact.
                self._trouble = trouble
                if not self._stopping:
                    logger.exception("making segment files failed; it goes on with the next seal")

    def _next(self, delay: float | None) -> bool:
        """Wait until there is news, or for `delay` seconds; False at the end."""
        with self._mutex:
            if not self._again and delay is None:
                self._idle = True
                self._wake.notify_all()
                if not self._wake.wait_for(lambda: self._again or self._stopping, REST_S):
                    self._rest()
            elif not self._again and delay is not None:
                self._sleeping = True
                limit = min(delay, WAITED_FOR_INTERVAL_S) if self._waiting else delay
                self._wake.wait_for(lambda: self._again or self._stopping, limit)
                self._sleeping, self._again = False, True
            self._wake.wait_for(lambda: self._again or self._stopping)
            if not self._stopping:
                self._again, self._trouble = False, None
            return not self._stopping

    def _work(self) -> float | None:
        """Do what there is to do; the seconds after which to look again, None where only news
        can bring more. Called without locks."""
        raise NotImplementedError

    def _break_off(self) -> None:
        """End what `_work` waits for. Called by `close`."""

    def _rest(self) -> None:
        """Give back what work needs. Called with `_mutex` held."""
