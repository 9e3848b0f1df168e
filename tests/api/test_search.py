"""search(): windows, ranges, groups, orders, ids and output fields, against plain Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import ITEMS, N, make_shelf, nearest, vector

from walvec import AnnSearchRequest, DataType, MilvusClient
from walvec.exceptions import (
    FieldNotExistException,
    NotSupportedException,
    ParamError,
    PartitionNotExistException,
)

Row = dict[str, Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusClient]:
    """A client of a store with the shelf."""
    with MilvusClient(tmp_path_factory.mktemp("search") / "store") as opened:
        make_shelf(opened)
        yield opened


def found(client: MilvusClient, q: float = 20.2, **kwargs: Any) -> list[int]:
    """Ids of what is nearest to q."""
    ids: list[int] = client.search("shelf", [vector(q)], anns_field="vector", **kwargs)[0].ids
    return ids


def ids_of(rows: list[Row]) -> list[int]:
    return [row["id"] for row in rows]


def grouped(rows: list[Row], key: Callable[[Row], Any], size: int) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        group = groups.setdefault(key(row), [])
        if len(group) < size:
            group.append(row)
    return groups


# Queries and windows


def test_several_queries_are_answered_in_their_order(client: MilvusClient) -> None:
    result = client.search("shelf", [vector(3), vector(50), vector(3)], anns_field="vector")
    assert [hits.ids for hits in result] == [ids_of(nearest(q)[:10]) for q in (3, 50, 3)]
    assert result[0].distances == [(i - 3.0) ** 2 for i in result[0].ids]


def test_pages_lie_side_by_side(client: MilvusClient) -> None:
    pages = [found(client, limit=7, offset=start) for start in range(0, 56, 7)]
    assert [i for page in pages for i in page] == ids_of(nearest(20.2)[:56])
    assert found(client, limit=10, offset=N) == []
    assert found(client, limit=7, search_params={"offset": 7}) == pages[1]
    assert found(client, limit=7, search_params={"params": {"offset": 7}}) == pages[1]


def test_a_page_may_end_at_the_16384th_row_and_not_beyond(client: MilvusClient) -> None:
    assert len(found(client, limit=16_384)) == N
    assert found(client, limit=1, offset=16_383) == []
    for window in ({"limit": 16_385}, {"limit": 16_384, "offset": 1}, {"limit": 0}):
        with pytest.raises(ParamError):
            found(client, **window)


def test_more_than_16384_queries_are_refused(client: MilvusClient) -> None:
    with pytest.raises(ParamError, match="takes 16384 query vectors, got 16385"):
        client.search("shelf", np.zeros((16_385, 2), np.float32), anns_field="vector")


def test_an_option_stands_in_one_place(client: MilvusClient) -> None:
    with pytest.raises(ParamError, match="offset stands in the call and in search_params"):
        found(client, offset=1, search_params={"offset": 1})
    with pytest.raises(ParamError, match="radius is given twice, 3 and 4"):
        found(client, search_params={"radius": 3, "params": {"radius": 4}})


@pytest.mark.parametrize(("decimals", "score"), [(-1, 0.25), (0, 0.0), (1, 0.3), (6, 0.25)])
def test_scores_are_rounded_half_up(client: MilvusClient, decimals: int, score: float) -> None:
    options: Row = {"anns_field": "vector", "limit": 2}
    for asked in ({"round_decimal": decimals}, {"search_params": {"round_decimal": decimals}}):
        hits = client.search("shelf", [vector(0.5)], **options, **asked)[0]
        assert hits.distances == [score, score]


def test_a_score_without_rounding_is_that_of_the_rows(client: MilvusClient) -> None:
    hits = client.search("shelf", [vector(0.55)], anns_field="vector", limit=1)[0]
    assert hits.distances == [pytest.approx(0.45**2)]
    with pytest.raises(ParamError, match="round_decimal 7"):
        found(client, round_decimal=7)
    options: Row = {"round_decimal": -1, "search_params": {"round_decimal": 1}}
    hits = client.search("shelf", [vector(0.55)], anns_field="vector", limit=1, **options)[0]
    assert hits.distances == [0.2]


# Ranges


def test_a_range_is_open_at_the_radius_and_closed_at_the_filter(client: MilvusClient) -> None:
    shape: Row = {"radius": 100.0, "range_filter": 16.0}
    wanted = [row["id"] for row in nearest(20) if 16 <= (row["id"] - 20) ** 2 < 100]
    for params in (shape, {"params": shape}, {"metric_type": "L2", "params": shape}):
        assert found(client, 20, search_params=params, limit=50) == wanted
    inside = [row["id"] for row in nearest(20) if (row["id"] - 20) ** 2 < 100]
    assert found(client, 20, search_params={"radius": 100}, limit=50) == inside


def test_a_range_of_similarities_goes_the_other_way(client: MilvusClient) -> None:
    query = np.array([[1.0, 0.0]], np.float32)
    params = {"radius": 0.2, "range_filter": 0.7}
    (hits,) = client.search("shelf", query, anns_field="turned", search_params=params, limit=50)
    cosines = {row["id"]: 1 / np.hypot(1, row["id"]) for row in ITEMS}
    assert hits.ids == [i for i in range(N) if 0.2 < cosines[i] <= 0.7]


def test_an_empty_range_is_refused_by_the_rule_of_its_metric(client: MilvusClient) -> None:
    with pytest.raises(ParamError, match=r"range_filter 5.0 must be less than radius 4.0 for L2"):
        found(client, search_params={"radius": 4, "range_filter": 5})
    with pytest.raises(ParamError, match="must be greater than radius"):
        params = {"radius": 0.5, "range_filter": 0.4}
        client.search("shelf", [[1, 0]], anns_field="turned", search_params=params)
    with pytest.raises(ParamError, match="range_filter needs a radius"):
        found(client, search_params={"range_filter": 5})
    with pytest.raises(ParamError, match="radius '4' is not a number"):
        found(client, search_params={"radius": "4"})


# Ids as queries


def test_entities_are_searched_by_as_their_vectors_would_be(client: MilvusClient) -> None:
    by_ids = client.search("shelf", ids=[40, 2, 40], anns_field="vector", limit=5)
    assert [hits.ids for hits in by_ids] == [ids_of(nearest(q)[:5]) for q in (40, 2, 40)]
    one = client.search("shelf", ids=7, anns_field="turned", limit=1)
    assert one[0].ids == [7]


def test_ids_and_data_exclude_each_other_and_ids_must_exist(client: MilvusClient) -> None:
    with pytest.raises(ParamError, match="data or ids: one of them"):
        client.search("shelf", [[1, 0]], ids=[1], anns_field="vector")
    with pytest.raises(ParamError, match="data or ids: one of them"):
        client.search("shelf", anns_field="vector")
    with pytest.raises(ParamError, match="no entity 99 to search by"):
        client.search("shelf", ids=[1, 99], anns_field="vector")
    with pytest.raises(ParamError, match="1 to 16384 ids, got 0"):
        client.search("shelf", ids=[], anns_field="vector")


# Groups


@pytest.mark.parametrize("field", ["kind", "price", "stock", "id"])
@pytest.mark.parametrize("size", [1, 3])
def test_strict_groups_are_full_and_in_the_order_of_their_best(
    client: MilvusClient, field: str, size: int
) -> None:
    groups = grouped(nearest(20.2), lambda row: row[field], size)
    wanted = [row["id"] for group in list(groups.values())[:3] for row in group]
    options: Row = {"group_by_field": field, "group_size": size, "strict_group_size": True}
    assert found(client, limit=3, **options) == wanted
    assert found(client, limit=3, search_params={"params": options}) == wanted


def test_a_page_of_groups_begins_after_the_groups_of_the_pages_before(
    client: MilvusClient,
) -> None:
    groups = list(grouped(nearest(20.2), lambda row: row["price"], 2).values())
    options: Row = {"group_by_field": "price", "group_size": 2, "strict_group_size": True}
    for start in (0, 4, 10, 20):
        wanted = [row["id"] for group in groups[start : start + 4] for row in group]
        assert found(client, limit=4, offset=start, **options) == wanted


def test_groups_that_are_not_strict_have_their_best_row_and_at_most_their_size(
    client: MilvusClient,
) -> None:
    hits = client.search(
        "shelf",
        [vector(20.2)],
        anns_field="vector",
        group_by_field="kind",
        group_size=4,
        output_fields=["kind"],
    )[0]
    kinds = [hit["kind"] for hit in hits]
    first = list(dict.fromkeys(kinds))
    assert first == list(grouped(nearest(20.2), lambda row: row["kind"], 1))
    assert kinds == sorted(kinds, key=first.index)
    assert all(kinds.count(kind) <= 4 for kind in first)


def test_rows_are_grouped_by_several_fields(client: MilvusClient) -> None:
    groups = grouped(nearest(20.2), lambda row: (row["kind"], row["stock"]), 1)
    wanted = [group[0]["id"] for group in list(groups.values())[:8]]
    assert found(client, limit=8, group_by_fields=["kind", "stock"]) == wanted


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"group_by_field": "nothing"}, FieldNotExistException),
        ({"group_by_field": "weight"}, ParamError),
        ({"group_by_field": "info"}, ParamError),
        ({"group_by_field": "kind", "group_size": 0}, ParamError),
        ({"group_size": 2}, ParamError),
        ({"group_by_field": "kind", "strict_group_size": 1}, ParamError),
        ({"group_by_field": "kind", "search_params": {"radius": 5}}, ParamError),
        ({"group_by_field": "kind", "group_by_fields": ["kind"]}, ParamError),
    ],
)
def test_groups_that_cannot_be_are_refused(
    client: MilvusClient, options: Row, error: type[Exception]
) -> None:
    with pytest.raises(error):
        found(client, **options)


# Orders


def test_a_page_is_put_in_the_order_of_fields(client: MilvusClient) -> None:
    page = nearest(20.2)[:20]
    by_price = sorted(page, key=lambda row: row["price"])
    order: list[Row] = [{"field": "price", "order": "asc"}]
    assert found(client, limit=20, order_by_fields=order) == ids_of(by_price)
    both = sorted(page, key=lambda r: r["weight"], reverse=True)
    both = sorted(both, key=lambda r: r["kind"])
    assert found(client, limit=20, order_by_fields="kind,weight:desc") == ids_of(both)


def test_nulls_stand_where_the_direction_or_the_order_says(client: MilvusClient) -> None:
    page = nearest(20.2)[:20]
    nulls = [row for row in page if row["stock"] is None]
    rising = sorted((r for r in page if r["stock"] is not None), key=lambda r: r["stock"])
    falling = sorted(rising, key=lambda r: -r["stock"])
    for order, wanted in (
        ("stock", rising + nulls),
        ("stock:asc:nulls_first", nulls + rising),
        ("stock:desc", nulls + falling),
        ("stock:descending:nulls_last", falling + nulls),
    ):
        assert found(client, limit=20, order_by_fields=order) == ids_of(wanted), order


def test_dynamic_keys_and_paths_order_too(client: MilvusClient) -> None:
    page = nearest(20.2)[:20]
    by_shade = sorted(page, key=lambda row: row["shade"])
    assert found(client, limit=20, order_by_fields="shade") == ids_of(by_shade)
    by_rank = sorted(page, key=lambda row: -row["rank"]["of"])
    order: list[Row] = [{"field": 'rank["of"]', "order": "desc"}]
    assert found(client, limit=20, order_by_fields=order) == ids_of(by_rank)
    assert found(client, limit=20, order_by_fields="nowhere") == ids_of(page)


def test_groups_are_ordered_by_their_best_rows(client: MilvusClient) -> None:
    groups = list(grouped(nearest(20.2), lambda row: row["kind"], 2).values())
    groups.sort(key=lambda group: -group[0]["price"])
    options: Row = {"group_by_field": "kind", "group_size": 2, "strict_group_size": True}
    wanted = [row["id"] for group in groups for row in group]
    assert found(client, order_by_fields="price:desc", **options) == wanted


@pytest.mark.parametrize("order", ["info", "vector", 'info["a"]', "price:up", "a:asc:b", [3], 5])
def test_an_order_that_cannot_be_is_refused(client: MilvusClient, order: Any) -> None:
    with pytest.raises(ParamError):
        found(client, order_by_fields=order)
    with pytest.raises(ParamError):
        found(client, order_by_fields=[{"field": "price", "nulls": "last"}])


# Output fields


def test_hits_carry_the_fields_keys_and_paths_that_were_named(client: MilvusClient) -> None:
    names = ["kind", "shade", 'info["a"]["b"][1]', '$meta["rank"]', "stock"]
    hits = client.search("shelf", [vector(12)], anns_field="vector", limit=1, output_fields=names)
    wanted = {
        "kind": ITEMS[12]["kind"],
        "stock": ITEMS[12]["stock"],
        "shade": "s0",
        "rank": {"of": 0},
        'info["a"]["b"][1]': 13,
    }
    assert hits[0][0] == {"id": 12, "distance": 0.0, "entity": wanted}
    everything = client.search(
        "shelf", [vector(12)], anns_field="vector", limit=1, output_fields=["*"]
    )
    assert everything[0][0]["entity"] == ITEMS[12]
    assert client.search("shelf", [vector(12)], anns_field="vector")[0][0]["entity"] == {}


def test_a_path_that_leads_nowhere_is_none_and_a_missing_key_is_left_out(
    client: MilvusClient,
) -> None:
    names = ['info["x"][3]', "nowhere", 'rank["of"]']
    row = client.query("shelf", "id == 5", output_fields=names)[0]
    assert row == {"id": 5, 'info["x"][3]': None, 'rank["of"]': 1}


def test_names_that_are_nothing_are_refused(client: MilvusClient) -> None:
    for name in ('kind["a"]', "info[", 'info["a"', "count(*)"):
        with pytest.raises(FieldNotExistException, match="to put out"):
            found(client, output_fields=["*", name])


# What else may be asked


def test_keywords_that_ask_for_nothing_are_taken(client: MilvusClient) -> None:
    plain = found(client)
    nothing: Row = {
        "ranker": None,
        "function_chains": None,
        "highlighter": None,
        "search_aggregation": None,
        "consistency_level": "Bounded",
        "page_retain_order": True,
        "ignore_growing": False,
        "group_by_field": None,
        "filter": None,
        "search_params": None,
        "filter_params": None,
    }
    assert found(client, **nothing) == plain
    assert found(client, search_params={"hints": "iterative_filter"}) == plain


@pytest.mark.parametrize("name", ["ranker", "function_chains", "highlighter", "search_aggregation"])
def test_what_needs_a_server_is_refused(client: MilvusClient, name: str) -> None:
    with pytest.raises(NotSupportedException, match="needs a server"):
        found(client, **{name: object()})


@pytest.mark.parametrize(
    "options",
    [
        {"namespace": "a"},
        {"search_params": {"level": 3}},
        {"search_params": {"metric_type": "IP"}},
        {"search_params": {"params": 3}},
        {"hints": "faster"},
        {"ignore_growing": "yes"},
        {"filter": "id > {x}", "filter_params": {"x": 1}, "expr_params": {"x": 1}},
    ],
)
def test_what_is_not_honoured_is_refused(client: MilvusClient, options: Row) -> None:
    with pytest.raises(ParamError):
        found(client, **options)


def test_growing_rows_are_left_out_when_asked_for(client: MilvusClient) -> None:
    assert found(client, 50, limit=1, ignore_growing=True) == [39]
    assert found(client, 50, limit=1, search_params={"ignore_growing": True}) == [39]


def test_a_filter_and_its_values_narrow_the_search(client: MilvusClient) -> None:
    wanted = ids_of(nearest(20.2, [row for row in ITEMS if row["price"] > 6])[:10])
    assert found(client, filter="price > 6") == wanted
    for name in ("filter_params", "expr_params"):
        assert found(client, filter="price > {p}", **{name: {"p": 6}}) == wanted


def test_an_empty_collection_has_no_hits(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "store") as client:
        client.create_collection("empty", dimension=2)
        for options in ({}, {"group_by_field": "id"}, {"order_by_fields": "id"}):
            assert list(client.search("empty", [[1, 2]], **options)) == [[]]


def test_every_way_of_reading_keeps_to_the_partitions_named(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "store") as client:
        client.create_collection("c", dimension=2, metric_type="L2")
        client.create_partition("c", "odd")
        rows = [{"id": i, "vector": [float(i), 0.0]} for i in range(20)]
        client.insert("c", [row for row in rows if row["id"] % 2], partition_name="odd")
        client.insert("c", [row for row in rows if row["id"] % 2 == 0])
        odd, here = list(range(1, 20, 2)), {"partition_names": ["odd"]}
        request = AnnSearchRequest([[0.0, 0.0]], "vector", {}, 20)
        assert client.search("c", [[0, 0]], limit=20, **here)[0].ids == odd
        assert client.hybrid_search("c", [request], None, 20, **here)[0].ids == odd
        assert client.search_iterator("c", [[0, 0]], **here).next().ids() == odd
        batch = client.query_iterator("c", **here).next()
        assert [row["id"] for row in batch] == odd
        assert [row["id"] for row in client.query("c", limit=20, **here)] == odd
        assert client.query("c", output_fields=["count(*)"], **here) == [{"count(*)": 10}]
        assert [row["id"] for row in client.get("c", [1, 2, 3], **here)] == [1, 3]
        with pytest.raises(ParamError, match="no entity 2 to search by"):
            client.search("c", ids=[2], **here)
        with pytest.raises(PartitionNotExistException):
            client.search("c", [[0, 0]], partition_names=["even"])


def test_an_entity_without_a_vector_cannot_be_searched_by(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "store") as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT16_VECTOR, dim=2, nullable=True)
        client.create_collection("c", schema=schema)
        client.load_collection("c")
        client.insert("c", [{"id": i, "vector": [1.0, float(i)] if i else None} for i in range(4)])
        by_two = {"metric_type": "L2"}
        assert client.search("c", ids=[2], search_params=by_two)[0].distances == [0.0, 1.0, 1.0]
        with pytest.raises(ParamError, match="entity 0 of c: vector is null"):
            client.search("c", ids=[2, 0])
        with pytest.raises(ParamError, match="level"):
            client.search("c", ids=[2], search_params={**by_two, "level": 3})
