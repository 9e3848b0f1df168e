"""Whatever stands where an argument of search or query is expected is answered, or refused by an
error of walvec."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from shelf import make_shelf, vector

from walvec import AnnSearchRequest, MilvusClient, MilvusException, RRFRanker, WeightedRanker

Call = Callable[..., Any]


class Odd:
    """An object that can be neither shown nor asked whether it is true."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


def values() -> list[Any]:
    """One of every kind."""
    endless: list[Any] = []
    endless.append(endless)
    plain = [None, True, 3, -1, 2.5, math.nan, 10**30, "", "x", "\ud800", b"x", object(), Odd()]
    lists = [[], [1], ["x"], [None], ["\ud800"], (1, 2), {1}, range(3), endless, [Odd()]]
    arrays = [np.array([1.0, 2.0]), np.array(3), np.array([[1, "a"]], object)]
    numbers = [np.float32(2), np.int64(3), np.str_("kind")]
    dicts = [{}, {"x": 1}, {1: 2}, {"params": 3}, {"params": {"ef": endless}}, {"field": "price"}]
    wishes = [{"radius": Odd()}, {"offset": Odd()}, {"group_by_field": endless}]
    orders = ["price:desc:x:y", [{"field": 3}], [{"field": "price", "order": 3}]]
    functions = [lambda hits: hits, lambda hits: 3]
    return [*plain, *lists, *arrays, *numbers, *dicts, *wishes, *orders, *functions]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusClient]:
    """A client of a store with the shelf."""
    with MilvusClient(tmp_path_factory.mktemp("arguments") / "store") as opened:
        make_shelf(opened)
        yield opened


NEAR: dict[str, Any] = {"data": [vector(1)], "anns_field": "vector"}
SEARCH = (
    "collection_name data filter limit output_fields search_params timeout partition_names "
    "anns_field ranker function_chains highlighter search_aggregation offset round_decimal "
    "group_by_field group_by_fields group_size strict_group_size order_by_fields filter_params "
    "expr_params timezone ignore_growing hints page_retain_order consistency_level nothing"
)
QUERY = (
    "collection_name filter output_fields timeout partition_names limit offset order_by "
    "order_by_fields group_by_fields filter_params expr_params timezone ignore_growing nothing"
)
HYBRID = (
    "collection_name reqs ranker limit output_fields timeout partition_names offset "
    "round_decimal group_by_field group_size strict_group_size rank_group_scorer timezone "
    "ignore_growing nothing"
)
SEARCH_ITERATOR = (
    "collection_name data batch_size filter limit output_fields search_params timeout "
    "partition_names anns_field round_decimal external_filter_func filter_params timezone "
    "ignore_growing offset nothing"
)
QUERY_ITERATOR = (
    "collection_name batch_size limit filter output_fields partition_names timeout offset "
    "filter_params timezone ignore_growing reduce_stop_for_best nothing"
)


def request(**kwargs: Any) -> AnnSearchRequest:
    """A request, some of whose arguments are others."""
    return AnnSearchRequest(**{**NEAR, "param": {}, "limit": 3, **kwargs})


def calls(client: MilvusClient) -> dict[str, tuple[Call, dict[str, Any], str]]:
    """What to call, with which arguments, and which of them are to be replaced."""
    shelf = {"collection_name": "shelf"}
    reqs = {"reqs": [request()], "ranker": None}
    return {
        "search": (client.search, {**shelf, **NEAR}, SEARCH),
        "search by ids": (client.search, {**shelf, "anns_field": "vector"}, "ids"),
        "search by groups": (
            client.search,
            {**shelf, **NEAR, "group_by_field": "kind"},
            "group_size strict_group_size order_by_fields offset limit",
        ),
        "get": (client.get, {**shelf, "ids": [1]}, "ids output_fields partition_names timezone"),
        "query": (client.query, {**shelf, "filter": "id > 3", "limit": 3}, QUERY),
        "query of all": (client.query, shelf, "filter ids limit output_fields"),
        "hybrid_search": (client.hybrid_search, {**shelf, **reqs}, HYBRID),
        "AnnSearchRequest": (
            lambda **kwargs: client.hybrid_search("shelf", [request(**kwargs)], RRFRanker()),
            {},
            "data anns_field param limit expr expr_params filter",
        ),
        "rankers": (lambda k: (RRFRanker(k), WeightedRanker(k)), {}, "k"),
        "WeightedRanker": (WeightedRanker, {}, "norm_score"),
        "search_iterator": (
            lambda **kwargs: client.search_iterator(**kwargs).next(),
            {**shelf, **NEAR},
            SEARCH_ITERATOR,
        ),
        "query_iterator": (
            lambda **kwargs: client.query_iterator(**kwargs).next(),
            shelf,
            QUERY_ITERATOR,
        ),
    }


NAMES = (
    "search",
    "search by ids",
    "search by groups",
    "get",
    "query",
    "query of all",
    "hybrid_search",
    "AnnSearchRequest",
    "rankers",
    "WeightedRanker",
    "search_iterator",
    "query_iterator",
)


@pytest.mark.parametrize("name", NAMES)
def test_any_value_is_answered_or_refused_by_an_error_of_walvec(
    client: MilvusClient, name: str
) -> None:
    call, given, replaced = calls(client)[name]
    refused = 0
    for argument in replaced.split():
        for number, value in enumerate(values()):
            try:
                call(**{**given, argument: value})
            except MilvusException:
                refused += 1
            except Exception as error:
                pytest.fail(f"{argument}, value {number}: {error!r}")
    assert refused


def test_every_call_is_among_the_names(client: MilvusClient) -> None:
    assert tuple(calls(client)) == NAMES
