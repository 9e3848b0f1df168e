"""One column of user data with its nulls -> `Column`.

Null is None; in a masked array what is masked; in a series of pandas what it says is missing. A
null becomes the field's default where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from walvec.array_cells import arrays
from walvec.cells import CONVERTERS, Place, array_column, shown
from walvec.wal.errors import DataNotMatchException
from walvec.wal.rows import Array, Column, filled_column
from walvec.wal.schema import INTEGERS, DataType, Field

Convert = Callable[[Any, Place], Column]
BY_TYPE: dict[DataType, Convert] = {**CONVERTERS, DataType.ARRAY: arrays}
NONE = type(None)


def is_optional(field: Field) -> bool:
    """Whether a row may leave the field out."""
    return field.nullable or field.default is not None


def list_column(values: Sequence[Any], place: Place) -> Column:
    """A column of Python values, with None for null. Raises DataNotMatchException."""
    convert = BY_TYPE[place.field.type]
    if not is_optional(place.field) or NONE not in set(map(type, values)):
        return convert(values, place)
    valid = np.array([v is not None for v in values], np.bool_)
    present = [v for v in values if v is not None]
    return _with_nulls(present, valid, place, convert)


def column_of(values: Any, place: Place) -> Column:
    """A column of a list, tuple, array, masked array or series. Copies; the result aliases
    nothing given.

    Raises DataNotMatchException.
    """
    nulls = _nulls(values, place)
    if nulls is None:
        return _plain_column(_as_array(values), place)
    array = np.asarray(values) if not isinstance(values, np.ma.MaskedArray) else values.data
    if not is_optional(place.field):
        raise place.error(int(np.flatnonzero(nulls)[0]), "a value", None)
    return _with_nulls(_whole_numbers(array[~nulls], place.field), ~nulls, place, _plain_column)


def _with_nulls(present: Any, valid: Array, place: Place, convert: Convert) -> Column:
    """The column of which the values `present` are the rows that are `valid`, (n,) bool."""
    rows = np.flatnonzero(valid).tolist()
    column = convert(present, replace(place, rows=rows))
    null = filled_column(place.field, 1)
    where = np.where(valid, np.cumsum(valid) - 1, len(rows))
    return Column.concatenate([column, null]).take(where)


def _nulls(values: Any, place: Place) -> Array | None:
    """Where a masked array or a series has nulls, (n,) bool; None where nothing is null."""
    if isinstance(values, np.ma.MaskedArray):
        mask = np.broadcast_to(values.mask, values.shape)
        if mask.ndim > 1:
            nulls = np.asarray(mask.all(axis=tuple(range(1, mask.ndim))), np.bool_)
            torn = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1) & ~nulls)
            if len(torn):
                raise place.error(int(torn[0]), "a row masked as a whole", values[torn[0]])
            mask = nulls
    elif hasattr(values, "isna"):
        mask = np.asarray(values.isna(), np.bool_)
    else:
        return None
    return mask if bool(mask.any()) else None


def _as_array(values: Any) -> Any:
    if isinstance(values, np.ma.MaskedArray):
        return values.data
    return np.asarray(values) if hasattr(values, "to_numpy") else values


def _whole_numbers(array: Array, field: Field) -> Array:
    """A series of integers with nulls holds floats; whole ones are integers again."""
    if field.type in INTEGERS and array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = array.astype(np.int64)
        if np.array_equal(whole, array):
            return whole
    return array


def _plain_column(values: Any, place: Place) -> Column:
    """A column of a list, tuple or array whose nulls, if any, are None."""
    field = place.field
    if isinstance(values, np.ndarray):
        if not (field.is_vector or field.is_array):
            column = array_column(values, place)
            if column is not None:
                return column
        elif values.ndim == 2:
            return BY_TYPE[field.type](values, place)
        values = values.tolist() if values.ndim == 1 else list(values)
    return list_column(values, place)


def given_column(column: Any, field: Field, collection: str) -> Any:
    """The column, if it is a list, tuple, array or series. Raises DataNotMatchException."""
    if isinstance(column, list | tuple) or (isinstance(column, np.ndarray) and column.ndim):
        return column
    if hasattr(column, "to_numpy"):
        return column
    raise DataNotMatchException(
        message=f"collection {collection}: field {field.name}, row 0: expected a column (list, "
        f"tuple, array or series), got {shown(column)}"
    )
