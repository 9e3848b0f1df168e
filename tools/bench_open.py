"""Opening a store against the length of its history."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from walvec import DataType, MilvusClient
from walvec.tools.bench_result import Result
from walvec.wal.rows import Array

HISTORIES = (10, 100, 1_000, 10_000)
ROWS_PER_EVENT = 5
ROUNDS = 7


def run(vectors: Array, _queries: Array, folder: Path) -> list[Result]:
    """Stores of 10 to 10,000 events with five rows each, nothing loaded."""
    return [_open(vectors, folder / str(events), events) for events in HISTORIES]


def _open(vectors: Array, folder: Path, events: int) -> Result:
    with MilvusClient(folder, durability="last-transaction") as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True, auto_id=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
        client.create_collection("bench", schema=schema)
        rows = [{"vector": vector} for vector in vectors[:ROWS_PER_EVENT]]
        for _ in range(events):
            client.insert("bench", rows)
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        client = MilvusClient(folder)
        seconds.append(time.perf_counter() - start)
        client.close()
    target = 100.0 if events == HISTORIES[-1] else None
    name = f"open, {events:,} events, {events * ROWS_PER_EVENT:,} rows"
    return Result(name, "ms", float(np.median(seconds)) * 1e3, None, None, target, "at most")
