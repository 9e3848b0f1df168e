"""Values at paths of JSON columns: read from the bytes or decoded, kept, and read as they grow."""

from __future__ import annotations

import gc
import json
import weakref
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from walvec.filter import json_kept
from walvec.filter.json_column import extracted
from walvec.filter.json_path import Keys, value_at
from walvec.filter.json_values import ABSENT, BOOL, FLOAT, INTEGER, TEXT, JsonColumn, typed
from walvec.filter.kept import Kept
from walvec.json_text import json_bytes
from walvec.segments.growing import GrowingColumn
from walvec.wal.rows import Column
from walvec.wal.schema import DataType, Field

FIELD = Field(7, "j", DataType.JSON)
texts = st.text(alphabet='a"\\{},:[]ä😀\n k0', max_size=6)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.integers(-20, 20),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
keys = st.sampled_from(["k", "k0", "ä", 'a"', "a", "0", "", ":", "x,", ","])
documents = st.dictionaries(keys, values, max_size=4) | values
paths = st.lists(keys | st.integers(0, 2), min_size=1, max_size=2).map(tuple)


def column_of(values: list[Any], valid: list[bool] | None = None) -> Column:
    """The values as walvec stores them."""
    column = Column.of_texts(
        json_bytes(value, parse_text=False).decode() if value is not None else "null"
        for value in values
    )
    return Column(column.values, column.offsets, None if valid is None else np.array(valid))


def plain(column: JsonColumn) -> list[Any]:
    """As Python values."""
    found: list[Any] = []
    for row, kind in enumerate(column.kinds.tolist()):
        if kind == ABSENT:
            found.append(None)
        elif kind == BOOL:
            found.append(bool(column.integers[row]))
        elif kind in {INTEGER, FLOAT}:
            found.append((column.integers if kind == INTEGER else column.floats)[row].item())
        else:
            found.append(column.texts.text(row) if kind == TEXT else column.others[row])
    return found


def test_decoded_values_come_back_from_their_columns() -> None:
    values = [None, True, 1, -(2**63), 2.5, "ä", [1, {}], {"a": 1}]
    assert plain(typed(values)) == values
    assert plain(typed([2**63, 1])) == [2.0**63, 1]


@settings(max_examples=500)
@given(st.lists(documents, max_size=6), paths)
def test_values_are_those_of_the_decoded_documents(values: list[Any], path: Keys) -> None:
    column = column_of(values)
    wanted = plain(typed([value_at(json.loads(text), path) for text in column.texts()]))
    found = extracted(column, path, None)
    assert repr(plain(found)) == repr(wanted)
    some = np.arange(0, len(values), 2)
    assert repr(plain(extracted(column_of(values), path, some))) == repr(wanted[::2])
    assert repr(plain(extracted(column, path, some))) == repr(wanted[::2])


def test_what_stands_between_two_texts_is_no_key() -> None:
    column = column_of([{"x,": ":"}, {"k": ["x,", ":y"]}, {"x,": ":", ":": 1, ",": 2}])
    assert plain(extracted(column, (":",), None)) == [None, None, 1]
    assert plain(extracted(column, (",",), None)) == [None, None, 2]
    assert plain(extracted(column, ("x,",), None)) == [":", None, ":"]


def test_null_rows_have_nothing() -> None:
    column = column_of([{"a": 1}, {"a": 2}, {"a": 3}], [True, False, True])
    assert plain(extracted(column, ("a",), None)) == [1, None, 3]


def test_numbers_that_follow_each_other_stay_apart() -> None:
    column = column_of([1, 23, -4, 5.5, 10**18, 0])
    assert plain(extracted(column, (0,), None)) == [None] * 6
    assert plain(extracted(column, (), None)) == [1, 23, -4, 5.5, 10**18, 0]


def test_a_growing_column_is_read_where_it_grew() -> None:
    growing = GrowingColumn(FIELD, 4, all_used=False)
    written: list[Any] = []
    for batch in range(6):
        new = [{"a": batch * 10 + i, "b": [i]} for i in range(batch + 1)]
        growing.append(column_of(new), len(written), 8)
        written += new
        column = growing.column(len(written))
        assert plain(extracted(column, ("a",), None)) == [row["a"] for row in written]
        assert plain(extracted(column, ("b",), None)) == [row["b"] for row in written]
    older = growing.column(3)
    assert plain(extracted(older, ("a",), None)) == [row["a"] for row in written[:3]]


def test_what_was_extracted_is_kept_as_long_as_its_column_and_no_longer() -> None:
    column = column_of([{"a": 1}, {"b": 2}])
    assert json_kept.known(column, ("a",)) is None
    first = extracted(column, ("a",), None)
    assert json_kept.known(column, ("a",)) is first
    assert extracted(column, ("a",), None) is first
    assert json_kept.known(column, ("b",)) is None
    gone = weakref.ref(first.kinds)
    del column, first
    gc.collect()
    assert gone() is None
    other = column_of([{"a": 5}, {"a": 6}])
    assert plain(extracted(other, ("a",), None)) == [5, 6]


def test_so_much_is_kept_and_the_oldest_goes_first() -> None:
    kept: Kept[str, int] = Kept(10, lambda value: value)
    for name, weight in (("a", 4), ("b", 3), ("c", 3)):
        kept.put(name, weight)
    assert kept.get("a") == 4
    kept.put("d", 2)
    assert [kept.get(name) for name in "abcd"] == [4, None, 3, 2]
    kept.put("e", 11)
    assert [kept.get(name) for name in "abcde"] == [4, None, 3, 2, None]
