"""Rows of partial updates have some of the fields, and dynamic keys that are put over others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walvec.convert import merged_meta, partial_rows_of
from walvec.python_rows import python_rows
from walvec.schema import CollectionSchema, FieldSchema, to_schema
from walvec.wal.errors import DataNotMatchException
from walvec.wal.rows import Column
from walvec.wal.schema import DataType, Schema

FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
    FieldSchema("title", DataType.VARCHAR, max_length=9),
    FieldSchema("issue", DataType.VARCHAR, max_length=9, nullable=True),
    FieldSchema("size", DataType.INT64, default_value=3),
]
STRICT = to_schema(CollectionSchema(FIELDS), "shelf")
DYNAMIC = to_schema(CollectionSchema(FIELDS, enable_dynamic_field=True), "shelf")


def parts(data: Any, schema: Schema = DYNAMIC) -> tuple[list[str], list[dict[str, Any]]]:
    rows, given = partial_rows_of(data, schema, "shelf")
    assert set(given) == set(rows.columns)
    fields = [f for f in schema.fields if f.id in given]
    return [f.name for f in fields], python_rows(rows.columns, fields, rows.n)


def refusal(data: Any, schema: Schema = DYNAMIC) -> str:
    with pytest.raises(DataNotMatchException) as raised:
        partial_rows_of(data, schema, "shelf")
    assert "collection shelf" in raised.value.message
    return raised.value.message


def test_only_the_columns_that_were_given_are_there() -> None:
    data = [{"id": 1, "title": "a"}, {"id": 2, "title": "b"}]
    assert parts(data) == (["id", "title"], data)
    assert parts({"id": 1}) == (["id"], [{"id": 1}])


def test_none_sets_null_or_the_default_and_absence_does_not() -> None:
    data = [{"id": 1, "issue": None, "size": None}, {"id": 2, "issue": "x", "size": 4}]
    names, rows = parts(data)
    assert names == ["id", "issue", "size"]
    assert rows == [{"id": 1, "issue": None, "size": 3}, data[1]]


def test_dynamic_keys_may_differ_from_row_to_row() -> None:
    data = [{"id": 1, "color": "red"}, {"id": 2}, {"id": 3, "pages": 7}]
    assert parts(data) == (["id", "$meta"], data)


def test_no_rows_are_no_rows_of_all_fields() -> None:
    rows, given = partial_rows_of([], DYNAMIC, "shelf")
    assert rows.n == 0
    assert set(given) == set(rows.columns) == {f.id for f in DYNAMIC.fields}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([{"title": "a"}], "field id, row 0: the field is missing"),
        ([{"id": 1, "title": "a"}, {"id": 2, "size": 1}], "row 1: expected values of the same"),
        ([{"id": 1, "title": "a"}, {"id": 2}], "fields as in row 0, ['id', 'title'], got"),
        ([{"id": 1}, {"id": 1}], "field id, row 1: expected a primary key not in row 0"),
        ([{"id": 1, "title": None}], "field title, row 0: expected a string, got None"),
        ([{"id": 1, "$meta": {}}], "field $meta, row 0: expected the dynamic keys themselves"),
        ("rows", "expected a dict or a list of dicts, got 'rows'"),
        ([1], "row 0: expected a dict of fields, got 1"),
    ],
)
def test_wrong_rows_of_a_partial_update_are_refused(data: Any, message: str) -> None:
    assert message in refusal(data)


def test_keys_that_are_no_fields_need_a_dynamic_field() -> None:
    assert "field color, row 0: expected no such key" in refusal([{"id": 1, "color": 1}], STRICT)


def test_keys_are_put_over_those_that_are_there() -> None:
    old = Column.of_texts(['{"a":1,"b":{"c":1}}', "{}", '{"a":1}', ""])
    new = Column.of_texts(['{"b":{"d":2},"e":3}', '{"a":2}', "{}", "{}"])
    assert merged_meta(old, new).texts() == [
        '{"a":1,"b":{"d":2},"e":3}', '{"a":2}', '{"a":1}', "{}",
    ]  # fmt: skip


def test_keys_that_are_too_long_together_are_refused() -> None:
    old, new = (Column.of_texts([f'{{"{k}":"{"x" * 40_000}"}}']) for k in "ab")
    with pytest.raises(DataNotMatchException, match="the dynamic keys of row 0, merged: expected"):
        merged_meta(old, new)


objects = st.dictionaries(
    st.sampled_from("abcä"), st.integers(-(2**63), 2**63) | st.text() | st.none()
)


@given(st.lists(st.tuples(objects, objects), min_size=1, max_size=4))
def test_merging_is_that_of_dictionaries(
    pairs: list[tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    (meta,) = (f for f in DYNAMIC.fields if f.is_dynamic)
    columns = []
    for place in (0, 1):
        data = [{"id": i, **pair[place], "z": place} for i, pair in enumerate(pairs)]
        columns.append(partial_rows_of(data, DYNAMIC, "shelf")[0].columns[meta.id])
    found = python_rows({meta.id: merged_meta(*columns)}, [meta], len(pairs))
    assert found == [{**old, **new, "z": 1} for old, new in pairs]
