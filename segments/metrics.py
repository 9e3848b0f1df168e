"""Metrics: what the scores of a search mean, and which of them a range lets through."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from walvec.wal.rows import Array

DISTANCES = frozenset({"L2", "HAMMING", "JACCARD"})
"""The less the nearer; of the others, which are similarities, the more."""


def worst(metric: str) -> float:
    """A score that no row can be farther away with."""
    return float("inf") if metric in DISTANCES else float("-inf")


def best_first(scores: Array, metric: str, k: int) -> Array:
    """The places of the k best scores, (up to k,) int64; equal ones in their order."""
    if metric not in DISTANCES:
        scores = -scores
    if k < len(scores):
        # The k-th best and what equals it: sorting all of many scores takes far longer.
        near = np.flatnonzero(scores <= np.partition(scores, k - 1)[k - 1])
        best: Array = near[scores[near].argsort(kind="stable")[:k]]
        return best
    return scores.argsort(kind="stable")


class Range(NamedTuple):
    """Between which scores a row must lie, as Milvus has it.

    Distances (L2, HAMMING, JACCARD): range_filter <= score < radius. Similarities (IP, COSINE):
    radius < score <= range_filter. None: no bound on that side.
    """

    radius: float | None = None
    range_filter: float | None = None

    def __bool__(self) -> bool:
        """Whether there is any bound."""
        return self.radius is not None or self.range_filter is not None

    def keeps(self, scores: Array, metric: str) -> Array:
        """Which scores, float32 of any shape, lie within: bool, of that shape."""
        kept = self.reaches(scores, metric)
        if self.range_filter is not None:
            bound = _float32(self.range_filter)
            kept &= scores >= bound if metric in DISTANCES else scores <= bound
        return kept

    def reaches(self, scores: Array, metric: str) -> Array:
        """Which scores are within the radius, whatever the other bound says."""
        if self.radius is None:
            return np.ones(scores.shape, np.bool_)
        bound = _float32(self.radius)
        return np.asarray(scores < bound if metric in DISTANCES else scores > bound)


def _float32(bound: float) -> Any:
    """A bound as scores are, and as Milvus reads it: a score that was put out is its own bound."""
    with np.errstate(over="ignore"):
        return np.float32(bound)


EVERYTHING = Range()
