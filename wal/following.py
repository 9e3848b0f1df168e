"""The entries of a log one after the other, those too that are yet to come."""

from __future__ import annotations

import time
from collections.abc import Iterator

import lmdb

from walvec.wal.log import Entry, Log, Position
from walvec.wal.tail import Tail

NEVER_SEEN = -1
LOOK_S = 1.0
"""How often one who waits looks whether the log's files are still those that are open."""


class Follower:
    """Reads on after `position`. No transaction is open between two calls. One thread at a time."""

    def __init__(self, log: Log, after: Position, tail: Tail | None = None) -> None:
        """tail: to wait with; it stays the caller's. Without one there is no waiting."""
        self.position = after
        self._log = log
        self._tail = tail
        self._entries: Iterator[Entry] | None = None
        self._reading = self._seen = NEVER_SEEN

    def next(self) -> Entry | None:
        """The next entry, checked but for its payload; None where there is none yet.

        Raises LogCorruptedException and FormatException at a damaged entry, and again when called
        again; StoreClosedException.
        """
        try:
            entry = self._next()
        except lmdb.Error:
            self._entries = None
            self._log.newest_txnid()  # raises where another thread has closed the log
            raise
        except BaseException:
            self._entries = None
            raise
        if entry is not None:
            header = entry.header
            self.position = Position(header.seq, header.chain, header.timestamp)
        return entry

    def _next(self) -> Entry | None:
        while True:
            if self._entries is None:
                if self._log.newest_txnid() == self._seen:
                    return None
                # The id of what can be read, which may be older than the newest: see Tail.wait.
                with self._log.reading() as txn:
                    self._reading = txn.id()
                if self._reading == self._seen:
                    return None
                self._entries = self._log.scan(self.position)
            entry = next(self._entries, None)
            if entry is not None:
                return entry
            self._log.refuse_replaced_files()
            self._entries, self._seen = None, self._reading

    def wait(self, deadline: float | None = None) -> bool:
        """Whether it is worth looking again: True as soon as somebody has committed.

        False at the deadline (time.monotonic; None for none), or when the tail was woken or
        closed, and at once without a tail. Raises StoreBrokenException where the log's files were
        deleted or replaced: nothing would ever come.
        """
        while self._tail is not None:
            now = time.monotonic()
            look_at = now + LOOK_S if deadline is None else min(now + LOOK_S, deadline)
            if self._tail.wait(self._seen, max(0.0, look_at - now)):
                return True
            now = time.monotonic()
            if now < look_at:
                return False
            self._log.refuse_replaced_files()
            if deadline is not None and now >= deadline:
                return False
        return False
