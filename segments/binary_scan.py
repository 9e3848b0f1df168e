"""The exact scan of binary vectors: every selected row is scored, none is missed.

HAMMING is the number of bits that differ. JACCARD is the share of the bits set in either vector
that are not set in both, and 1 where none is set in either, as Milvus' knowhere has it. Both
are whole numbers or one division of such, so that they are exact as they are.
"""

from __future__ import annotations

import numpy as np

from walvec.segments import bits
from walvec.segments.masks import rows_of
from walvec.segments.metrics import EVERYTHING, Range, best_first, worst
from walvec.wal.rows import Array

CHUNK_ROWS = 1 << 16
"""Rows whose distances are held at a time. Those of a million, in arrays that are fresh for each
search, take the system longer to map than they take to count."""
GATHER_SHARE = 3
"""Copying one row in three costs about as much as scoring all three."""


def scan(
    vectors: Array,
    queries: Array,
    metric: str,
    k: int,
    alive: Array | None = None,
    set_bits: Array | None = None,
    within: Range = EVERYTHING,
) -> tuple[Array, Array]:
    """As `flat.scan`, of rows (n, width) uint8 and queries (nq, width) uint8.

    set_bits: (n,), how many bits are set in each row, whatever the metric; JACCARD counts them
    where they are not given.
    """
    positions = np.full((len(queries), k), -1, np.int64)
    values = np.full((len(queries), k), worst(metric), np.float32)
    rows = None if alive is None else rows_of(alive, int(np.count_nonzero(alive)))
    count = len(vectors) if rows is None else len(rows)
    if not count or not k:
        return positions, values
    gathered = rows is not None and count * GATHER_SHARE <= len(vectors)
    if gathered:
        vectors, alive = vectors[rows], None
        set_bits = None if set_bits is None else set_bits[rows]
    for i, query in enumerate(queries):
        best, distances = _nearest(vectors, query, metric, k, alive, set_bits, within)
        positions[i, : len(best)] = rows[best] if gathered and rows is not None else best
        values[i, : len(best)] = distances
    return positions, values


def _nearest(
    vectors: Array,
    query: Array,
    metric: str,
    k: int,
    alive: Array | None,
    set_bits: Array | None,
    within: Range,
) -> tuple[Array, Array]:
    """Positions and distances of the k nearest rows to one query, chunk by chunk."""
    best: Array = np.empty(0, np.int64)
    distances: Array = np.empty(0, np.float32)
    for start in range(0, len(vectors), CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        found = _distances(
            vectors[part], query, metric, None if set_bits is None else set_bits[part]
        )
        # Of rows that are equally near the first ones stay.
        passed = found < distances[-1] if len(best) == k else np.ones(len(found), np.bool_)
        if alive is not None:
            passed &= alive[part]
        if within:
            passed &= within.keeps(found, metric)
        near = np.flatnonzero(passed)
        if len(near):
            best = np.concatenate([best, near + start])
            distances = np.concatenate([distances, found[near]])
            order = best_first(distances, metric, k)
            best, distances = best[order], distances[order]
    return best, distances


def scores(vectors: Array, query: Array, metric: str) -> Array:
    """Distances of rows, (m,) float32: vectors (m, width), query (width,)."""
    return _distances(vectors, query, metric, None).astype(np.float32, copy=False)


def _distances(vectors: Array, query: Array, metric: str, set_bits: Array | None) -> Array:
    """The same: HAMMING as whole numbers, of which the best are found in half the time."""
    if metric == "HAMMING":
        return bits.differing(vectors, query)
    of_query = np.float32(bits.counts(query[np.newaxis])[0])
    if not of_query:
        return np.ones(len(vectors), np.float32)
    # What is set in either is set in one of them alone, or counted twice. Of whole numbers
    # below 2^24 float32 sums are exact.
    apart = bits.differing(vectors, query).astype(np.float32)
    either = apart + (bits.counts(vectors).astype(np.float32) if set_bits is None else set_bits)
    either += of_query
    either *= np.float32(0.5)
    apart /= either
    return apart
