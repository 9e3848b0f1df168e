"""The data model: mixed columns, filters, keys and rows against numpy, bare indexes and a peer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from walvec import DataType, MilvusClient
from walvec.convert import columns_of
from walvec.tools.bench_result import Result, in_turns
from walvec.wal.rows import Array

BATCH = 1_000
MANY = 1_000_000
PART = 100_000
FIELDS = ["i", "j", "f", "d", "b", "s", "a", "m"]


def run(vectors: Array, queries: Array, folder: Path) -> list[Result]:
    """Ingest with 8 scalar fields, a filter and `get` on 1,000,000 rows, a filtered search, and
    rows of 8 fields."""
    with MilvusClient(folder / "store", segment_max_bytes=1 << 34) as client:
        results = [_ingest(client, vectors)]
        _fill_many(client)
        results += [_filter(client), _get(client)]
        client.release_collection("many")
        results.append(_filtered_search(client, vectors, queries))
        results += _rows(client)
    return results


def _schema(client: Any, types: Any, dim: int, *, scalars: bool) -> Any:
    schema = client.create_schema()
    schema.add_field("id", types.INT64, is_primary=True)
    schema.add_field("vector", types.FLOAT_VECTOR, dim=dim)
    if scalars:
        schema.add_field("i", types.INT32)
        schema.add_field("j", types.INT64)
        schema.add_field("f", types.FLOAT)
        schema.add_field("d", types.DOUBLE)
        schema.add_field("b", types.BOOL)
        schema.add_field("s", types.VARCHAR, max_length=64)
        schema.add_field("a", types.ARRAY, element_type=types.INT64, max_capacity=8)
        schema.add_field("m", types.JSON)
    return schema


def _batches(vectors: Array, *, scalars: bool) -> Iterator[list[dict[str, Any]]]:
    for batch in count():
        rows: list[dict[str, Any]] = []
        for i in range(batch * BATCH, (batch + 1) * BATCH):
            row: dict[str, Any] = {"id": i, "vector": vectors[i % len(vectors)]}
            if scalars:
                row |= {"i": i % 100, "j": i, "f": i / 7, "d": i / 3, "b": i % 2 == 0}
                row |= {"s": f"row number {i}", "a": [i, i + 1], "m": {"n": i, "t": "x"}}
            rows.append(row)
        yield rows


def _ingest(client: MilvusClient, vectors: Array) -> Result:
    dim = vectors.shape[1]
    client.create_collection("mixed", schema=_schema(client, DataType, dim, scalars=True))
    client.create_collection("plain", schema=_schema(client, DataType, dim, scalars=False))
    mixed, plain = _batches(vectors, scalars=True), _batches(vectors, scalars=False)
    ready = [(next(mixed), next(plain)) for _ in range(30)]
    first, second = iter(ready), iter(ready)
    ours, bare = in_turns(
        len(ready),
        lambda: client.insert("mixed", next(first)[0]),
        lambda: client.insert("plain", next(second)[1]),
    )
    name = "durable insert, 1000 rows of 8 scalar fields"
    return Result(name, "rows/s", BATCH / ours, BATCH / bare, bare / ours, 0.5)


def _fill_many(client: MilvusClient) -> None:
    schema = _schema(client, DataType, 4, scalars=False).add_field("number", DataType.INT64)
    index = client.prepare_index_params("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("many", schema=schema, index_params=index)
    info = client.info("many")
    random = np.random.default_rng(0)
    for start in range(0, MANY, PART):
        ids = np.arange(start, start + PART)
        numbers = random.integers(0, MANY, PART)
        data = [ids, random.random((PART, 4), np.float32), numbers]
        client.write_rows(info, columns_of(data, info.schema, "many"), None, upsert=False)
    client.flush("many", wait=True)


def _filter(client: MilvusClient) -> Result:
    """Counting by a comparison, half of the rows, against numpy on the same column."""
    column = np.random.default_rng(1).integers(0, MANY, MANY)
    half = MANY // 2
    expression = f"number < {half}"
    ours, bare = in_turns(
        40,
        lambda: client.query("many", expression, output_fields=["count(*)"]),
        lambda: np.count_nonzero(column < half),
    )
    name = "count by an int filter, 1,000,000 rows"
    return Result(name, "us", ours * 1e6, bare * 1e6, ours / bare, 3, "at most")


def _get(client: MilvusClient) -> Result:
    ids = iter(np.random.default_rng(2).integers(0, MANY, 2_000).tolist())
    (seconds,) = in_turns(1_000, lambda: client.get("many", next(ids)))
    return Result("get, 1 pk of 1,000,000", "us", seconds * 1e6, None, None, 50, "at most")


def _filtered_search(client: MilvusClient, vectors: Array, queries: Array) -> Result:
    schema = _schema(client, DataType, vectors.shape[1], scalars=False)
    schema.add_field("number", DataType.INT64)
    index = client.prepare_index_params("vector", index_type="HNSW", metric_type="COSINE")
    client.create_collection("hnsw", schema=schema, index_params=index)
    info = client.info("hnsw")
    numbers = np.random.default_rng(3).integers(0, 100, len(vectors))
    for start in range(0, len(vectors), 5_000):
        stop = min(start + 5_000, len(vectors))
        data = [np.arange(start, stop), vectors[start:stop], numbers[start:stop]]
        client.write_rows(info, columns_of(data, info.schema, "hnsw"), None, upsert=False)
    client.flush("hnsw", wait=True)
    turn = count()

    def search(expression: str) -> None:
        row = next(turn) % len(queries)
        client.search("hnsw", queries[row : row + 1], expression, limit=10)

    ours, bare = in_turns(200, lambda: search("number == 7"), lambda: search(""))
    name = "search, HNSW, filter of 1 %, against none"
    return Result(name, "us", ours * 1e6, bare * 1e6, ours / bare, 2, "at most")


def _rows(client: MilvusClient) -> list[Result]:
    """1,000 rows of 8 fields, from walvec and from milvus-lite through pymilvus."""
    actions: list[Callable[[], object]] = [_reading(client, DataType)]
    try:
        peer: Any = import_module("pymilvus")
        import_module("milvus_lite")
    except ImportError:
        (ours,) = in_turns(20, *actions)
        return [Result("query, 1000 rows of 8 fields (no peer here)", "us", ours * 1e6)]
    with tempfile.TemporaryDirectory(prefix="walvec-bench-") as folder:
        other = peer.MilvusClient(str(Path(folder) / "peer.db"))
        try:
            actions.append(_reading(other, peer.DataType))
            ours, theirs = in_turns(20, *actions)
        finally:
            other.close()
    name = "query, 1000 rows of 8 fields, milvus-lite"
    return [Result(name, "us", ours * 1e6, theirs * 1e6, theirs / ours, 10)]


def _reading(client: Any, types: Any) -> Callable[[], object]:
    """A collection of 5,000 rows, and what reads 1,000 of them."""
    vectors = np.random.default_rng(4).random((100, 8), np.float32)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    schema = _schema(client, types, 8, scalars=True)
    client.create_collection("rows", schema=schema, index_params=index)
    batches = _batches(vectors, scalars=True)
    for _ in range(5):
        client.insert("rows", [{**r, "vector": r["vector"].tolist()} for r in next(batches)])
    client.load_collection("rows")

    def read() -> None:
        found = client.query("rows", "j >= 2000 and j < 3000", output_fields=FIELDS)
        assert len(found) == BATCH, f"{len(found)} rows, not {BATCH}"

    return read
