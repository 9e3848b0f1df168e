"""Vectors of all types come in in many forms, as rows and as queries, and go out as bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from walvec.convert import columns_of, rows_of
from walvec.python_rows import python_rows
from walvec.query_vectors import query_vectors
from walvec.schema import CollectionSchema, FieldSchema, to_schema
from walvec.wal.errors import DataNotMatchException, ParamError
from walvec.wal.rows import Column
from walvec.wal.schema import DataType, Schema

PK = FieldSchema("id", DataType.INT64, is_primary=True)


def make(dtype: DataType, dim: int, **keywords: Any) -> Schema:
    vector = FieldSchema("v", dtype, dim=dim, **keywords)
    return to_schema(CollectionSchema([PK, vector]), "shelf")


HALF = make(DataType.FLOAT16_VECTOR, 3)
BRAIN = make(DataType.BFLOAT16_VECTOR, 3)
BYTE = make(DataType.INT8_VECTOR, 3)
BITS = make(DataType.BINARY_VECTOR, 16)
FLOATS = make(DataType.FLOAT_VECTOR, 3)
HALVES = np.array([1, -2.5, 0.25], np.float16)
BRAINS = np.array([0x3F80, 0xC020, 0x3E80], np.uint16)
BYTES = np.array([1, -128, 127], np.int8)
PACKED = np.array([0x80, 0x01], np.uint8)


def column(values: Any, schema: Schema) -> Column:
    return columns_of([list(range(len(values))), values], schema, "shelf").columns[101]


@pytest.mark.parametrize(
    ("schema", "form", "items"),
    [
        (HALF, HALVES, HALVES),
        (HALF, HALVES.tobytes(), HALVES),
        (HALF, bytearray(HALVES.tobytes()), HALVES),
        (HALF, memoryview(HALVES.tobytes()), HALVES),
        (HALF, [HALVES.tobytes()], HALVES),
        (HALF, [1, -2.5, 0.25], HALVES),
        (HALF, (1, -2.5, 0.25), HALVES),
        (HALF, HALVES.astype(np.float64), HALVES),
        (BRAIN, BRAINS.tobytes(), BRAINS),
        (BRAIN, [BRAINS.tobytes()], BRAINS),
        (BRAIN, [1, -2.5, 0.25], BRAINS),
        (BRAIN, HALVES, BRAINS),
        (BRAIN, HALVES.astype(np.float32), BRAINS),
        (BYTE, BYTES, BYTES),
        (BYTE, BYTES.tobytes(), BYTES),
        (BYTE, [1, -128, 127], BYTES),
        (BYTE, BYTES.astype(np.int64), BYTES),
        (BITS, PACKED, PACKED),
        (BITS, b"\x80\x01", PACKED),
        (BITS, [b"\x80\x01"], PACKED),
        (BITS, [0x80, 0x01], PACKED),
        (BITS, np.packbits([1, *[0] * 14, 1]), PACKED),
    ],
)
def test_a_vector_of_a_type_may_have_many_forms(schema: Schema, form: Any, items: Any) -> None:
    mixed = [form, items.tobytes(), form]
    for found in (
        column(mixed, schema),
        column([form] * 3, schema),
        rows_of([{"id": i, "v": v} for i, v in enumerate(mixed)], schema, "shelf").columns[101],
    ):
        assert found.values.dtype == items.dtype
        assert found.values.tobytes() == items.tobytes() * 3
        assert found.values.shape == (3, len(items))
    queries = query_vectors(mixed, schema.by_name["v"], "shelf")
    wanted = PACKED if schema is BITS else HALVES.astype(np.float32)
    wanted = BYTES.astype(np.float32) if schema is BYTE else wanted
    assert queries.dtype == wanted.dtype
    assert queries.tolist() == [wanted.tolist()] * 3
    assert queries.flags.c_contiguous


@pytest.mark.parametrize(
    ("schema", "array"),
    [(HALF, HALVES), (HALF, HALVES.astype(float)), (BYTE, BYTES), (BITS, PACKED), (BRAIN, HALVES)],
)
def test_a_matrix_is_a_column_and_shares_nothing(schema: Schema, array: Any) -> None:
    matrix = np.stack([array, array])
    found = column(matrix, schema)
    assert found.values.tobytes() == column([array, array], schema).values.tobytes()
    assert not np.shares_memory(found.values, matrix)
    assert query_vectors(matrix, schema.by_name["v"], "shelf").shape == (2, len(array))
    assert query_vectors(array, schema.by_name["v"], "shelf").shape == (1, len(array))


def test_one_query_of_bytes_needs_no_list() -> None:
    assert query_vectors(b"\x80\x01", BITS.by_name["v"], "shelf").tolist() == [[128, 1]]
    assert query_vectors([128, 1], BITS.by_name["v"], "shelf").tolist() == [[128, 1]]
    halves = query_vectors(HALVES.tobytes(), HALF.by_name["v"], "shelf")
    assert halves.tolist() == [HALVES.tolist()]


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.just(3)),
    elements=st.floats(-(2.0**127), 2.0**127, width=32)))  # fmt: skip
def test_bfloat16_is_rounded_to_the_nearest_and_to_even(vectors: Any) -> None:
    found = column(vectors, BRAIN).values.astype(np.int64)
    exact = vectors.astype(np.float64)
    for halves in (found - 1, found + 1):  # the neighbours are not nearer
        value = (found.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        other = (halves.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        near, far = np.abs(value - exact), np.abs(other - exact)
        assert ((near < far) | ((near == far) & (found % 2 == 0)) | np.isnan(far)).all()


WRONG = [
    (HALF, [1, 2], "a vector of 3 components, not 2"),
    (HALF, b"12345", "expected 6 bytes, not 5"),
    (HALF, [1, 2, 70_000], "the range of float16, component 2 is 70000"),
    (HALF, b"\x00\x7c" * 3, "the range of float16, component 0 is inf"),
    (HALF, np.array([1, np.nan, 2], np.float16), "float16, component 1 is nan"),
    (HALF, None, "a vector of 3 numbers"),
    (HALF, "abc", "a vector of 3 numbers, got 'abc'"),
    (HALF, [b"12"], "expected 6 bytes, not 2"),
    (HALF, np.zeros(6, np.uint8), "a vector of 3 components, not 6"),
    (BRAIN, [1, 2, 3.4e38], "the range of bfloat16, component 2 is 3.4e+38"),
    (BRAIN, [1, 2, 1e39], "the range of bfloat16, component 2 is 1e+39"),
    (BRAIN, b"\x80\x7f" * 3, "the range of bfloat16, component 0"),
    (BRAIN, BRAINS, "numbers; the upper halves of float32 come as bytes, got an array"),
    (BYTE, [1, 2, 128], "integers from -128 to 127, component 2 is 128"),
    (BYTE, [1, 2, 3.0], "integers from -128 to 127, got [1, 2, 3.0]"),
    (BYTE, np.ones(3), "integers from -128 to 127, got an array"),
    (BYTE, b"ab", "expected 3 bytes, not 2"),
    (BITS, [1], "a vector of 2 bytes, 16 bits, not 1"),
    (BITS, [0, 256], "integers from 0 to 255, component 1 is 256"),
    (BITS, np.zeros(16, np.uint8), "a vector of 2 bytes, 16 bits, not 16"),
    (BITS, np.zeros(2, bool), "a vector of 2 bytes, 16 bits, got an array"),
    (BITS, b"abc", "expected 2 bytes, not 3"),
    (BITS, None, "a vector of 2 bytes, 16 bits, got None"),
    (FLOATS, b"123456789012", "a vector of 3 numbers, got b'123"),
]


@pytest.mark.parametrize(("schema", "value", "message"), WRONG)
def test_a_wrong_vector_is_refused_with_its_row(schema: Schema, value: Any, message: str) -> None:
    field = schema.by_name["v"]
    good = np.zeros(field.width, np.uint8 if schema is BITS else np.int8)
    for others in ([], [good], [good.tolist()]):
        with pytest.raises(DataNotMatchException) as raised:
            column([*others, value], schema)
        assert f"collection shelf: field v, row {len(others)}: expected " in raised.value.message
        assert message in raised.value.message
        with pytest.raises(ParamError) as refused:
            query_vectors([*others, value], field, "shelf")
        assert "query vector " in refused.value.message


def test_vectors_that_are_bytes_go_out_as_bytes_in_lists_or_alone() -> None:
    for schema, array in ((HALF, HALVES), (BRAIN, BRAINS), (BYTE, BYTES), (BITS, PACKED)):
        rows = columns_of([[1, 2], [array.tobytes()] * 2], schema, "shelf")
        fields = schema.fields
        found = python_rows(rows.columns, fields, 2)
        assert found == [{"id": i, "v": [array.tobytes()]} for i in (1, 2)]
        assert rows_of(found, schema, "shelf").columns[101].values.tobytes() == array.tobytes() * 2
        found = python_rows(rows.columns, fields, 2, bytes_in_lists=False)
        assert found == [{"id": i, "v": array.tobytes()} for i in (1, 2)]


def test_a_null_vector_is_zeros_that_are_not_valid() -> None:
    schema = make(DataType.FLOAT16_VECTOR, 3, nullable=True)
    data = [{"id": 1, "v": HALVES}, {"id": 2, "v": None}, {"id": 3}]
    rows = rows_of(data, schema, "shelf")
    found = rows.columns[101]
    assert found.values.tolist() == [HALVES.tolist(), [0, 0, 0], [0, 0, 0]]
    assert found.valid is not None
    assert found.valid.tolist() == [True, False, False]
    back = python_rows(rows.columns, schema.fields, 3)
    assert [row["v"] for row in back] == [[HALVES.tobytes()], None, None]
    with pytest.raises(DataNotMatchException, match=r"field v, row 2: .* not 2"):
        rows_of([*data[:2], {"id": 3, "v": [1, 2]}], schema, "shelf")
