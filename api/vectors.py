"""Vectors as users give them -> (n, width) as a column keeps them: finite, in range, C order.

    FLOAT_VECTOR     numbers
    FLOAT16_VECTOR   numbers, rounded; or bytes of 2 a component, little endian
    BFLOAT16_VECTOR  numbers, rounded; or bytes of 2 a component, little endian
    INT8_VECTOR      integers from -128 to 127; or bytes
    BINARY_VECTOR    bytes, dim / 8 of them, the first bit highest as numpy.packbits makes them;
                     or integers from 0 to 255, as many

Numbers are a list or tuple, a 1-D numpy array (float16, float32, float64, bfloat16 of ml_dtypes,
integers), or anything that numpy makes one of (`__array__`). Bytes may stand alone in a list,
as queries return them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from walvec.wal.rows import DTYPES, Array
from walvec.wal.schema import DataType, Field
from walvec.wal.shown import shown

FLOAT32 = np.dtype("<f4")
NUMBERS = "fiu"
"""Kinds of numpy types that are taken as components of vectors."""
FLOAT_NAMES = {
    DataType.FLOAT_VECTOR: "float32",
    DataType.FLOAT16_VECTOR: "float16",
    DataType.BFLOAT16_VECTOR: "bfloat16",
}
BYTES = (bytes, bytearray, memoryview)
BFLOAT16 = DataType.BFLOAT16_VECTOR
BFLOAT16_INFINITE = np.uint16(0x7F80)
"""The exponent of infinities and NaN."""

WITH_GIL = 500
"""Below so many items numpy's element-wise functions keep the GIL. Letting go of it for a
microsecond costs two searching threads more than it gives them."""

Refuse = Callable[[int, str, Any], Exception]
"""(row, what was expected, value) -> the exception to raise."""


class _Wanted(NamedTuple):
    """What a row must be. `size` items, called `items`; `whole` for what has no fractions."""

    field: Field
    refuse: Refuse

    @property
    def size(self) -> int:
        return self.field.width

    @property
    def is_bits(self) -> bool:
        return self.field.type is DataType.BINARY_VECTOR

    def vector(self, row: int, value: Any) -> Exception:
        """The exception for something that is no vector."""
        if self.is_bits:
            return self.refuse(row, f"a vector of {self.size} bytes, {self.field.dim} bits", value)
        return self.refuse(row, f"a vector of {self.size} numbers", value)

    def length(self, row: int, length: int, value: Any) -> Exception:
        """The exception for a vector of another length."""
        items = f"bytes, {self.field.dim} bits," if self.is_bits else "components,"
        return self.refuse(row, f"a vector of {self.size} {items} not {length}", value)


def all_finite(array: npt.NDArray[Any]) -> bool:
    """Whether no component of floats is NaN or infinite."""
    flat = array.reshape(-1)
    if len(flat) < WITH_GIL or array.dtype == np.float16:
        return bool(np.isfinite(flat).all())
    # One pass of BLAS, no temporary. A sum that overflows is looked at again.
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.dot(flat, flat)
    return math.isfinite(total) or bool(np.isfinite(flat).all())


def stacked(values: Any, field: Field, refuse: Refuse) -> Array:
    """The vectors one below the other, copied once. Raises what `refuse` makes."""
    wanted = _Wanted(field, refuse)
    dtype = DTYPES[field.type]
    if not len(values):
        return np.empty((0, field.width), dtype)
    if isinstance(values, np.ndarray) and values.dtype.kind == "O":
        values = list(values)
    if field.type is not DataType.FLOAT_VECTOR and not isinstance(values, np.ndarray):
        kinds = set(map(type, values))
        if list in kinds:
            values = [_unwrapped(v) for v in values]
            kinds = set(map(type, values))
        if kinds <= set(BYTES):
            return _of_bytes(values, wanted)
        if not kinds.isdisjoint(BYTES):
            values = [_numbers_of_bytes(v, row, wanted) for row, v in enumerate(values)]
    if field.type is BFLOAT16:
        _check_no_halves(values, wanted)
    array = _numbers(values, wanted)
    if dtype.kind in "iu" and field.type is not BFLOAT16:
        return _whole(array, values, wanted)
    # Copies an array of a user, not one just made here.
    with np.errstate(over="ignore"):
        narrow = FLOAT32 if field.type is BFLOAT16 else dtype
        if array.dtype != narrow or array is values:
            array = np.array(array, narrow, order="C")
    array = array.reshape(-1, field.width)
    _check_finite(array, values, wanted)
    if field.type is not BFLOAT16:
        return array
    rounded = _rounded(array)
    _check_bfloat16(rounded, values, wanted)
    return rounded


def _unwrapped(value: Any) -> Any:
    return (
        value[0] if type(value) is list and len(value) == 1 and type(value[0]) is bytes else value
    )


def _of_bytes(values: Sequence[Any], wanted: _Wanted) -> Array:
    """Rows that are all bytes."""
    dtype, size = DTYPES[wanted.field.type], wanted.field.row_bytes
    for row, value in enumerate(values):
        if len(value) != size:
            raise wanted.refuse(row, f"{size} bytes, not {len(value)}", value)
    array = np.frombuffer(bytearray().join(values), dtype).reshape(-1, wanted.size)
    if dtype == np.float16:
        _check_finite(array, array, wanted)
    elif dtype == np.uint16:
        _check_bfloat16(array, array, wanted)
    return array


def _numbers_of_bytes(value: Any, row: int, wanted: _Wanted) -> Any:
    """Numbers, where the value is bytes; else the value itself."""
    if not isinstance(value, BYTES):
        return value
    dtype, size = DTYPES[wanted.field.type], wanted.field.row_bytes
    if len(value) != size:
        raise wanted.refuse(row, f"{size} bytes, not {len(value)}", value)
    array = np.frombuffer(value, dtype)
    if wanted.field.type is BFLOAT16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


def _numbers(values: Any, wanted: _Wanted) -> Array:
    """Rows of numbers as (n, size) or (n * size,) of some type of numbers; may be `values`."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        array = _known(values)
        if array.dtype.kind in NUMBERS:
            if array.shape[1] != wanted.size:
                raise wanted.length(0, array.shape[1], values[0:1])
            return array
    if set(map(type, values)) == {np.ndarray}:
        joined = _joined(values, wanted.size)
        if joined is not None:
            return joined
    return np.concatenate([_one_vector(v, i, wanted) for i, v in enumerate(values)])


def _joined(values: Sequence[npt.NDArray[Any]], size: int) -> npt.NDArray[Any] | None:
    """All arrays as one, if each is a vector of `size` numbers of one type; else None."""
    try:
        if set(map(len, values)) != {size}:
            return None
        # Arrays of one rank alone can be joined, so that rank 1 of the result means vectors.
        # np.stack takes six times as long.
        joined = _known(np.concatenate(values, dtype=values[0].dtype, casting="no"))
    except (TypeError, ValueError):
        return None
    return joined if joined.ndim == 1 and joined.dtype.kind in NUMBERS else None


def _known(array: Array) -> Array:
    """numpy has no bfloat16 of its own; that of ml_dtypes becomes float32."""
    if array.dtype.kind in NUMBERS or array.dtype.name != "bfloat16":
        return array
    return array.astype(FLOAT32)


def _one_vector(value: Any, row: int, wanted: _Wanted) -> npt.NDArray[Any]:
    """One vector as a 1-D array of some type of numbers."""
    if isinstance(value, list | tuple):
        try:
            array = np.array(value)
        except (ValueError, OverflowError):
            array = np.empty(0, object)
        if array.dtype.kind == "O":
            array = _from_objects(value, array)
    elif isinstance(value, np.ndarray) or (
        hasattr(value, "__array__") and not isinstance(value, np.generic)
    ):
        array = _known(np.asarray(value))
    else:
        raise wanted.vector(row, value)
    if array.ndim != 1 or (array.dtype.kind not in NUMBERS and len(array)):
        raise wanted.vector(row, value)
    if len(array) != wanted.size:
        raise wanted.length(row, len(array), value)
    return array


def _from_objects(value: Sequence[Any], array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Integers beyond 64 bits are numbers too; anything else stays as it is, to be refused."""
    if array.ndim == 1 and all(type(v) in (int, float) for v in value):
        try:
            return np.array([float(v) for v in value])
        except OverflowError:
            return np.array([math.inf] * len(value))
    return np.empty((1, 1), object)


def _whole(array: Array, values: Any, wanted: _Wanted) -> Array:
    """Integers of one byte, signed or not."""
    dtype = DTYPES[wanted.field.type]
    limits = np.iinfo(dtype)
    expected = f"integers from {limits.min} to {limits.max}"
    array = array.reshape(-1, wanted.size)
    if array.dtype.kind == "f":
        # Of joined rows one may have made floats of all.
        for row, value in enumerate(values):
            if np.asarray(value).dtype.kind == "f":
                raise wanted.refuse(row, expected, value)
    wrong = (array < limits.min) | (array > limits.max)
    if array.dtype != dtype and bool(wrong.any()):
        _refuse_component(wrong, expected, values, wanted)
    return np.array(array, dtype, order="C")


def _rounded(array: Array) -> Array:
    """float32 -> the upper halves, rounded to the nearest, to the even one of two."""
    words = array.view(np.uint32)
    halves: Array = ((words + 0x7FFF + ((words >> 16) & 1)) >> 16).astype(DTYPES[BFLOAT16])
    return halves


def _check_finite(array: Array, values: Any, wanted: _Wanted) -> None:
    if not all_finite(array):
        expected = f"finite numbers within the range of {FLOAT_NAMES[wanted.field.type]}"
        _refuse_component(~np.isfinite(array), expected, values, wanted)


def _check_no_halves(values: Any, wanted: _Wanted) -> None:
    """Arrays of the type in which halves of float32 are kept: the values would be large numbers."""
    for row, value in enumerate(values):
        if getattr(value, "dtype", None) == np.uint16:
            raise wanted.refuse(row, "numbers; the upper halves of float32 come as bytes", value)


def _check_bfloat16(halves: Array, values: Any, wanted: _Wanted) -> None:
    wrong = (halves & BFLOAT16_INFINITE) == BFLOAT16_INFINITE
    if bool(wrong.any()):
        expected = f"finite numbers within the range of {FLOAT_NAMES[BFLOAT16]}"
        _refuse_component(wrong, expected, values, wanted)


def _refuse_component(wrong: Array, expected: str, values: Any, wanted: _Wanted) -> None:
    """Raise for the first component of the first row that is `wrong`, (n, size)."""
    row = int(np.flatnonzero(wrong.any(axis=1))[0])
    place = int(np.flatnonzero(wrong[row])[0])
    found = np.asarray(values[row]).tolist()[place]
    raise wanted.refuse(row, f"{expected}, component {place} is {shown(found)}", values[row])
