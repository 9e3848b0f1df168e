"""What it costs to be one of many processes: the look for news that comes before every read, and
the writer lock of every commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from walvec import MilvusClient
from walvec.tools.bench_result import Result
from walvec.wal.rows import Array
from walvec.wal.writer_lock import WriterLock

ROUNDS, CALLS = 9, 20_000
TARGET_US = 5.0


def run(_vectors: Array, _queries: Array, folder: Path) -> list[Result]:
    """Microseconds of one look where there is nothing new, and of taking the lock."""
    with MilvusClient(folder / "replica") as client:
        client.create_collection("c", dimension=4)
        client.insert("c", [{"id": 1, "vector": [0.0] * 4}])
        client.wait_for_files()
        store = client._store
        looks = _microseconds(store.current)
    lock = WriterLock(folder / "writer.lock", 0)
    locks = _microseconds(lambda: _take(lock))
    lock.close()
    return [
        Result("a look for news, nothing new", "us", looks, None, None, TARGET_US, "at most"),
        Result("the writer lock, taken and given back", "us", locks),
    ]


def _take(lock: WriterLock) -> None:
    with lock.held():
        pass


def _microseconds(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        seconds.append((time.perf_counter() - start) / CALLS)
    return float(np.median(seconds)) * 1e6
