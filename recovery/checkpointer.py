"""Writing checkpoints: at intervals, in the background, and at close.

Due when the entries since the newest checkpoint reach the settings' events or bytes, and never
oftener than its size allows, so that writing states costs a part of writing the entries.

Of many processes on one store the one whose own commit reaches the mark writes; the others
look a quarter of an interval later whether that was done, so that one which was killed is
replaced. Whoever writes looks into the database before, and once more in the transaction.
The state is copied under the store's lock, encoded and hashed without it, and stored by a short
transaction. A checkpoint is optional: what goes wrong here disturbs no command.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import lmdb

from walvec.segments.files import logger
from walvec.segments.fold import Applied, Fold
from walvec.segments.state import State, encode_state, freeze
from walvec.segments.store import Store
from walvec.segments.watcher import Watcher
from walvec.wal import failpoints
from walvec.wal.checkpoints import encode_checkpoint, put_checkpoint, usable_checkpoints
from walvec.wal.errors import MilvusException
from walvec.wal.events import RowsDeleted, RowsInserted
from walvec.wal.log import Position

BYTES_PER_EVENT = 2048
"""Bytes of a checkpoint for which an entry must have been appended since the one before."""
LATE = 1.25
"""Intervals after which anybody writes the checkpoint that another process has not written."""
WORTHWHILE = 0.25
"""Intervals that must have passed at its close for a process that has written nothing itself."""
LOCK_WAIT_S = 0.5
SIZE = 4
"""Place of its bytes in what a layout says of a buffer."""


class Checkpointer(Watcher):
    """Saves the state of a store. `start()` it, and `close()` it with the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Of the newest checkpoint known: its seq, its size, and the bytes of rows since. Then the
        # newest entry of this process. Changed under the store's lock.
        self._base = self._size = self._bytes = 0
        self._mine = self._asked = 0
        self._reached = 0.0
        self._full_at = store.settings.checkpoint_events
        self._said = False
        self._make_thread()

    def _make_thread(self) -> None:
        # Entered itself, not by the condition, whose Python code an interrupt may cut short.
        self._mutex = threading.RLock()
        self._wake = threading.Condition(self._mutex)
        self._due = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="walvec-checkpoints", daemon=True)

    def start(self) -> None:
        """Begin to work: a look whether a checkpoint is due from before."""
        self._due = True
        self._thread.start()

    def forked(self) -> None:
        """The thread is the parent's: another one for this child."""
        self._make_thread()
        self.start()

    def close(self) -> None:
        """Stop, and save the state if this process has appended entries since the newest
        checkpoint, or others a good many."""
        with self._mutex:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._save(at_close=True)
        except (MilvusException, lmdb.Error, OSError, MemoryError) as error:
            logger.debug("no checkpoint of %s at its close: %r", self._store.folder, error)

    def save_now(self) -> None:
        """Write a checkpoint in this thread, due or not; none where the newest entry has one.

        Raises LockTimeoutException, DiskFullException, CommitFailedException.
        """
        self._save(always=True)

    def published(self, applied: Sequence[Applied]) -> None:
        """Count, and wake the thread where a checkpoint has become due."""
        own = False
        for one in applied:
            if isinstance(one.event, RowsInserted | RowsDeleted):
                self._bytes += sum([int(buffer[SIZE]) for buffer in one.event.layout])
                # Rows are at hand where this process wrote them.
                own = own or one.rows is not None
            else:
                self._mine = one.seq  # Or another's, which does no harm.
        seq = applied[-1].seq
        self._mine = seq if own else self._mine
        if seq < self._full_at and self._bytes < self._store.settings.checkpoint_bytes:
            return  # The usual case, at every commit.
        before, self._reached = self._reached, self._share(seq)
        now = self._reached
        if now < 1:
            return
        late = now >= LATE and seq - self._asked >= self._interval() * (LATE - 1)
        if (own and before < 1) or late:
            self._asked = seq
            with self._mutex:
                self._due = True
                self._wake.notify_all()

    def _interval(self) -> int:
        """Events between two checkpoints."""
        return max(self._store.settings.checkpoint_events, self._size // BYTES_PER_EVENT)

    def _share(self, seq: int) -> float:
        """How much of an interval has passed at the entry `seq`; from 1 on one is due."""
        events = seq - self._base
        share = events / self._interval()
        if share < 1 and events >= self._size // BYTES_PER_EVENT:
            return max(share, self._bytes / self._store.settings.checkpoint_bytes)
        return share

    def _run(self) -> None:
        while True:
            with self._mutex:
                self._wake.wait_for(lambda: self._due or self._stopping)
                if self._stopping:
                    return
                self._due = False
            try:
                self._save()
            except Exception as trouble:
                # A thread has nobody to raise to, and nothing is lost: the log has everything.
                if not self._said and not self._stopping:
                    self._said = True
                    logger.warning(
                        "a checkpoint of %s cannot be written (%s); opening it takes longer "
                        "meanwhile, and it is tried again at the next interval",
                        *(self._store.folder, trouble),
                    )

    def _save(self, *, at_close: bool = False, always: bool = False) -> None:
        """Write a checkpoint if one is due still; at close, if this process has written."""
        self._look()
        taken = self._store.with_fold(lambda fold: self._take(fold, at_close, always))
        if taken is None:
            return
        position, state = taken
        body = encode_state(state)
        value = encode_checkpoint(position, body)

        def put(txn: lmdb.Transaction) -> bool:
            stored = put_checkpoint(self._store.log, txn, value)
            failpoints.hit("checkpoint.before")
            return stored

        if self._store.side_write(put, LOCK_WAIT_S):
            failpoints.hit("checkpoint.after")
            self._store.with_fold(lambda _: self._note(position.seq, len(body)))
            self._said = False

    def _look(self) -> None:
        """Take note of the newest checkpoint in the database, whoever wrote it."""
        with self._store.log.reading() as txn:
            newest = next(usable_checkpoints(self._store.log, txn), None)
        seq, size = (newest.position.seq, newest.body_length) if newest else (0, 0)
        self._store.with_fold(lambda _: self._note(seq, size))

    def _note(self, seq: int, size: int) -> None:
        if seq != self._base:
            # What was appended between that checkpoint and now counts for nothing: it is little.
            self._base, self._size, self._bytes = seq, size, 0
            self._reached, self._full_at = 0.0, seq + self._interval()

    def _take(self, fold: Fold, at_close: bool, always: bool) -> tuple[Position, State] | None:
        """A copy of the state and its position, if a checkpoint of it is wanted."""
        seq = fold.position.seq
        if not fold.whole or fold.state.seq != seq:
            return None
        if seq <= self._base:
            return None
        share = self._share(seq)
        if always or share >= 1 or (at_close and (self._mine > self._base or share >= WORTHWHILE)):
            return fold.position, freeze(fold.state)
        return None
