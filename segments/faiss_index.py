"""Indexes of dense vectors by FAISS: HNSW, HNSW_SQ, IVF_FLAT, IVF_SQ8.

COSINE is the inner product of vectors brought to length 1; the zero vector stays, so that its
similarity to everything is 0. IP on HNSW walks the graph by inner product: turned into L2 by
an added dimension, as Annoy does it, recall@10 fell from 0.96 to 0.34 at ef 64 (20,000 rows
whose norms vary by 30 %).

HNSW and IVF_FLAT keep vectors as the column has them, float16 as float16 and so on, by FAISS'
scalar quantizers that only copy; at length 1 all but float32 are kept as float16, which is then
close and not exact, and the caller ranks by the stored values.

Defaults, measured on sentence embeddings (Debian packages, 384 dimensions, COSINE, 500 held-out
queries): recall@10 and queries a second of one thread, M 16, efConstruction 100,

    rows      HNSW ef 32        ef 64             HNSW_SQ ef 64     nprobe for 0.95 (nlist)
     4,000    0.975  40,300     0.994  24,300     0.994  17,900     20 (64)
    20,000    0.964  17,600     0.981   9,700     0.981  15,400     20 (64) 30 (128) 52 (512)
    62,666    0.955  12,500     0.979   7,800     0.981   7,300     14 (64) 23 (128) 42 (512)

hence ef = max(64, 2 k) and nprobe = 3 sqrt(nlist), where Milvus has k and 8. Of 1,000,000 rows
(mixture of 200 Gaussians of 24 dimensions, mapped to 128) ef 64 / 128 / 192 / 256 find 0.88 /
0.96 / 0.98 / 0.99 of the 10 nearest, hence the growth of ef with the rows.

More than k rows are wanted where a filter lets only some pass (candidates.py). Recall@w with
ef = w is 0.96 to 0.98 for w from 100 to 4,000 of 62,666 packages, and 0.84, 0.88, 0.93, 0.96 for
w = 79, 161, 325, 650 of the 1,000,000 rows: hence ef for k rows, plus 1.5 for each one more.
nprobe grows as the fourth root of w / k: 0.97, 0.98, 0.99, 1.0 for w = 29, 116, 464, 1,856.

The scalar quantizers are given more than k candidates for the caller's exact ranking; at ef 64
that lifts SQ8 from 0.978 to 0.981, SQ6 from 0.963 to 0.980 (half as many more) and SQ4U from
0.877 to 0.978 (as many again).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from walvec.segments import costs, faiss_library
from walvec.segments.stored_vectors import blocks, to_float32
from walvec.wal.errors import CollectionNotLoadedException
from walvec.wal.rows import Array

TINY, HUGE = 1e-30, 1e30
"""Squares beyond these have lost digits in float32."""
BUILD_BLOCK_BYTES = 64 << 20
"""Rows converted to float32 and added at a time."""
FETCH = {"SQ4U": 2.0, "SQ6": 1.5}
"""How many times k rows to fetch for exact ranking, for each coarse quantizer. SQ8 orders rows
so well that half as many more added 0.003 to recall@10 and 8 us to a search."""
LEAST_EF, LEAST_EF_ROWS = 64, 62_500
"""ef by default up to so many rows; for more rows it grows as their fourth root."""
MAX_KEPT = 64
"""Efforts whose FAISS parameters are kept."""
SQ_NAMES = {
    "SQ8": "QT_8bit",
    "SQ6": "QT_6bit",
    "SQ4U": "QT_4bit_uniform",
    "FP16": "QT_fp16",
    "BF16": "QT_bf16",
}
FLOAT32 = np.dtype("f4")
COPIES = {
    np.dtype("f2"): "QT_fp16",
    np.dtype("u2"): "QT_bf16",
    np.dtype("i1"): "QT_8bit_direct_signed",
}
"""The quantizers that keep a column's values as they are."""


def build(
    vectors: Array, index_type: str, metric: str, params: dict[str, Any], seed: int, path: Path
) -> dict[str, Any]:
    """Write the index of `vectors`, (n, dim) of any dense type with n > 0, to `path`.

    Returns the parameters used: `nlist` is lowered where the rows are too few for it. Raises
    ImportError without FAISS; MemoryError and RuntimeError from it.
    """
    faiss = faiss_library.library()
    used = faiss_library.used_params(params, len(vectors))
    code = _code(index_type, metric, used, vectors.dtype)
    with faiss_library.one_thread(faiss):
        seed %= faiss_library.SEEDS
        index = _empty(faiss, index_type, vectors.shape[1], metric, used, code, seed)
        parts = list(blocks(vectors, BUILD_BLOCK_BYTES))
        # Of what does not fit into one block, rows from everywhere.
        index.train(_values(vectors[:: len(parts)], metric))
        for part in parts:
            index.add(_values(vectors[part], metric))
        faiss.write_index(index, str(path))
    return used


def _values(vectors: Array, metric: str) -> Array:
    """What the index is made of, (n, dim) float32 in C order."""
    values = to_float32(np.ascontiguousarray(vectors))
    return _unit(values) if metric == "COSINE" else values


def _code(index_type: str, metric: str, params: dict[str, Any], dtype: np.dtype[Any]) -> str:
    """The scalar quantizer that keeps the vectors; "" for none, which is float32."""
    if index_type == "HNSW_SQ":
        return SQ_NAMES[params["sq_type"]]
    if index_type == "IVF_SQ8":
        return SQ_NAMES["SQ8"]
    if dtype == np.float32:
        return ""
    return "QT_fp16" if metric == "COSINE" else COPIES[dtype]


def _empty(
    faiss: Any,
    index_type: str,
    dim: int,
    metric: str,
    params: dict[str, Any],
    code: str,
    seed: int,
) -> Any:
    """An index that is neither trained nor filled."""
    kind = faiss.METRIC_L2 if metric == "L2" else faiss.METRIC_INNER_PRODUCT
    sq = getattr(faiss.ScalarQuantizer, code) if code else None
    if index_type in ("HNSW", "HNSW_SQ"):
        if sq is None:
            index = faiss.IndexHNSWFlat(dim, params["M"], kind)
        else:
            index = faiss.IndexHNSWSQ(dim, sq, params["M"], kind)
        index.hnsw.efConstruction = params["efConstruction"]
        index.hnsw.rng = faiss.RandomGenerator(seed)
        return index
    coarse = faiss.IndexFlat(dim, kind)
    if sq is None:
        index = faiss.IndexIVFFlat(coarse, dim, params["nlist"], kind)
    else:
        index = faiss.IndexIVFScalarQuantizer(coarse, dim, params["nlist"], sq, kind)
        # The residual of a value to a centroid is not a value of its type.
        index.by_residual = index_type == "IVF_SQ8"
    index.cp.seed = seed
    # The number of rows was decided above; FAISS would print its own opinion of it.
    index.cp.min_points_per_centroid = 1
    return index


def _unit(vectors: Array) -> Array:
    """The vectors at length 1, zero vectors as they are."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    lengths[lengths == 0] = 1.0
    if lengths.max(initial=0.0) > np.finfo(np.float32).max:
        # float32 numbers, the length of which is none.
        return np.asarray(vectors / lengths[:, np.newaxis], dtype=np.float32)
    return np.asarray(vectors / lengths.astype(np.float32)[:, np.newaxis])


def _unit_query(query: Array) -> Array:
    """As `_unit`, of one vector (1, dim), four times faster."""
    # einsum and not dot, which lets go of the GIL: two searching threads lose more by that.
    square = float(np.einsum("ij,ij->", query, query))
    if not TINY < square < HUGE:
        return _unit(query)
    return np.asarray(query * np.float32(1.0 / math.sqrt(square)))


class FaissIndex:
    """A FAISS index in memory, or in a mapped file. See `index.VectorIndex` for the methods."""

    def __init__(
        self,
        path: str | Path,
        n: int,
        dim: int,
        index_type: str,
        metric: str,
        params: dict[str, Any],
        *,
        dtype: np.dtype[Any] = FLOAT32,
        mapped: bool = False,
    ) -> None:
        """dtype: of the column's values. Raises ImportError without FAISS, RuntimeError if it
        cannot read the file, and ValueError if the file holds something else than n rows of
        `dim`."""
        faiss = faiss_library.library()
        self._faiss: Any = faiss
        self._index: Any = faiss_library.read(faiss, str(path), mapped)
        faiss_library.check_size(self._index, n, dim)
        self._n = n
        self._dim = dim
        self._cosine = metric == "COSINE"
        self._is_graph = index_type.startswith("HNSW")
        self._least_ef = math.ceil(LEAST_EF * max(1.0, n / LEAST_EF_ROWS) ** 0.25)
        self._nlist = int(getattr(self._index, "nlist", 0))
        self.exact_scores = index_type in ("HNSW", "IVF_FLAT") and (
            dtype == np.float32 or not self._cosine
        )
        quantizer = str(params.get("sq_type", ""))
        self._fetch = FETCH.get(quantizer, 1.0)
        self._efforts: dict[int, Any] = {}

    def search(
        self, queries: Array, wanted: int, params: dict[str, Any], k: int
    ) -> tuple[Array, Array | None]:
        """As `index.VectorIndex.search`. Holds no lock, and not the GIL while FAISS works."""
        index = self._index
        if index is None:
            raise CollectionNotLoadedException(message="the index was released during the search")
        if self._cosine:
            queries = _unit_query(queries) if len(queries) == 1 else _unit(queries)
        wanted = min(self._n, math.ceil(wanted * self._fetch))
        how = self._how(self._effort(wanted, params, k))
        positions, scores = faiss_library.ask(index, queries, wanted, how)
        return positions, scores if self.exact_scores else None

    def cost(self, wanted: int, params: dict[str, Any], k: int) -> float:
        """As `index.VectorIndex.cost`."""
        effort = self._effort(min(self._n, math.ceil(wanted * self._fetch)), params, k)
        if self._is_graph:
            return costs.graph_us(effort, self._n, self._dim)
        return costs.lists_us(self._nlist + effort / self._nlist * self._n, self._dim)

    def effort(self, wanted: int, params: dict[str, Any], k: int) -> dict[str, int]:
        """As `index.VectorIndex.effort`."""
        name = "ef" if self._is_graph else "nprobe"
        return {name: self._effort(min(self._n, math.ceil(wanted * self._fetch)), params, k)}

    def _effort(self, wanted: int, params: dict[str, Any], k: int) -> int:
        """The ef or nprobe by which `wanted` rows are found."""
        if self._is_graph:
            ef = int(params.get("ef") or max(self._least_ef, 2 * k))
            return max(wanted, ef + 3 * (wanted - k) // 2)
        nprobe = params.get("nprobe") or math.ceil(3 * math.sqrt(self._nlist))
        return min(int(nprobe * max(1.0, wanted / k) ** 0.25), self._nlist)

    def _how(self, effort: int) -> Any:
        """FAISS' parameters, kept: making them costs 10 microseconds."""
        how = self._efforts.get(effort)
        if how is None:
            if self._is_graph:
                how = self._faiss.SearchParametersHNSW(efSearch=effort)
            else:
                how = self._faiss.SearchParametersIVF(nprobe=effort)
            if len(self._efforts) < MAX_KEPT:
                self._efforts[effort] = how
        return how

    def close(self) -> None:
        """Free the memory, at once or when the searches under way have ended."""
        self._index = None
