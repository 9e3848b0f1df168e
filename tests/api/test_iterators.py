"""search_iterator() and query_iterator(): complete, in order, of one view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelf import ITEMS, N, item, make_shelf, nearest, vector

from walvec import DataType, MilvusClient, iterators
from walvec.exceptions import CollectionNotLoadedException, NotSupportedException, ParamError

Row = dict[str, Any]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MilvusClient]:
    """A client of a store with the shelf."""
    with MilvusClient(tmp_path / "store") as opened:
        make_shelf(opened)
        yield opened


def drained(iterator: Any) -> list[list[Any]]:
    """All batches, and that there is nothing after the first empty one."""
    batches = []
    while batch := iterator.next():
        batches.append(batch)
    assert iterator.next() == []
    iterator.close()
    return batches


def ids_of(batches: list[list[Row]]) -> list[int]:
    return [row["id"] for batch in batches for row in batch]


def search_iterator(client: MilvusClient, q: float = 20.2, **kwargs: Any) -> Any:
    return client.search_iterator("shelf", [vector(q)], anns_field="vector", **kwargs)


# query_iterator


def test_all_rows_come_by_rising_key_in_full_batches(client: MilvusClient) -> None:
    client.upsert("shelf", [item(i) for i in (50, 3, 17)])
    batches = drained(client.query_iterator("shelf", batch_size=16, output_fields=["kind"]))
    assert ids_of(batches) == list(range(N))
    assert [len(batch) for batch in batches] == [16, 16, 16, 12]
    assert batches[0][3] == {"id": 3, "kind": ITEMS[3]["kind"]}


def test_filter_limit_and_offset_hold_for_the_whole(client: MilvusClient) -> None:
    cheap = [row["id"] for row in ITEMS if row["price"] < 5]
    options: Row = {"batch_size": 4, "filter": "price < {p}", "filter_params": {"p": 5}}
    assert ids_of(drained(client.query_iterator("shelf", **options))) == cheap
    assert ids_of(drained(client.query_iterator("shelf", limit=10, **options))) == cheap[:10]
    some = client.query_iterator("shelf", limit=10, offset=3, **options)
    assert ids_of(drained(some)) == cheap[3:13]
    assert drained(client.query_iterator("shelf", limit=0)) == []
    assert drained(client.query_iterator("shelf", offset=N)) == []
    assert ids_of(drained(client.query_iterator("shelf", limit=None, filter=None))) == list(
        range(N)
    )


def test_keys_of_text_rise_by_their_bytes(client: MilvusClient) -> None:
    client.create_collection("texts", dimension=2, id_type="string", max_length=8)
    keys = ["b", "a", "é", "Z", "aa", "\U0001f40b", "\uffee"]
    client.insert("texts", [{"id": key, "vector": [0, 1]} for key in keys])
    batches = drained(client.query_iterator("texts", batch_size=3, output_fields=["id"]))
    assert [r["id"] for b in batches for r in b] == sorted(keys, key=lambda key: key.encode())


def test_an_iterator_reads_the_rows_of_its_beginning(client: MilvusClient) -> None:
    query = client.query_iterator("shelf", batch_size=10, output_fields=["price"])
    search = search_iterator(client, batch_size=10, output_fields=["price"])
    seen, hits = query.next(), list(search.next())
    untouched = client.query_iterator("shelf", batch_size=7, output_fields=["*"])
    client.delete("shelf", filter="id >= 15")
    client.upsert("shelf", [{**item(i), "price": 99} for i in range(15)])
    client.insert("shelf", [item(i) for i in range(100, 130)])
    client.flush("shelf", wait=True)
    client.release_collection("shelf")
    while batch := query.next():
        seen += batch
    while page := search.next():
        hits += page
    assert seen == [{"id": row["id"], "price": row["price"]} for row in ITEMS]
    assert [hit.id for hit in hits] == [row["id"] for row in nearest(20.2)]
    assert [hit["price"] for hit in hits] == [row["price"] for row in nearest(20.2)]
    assert [row for batch in drained(untouched) for row in batch] == ITEMS
    with pytest.raises(CollectionNotLoadedException):
        client.query_iterator("shelf")


def test_an_iterator_outlives_its_collection(client: MilvusClient) -> None:
    iterator = client.query_iterator("shelf", batch_size=50)
    client.drop_collection("shelf")
    assert ids_of(drained(iterator)) == list(range(N))


def test_a_closed_iterator_says_so(client: MilvusClient) -> None:
    for iterator in (client.query_iterator("shelf"), search_iterator(client)):
        iterator.close()
        iterator.close()
        with pytest.raises(ParamError, match="this iterator was closed"):
            iterator.next()


# search_iterator


@pytest.mark.parametrize("batch", [1, 7, 60, 1000])
def test_all_hits_come_best_first(client: MilvusClient, batch: int) -> None:
    pages = drained(search_iterator(client, batch_size=batch))
    assert ids_of(pages) == [row["id"] for row in nearest(20.2)]
    assert max(map(len, pages)) == min(batch, N)
    first = pages[0]
    assert first.ids() == [hit.id for hit in first]
    assert first.distances() == [hit.distance for hit in first]


def test_equal_scores_neither_repeat_nor_hide_rows(client: MilvusClient) -> None:
    client.create_collection("same", dimension=2, metric_type="L2")
    client.insert("same", [{"id": i, "vector": [1.0, 0.0]} for i in range(40)])
    client.flush("same", wait=True)
    client.insert("same", [{"id": i, "vector": [1.0, 0.0]} for i in range(40, 80)])
    pages = drained(client.search_iterator("same", [[0.0, 0.0]], batch_size=9))
    assert ids_of(pages) == list(range(80))


@pytest.mark.parametrize(("first", "growth"), [(1, 2), (7, 3), (59, 16)])
def test_rows_that_are_looked_for_later_go_on_where_the_first_ended(
    client: MilvusClient, monkeypatch: pytest.MonkeyPatch, first: int, growth: int
) -> None:
    monkeypatch.setattr(iterators, "FIRST_ROWS", first)
    monkeypatch.setattr(iterators, "GROWTH", growth)
    pairs = [row["id"] for row in nearest(20.5)]  # every score stands twice
    for batch in (1, 4, 25):
        assert ids_of(drained(search_iterator(client, 20.5, batch_size=batch))) == pairs
    params = {"radius": 100.0}
    inside = [i for i in pairs if (i - 20.5) ** 2 < 100]
    assert ids_of(drained(search_iterator(client, 20.5, search_params=params))) == inside
    keep = search_iterator(
        client, 20.5, batch_size=4, external_filter_func=lambda hits: [h for h in hits if h.id % 3]
    )
    assert ids_of(drained(keep)) == [i for i in pairs if i % 3]


def test_a_search_goes_on_beyond_16384_rows(client: MilvusClient) -> None:
    client.create_collection("many", dimension=2, metric_type="L2")
    rng = np.random.default_rng(5)
    points = rng.permutation(20_000).astype(np.float32)
    rows = [{"id": i, "vector": [x, 0.0]} for i, x in enumerate(points.tolist())]
    client.insert("many", rows)
    pages = drained(client.search_iterator("many", [[-1.0, 0.0]], batch_size=6_000))
    assert [len(page) for page in pages] == [6_000, 6_000, 6_000, 2_000]
    assert ids_of(pages) == np.argsort(points).tolist()


def test_limit_filter_range_fields_and_rounding(client: MilvusClient) -> None:
    dear = [row for row in nearest(20) if row["price"] > 5]
    pages = drained(
        search_iterator(
            client, 20, batch_size=4, limit=9, filter="price > 5", output_fields=["price"]
        )
    )
    assert ids_of(pages) == [row["id"] for row in dear[:9]]
    assert [len(page) for page in pages] == [4, 4, 1]
    assert pages[0][0]["price"] == dear[0]["price"]
    params = {"params": {"radius": 100.0, "range_filter": 16.0}}
    inside = [row["id"] for row in nearest(20) if 16 <= (row["id"] - 20) ** 2 < 100]
    assert ids_of(drained(search_iterator(client, 20, search_params=params))) == inside
    (hit,) = search_iterator(client, 0.55, limit=1, round_decimal=1).next()
    assert hit.distance == 0.2


def test_similarities_fall(client: MilvusClient) -> None:
    iterator = client.search_iterator("shelf", [[1.0, 0.0]], 25, anns_field="turned")
    pages = drained(iterator)
    assert ids_of(pages) == list(range(N))
    scores = [score for page in pages for score in page.distances()]
    assert scores == sorted(scores, reverse=True)


def test_an_external_filter_leaves_full_batches(client: MilvusClient) -> None:
    odd = [row["id"] for row in nearest(20.2) if row["id"] % 2]
    sizes: list[int] = []

    def keep(hits: Any) -> Any:
        sizes.append(len(hits))
        return [hit for hit in hits if hit.id % 2]

    pages = drained(search_iterator(client, batch_size=8, external_filter_func=keep))
    assert ids_of(pages) == odd
    assert [len(page) for page in pages] == [8, 8, 8, 6]
    assert max(sizes) == 8
    some = drained(search_iterator(client, batch_size=8, limit=11, external_filter_func=keep))
    assert ids_of(some) == odd[:11]


def test_an_empty_collection_ends_at_once(client: MilvusClient) -> None:
    client.create_collection("empty", dimension=2)
    assert drained(client.query_iterator("empty")) == []
    assert drained(client.search_iterator("empty", [[1, 2]])) == []


def test_rows_without_a_vector_are_not_among_the_hits(client: MilvusClient) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2, nullable=True)
    client.create_collection("holes", schema=schema)
    client.load_collection("holes")
    rows: list[Row] = [{"id": i, "vector": None if i % 3 else [1.0, i]} for i in range(30)]
    client.insert("holes", rows)
    pages = drained(client.search_iterator("holes", [[1.0, 0.0]], batch_size=4))
    assert ids_of(pages) == list(range(0, 30, 3))
    assert len(ids_of(drained(client.query_iterator("holes")))) == 30


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"batch_size": 16_385},
        {"batch_size": -1},
        {"limit": -2},
        {"offset": 1},
        {"search_params": {"offset": 1}},
        {"group_by_field": "kind"},
        {"search_params": {"group_by_field": "kind"}},
        {"external_filter_func": 3},
        {"round_decimal": 9},
        {"ids": [1]},
    ],
)
def test_a_search_iterator_refuses_what_it_does_not_honour(
    client: MilvusClient, options: Row
) -> None:
    with pytest.raises(ParamError):
        search_iterator(client, **options)


def test_a_search_iterator_takes_one_vector(client: MilvusClient) -> None:
    with pytest.raises(ParamError, match="takes one vector, got 2"):
        client.search_iterator("shelf", [vector(1), vector(2)], anns_field="vector")


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"limit": -2}, {"offset": -1}, {"order_by": ["id"]}]
)
def test_a_query_iterator_refuses_what_it_does_not_honour(
    client: MilvusClient, options: Row
) -> None:
    with pytest.raises(ParamError):
        client.query_iterator("shelf", **options)


def test_a_file_of_cursors_is_refused(client: MilvusClient) -> None:
    with pytest.raises(NotSupportedException, match="a filter on the primary key"):
        client.query_iterator("shelf", iterator_cp_file="cursors")
