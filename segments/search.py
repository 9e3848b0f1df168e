"""Search: the k nearest rows of a view, each segment by its index or exactly, then merged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from walvec.segments import flat
from walvec.segments.candidates import Wanted, expected_us, nearest
from walvec.segments.costs import scan_us
from walvec.segments.index import IndexSpec
from walvec.segments.metrics import DISTANCES, Range
from walvec.segments.view import Place, Predicate, SegmentView, View, selected
from walvec.wal.rows import Array
from walvec.wal.schema import Field


class Found(NamedTuple):
    """What was found for one query, best first: scores in Milvus' convention, and where."""

    scores: list[float]
    places: list[Place]


class Step(NamedTuple):
    """How one segment was searched."""

    segment_id: int
    path: str
    """"empty", "exact", or the type of the index; "HNSW, then exact" where it found too few."""
    rows: int
    candidates: int
    """Rows that are visible, not null and match the filter."""
    asked: tuple[int, ...]
    """How many rows the index was asked for, round by round."""
    effort: dict[str, int]
    """With which parameter the last time: {"ef": 64}."""


Trace = Callable[[Step], None]


class Plan(NamedTuple):
    """What to search for: everything but the queries.

    radius, range_filter: only rows whose score lies between them, as Milvus has it. L2, HAMMING
    and JACCARD: range_filter <= score < radius; IP and COSINE: radius < score <= range_filter.
    trace: called for each segment with what was done there, if somebody wants to know.
    """

    field: Field
    metric_type: str
    spec: IndexSpec | None
    params: dict[str, Any]
    k: int
    predicate: Predicate | None = None
    radius: float | None = None
    range_filter: float | None = None
    trace: Trace | None = None


def search(view: View, plan: Plan, queries: Array) -> list[Found]:
    """The best k rows for each query. queries: (nq, dim) float32, of a binary field (nq, dim / 8)
    uint8, C order.

    Distances come in ascending order (L2: squared), similarities in descending order. Fewer than
    k only where fewer rows match.
    """
    if len(view.segments) == 1:
        return _found(view.segments[0], *search_segment(view.segments[0], plan, queries))
    each = [_found(s, *search_segment(s, plan, queries)) for s in view.segments]
    descending = plan.metric_type not in DISTANCES
    return [_merged([one[q] for one in each], plan.k, descending) for q in range(len(queries))]


def _found(segment: SegmentView, positions: Array, scores: Array) -> list[Found]:
    """Positions (nq, k) padded with -1 at the end, and their scores, as lists."""
    found = []
    for rows, values in zip(positions.tolist(), scores.tolist(), strict=True):
        if rows and rows[-1] < 0:
            rows = rows[: rows.index(-1)]
        found.append(Found(values[: len(rows)], [(segment, row) for row in rows]))
    return found


def _merged(each: list[Found], k: int, descending: bool) -> Found:
    """The k best of several segments. Equal scores stay in the order of segments and rows."""
    scores = [score for found in each for score in found.scores]
    places = [place for found in each for place in found.places]
    # sorted() is stable in both directions.
    order = sorted(range(len(scores)), key=scores.__getitem__, reverse=descending)[:k]
    return Found([scores[i] for i in order], [places[i] for i in order])


def search_segment(segment: SegmentView, plan: Plan, queries: Array) -> tuple[Array, Array]:
    """Positions (nq, up to k) int64 padded with -1, and their scores."""
    column = segment.column(plan.field.id)
    mask = selected(segment, plan.predicate)
    total, visible = segment.n, mask
    if column.valid is not None:
        total = int(np.count_nonzero(column.valid))
        if total < segment.n:
            visible = column.valid if mask is None else mask & column.valid
    count = segment.n if visible is None else int(np.count_nonzero(visible))
    k, within = min(plan.k, count), Range(plan.radius, plan.range_filter)
    path, found = "empty", None
    rounds: list[int] = []
    effort: dict[str, int] = {}
    if count and plan.spec is not None and plan.spec.id in segment.indexes:
        index = segment.indexes[plan.spec.id]
        wanted = Wanted(column.values, total, plan.metric_type, k, mask, count, within, plan.params)

        def limit_us() -> float:
            return scan_us(column.values, count, len(queries))

        # Who gives parameters of the index wants the index.
        plain = mask is None and not within
        if (plain and plan.params) or expected_us(index, wanted) < limit_us():
            found = nearest(index, wanted, queries, limit_us, rounds)
            if plan.trace is not None:
                effort = index.effort(rounds[-1], plan.params, k)
            path = plan.spec.index_type if found else f"{plan.spec.index_type}, then exact"
    if count and found is None:
        path = path if path != "empty" else "exact"
        norms = segment.segment.norms(plan.field.id, segment.n)
        found = flat.scan(column.values, queries, plan.metric_type, k, visible, norms, within)
    if plan.trace is not None:
        step = Step(segment.segment.id, path, segment.n, count, tuple(rounds), effort)
        plan.trace(step)
    return found or (np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32))
