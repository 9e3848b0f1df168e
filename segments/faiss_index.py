"""Indexes by FAISS: HNSW, HNSW_SQ, IVF_FLAT, IVF_SQ8.

COSINE is the inner product of vectors brought to length 1; the zero vector stays, so that its
similarity to everything is 0. IP on HNSW walks the graph by inner product: turned into L2 by
an added dimension, as Annoy does it, recall@10 fell from 0.96 to 0.34 at ef 64 (20,000 rows
whose norms vary by 30 %).

FAISS' switches are per process, and the process is the user's: ef, nprobe and masks go along
with each search, and the number of OpenMP threads is changed only around a build, whose place
is the builder's process. A search with one query starts no thread. One with several does, but
not in a forked process: there OpenMP waits for ever for threads that the fork left behind.

Defaults, measured on sentence embeddings (Debian packages, 384 dimensions, COSINE, 500 held-out
queries): recall@10 and queries a second of one thread, M 16, efConstruction 100,

    rows      HNSW ef 32        ef 64             HNSW_SQ ef 64     nprobe for 0.95 (nlist)
     4,000    0.975  40,300     0.994  24,300     0.994  17,900     20 (64)
    20,000    0.964  17,600     0.981   9,700     0.981  15,400     20 (64) 30 (128) 52 (512)
    62,666    0.955  12,500     0.979   7,800     0.981   7,300     14 (64) 23 (128) 42 (512)

hence ef = max(64, 2 k) and nprobe = 3 sqrt(nlist), where Milvus has k and 8. The scalar
quantizers are given more than k candidates for the caller's exact ranking; at ef 64 that lifts
SQ8 from 0.978 to 0.981, SQ6 from 0.963 to 0.980 (half as many more) and SQ4U from 0.877 to
0.978 (as many again).
"""

from __future__ import annotations

import importlib
import math
import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from walvec.segments.gaps import has_gap
from walvec.wal.errors import CollectionNotLoadedException
from walvec.wal.rows import Array

MIN_ROWS_PER_LIST = 39
"""As Milvus' knowhere: with fewer rows for each centroid, nlist is lowered to n // 39."""
SEEDS = 2**31
MAX_GROWN_EF = 4_096
"""A graph that does not lead to k rows with this ef is left to the exact scan."""
TINY, HUGE = 1e-30, 1e30
"""Squares beyond these have lost digits in float32."""
FETCH = {"SQ4U": 2.0, "SQ6": 1.5}
"""How many times k rows to fetch for exact ranking, for each coarse quantizer. SQ8 orders rows
so well that half as many more added 0.003 to recall@10 and 8 us to a search."""
SQ_NAMES = {
    "SQ8": "QT_8bit",
    "SQ6": "QT_6bit",
    "SQ4U": "QT_4bit_uniform",
    "FP16": "QT_fp16",
    "BF16": "QT_bf16",
}

_forked = False


def _library() -> Any:
    """FAISS. Raises ImportError without it.

    It is imported by a thread: an interrupt, which comes to the main thread alone, would leave it
    half imported, and unusable until the process ends.
    """
    if "faiss" not in sys.modules:
        thread = Thread(target=_import, name="walvec-import", daemon=True)
        thread.start()
        thread.join()
    return importlib.import_module("faiss")


def _import() -> None:
    with suppress(ImportError):  # raised again where it is caught
        importlib.import_module("faiss")


def _note_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_note_fork)


def build(
    vectors: Array, index_type: str, metric: str, params: dict[str, Any], seed: int, path: Path
) -> dict[str, Any]:
    """Write the index of `vectors`, (n, dim) float32 with n > 0, to `path`.

    Returns the parameters used: `nlist` is lowered where the rows are too few for it. Raises
    ImportError without FAISS; MemoryError and RuntimeError from it.
    """
    faiss = _library()
    if metric == "COSINE":
        vectors = _unit(vectors)
    vectors = np.ascontiguousarray(vectors, np.float32)
    used = dict(params)
    if "nlist" in used:
        used["nlist"] = min(int(used["nlist"]), max(1, len(vectors) // MIN_ROWS_PER_LIST))
    threads = faiss.omp_get_max_threads()
    # More threads would insert in another order and give other bytes.
    faiss.omp_set_num_threads(1)
    try:
        index = _empty(faiss, index_type, vectors.shape[1], metric, used, seed % SEEDS)
        index.train(vectors)
        index.add(vectors)
        faiss.write_index(index, str(path))
    finally:
        faiss.omp_set_num_threads(threads)
    return used


def _empty(
    faiss: Any, index_type: str, dim: int, metric: str, params: dict[str, Any], seed: int
) -> Any:
    """An index that is neither trained nor filled."""
    kind = faiss.METRIC_L2 if metric == "L2" else faiss.METRIC_INNER_PRODUCT
    if index_type in ("HNSW", "HNSW_SQ"):
        if index_type == "HNSW":
            index = faiss.IndexHNSWFlat(dim, params["M"], kind)
        else:
            sq = getattr(faiss.ScalarQuantizer, SQ_NAMES[params["sq_type"]])
            index = faiss.IndexHNSWSQ(dim, sq, params["M"], kind)
        index.hnsw.efConstruction = params["efConstruction"]
        index.hnsw.rng = faiss.RandomGenerator(seed)
        return index
    coarse = faiss.IndexFlat(dim, kind)
    if index_type == "IVF_FLAT":
        index = faiss.IndexIVFFlat(coarse, dim, params["nlist"], kind)
    else:
        sq = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(coarse, dim, params["nlist"], sq, kind)
    index.cp.seed = seed
    # The number of rows was decided above; FAISS would print its own opinion of it.
    index.cp.min_points_per_centroid = 1
    return index


def _unit(vectors: Array) -> Array:
    """The vectors at length 1, zero vectors as they are."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    lengths[lengths == 0] = 1.0
    return np.asarray(vectors / lengths.astype(np.float32)[:, np.newaxis])


def _unit_query(query: Array) -> Array:
    """As `_unit`, of one vector (1, dim), four times faster."""
    # einsum and not dot, which lets go of the GIL: two searching threads lose more by that.
    square = float(np.einsum("ij,ij->", query, query))
    if not TINY < square < HUGE:
        return _unit(query)
    return np.asarray(query * np.float32(1.0 / math.sqrt(square)))


def _read(faiss: Any, path: str, mapped: bool) -> Any:
    """The index in a file, in memory; or `mapped`: codes, lists and graph stay in the file, and
    its pages are shared by all processes. Measured, 60,000 rows of 128 dimensions, private
    memory after 200 searches: HNSW 39 -> 2.5 MiB, HNSW_SQ 17 -> 2.5, IVF_FLAT 32 -> 1.8, IVF_SQ8
    9.6 -> 1.8. A search by HNSW takes as long as before, one by IVF 10 to 20 % longer."""
    # Without copies since FAISS 1.11; IO_FLAG_MMAP, which is older, maps IVF lists alone.
    flag = getattr(faiss, "IO_FLAG_MMAP_IFC", 0)
    return faiss.read_index(path, flag) if mapped and flag else faiss.read_index(path)


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
        mapped: bool = False,
    ) -> None:
        """Raises ImportError without FAISS, RuntimeError if it cannot read the file, and
        ValueError if the file holds something else than n rows of `dim`."""
        faiss = _library()
        self._faiss: Any = faiss
        self._index: Any = _read(faiss, str(path), mapped)
        if (self._index.ntotal, self._index.d) != (n, dim):
            raise ValueError(
                f"holds {self._index.ntotal} rows of dim {self._index.d}, not {n} of {dim}"
            )
        self._n = n
        self._cosine = metric == "COSINE"
        self._is_graph = index_type.startswith("HNSW")
        self._nlist = int(getattr(self._index, "nlist", 0))
        self.exact_scores = index_type in ("HNSW", "IVF_FLAT")
        quantizer = str(params.get("sq_type", "" if self.exact_scores else "SQ8"))
        self._fetch = FETCH.get(quantizer, 1.0)
        self._efforts: dict[int, Any] = {}

    def candidates(self, k: int) -> int:
        """How many rows to ask for so that the k best are among them after exact re-ranking."""
        return math.ceil(k * self._fetch)

    def search(
        self, queries: Array, k: int, params: dict[str, Any], alive: Array | None = None
    ) -> tuple[Array, Array | None]:
        """As `index.VectorIndex.search`. Holds no lock, and not the GIL while FAISS works."""
        index = self._index
        if index is None:
            raise CollectionNotLoadedException(message="the index was released during the search")
        if self._cosine:
            queries = _unit_query(queries) if len(queries) == 1 else _unit(queries)
        count = self._n if alive is None else int(np.count_nonzero(alive))
        last = min(k, count) - 1
        selector = None
        if alive is not None:
            selector = self._faiss.IDSelectorBitmap(np.packbits(alive, bitorder="little"))
        effort, most = self._effort(k, count, params)
        positions, scores = self._ask(index, queries, k, effort, selector)
        while last >= 0 and effort < most and has_gap(positions, last):
            effort = min(4 * effort, most)
            positions, scores = self._ask(index, queries, k, effort, selector)
        return positions, scores if self.exact_scores else None

    def _effort(self, k: int, count: int, params: dict[str, Any]) -> tuple[int, int]:
        """The ef or nprobe to begin with, and the most to grow to until k rows are found."""
        if not self._is_graph:
            nprobe = params.get("nprobe") or math.ceil(3 * math.sqrt(self._nlist))
            return min(int(nprobe), self._nlist), self._nlist
        ef = max(k, int(params.get("ef") or max(64, 2 * k)))
        if 0 < count < self._n:
            # The walk's ef counts rows whether selected or not.
            ef = min(self._n, ef * self._n // count)
        return ef, max(ef, min(self._n, MAX_GROWN_EF))

    def _ask(
        self, index: Any, queries: Array, k: int, effort: int, selector: Any
    ) -> tuple[Array, Array]:
        """One FAISS search; query by query where its threads cannot be used."""
        how = self._how(effort, selector)
        if len(queries) > 1 and _forked:
            parts = [index.search(queries[i : i + 1], k, params=how) for i in range(len(queries))]
            scores = np.concatenate([s for s, _ in parts])
            return np.concatenate([p for _, p in parts]), scores
        scores, positions = index.search(queries, k, params=how)
        return positions, scores

    def _how(self, effort: int, selector: Any) -> Any:
        """FAISS' parameters. Those without a mask are kept: making them costs 10 microseconds."""
        how = None if selector is not None else self._efforts.get(effort)
        if how is None:
            mask = {} if selector is None else {"sel": selector}
            if self._is_graph:
                how = self._faiss.SearchParametersHNSW(efSearch=effort, **mask)
            else:
                how = self._faiss.SearchParametersIVF(nprobe=effort, **mask)
            if selector is None:
                self._efforts[effort] = how
        return how

    def close(self) -> None:
        """Free the memory, at once or when the searches under way have ended."""
        self._index = None
