"""Arrays, nulls and defaults of rows, lists, numpy arrays and data frames."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest

from walvec.convert import columns_of, rows_of
from walvec.python_rows import python_rows
from walvec.schema import CollectionSchema, FieldSchema, to_schema
from walvec.wal.errors import DataNotMatchException
from walvec.wal.rows import Column, Rows
from walvec.wal.schema import DataType, Field, Schema

PK = FieldSchema("id", DataType.INT64, is_primary=True)
VECTOR = FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2)


def make(*fields: FieldSchema, dynamic: bool = False) -> Schema:
    schema = CollectionSchema([PK, VECTOR, *fields], enable_dynamic_field=dynamic)
    return to_schema(schema, "shelf")


def array(name: str, element_type: DataType, **keywords: Any) -> FieldSchema:
    return FieldSchema(name, DataType.ARRAY, element_type=element_type, max_capacity=4, **keywords)


def row(number: int, **values: Any) -> dict[str, Any]:
    return {"id": number, "vector": [1.0, 2.0], **values}


def column(values: Any, field: FieldSchema) -> Column:
    """Of a collection's third field, given as a column."""
    n = len(values)
    rows = columns_of([list(range(n)), np.ones((n, 2)), values], make(field), "shelf")
    return rows.columns[102]


def told(found: Column, field: FieldSchema) -> list[Any]:
    stored: Field = make(field).fields[2]
    return [r[field.name] for r in python_rows({stored.id: found}, [stored], len(found))]


def refusal(values: Any, field: FieldSchema) -> str:
    with pytest.raises(DataNotMatchException) as raised:
        column(values, field)
    assert "collection shelf: field " in raised.value.message
    return raised.value.message


def back(schema: Schema, data: Any, **keywords: Any) -> list[dict[str, Any]]:
    rows: Rows = rows_of(data, schema, "shelf", **keywords)
    return python_rows(rows.columns, schema.fields, rows.n)


# Arrays

INTS = array("a", DataType.INT16)
TEXTS = array("a", DataType.VARCHAR, max_length=5)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        (INTS, [[1, 2], [], [3]]),
        (array("a", DataType.INT8), [[-128, 127]]),
        (array("a", DataType.INT64), [[2**63 - 1], [-(2**63)]]),
        (array("a", DataType.FLOAT), [[0.5], [1.0, 2.0]]),
        (array("a", DataType.DOUBLE), [[0.1], []]),
        (array("a", DataType.BOOL), [[True, False], [True]]),
        (TEXTS, [["a", "äö", ""], [], ["12345"]]),
    ],
)
def test_arrays_of_every_type_come_back_as_lists(field: FieldSchema, values: Any) -> None:
    assert told(column(values, field), field) == values
    assert told(column([tuple(v) for v in values], field), field) == values
    dtype = object if field is TEXTS else None
    assert told(column([np.array(v, dtype) for v in values], field), field) == values
    data = [row(i, a=v) for i, v in enumerate(values)]
    assert back(make(field), data) == data


def test_arrays_are_one_column_of_elements() -> None:
    found = column([[1, 2], [], [3]], INTS)
    assert found.values.tolist() == [1, 2, 3]
    assert found.values.dtype == np.int16
    assert found.offsets is not None
    assert found.offsets.tolist() == [0, 2, 2, 3]
    found = column([["a", "äö"], [], ["c"]], TEXTS)
    assert found.values.tobytes() == "aäöc".encode()
    assert found.offsets is not None
    assert found.offsets.tolist() == [0, 2, 2, 3]
    assert found.inner is not None
    assert found.inner.tolist() == [0, 1, 5, 6]


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16])
def test_numpy_arrays_become_elements_as_they_are(dtype: Any) -> None:
    matrix = np.arange(6, dtype=dtype).reshape(2, 3)
    for values in (matrix, list(matrix), matrix[:, ::-1][:, ::-1], list(matrix.tolist())):
        found = column(values, INTS)
        assert found.values.tolist() == [0, 1, 2, 3, 4, 5]
        assert found.values.dtype == np.int16
        assert not np.shares_memory(found.values, matrix)
    assert told(column([np.array([1]), [2], (3,)], INTS), INTS) == [[1], [2], [3]]


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        (INTS, [[1], [2, 40_000]], "row 1: expected an ARRAY whose element 1 is an integer from"),
        (INTS, [[1], [], [2, 1.5]], "row 2: expected an ARRAY whose element 1 is an integer, got"),
        (INTS, [[1, None]], "row 0: expected an ARRAY whose element 1 is an integer, got None"),
        (INTS, [[True]], "whose element 0 is an integer, got True"),
        (INTS, [[1], "ab"], "row 1: expected an ARRAY of INT16 (a list), got 'ab'"),
        (INTS, [[1], {2}], "row 1: expected an ARRAY of INT16 (a list)"),
        (INTS, [[1], None], "row 1: expected an ARRAY of INT16 (a list), got None"),
        (INTS, [1, 2], "row 0: expected an ARRAY of INT16 (a list), got 1"),
        (INTS, np.array([1, 2]), "row 0: expected an ARRAY of INT16 (a list), got 1"),
        (INTS, [[[1]]], "whose element 0 is an integer, got [1]"),
        (INTS, np.ones((2, 2)), "row 0: expected an ARRAY whose element 0 is an integer, got 1.0"),
        (INTS, [np.ones((2, 2), int)], "row 0: expected an ARRAY of INT16"),
        (INTS, [[1], [1, 2, 3, 4, 5]], "row 1: expected an ARRAY of at most 4 elements"),
        (INTS, np.ones((1, 5), int), "row 0: expected an ARRAY of at most 4 elements"),
        (INTS, [np.array(["1"])], "whose element 0 is an integer, got '1'"),
        (INTS, [np.array([1]), np.array(["1"])], "row 1: expected an ARRAY whose element 0 is an"),
        (TEXTS, [["a"], ["b", "123456"]], "row 1: expected an ARRAY whose element 1 is at most 5"),
        (TEXTS, [["a", 1]], "whose element 1 is a string, got 1"),
        (TEXTS, ["a"], "row 0: expected an ARRAY of VARCHAR (a list), got 'a'"),
        (array("a", DataType.FLOAT), [[1.0, math.nan]], "whose element 1 is a finite number"),
    ],
)
def test_a_wrong_array_is_refused_with_row_and_element(
    field: FieldSchema, values: Any, message: str
) -> None:
    assert message in refusal(values, field)


# Nulls and defaults

SIZE = FieldSchema("size", DataType.INT32, nullable=True)
COUNT = FieldSchema("count", DataType.INT8, default_value=7)
MANY = make(
    SIZE,
    COUNT,
    FieldSchema("name", DataType.VARCHAR, max_length=9, nullable=True, default_value="nobody"),
    FieldSchema("text", DataType.VARCHAR, max_length=9, nullable=True),
    FieldSchema("doc", DataType.JSON, nullable=True),
    FieldSchema("flag", DataType.BOOL, nullable=True),
    FieldSchema(
        "tags", DataType.ARRAY, element_type=21, max_capacity=4, max_length=9, nullable=True
    ),
    FieldSchema("seen", DataType.TIMESTAMPTZ, default_value="2025-01-01T00:00:00Z"),
)
ABSENT = {
    "size": None, "count": 7, "name": "nobody", "text": None, "doc": None, "flag": None,
    "tags": None, "seen": "2025-01-01T00:00:00Z",
}  # fmt: skip
GIVEN = {
    "size": 0, "count": 0, "name": "", "text": "", "doc": {}, "flag": False, "tags": [],
    "seen": "1970-01-01T00:00:00Z",
}  # fmt: skip


def test_what_a_row_leaves_out_or_gives_as_none_is_the_default_or_null() -> None:
    data = [row(0), row(1, **GIVEN), row(2, **dict.fromkeys(ABSENT)), row(3, **GIVEN)]
    assert back(MANY, data) == [row(0, **ABSENT), data[1], row(2, **ABSENT), data[3]]
    assert back(MANY, [row(0)]) == [row(0, **ABSENT)]
    rows = rows_of([data[1]], MANY, "shelf")
    assert all(c.valid is None for c in rows.columns.values())


def test_another_key_in_place_of_a_field_that_is_left_out_is_seen() -> None:
    data = [row(0, color="red")]  # as many keys as there are fields
    assert back(make(SIZE, dynamic=True), data) == [row(0, size=None, color="red")]
    with pytest.raises(DataNotMatchException, match="field color, row 0: expected no such key"):
        rows_of(data, make(SIZE), "shelf")


def test_columns_may_be_none_or_have_none_where_rows_may() -> None:
    vectors = np.ones((2, 2))
    columns = [[1, 2], vectors, None, [None, 3], *[None] * 6]
    rows = columns_of(columns, MANY, "shelf")
    found = python_rows(rows.columns, MANY.fields[2:], 2)
    assert found == [ABSENT, {**ABSENT, "count": 3}]
    with pytest.raises(DataNotMatchException, match="field vector, row 0: expected a column"):
        columns_of([[1, 2], None, *[None] * 8], MANY, "shelf")


def test_none_without_null_or_default_is_refused_with_its_row() -> None:
    schema = make(FieldSchema("n", DataType.INT64))
    with pytest.raises(DataNotMatchException) as raised:
        rows_of([row(1, n=1), row(2, n=None)], schema, "shelf")
    assert "collection shelf: field n, row 1: expected an integer, got None" in str(raised.value)
    with pytest.raises(DataNotMatchException, match="field n, row 1: the field is missing"):
        rows_of([row(1, n=1), row(2)], schema, "shelf")


def test_a_wrong_value_among_nulls_is_refused_with_its_own_row() -> None:
    data = [row(0, size=None), row(1, size=1), row(2, size=None), row(3, size="x")]
    with pytest.raises(DataNotMatchException, match="field size, row 3: expected an integer"):
        rows_of(data, make(SIZE), "shelf")
    field = array("a", DataType.INT8, nullable=True)
    assert "field a, row 2: expected an ARRAY whose element 1 is" in refusal(
        [None, [1], [2, 300], None], field
    )


def test_masked_arrays_have_nulls_where_they_are_masked() -> None:
    masked = np.ma.masked_array([1, 2, 3], [False, True, False])
    assert told(column(masked, SIZE), SIZE) == [1, None, 3]
    assert told(column(masked, COUNT), COUNT) == [1, 7, 3]
    assert told(column(np.ma.masked_array([1, 2]), SIZE), SIZE) == [1, 2]
    plain = FieldSchema("n", DataType.INT64)
    assert "field n, row 1: expected a value, got None" in refusal(masked, plain)
    assert told(column(np.ma.masked_array([1, 2]), plain), plain) == [1, 2]


def test_rows_of_masked_matrices_are_null_as_a_whole_or_not_at_all() -> None:
    field = FieldSchema("v", DataType.FLOAT16_VECTOR, dim=2, nullable=True)
    matrix = np.ma.masked_array(np.ones((2, 2), np.float16), [[True, True], [False, False]])
    assert told(column(matrix, field), field) == [None, [np.ones(2, np.float16).tobytes()]]
    matrix = np.ma.masked_array(np.ones((2, 2)), [[False, False], [False, True]])
    assert "field v, row 1: expected a row masked as a whole" in refusal(matrix, field)


def test_object_arrays_have_none_for_null() -> None:
    assert told(column(np.array([1, None], object), SIZE), SIZE) == [1, None]


def test_times_of_a_collection_are_read_in_its_timezone() -> None:
    schema = make(FieldSchema("at", DataType.TIMESTAMPTZ))
    data = [row(1, at="2025-01-01 08:00:00"), row(2, at=datetime(2025, 1, 1, tzinfo=timezone.utc))]
    for timezone_name in ("Asia/Shanghai",):
        rows = rows_of(data, schema, "shelf", timezone=timezone_name)
        assert len(set(rows.columns[102].values.tolist())) == 1
        found = python_rows(rows.columns, schema.fields[2:], 2)
        assert found == [{"at": "2025-01-01T00:00:00Z"}] * 2
        found = python_rows(rows.columns, schema.fields[2:], 2, timezone=timezone_name)
        assert found == [{"at": "2025-01-01T08:00:00+08:00"}] * 2
    with pytest.raises(DataNotMatchException, match="field at, row 1: expected ISO 8601 text such"):
        rows_of([row(1, at="2025-01-01T00:00:00Z"), row(2, at="now")], schema, "shelf")


# Data frames


def test_a_data_frame_has_nulls_where_pandas_says_so() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "id": [1, 2, 3],
            "vector": [[1.0, 2.0]] * 3,
            "size": [4, None, 6],  # floats with NaN
            "count": pandas.array([1, None, 3], dtype="Int64"),
            "text": ["a", None, "c"],
            "flag": [True, None, False],
            "tags": [["x"], None, []],
            "seen": pandas.to_datetime(["2025-01-01", None, "2025-01-02"], utc=True),
        }
    )
    rows = columns_of(frame, MANY, "shelf")
    found = python_rows(rows.columns, MANY.fields[2:], 3)
    assert found[0] == {
        **ABSENT, "size": 4, "count": 1, "text": "a", "flag": True, "tags": ["x"],
    }  # fmt: skip
    assert found[1] == ABSENT
    assert (found[2]["size"], found[2]["flag"], found[2]["tags"]) == (6, False, [])
    assert found[2]["seen"] == "2025-01-02T00:00:00Z"
    fractions = frame.assign(size=[4, None, 6.5])
    with pytest.raises(DataNotMatchException, match=r"field size, row 0: .* got 4.0"):
        columns_of(fractions, MANY, "shelf")
    with pytest.raises(DataNotMatchException, match="field id, row 1: expected a value, got None"):
        columns_of(frame.assign(id=[1, None, 3]), MANY, "shelf")


def test_a_data_frame_may_leave_out_what_rows_may() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": [1], "vector": [[1.0, 2.0]]})
    rows = columns_of(frame, MANY, "shelf")
    assert python_rows(rows.columns, MANY.fields[2:], 1) == [ABSENT]
    with pytest.raises(DataNotMatchException, match="expected the columns"):
        columns_of(frame[["id"]], MANY, "shelf")
