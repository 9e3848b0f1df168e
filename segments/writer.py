"""One write transaction: catch up, check, append, apply, commit; and what if the commit raises."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import lmdb

from walvec.segments.commands import Command
from walvec.segments.fold import Applied
from walvec.segments.replica import NEVER_SEEN, Replica
from walvec.wal import failpoints
from walvec.wal.commit import Request
from walvec.wal.errors import (
    CommitFailedException,
    DiskFullException,
    MilvusException,
    ReopenError,
    StoreBrokenException,
)
from walvec.wal.log import Log
from walvec.wal.medium import free_bytes, says_disk_full

T = TypeVar("T")
COMMAND_FATE = "nothing of this command was stored"
BESIDE_FATE = "it may have been stored or not: do it again"
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


def refuse_unknown(batch: Sequence[Request[Command]], error: BaseException) -> None:
    """What became of these commands could not be found out."""
    for request in batch:
        if request.error is None:
            request.error = StoreBrokenException(
                message=f"a commit was cut short, and so was finding out what became of it "
                f"({error!r}): whether this command was stored, a look at its rows tells"
            )


def _abort(txn: lmdb.Transaction) -> None:
    with contextlib.suppress(lmdb.Error):  # it has ended
        txn.abort()


class Writer:
    """Appends batches of commands to the log. One thread at a time."""

    def __init__(self, log: Log, replica: Replica) -> None:
        self.log = log
        self.replica = replica
        self._commits = 0
        self._batch_bytes = 0

    def write(self, batch: list[Request[Command]]) -> None:
        """Make a batch durable and publish it; what others appended is published before it.

        Sets the result or the error of every request.
        """
        while True:
            txn = self._begin()
            try:
                failpoints.hit("commit.begin")
                self._follow_others(txn)
                applied = self._append(txn, batch)
                if not applied:
                    txn.abort()
                    return
                committed = self._commit(txn, batch)
                break
            except (lmdb.MapFullError, Spoilt) as retry:
                self.replica.own_txnid = 0
                _abort(txn)
                for request in batch:
                    request.result = None  # of an entry that is not there
                self.replica.restore()
                if isinstance(retry, lmdb.MapFullError):
                    self.log.grow()
            except BaseException:
                _abort(txn)
                self.replica.mend()
                raise
        if committed:
            self.replica.publish(applied)
            self.replica.seen_txnid = self.replica.own_txnid

    def write_beside(self, act: Callable[[lmdb.Transaction], T]) -> T:
        """Commit what `act` puts into databases beside the entries."""
        while True:
            txn = self._begin()
            try:
                result = act(txn)
                txnid: int = txn.id()
                failpoints.hit("side.before")
                txn.commit()
                failpoints.hit("side.after")
                break
            except lmdb.MapFullError:
                txn.abort()
                self.log.grow()
            except (lmdb.Error, OSError) as error:
                refusal = self._refusal(error, BESIDE_FATE)
                self.log.reopen()
                raise refusal from error
            except BaseException:
                txn.abort()
                raise
        # A transaction that has put nothing is not committed: the next one gets its id.
        if self.replica.seen_txnid == txnid - 1 and self.log.newest_txnid() == txnid:
            self.replica.seen_txnid = txnid
        return result

    def _begin(self) -> lmdb.Transaction:
        self.log.refuse_replaced_files()
        self.log.prepare_to_write()
        try:
            return self.log.begin(write=True)
        except lmdb.PanicError:
            # A commit that failed was not cleared up: by a thread that was interrupted, say.
            self.log.reopen()
            self.log.prepare_to_write()
            return self.log.begin(write=True)

    def _follow_others(self, txn: lmdb.Transaction) -> None:
        # A write transaction has the id that it will commit as: one more than the newest.
        if txn.id() != self.replica.seen_txnid + 1 or not self.replica.fold.whole:
            self.replica.mend()
            with self.log.reading() as reader:
                self.replica.catch_up(reader)

    def _append(self, txn: lmdb.Transaction, batch: list[Request[Command]]) -> list[Applied]:
        """Append every request that has no error; one that is refused gets its error."""
        applied: list[Applied] = []
        self._batch_bytes = 0
        fold = self.replica.fold
        timestamp = max(time.time_ns(), fold.position.timestamp)
        for request in batch:
            if request.error is not None:
                continue
            done = len(applied)
            try:
                decision = request.command(fold.state)
                last = len(decision.drafts) - 1
                for number, draft in enumerate(decision.drafts):
                    self._batch_bytes += draft.payload.length if draft.payload else 0
                    applied.append(
                        fold.append(
                            self.log,
                            txn,
                            draft,
                            timestamp=timestamp,
                            request=request.request_id,
                            more_follows=number < last,
                        )
                    )
            except ReopenError:
                raise  # the log is not what this handle takes it for
            except MilvusException as refusal:
                request.error = refusal
                if len(applied) > done:
                    raise Spoilt from refusal
                continue
            seq, _, written_at = fold.position
            request.result = Outcome(decision.result, seq, written_at)
        return applied

    def _commit(self, txn: lmdb.Transaction, batch: list[Request[Command]]) -> bool:
        """Commit; False where it raised and its outcome was found out. Raises MapFullError."""
        self.replica.own_txnid = txn.id()
        try:
            failpoints.hit("commit.before")
            txn.commit()
            failpoints.hit("commit.after")
        except lmdb.MapFullError:
            raise  # nothing was written
        except (lmdb.Error, OSError) as error:
            try:
                self.find_out(error, batch)
            except Exception as trouble:
                refuse_unknown(batch, trouble)
                raise
            return False
        self._commits += 1
        if self._commits % READER_CHECK_INTERVAL == 0:
            # Housekeeping: what is committed is committed.
            with contextlib.suppress(lmdb.Error):
                self.log.env.reader_check()
        return True

    def find_out(self, error: BaseException, batch: list[Request[Command]]) -> None:
        """A commit raised or was interrupted, so its outcome is unknown: drop the environment,
        read the log after what is shown, publish what is there, and set the error of every
        request that is not.

        A failed sync is never tried again: the kernel has marked the pages clean.
        """
        self.replica.own_txnid = 0
        self.replica.seen_txnid = NEVER_SEEN
        before = self.replica.shown
        refusal = self._refusal(error)
        self.log.reopen()
        with self.log.reading() as txn:
            stored = {entry.header.request for entry in self.log.scan(before, txn)}
        self.replica.restore()
        with self.log.reading() as txn:
            self.replica.catch_up(txn)
        for request in batch:
            if request.error is not None or request.request_id in stored:
                continue
            # An interrupt may come when all is done: then it is shown, and not after that.
            if request.result is None or request.result.seq > before.seq:
                request.error = refusal

    def _refusal(self, error: BaseException, fate: str = COMMAND_FATE) -> MilvusException:
        full = self._is_disk_full(error)
        what = "no space is left for the log" if full else f"the commit failed ({error!r})"
        kind = DiskFullException if full else CommitFailedException
        return kind(message=f"{what}; {fate}")

    def _is_disk_full(self, error: BaseException) -> bool:
        if says_disk_full(error):
            return True
        data = self.log.folder / "data.mdb"
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        end = data.stat().st_size
        room = free_bytes(self.log.folder)
        if limit != resource.RLIM_INFINITY:
            room = min(room, limit - end)
        return room < SPARE_BYTES + self._batch_bytes
