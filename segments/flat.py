"""The exact scan: every selected row is scored, none is missed.

Two passes. The first scores all rows by one BLAS product in float32, which is fast and, for
L2, inexact: |x|^2 - 2 x.q cancels. Its rounding error has a bound (n terms summed in any order
err by at most about n units in the last place: Higham, Accuracy and Stability of Numerical
Algorithms, section 3.1), so every row within twice that bound of the k-th best is kept. The
second pass scores the kept rows by `scores`, in float64 and row by row. The answer is therefore
the exact one, and the same whatever the BLAS, the number of threads, or the rows around.

Vectors of other types than float32 are converted block by block, which is exact (see
stored_vectors.py), so that the same holds for them. Where a range leaves out the best rows, the
first pass leaves out those that are nearer than it by more than the bound, and keeps, besides
the k best of the others, all that are within the bound of its border. Binary vectors are scored
by binary_scan.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from walvec.segments import binary_scan
from walvec.segments.masks import rows_of
from walvec.segments.metrics import EVERYTHING, Range, best_first, worst
from walvec.segments.stored_vectors import (
    BLOCK_BYTES,
    blocks,
    is_binary,
    lengths,
    to_float32,
    to_float64,
)
from walvec.wal.rows import Array

MAX_SCORE_BYTES = 64 << 20
"""First-pass scores held at a time (for one query: 4 bytes a row, however many rows)."""
MAX_GATHER_BYTES = 16 << 20
"""Rows copied at a time, where many must be scored in float64."""
GATHER_SHARE = 3
"""Copying one row in three costs about as much as scoring all three."""
TINY = 1e-12
"""A norm below this may be inexact in float32 (its square is near the smallest number)."""
HUGE = 1e37
"""Products of lengths above this may overflow float32: the first pass then says nothing."""
UNIT = float(np.finfo(np.float32).eps)


def scan(
    vectors: Array,
    queries: Array,
    metric: str,
    k: int,
    alive: Array | None = None,
    norms: Array | None = None,
    within: Range = EVERYTHING,
) -> tuple[Array, Array]:
    """The k best rows of each query, best first; equal scores in the order of rows.

    vectors: (n, width) of any stored type, C order. queries: (nq, dim) float32, for binary
    vectors (nq, width) uint8. alive: (n,) bool, the rows to look at, None for all. norms: (n,)
    float32, `lengths` of the rows, whatever the metric; without them they are computed, which
    costs about as much as scoring one query. within: only rows with such scores.

    Returns positions (nq, k) int64 and scores (nq, k) float32 as `scores` gives them. Where
    fewer than k rows are found the rest is position -1 with the worst score (inf or -inf).
    """
    if is_binary(vectors):
        return binary_scan.scan(vectors, queries, metric, k, alive, norms, within)
    nq = len(queries)
    positions = np.full((nq, k), -1, np.int64)
    values = np.full((nq, k), worst(metric), np.float32)
    selection = None if alive is None else rows_of(alive, int(np.count_nonzero(alive)))
    count = len(vectors) if selection is None else len(selection)
    if not count or not k:
        return positions, values
    if norms is None:
        norms = lengths(vectors)
    # Rows that are selected from all, or the few selected ones, gathered.
    gathered = selection is not None and count * GATHER_SHARE <= len(vectors)
    rows = selection if gathered else None
    dead = None if gathered or alive is None else ~alive
    row_norms = norms if rows is None else norms[rows]
    per_chunk = max(1, MAX_SCORE_BYTES // (4 * len(row_norms)))
    for start in range(0, nq, per_chunk):
        chunk = queries[start : start + per_chunk]
        with np.errstate(over="ignore", invalid="ignore"):
            costs = _costs(_products(vectors, rows, chunk), row_norms, metric)
            bounds = _bounds(row_norms, chunk, metric)
        for i, query in enumerate(chunk):
            border = _border(within, query, metric, bounds[i])
            near = _near(costs[i], bounds[i], k, row_norms, dead, border)
            near = near if rows is None else rows[near]
            best, best_values = _best(vectors, near, query, metric, k, within)
            positions[start + i, : len(best)] = best
            values[start + i, : len(best)] = best_values
    return positions, values


def scores(vectors: Array, query: Array, metric: str) -> Array:
    """Scores of rows in Milvus' convention: L2 squared distance; IP and COSINE similarity.

    vectors: (m, width) of any stored type. query: (dim,), any float type; for binary vectors
    (width,) uint8. Returns (m,) float32, computed in float64 and row by row, so that a row's
    score does not depend on its neighbours. The cosine with a zero vector is 0.
    """
    if is_binary(vectors):
        return binary_scan.scores(vectors, query, metric)
    step = max(1, MAX_GATHER_BYTES // (8 * max(1, vectors.shape[1])))
    if len(vectors) > step:
        parts = [scores(vectors[i : i + step], query, metric) for i in range(0, len(vectors), step)]
        return np.concatenate(parts)
    rows = to_float64(vectors)
    query = query.astype(np.float64)
    if metric == "L2":
        rows -= query
        result = np.einsum("ij,ij->i", rows, rows)
    else:
        result = np.einsum("ij,j->i", rows, query)
        if metric == "COSINE":
            squares = np.einsum("ij,ij->i", rows, rows) * np.einsum("j,j->", query, query)
            norms = np.sqrt(squares)
            result = np.divide(result, norms, out=np.zeros_like(result), where=norms > 0)
    with np.errstate(over="ignore"):
        return np.asarray(result, np.float32)


def _products(vectors: Array, rows: Array | None, queries: Array) -> Array:
    """Inner products (nq, n) float32 of the queries with all rows, or with those at `rows`."""
    if rows is None:
        if vectors.dtype == np.float32:
            return _multiply(queries, vectors)
        products = np.empty((len(queries), len(vectors)), np.float32)
        for part in blocks(vectors):
            products[:, part] = _multiply(queries, to_float32(vectors[part]))
        return products
    products = np.empty((len(queries), len(rows)), np.float32)
    step = max(1, BLOCK_BYTES // (4 * vectors.shape[1]))
    for start in range(0, len(rows), step):
        gathered = vectors.take(rows[start : start + step], axis=0)
        products[:, start : start + step] = _multiply(queries, to_float32(gathered))
    return products


def _multiply(queries: Array, vectors: Array) -> Array:
    if len(queries) == 1:
        return np.asarray(vectors @ queries[0])[np.newaxis]
    return np.asarray(queries @ vectors.T)


def _costs(products: Array, norms: Array, metric: str) -> Array:
    """What orders rows as their scores do, least is best: products (nq, n), reused in place."""
    if metric == "L2":
        products *= -2.0
        products += norms * norms
    else:
        np.negative(products, out=products)
        if metric == "COSINE":
            products /= np.maximum(norms, TINY)
    return products


def _bounds(norms: Array, queries: Array, metric: str) -> Array:
    """How far a cost may be from the true one, and from that which orders rows as their scores
    in float32 do, for each query: (nq,) float64."""
    lengths_q = np.sqrt(np.einsum("ij,ij->i", queries, queries, dtype=np.float64))
    relative = UNIT * (queries.shape[1] + 4)
    longest = float(norms.max())
    products = longest * lengths_q
    if metric == "COSINE":
        bounds = relative * 2.0 * lengths_q
    elif metric == "L2":
        bounds = relative * 2.0 * (products + longest * longest) + UNIT * lengths_q**2
    else:
        bounds = relative * products
    safe = (products < HUGE) & (longest * longest < HUGE)
    result: Array = np.where(safe, bounds, np.inf)
    return result


def _border(within: Range, query: Array, metric: str, bound: float) -> tuple[Any, Any]:
    """Costs below the first are surely nearer than the range, those above the second not."""
    if within.range_filter is None or not np.isfinite(bound):
        return -np.inf, -np.inf
    square = float(np.einsum("i,i->", query, query, dtype=np.float64))
    value = float(within.range_filter)
    if metric == "L2":
        border = value - square
    else:
        border = -value * (np.sqrt(square) if metric == "COSINE" else 1.0)
    # The range is compared with scores in float32, which are rounded, and so are these borders.
    margin = 2.0 * bound + 4.0 * UNIT * (abs(border) + square) if np.isfinite(border) else 0.0
    with np.errstate(over="ignore"):
        return np.float32(border - margin), np.float32(border + margin)


def _near(
    costs: Array,
    bound: float,
    k: int,
    norms: Array,
    dead: Array | None,
    border: tuple[Any, Any],
) -> Array:
    """Places that may be among the k best, ascending. `costs` is overwritten."""
    odd = norms < TINY if float(norms.min()) < TINY else None
    if border[0] > -np.inf:
        outside = costs < border[0]
        if odd is not None:
            outside &= ~odd
        dead = outside if dead is None else dead | outside
        k += int(np.count_nonzero((costs <= border[1]) & ~dead))
    if odd is not None:
        costs[odd] = np.inf
    if dead is not None:
        costs[dead] = np.inf
    limit = np.inf
    if k < len(costs):
        limit = float(np.partition(costs, k - 1)[k - 1]) + 2.0 * bound
    if np.isfinite(limit):
        # The limit is rounded up: costs are float32.
        near = costs <= np.nextafter(np.float32(limit), np.float32(np.inf))
        if odd is not None:
            near |= odd
    else:
        near = np.ones(len(costs), bool)
    if dead is not None:
        near &= ~dead
    return np.flatnonzero(near)


def _best(
    vectors: Array, near: Array, query: Array, metric: str, k: int, within: Range
) -> tuple[Array, Array]:
    """The k best within the range of the rows at `near`, which are ascending, and their scores."""
    step = max(1, MAX_GATHER_BYTES // (8 * max(1, vectors.shape[1])))
    if len(near) <= step:
        values = scores(vectors[near], query, metric)
    else:
        parts = range(0, len(near), step)
        values = np.concatenate([scores(vectors[near[i : i + step]], query, metric) for i in parts])
    if within:
        kept = within.keeps(values, metric)
        near, values = near[kept], values[kept]
    # Stable: equal scores stay in the order of rows.
    order = best_first(values, metric, k)
    return near[order], values[order]
