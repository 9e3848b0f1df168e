"""Collections of pandas data frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from walvec import Collection, DataType, connections
from walvec.exceptions import (
    CannotInferSchemaException,
    DataNotMatchException,
    ParamError,
    SchemaNotReadyException,
)

pd = pytest.importorskip("pandas")


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[None]:
    connections.remove_connection("default")
    connections.connect(uri=str(tmp_path / "store"))
    yield
    connections.remove_connection("default")


def frame(**columns: Any) -> Any:
    return pd.DataFrame(
        {
            "id": [1, 2, 3],
            "price": np.array([1.5, 2.5, 3.5]),
            "count": np.array([1, 2, 3], np.int16),
            "good": [True, False, True],
            "title": ["a", "b", "c"],
            "meta": [{"x": 1}, {"x": 2}, {}],
            "vector": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
            **columns,
        }
    )


def test_a_collection_has_the_fields_and_rows_of_a_data_frame() -> None:
    made, done = Collection.construct_from_dataframe("films", frame(), primary_field="id")
    assert done.insert_count == 3
    assert {field.name: field.dtype for field in made.schema.fields} == {
        "id": DataType.INT64,
        "price": DataType.DOUBLE,
        "count": DataType.INT16,
        "good": DataType.BOOL,
        "title": DataType.VARCHAR,
        "meta": DataType.JSON,
        "vector": DataType.FLOAT_VECTOR,
    }
    assert made.primary_field.name == "id"
    assert made.schema.fields[4].params["max_length"] == 65_535
    made.load()
    assert made.query("id == 2") == [
        {
            "id": 2,
            "price": 2.5,
            "count": 2,
            "good": False,
            "title": "b",
            "meta": {"x": 2},
            "vector": [0.0, 1.0],
        }
    ]


def test_a_collection_that_is_there_gets_the_rows() -> None:
    Collection.construct_from_dataframe("films", frame(), primary_field="id")
    more = frame(id=[4, 5, 6])
    made, done = Collection.construct_from_dataframe("films", more, primary_field="id")
    assert (done.primary_keys, made.num_entities) == ([4, 5, 6], 6)


def test_keys_are_made_for_an_empty_column() -> None:
    empty = frame(id=[None, None, None])
    made, done = Collection.construct_from_dataframe(
        "films", empty, primary_field="id", auto_id=True
    )
    assert made.schema.auto_id
    assert len(set(done.primary_keys)) == 3
    with pytest.raises(SchemaNotReadyException, match="must be empty"):
        Collection.construct_from_dataframe("other", frame(), primary_field="id", auto_id=True)


def test_a_data_frame_that_makes_no_collection_is_refused() -> None:
    make = Collection.construct_from_dataframe
    with pytest.raises(SchemaNotReadyException, match="DataFrame"):
        make("films", [[1, 2]], primary_field="id")
    with pytest.raises(SchemaNotReadyException, match="primary_field"):
        make("films", frame())
    with pytest.raises(SchemaNotReadyException, match="no column 'key'"):
        make("films", frame(), primary_field="key")
    with pytest.raises(ParamError, match="auto_id"):
        make("films", frame(), primary_field="id", auto_id=1)
    for wrong in (
        ["x", None, 1],
        [None] * 3,
        [object()] * 3,
        [["a"], ["b"], ["c"]],
        [[], [], []],
        [[1, [2]]] * 3,
    ):
        told = wrong[0] == "x"
        with pytest.raises(DataNotMatchException if told else CannotInferSchemaException) as caught:
            make("films", frame(tags=pd.Series(wrong, dtype=object)), primary_field="id")
        assert "tags" in str(caught.value)
        if told:
            Collection("films").drop()
    with pytest.raises(CannotInferSchemaException) as empty:
        make("films", frame().iloc[:0], primary_field="id")
    assert empty.value.code == 1


def test_a_data_frame_is_inserted_and_upserted_by_the_names_of_its_columns() -> None:
    made, _ = Collection.construct_from_dataframe("films", frame(), primary_field="id")
    made.load()
    turned = frame(id=[4, 5, 6])[["vector", "meta", "title", "good", "count", "price", "id"]]
    assert made.insert(turned).primary_keys == [4, 5, 6]
    assert made.upsert(frame(title=["x", "y", "z"])).upsert_count == 3
    assert [r["title"] for r in made.query("id < 4", ["title"])] == ["x", "y", "z"]


def test_a_data_frame_of_some_columns_updates_those() -> None:
    made, _ = Collection.construct_from_dataframe("films", frame(), primary_field="id")
    connections.client().add_collection_field("films", "n", DataType.INT64, nullable=True)
    made.load()
    part = pd.DataFrame({"id": [2, 3], "title": ["only", "this"], "n": [7, None]})
    assert made.upsert(part.astype({"n": "Int64"}), partial_update=True).upsert_count == 2
    assert made.query("id > 1", ["title", "price", "n"]) == [
        {"id": 2, "title": "only", "price": 2.5, "n": 7},
        {"id": 3, "title": "this", "price": 3.5, "n": None},
    ]
