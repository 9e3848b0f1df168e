"""How operations of the laboratory write rows to a store of walvec, and take them away."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Sequence

import numpy as np

from walvec.crashlab.walvec_hand import SEGMENT_MAX_BYTES, Hand
from walvec.crashlab.walvec_model import (
    ADDED,
    DEFAULT_PARTITION,
    EXPIRES_AFTER,
    added_value,
    keys_written,
    text,
    vector,
    whole_number,
)
from walvec.crashlab.walvec_reading import ADDED as ADDED_ID
from walvec.crashlab.walvec_reading import ID, NUMBER, TEXT, VECTOR
from walvec.segments import commands
from walvec.segments.batch import Batch, batch_of
from walvec.segments.commands import Command, Decision
from walvec.segments.extents import Extents
from walvec.segments.log_rows import read_rows
from walvec.segments.state import State
from walvec.wal import failpoints
from walvec.wal.rows import Column, Rows

PAUSE_S = 0.0002


def write(
    hand: Hand,
    parts: Sequence[Sequence[int]],
    number: int,
    partition: str = DEFAULT_PARTITION,
    *,
    upsert: bool = False,
) -> None:
    """Insert or upsert rows of these keys: an entry for each part, in one transaction."""
    hand.execute(_insertion(hand, parts, number, partition, upsert))


def _insertion(
    hand: Hand,
    parts: Sequence[Sequence[int]],
    number: int,
    partition: str = DEFAULT_PARTITION,
    upsert: bool = False,
) -> Command:
    info = hand.info
    has_added = ADDED in info.schema.by_name
    chunks = [c for keys in parts for c in batch_of(_rows(keys, number, has_added)).chunks]
    batch = Batch(chunks, sum(map(len, parts)), info.partitions[partition])
    return commands.insert(info.id, info.name, [batch], SEGMENT_MAX_BYTES, upsert=upsert)


def _rows(keys: Sequence[int], number: int, has_added: bool) -> Rows:
    numbers = [whole_number(key, number) for key in keys]
    columns = {
        ID: Column(np.array(keys, np.int64)),
        VECTOR: Column(np.array([vector(key, number) for key in keys], np.float32)),
        TEXT: Column.of_texts([text(key, number) for key in keys]),
        NUMBER: Column(np.array(numbers, np.int64)),
    }
    if has_added:
        added = [added_value(key, number) for key in keys]
        columns[ADDED_ID] = Column(np.array(added, np.int64))
    return Rows(len(keys), columns)


def delete(hand: Hand, number: int) -> None:
    """Delete what an operation of this number does."""
    (keys,) = keys_written("delete", number)
    pks = Column(np.array(keys, np.int64))
    hand.execute(commands.delete(hand.info.id, hand.info.name, ID, pks))


def truncate(hand: Hand) -> None:
    """Take all rows away."""
    hand.execute(commands.truncate(hand.info.id, hand.info.name))


def expire(hand: Hand, number: int) -> None:
    """Take away the rows that an operation well before this one has written.

    Not by the clock, which is another in every run: by what the rows say.
    """
    store, info = hand.store, hand.info
    old = store.with_state(lambda state: _entries(state, info.id))
    with store.log.reading() as txn:
        while old and number - _writer(read_rows(store.log, txn, old[-1], info.schema)) < (
            EXPIRES_AFTER
        ):
            old.pop()
    if old:
        hand.execute(commands.expire(info.id, info.name, old[-1]))


def _entries(state: State, number: int) -> list[int]:
    """The seqs of the entries whose rows are there, in order."""
    collection = state.collections[number]
    extents = Extents.joined(s.extents for s in collection.segments.values())
    return sorted({seq for seq, _ in extents if seq > collection.expired})


def _writer(rows: Rows) -> int:
    """The number of the operation that wrote these rows, which their texts say."""
    return int(rows.columns[TEXT].text(0).partition("/")[2])


def write_by_threads(hand: Hand, number: int) -> None:
    """Insert rows by several threads at once: those after the first one queue up while that
    commits, and become one transaction, in their order. Where the first fails they do nothing."""
    first, *others = [_insertion(hand, [keys], number) for keys in keys_written("threads", number)]
    table = hand.info.id
    written = hand.store.with_state(lambda state: state.collections[table].written)
    errors: list[BaseException] = []

    def follow(command: Command) -> Command:
        return lambda state: (
            command(state) if state.collections[table].written > written else Decision([])
        )

    writers = [
        threading.Thread(target=_try, args=(hand, follow(command), errors)) for command in others
    ]

    def lead(state: State) -> Decision:
        for writer in writers:
            if writer.ident is None:  # This may be called again.
                writer.start()
                while writer.is_alive() and not hand.store.has_request_of(writer.ident or 0):
                    writer.join(PAUSE_S)
        return first(state)

    try:
        hand.execute(lead)
    finally:
        for writer in writers:
            if writer.ident is not None:
                writer.join()
    if errors:
        raise errors[0]


def _try(hand: Hand, command: Command, errors: list[BaseException]) -> None:
    try:
        hand.execute(command)
    except BaseException as error:
        errors.append(error)


def write_by_process(hand: Hand, number: int) -> None:
    """Insert rows by a forked process, which opens the store for itself."""
    with warnings.catch_warnings():
        # Python warns of threads: the child uses no lock that one of them may hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        code = 1
        try:
            # Other request ids than the parent's next ones, where chance is frozen.
            os.urandom(1)
            hand.store.close()
            # A failpoint is of the process that is tried, which goes on counting after this.
            with failpoints.recorded():
                write(hand.of_another_process(), keys_written("process", number), number)
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == -signal.SIGKILL:
        # A crash is of everybody, whoever of them was hit.
        os.kill(os.getpid(), signal.SIGKILL)
    if code:
        raise RuntimeError(f"the process that was to insert rows ended with {code}")
