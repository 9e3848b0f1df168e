"""Rows as columns: what goes in comes out, whole, cut, taken and joined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walvec.wal.rows import (
    DTYPES,
    Column,
    Rows,
    columns_in_log_order,
    decode_rows,
    empty_column,
    encode_rows,
)
from walvec.wal.schema import DataType, Field, Schema

TEXTS = st.text(max_size=8)
FIXED = sorted(set(DTYPES) - {DataType.FLOAT_VECTOR})


@st.composite
def columns(draw: st.DrawFn, n: int) -> Column:
    """A column of n rows of any type, with or without nulls."""
    kind = draw(st.sampled_from(["text", "vector", *FIXED]))
    valid = draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n))
    mask = None if valid is None else np.array(valid, bool)
    if kind == "text":
        texts = Column.of_texts(draw(st.lists(TEXTS, min_size=n, max_size=n)))
        return Column(texts.values, texts.offsets, mask)
    shape = (n, draw(st.integers(1, 5))) if kind == "vector" else (n,)
    dtype = DTYPES[DataType.FLOAT_VECTOR if kind == "vector" else DataType(kind)]
    data = draw(st.binary(min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    values = np.frombuffer(data, np.uint8) % (2 if kind == DataType.BOOL else 255)
    return Column(values.astype(dtype).reshape(shape), None, mask)


@st.composite
def batches(draw: st.DrawFn, n: int | None = None) -> Rows:
    """Rows of one to four columns."""
    count = draw(st.integers(0, 12)) if n is None else n
    ids = draw(st.lists(st.integers(100, 120), min_size=1, max_size=4, unique=True))
    return Rows(count, {i: draw(columns(count)) for i in ids})


def plain(column: Column) -> tuple[Any, ...]:
    """What a column says, apart from how it is laid out in memory."""
    valid = None if column.valid is None else column.valid.tolist()
    if column.offsets is not None:
        return "text", column.texts(), valid
    return str(column.values.dtype), column.values.shape[1:], column.values.tolist(), valid


def assert_same(found: Rows, wanted: Rows) -> None:
    assert found.n == wanted.n
    assert list(found.columns) == list(wanted.columns)
    for field_id, column in wanted.columns.items():
        assert plain(found.columns[field_id]) == plain(column)


@settings(deadline=None)
@given(batches(), st.sampled_from([16, 64]))
def test_rows_come_back_from_their_payload(rows: Rows, alignment: int) -> None:
    layout, buffers = encode_rows(rows, alignment)
    payload = b"".join(buffers)
    assert_same(decode_rows(rows.n, layout, payload, alignment), rows)
    assert sum(size for *_, size in layout) == rows.nbytes()
    assert len(payload) % alignment == 0


@settings(deadline=None)
@given(batches(), st.data())
def test_a_slice_holds_the_rows_between(rows: Rows, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, rows.n))
    stop = data.draw(st.integers(start, rows.n))
    part = rows.slice(start, stop)
    layout, buffers = encode_rows(part)
    for found in (part, decode_rows(part.n, layout, b"".join(buffers))):
        for field_id, column in rows.columns.items():
            wanted = plain(column.take(np.arange(start, stop)))
            assert plain(found.columns[field_id]) == wanted


@settings(deadline=None)
@given(batches(n=7), st.lists(st.integers(0, 6), max_size=10))
def test_taken_rows_are_those_at_the_positions(rows: Rows, positions: list[int]) -> None:
    taken = rows.take(np.array(positions, np.int64))
    assert taken.n == len(positions)
    for field_id, column in rows.columns.items():
        one_by_one = [plain(column.slice(p, p + 1)) for p in positions]
        parts = [plain(taken.columns[field_id].slice(i, i + 1)) for i in range(len(positions))]
        assert parts == one_by_one


@settings(deadline=None)
@given(batches(n=9), st.integers(0, 9), st.integers(0, 9))
def test_slices_concatenated_are_the_whole(rows: Rows, a: int, b: int) -> None:
    cuts = [0, min(a, b), max(a, b), rows.n]
    for column in rows.columns.values():
        parts = [column.slice(cuts[i], cuts[i + 1]) for i in range(3)]
        assert plain(Column.concatenate(parts)) == plain(column)


def test_columns_with_and_without_nulls_concatenate() -> None:
    left = Column(np.array([1, 2]))
    right = Column(np.array([3]), None, np.array([False]))
    joined = Column.concatenate([left, right])
    assert joined.valid is not None
    assert joined.valid.tolist() == [True, True, False]


def test_one_text_is_read_without_the_others() -> None:
    column = Column.of_texts(["a", "", "größe", "日本"])
    assert [column.text(i) for i in range(4)] == ["a", "", "größe", "日本"]
    assert column.slice(2, 4).text(1) == "日本"


def test_decoded_rows_are_views_of_the_payload() -> None:
    rows = Rows(3, {1: Column(np.arange(3.0)), 2: Column.of_texts("abc")})
    layout, buffers = encode_rows(rows)
    payload = np.frombuffer(b"".join(buffers), np.uint8)
    for column in decode_rows(3, layout, payload).columns.values():
        assert np.shares_memory(column.values, payload)


def test_a_strided_array_is_written_in_c_order() -> None:
    wide = np.arange(24, dtype=np.float32).reshape(4, 6)
    layout, buffers = encode_rows(Rows(4, {1: Column(wide[:, ::2])}))
    found = decode_rows(4, layout, b"".join(buffers)).columns[1].values
    assert found.tolist() == wide[:, ::2].tolist()


@pytest.mark.parametrize(
    ("n", "layout", "payload"),
    [
        (2, ((1, "v", "<i8", 0, 16),), bytes(32)),
        (2, ((1, "v", "<i8", 0, 16),), bytes(8)),
        (3, ((1, "v", "<i8", 0, 16),), bytes(16)),
        (2, ((1, "v", "<i8", 0, 15),), bytes(16)),
        (2, ((1, "v", "|O", 0, 16),), bytes(16)),
        (2, ((1, "v", "<i8", 3, 16),), bytes(16)),
    ],
)
def test_a_layout_that_does_not_fit_its_payload_is_refused(
    n: int, layout: Any, payload: bytes
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_rows(n, layout, payload)


def test_an_empty_column_has_the_type_of_its_field() -> None:
    for kind in [*FIXED, DataType.FLOAT_VECTOR]:
        dim = 3 if kind is DataType.FLOAT_VECTOR else 0
        column = empty_column(Field(1, "f", kind, dim=dim))
        assert (len(column), column.values.dtype) == (0, DTYPES[kind])
    assert empty_column(Field(1, "f", DataType.JSON)).texts() == []


def test_the_primary_key_comes_first_in_the_log() -> None:
    schema = Schema(
        (
            Field(100, "v", DataType.FLOAT_VECTOR, dim=2),
            Field(101, "id", DataType.INT64, is_primary=True),
            Field(102, "t", DataType.VARCHAR, max_length=9),
        )
    )
    column = Column(np.zeros(1))
    ordered = columns_in_log_order(schema, {102: column, 100: column, 101: column})
    assert list(ordered) == [101, 100, 102]
