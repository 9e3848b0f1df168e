"""Indexes by Annoy: a forest of random projection trees in a file that is mapped, not read.

COSINE is Annoy's "angular", L2 its "euclidean". IP is *not* its "dot" but "angular" with one
more dimension, sqrt(M^2 - |x|^2) for rows (M the longest) and 0 for queries: all rows are then
M long, and the nearest is the largest product (Bachrach et al., Speeding Up the Xbox Recommender
System, RecSys 2014). Recall@10 of 20,000 rows whose norms vary by 30 % (lognormal 0.3) or a lot
(lognormal 1), 32 trees, search_k 28,000; first of held-out rows, then of questions:

    norms            "dot"          added dimension, "angular"    the same, "euclidean"
    all 1            .996  1.000    .983  .986                    .971  .969
    lognormal 0.3    .897   .911    .985  .975                    .981  .959
    lognormal 1      .908   .844   1.000 1.000                    .992  .952

and a "dot" file that is opened as another metric crashes the process.

Annoy ranks what it has inspected by float32 distances of the whole vectors, so asking for k
gives the best k of `search_k` candidates; the scores are computed by the caller all the same.

Defaults. Recall depends on search_k, on the rows, and hardly on n_trees (more trees make the
same recall a little faster, the build longer, the file larger). Sentence embeddings (Debian
packages, 384 dimensions, COSINE, 400 held-out queries), recall@10 for n_trees 8 / 16 / 32 / 100:

    rows      search_k 4,000               8,000                        16,000
     4,000    .966 / .955 / .952 / .955       -  /   -  /   -  / .979
    20,000    .868 / .877 / .891 / .898    .938 / .940 / .935 / .938    .974 / .970 / .971 / .966
    43,000    .846 / .863 / .874 / .890    .912 / .926 / .925 / .929    .960 / .960 / .964 / .960
    62,666    .819 / .842 / .860 / .884    .892 / .909 / .910 / .925    .949 / .951 / .953 / .954

so what 0.95 takes grows as the root of the rows. With search_k = f sqrt(n), 32 trees, recall@10
of 200 held-out rows and of 64 questions that people would ask:

    rows      COSINE, f 80    f 100        L2, f 100       f 140        IP (norms 1), f 200
     4,000    .965  .934      .977  .953   .962  .927      .977  .952   .995  .980
    20,000    .953  .942      .962  .956   .953  .958      .967  .969   .984  .986
    62,666    .955  .978      .963  .988   .956  .981      .969  .989   .986  .991

hence f = 100, 140, 200 (IP for the norms that vary, see above). For k = 100 recall 0.95 of
held-out rows takes 1.3 to 1.7 times as much: f grows as the fourth root of k / 10.

Up to about 20,000 rows of 384 dimensions the exact scan is as fast as this, or faster.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np

from walvec.segments import costs
from walvec.segments.stored_vectors import blocks, to_float32, to_float64
from walvec.wal.errors import CollectionNotLoadedException
from walvec.wal.rows import Array

METRICS: dict[str, Literal["angular", "euclidean"]] = {
    "COSINE": "angular",
    "L2": "euclidean",
    "IP": "angular",
}
FACTORS = {"COSINE": 100.0, "L2": 140.0, "IP": 200.0}
"""search_k by default, in square roots of the number of rows, for k up to 10."""
SEEDS = 2**31
LARGE_PART = 8
MAX_SEARCH_K = 2**31 - 1


def default_search_k(n: int, k: int, metric: str) -> int:
    """How many candidates to inspect among n rows for recall@k of 0.95. See the top."""
    return math.ceil(FACTORS[metric] * math.sqrt(n) * math.sqrt(math.sqrt(max(1.0, k / 10))))


def build(vectors: Array, metric: str, params: dict[str, Any], seed: int, path: Path) -> None:
    """Write the index of `vectors`, (n, dim) of any dense type with n > 0, to `path`.

    One thread: with several, Annoy's files differ from run to run. Raises ImportError without
    Annoy, OSError when writing fails. Annoy may kill the process when memory is short.
    """
    import annoy

    extra = _complement(vectors).tolist() if metric == "IP" else None
    index = annoy.AnnoyIndex(_width(vectors.shape[1], metric), METRICS[metric])
    index.set_seed(seed % SEEDS)
    row = 0
    for part in blocks(vectors):
        for vector in to_float32(np.ascontiguousarray(vectors[part])).tolist():
            if extra is not None:
                vector.append(extra[row])
            index.add_item(row, vector)
            row += 1
    index.build(int(params["n_trees"]), n_jobs=1)
    index.save(str(path))
    index.unload()


def _complement(vectors: Array) -> Array:
    """sqrt(M^2 - |x|^2) of each row, (n,) float64, where M is the largest |x|."""
    squares = np.empty(len(vectors))
    for part in blocks(vectors):
        values = to_float64(vectors[part])
        np.einsum("ij,ij->i", values, values, out=squares[part])
    root: Array = np.sqrt(np.maximum(squares.max() - squares, 0.0))
    return root


def _width(dim: int, metric: str) -> int:
    return dim + 1 if metric == "IP" else dim


class AnnoyIndex:
    """An Annoy file, mapped. See `index.VectorIndex` for the methods."""

    exact_scores = False

    def __init__(
        self, path: str | Path, n: int, dim: int, metric: str, params: dict[str, Any]
    ) -> None:
        """Raises ImportError without Annoy, OSError if it refuses the file, and ValueError if
        the file holds something else than n rows in n_trees trees.

        A file of other bytes than Annoy wrote, or of another metric or dim, may crash the
        process here or at a search: compare its digest first.
        """
        import annoy

        self._metric = metric
        self._n = n
        self._dim = dim
        self._trees = int(params["n_trees"])
        index = annoy.AnnoyIndex(_width(dim, metric), METRICS[metric])
        index.load(str(path))
        # Of a few rows Annoy makes more trees than it was asked for.
        if index.get_n_items() != n or index.get_n_trees() < self._trees:
            raise ValueError(
                f"holds {index.get_n_items()} rows in {index.get_n_trees()} trees, "
                f"not {n} in {self._trees}"
            )
        self._index: Any = index

    def search(
        self, queries: Array, wanted: int, params: dict[str, Any], k: int
    ) -> tuple[Array, None]:
        """As `index.VectorIndex.search`; scores are None."""
        # This reference keeps the mapping while the search lasts, whoever closes the index.
        index = self._index
        if index is None:
            raise CollectionNotLoadedException(message="the index was released during the search")
        positions = np.full((len(queries), wanted), -1, np.int64)
        search_k = self._search_k(wanted, params, k)
        for i, query in enumerate(queries.tolist()):
            if self._metric == "IP":
                query.append(0.0)
            found = index.get_nns_by_vector(query, wanted, search_k)
            positions[i, : len(found)] = found
        return positions, None

    def cost(self, wanted: int, params: dict[str, Any], k: int) -> float:
        """As `index.VectorIndex.cost`."""
        return costs.trees_us(self._search_k(wanted, params, k), self._n, self._dim)

    def effort(self, wanted: int, params: dict[str, Any], k: int) -> dict[str, int]:
        """As `index.VectorIndex.effort`."""
        return {"search_k": self._search_k(wanted, params, k)}

    def _search_k(self, wanted: int, params: dict[str, Any], k: int) -> int:
        """How many candidates to inspect for `wanted` rows, where `params` speak of k."""
        search_k = default_search_k(self._n, wanted, self._metric)
        if given := params.get("search_k"):
            search_k = int(given * search_k / default_search_k(self._n, k, self._metric))
        # Every tree holds every row, so this inspects all of them. Of a large part of the rows
        # nothing less finds nearly all.
        most = 2 * self._n * self._trees
        if wanted > max(k, self._n // LARGE_PART):
            search_k = most
        return min(max(search_k, wanted), most, MAX_SEARCH_K)

    def close(self) -> None:
        """Unmap the file, at once or when the searches under way have ended."""
        self._index = None
