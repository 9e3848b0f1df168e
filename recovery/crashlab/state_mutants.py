"""Faults planted in what is made of the log: the state, the rows in memory, the caches."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import lmdb

from walvec.crashlab.mutant import mutant, replaced
from walvec.recovery import open as opening
from walvec.recovery.checkpoint import newest_state
from walvec.segments import attacher, fold, index_files, loaded
from walvec.segments.apply import apply
from walvec.segments.deaths import died_at
from walvec.segments.files import read_columns, record_of
from walvec.segments.fold import Applied, Fold
from walvec.segments.read_handle import ReadHandle
from walvec.segments.saved_state import decode_state
from walvec.segments.state import FileRecord, State, encode_state, freeze
from walvec.segments.writer import Writer
from walvec.wal.checkpoints import CheckpointUnusable, decode_checkpoint, encode_checkpoint
from walvec.wal.events import Event
from walvec.wal.log import Log, Position
from walvec.wal.rows import Array, Column, Rows


@mutant("files-trusted", "a segment's files are used without a look at their length and digest")
def _files_trusted() -> AbstractContextManager[None]:
    def read_trusting(path: Path, record: FileRecord, *, mapped: bool) -> Rows:
        rows = read_columns(path, record_of(path), mapped=mapped)
        if rows is None:
            raise OSError(f"{path} is empty")  # Who trusts a file has nothing to fall back to.
        return rows

    return replaced(
        (loaded, "read_columns", read_trusting),
        (attacher, "read_columns", read_trusting),
        (index_files, "is_intact", lambda path, record: True),
    )


@mutant("apply-not-replay", "a live apply takes the time from the clock, replay from the entry")
def _apply_not_replay() -> AbstractContextManager[None]:
    append = Fold.append

    def apply_live(state: State, seq: int, timestamp: int, event: Event) -> None:
        apply(state, seq, max(timestamp, time.time_ns()), event)

    def append_live(self: Fold, *args: Any, **named: Any) -> Applied:
        with replaced((fold, "apply", apply_live)):
            return append(self, *args, **named)

    return replaced((Fold, "append", append_live))


@mutant("tombstone-forgotten", "loading a collection forgets the newest of its tombstones")
def _tombstone_forgotten() -> AbstractContextManager[None]:
    def forget(pks: Column, born: Array, deleted: Column, deleted_at: Array) -> Array:
        kept = max(0, len(deleted) - 1)
        return died_at(pks, born, deleted.slice(0, kept), deleted_at[:kept])

    return replaced((loaded, "died_at", forget))


@mutant("stale-view", "a reader takes what it saw last for the newest")
def _stale_view() -> AbstractContextManager[None]:
    return replaced((ReadHandle, "_catch_up", lambda self: None))


@mutant("checkpoint-newer", "a checkpoint is written before the commit that it holds, and trusted")
@contextlib.contextmanager
def _checkpoint_newer() -> Iterator[None]:
    """It is a file beside the log, so that the order is that of the disk."""
    commit = Writer._commit

    def save_and_commit(self: Writer, txn: lmdb.Transaction, batch: Any) -> bool:
        state = self.replica.fold.state
        value = encode_checkpoint(self.replica.fold.position, encode_state(freeze(state)))
        _checkpoint_file(self.log).write_bytes(value)
        return commit(self, txn, batch)

    def trust(log: Log, until: int | None = None) -> tuple[State, Position] | None:
        try:
            value = _checkpoint_file(log).read_bytes()
            checkpoint, body = decode_checkpoint(int.from_bytes(value[8:16], "little"), value)
            return decode_state(body), checkpoint.position
        except (FileNotFoundError, CheckpointUnusable):
            return newest_state(log, until)

    with replaced((Writer, "_commit", save_and_commit), (opening, "newest_state", trust)):
        yield


def _checkpoint_file(log: Log) -> Path:
    return log.folder / "checkpoint"
