"""Search: the k nearest rows of a view, each segment by its index or exactly, then merged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from walvec.segments import flat
from walvec.segments.index import IndexSpec
from walvec.segments.view import Predicate, SegmentView, View, selected
from walvec.wal.rows import Array
from walvec.wal.schema import Field

EXACT_ROWS = 2_000
"""With no more candidates than this, scanning them is as fast as walking an index."""
EXACT_SHARE = 20
"""Below one in this many rows selected, an index finds too few of them."""

Found = tuple[float, SegmentView, int]
"""Score in Milvus' convention, segment, row."""


class Plan(NamedTuple):
    """What to search for: everything but the queries."""

    field: Field
    metric_type: str
    spec: IndexSpec | None
    params: dict[str, Any]
    k: int
    predicate: Predicate | None


def search(view: View, plan: Plan, queries: Array) -> list[list[Found]]:
    """The best k rows for each query, best first. queries: (nq, dim) float32, C order.

    L2 scores are squared distances, ascending; IP and COSINE are similarities, descending.
    Fewer than k only where fewer rows match.
    """
    found: list[list[Found]] = [[] for _ in range(len(queries))]
    for segment in view.segments:
        positions, scores = _search_segment(segment, plan, queries)
        for hits, rows, values in zip(found, positions.tolist(), scores.tolist(), strict=True):
            hits.extend([(v, segment, r) for v, r in zip(values, rows, strict=True) if r >= 0])
    if len(view.segments) > 1:
        sign = 1.0 if plan.metric_type == "L2" else -1.0
        # Stable: equal scores stay in the order of segments and rows.
        return [sorted(hits, key=lambda hit: sign * hit[0])[: plan.k] for hits in found]
    return found


def _search_segment(segment: SegmentView, plan: Plan, queries: Array) -> tuple[Array, Array]:
    """Positions (nq, up to k) int64 padded with -1, and their scores."""
    mask = selected(segment, plan.predicate)
    candidates = segment.n if mask is None else int(np.count_nonzero(mask))
    index = None if plan.spec is None else segment.indexes.get(plan.spec.id)
    if not candidates:
        return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    few = mask is not None and candidates <= max(EXACT_ROWS, segment.n // EXACT_SHARE)
    if index is None or few:
        return _scan(segment, plan, queries, mask)
    k = min(plan.k, candidates)
    wanted = min(index.candidates(k), candidates)
    positions, scores = index.search(queries, wanted, plan.params, mask)
    if bool((positions[:, k - 1] < 0).any()):
        return _scan(segment, plan, queries, mask)
    if scores is None:
        return _rank(segment, plan, queries, positions, k)
    return positions[:, :k], scores[:, :k]


def _scan(
    segment: SegmentView, plan: Plan, queries: Array, mask: Array | None
) -> tuple[Array, Array]:
    """Exactly, over the selected rows."""
    vectors = segment.column(plan.field.id).values
    norms = None
    if plan.metric_type == "COSINE":
        norms = segment.segment.norms(plan.field.id, segment.n)
    k = min(plan.k, segment.n)
    return flat.scan(vectors, queries, plan.metric_type, k, mask, norms)


def _rank(
    segment: SegmentView, plan: Plan, queries: Array, positions: Array, k: int
) -> tuple[Array, Array]:
    """The k best of what an index found, by exact scores. Positions past the last are -1."""
    vectors = segment.column(plan.field.id).values
    worst = np.inf if plan.metric_type == "L2" else -np.inf
    scores = np.stack(
        [
            np.where(rows < 0, worst, flat.scores(vectors[rows], query, plan.metric_type))
            for query, rows in zip(queries, positions, strict=True)
        ]
    )
    sign = 1 if plan.metric_type == "L2" else -1
    order = np.argsort(sign * scores, axis=1, kind="stable")[:, :k]
    rows = np.take_along_axis(positions, order, 1)
    return rows, np.take_along_axis(scores, order, 1)


def live_rows(segments: Sequence[SegmentView], predicate: Predicate | None) -> list[Array]:
    """The visible rows that match, for each segment: (m,) positions, ascending."""
    result = []
    for segment in segments:
        mask = selected(segment, predicate)
        result.append(np.arange(segment.n) if mask is None else np.flatnonzero(mask))
    return result
