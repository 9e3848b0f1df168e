"""Conditions on numbers, and arithmetic.

Constants are compared exactly, with integers of any size; with a float they are rounded to its
type first, as in Milvus. An integer and a float that both differ from row to row are compared as
64-bit floats.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from walvec.filter.reader import Mask
from walvec.wal.rows import Array

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


class Numbers(NamedTuple):
    """A number for each row (or one for all of them).

    known   which rows have one, None for all
    whole   of JSON values: which rows have an integer, given exactly in `integers`. Of others
            None, as the type of `values` tells.
    """

    values: Array
    known: Mask | None = None
    whole: Mask | None = None
    integers: Array | None = None


def compare(numbers: Numbers, op: str, value: float) -> Mask:
    """`numbers op value`."""
    if numbers.whole is None:
        return _compare(numbers.values, op, value)
    found = _compare(numbers.values, op, value)
    if numbers.whole.any():
        assert numbers.integers is not None
        found = np.where(numbers.whole, _compare(numbers.integers, op, value), found)
    return found


def _compare(array: Array, op: str, value: float) -> Mask:
    if array.dtype.kind == "f":
        answer: Mask = COMPARE[op](array, as_float(value, array.dtype))
        return answer
    exact = whole_bound(op, value)
    if exact is None:
        return np.full(array.shape, op == "!=", np.bool_)
    info = np.iinfo(array.dtype)
    if not info.min <= exact <= info.max:
        above = exact > 0
        everywhere = op == "!=" or op in ({"<", "<="} if above else {">", ">="})
        return np.full(array.shape, everywhere, np.bool_)
    found: Mask = COMPARE[op](array, array.dtype.type(exact))
    return found


def whole_bound(op: str, value: float) -> int | None:
    """The integer that gives the same comparison for integers; None: no integer equals it."""
    if isinstance(value, int):
        return value
    # x < 1.5 is x < 2, x <= 1.5 is x <= 1; 1.5 itself is no integer.
    if op in {"==", "!="} and not value.is_integer():
        return None
    return math.ceil(value) if op in {"<", ">="} else math.floor(value)


def as_float(value: float, dtype: Any) -> Any:
    """A constant as a float of a type, rounded to it; infinite beyond its range."""
    try:
        with np.errstate(over="ignore"):
            return np.array(value, np.float64).astype(dtype)[()]
    except OverflowError:
        return dtype.type(math.inf if value > 0 else -math.inf)


class Wanted:
    """The values of a list, as they are compared with numbers of each type."""

    def __init__(self, values: Sequence[float]) -> None:
        self._values = values
        self._by_type: dict[Any, Array] = {}

    def of(self, dtype: Any) -> Array:
        """Those that a number of a type can equal, each once, ascending."""
        found = self._by_type.get(dtype)
        if found is None:
            found = self._by_type[dtype] = wanted_values(self._values, dtype)
        return found


def is_in(numbers: Numbers, wanted: Wanted) -> Mask:
    """Whether each number is one of the values."""
    found = _is_in(numbers.values, wanted)
    if numbers.whole is not None and numbers.whole.any():
        assert numbers.integers is not None
        found = np.where(numbers.whole, _is_in(numbers.integers, wanted), found)
    return found


def _is_in(array: Array, wanted: Wanted) -> Mask:
    values = wanted.of(array.dtype)
    if len(values) > FEW:
        return np.isin(array, values)
    mask = np.zeros(array.shape, np.bool_)
    for value in values:
        mask |= array == value
    return mask


def wanted_values(values: Sequence[float], dtype: Any) -> Array:
    """The values that a number of a type can equal, each once, ascending."""
    if dtype.kind == "f":
        floats: Array = np.unique(np.array([as_float(v, dtype) for v in values], dtype))
        return floats
    info = np.iinfo(dtype)
    whole = {int(v) for v in values if isinstance(v, int) or v.is_integer()}
    return np.array(sorted(v for v in whole if info.min <= v <= info.max), dtype)


def compare_two(left: Numbers, op: str, right: Numbers) -> Mask:
    """`left op right` for two operands that differ from row to row."""
    found: Mask = COMPARE[op](left.values, right.values)
    return found


def both(left: Mask | None, right: Mask | None) -> Mask | None:
    """Rows that are known on both sides; None for all."""
    if left is None or right is None:
        return right if left is None else left
    return left & right


def arithmetic(op: str, left: Numbers, right: Numbers) -> Numbers:
    """`left op right`, in 64 bits. Whole numbers divide as in C, toward zero, and wrap around.

    A row that divides by zero, or has no real result, is unknown.
    """
    known = both(left.known, right.known)
    whole = _is_whole(left) and _is_whole(right) and op != "**"
    dtype = np.int64 if whole else np.float64
    a, b = np.asarray(left.values, dtype), np.asarray(right.values, dtype)
    if op in {"/", "%"}:
        divides = b != 0
        if not divides.all():
            known = both(known, np.broadcast_to(divides, np.broadcast_shapes(a.shape, b.shape)))
            b = np.where(divides, b, dtype(1))
    with np.errstate(all="ignore"):
        values: Array = _OPERATIONS[op](a, b)
    if op == "/" and not whole and _may_be_whole(left) and _may_be_whole(right):
        values = np.where(_whole_rows(left) & _whole_rows(right), np.trunc(values), values)
    if not whole:
        real = ~np.isnan(values)
        known = known if real.all() else both(known, real)
    return Numbers(values, known)


def _is_whole(numbers: Numbers) -> bool:
    return numbers.values.dtype.kind != "f"


def _may_be_whole(numbers: Numbers) -> bool:
    return _is_whole(numbers) or numbers.whole is not None


def _whole_rows(numbers: Numbers) -> Mask:
    return np.True_ if numbers.whole is None else numbers.whole  # type: ignore[return-value]


def _divide(a: Array, b: Array) -> Array:
    result: Array
    if a.dtype.kind == "f":
        result = a / b
    else:
        quotient = a // b
        result = quotient + ((a % b != 0) & ((a < 0) != (b < 0)))
    return result


_OPERATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": np.fmod,
    "**": np.power,
}
