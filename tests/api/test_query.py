"""query() and get(): windows, orders, aggregates, keys and output fields, against plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from shelf import ITEMS, N, make_shelf

from walvec import AnnSearchRequest, DataType, MilvusClient
from walvec.exceptions import FieldNotExistException, ParamError

Row = dict[str, Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusClient]:
    """A client of a store with the shelf."""
    with MilvusClient(tmp_path_factory.mktemp("query") / "store") as opened:
        make_shelf(opened)
        yield opened


def ids_of(rows: list[Row]) -> list[int]:
    return [row["id"] for row in rows]


def asked(client: MilvusClient, filter: str = "", **kwargs: Any) -> list[int]:
    """Ids of what a query gives."""
    return ids_of(client.query("shelf", filter, output_fields=["id"], **kwargs))


# Windows


def test_rows_come_in_the_order_of_their_insertion_page_by_page(client: MilvusClient) -> None:
    assert asked(client, limit=N) == list(range(N))
    pages = [asked(client, limit=7, offset=start) for start in range(0, N, 7)]
    assert [i for page in pages for i in page] == list(range(N))
    cheap = [row["id"] for row in ITEMS if row["price"] < 5]
    assert asked(client, "price < 5") == cheap
    assert asked(client, "price < 5", offset=3) == cheap[3:]
    assert asked(client, "price < 5", offset=3, limit=12) == cheap[3:15]
    assert asked(client, "price < 5", offset=500) == []


def test_without_filter_and_ids_a_limit_is_needed(client: MilvusClient) -> None:
    for options in ({}, {"offset": 3}, {"group_by_fields": ["kind"], "output_fields": ["kind"]}):
        with pytest.raises(ParamError, match="needs a limit"):
            client.query("shelf", **options)
    for options in ({"limit": 0}, {"limit": 16_384, "offset": 1}, {"limit": -1}, {"offset": -1}):
        with pytest.raises(ParamError):
            asked(client, "id >= 0", **options)


def test_keys_are_found_in_the_order_they_are_named(client: MilvusClient) -> None:
    assert asked(client, ids=[30, 7, 99, 30, 50]) == [30, 7, 50]
    assert asked(client, "id in [30, 7, 99, 50]") == [30, 7, 50]
    assert asked(client, ids=7) == [7]
    assert asked(client, ids=[30, 7, 50], limit=1, offset=1) == [7]
    assert asked(client, ids=[30, 7, 50], limit=3, order_by=["id"]) == [7, 30, 50]
    assert asked(client, "id in [30, 7, 50]", limit=2, order_by=["id:desc"]) == [50, 30]
    assert client.query("shelf", ids=[]) == []
    with pytest.raises(ParamError, match="a filter or ids, not both"):
        asked(client, "id > 1", ids=[1])


def test_growing_rows_are_left_out_when_asked_for(client: MilvusClient) -> None:
    assert asked(client, limit=N, ignore_growing=True) == list(range(40))


def test_values_of_templates_have_two_names(client: MilvusClient) -> None:
    for name in ("filter_params", "expr_params"):
        assert asked(client, "id < {n}", **{name: {"n": 3}}) == [0, 1, 2]


def test_what_is_not_honoured_is_refused(client: MilvusClient) -> None:
    for options in ({"namespace": "a"}, {"time_fields": "year"}, {"ignore_growing": 1}):
        with pytest.raises(ParamError):
            asked(client, "id > 1", **options)


# Orders


def test_rows_are_ordered_over_all_segments(client: MilvusClient) -> None:
    by_price = sorted(ITEMS, key=lambda row: row["price"])
    for order in (["price"], "price:asc", ["price:ASC"], [{"field": "price", "order": "asc"}]):
        assert asked(client, limit=N, order_by=order) == ids_of(by_price)
        assert asked(client, limit=N, order_by_fields=order) == ids_of(by_price)
    both = sorted(ITEMS, key=lambda row: row["weight"], reverse=True)
    both = sorted(both, key=lambda row: row["kind"])
    pages = [
        asked(client, limit=25, offset=start, order_by=["kind:asc", "weight:desc"])
        for start in (0, 25, 50)
    ]
    assert [i for page in pages for i in page] == ids_of(both)


def test_nulls_come_last_rising_and_first_falling(client: MilvusClient) -> None:
    nulls = [row for row in ITEMS if row["stock"] is None]
    rising = sorted((r for r in ITEMS if r["stock"] is not None), key=lambda r: r["stock"])
    falling = sorted(rising, key=lambda r: -r["stock"])
    assert asked(client, limit=N, order_by="stock") == ids_of(rising + nulls)
    assert asked(client, limit=N, order_by="stock:desc") == ids_of(nulls + falling)
    assert asked(client, limit=N, order_by="stock::nulls_first") == ids_of(nulls + rising)


def test_an_order_needs_a_limit_and_a_field_that_has_one(client: MilvusClient) -> None:
    with pytest.raises(ParamError, match="order_by needs a limit"):
        asked(client, "id > 1", order_by=["id"])
    with pytest.raises(ParamError, match="order_by or order_by_fields"):
        asked(client, limit=3, order_by=["id"], order_by_fields=["id"])
    for name in ("info", "vector"):
        with pytest.raises(ParamError, match="has no order"):
            asked(client, limit=3, order_by=[name])
    with pytest.raises(FieldNotExistException, match="no field shade to order by"):
        asked(client, limit=3, order_by=["shade"])


# Aggregates


def test_rows_are_counted_with_and_without_a_filter(client: MilvusClient) -> None:
    for name in ("count(*)", "COUNT( * )"):
        assert client.query("shelf", output_fields=[name]) == [{name: N}]
    cheap = sum(row["price"] < 5 for row in ITEMS)
    assert client.query("shelf", "price < 5", ["count(*)"]) == [{"count(*)": cheap}]
    assert client.query("shelf", "id in [3, 4, 99]", ["count(*)"]) == [{"count(*)": 2}]
    assert client.query("shelf", ids=[3, 4, 99], output_fields=["count(*)"]) == [{"count(*)": 2}]
    assert client.query("shelf", "id < 0", ["count(*)"]) == [{"count(*)": 0}]


def test_counts_are_exact_after_any_mix_of_writes(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "store") as client:
        make_shelf(client)
        client.delete("shelf", filter="price < 5")
        client.upsert("shelf", [row for row in ITEMS if row["id"] % 3 == 0])
        client.flush("shelf")
        client.delete("shelf", ids=[0, 1, 2, 3])
        left = [row for row in ITEMS if row["id"] > 3 and (row["price"] >= 5 or row["id"] % 3 == 0)]
        assert client.query("shelf", output_fields=["count(*)"]) == [{"count(*)": len(left)}]
        hats = sum(row["kind"] == "hat" for row in left)
        assert client.query("shelf", 'kind == "hat"', ["count(*)"]) == [{"count(*)": hats}]
        total = sum(row["price"] for row in left)
        assert client.query("shelf", output_fields=["sum(price)"]) == [{"sum(price)": total}]


def test_aggregates_of_all_rows(client: MilvusClient) -> None:
    names = ["sum(price)", "avg(weight)", "min(kind)", "max(weight)", "count(stock)", "min(stock)"]
    stocks = [row["stock"] for row in ITEMS if row["stock"] is not None]
    assert client.query("shelf", output_fields=names) == [
        {
            "sum(price)": sum(row["price"] for row in ITEMS),
            "avg(weight)": pytest.approx(sum(row["weight"] for row in ITEMS) / N),
            "min(kind)": "cup",
            "max(weight)": (N - 1) / 4,
            "count(stock)": len(stocks),
            "min(stock)": min(stocks),
        }
    ]
    nothing = {"sum(price)": None, "max(weight)": None, "count(stock)": 0}
    assert client.query("shelf", "id < 0", list(nothing)) == [nothing]


def test_aggregates_of_groups(client: MilvusClient) -> None:
    names = ["kind", "count(*)", "sum(price)", "avg(price)", "max(weight)", "min(stock)"]
    answer = client.query(
        "shelf", output_fields=names, group_by_fields=["kind"], order_by=["kind"], limit=10
    )
    rows = sorted(ITEMS, key=lambda row: row["kind"])
    wanted = []
    for kind, group in groupby(rows, key=lambda row: row["kind"]):
        members = list(group)
        prices = [row["price"] for row in members]
        wanted.append(
            {
                "kind": kind,
                "count(*)": len(members),
                "sum(price)": sum(prices),
                "avg(price)": pytest.approx(sum(prices) / len(prices)),
                "max(weight)": max(row["weight"] for row in members),
                "min(stock)": min(r["stock"] for r in members if r["stock"] is not None),
            }
        )
    assert answer == wanted


def test_groups_are_met_in_order_paged_and_may_be_null(client: MilvusClient) -> None:
    pairs = [(row["kind"], row["stock"]) for row in ITEMS]
    wanted = [
        {"stock": stock, "kind": kind, "count(*)": pairs.count((kind, stock))}
        for kind, stock in dict.fromkeys(pairs)
    ]
    options: Row = {
        "output_fields": ["stock", "kind", "count(*)"],
        "group_by_fields": ["kind", "stock"],
    }
    assert client.query("shelf", **options) == wanted
    assert client.query("shelf", limit=3, offset=2, **options) == wanted[2:5]
    assert client.query("shelf", "id < 0", **options) == []
    distinct = client.query("shelf", "id >= 0", ["kind"], group_by_fields=["kind"])
    assert [row["kind"] for row in distinct] == list(dict.fromkeys(kind for kind, _ in pairs))


def test_sums_of_integers_are_exact_beyond_64_bits(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "store") as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        schema.add_field("big", DataType.INT64)
        client.create_collection("c", schema=schema)
        client.load_collection("c")
        assert client.query("c", output_fields=["count(*)", "sum(big)"]) == [
            {"count(*)": 0, "sum(big)": None}
        ]
        values = [2**62, 2**62, 2**62 + 1, -5]
        client.insert("c", [{"id": i, "vector": [0, 1], "big": v} for i, v in enumerate(values)])
        assert client.query("c", output_fields=["sum(big)"]) == [{"sum(big)": sum(values)}]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"output_fields": ["count(*)"], "limit": 3}, ParamError),
        ({"output_fields": ["count(*)", "kind"]}, ParamError),
        ({"output_fields": ["count(*)", "price"], "group_by_fields": ["kind"]}, ParamError),
        ({"output_fields": ["sum(*)"]}, FieldNotExistException),
        ({"output_fields": ["sum(kind)"]}, ParamError),
        ({"output_fields": ["max(vector)"]}, ParamError),
        ({"output_fields": ["avg(nothing)"]}, FieldNotExistException),
        ({"output_fields": ["count(*)"], "group_by_fields": ["weight"]}, ParamError),
        ({"output_fields": ["count(*)"], "group_by_fields": "kind"}, ParamError),
        ({"output_fields": ["count(*)"], "group_by_fields": ["none"]}, FieldNotExistException),
        (
            {"output_fields": ["count(*)"], "group_by_fields": ["kind"], "order_by": ["price"]},
            ParamError,
        ),
    ],
)
def test_aggregates_that_cannot_be_are_refused(
    client: MilvusClient, options: Row, error: type[Exception]
) -> None:
    with pytest.raises(error):
        client.query("shelf", **options)


# Output


def test_rows_carry_what_was_named_and_their_key(client: MilvusClient) -> None:
    assert client.get("shelf", 12) == [ITEMS[12]]
    assert client.get("shelf", [12], ["*"]) == [ITEMS[12]]
    names = ["shade", 'info["a"]["b"][0]', "info['odd']", "stock"]
    wanted: Row = {"id": 12, "shade": "s0", "stock": 0, "info['odd']": False}
    wanted['info["a"]["b"][0]'] = 12
    assert client.get("shelf", [12], names) == [wanted]
    assert client.query("shelf", "id == 12", names) == [wanted]
    assert client.query("shelf", "weight == 3.0", names) == [wanted]
    both = client.query("shelf", "weight == 3.0", ["*", 'info["odd"]'])
    assert both == [{**ITEMS[12], 'info["odd"]': False}]


def test_times_are_told_in_the_zone_of_the_call_or_of_the_collection(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "store") as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        schema.add_field("at", DataType.TIMESTAMPTZ)
        properties = {"timezone": "Asia/Tokyo"}
        client.create_collection("c", schema=schema, properties=properties)
        client.load_collection("c")
        client.insert("c", {"id": 1, "vector": [0, 1], "at": "2025-01-01T00:00:00Z"})
        tokyo, berlin = "2025-01-01T09:00:00+09:00", "2025-01-01T01:00:00+01:00"
        zone = {"timezone": "Europe/Berlin"}
        for options, wanted in (({}, tokyo), (zone, berlin)):
            assert client.get("c", 1, ["at"], **options) == [{"id": 1, "at": wanted}]
            assert client.query("c", "id > 0", ["at"], **options) == [{"id": 1, "at": wanted}]
            assert client.query("c", output_fields=["max(at)"], **options) == [{"max(at)": wanted}]
            hits = client.search("c", [[0, 1]], output_fields=["at"], **options)[0]
            assert hits[0]["at"] == wanted
            batch = client.query_iterator("c", output_fields=["at"], **options).next()
            assert batch == [{"id": 1, "at": wanted}]
            local = f'at == ISO "{wanted[:19]}"'  # of a time without an offset
            assert client.query("c", local, ["id"], **options) == [{"id": 1}]
            request = AnnSearchRequest([[0, 1]], "vector", {}, 1, local)
            assert client.hybrid_search("c", [request], None, **options)[0].ids == [1]
        with pytest.raises(ParamError, match="not the IANA name of a timezone"):
            client.query("c", "id > 0", timezone="Europe/Nowhere")


def test_vectors_of_bytes_stand_in_lists_in_rows_and_bare_in_hits(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "store") as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("bits", DataType.BINARY_VECTOR, dim=16)
        client.create_collection("c", schema=schema)
        client.load_collection("c")
        client.insert("c", [{"id": i, "bits": bytes([i, 255])} for i in range(4)])
        assert client.get("c", 2) == [{"id": 2, "bits": [b"\x02\xff"]}]
        hits = client.search("c", [b"\x02\xff"], output_fields=["bits"], limit=2)[0]
        assert [hit.id for hit in hits] == [2, 0]
        assert hits[0]["bits"] == b"\x02\xff"
        assert client.search("c", ids=[3], limit=1)[0].ids == [3]
        pages = client.search_iterator("c", [b"\x02\xff"], batch_size=3)
        assert (pages.next().ids(), pages.next().ids()) == ([2, 0, 3], [1])
