"""Arithmetic of constants, done once when the expression is read."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable
from typing import Any

from walvec.filter.failure import Unreadable
from walvec.filter.times import Interval, Moment
from walvec.wal.shown import shown

MAX_POWER = 1024
LARGEST = sys.float_info.max

_FOLD: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "**": operator.pow,
}


def fold(at: int, op: str, left: Any, right: Any) -> Any:
    """Arithmetic of two constants; whole numbers divide as in C, toward zero. Raises Unreadable."""
    for value in (left, right):
        if isinstance(value, bool) or not isinstance(value, int | float):
            found = "constant times" if isinstance(value, Moment | Interval) else shown(value)
            raise Unreadable(at, f"{op} takes numbers, not {found}")
    if op == "**" and (abs(right) > MAX_POWER or abs(left) > 2**63):
        raise Unreadable(at, "the result is out of range")
    try:
        if op in {"/", "%"}:
            return _divided(op, left, right)
        value = _FOLD[op](left, right)
    except ZeroDivisionError:
        raise Unreadable(at, "division by zero") from None
    except OverflowError:
        raise Unreadable(at, "the result is out of range") from None
    if isinstance(value, complex) or not -LARGEST <= value <= LARGEST:
        raise Unreadable(at, "the result is out of range")
    return value


def _divided(op: str, left: Any, right: Any) -> Any:
    if isinstance(left, float) or isinstance(right, float):
        quotient: float = left / right if op == "/" else math.fmod(left, right)
        return quotient
    quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    return quotient if op == "/" else left - quotient * right
