"""The exact scan: every selected row is scored, none is missed.

Two passes. The first scores all rows by one BLAS product in float32, which is fast and, for
L2, inexact: |x|^2 - 2 x.q cancels. Its rounding error has a bound (n terms summed in any order
err by at most about n units in the last place: Higham, Accuracy and Stability of Numerical
Algorithms, section 3.1), so every row within twice that bound of the k-th best is kept. The
second pass scores the kept rows by `scores`, in float64 and row by row. The answer is therefore
the exact one, and the same whatever the BLAS, the number of threads, or the rows around.
"""

from __future__ import annotations

import numpy as np

from walvec.wal.rows import Array

MAX_SCORE_BYTES = 64 << 20
"""First-pass scores held at a time (for one query: 4 bytes a row, however many rows)."""
MAX_GATHER_BYTES = 16 << 20
"""Rows copied at a time, where few are selected or many must be scored in float64."""
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
) -> tuple[Array, Array]:
    """The k best rows of each query, best first; equal scores in the order of rows.

    vectors: (n, dim) float32, C order. queries: (nq, dim) float32. alive: (n,) bool, the rows
    to look at, None for all. norms: (n,) float32, the rows' L2 norms, whatever the metric;
    without them they are computed, which costs about as much as scoring one query.

    Returns positions (nq, k) int64 and scores (nq, k) float32 as `scores` gives them. Where
    fewer than k rows are selected the rest is position -1 with the worst score (inf or -inf).
    """
    nq = len(queries)
    worst = np.inf if metric == "L2" else -np.inf
    positions = np.full((nq, k), -1, np.int64)
    values = np.full((nq, k), worst, np.float32)
    selection = None if alive is None else np.flatnonzero(alive)
    count = len(vectors) if selection is None else len(selection)
    if not count or not k:
        return positions, values
    if norms is None:
        norms = _norms(vectors)
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
            near = _near(costs[i], bounds[i], k, row_norms, dead)
            near = near if rows is None else rows[near]
            best, best_values = _best(vectors, near, query, metric, k)
            positions[start + i, : len(best)] = best
            values[start + i, : len(best)] = best_values
    return positions, values


def scores(vectors: Array, query: Array, metric: str) -> Array:
    """Scores of rows in Milvus' convention: L2 squared distance; IP and COSINE similarity.

    vectors: (m, dim) and query: (dim,), any float type. Returns (m,) float32, computed in
    float64 and row by row, so that a row's score does not depend on its neighbours. The
    cosine with a zero vector is 0.
    """
    step = max(1, MAX_GATHER_BYTES // (8 * max(1, vectors.shape[1])))
    if len(vectors) > step:
        parts = [scores(vectors[i : i + step], query, metric) for i in range(0, len(vectors), step)]
        return np.concatenate(parts)
    rows = vectors.astype(np.float64)
    query = query.astype(np.float64)
    if metric == "L2":
        rows -= query
        result = np.einsum("ij,ij->i", rows, rows)
    else:
        result = np.einsum("ij,j->i", rows, query)
        if metric == "COSINE":
            squares = np.einsum("ij,ij->i", rows, rows) * np.einsum("j,j->", query, query)
            lengths = np.sqrt(squares)
            result = np.divide(result, lengths, out=np.zeros_like(result), where=lengths > 0)
    with np.errstate(over="ignore"):
        return np.asarray(result, np.float32)


def _norms(vectors: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


def _products(vectors: Array, rows: Array | None, queries: Array) -> Array:
    """Inner products (nq, n) float32 of the queries with all rows, or with those at `rows`."""
    if rows is None:
        return _multiply(queries, vectors)
    products = np.empty((len(queries), len(rows)), np.float32)
    step = max(1, MAX_GATHER_BYTES // (4 * vectors.shape[1]))
    for start in range(0, len(rows), step):
        part = vectors[rows[start : start + step]]
        products[:, start : start + step] = _multiply(queries, part)
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
    """How far a cost may be from the true one, for each query: (nq,) float64."""
    lengths = np.sqrt(np.einsum("ij,ij->i", queries, queries, dtype=np.float64))
    relative = UNIT * (queries.shape[1] + 4)
    longest = float(norms.max())
    products = longest * lengths
    if metric == "COSINE":
        bounds = relative * 2.0 * lengths
    elif metric == "L2":
        bounds = relative * 2.0 * (products + longest * longest)
    else:
        bounds = relative * products
    safe = (products < HUGE) & (longest * longest < HUGE)
    result: Array = np.where(safe, bounds, np.inf)
    return result


def _near(costs: Array, bound: float, k: int, norms: Array, dead: Array | None) -> Array:
    """Places that may be among the k best, ascending. `costs` is overwritten."""
    odd = norms < TINY if float(norms.min()) < TINY else None
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


def _best(vectors: Array, near: Array, query: Array, metric: str, k: int) -> tuple[Array, Array]:
    """The k best of the rows at `near`, which are ascending, and their scores."""
    step = max(1, MAX_GATHER_BYTES // (8 * max(1, vectors.shape[1])))
    if len(near) <= step:
        values = scores(vectors[near], query, metric)
    else:
        parts = range(0, len(near), step)
        values = np.concatenate([scores(vectors[near[i : i + step]], query, metric) for i in parts])
    # Stable: equal scores stay in the order of rows.
    order = np.argsort(values if metric == "L2" else -values, kind="stable")[:k]
    return near[order], values[order]
