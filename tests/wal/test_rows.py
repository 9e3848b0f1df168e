"""Rows as columns: what goes in comes out, whole, cut, taken and joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walvec.wal.rows import (
    DTYPES,
    OFFSETS,
    Column,
    Rows,
    columns_in_log_order,
    completed,
    decode_rows,
    empty_column,
    encode_rows,
    filled_column,
    item_dtype,
)
from walvec.wal.schema import ELEMENTS, STORED, TEXTS, VECTORS, DataType, Field, Schema

GOLDEN = Path(__file__).parents[1] / "golden" / "payload-1.txt"
SHORT = st.text(max_size=8)
FIXED = sorted(set(DTYPES) - VECTORS - TEXTS)


def offsets_of(lengths: list[int]) -> Any:
    """Where rows of these lengths begin and end."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(OFFSETS)


@st.composite
def items(draw: st.DrawFn, kind: DataType, *shape: int) -> Any:
    """Items of a type, (shape), of any bits but NaN."""
    data = draw(st.binary(min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    values = np.frombuffer(data, np.uint8) % (2 if kind == DataType.BOOL else 127)
    return values.astype(DTYPES[kind]).reshape(shape)


@st.composite
def columns(draw: st.DrawFn, n: int) -> Column:
    """A column of n rows of any type, with or without nulls."""
    kind = draw(st.sampled_from(["text", "array", "texts", *sorted(VECTORS), *FIXED]))
    valid = draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n))
    mask = None if valid is None else np.array(valid, bool)
    if kind == "text":
        texts = Column.of_texts(draw(st.lists(SHORT, min_size=n, max_size=n)))
        return Column(texts.values, texts.offsets, mask)
    if kind in ("array", "texts"):
        offsets = offsets_of(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)))
        count = int(offsets[-1])
        if kind == "texts":
            texts = Column.of_texts(draw(st.lists(SHORT, min_size=count, max_size=count)))
            return Column(texts.values, offsets, mask, texts.offsets)
        return Column(draw(items(draw(st.sampled_from(FIXED)), count)), offsets, mask)
    shape = (n, draw(st.integers(1, 5))) if kind in VECTORS else (n,)
    return Column(draw(items(DataType(kind), *shape)), None, mask)


@st.composite
def batches(draw: st.DrawFn, n: int | None = None) -> Rows:
    """Rows of one to four columns."""
    count = draw(st.integers(0, 12)) if n is None else n
    ids = draw(st.lists(st.integers(100, 120), min_size=1, max_size=4, unique=True))
    return Rows(count, {i: draw(columns(count)) for i in ids})


def plain(column: Column) -> tuple[Any, ...]:
    """What a column says, apart from how it is laid out in memory."""
    valid = None if column.valid is None else column.valid.tolist()
    if column.inner is not None:
        texts = column.elements().texts()
        return "texts", [texts[a:b] for a, b in bounds(column)], valid
    if column.offsets is not None and column.values.dtype == np.uint8:
        return "text", column.texts(), valid
    if column.offsets is not None:
        values = column.elements().values
        return str(values.dtype), [values[a:b].tolist() for a, b in bounds(column)], valid
    return str(column.values.dtype), column.values.shape[1:], column.values.tolist(), valid


def bounds(column: Column) -> list[tuple[int, int]]:
    """Where the elements of each row of an array begin and end."""
    assert column.offsets is not None
    return list(zip(column.offsets[:-1].tolist(), column.offsets[1:].tolist(), strict=True))


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
        (2, ((1, "v", "<i8", 0, 16), (1, "o", "<i8", 0, 16)), bytes(32)),
    ],
)
def test_a_layout_that_does_not_fit_its_payload_is_refused(
    n: int, layout: Any, payload: bytes
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_rows(n, layout, payload)


def field(kind: DataType, **more: Any) -> Field:
    """A field of a type with what the type needs."""
    if kind is DataType.ARRAY:
        more = {"element_type": DataType.INT32, "max_capacity": 9, **more}
    return Field(1, "f", kind, dim=16 if kind in VECTORS else 0, **more)


def test_an_empty_column_has_the_type_of_its_field() -> None:
    for kind in STORED:
        column = empty_column(field(kind))
        assert (len(column), column.values.dtype) == (0, item_dtype(field(kind)))
        assert column.valid is None
    for element in ELEMENTS:
        column = empty_column(field(DataType.ARRAY, element_type=element))
        assert (len(column), column.values.dtype) == (0, DTYPES[element])
        assert (column.inner is None) == (element is not DataType.VARCHAR)
    assert empty_column(Field(1, "f", DataType.JSON)).texts() == []
    assert empty_column(field(DataType.BINARY_VECTOR)).values.shape == (0, 2)
    assert empty_column(field(DataType.BFLOAT16_VECTOR)).values.shape == (0, 16)


@pytest.mark.parametrize("kind", sorted(STORED), ids=lambda k: k.name)
def test_a_column_without_values_is_null(kind: DataType) -> None:
    column = filled_column(field(kind, nullable=True), 3)
    assert len(column) == 3
    assert column.valid is not None
    assert column.valid.tolist() == [False] * 3
    assert not column.values.any()
    layout, buffers = encode_rows(Rows(3, {1: column}))
    assert plain(decode_rows(3, layout, b"".join(buffers)).columns[1]) == plain(column)


@pytest.mark.parametrize(
    ("kind", "default", "wanted"),
    [
        (DataType.BOOL, True, [True] * 2),
        (DataType.BOOL, False, [False] * 2),
        (DataType.INT8, -3, [-3] * 2),
        (DataType.INT64, 0, [0] * 2),
        (DataType.INT64, -(2**63), [-(2**63)] * 2),
        (DataType.FLOAT, 0.5, [0.5] * 2),
        (DataType.DOUBLE, 0.1, [0.1] * 2),
        (DataType.TIMESTAMPTZ, 1_700_000_000_000_000, [1_700_000_000_000_000] * 2),
        (DataType.VARCHAR, "größe", ["größe"] * 2),
        (DataType.VARCHAR, "", ["", ""]),
    ],
)
def test_a_column_is_filled_with_the_default(kind: DataType, default: Any, wanted: Any) -> None:
    column = filled_column(field(kind, default=default, nullable=True), 2)
    assert column.valid is None
    assert (column.texts() if column.offsets is not None else column.values.tolist()) == wanted


def test_rows_are_completed_by_the_fields_that_came_later() -> None:
    old = Field(100, "id", DataType.INT64, is_primary=True)
    later = (
        Field(101, "n", DataType.INT8, default=7),
        Field(102, "$meta", DataType.JSON, is_dynamic=True),
        Field(103, "v", DataType.FLOAT_VECTOR, dim=2, nullable=True),
    )
    rows = Rows(2, {100: Column(np.array([5, 6]))})
    assert completed(rows, Schema((old,))) is rows
    whole = completed(rows, Schema((old, *later)))
    assert whole.columns[100] is rows.columns[100]
    assert whole.columns[101].values.tolist() == [7, 7]
    assert whole.columns[102].texts() == ["{}", "{}"]
    assert whole.columns[103].values.shape == (2, 2)
    assert plain(whole.columns[103])[-1] == [False, False]
    assert completed(whole, Schema((old, *later))) is whole


# The bytes


def golden_rows() -> Rows:
    """Two rows with a column of every kind."""
    valid = np.array([True, False])
    texts = Column.of_texts(["a", "", "größe"])
    floats = np.array([[1, -2], [0.5, 0]], np.float32)
    return Rows(
        2,
        {
            100: Column(np.array([7, -1], np.int64)),
            101: Column(floats),
            102: Column(floats.astype(np.float16), None, valid),
            103: Column((floats.view(np.uint32) >> 16).astype(np.uint16)),
            104: Column(floats.astype(np.int8)),
            105: Column(np.packbits([[1, 0, 0, 0, 0, 0, 0, 1], [0] * 8], axis=1)),
            106: Column(
                texts.values, texts.offsets[[0, 1, 3]] if texts.offsets is not None else None
            ),
            107: Column(np.array([1, 2, 3], np.int16), np.array([0, 3, 3], OFFSETS), valid),
            108: Column(texts.values, np.array([0, 1, 3], OFFSETS), None, texts.offsets),
            109: Column(np.array([True, False]), None, valid),
            110: Column(np.array([1_700_000_000_123_456, 0], np.int64), None, valid),
        },
    )


def test_the_golden_payload_is_read_and_written_again_byte_for_byte() -> None:
    layout, buffers = encode_rows(golden_rows())
    lines = [" ".join(map(str, one)) for one in layout]
    assert "\n".join([*lines, b"".join(buffers).hex(), ""]) == GOLDEN.read_text()
    again = decode_rows(2, layout, b"".join(buffers))
    assert_same(again, golden_rows())
    assert again.columns[108].elements().texts() == ["a", "", "größe"]
    assert again.columns[105].values.tolist() == [[129], [0]]
    assert again.columns[103].values.tolist() == [[0x3F80, 0xC000], [0x3F00, 0]]


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
