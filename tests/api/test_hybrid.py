"""hybrid_search(): the rankers' formulas, groups and windows, against plain Python."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from shelf import ITEMS, N, make_shelf, nearest, vector

from walvec import AnnSearchRequest, MilvusClient, RRFRanker, WeightedRanker
from walvec.exceptions import NotSupportedException, ParamError
from walvec.hybrid import normalizer

Row = dict[str, Any]
Scores = dict[int, float]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusClient]:
    """A client of a store with the shelf."""
    with MilvusClient(tmp_path_factory.mktemp("hybrid") / "store") as opened:
        make_shelf(opened)
        yield opened


def near(q: float, limit: int = 20, **kwargs: Any) -> AnnSearchRequest:
    """By distance from (q, 0)."""
    return AnnSearchRequest([vector(q)], "vector", {}, limit, **kwargs)


def turned(limit: int = 20) -> AnnSearchRequest:
    """By the cosine with (1, 0), which falls from row 0 on."""
    return AnnSearchRequest([[1.0, 0.0]], "turned", {"metric_type": "COSINE"}, limit)


def cosine(i: int) -> float:
    return 1 / math.hypot(1, i)


def ranked(scores: Scores, *, rising: bool = False) -> list[int]:
    """Ids by their scores, of equal ones the lesser id."""
    sign = 1 if rising else -1
    return sorted(scores, key=lambda i: (sign * float(np.float32(scores[i])), i))


def rrf(k: float, *orders: list[int]) -> Scores:
    scores: Scores = {}
    for order in orders:
        for rank, i in enumerate(order, 1):
            scores[i] = scores.get(i, 0) + 1 / (k + rank)
    return scores


def distances(q: float, limit: int = 20) -> Scores:
    return {row["id"]: (row["id"] - q) ** 2 for row in nearest(q)[:limit]}


def fused(client: MilvusClient, ranker: Any, *reqs: AnnSearchRequest, **kwargs: Any) -> Any:
    return client.hybrid_search("shelf", list(reqs), ranker, **kwargs)[0]


@pytest.mark.parametrize("k", [60, 1, 0.5])
def test_reciprocal_ranks_are_summed(client: MilvusClient, k: float) -> None:
    scores = rrf(k, list(distances(8)), list(range(20)))
    hits = fused(client, RRFRanker(k), near(8), turned(), limit=40)
    assert hits.ids == ranked(scores)
    assert hits.distances == pytest.approx([scores[i] for i in hits.ids])
    assert RRFRanker().dict() == {"strategy": "rrf", "params": {"k": 60}}


def test_no_ranker_is_reciprocal_ranks(client: MilvusClient) -> None:
    reqs = (near(8), turned())
    assert fused(client, None, *reqs) == fused(client, RRFRanker(), *reqs)


def test_weighted_scores_are_brought_to_one_scale(client: MilvusClient) -> None:
    scores = {i: 0.3 * (1 - 2 * math.atan(d) / math.pi) for i, d in distances(8).items()}
    for i in range(20):
        scores[i] = scores.get(i, 0) + 0.7 * (1 + cosine(i)) / 2
    hits = fused(client, WeightedRanker(0.3, 0.7), near(8), turned(), limit=40)
    assert hits.ids == ranked(scores)
    assert hits.distances == pytest.approx([scores[i] for i in hits.ids], rel=1e-5)


def test_bare_scores_of_one_kind_are_summed_as_they_are(client: MilvusClient) -> None:
    ranker = WeightedRanker(0.5, 1.0, norm_score=False)
    scores = {i: 0.5 * d for i, d in distances(8).items()}
    for i, d in distances(11.5).items():
        scores[i] = scores.get(i, 0) + d
    hits = fused(client, ranker, near(8), near(11.5), limit=40)
    # The sum of distances: a row that only one request found has an advantage, as in Milvus.
    assert hits.ids == ranked(scores, rising=True)
    assert hits.distances == pytest.approx([scores[i] for i in hits.ids])


def test_bare_scores_of_two_kinds_turn_distances_round(client: MilvusClient) -> None:
    ranker = WeightedRanker(0.5, 1.0, norm_score=False)
    scores = {i: 0.5 * (1 - 2 * math.atan(d) / math.pi) for i, d in distances(8).items()}
    for i in range(20):
        scores[i] = scores.get(i, 0) + cosine(i)
    hits = fused(client, ranker, near(8), turned(), limit=40)
    assert hits.ids == ranked(scores)


def test_the_scales_of_the_metrics() -> None:
    assert normalizer("COSINE", True, mixed=False)(-1) == 0
    assert normalizer("COSINE", True, mixed=False)(0.5) == 0.75
    assert normalizer("IP", True, mixed=False)(0) == 0.5
    assert normalizer("IP", True, mixed=False)(1) == pytest.approx(0.75)
    for metric in ("L2", "HAMMING", "JACCARD"):
        assert normalizer(metric, True, mixed=False)(0) == 1
        assert normalizer(metric, True, mixed=False)(1) == pytest.approx(0.5)
        assert normalizer(metric, False, mixed=True)(1) == pytest.approx(0.5)
        assert normalizer(metric, False, mixed=False)(7) == 7
    assert normalizer("IP", False, mixed=True)(7) == 7


def test_the_page_and_its_fields_are_those_of_the_whole(client: MilvusClient) -> None:
    reqs = (near(8), turned())
    whole = fused(client, RRFRanker(), *reqs, limit=40)
    page = fused(
        client, RRFRanker(), *reqs, limit=4, offset=3, output_fields=["kind"], round_decimal=2
    )
    assert page.ids == whole.ids[3:7]
    assert page.distances == [pytest.approx(round(s, 2)) for s in whole.distances[3:7]]
    assert [hit["kind"] for hit in page] == [ITEMS[i]["kind"] for i in page.ids]


def test_each_request_has_its_own_filter_range_and_queries(client: MilvusClient) -> None:
    first = near(8, filter="price > {p}", expr_params={"p": 6})
    second = AnnSearchRequest([vector(8)], "vector", {"params": {"radius": 5}}, 20, "id != 8")
    dear = [row["id"] for row in nearest(8) if row["price"] > 6][:20]
    close = [row["id"] for row in nearest(8) if 0 < (row["id"] - 8) ** 2 < 5]
    assert fused(client, RRFRanker(), first, second, limit=40).ids == ranked(rrf(60, dear, close))

    pair = [vector(3), vector(30)]
    both = client.hybrid_search(
        "shelf", [AnnSearchRequest(pair, "vector", {}, 5)] * 2, RRFRanker(), limit=3
    )
    assert [hits.ids for hits in both] == [[row["id"] for row in nearest(q)[:3]] for q in (3, 30)]
    with pytest.raises(ParamError, match="as many query vectors"):
        fused(client, RRFRanker(), AnnSearchRequest(pair, "vector", {}, 5), near(3))


@pytest.mark.parametrize("scorer", ["max", "sum", "avg"])
@pytest.mark.parametrize("strict", [False, True])
def test_groups_are_ranked_by_the_scores_of_their_rows(
    client: MilvusClient, scorer: str, strict: bool
) -> None:
    options: Row = {"group_by_field": "price", "group_size": 2, "strict_group_size": strict}
    orders = [
        client.search("shelf", req.data, anns_field=req.anns_field, limit=8, **options)[0].ids
        for req in (near(8), turned())
    ]
    scores = rrf(60, *orders)
    groups: dict[int, list[int]] = {}
    for i in ranked(scores):
        group = groups.setdefault(ITEMS[i]["price"], [])
        if len(group) < 2:
            group.append(i)
    of = {"max": max, "sum": sum, "avg": lambda values: sum(values) / len(values)}[scorer]
    order = sorted(
        groups.values(),
        key=lambda g: (-round(of([scores[i] for i in g]), 7), -len(g), g[0]),
    )
    page = [group for group in order[1:5] if len(group) == 2 or not strict]
    hits = fused(
        client,
        RRFRanker(),
        near(8, limit=8),
        turned(8),
        limit=4,
        offset=1,
        rank_group_scorer=scorer,
        **options,
    )
    assert hits.ids == [i for group in page for i in group]


def test_all_requests_read_one_view(client: MilvusClient) -> None:
    answer = client.hybrid_search("shelf", [near(8), turned()], RRFRanker())
    assert answer.extra["seq"] == client.query("shelf", output_fields=["count(*)"]).extra["seq"]


class Function:
    """As pymilvus' Function, by name."""


def test_functions_as_rankers_need_a_server(client: MilvusClient) -> None:
    with pytest.raises(NotSupportedException, match="need a server"):
        fused(client, Function(), near(1))


@pytest.mark.parametrize(
    ("ranker", "reqs", "options"),
    [
        (RRFRanker(), [], {}),
        (RRFRanker(), [3], {}),
        (RRFRanker(), [near(1)] * 1025, {}),
        (3, [near(1)], {}),
        (WeightedRanker(1.0), [near(1), near(2)], {}),
        (RRFRanker(), [near(1, limit=0)], {}),
        (RRFRanker(), [AnnSearchRequest([vector(1)], "vector", {"offset": 2}, 3)], {}),
        (RRFRanker(), [AnnSearchRequest([vector(1)], "vector", {"metric_type": "IP"}, 3)], {}),
        (RRFRanker(), [near(1)], {"order_by_fields": "price"}),
        (RRFRanker(), [near(1)], {"rank_group_scorer": "min", "group_by_field": "kind"}),
        (RRFRanker(), [near(1)], {"search_params": {}}),
        (RRFRanker(), [near(1)], {"limit": N * 1000}),
    ],
)
def test_what_is_not_honoured_is_refused(
    client: MilvusClient, ranker: Any, reqs: list[Any], options: Row
) -> None:
    with pytest.raises(ParamError):
        client.hybrid_search("shelf", reqs, ranker, **options)


@pytest.mark.parametrize("k", [0, 16_384, -1, True, "60", math.nan])
def test_a_constant_of_rrf_is_within_milvus_bounds(k: Any) -> None:
    with pytest.raises(ParamError):
        RRFRanker(k)


@pytest.mark.parametrize("weight", [-0.1, 1.1, True, "1", math.nan])
def test_a_weight_is_within_0_and_1(weight: Any) -> None:
    with pytest.raises(ParamError):
        WeightedRanker(weight)


def test_a_request_has_one_filter_and_shows_itself() -> None:
    with pytest.raises(ParamError, match="expr or filter, not both"):
        AnnSearchRequest([[1.0]], "v", {}, 3, expr="a > 1", filter="a > 1")
    request = AnnSearchRequest([[1.0]], "v", {"ef": 3}, 3, "a > 1")
    assert request.filter == request.expr == "a > 1"
    shown = "{'anns_field': 'v', 'param': {'ef': 3}, 'limit': 3, 'expr': 'a > 1'}"
    assert str(request) == shown
