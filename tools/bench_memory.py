"""Resident memory after load and after release, against the bytes of the vectors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from walvec import DataType, MilvusClient
from walvec.tools.bench_result import Result
from walvec.wal.rows import Array

ROWS = 60_000

# A process of its own: what this one has touched before must not count.
MEASURE = """
import json, sys
import annoy, faiss  # what a library takes stays, and is not the rows
from walvec import MilvusClient
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
client = MilvusClient(sys.argv[1], segment_max_bytes=1 << 34)
before = resident()
client.load_collection("bench")
loaded = resident()
client.search("bench", [json.loads(sys.argv[2])], limit=10)
client.release_collection("bench")
print(json.dumps([before, loaded, resident()]))
"""


def run(vectors: Array, queries: Array, folder: Path) -> list[Result]:
    """60,000 rows (repeated as need be) with FLAT, ANNOY and HNSW."""
    results = []
    for index_type in ("FLAT", "ANNOY", "HNSW"):
        results += _measure(vectors, queries, folder / index_type, index_type)
    return results


def _measure(vectors: Array, queries: Array, folder: Path, index_type: str) -> list[Result]:
    with MilvusClient(folder, segment_max_bytes=1 << 34) as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True, auto_id=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
        client.create_collection("bench", schema=schema)
        index = client.prepare_index_params()
        index.add_index("vector", index_type, metric_type="COSINE")
        client.create_index("bench", index)
        for start in range(0, ROWS, 4000):
            rows = [vectors[i % len(vectors)] for i in range(start, min(start + 4000, ROWS))]
            client.insert("bench", [{"vector": row} for row in rows])
        client.flush("bench", wait=True)
    query = json.dumps(queries[0].tolist())
    command = [sys.executable, "-c", MEASURE, str(folder), query]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    before, loaded, released = json.loads(found.stdout)
    size = ROWS * vectors.shape[1] * 4
    mb = 1 << 20
    return [
        Result(
            f"resident after load, {index_type}",
            "MiB",
            (loaded - before) / mb,
            size / mb,
            (loaded - before) / size,
        ),
        Result(
            f"resident after release, {index_type}",
            "MiB",
            (released - before) / mb,
            size / mb,
            (released - before) / size,
            0.1,
            "at most",
        ),
    ]
