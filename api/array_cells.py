"""ARRAY columns: rows of any number of elements, converted all at once as one column of elements.

A row is a list, a tuple or a 1-D numpy array; all rows may be one 2-D array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from walvec.cells import CONVERTERS, Place, array_column, offsets_of
from walvec.wal.errors import DataNotMatchException
from walvec.wal.rows import OFFSETS, Array, Column
from walvec.wal.schema import DataType, Field

SEQUENCES = frozenset({list, tuple})


@dataclass(frozen=True)
class ElementPlace(Place):
    """Where the elements of all rows come from: `array` is the place of the rows."""

    array: Place | None = None
    offsets: Array | None = None

    def error(self, row: int, wanted: str, value: Any) -> DataNotMatchException:
        """The exception that names collection, field, row and place in the row."""
        assert self.array is not None
        assert self.offsets is not None
        number = int(np.searchsorted(self.offsets, row, side="right")) - 1
        element = row - int(self.offsets[number])
        return self.array.error(number, f"an ARRAY whose element {element} is {wanted}", value)


@lru_cache(maxsize=256)
def element_field(field: Field) -> Field:
    """The elements of an ARRAY as a field of their own."""
    return replace(field, type=field.element_type, element_type=DataType.NONE, nullable=False)


def arrays(values: Any, place: Place) -> Column:
    """ARRAY."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        offsets = np.arange(len(values) + 1, dtype=OFFSETS) * values.shape[1]
        flat: Any = values.reshape(-1)
    else:
        lengths, flat = _flat(values, place)
        offsets = offsets_of(lengths)
    _check_capacity(offsets, values, place)
    field = element_field(place.field)
    within = ElementPlace(place.collection, field, array=place, offsets=offsets)
    elements = _elements(flat, within)
    if elements.offsets is None:
        return Column(elements.values, offsets)
    return Column(elements.values, offsets, None, elements.offsets)


def _flat(values: Sequence[Any], place: Place) -> tuple[list[int], Any]:
    """The lengths of the rows, and all elements one after the other."""
    kinds = set(map(type, values))
    if kinds == {np.ndarray} and all(v.ndim == 1 for v in values):
        filled = [v for v in values if len(v)]
        if len({v.dtype for v in filled}) == 1:  # others would be made alike, numbers texts
            return list(map(len, values)), np.concatenate(filled)
    if not kinds <= SEQUENCES:
        values = [_sequence(value, row, place) for row, value in enumerate(values)]
    return list(map(len, values)), list(chain.from_iterable(values))


def _sequence(value: Any, row: int, place: Place) -> list[Any] | tuple[Any, ...]:
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 1:
        found: list[Any] = value.tolist()
        return found
    raise place.error(row, f"an ARRAY of {place.field.element_type.name} (a list)", value)


def _elements(flat: Any, place: ElementPlace) -> Column:
    if isinstance(flat, np.ndarray):
        column = array_column(flat, place)
        if column is not None:
            return column
        flat = flat.tolist()
    return CONVERTERS[place.field.type](flat, place)


def _check_capacity(offsets: Array, values: Any, place: Place) -> None:
    limit = place.field.max_capacity
    lengths = np.diff(offsets)
    if len(lengths) and int(lengths.max()) > limit:
        row = int(np.flatnonzero(lengths > limit)[0])
        wanted = f"an ARRAY of at most {limit} elements (max_capacity), not {lengths[row]}"
        raise place.error(row, wanted, values[row])
