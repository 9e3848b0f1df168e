"""A million rows after kill -9: opening, the first search, reading the growing rows back.

The rows come in 10,000 batches; most are in sealed segments, whose files are mapped, the rest in
the growing one, and are read back from the log by the first search.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from walvec.recovery.verify import child_environment
from walvec.tools.bench_result import Result
from walvec.wal.rows import Array

ROWS, BATCHES, DIM = 1_000_000, 10_000, 128
ROUNDS = 5
OPEN_MS, SEARCH_MS, READ_GB_S = 50.0, 500.0, 1.0

MAKE = """
import os, signal, sys
import numpy as np
from walvec import DataType, MilvusClient
folder, rows, batches, dim = sys.argv[1], *map(int, sys.argv[2:])
client = MilvusClient(folder)
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
indexes = client.prepare_index_params()
indexes.add_index("vector", index_type="FLAT", metric_type="L2")
mapped = {"mmap.enabled": "true"}
client.create_collection("c", schema=schema, index_params=indexes, properties=mapped)
rng = np.random.default_rng(0)
size = rows // batches
for first in range(0, rows, size):
    vectors = rng.standard_normal((size, dim), np.float32)
    client.insert("c", [{"id": first + i, "vector": v} for i, v in enumerate(vectors)])
client.wait_for_files()
os.kill(os.getpid(), signal.SIGKILL)
"""

USE = """
import os, signal, sys, time
import numpy as np
from walvec import MilvusClient
from walvec.segments.log_rows import read_segment
query = np.ones((1, int(sys.argv[2])), np.float32)
start = time.perf_counter()
client = MilvusClient(sys.argv[1])
state = client.get_load_state("c")
opened = time.perf_counter()
found = client.search("c", query, limit=10)
searched = time.perf_counter()
assert state["state"].name == "Loaded" and len(found[0]) == 10
store, info = client._store, client.info("c")
segments = store.with_state(lambda state: state.collections[info.id].segments.values())
growing = [segment.extents for segment in segments if not segment.sealed]
payload = sum(e.rows for e in growing) * (4 * int(sys.argv[2]) + 8)
rates = []
for _ in range(3):
    begin = time.perf_counter()
    read = [read_segment(store.log, extents, info.schema) for extents in growing]
    rates.append(payload / (time.perf_counter() - begin) / 1e9)
    del read
print(opened - start, searched - opened, max(rates), len(segments), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def run(_vectors: Array, _queries: Array, folder: Path) -> list[Result]:
    """One store, opened by several processes one after the other, each killed."""
    store = str(folder / "million")
    _child(MAKE, store, ROWS, BATCHES, DIM)
    rounds = [list(map(float, _child(USE, store, DIM).split())) for _ in range(ROUNDS)]
    opened, searched, rate, segments = np.median(rounds, axis=0).tolist()
    what = f"{ROWS:,} rows, {BATCHES:,} batches, {segments:.0f} segments"
    return [
        Result(f"open after kill -9, {what}", "ms", opened * 1e3, None, None, OPEN_MS, "at most"),
        Result("the first search after it", "ms", searched * 1e3, None, None, SEARCH_MS, "at most"),
        Result("growing rows read from the log", "GB/s", rate, None, None, READ_GB_S),
    ]


def _child(code: str, *arguments: object) -> str:
    """What a process that ends by killing itself has printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    return done.stdout
