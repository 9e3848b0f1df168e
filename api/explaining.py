"""Running a query or a search segment by segment, and noting what is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from walvec.explanation import Explanation, FilterStep, SegmentPlan, VectorStep
from walvec.filter import Filter, Step
from walvec.reading import Reader
from walvec.segments.metrics import DISTANCES
from walvec.segments.search import Found, Plan, search
from walvec.segments.search import Step as Searched
from walvec.segments.view import SegmentView, selected_rows
from walvec.wal.rows import Array


class _Watched:
    """A filter as a predicate that notes its steps and its time."""

    def __init__(self, compiled: Filter) -> None:
        self._compiled = compiled
        self.steps: list[Step] = []
        self.seconds = 0.0

    def __call__(self, rows: SegmentView) -> Array:
        started = perf_counter()
        mask = self._compiled.mask(rows, self.steps)
        self.seconds += perf_counter() - started
        return mask


def explained_query(reader: Reader, compiled: Filter | None, limit: int | None) -> Explanation:
    """How the rows that match are found, up to the segment that reaches the limit."""
    pks = None if compiled is None else compiled.pks(reader.info.schema)
    started = perf_counter()
    if pks is not None:
        places = Counter(segment.segment.id for segment, _ in reader.places(pks))
        each = [
            _segment(reader, s, "primary key", places[s.segment.id], 0.0)
            for s in reader.view.segments
        ]
        return _whole(reader, "query", compiled, limit, each, perf_counter() - started)
    each, found = [], 0
    for segment in reader.view.segments:
        if limit is not None and found >= limit:
            each.append(_segment(reader, segment, "not read", None, 0.0))
            continue
        began = perf_counter()
        watched = None if compiled is None else _Watched(compiled)
        count = len(selected_rows(segment, watched))
        found += count
        seconds = perf_counter() - began
        each.append(_segment(reader, segment, _path(compiled), count, seconds, watched))
    return _whole(reader, "query", compiled, limit, each, perf_counter() - started)


def explained_search(
    reader: Reader, compiled: Filter | None, plan: Plan, offset: int, queries: Array
) -> Explanation:
    """How the nearest rows are found: plan.k of them, of which the first `offset` are left out."""
    started = perf_counter()
    each: list[tuple[SegmentView, _Watched | None, Searched, float]] = []
    pages: list[list[Found]] = []
    for segment in reader.view.segments:
        began = perf_counter()
        watched = None if compiled is None else _Watched(compiled)
        noted: list[Searched] = []
        one = reader.view._replace(segments=(segment,))
        watching = plan._replace(predicate=watched, trace=noted.append)
        pages.append(search(one, watching, queries))
        each.append((segment, watched, noted[0], perf_counter() - began))
    hits = _hits(pages, plan, offset)
    plans = []
    for place, (segment, watched, step, seconds) in enumerate(each):
        searching = seconds - (watched.seconds if watched else 0.0)
        vector = VectorStep(step.path, step.effort, step.asked, hits[place], searching)
        count = step.candidates
        plans.append(_segment(reader, segment, _path(compiled), count, seconds, watched, vector))
    limit = plan.k - offset
    return _whole(reader, "search", compiled, limit, plans, perf_counter() - started)


def _path(compiled: Filter | None) -> str:
    return "all rows" if compiled is None else "filter"


def _hits(pages: Sequence[Sequence[Found]], plan: Plan, offset: int) -> Counter[int]:
    """How many of the hits of all queries are from each segment, by its place."""
    sign = 1.0 if plan.metric_type in DISTANCES else -1.0
    hits: Counter[int] = Counter()
    for page in zip(*pages, strict=True):
        scores = np.array([sign * score for found in page for score in found.scores])
        places = np.repeat(np.arange(len(page)), [len(found.scores) for found in page])
        best = np.argsort(scores, kind="stable")[offset : plan.k]
        hits.update(places[best].tolist())
    return hits


def _segment(
    reader: Reader,
    view: SegmentView,
    path: str,
    candidates: int | None,
    seconds: float,
    watched: _Watched | None = None,
    searched: VectorStep | None = None,
) -> SegmentPlan:
    segment = view.segment
    names = {number: name for name, number in reader.info.partitions.items()}
    alive = view.alive()
    visible = view.n if alive is None else int(np.count_nonzero(alive))
    steps: list[Any] = watched.steps if watched else []
    return SegmentPlan(
        id=segment.id,
        state="sealed" if segment.sealed else "growing",
        partition=names.get(segment.partition, ""),
        rows=view.n,
        alive=visible,
        path=path,
        steps=tuple(FilterStep(*step) for step in steps),
        candidates=candidates,
        selectivity=None if candidates is None or not visible else candidates / visible,
        seconds=seconds,
        search=searched,
    )


def _whole(
    reader: Reader,
    kind: str,
    compiled: Filter | None,
    limit: int | None,
    plans: Sequence[SegmentPlan],
    seconds: float,
) -> Explanation:
    found = sum(plan.candidates or 0 for plan in plans)
    hits = found if limit is None else min(found, limit)
    if kind == "search":
        hits = sum(plan.search.hits for plan in plans if plan.search is not None)
    return Explanation(
        collection=reader.info.name,
        kind=kind,
        filter="" if compiled is None else compiled.expression,
        limit=limit,
        seq=reader.seq,
        candidates=found,
        hits=hits,
        seconds=seconds,
        segments=tuple(plans),
    )
