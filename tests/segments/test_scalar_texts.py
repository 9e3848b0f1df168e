"""Sorting texts in an array of bytes gives what sorting Python's bytes gives."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from walvec.segments.scalar_texts import sort_texts
from walvec.wal.rows import Column

PIECES = st.sampled_from([b"", b"a", b"b", b"\0", b"\xff", b"abcdefg", b"abcdefgh", b"12345678"])
TEXTS = st.lists(st.lists(PIECES, max_size=6).map(b"".join), max_size=30)


def sorted_texts(texts: list[bytes]) -> tuple[list[int], list[bool]]:
    data = np.frombuffer(b"".join(texts), np.uint8)
    lengths = np.array([len(t) for t in texts], np.int64)
    order, is_new = sort_texts(data, np.cumsum(lengths) - lengths, lengths)
    return order.tolist(), is_new.tolist()


@given(TEXTS)
def test_the_order_is_that_of_bytes_and_equal_ones_stay_as_they_stood(texts: list[bytes]) -> None:
    order, is_new = sorted_texts(texts)
    assert order == sorted(range(len(texts)), key=lambda i: texts[i])
    ordered = [texts[i] for i in order]
    assert is_new == [not i or ordered[i - 1] != t for i, t in enumerate(ordered)]


@pytest.mark.parametrize(
    "texts",
    [
        [b"x" * 60_000 + tail for tail in (b"b", b"", b"a", b"b")],
        [b"\0" * n for n in range(40, -1, -1)],
        ["ä".encode(), b"z", "🙂".encode(), b"", b"zz"],
    ],
    ids=["long common prefix", "zeros of every length", "UTF-8"],
)
def test_long_odd_and_foreign_texts(texts: list[bytes]) -> None:
    assert sorted_texts(texts)[0] == sorted(range(len(texts)), key=lambda i: texts[i])


def test_texts_out_of_the_middle_of_a_column() -> None:
    column = Column.of_texts(["skipped", "b", "skipped", "ab", "a"])
    assert column.offsets is not None
    places = np.array([1, 3, 4])
    starts = column.offsets[:-1][places]
    order, is_new = sort_texts(column.values, starts, np.diff(column.offsets)[places])
    assert places[order].tolist() == [4, 3, 1]
    assert is_new.all()


def test_repeats_of_a_long_text_cost_as_much_as_reading_them() -> None:
    """8 MB: a comparison of each with each would take minutes, a sort of each piece seconds."""
    texts = [b"0123456789abcdef" * 1_000] * 500
    began = time.process_time()
    order, is_new = sorted_texts(texts)
    assert time.process_time() - began < 20
    assert order == list(range(500))
    assert sum(is_new) == 1
