"""Both key indexes answer as a dictionary does."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from walvec.segments.pk_index import HashedPks, SortedPks, pk_values
from walvec.wal.rows import Column

KEYS = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5)


def newest(keys: list[Any]) -> dict[Any, int]:
    return {key: row for row, key in enumerate(keys)}


@settings(deadline=None)
@given(st.lists(KEYS, max_size=40), st.lists(KEYS, max_size=20), st.booleans())
def test_sorted_keys_answer_as_a_dictionary(
    keys: list[int], asked: list[int], ascending: bool
) -> None:
    keys = sorted(set(keys)) if ascending else keys
    index = SortedPks(np.array(keys, np.int64))
    rows = newest(keys)
    asked = [*asked, *keys, -(2**63), 2**63 - 1]
    assert [index.get(key) for key in asked] == [rows.get(key, -1) for key in asked]
    wanted = [rows.get(key, -1) for key in asked]
    assert index.find(asked, None).tolist() == wanted
    assert index.find(asked, np.array(asked, np.int64)).tolist() == wanted


@settings(deadline=None)
@given(
    st.lists(st.lists(st.text(max_size=3), max_size=10), max_size=4),
    st.lists(st.text(max_size=3), max_size=10),
)
def test_hashed_keys_answer_as_a_dictionary(batches: list[list[str]], asked: list[str]) -> None:
    index = HashedPks()
    keys: list[str] = []
    for batch in batches:
        index.append(batch, len(keys))
        keys += batch
    rows = newest(keys)
    asked = [*asked, *keys]
    assert [index.get(key) for key in asked] == [rows.get(key, -1) for key in asked]
    assert index.find(asked, None).tolist() == [rows.get(key, -1) for key in asked]


def test_nothing_is_found_among_no_keys() -> None:
    for index in (SortedPks(np.empty(0, np.int64)), HashedPks()):
        assert index.get(0) == -1
        assert index.find([], None).tolist() == []
        assert index.find([0, 1], None).tolist() == [-1, -1]


def test_keys_are_python_values() -> None:
    assert pk_values(Column(np.array([1, -2]))) == [1, -2]
    assert pk_values(Column.of_texts(["a", "ß"])) == ["a", "ß"]
