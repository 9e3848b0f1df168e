"""Following other processes at once: a thread that folds what they append when they append it.

Without one a process takes it over at its next call, which is as good for its answers. With one
the next call finds it done, and memory that another process released is free at once.
"""

from __future__ import annotations

import threading

from walvec.segments.files import logger
from walvec.segments.store import Store
from walvec.segments.watcher import Watcher
from walvec.wal.errors import MilvusException, ReopenError
from walvec.wal.tail import Tail


class FollowThread(Watcher):
    """The thread that tails the log of a store. `start()` it, and `close()` it with the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begin()

    def _begin(self) -> None:
        self._tail = Tail(self._store.log)
        self._thread = threading.Thread(target=self._run, name="walvec-follower", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def forked(self) -> None:
        """The thread is the parent's: another one for this child."""
        self._tail.forked()
        self._begin()
        self.start()

    def abandon(self) -> None:
        """The thread is the parent's: this child lets go of the handles."""
        self._tail.forked()

    def close(self) -> None:
        """Stop, at once."""
        self._tail.close()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        failed_at = -1
        try:
            while True:
                seen = max(self._store.seen_txnid, failed_at)
                if not self._tail.wait(seen):
                    return
                try:
                    self._store.current()
                except ReopenError:
                    raise
                except MilvusException as trouble:
                    # A damaged entry, say. Readers get this error; here it is tried again when
                    # there is something new.
                    failed_at = self._store.log.newest_txnid()
                    logger.warning("following %s: %s", self._store.folder, trouble.message)
        except ReopenError as end:
            # The store was closed, or is of no use any more.
            logger.debug("following %s ends: %s", self._store.folder, end.message)
        except Exception:
            logger.exception("following %s has ended; calls go on to catch up", self._store.folder)
