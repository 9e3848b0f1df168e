"""Resident memory after load and after release, against the bytes of the vectors; and what
several processes on one store have together, whose sealed segments are mapped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from walvec import DataType, MilvusClient
from walvec.tools.bench_result import Result
from walvec.wal.rows import Array

ROWS = 60_000
PROCESSES = 4
SEGMENT_BYTES = 16 << 20
MIB = 1 << 20

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

# One of several. It says when it is there, and looks when all are: what is proportional depends
# on the others.
SHARE = """
import json, sys
import annoy, faiss
from walvec import MilvusClient
def memory():
    sys.stdin.readline()
    with open("/proc/self/smaps_rollup") as file:
        sizes = dict(line.split()[:2] for line in list(file)[1:])
    print(json.dumps([int(sizes["Rss:"]) * 1024, int(sizes["Pss:"]) * 1024]), flush=True)
print(json.dumps("there"), flush=True)
memory()
client = MilvusClient(sys.argv[1], read_only=True)
params = {} if len(sys.argv) < 4 else {"params": json.loads(sys.argv[3])}
client.search("bench", [json.loads(sys.argv[2])], limit=10, search_params=params)
print(json.dumps("searched"), flush=True)
memory()
sys.stdin.readline()  # ends when all have looked
client.close()
"""


def run(vectors: Array, queries: Array, folder: Path) -> list[Result]:
    """60,000 rows (repeated as need be) with FLAT, ANNOY and HNSW."""
    results = []
    for index_type in ("FLAT", "ANNOY", "HNSW"):
        results += _measure(vectors, queries, folder / index_type, index_type)
    for index_type in ("ANNOY", "HNSW"):
        results += _measure_shared(vectors, queries, folder / f"shared-{index_type}", index_type)
    return results


def _fill(vectors: Array, folder: Path, index_type: str, segment_bytes: int, mapped: bool) -> None:
    """A loaded collection of ROWS rows in a store."""
    with MilvusClient(folder, segment_max_bytes=segment_bytes) as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True, auto_id=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
        properties = {"mmap.enabled": "true"} if mapped else {}
        client.create_collection("bench", schema=schema, properties=properties)
        index = client.prepare_index_params()
        index.add_index("vector", index_type, metric_type="COSINE")
        client.create_index("bench", index)
        for start in range(0, ROWS, 4000):
            rows = [vectors[i % len(vectors)] for i in range(start, min(start + 4000, ROWS))]
            client.insert("bench", [{"vector": row} for row in rows])
        client.flush("bench", wait=True)
        if mapped:
            client.load_collection("bench")


def _measure(vectors: Array, queries: Array, folder: Path, index_type: str) -> list[Result]:
    _fill(vectors, folder, index_type, 1 << 34, mapped=False)
    query = json.dumps(queries[0].tolist())
    command = [sys.executable, "-c", MEASURE, str(folder), query]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    before, loaded, released = json.loads(found.stdout)
    size = ROWS * vectors.shape[1] * 4
    return [
        Result(
            f"resident after load, {index_type}",
            "MiB",
            (loaded - before) / MIB,
            size / MIB,
            (loaded - before) / size,
        ),
        Result(
            f"resident after release, {index_type}",
            "MiB",
            (released - before) / MIB,
            size / MIB,
            (released - before) / size,
            0.1,
            "at most",
        ),
    ]


def _measure_shared(vectors: Array, queries: Array, folder: Path, index_type: str) -> list[Result]:
    """What 1 and 4 reading processes have, resident and proportional, once they have searched."""
    _fill(vectors, folder, index_type, SEGMENT_BYTES, mapped=True)
    query = json.dumps(queries[0].tolist())
    # By its index: of segments of this size Annoy's is else left aside.
    params = ['{"search_k": 20000}'] if index_type == "ANNOY" else []
    one = _memory_of(1, [str(folder), query, *params])
    all_of_them = _memory_of(PROCESSES, [str(folder), query, *params])
    size = ROWS * vectors.shape[1] * 4
    results = []
    for what, place in (("resident", 0), ("proportional", 1)):
        for number, found in ((1, one), (PROCESSES, all_of_them)):
            total = sum(process[place] for process in found)
            results.append(
                Result(
                    f"{what}, {number} mapped, {index_type}",
                    "MiB",
                    total / MIB,
                    size / MIB,
                    total / size,
                )
            )
    single, total = one[0][1], sum(process[1] for process in all_of_them)
    name = f"proportional, {PROCESSES} against 1, {index_type}"
    results.append(Result(name, "MiB", total / MIB, single / MIB, total / single, 1.25, "at most"))
    return results


def _memory_of(number: int, arguments: list[str]) -> list[tuple[int, int]]:
    """Bytes resident and proportional of processes that run at the same time: what each has more
    after its search than before it opened the store."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", SHARE, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    before, after = _look(children), _look(children)
    for child in children:
        child.communicate()
    return [(b[0] - a[0], b[1] - a[1]) for a, b in zip(before, after, strict=True)]


def _look(children: list[subprocess.Popen[str]]) -> list[list[int]]:
    """Resident and proportional bytes of all, once all have come to their next stop."""
    pipes = [(child.stdin, child.stdout) for child in children]
    for _, answers in pipes:
        assert answers is not None and answers.readline(), "a process has ended"
    found = []
    for requests, answers in pipes:
        assert requests is not None and answers is not None
        requests.write("\n")
        requests.flush()
        found.append(json.loads(answers.readline()))
    return found
