"""One column of user data -> `Column`: types, ranges and lengths checked, one rule per type.

What each type takes (numpy scalars as their Python kin; never bool for a number):

    INT8..INT64     integers in range
    FLOAT, DOUBLE   numbers that are finite in the column's type, as in Milvus
    BOOL            True, False
    VARCHAR         strings of at most max_length bytes of UTF-8
    JSON            see `walvec.json_text`
    TIMESTAMPTZ     see `walvec.timestamps`
    vectors         see `walvec.vectors`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import numpy as np

from walvec.json_text import NotJson, all_json_bytes, json_bytes
from walvec.timestamps import UTC, NotATime, all_microseconds, microseconds_of
from walvec.vectors import stacked
from walvec.wal import shown as short
from walvec.wal.errors import DataNotMatchException
from walvec.wal.rows import DTYPES, OFFSETS, Array, Column
from walvec.wal.schema import FLOATS, INTEGERS, VECTORS, DataType, Field

INTEGER_KINDS = frozenset({int})
FLOAT_KINDS = frozenset({int, float})
BOOL_KINDS = frozenset({bool, np.bool_})
TEXT_KINDS = frozenset({str})
INT64 = np.dtype("<i8")
LIMITS = {t: (int(np.iinfo(DTYPES[t]).min), int(np.iinfo(DTYPES[t]).max)) for t in INTEGERS}


@dataclass(frozen=True)
class Place:
    """Where values come from, for messages. `rows`: the rows that they are, None for 0, 1, ..."""

    collection: str
    field: Field
    zone: tzinfo = UTC
    rows: Sequence[int] | None = None

    def error(self, row: int, wanted: str, value: Any) -> DataNotMatchException:
        """The exception that names collection, field, row and value."""
        number = row if self.rows is None else self.rows[row]
        return DataNotMatchException(
            message=f"collection {self.collection}: field {self.field.name}, row {number}: "
            f"expected {wanted}, got {shown(value)}"
        )


def shown(value: Any) -> str:
    """The value's repr, cut where it is long, with its type."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    return f"{short.shown(value)} ({type(value).__name__})"


def integers(values: Sequence[Any], place: Place) -> Column:
    """INT8 to INT64."""
    kind = place.field.type
    low, high = LIMITS[kind]
    kinds = set(map(type, values))
    try:
        if not kinds <= INTEGER_KINDS:
            if not all(issubclass(k, int | np.integer) and k is not bool for k in kinds):
                raise _first(values, _is_not_integer, place, "an integer")
            values = list(map(int, values))
        array = np.array(values, INT64)
    except OverflowError:
        array = None
    if array is None or (kind is not DataType.INT64 and _outside(array, low, high)):
        wanted = f"an integer from {low} to {high} ({kind.name})"
        raise _first(values, lambda v: not low <= v <= high, place, wanted)
    return Column(array if kind is DataType.INT64 else array.astype(DTYPES[kind]))


def _outside(array: Array, low: int, high: int) -> bool:
    return len(array) > 0 and bool(array.min() < low or array.max() > high)


def _is_not_integer(value: Any) -> bool:
    return isinstance(value, bool) or not isinstance(value, int | np.integer)


def floats(values: Sequence[Any], place: Place) -> Column:
    """FLOAT and DOUBLE."""
    kinds = set(map(type, values))
    if not kinds <= FLOAT_KINDS and not all(
        issubclass(k, int | float | np.integer | np.floating) and k is not bool for k in kinds
    ):
        raise _first(values, _is_not_number, place, "a number")
    dtype = DTYPES[place.field.type]
    with np.errstate(over="ignore"):
        try:
            array = np.array(values, np.float64).astype(dtype, copy=False)
        except OverflowError:
            array = None
        if array is None or not bool(np.isfinite(array).all()):
            wanted = f"a finite number within the range of {place.field.type.name}"
            raise _first(values, lambda v: not _is_finite(v, dtype), place, wanted)
    return Column(array)


def _is_not_number(value: Any) -> bool:
    number = isinstance(value, int | float | np.integer | np.floating)
    return isinstance(value, bool) or not number


def _is_finite(value: Any, dtype: np.dtype[Any]) -> bool:
    try:
        return math.isfinite(np.float64(value).astype(dtype))
    except OverflowError:
        return False


def bools(values: Sequence[Any], place: Place) -> Column:
    """BOOL."""
    if not set(map(type, values)) <= BOOL_KINDS:
        raise _first(values, lambda v: type(v) not in BOOL_KINDS, place, "True or False")
    return Column(np.array(values, np.bool_))


def texts(values: Sequence[Any], place: Place) -> Column:
    """VARCHAR."""
    if not set(map(type, values)) <= TEXT_KINDS:
        wrong = [i for i, v in enumerate(values) if not isinstance(v, str)]
        if wrong:
            raise place.error(wrong[0], "a string", values[wrong[0]])
    joined = "".join(values)
    try:
        data = joined.encode()
    except UnicodeEncodeError:
        raise _first(values, _has_surrogate, place, "text that is valid UTF-8") from None
    sizes = list(map(len, values))
    if len(data) != len(joined):
        sizes = [len(v.encode()) for v in values]
    limit = place.field.max_length
    if sizes and max(sizes) > limit:
        row = next(i for i, size in enumerate(sizes) if size > limit)
        wanted = f"at most {limit} bytes of UTF-8 (max_length), not {sizes[row]}"
        raise place.error(row, wanted, values[row])
    return Column(np.frombuffer(data, np.uint8), offsets_of(sizes))


def _has_surrogate(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def offsets_of(sizes: Sequence[int]) -> Array:
    """Where rows of these sizes begin, and the end, (n + 1,)."""
    offsets = np.zeros(len(sizes) + 1, OFFSETS)
    np.cumsum(np.array(sizes, OFFSETS), out=offsets[1:])
    return offsets


def jsons(values: Sequence[Any], place: Place) -> Column:
    """JSON, and the dynamic field, whose values are dictionaries."""
    parse = not place.field.is_dynamic
    encoded = all_json_bytes(values, parse_text=parse)
    if encoded is None:
        encoded = []
        for row, value in enumerate(values):
            try:
                encoded.append(json_bytes(value, parse_text=parse))
            except NotJson as error:
                raise place.error(row, str(error), value) from None
    data = np.frombuffer(b"".join(encoded), np.uint8)
    return Column(data, offsets_of(list(map(len, encoded))))


def timestamps(values: Sequence[Any], place: Place) -> Column:
    """TIMESTAMPTZ."""
    micros = all_microseconds(values, place.zone)
    if micros is None:
        micros = np.empty(len(values), INT64)
        for row, value in enumerate(values):
            try:
                micros[row] = microseconds_of(value, place.zone)
            except NotATime as error:
                raise place.error(row, str(error), value) from None
    return Column(micros)


def vectors(values: Sequence[Any], place: Place) -> Column:
    """Vectors of all types."""
    return Column(stacked(values, place.field, place.error))


def _first(
    values: Sequence[Any], wrong: Callable[[Any], bool], place: Place, wanted: str
) -> DataNotMatchException:
    """The exception for the first wrong value."""
    row = next(i for i, v in enumerate(values) if wrong(v))
    return place.error(row, wanted, values[row])


CONVERTERS: dict[DataType, Callable[[Sequence[Any], Place], Column]] = {
    **dict.fromkeys(INTEGERS, integers),
    **dict.fromkeys(FLOATS, floats),
    DataType.BOOL: bools,
    DataType.VARCHAR: texts,
    DataType.JSON: jsons,
    DataType.TIMESTAMPTZ: timestamps,
    **dict.fromkeys(VECTORS, vectors),
}
"""Of all types but ARRAY."""


def array_column(values: Array, place: Place) -> Column | None:
    """A 1-D numeric array that fits as it is, copied; None where each value has to be looked at."""
    kind, dtype = place.field.type, values.dtype
    if values.ndim != 1:
        return None
    if kind is DataType.BOOL and dtype.kind == "b":
        return Column(values.astype(np.bool_))
    if kind in INTEGERS and dtype.kind in "iu":
        low, high = LIMITS[kind]
        if not _outside(values, low, high):
            return Column(values.astype(DTYPES[kind]))
    if kind in FLOATS and dtype.kind in "iuf":
        with np.errstate(over="ignore"):
            array = values.astype(DTYPES[kind])
        if bool(np.isfinite(array).all()):
            return Column(array)
    return None
