"""The index of a nullable field: it was made of the rows that are not null, and numbers those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from walvec.wal.rows import Array

if TYPE_CHECKING:
    from walvec.segments.index import VectorIndex


class ValidRows:
    """An index of some rows of a segment, which gives the segment's own positions."""

    def __init__(self, index: VectorIndex, rows: Array) -> None:
        """rows: (m,) int64, ascending: the positions of the index's m rows in the segment."""
        self._index = index
        self._count = len(rows)
        # One more, so that -1, which stands for no row, stays what it is.
        self._rows = np.append(rows, -1)
        self.exact_scores = index.exact_scores

    def search(
        self, queries: Array, wanted: int, params: dict[str, Any], k: int
    ) -> tuple[Array, Array | None]:
        """As `index.VectorIndex.search`."""
        positions, scores = self._index.search(queries, min(wanted, self._count), params, k)
        return self._rows[positions], scores

    def cost(self, wanted: int, params: dict[str, Any], k: int) -> float:
        """As `index.VectorIndex.cost`."""
        return self._index.cost(min(wanted, self._count), params, k)

    def effort(self, wanted: int, params: dict[str, Any], k: int) -> dict[str, int]:
        """As `index.VectorIndex.effort`."""
        return self._index.effort(min(wanted, self._count), params, k)

    def close(self) -> None:
        """As `index.VectorIndex.close`."""
        self._index.close()
