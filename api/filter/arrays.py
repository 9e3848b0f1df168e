"""Conditions on ARRAY fields: one element, the length, which values are among the elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from walvec.filter import texts as on_texts
from walvec.filter.numbers import Numbers, wanted_values
from walvec.filter.reader import Mask, Reader, Texts
from walvec.wal.rows import Array, Column
from walvec.wal.schema import DataType, Field


def element_places(reader: Reader, field: Field, index: int) -> tuple[Column, Array, Mask]:
    """All elements of the field, where in them element `index` of each row is, and which rows
    have it. Where there is none, the place is 0."""
    elements, starts, stops, valid = reader.bounds(field.id)
    there = starts + index < stops
    if valid is not None:
        there &= valid
    return elements, np.where(there, starts + index, 0), there


def element_values(reader: Reader, field: Field, index: int) -> tuple[Array, Mask]:
    """Element `index` of each row of an ARRAY of numbers or bools, and which rows have it."""
    elements, places, there = element_places(reader, field, index)
    if not len(elements):
        return np.zeros(reader.n, elements.values.dtype), there
    return elements.values[places], there


def element_texts(reader: Reader, field: Field, index: int) -> tuple[Texts, Mask]:
    """Element `index` of each row of an ARRAY of VARCHAR, and which rows have it."""
    elements, places, there = element_places(reader, field, index)
    if not len(elements):
        nothing = np.zeros(reader.n, np.int64)
        return Texts(elements.values, nothing, nothing), there
    return Texts.of(elements).at(places), there


def length(reader: Reader, field: Field) -> Numbers:
    """How many elements each row has."""
    _, starts, stops, valid = reader.bounds(field.id)
    return Numbers(stops - starts, valid)


def contains_any(field: Field, values: Sequence[Any]) -> Callable[[Reader], Mask]:
    """Rows that have one of the values as an element."""
    wanted = list(values)

    def test(reader: Reader) -> Mask:
        column = reader.column(field.id)
        return _any_of(_elements_in(column.elements(), field.element_type, wanted), column)

    return test


def contains_all(field: Field, values: Sequence[Any]) -> Callable[[Reader], Mask]:
    """Rows that have all of the values as elements."""
    wanted = list(dict.fromkeys(values))

    def test(reader: Reader) -> Mask:
        column = reader.column(field.id)
        assert column.offsets is not None
        rows = np.flatnonzero(np.diff(column.offsets) >= len(wanted))
        for value in wanted:
            if len(rows) < len(column):
                column = reader.column(field.id).take(rows)
            found = _any_of(_elements_in(column.elements(), field.element_type, [value]), column)
            rows = rows[found]
        mask = np.zeros(reader.n, np.bool_)
        mask[rows] = True
        return mask

    return test


def _elements_in(elements: Column, kind: DataType, values: list[Any]) -> Mask:
    """Which elements are one of the values."""
    if kind is DataType.VARCHAR:
        return on_texts.is_in(Texts.of(elements), on_texts.Wanted(v.encode() for v in values))
    dtype = elements.values.dtype
    wanted = np.array(values, dtype) if kind is DataType.BOOL else wanted_values(values, dtype)
    found: Mask = np.isin(elements.values, wanted)
    return found


def _any_of(hits: Mask, column: Column) -> Mask:
    """Rows with a hit among their elements."""
    assert column.offsets is not None
    before = np.zeros(len(hits) + 1, np.int64)
    np.cumsum(hits, out=before[1:])
    counts = before[column.offsets]
    found: Mask = counts[1:] > counts[:-1]
    return found


def equals(field: Field, values: Sequence[Any]) -> Callable[[Reader], Mask]:
    """Rows whose elements are the values, in order."""

    def test(reader: Reader) -> Mask:
        _, starts, stops, _ = reader.bounds(field.id)
        found: Mask = stops - starts == len(values)
        for index, value in enumerate(values):
            if not found.any():
                break
            elements, places, there = element_places(reader, field, index)
            rows = np.flatnonzero(found & there)
            found[rows] = _elements_in(elements.take(places[rows]), field.element_type, [value])
        return found

    return test
