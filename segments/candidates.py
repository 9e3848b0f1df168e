"""Candidates: the k best of the rows that may be returned, by an index that knows all rows.

Where only some rows may be (a filter, deleted rows, a range that leaves out the best), the index
is asked for more than k, so many that k of them can be expected to pass, and, where fewer do,
for four times as many, until k have passed or a scan of the selected rows is cheaper. What the
index returns are the nearest of all rows, so that the k best of those that pass are as right as
a search without a filter, also where the filter has to do with the query. To let FAISS walk its
graph and return only rows of a bitmap is no alternative: it stops as soon as it has seen k of
them, which need not be the nearest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from walvec.segments import flat
from walvec.segments.index import VectorIndex
from walvec.segments.metrics import Range, best_first, worst
from walvec.wal.rows import Array

GROWTH = 4


class Wanted(NamedTuple):
    """What to look for by an index."""

    vectors: Array
    """(n, width), as in the column: the rows of a segment."""
    total: int
    """How many of them the index has: those that are not null."""
    metric: str
    k: int
    """At most `eligible`."""
    selected: Array | None
    """(n,) bool, the rows that may be returned, if they are not null; None for all."""
    eligible: int
    """How many of those that are not null: at least one."""
    within: Range
    params: dict[str, Any]
    """Of the index, from `search_params`."""


def expected_us(index: VectorIndex, wanted: Wanted) -> float:
    """About how many microseconds `nearest` takes for a query, if all goes well."""
    return index.cost(_first_guess(wanted), wanted.params, wanted.k)


def nearest(
    index: VectorIndex,
    wanted: Wanted,
    queries: Array,
    limit_us: Callable[[], float],
    rounds: list[int],
) -> tuple[Array, Array] | None:
    """Positions (nq, k) int64, padded with -1, and scores (nq, k) float32, best first. How many
    rows the index was asked for is added to `rounds`, each time.

    None where it comes to take longer than `limit_us` says a query, or the index does not lead to k
    rows though there may be as many: then scan.
    """
    k, asked = wanted.k, _first_guess(wanted)
    rounds.append(asked)
    positions, scores = index.search(queries, asked, wanted.params, k)
    if wanted.selected is None and not wanted.within:
        if scores is not None:
            return None if _has_gap(positions, k - 1) else (positions[:, :k], scores[:, :k])
        if len(queries) == 1 and not _has_gap(positions, k - 1):
            return _ranked(positions[0], queries[0], wanted)
    spent = index.cost(asked, wanted.params, k)
    best = np.full((len(queries), k), -1, np.int64)
    values = np.full((len(queries), k), worst(wanted.metric), np.float32)
    pending = list(range(len(queries)))
    while True:
        unfinished = []
        for i, place in enumerate(pending):
            row_scores = None if scores is None else scores[i]
            passed = _passed(
                positions[i], row_scores, queries[place], wanted, asked == wanted.total
            )
            if passed is None:
                unfinished.append(place)
            else:
                best[place, : len(passed[0])], values[place, : len(passed[1])] = passed
        if not unfinished:
            if wanted.within and asked < wanted.total and _has_gap(best, k - 1):
                return None  # an index that has looked at some of its rows proves nothing
            return best, values
        if asked == wanted.total:
            return None
        pending, asked = unfinished, min(wanted.total, GROWTH * asked)
        spent += index.cost(asked, wanted.params, k)
        if spent > limit_us():
            return None
        rounds.append(asked)
        positions, scores = index.search(queries[pending], asked, wanted.params, k)


def _ranked(rows: Array, query: Array, wanted: Wanted) -> tuple[Array, Array]:
    """The k best of the rows that an index has found for one query, k at least, by exact scores."""
    if rows[-1] < 0:
        rows = rows[rows >= 0]
    rows = np.sort(rows)  # Equal scores are as a scan has them.
    scores = flat.scores(wanted.vectors[rows], query, wanted.metric)
    order = best_first(scores, wanted.metric, wanted.k)
    return rows[order][np.newaxis], scores[order][np.newaxis]


def _first_guess(wanted: Wanted) -> int:
    """How many rows of the index are likely to hold k that may be returned: so many that their
    number, were they drawn at random, is two standard deviations above k."""
    share = wanted.eligible / wanted.total
    guess = (wanted.k + 2.0 * math.sqrt(wanted.k * (1.0 - share))) / share
    if wanted.within.range_filter is not None:
        guess *= GROWTH  # Nobody knows how many are too near.
    return min(wanted.total, math.ceil(guess))


def _has_gap(positions: Array, place: int) -> bool:
    """Whether any query has no row at `place`: positions (nq, m), padded with -1."""
    if len(positions) == 1:
        return bool(positions[0, place] < 0)
    return bool((positions[:, place] < 0).any())


def _passed(
    rows: Array, scores: Array | None, query: Array, wanted: Wanted, asked_for_all: bool
) -> tuple[Array, Array] | None:
    """Positions and scores, best first, of up to k candidates that may be returned; None if
    there may be more of them farther away."""
    some = rows >= 0
    if wanted.selected is not None:
        some &= wanted.selected[rows]
    all_seen = asked_for_all and bool(rows[-1] >= 0)
    rows = rows[some]
    if not wanted.within and len(rows) < wanted.k:
        return None
    if scores is None or wanted.within:
        # In the order of rows, so that equal scores are as a scan has them. An index rounds in
        # its own way, which matters at the border of a range.
        rows = np.sort(rows)
        scores = flat.scores(wanted.vectors[rows], query, wanted.metric)
    else:
        scores = scores[some]
    if wanted.within:
        all_seen |= not wanted.within.reaches(scores, wanted.metric).all()
        kept = wanted.within.keeps(scores, wanted.metric)
        rows, scores = rows[kept], scores[kept]
        if len(rows) < wanted.k and not all_seen:
            return None
    order = best_first(scores, wanted.metric, wanted.k)
    return rows[order], scores[order]
