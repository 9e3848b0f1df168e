"""Conditions on numbers. Constants are compared exactly, with integers of any size; an integer
field and a float field are compared as 64-bit floats."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from walvec.filter.reader import Evaluate, Mask, Numbers, Reader
from walvec.wal.rows import DTYPES, Array
from walvec.wal.schema import DataType

Number = int | float
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
FEW = 8
"""So many values of a list are compared one by one, which is faster than a set lookup."""


def column_numbers(field_id: int) -> Numbers:
    """A column of numbers or bools, as it is."""
    return lambda reader: reader.column(field_id).values


def integer_bounds(kind: DataType) -> tuple[int, int]:
    """The least and the greatest integer of a type."""
    info = np.iinfo(DTYPES[kind])
    return int(info.min), int(info.max)


def compare_integers(numbers: Numbers, op: str, value: Number, bounds: tuple[int, int]) -> Evaluate:
    """`numbers op value` for integers that lie within `bounds`."""
    if isinstance(value, float):
        # x < 1.5 is x < 2, x <= 1.5 is x <= 1; 1.5 itself is no integer.
        if op in {"==", "!="} and not value.is_integer():
            return lambda reader: reader.constant(op == "!=")
        value = math.ceil(value) if op in {"<", ">="} else math.floor(value)
    low, high = bounds
    if not low <= value <= high:
        return _outside(op, value > high)
    compare = COMPARE[op]

    def evaluate(reader: Reader) -> Mask:
        array = numbers(reader)
        found: Mask = compare(array, array.dtype.type(value))
        return found

    return evaluate


def _outside(op: str, above: bool) -> Evaluate:
    """All integers against a value above, or below, all of them."""
    answer = op == "!=" or op in ({"<", "<="} if above else {">", ">="})
    return lambda reader: reader.constant(answer)


def compare_floats(numbers: Numbers, op: str, value: Number) -> Evaluate:
    """`numbers op value`, the value rounded to the type of the numbers, as in Milvus."""
    compare = COMPARE[op]

    def evaluate(reader: Reader) -> Mask:
        array = numbers(reader)
        found: Mask = compare(array, _as_float(value, array.dtype))
        return found

    return evaluate


def _as_float(value: Number, dtype: Any) -> Any:
    try:
        with np.errstate(over="ignore"):
            return np.array(value, np.float64).astype(dtype)[()]
    except OverflowError:
        return dtype.type(math.inf if value > 0 else -math.inf)


def compare_arrays(left: Numbers, op: str, right: Numbers) -> Evaluate:
    """`left op right` for two operands that differ from row to row."""
    compare = COMPARE[op]

    def evaluate(reader: Reader) -> Mask:
        found: Mask = compare(left(reader), right(reader))
        return found

    return evaluate


def integers_in(numbers: Numbers, values: Sequence[Number], bounds: tuple[int, int]) -> Evaluate:
    """Whether each integer is one of the values."""
    low, high = bounds
    whole = {int(v) for v in values if isinstance(v, int) or v.is_integer()}
    wanted = np.array(sorted(v for v in whole if low <= v <= high), np.int64)
    return _isin(numbers, wanted)


def floats_in(numbers: Numbers, values: Sequence[Number]) -> Evaluate:
    """Whether each float is one of the values, rounded to the type of the numbers."""

    def evaluate(reader: Reader) -> Mask:
        dtype = numbers(reader).dtype
        wanted = np.array([_as_float(v, dtype) for v in values], dtype)
        return _isin(numbers, wanted)(reader)

    return evaluate


def _isin(numbers: Numbers, wanted: Array) -> Evaluate:
    def evaluate(reader: Reader) -> Mask:
        array = numbers(reader)
        if len(wanted) > FEW:
            return np.isin(array, wanted)
        mask = reader.constant(False)
        for value in wanted.astype(array.dtype, copy=False):
            mask |= array == value
        return mask

    return evaluate


def arithmetic(op: str, left: Numbers, right: Numbers, whole: bool) -> Numbers:
    """`left op right`, in 64 bits. Whole numbers divide as in C, toward zero, and wrap around.

    A division of a row by zero is NaN, which matches nothing but `!=`; for whole numbers, which
    have no NaN, the result is a float where a divisor is zero.
    """
    dtype = np.int64 if whole else np.float64

    def evaluate(reader: Reader) -> Array:
        a = np.asarray(left(reader), dtype)
        b = np.asarray(right(reader), dtype)
        with np.errstate(all="ignore"):
            result: Array = _OPERATIONS[op](a, b)
            return result

    return evaluate


def _divide(a: Array, b: Array) -> Array:
    result: Array
    if a.dtype.kind == "f":
        result = a / b
    elif not b.all():
        result = np.where(b == 0, np.nan, np.trunc(a / b))
    else:
        quotient = a // b
        result = quotient + ((a % b != 0) & ((a < 0) != (b < 0)))
    return result


def _remainder(a: Array, b: Array) -> Array:
    if a.dtype.kind == "i" and not b.all():
        a, b = a.astype(np.float64), b.astype(np.float64)
    result: Array = np.fmod(a, b)
    return result


def _power(a: Array, b: Array) -> Array:
    result: Array = np.power(a.astype(np.float64), b.astype(np.float64))
    return result


_OPERATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _remainder,
    "**": _power,
}
