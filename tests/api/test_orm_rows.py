"""Collection: rows written, searched and queried."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from walvec import (
    AnnSearchRequest,
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    MutationFuture,
    RRFRanker,
    SearchFuture,
    WeightedRanker,
    connections,
)
from walvec.exceptions import (
    DataNotMatchException,
    ExpressionException,
    ParamError,
    PartitionNotExistException,
)

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("n", DataType.INT64),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
        FieldSchema("other", DataType.FLOAT_VECTOR, dim=2),
    ]
)
L2 = {"metric_type": "L2"}
N = 10


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    """Ten rows; `vector` is nearest to (0, 0) for small ids, `other` for great ones."""
    connections.remove_connection("default")
    connections.connect(uri=str(tmp_path / "store"))
    made = Collection("rows", SCHEMA)
    flat = {"index_type": "FLAT", "metric_type": "L2", "params": {}}
    made.create_index("vector", flat)
    made.create_index("other", flat)
    made.load()
    up = np.arange(N, dtype=np.float32)
    made.insert(
        [
            list(range(N)),
            [100 + i for i in range(N)],
            np.stack([up, up], 1),
            np.stack([N - up] * 2, 1),
        ]
    )
    yield made
    connections.remove_connection("default")


def row(key: int, **values: Any) -> dict[str, Any]:
    return {"id": key, "n": 1, "vector": [0.0, 0.0], "other": [0.0, 0.0], **values}


def test_rows_come_as_columns_dicts_and_one_dict(collection: Collection) -> None:
    done = collection.insert([[20], [1], [[0.0, 1.0]], np.zeros((1, 2), np.float32)])
    assert (done.insert_count, done.succ_count, done.primary_keys) == (1, 1, [20])
    assert done.timestamp == done.seq > 0
    assert collection.insert([row(21), row(22)]).primary_keys == [21, 22]
    assert collection.insert(row(23)).insert_count == 1
    assert collection.insert([]).insert_count == 0
    assert collection.num_entities == N + 4


def test_columns_must_fit(collection: Collection) -> None:
    for wrong in (
        [[1, 2], [[0.0] * 2]],
        [[1, 2]],
        "rows",
        7,
        [[1], [1, 2], [[0.0] * 2], [[0.0] * 2]],
    ):
        with pytest.raises(DataNotMatchException) as caught:
            collection.insert(wrong)
        assert caught.value.code == 1804
    for wrong in (0, [], {}):
        with pytest.raises(ParamError, match="partition"):
            collection.insert([row(1)], wrong)  # type: ignore[arg-type]
    with pytest.raises(ParamError, match="no_such_option"):
        collection.insert([row(1)], no_such_option=1)
    with pytest.raises(ParamError, match="partial_update"):
        collection.insert([[1], [1], [[0.0] * 2], [[0.0] * 2]], partial_update=True)
    assert collection.num_entities == N


def test_an_upsert_replaces_rows(collection: Collection) -> None:
    done = collection.upsert([[4, 40], [7, 7], [[0.0] * 2] * 2, [[0.0] * 2] * 2])
    assert (done.upsert_count, done.primary_keys) == (2, [4, 40])
    assert collection.query("n == 7", ["n"]) == [{"id": 4, "n": 7}, {"id": 40, "n": 7}]
    assert collection.num_entities == N + 1


def test_a_partial_update_keeps_what_is_left_out(collection: Collection) -> None:
    assert collection.upsert({"id": 3, "n": 7}, partial_update=True).upsert_count == 1
    assert collection.upsert([{"id": 4, "n": 8}], partial_update=True).upsert_count == 1
    found = collection.query("id in [3, 4]", ["n", "vector"])
    assert [(r["n"], r["vector"]) for r in found] == [(7, [3.0, 3.0]), (8, [4.0, 4.0])]
    whole = [[5], [9], [[0.0] * 2], [[0.0] * 2]]
    collection.upsert(whole, partial_update=True)
    assert collection.query("id == 5", ["n"])[0]["n"] == 9


def test_rows_are_deleted_by_an_expression(collection: Collection) -> None:
    assert collection.delete("id in [0, 1]").delete_count == 2
    assert collection.delete("n > 107").delete_count == 2
    assert collection.delete("n in {ns}", expr_params={"ns": [103]}).delete_count == 1
    assert collection.num_entities == N - 5
    with pytest.raises(ParamError, match="expr"):
        collection.delete(None)  # type: ignore[arg-type]
    with pytest.raises(ParamError, match="not both"):
        collection.delete("n in {ns}", expr_params={"ns": [1]}, filter_params={"ns": [1]})
    with pytest.raises(PartitionNotExistException) as caught:
        collection.delete("id in [2]", "nothing")
    assert caught.value.code == 200


def test_a_search_finds_the_nearest(collection: Collection) -> None:
    (hits,) = collection.search([[0.0, 0.0]], "vector", L2, 3, output_fields=["n"])
    assert hits.ids == [0, 1, 2]
    assert hits.distances == pytest.approx([0, 2, 8])
    assert [hit.entity.get("n") for hit in hits] == [100, 101, 102]
    (hits,) = collection.search([[0.0, 0.0]], "other", L2, 2, expr="n < 105")
    assert hits.ids == [4, 3]


def test_a_search_takes_all_that_pymilvus_passes(collection: Collection) -> None:
    query = [[0.1, 0.1]]
    assert collection.search(query, "vector", {**L2, "offset": 2}, 2)[0].ids == [2, 3]
    assert collection.search(query, "vector", L2, 2, offset=1)[0].ids == [1, 2]
    (hits,) = collection.search(query, "vector", L2, 1, round_decimal=1)
    assert hits.distances == [0.0]
    wanted = {"expr": "n in {ns}", "expr_params": {"ns": [105, 106]}}
    assert collection.search(query, "vector", L2, 5, **wanted)[0].ids == [5, 6]
    ranged = {**L2, "params": {"radius": 10.0, "range_filter": 1.0}}
    assert collection.search(query, "vector", ranged, 5)[0].ids == [1, 2]
    assert collection.search([], "vector", L2, 5) == []
    assert len(collection.search(query * 3, "vector", L2, 1, consistency_level="Eventually")) == 3
    with pytest.raises(ParamError, match="no_such_option"):
        collection.search(query, "vector", L2, 5, no_such_option=1)
    with pytest.raises(ParamError, match="expr"):
        collection.search(query, "vector", L2, 5, expr=5)  # type: ignore[arg-type]


def requests(limit: int = 4) -> list[AnnSearchRequest]:
    return [AnnSearchRequest([[0.0, 0.0]], field, L2, limit) for field in ("vector", "other")]


def test_a_hybrid_search_brings_answers_together(collection: Collection) -> None:
    (hits,) = collection.hybrid_search(requests(), RRFRanker(), 4, output_fields=["n"])
    assert set(hits.ids) == {0, 1, 8, 9}
    assert hits[0].entity.get("n") == 100 + hits.ids[0]
    (hits,) = collection.hybrid_search(requests(), WeightedRanker(0.9, 0.1), 2)
    assert hits.ids == [0, 1]
    again = collection.hybrid_search(requests(), RRFRanker(), 2, ranker=WeightedRanker(0.9, 0.1))
    assert again[0].ids == [0, 1]
    assert collection.hybrid_search([], RRFRanker(), 2) == []


def test_a_query_takes_an_expression(collection: Collection) -> None:
    assert collection.query("id <= 1", output_fields=["n"], offset=1, limit=1) == [
        {"id": 1, "n": 101}
    ]
    assert collection.query("", ["count(*)"]) == [{"count(*)": N}]
    assert collection.query("id == 4")[0].keys() == {"id", "n", "vector", "other"}
    assert collection.query("n == {x}", ["id"], expr_params={"x": 103}) == [{"id": 3}]
    with pytest.raises(ExpressionException):
        collection.query("id ==")
    with pytest.raises(ParamError, match="expr"):
        collection.query(None)  # type: ignore[arg-type]


def test_iterators_go_through_all_rows(collection: Collection) -> None:
    rows = collection.query_iterator(4, expr="n >= 101", output_fields=["n"])
    assert [[r["id"] for r in page] for page in iter(rows.next, [])] == [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9],
    ]
    rows.close()
    hits = collection.search_iterator([[0.0, 0.0]], "vector", L2, batch_size=4, limit=6)
    assert [page.ids() for page in iter(hits.next, [])] == [[0, 1, 2, 3], [4, 5]]
    hits.close()


def test_calls_go_on_in_a_thread(collection: Collection) -> None:
    written: Any = collection.insert([row(30)], _async=True)
    assert isinstance(written, MutationFuture)
    assert written.result().insert_count == 1
    replaced: Any = collection.upsert([row(30)], _async=True)
    assert replaced.result(timeout=30).upsert_count == 1
    deleted: Any = collection.delete("id == 30", _async=True)
    assert deleted.result().delete_count == 1
    found: Any = collection.search([[0.0, 0.0]], "vector", L2, 2, _async=True)
    assert isinstance(found, SearchFuture)
    found.done()
    assert found.is_done()
    assert found.result()[0].ids == [0, 1]
    assert not found.cancel()
    both: Any = collection.hybrid_search(requests(), RRFRanker(), 2, _async=True)
    assert len(both.result()[0]) == 2
    flushed = collection.flush(_async=True)
    assert flushed is not None
    assert flushed.result() is None


def test_a_callback_gets_what_a_call_in_a_thread_returns(collection: Collection) -> None:
    got: list[Any] = []
    called = threading.Event()
    written: Any = collection.insert([row(30)], _async=True, _callback=got.append)
    written.done()
    assert got[0].primary_keys == [30]
    flushed: Any = collection.flush(_async=True, _callback=called.set)
    flushed.done()
    assert called.is_set()
    with pytest.raises(ParamError, match="_async"):
        collection.insert([row(31)], _callback=got.append)
    with pytest.raises(ParamError, match="_async"):
        collection.insert([row(31)], _async=1)
    assert collection.num_entities == N + 1


def test_what_went_wrong_in_a_thread_comes_out_of_the_future(collection: Collection) -> None:
    future: Any = collection.insert([[1]], _async=True)
    future.done()
    with pytest.raises(DataNotMatchException):
        future.result()
