"""Hybrid search: the answers of several searches brought together by a ranker.

The formulas, their order and float32 are those of Milvus (`internal/util/function/rerank`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from walvec.grouping import Grouping, group_keys
from walvec.rankers import Ranker, RRFRanker, WeightedRanker
from walvec.reading import Reader
from walvec.segments.metrics import DISTANCES
from walvec.segments.search import Found
from walvec.segments.view import Place
from walvec.wal.errors import NotSupportedException, ParamError
from walvec.wal.shown import shown

FLOAT32 = np.float32
SCORERS: dict[str, Callable[[list[float]], float]] = {
    "max": max,
    "sum": sum,
    "avg": lambda scores: sum(scores) / len(scores),
}
"""rank_group_scorer: the score of a group by those of its rows."""
FUNCTIONS = ("Function", "FunctionScore")


class Answer(NamedTuple):
    """What one request found for one query, and by which metric."""

    metric: str
    found: Found


class Ranked(NamedTuple):
    """A row with its score and primary key."""

    score: float
    pk: Any
    place: Place


def ranker_of(ranker: Any, requests: int) -> RRFRanker | WeightedRanker:
    """A ranker for so many requests; None is RRFRanker(). Raises ParamError,
    NotSupportedException."""
    if ranker is None:
        return RRFRanker()
    if isinstance(ranker, WeightedRanker) and len(ranker.weights) != requests:
        raise ParamError(
            message=f"WeightedRanker has {len(ranker.weights)} weights for {requests} requests"
        )
    if isinstance(ranker, RRFRanker | WeightedRanker):
        return ranker
    if isinstance(ranker, Ranker) or type(ranker).__name__ not in FUNCTIONS:
        raise ParamError(
            message=f"ranker must be an RRFRanker or a WeightedRanker, got {shown(ranker)}"
        )
    raise NotSupportedException(
        message="ranker functions need a server: use RRFRanker or WeightedRanker"
    )


def fused(
    reader: Reader, ranker: RRFRanker | WeightedRanker, answers: Sequence[Answer]
) -> list[Ranked]:
    """All rows that were found for one query, best first; of equal scores the lesser key."""
    scores: dict[tuple[int, int], np.float32] = {}
    places: dict[tuple[int, int], Place] = {}
    for number, answer in enumerate(answers):
        parts = _parts(ranker, answers, number)
        for place, part in zip(answer.found.places, parts, strict=True):
            key = (id(place[0]), place[1])
            places.setdefault(key, place)
            scores[key] = scores[key] + part if key in scores else part
    found = list(places.values())
    pks = reader.pks_at(found)
    values = [float(scores[key]) for key in places]
    sign = -1 if _falling(ranker, answers) else 1
    order = sorted(range(len(found)), key=lambda i: (sign * values[i], pks[i]))
    return [Ranked(values[i], pks[i], found[i]) for i in order]


def _falling(ranker: RRFRanker | WeightedRanker, answers: Sequence[Answer]) -> bool:
    """Whether the greater score is the better one: unless all are bare distances."""
    if isinstance(ranker, RRFRanker) or ranker.norm_score:
        return True
    return any(answer.metric not in DISTANCES for answer in answers)


def _parts(
    ranker: RRFRanker | WeightedRanker, answers: Sequence[Answer], number: int
) -> list[np.float32]:
    """What each row gets for its place in one answer."""
    metric, found = answers[number]
    if isinstance(ranker, RRFRanker):
        k = FLOAT32(ranker.k)
        return [FLOAT32(1) / (k + FLOAT32(rank + 1)) for rank in range(len(found.scores))]
    kinds = {answer.metric in DISTANCES for answer in answers}
    norm = normalizer(metric, ranker.norm_score, mixed=len(kinds) == 2)
    weight = FLOAT32(ranker.weights[number])
    return [weight * FLOAT32(norm(score)) for score in found.scores]


def normalizer(metric: str, norm_score: bool, *, mixed: bool) -> Callable[[float], float]:
    """How a score enters the weighted sum. Where distances meet similarities (`mixed`), they are
    turned round even without `norm_score`."""
    if metric not in DISTANCES:
        if not norm_score:
            return lambda score: score
        if metric == "COSINE":
            return lambda score: (1 + score) * 0.5
        return lambda score: 0.5 + math.atan(score) / math.pi
    if norm_score or mixed:
        return lambda score: 1 - 2 * math.atan(score) / math.pi
    return lambda score: score


def page_of(ranked: Sequence[Ranked], limit: int, offset: int) -> Found:
    """The page of rows that goes out."""
    page = ranked[offset : offset + limit]
    return Found([r.score for r in page], [r.place for r in page])


def group_page_of(
    ranked: Sequence[Ranked], grouping: Grouping, scorer: str, limit: int, offset: int
) -> Found:
    """The page of groups, in the order of their scores; of equal ones the larger, then the one
    with the lesser first key. Strict groups that are not full are left out."""
    groups: dict[tuple[Any, ...], list[Ranked]] = {}
    for key, one in zip(group_keys([r.place for r in ranked], grouping), ranked, strict=True):
        members = groups.setdefault(key, [])
        if len(members) < grouping.size:
            members.append(one)
    score = SCORERS[scorer]
    order = sorted(
        groups.values(),
        key=lambda group: (-score([r.score for r in group]), -len(group), group[0].pk),
    )
    page = order[offset : offset + limit]
    full = [g for g in page if len(g) == grouping.size or not grouping.strict]
    return page_of([one for group in full for one in group], len(ranked), 0)
