"""Values of JSON, one for each row, as columns by type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from walvec.wal.rows import OFFSETS, Array, Column

Positions = npt.NDArray[np.intp]

ABSENT, BOOL, INTEGER, FLOAT, TEXT, ITEMS, OBJECT = range(7)
"""The kinds of values. ABSENT: the row or the value is null, or nothing stands there."""
KINDS = {
    type(None): ABSENT, bool: BOOL, int: INTEGER, float: FLOAT, str: TEXT, list: ITEMS, dict: OBJECT
}  # fmt: skip


class JsonColumn(NamedTuple):
    """A value for each of n rows.

    kinds     (n,) uint8
    integers  (n,) int64, of bools too; zero where the kind is another
    floats    (n,) float64, of integers too; zero where the kind is no number
    texts     n rows, empty where the kind is another
    others    row -> list or dict
    """

    kinds: Array
    integers: Array
    floats: Array
    texts: Column
    others: dict[int, Any]

    def take(self, rows: Array) -> JsonColumn:
        """Some of the rows."""
        others = {}
        if self.others:
            others = {i: self.others[r] for i, r in enumerate(rows.tolist()) if r in self.others}
        return JsonColumn(
            self.kinds[rows], self.integers[rows], self.floats[rows], self.texts.take(rows), others
        )

    def first(self, n: int) -> JsonColumn:
        """The first n rows."""
        if n == len(self.kinds):
            return self
        others = {row: value for row, value in self.others.items() if row < n}
        return JsonColumn(
            self.kinds[:n], self.integers[:n], self.floats[:n], self.texts.slice(0, n), others
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory, roughly."""
        return 25 * len(self.kinds) + len(self.texts.values) + 500 * len(self.others)


Part = tuple[Positions, JsonColumn]
"""The rows that some values are of."""
EMPTY = Column(np.zeros(0, np.uint8), np.zeros(1, OFFSETS))


def typed(values: Sequence[Any]) -> JsonColumn:
    """Decoded values as columns."""
    n = len(values)
    kinds = np.fromiter((KINDS[type(v)] for v in values), np.uint8, n)
    integers, floats = np.zeros(n, np.int64), np.zeros(n, np.float64)
    for kind in (BOOL, INTEGER, FLOAT):
        rows = np.flatnonzero(kinds == kind)
        if len(rows):
            _fill_numbers(kinds, integers, floats, rows, [values[i] for i in rows.tolist()])
    rows = np.flatnonzero(kinds == TEXT)
    texts = _texts(n, rows, [values[i] for i in rows.tolist()])
    others = {i: values[i] for i in np.flatnonzero(kinds >= ITEMS).tolist()}
    return JsonColumn(kinds, integers, floats, texts, others)


def _fill_numbers(
    kinds: Array, integers: Array, floats: Array, rows: Positions, values: list[Any]
) -> None:
    """Integers beyond 64 bits become floats, as in Milvus."""
    floats[rows] = np.array(values, np.float64)
    if kinds[rows[0]] == FLOAT:
        return
    try:
        integers[rows] = np.array(values, np.int64)
    except OverflowError:
        fits = np.array([-(2**63) <= v < 2**63 for v in values])
        integers[rows[fits]] = [v for v in values if -(2**63) <= v < 2**63]
        kinds[rows[~fits]] = FLOAT


def _texts(n: int, rows: Positions, values: list[str]) -> Column:
    """A text column of n rows, empty but for some."""
    texts = Column.of_texts(_encodable(values))
    assert texts.offsets is not None
    lengths = np.zeros(n, OFFSETS)
    lengths[rows] = np.diff(texts.offsets)
    offsets = np.zeros(n + 1, OFFSETS)
    np.cumsum(lengths, out=offsets[1:])
    return Column(texts.values, offsets)


def _encodable(values: list[str]) -> list[str]:
    r"""Half characters, which JSON can write as \ud800, become question marks."""
    try:
        for value in values:
            value.encode()
    except UnicodeEncodeError:
        return [value.encode("utf-8", "replace").decode() for value in values]
    return values


def merged(n: int, parts: Sequence[Part]) -> JsonColumn:
    """One column of n rows; of a row in two parts the later counts, one in none is absent."""
    kinds, integers, floats = np.zeros(n, np.uint8), np.zeros(n, np.int64), np.zeros(n)
    sources = np.full(n, -1, np.int64)
    others: dict[int, Any] = {}
    texts = Column.concatenate([EMPTY, *(part.texts for _, part in parts)])
    before = 0
    for rows, part in parts:
        kinds[rows], integers[rows], floats[rows] = part.kinds, part.integers, part.floats
        sources[rows] = np.arange(before, before + len(rows))
        before += len(rows)
        if part.others:
            others.update((int(rows[i]), value) for i, value in part.others.items())
    assert texts.offsets is not None
    there = kinds == TEXT
    starts = np.where(there, texts.offsets[sources], 0)
    stops = np.where(there, texts.offsets[sources + 1], 0)
    return JsonColumn(kinds, integers, floats, gathered(texts.values, starts, stops), others)


def gathered(data: Array, starts: Array, stops: Array) -> Column:
    """Pieces of some bytes as a text column."""
    lengths = stops - starts
    offsets = np.zeros(len(lengths) + 1, OFFSETS)
    np.cumsum(lengths, out=offsets[1:])
    source = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return Column(data[source], offsets)
