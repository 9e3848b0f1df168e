"""Rows of any schema come back as they were given: by rows and by columns, at once and singly."""

from __future__ import annotations

import string
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from walvec.convert import columns_of, rows_of
from walvec.python_rows import python_rows
from walvec.schema import CollectionSchema, FieldSchema, to_schema
from walvec.timestamps import HIGH, LOW, UTC, iso_text
from walvec.wal.rows import Rows, decode_rows, encode_rows
from walvec.wal.schema import DataType, Schema

TEXT_BYTES = 12
CAPACITY = 3

floats32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
floats64 = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=TEXT_BYTES).filter(lambda t: len(t.encode()) <= TEXT_BYTES)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=4) | floats64,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
documents = st.lists(jsons, max_size=3) | st.dictionaries(st.text(), jsons, max_size=3)
times = st.integers(LOW, HIGH).map(lambda micros: iso_text(micros, UTC))


def integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


SCALARS: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.BOOL: st.booleans(),
    DataType.INT8: integers(8),
    DataType.INT16: integers(16),
    DataType.INT32: integers(32),
    DataType.INT64: integers(64),
    DataType.FLOAT: floats32,
    DataType.DOUBLE: floats64,
    DataType.VARCHAR: texts,
}
BY_TYPE = {**SCALARS, DataType.JSON: documents, DataType.TIMESTAMPTZ: times}
VECTOR_ITEMS: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.FLOAT_VECTOR: floats32,
    DataType.FLOAT16_VECTOR: st.floats(width=16, allow_nan=False, allow_infinity=False),
    DataType.INT8_VECTOR: integers(8),
    DataType.BINARY_VECTOR: st.integers(0, 255),
}
ITEM_DTYPES = {
    DataType.FLOAT16_VECTOR: np.float16,
    DataType.INT8_VECTOR: np.int8,
    DataType.BINARY_VECTOR: np.uint8,
}


class Asked(NamedTuple):
    """A field and the values that it may be given."""

    field: FieldSchema
    values: st.SearchStrategy[Any]


@st.composite
def scalars(draw: st.DrawFn, name: str) -> Asked:
    dtype = draw(st.sampled_from([*BY_TYPE, DataType.ARRAY]))
    keywords: dict[str, Any] = {"nullable": draw(st.booleans())}
    values = BY_TYPE.get(dtype, st.nothing())
    if dtype is DataType.ARRAY:
        element = draw(st.sampled_from(list(SCALARS)))
        keywords |= {"element_type": element, "max_capacity": CAPACITY}
        values = st.lists(SCALARS[element], max_size=CAPACITY)
    if DataType.VARCHAR in (dtype, keywords.get("element_type")):
        keywords["max_length"] = TEXT_BYTES
    if dtype not in (DataType.ARRAY, DataType.JSON) and draw(st.booleans()):
        keywords["default_value"] = draw(values)
    return Asked(FieldSchema(name, dtype, **keywords), values)


@st.composite
def vectors(draw: st.DrawFn, name: str) -> Asked:
    dtype = draw(st.sampled_from(list(VECTOR_ITEMS)))
    width = draw(st.integers(2, 4))
    dim = width * 8 if dtype is DataType.BINARY_VECTOR else width
    items = st.lists(VECTOR_ITEMS[dtype], min_size=width, max_size=width)
    if dtype is not DataType.FLOAT_VECTOR:  # as a query tells them
        items = items.map(lambda v: [np.array(v, ITEM_DTYPES[dtype]).tobytes()])
    return Asked(FieldSchema(name, dtype, dim=dim, nullable=draw(st.booleans())), items)


@st.composite
def asked_fields(draw: st.DrawFn) -> list[Asked]:
    kind = draw(st.sampled_from([DataType.INT64, DataType.VARCHAR]))
    length = {"max_length": TEXT_BYTES} if kind is DataType.VARCHAR else {}
    pk = Asked(FieldSchema("pk", kind, is_primary=True, **length), SCALARS[kind])
    made = [draw(vectors(f"v{i}")) for i in range(draw(st.integers(1, 2)))]
    made += [draw(scalars(f"s{i}")) for i in range(draw(st.integers(0, 5)))]
    return draw(st.permutations([pk, *made]))


def expected(asked: list[Asked], row: dict[str, Any]) -> dict[str, Any]:
    """The row as it comes back: what it leaves out is the default, or null."""
    names = [a.field.name for a in asked]
    filled = {
        a.field.name: a.field.default_value if row.get(a.field.name) is None else row[a.field.name]
        for a in asked
    }
    return {**filled, **{k: v for k, v in row.items() if k not in names}}


def told(rows: Rows, schema: Schema) -> list[dict[str, Any]]:
    """The rows, once through the bytes of the log."""
    layout, buffers = encode_rows(rows)
    again = decode_rows(rows.n, layout, b"".join(buffers))
    return python_rows(again.columns, schema.fields, again.n)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_rows_of_any_schema_come_back_by_rows_and_by_columns(data: st.DataObject) -> None:
    asked = data.draw(asked_fields())
    dynamic = data.draw(st.booleans())
    fields = [a.field for a in asked]
    schema = to_schema(CollectionSchema(fields, enable_dynamic_field=dynamic), "shelf")
    given_rows = []
    for _ in range(data.draw(st.integers(1, 4))):
        row = {}
        for field, values in asked:
            optional = field.nullable or field.default_value is not None
            if optional and data.draw(st.booleans()):
                if data.draw(st.booleans()):
                    row[field.name] = None
            else:
                row[field.name] = data.draw(values)
        if dynamic:
            row |= data.draw(st.dictionaries(st.sampled_from(string.ascii_uppercase), jsons))
        given_rows.append(row)
    wanted = [expected(asked, row) for row in given_rows]
    by_rows = rows_of(given_rows, schema, "shelf")
    assert told(by_rows, schema) == wanted
    singly = [told(rows_of(row, schema, "shelf"), schema)[0] for row in given_rows]
    assert singly == wanted
    columns = [[row.get(f.name) for row in given_rows] for f in fields]
    by_columns = columns_of(columns, schema, "shelf")
    plain = [{k: v for k, v in row.items() if k not in string.ascii_uppercase} for row in wanted]
    assert told(by_columns, schema) == plain
