"""A scalar index finds the rows that comparing each row finds, whatever its layout."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walvec.segments import scalar_build
from walvec.segments.lookup import Lookup
from walvec.segments.scalar_build import index_parts, write_scalar_index
from walvec.segments.scalar_index import OpenScalarIndex, open_scalar_index
from walvec.segments.scalar_params import SCALAR_TYPES
from walvec.wal.rows import Column
from walvec.wal.schema import DataType, Field

FIELD = 100
RANGES = list(itertools.product([False, True], repeat=2))
NUMBERS = {
    DataType.INT8: [-128, -3, 0, 1, 5, 127],
    DataType.INT64: [-(2**63), -1, 0, 2**53, 2**53 + 1, 2**63 - 1],
    DataType.FLOAT: [-math.inf, -0.0, 0.0, 0.1, 1.5, 3e38, math.inf, math.nan],
    DataType.DOUBLE: [-1e300, 0.1, 0.30000000000000004, 5e-324, math.nan],
    DataType.BOOL: [False, True],
    DataType.TIMESTAMPTZ: [-1, 0, 1_700_000_000_000_000],
}
TEXTS = ["", "a", "ab", "abc", "abd", "b", "zz", "ä", "🙂", "🙂🙂"]
ASKED: list[Any] = [-(2**70), -129, -3, -2.5, 0, 1, 1.5, 5.0, 2**53, 2**53 + 1, 2**63, 1e300, 0.1]
ASKED += [math.inf, -math.inf, 10**400]


def field_of(data_type: DataType, element: DataType = DataType.NONE) -> Field:
    return Field(FIELD, "f", data_type, element_type=element, nullable=True)


def column_of(field: Field, values: list[Any]) -> Column:
    """A column of Python values, None for null."""
    valid = np.array([v is not None for v in values], np.bool_)
    if field.is_array:
        flat = [x for row in values for x in row or []]
        offsets = np.cumsum([0, *(len(row or []) for row in values)])
        items = column_of(Field(FIELD, "f", field.element_type), flat)
        return Column(items.values, offsets, valid, items.offsets)
    if field.is_text:
        texts = Column.of_texts(v or "" for v in values)
        return Column(texts.values, texts.offsets, valid)
    kinds = {DataType.INT8: "i1", DataType.FLOAT: "f4", DataType.DOUBLE: "f8", DataType.BOOL: "?"}
    return Column(np.array([v or 0 for v in values], kinds.get(field.type, "i8")), None, valid)


def index_of(index_type: str, field: Field, column: Column) -> OpenScalarIndex:
    return OpenScalarIndex(7, index_type, field, index_parts(index_type, field, column))


def types_for(field: Field) -> list[str]:
    return [name for name, types in SCALAR_TYPES.items() if field.type in types]


def as_stored(field: Field, value: Any) -> Any:
    """A value as a comparison with the field sees it."""
    if field.type is not DataType.FLOAT and field.type is not DataType.DOUBLE:
        return value
    try:
        with np.errstate(over="ignore"):
            return np.float64(value).astype("f4" if field.type is DataType.FLOAT else "f8").item()
    except OverflowError:
        return math.inf


def assert_finds(index: OpenScalarIndex, lookup: Lookup, expected: list[int]) -> None:
    count, found = index.count(lookup), index.positions(lookup)
    assert found.dtype == np.int64
    assert found.tolist() == expected, lookup
    assert count == len(expected) if lookup.kind not in ("any", "all") else count >= len(expected)


@pytest.mark.parametrize("data_type", NUMBERS)
def test_numbers_are_found_by_lists_and_ranges_as_by_comparing(data_type: DataType) -> None:
    field = field_of(data_type)
    values = [*NUMBERS[data_type], None, *NUMBERS[data_type], None, *NUMBERS[data_type][:2]]
    column = column_of(field, values)
    stored = [None if v is None else x for v, x in zip(values, column.values.tolist(), strict=True)]
    asked = [*NUMBERS[data_type], *ASKED]
    asked = [as_stored(field, v) for v in asked if v == v]
    for index_type in types_for(field):
        index = index_of(index_type, field, column)
        for chosen in [(v,) for v in asked] + [tuple(asked), tuple(asked[::3]), ()]:
            expected = [i for i, v in enumerate(stored) if v is not None and v in chosen]
            assert_finds(index, Lookup(FIELD, "in", chosen), expected)
        for low, high in itertools.product([None, *asked], repeat=2):
            for closed in RANGES:
                expected = [
                    i
                    for i, v in enumerate(stored)
                    if v is not None
                    and v == v
                    and (low is None or (low <= v if closed[0] else low < v))
                    and (high is None or (v <= high if closed[1] else v < high))
                ]
                assert_finds(index, Lookup(FIELD, "range", (low, high), closed), expected)


def test_a_float_field_is_compared_with_values_rounded_to_its_type() -> None:
    field = field_of(DataType.FLOAT)
    index = index_of("STL_SORT", field, column_of(field, [0.1, 0.2]))
    assert_finds(index, Lookup(FIELD, "in", (0.1,)), [0])
    assert_finds(index, Lookup(FIELD, "range", (0.1, None), (False, True)), [1])


def test_texts_are_found_by_lists_ranges_and_prefixes_as_by_comparing() -> None:
    field = field_of(DataType.VARCHAR)
    values = [*TEXTS, None, *TEXTS[::2], *reversed(TEXTS), None]
    stored = [None if v is None else v.encode() for v in values]
    asked = [t.encode() for t in (*TEXTS, "aa", "y", "zzz")] + [b"\xf0\x9f"]
    for index_type in types_for(field):
        index = index_of(index_type, field, column_of(field, values))
        for chosen in [(v,) for v in asked] + [tuple(asked), tuple(asked[::3]), ()]:
            expected = [i for i, v in enumerate(stored) if v in chosen]
            assert_finds(index, Lookup(FIELD, "in", chosen), expected)
        for prefix in asked:
            expected = [i for i, v in enumerate(stored) if v is not None and v.startswith(prefix)]
            assert_finds(index, Lookup(FIELD, "prefix", (prefix,)), expected)
        for low, high in itertools.product([None, *asked], repeat=2):
            for closed in RANGES:
                expected = [
                    i
                    for i, v in enumerate(stored)
                    if v is not None
                    and (low is None or (low <= v if closed[0] else low < v))
                    and (high is None or (v <= high if closed[1] else v < high))
                ]
                assert_finds(index, Lookup(FIELD, "range", (low, high), closed), expected)


ELEMENT_VALUES: dict[DataType, list[Any]] = {
    DataType.INT64: [1, 2, 3, 2**40],
    DataType.VARCHAR: ["a", "b", "abc", ""],
    DataType.BOOL: [False, True],
    DataType.DOUBLE: [0.5, 1.5, -2.0],
}


@given(st.sampled_from(list(ELEMENT_VALUES)), st.data())
@settings(max_examples=60)
def test_arrays_are_found_by_any_and_all_of_their_elements(
    element: DataType, data: st.DataObject
) -> None:
    field = field_of(DataType.ARRAY, element)
    items = st.sampled_from(ELEMENT_VALUES[element])
    rows = data.draw(st.lists(st.none() | st.lists(items, max_size=5), max_size=40))
    column = column_of(field, rows)
    asked = data.draw(st.lists(items, max_size=4))
    encoded = tuple(v.encode() if isinstance(v, str) else v for v in asked)
    for index_type in types_for(field):
        index = index_of(index_type, field, column)
        some = [i for i, row in enumerate(rows) if set(row or []) & set(asked)]
        assert_finds(index, Lookup(FIELD, "any", encoded), some)
        if asked:
            every = [i for i, row in enumerate(rows) if row is not None and set(asked) <= set(row)]
            assert_finds(index, Lookup(FIELD, "all", encoded), every)
        assert index.count(Lookup(FIELD, "in", encoded)) is None
        assert index.count(Lookup(FIELD, "all", ())) is None


def test_what_an_index_cannot_tell_it_does_not_guess() -> None:
    number, text = field_of(DataType.INT64), field_of(DataType.VARCHAR)
    numbers = index_of("INVERTED", number, column_of(number, [1, 2]))
    texts = index_of("INVERTED", text, column_of(text, ["a", "b"]))
    for index, lookup in [
        (numbers, Lookup(FIELD, "in", (b"a",))),
        (numbers, Lookup(FIELD, "in", (math.nan,))),
        (numbers, Lookup(FIELD, "prefix", (b"a",))),
        (numbers, Lookup(FIELD, "any", (1,))),
        (texts, Lookup(FIELD, "in", (1,))),
        (texts, Lookup(FIELD, "range", (1, None))),
        (texts, Lookup(FIELD, "all", (b"a",))),
    ]:
        assert index.count(lookup) is None, lookup


@pytest.mark.parametrize("seed", range(3))
def test_large_answers_are_ascending_and_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    field = field_of(DataType.INT64)
    values = rng.integers(0, 50, 5_000)
    for index_type in types_for(field):
        index = index_of(index_type, field, Column(values))
        for low, high in ((0, 0), (3, 4), (0, 30), (0, 49), (60, 70)):
            expected = np.flatnonzero((values >= low) & (values <= high)).tolist()
            assert_finds(index, Lookup(FIELD, "range", (low, high)), expected)
            assert_finds(index, Lookup(FIELD, "in", tuple(range(low, high + 1))), expected)


# Layouts


def layout(index_type: str, field: Field, column: Column) -> str:
    return index_parts(index_type, field, column).layout


def test_a_layout_is_chosen_by_what_takes_less_room() -> None:
    number = field_of(DataType.INT64)
    few, many = Column(np.arange(1_000) % 10), Column(np.arange(1_000))
    assert layout("STL_SORT", number, few) == layout("STL_SORT", number, many) == "pairs"
    assert layout("INVERTED", number, few) == "terms"
    assert layout("INVERTED", number, many) == "pairs"
    assert layout("BITMAP", number, few) == "bits"
    assert layout("BITMAP", number, many) == "terms", "bits would take 125 bytes a row"
    text = field_of(DataType.VARCHAR)
    colors = column_of(text, ["red", "green"] * 500)
    assert layout("BITMAP", text, colors) == "bits"
    for index_type in ("STL_SORT", "INVERTED", "TRIE"):
        assert layout(index_type, text, colors) == "terms"


@pytest.mark.parametrize("index_type", SCALAR_TYPES)
@pytest.mark.parametrize("n", [0, 1, 9])
def test_segments_of_few_rows_and_of_nulls_alone(index_type: str, n: int) -> None:
    for data_type, value in ((DataType.VARCHAR, b"a"), (DataType.INT64, 5)):
        field = field_of(data_type)
        if index_type in types_for(field):
            index = index_of(index_type, field, column_of(field, [None] * n))
            assert_finds(index, Lookup(FIELD, "in", (value,)), [])
            assert_finds(index, Lookup(FIELD, "range", (None, None)), [])


@pytest.mark.parametrize("copied", [1, 7, 1 << 20])
def test_texts_are_put_in_order_in_pieces(monkeypatch: pytest.MonkeyPatch, copied: int) -> None:
    monkeypatch.setattr(scalar_build, "COPY_BYTES", copied)
    field = field_of(DataType.VARCHAR)
    texts = [f"{'x' * (i % 13)}{i}" for i in range(50)]
    arrays = index_parts("TRIE", field, column_of(field, [*texts, *texts])).arrays
    assert arrays["bytes"].tobytes() == "".join(sorted(texts)).encode()
    assert arrays["ends"].tolist() == np.cumsum([len(t) for t in sorted(texts)]).tolist()


# Files


@pytest.mark.parametrize("mapped", [False, True])
def test_a_file_answers_as_what_was_written(tmp_path: Path, mapped: bool) -> None:
    for number, field, values in [
        (0, field_of(DataType.VARCHAR), ["b", None, "a", "b"]),
        (1, field_of(DataType.ARRAY, DataType.VARCHAR), [["b", "b"], None, ["a"], ["b", "a"]]),
        (2, field_of(DataType.INT64), [5, None, 3, 5]),
    ]:
        value = 5 if number == 2 else b"b"
        for index_type in types_for(field):
            path = tmp_path / f"{number}-{index_type}"
            write_scalar_index(index_type, field, column_of(field, values), path)
            assert path.stat().st_mode & 0o777 == 0o600
            index = open_scalar_index(9, index_type, field, path, 4, mapped=mapped)
            assert (index.index_id, index.index_type) == (9, index_type)
            assert_finds(index, Lookup(FIELD, "any" if number == 1 else "in", (value,)), [0, 3])


def test_the_same_column_gives_the_same_bytes(tmp_path: Path) -> None:
    field = field_of(DataType.VARCHAR)
    column = column_of(field, [f"t{i % 7}" for i in range(100)])
    for name in "ab":
        write_scalar_index("INVERTED", field, column, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
