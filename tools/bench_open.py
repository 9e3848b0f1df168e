"""Opening a store that was killed, against the length of its history."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from walvec import DataType, MilvusClient
from walvec.recovery.open import LOG
from walvec.recovery.verify import child_environment
from walvec.segments.batch import Batch, batch_of
from walvec.segments.commands import SEGMENT_MAX_BYTES, insert
from walvec.segments.fold import Fold
from walvec.segments.state import encode_state
from walvec.tools.bench_result import Result
from walvec.wal.checkpoints import encode_checkpoint, put_checkpoint
from walvec.wal.log import Log
from walvec.wal.rows import Array, Column, Rows
from walvec.wal.schema import Schema

HISTORIES = (1_000, 10_000, 100_000)
ROWS_PER_EVENT = 5
DIM = 8
SINCE_CHECKPOINT = 500
"""Half of what lies between two checkpoints: what an open has to replay on the average."""
EVENTS_PER_TRANSACTION = 1_000
ROUNDS = 9
TARGET_MS = 50.0
FLAT = 1.5
"""What the longest history may cost more than the shortest."""
NAME = "bench"

OPEN_AND_DIE = """
import os, signal, sys, time
from walvec import MilvusClient
start = time.perf_counter()
client = MilvusClient(sys.argv[1])
state = client.get_load_state(sys.argv[2])
seconds = time.perf_counter() - start
assert state["state"].name == "Loaded", state
print(seconds, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def run(_vectors: Array, _queries: Array, folder: Path) -> list[Result]:
    """Stores of 1,000 to 100,000 small batches, in turns: a process opens one, asks for the load
    state, and is killed."""
    for events in HISTORIES:
        _write(folder / str(events), events)
    rounds = [[_open_ms(folder / str(events)) for events in HISTORIES] for _ in range(ROUNDS)]
    medians = [float(value) for value in np.median(rounds, axis=0)]
    results = [
        Result(f"open after kill -9, {events:,} events", "ms", ms, None, None, TARGET_MS, "at most")
        for events, ms in zip(HISTORIES, medians, strict=True)
    ]
    name = f"{HISTORIES[-1]:,} events against {HISTORIES[0]:,}"
    ratio = medians[-1] / medians[0]
    flat = Result(name, "ms", medians[-1], medians[0], ratio, FLAT, "at most")
    return [*results, flat]


def _write(folder: Path, events: int) -> None:
    """A store of a loaded collection and so many batches, none sealed, as a kill leaves it: the
    newest checkpoint is some events old."""
    with MilvusClient(folder) as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
        indexes = client.prepare_index_params()
        indexes.add_index("vector", "FLAT", metric_type="L2")
        client.create_collection(NAME, schema=schema, index_params=indexes)
        client.load_collection(NAME)
        info = client.info(NAME)
    log = Log(folder / LOG, durability="last-transaction")
    try:
        fold = Fold()
        fold.restore(log)
        before = events - SINCE_CHECKPOINT
        for done in range(0, before, EVENTS_PER_TRANSACTION):
            count = min(EVENTS_PER_TRANSACTION, before - done)
            _append(log, fold, info.id, info.schema, count)
        _save(log, fold)
        _append(log, fold, info.id, info.schema, SINCE_CHECKPOINT)
    finally:
        log.close()


def _append(log: Log, fold: Fold, collection: int, schema: Schema, events: int) -> None:
    """Some batches in one transaction, each an insert of its own."""
    with log.begin(write=True) as txn:
        for number in range(events):
            command = insert(collection, NAME, [_batch(schema, number)], SEGMENT_MAX_BYTES)
            for draft in command(fold.state).drafts:
                fold.append(
                    log,
                    txn,
                    draft,
                    timestamp=fold.position.timestamp + 1,
                    request=os.urandom(16),
                    more_follows=False,
                )


def _batch(schema: Schema, number: int) -> Batch:
    vectors = np.full((ROWS_PER_EVENT, DIM), number, np.float32)
    ids = np.arange(ROWS_PER_EVENT, dtype=np.int64) + number * ROWS_PER_EVENT
    columns = {field.id: Column(vectors if field.is_vector else ids) for field in schema.fields}
    return batch_of(Rows(ROWS_PER_EVENT, columns))


def _save(log: Log, fold: Fold) -> None:
    value = encode_checkpoint(fold.position, encode_state(fold.state))
    with log.begin(write=True) as txn:
        assert put_checkpoint(log, txn, value), "it is the newest"


def _open_ms(folder: Path) -> float:
    """Milliseconds of an open and the load state, in a process that is then killed."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN_AND_DIE, str(folder), NAME],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return float(done.stdout) * 1e3
