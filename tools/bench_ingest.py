"""Durable ingest against bare LMDB puts of the same bytes with the same sync."""

from __future__ import annotations

import struct
from itertools import count
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from walvec import DataType, MilvusClient
from walvec.tools.bench_result import Result, in_turns, rates_by_threads
from walvec.wal.rows import Array

THREADS = 8
ROUNDS = {1: 600, 100: 100, 1000: 40}
TARGETS = {1: 0.7, 1000: 0.6}


def run(vectors: Array, _queries: Array, folder: Path) -> list[Result]:
    """Batches of 1, 100 and 1,000 rows, and single rows from eight threads."""
    with MilvusClient(folder / "store") as client:
        _create(client, vectors.shape[1])
        env = lmdb.open(str(folder / "bare"), map_size=64 << 30, max_dbs=4)
        entries = env.open_db(b"entries")
        results = [
            _batches(client, env, entries, vectors, size, rounds) for size, rounds in ROUNDS.items()
        ]
        env.close()
        results.append(_threads(client, vectors))
    return results


def _create(client: MilvusClient, dim: int) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    client.create_collection("bench", schema=schema)


_numbers = count(1)


def _rows(vectors: Array, size: int) -> list[dict[str, Any]]:
    places = np.random.default_rng(size).integers(0, len(vectors), size)
    return [{"id": next(_numbers), "vector": vectors[i]} for i in places.tolist()]


def _batches(
    client: MilvusClient, env: Any, entries: Any, vectors: Array, size: int, rounds: int
) -> Result:
    rows = [_rows(vectors, size) for _ in range(rounds)]
    turn = iter(rows)
    keys = count(size << 32)
    # What walvec puts: keys, vectors, header and body. The bytes lie ready, as one value.
    value = b"\1" * (size * (8 + 4 * vectors.shape[1]) + 160)

    def bare() -> None:
        with env.begin(write=True) as txn:
            txn.put(struct.pack(">Q", next(keys)), value, db=entries, append=True)

    ours, theirs = in_turns(rounds, lambda: client.insert("bench", next(turn)), bare)
    return Result(
        f"durable insert, {size} rows",
        "rows/s",
        size / ours,
        size / theirs,
        theirs / ours,
        TARGETS.get(size),
    )


def _threads(client: MilvusClient, vectors: Array) -> Result:
    """Single rows: eight threads against one, in turns."""

    def insert(count_of: int) -> None:
        for row in _rows(vectors, count_of):
            client.insert("bench", row)

    one, many = rates_by_threads(insert, 150, 5, 1, THREADS)
    return Result("durable insert, 1 row, 8 threads against 1", "rows/s", many, one, many / one, 3)
