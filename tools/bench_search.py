"""One query at a time against the bare index, at the same parameters on the same vectors."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import annoy
import numpy as np

from walvec import DataType, MilvusClient
from walvec.tools.bench_result import Result, in_turns, rates_by_threads
from walvec.wal.rows import Array

K = 10
EF = 64
ROUNDS = 400


def run(vectors: Array, queries: Array, folder: Path) -> list[Result]:
    """HNSW, HNSW_SQ and ANNOY, two threads, `get`, and a filtered search."""
    results: list[Result] = []
    with MilvusClient(folder, segment_max_bytes=1 << 34) as client:
        for index_type, params in (
            ("HNSW", {"M": 16, "efConstruction": 100}),
            ("HNSW_SQ", {"M": 16, "efConstruction": 100, "sq_type": "SQ8"}),
            ("ANNOY", {"n_trees": 16}),
        ):
            name = index_type.lower()
            _fill(client, name, vectors, index_type, params)
            bare = _bare(vectors, index_type, params)
            results += _single(client, name, queries, index_type, bare)
            if index_type == "HNSW":
                results.append(_two_threads(client, name, queries))
                results += _others(client, name, queries, len(vectors))
            client.release_collection(name)
    return results


def _fill(
    client: MilvusClient, name: str, vectors: Array, index_type: str, params: dict[str, Any]
) -> None:
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
    index = client.prepare_index_params()
    index.add_index("vector", index_type, metric_type="COSINE", params=params)
    client.create_collection(name, schema=schema, index_params=index)
    for start in range(0, len(vectors), 5000):
        part = vectors[start : start + 5000]
        rows = [
            {"id": start + i, "vector": v, "tenth": (start + i) % 10} for i, v in enumerate(part)
        ]
        client.insert(name, rows)
    client.flush(name, wait=True)


def _bare(vectors: Array, index_type: str, params: dict[str, Any]) -> Callable[[Array], object]:
    """The bare library's search of one query."""
    faiss: Any = import_module("faiss")
    dim = vectors.shape[1]
    if index_type == "ANNOY":
        tree = annoy.AnnoyIndex(dim, "angular")
        for i, vector in enumerate(vectors):
            tree.add_item(i, vector)
        tree.build(params["n_trees"], n_jobs=1)
        return lambda query: tree.get_nns_by_vector(query[0], K, 16_000, True)
    if index_type == "HNSW":
        index = faiss.IndexHNSWFlat(dim, params["M"], faiss.METRIC_INNER_PRODUCT)
    else:
        kind = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexHNSWSQ(dim, kind, params["M"], faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = params["efConstruction"]
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    if not index.is_trained:
        index.train(units)
    index.add(units)
    how = faiss.SearchParametersHNSW(efSearch=EF)
    return lambda query: index.search(query, K, params=how)


def _search_params(index_type: str) -> dict[str, Any]:
    return {"search_k": 16_000} if index_type == "ANNOY" else {"ef": EF}


def _single(
    client: MilvusClient,
    name: str,
    queries: Array,
    index_type: str,
    bare: Callable[[Array], object],
) -> list[Result]:
    params = _search_params(index_type)
    turns = {"ours": 0, "bare": 0}

    def query(who: str) -> Array:
        turns[who] += 1
        row = turns[who] % len(queries)
        return queries[row : row + 1]

    ours, theirs = in_turns(
        ROUNDS,
        lambda: client.search(name, query("ours"), limit=K, search_params=params),
        lambda: bare(query("bare")),
    )
    over = (ours - theirs) * 1e6
    target = None if index_type == "ANNOY" else 60.0
    return [
        Result(f"search, 1 query, {index_type}", "us", ours * 1e6, theirs * 1e6, ours / theirs),
        Result(
            f"search, {index_type}, over the bare call", "us", over, None, None, target, "at most"
        ),
    ]


def _two_threads(client: MilvusClient, name: str, queries: Array) -> Result:
    def search(count: int) -> None:
        for i in range(count):
            row = i % len(queries)
            client.search(name, queries[row : row + 1], limit=K, search_params={"ef": EF})

    one, two = rates_by_threads(search, 1500, 7, 1, 2)
    return Result("search, HNSW, 2 threads against 1", "queries/s", two, one, two / one, 1.8)


def _others(client: MilvusClient, name: str, queries: Array, n: int) -> list[Result]:
    ids = iter(np.random.default_rng(1).integers(0, n, ROUNDS * 2).tolist())
    (get,) = in_turns(ROUNDS, lambda: client.get(name, next(ids)))
    plain, filtered = in_turns(
        100,
        lambda: client.search(name, queries[:1], limit=K),
        lambda: client.search(name, queries[:1], "tenth == 3", limit=K),
    )
    return [
        Result("get, 1 pk, all fields", "us", get * 1e6, None, None, 30, "at most"),
        Result(
            "search, HNSW, filter on a dynamic key",
            "us",
            filtered * 1e6,
            plain * 1e6,
            filtered / plain,
        ),
    ]
