"""The index of binary vectors by FAISS: BIN_IVF_FLAT.

FAISS groups the rows around centroids and searches the groups nearest to a query by HAMMING.
For JACCARD the rows nearest by HAMMING are candidates, which the caller ranks: among the very
nearest that leads to the same rows, farther away it does not, so that a search which has to look
there, for a filter or a range, is refused by its cost and scans.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from walvec.segments import costs, faiss_library
from walvec.wal.errors import CollectionNotLoadedException
from walvec.wal.rows import Array

BITS = 8
FETCH_JACCARD = 10
"""How many times k rows to fetch by HAMMING for ranking by JACCARD."""


def build(vectors: Array, params: dict[str, Any], seed: int, path: Path) -> dict[str, Any]:
    """Write the index of `vectors`, (n, width) uint8 with n > 0, to `path`.

    Returns the parameters used: `nlist` is lowered where the rows are too few for it. Raises
    ImportError without FAISS; MemoryError and RuntimeError from it.
    """
    faiss = faiss_library.library()
    used = faiss_library.used_params(params, len(vectors))
    dim = BITS * vectors.shape[1]
    with faiss_library.one_thread(faiss):
        index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(dim), dim, used["nlist"])
        index.cp.seed = seed % faiss_library.SEEDS
        index.cp.min_points_per_centroid = 1
        index.train(vectors)
        index.add(vectors)
        faiss.write_index_binary(index, str(path))
    return used


class BinaryIndex:
    """BIN_IVF_FLAT in memory, or in a mapped file. See `index.VectorIndex` for the methods."""

    exact_scores = False
    """FAISS' are exact by HAMMING, but rows that are equally near come in no particular order."""

    def __init__(
        self, path: str | Path, n: int, dim: int, metric: str, *, mapped: bool = False
    ) -> None:
        """dim: bits. Raises ImportError without FAISS, RuntimeError if it cannot read the file,
        and ValueError if the file holds something else than n rows of `dim`."""
        self._faiss: Any = faiss_library.library()
        self._index: Any = faiss_library.read(self._faiss, str(path), mapped, binary=True)
        faiss_library.check_size(self._index, n, dim)
        self._n = n
        self._nlist = int(self._index.nlist)
        self._fetch = FETCH_JACCARD if metric == "JACCARD" else 1
        self._dim = dim

    def search(
        self, queries: Array, wanted: int, params: dict[str, Any], k: int
    ) -> tuple[Array, None]:
        """As `index.VectorIndex.search`. Holds no lock, and not the GIL while FAISS works."""
        index = self._index
        if index is None:
            raise CollectionNotLoadedException(message="the index was released during the search")
        how = self._faiss.SearchParametersIVF(nprobe=self._nprobe(wanted, params, k))
        wanted = min(self._n, wanted * self._fetch)
        ask = faiss_library.ask_in_this_thread
        return ask(self._faiss, index, queries, wanted, how), None

    def cost(self, wanted: int, params: dict[str, Any], k: int) -> float:
        """As `index.VectorIndex.cost`."""
        if self._fetch > 1 and wanted > 2 * k:
            return math.inf
        share = self._nprobe(wanted, params, k) / self._nlist
        return costs.bit_lists_us(self._nlist + share * self._n, self._dim)

    def effort(self, wanted: int, params: dict[str, Any], k: int) -> dict[str, int]:
        """As `index.VectorIndex.effort`."""
        return {"nprobe": self._nprobe(wanted, params, k)}

    def _nprobe(self, wanted: int, params: dict[str, Any], k: int) -> int:
        nprobe = params.get("nprobe") or math.ceil(3 * math.sqrt(self._nlist))
        return min(int(nprobe * max(1.0, wanted / k) ** 0.25), self._nlist)

    def close(self) -> None:
        """Free the memory, at once or when the searches under way have ended."""
        self._index = None
