"""One write transaction: catch up, check, append, apply, commit; and what if the commit raises."""

from __future__ import annotations

import errno
import resource
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import lmdb

from walvec.segments.commands import Command
from walvec.segments.fold import Applied, Fold
from walvec.wal import failpoints
from walvec.wal.commit import Request
from walvec.wal.errors import CommitFailedException, DiskFullException, MilvusException
from walvec.wal.log import Log, Position
from walvec.wal.medium import free_bytes

READER_CHECK_INTERVAL = 1000
SPARE_BYTES = 1 << 20
"""With less than this left beyond the batch, an I/O error in a commit is taken for a full disk:
LMDB reports a short write as EIO."""


class Outcome(NamedTuple):
    """What a durable command returns: its result, its last seq, and the log's time of it (ns)."""

    result: Any
    seq: int
    timestamp: int


class Spoilt(Exception):
    """A command failed after some of its events: the transaction has to start again without it."""


class Writer:
    """Appends batches of commands to the log. One thread at a time."""

    def __init__(self, log: Log, fold: Fold) -> None:
        self.log = log
        self.fold = fold
        self.txnid = 0
        self._commits = 0
        self._batch_bytes = 0

    def write(
        self,
        batch: list[Request[Command]],
        follow: Callable[[lmdb.Transaction], None],
        reset: Callable[[], None],
    ) -> list[Applied]:
        """Make a batch durable, and return what was appended.

        `follow` folds and publishes what others appended before; `reset` is told that the
        environment was dropped and the state read again after a commit that raised. Sets the
        result or the error of every request.
        """
        while True:
            self.log.refuse_replaced_files()
            txn = self.log.begin(write=True)
            before = self.fold.position
            try:
                failpoints.hit("commit.begin")
                follow(txn)
                before = self.fold.position
                applied = self._append(txn, batch)
                break
            except (lmdb.MapFullError, Spoilt) as retry:
                txn.abort()
                self.restore(before)
                if isinstance(retry, lmdb.MapFullError):
                    self.log.grow()
            except BaseException:
                txn.abort()
                if self.fold.position != before:
                    self.restore(before)
                raise
        if not applied:
            txn.abort()
            return []
        return applied if self._commit(txn, before, batch, reset) else []

    def _append(self, txn: lmdb.Transaction, batch: list[Request[Command]]) -> list[Applied]:
        """Append every request that has no error; one that is refused gets its error."""
        applied: list[Applied] = []
        self._batch_bytes = 0
        timestamp = max(time.time_ns(), self.fold.position.timestamp)
        for request in batch:
            if request.error is not None:
                continue
            done = len(applied)
            try:
                decision = request.command(self.fold.state)
                last = len(decision.drafts) - 1
                for number, draft in enumerate(decision.drafts):
                    self._batch_bytes += draft.payload.length if draft.payload else 0
                    applied.append(
                        self.fold.append(
                            self.log,
                            txn,
                            draft,
                            timestamp=timestamp,
                            request=request.request_id,
                            more_follows=number < last,
                        )
                    )
            except MilvusException as refusal:
                request.error = refusal
                if len(applied) > done:
                    raise Spoilt from refusal
                continue
            seq, _, written_at = self.fold.position
            request.result = Outcome(decision.result, seq, written_at)
        return applied

    def _commit(
        self,
        txn: lmdb.Transaction,
        before: Position,
        batch: list[Request[Command]],
        reset: Callable[[], None],
    ) -> bool:
        """Commit; False where it raised and the state was read again."""
        self.txnid = txn.id()
        try:
            failpoints.hit("commit.before")
            txn.commit()
            failpoints.hit("commit.after")
        except (lmdb.Error, OSError) as error:
            self.find_out(error, before, batch, reset)
            return False
        self._commits += 1
        if self._commits % READER_CHECK_INTERVAL == 0:
            self.log.env.reader_check()
        return True

    def find_out(
        self,
        error: BaseException,
        before: Position,
        batch: list[Request[Command]],
        reset: Callable[[], None],
    ) -> None:
        """A commit raised or was interrupted, so its outcome is unknown: drop the environment,
        read the log after `before`, and set the error of every request that is not in it.

        A failed sync is never tried again: the kernel has marked the pages clean.
        """
        full = self._is_disk_full(error)
        self.log.reopen()
        with self.log.reading() as txn:
            stored = {entry.header.request for entry in self.log.scan(before, txn)}
        self.restore(None)
        reset()
        what = "no space is left for the log" if full else f"the commit failed ({error!r})"
        kind = DiskFullException if full else CommitFailedException
        for request in batch:
            if request.error is None and request.request_id not in stored:
                request.error = kind(message=f"{what}; nothing of this command was stored")

    def _is_disk_full(self, error: BaseException) -> bool:
        if isinstance(error, lmdb.DiskError) or getattr(error, "errno", 0) == errno.ENOSPC:
            return True
        data = self.log.folder / "data.mdb"
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        end = data.stat().st_size
        room = free_bytes(self.log.folder)
        if limit != resource.RLIM_INFINITY:
            room = min(room, limit - end)
        return room < SPARE_BYTES + self._batch_bytes

    def restore(self, until: Position | None) -> None:
        """Throw the state away and fold the log again, up to `until` or its end.

        Raises what is wrong with a damaged entry.
        """
        self.fold.restart()
        damage = self.fold.replay(self.log, None if until is None else until.seq)
        if damage is not None:
            raise damage
