"""What stands on either side of an operator, resolved against the schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from walvec.filter.json_path import Keys
from walvec.filter.numbers import arithmetic, column_numbers, integer_bounds
from walvec.filter.parse import fold
from walvec.filter.reader import Numbers, Reader
from walvec.wal.rows import Array
from walvec.wal.schema import INTEGERS, DataType, Field

INT64_BOUNDS = integer_bounds(DataType.INT64)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same for all rows: a bool, int, float, str, or a list of them."""

    value: Any


@dataclass(frozen=True, slots=True)
class Number:
    """A number for each row; integers lie within `bounds`, floats have none."""

    numbers: Numbers
    bounds: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Bool:
    """A BOOL field."""

    field: Field


@dataclass(frozen=True, slots=True)
class Text:
    """A VARCHAR field."""

    field: Field


@dataclass(frozen=True, slots=True)
class Json:
    """A path within a JSON field, or a dynamic key."""

    field: Field
    keys: Keys


Operand = Constant | Number | Bool | Text | Json


def operand_of(field: Field, keys: Keys) -> Operand | None:
    """A field, or a path within it, as an operand; None if it can be none."""
    if field.type is DataType.JSON:
        return Json(field, keys)
    if keys or field.is_vector:
        return None
    if field.type is DataType.VARCHAR:
        return Text(field)
    if field.type is DataType.BOOL:
        return Bool(field)
    bounds = integer_bounds(field.type) if field.type in INTEGERS else None
    return Number(column_numbers(field.id), bounds)


def kind_of(operand: Operand) -> str:
    """The kind of value, for messages and for whether two operands go together."""
    if isinstance(operand, Constant):
        return kind_of_value(operand.value)
    if isinstance(operand, Json):
        return "a JSON value"
    return {Number: "a number", Bool: "a bool", Text: "a string"}[type(operand)]


def kind_of_value(value: Any) -> str:
    """The kind of a constant."""
    if isinstance(value, bool):
        return "a bool"
    if isinstance(value, int | float):
        return "a number"
    return "a string" if isinstance(value, str) else "a list"


def combined(op: str, left: Operand, right: Operand, at: int) -> Operand | None:
    """`left op right`, or None if they are not both numbers. Raises Unreadable."""
    if isinstance(left, Constant) and isinstance(right, Constant):
        return Constant(fold(at, op, left.value, right.value))
    numbers = [_as_numbers(left), _as_numbers(right)]
    if numbers[0] is None or numbers[1] is None:
        return None
    whole = op != "**" and numbers[0].bounds is not None and numbers[1].bounds is not None
    result = arithmetic(op, numbers[0].numbers, numbers[1].numbers, whole)
    return Number(result, INT64_BOUNDS if whole else None)


def _as_numbers(operand: Operand) -> Number | None:
    if isinstance(operand, Number):
        return operand
    if not isinstance(operand, Constant) or kind_of(operand) != "a number":
        return None
    value = operand.value
    low, high = INT64_BOUNDS
    whole = isinstance(value, int) and low <= value <= high
    constant = np.array(value, np.int64 if whole else np.float64)

    def numbers(_: Reader) -> Array:
        return constant

    return Number(numbers, INT64_BOUNDS if whole else None)
