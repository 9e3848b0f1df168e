"""What stands on either side of an operator, resolved against the schema.

Each kind of operand can be read for the rows in question, and says which rows have a value:
not those that are null, whose array is too short, or whose JSON has nothing of this type there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from walvec.filter import arrays, json_values, times
from walvec.filter.json_path import Keys
from walvec.filter.numbers import Numbers, arithmetic
from walvec.filter.reader import Mask, Reader, Texts
from walvec.filter.times import Interval, Moment
from walvec.wal.rows import Array
from walvec.wal.schema import FLOATS, INTEGERS, DataType, Field

FIXED, TEXT, ARRAY, JSON = 1, 2, 3, 20
"""What it costs to read an operand, per row, roughly and relatively."""

NUMBER_KIND, STRING_KIND, BOOL_KIND = "a number", "a string", "a bool"


@dataclass(frozen=True, slots=True)
class Constant:
    """The same for all rows: a bool, int, float, str, Moment, Interval, or a list of these."""

    value: Any


@dataclass(frozen=True, slots=True)
class Number:
    """A number for each row. `field`: it is that field's column as it stands."""

    read: Callable[[Reader], Numbers]
    cost: int
    field: Field | None = None


@dataclass(frozen=True, slots=True)
class Bool:
    """A bool for each row."""

    read: Callable[[Reader], tuple[Mask, Mask | None]]
    cost: int
    field: Field | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A text for each row."""

    read: Callable[[Reader], tuple[Texts, Mask | None]]
    cost: int
    field: Field | None = None


@dataclass(frozen=True, slots=True)
class Time:
    """Microseconds since 1970, UTC, for each row."""

    read: Callable[[Reader], Numbers]
    cost: int
    field: Field | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """An ARRAY field."""

    field: Field
    cost: int = ARRAY


@dataclass(frozen=True, slots=True)
class Json:
    """A path within a JSON field, or a dynamic key."""

    field: Field
    keys: Keys
    cost: int = JSON

    def number(self) -> Number:
        """The rows that have a number there."""
        return Number(self._numbers, JSON)

    def text(self) -> Text:
        """The rows that have a string there."""

        def read(reader: Reader) -> tuple[Texts, Mask]:
            column = reader.path(self.field.id, self.keys)
            return Texts.of(column.texts), column.kinds == json_values.TEXT

        return Text(read, JSON)

    def flag(self) -> Bool:
        """The rows that have a bool there."""

        def read(reader: Reader) -> tuple[Mask, Mask]:
            column = reader.path(self.field.id, self.keys)
            return column.integers != 0, column.kinds == json_values.BOOL

        return Bool(read, JSON)

    def _numbers(self, reader: Reader) -> Numbers:
        column = reader.path(self.field.id, self.keys)
        whole = column.kinds == json_values.INTEGER
        return Numbers(
            column.floats, whole | (column.kinds == json_values.FLOAT), whole, column.integers
        )


Operand = Constant | Number | Bool | Text | Time | Items | Json


def operand_of(field: Field, keys: Keys) -> Operand | str:
    """A field, or a path within it, as an operand; or why it can be none."""
    if field.type is DataType.JSON:
        return Json(field, keys)
    if field.is_array:
        return _of_array(field, keys)
    kind = f"field {field.name} of type {field.type.name}"
    if keys:
        return f"{kind} cannot be indexed"
    if field.type is DataType.VARCHAR:
        return Text(lambda reader: reader.texts(field.id), TEXT, field)
    if field.type is DataType.BOOL:
        return Bool(lambda reader: reader.values(field.id), FIXED, field)
    if field.type is DataType.TIMESTAMPTZ:
        return Time(lambda reader: Numbers(*reader.values(field.id)), FIXED, field)
    if field.type in INTEGERS | FLOATS:
        return Number(lambda reader: Numbers(*reader.values(field.id)), FIXED, field)
    return f"{kind} cannot be part of a filter"


def _of_array(field: Field, keys: Keys) -> Operand | str:
    if not keys:
        return Items(field)
    index = keys[0]
    if len(keys) > 1 or not isinstance(index, int):
        return f"field {field.name} of type ARRAY takes one whole number as its index"
    if field.element_type is DataType.VARCHAR:
        return Text(lambda reader: arrays.element_texts(reader, field, index), ARRAY)
    if field.element_type is DataType.BOOL:
        return Bool(lambda reader: arrays.element_values(reader, field, index), ARRAY)
    return Number(lambda reader: Numbers(*arrays.element_values(reader, field, index)), ARRAY)


def length_of(operand: Items | Json) -> Number:
    """How many elements there are."""
    if isinstance(operand, Items):
        field = operand.field
        return Number(lambda reader: arrays.length(reader, field), FIXED)

    def read(reader: Reader) -> Numbers:
        column = reader.path(operand.field.id, operand.keys)
        lengths = np.zeros(reader.n, np.int64)
        for row, value in column.others.items():
            lengths[row] = len(value)
        return Numbers(lengths, column.kinds == json_values.ITEMS)

    return Number(read, JSON)


def kind_of(operand: Operand) -> str:
    """The kind of value, for messages and for whether two operands go together."""
    if isinstance(operand, Constant):
        return kind_of_value(operand.value)
    kinds: dict[type, str] = {
        Number: NUMBER_KIND,
        Bool: BOOL_KIND,
        Text: STRING_KIND,
        Time: "a time",
        Items: "an array",
        Json: "a JSON value",
    }
    return kinds[type(operand)]


def kind_of_value(value: Any) -> str:
    """The kind of a constant."""
    if isinstance(value, bool):
        return BOOL_KIND
    if isinstance(value, int | float):
        return NUMBER_KIND
    if isinstance(value, str):
        return STRING_KIND
    if isinstance(value, Moment):
        return "a time"
    return "an interval" if isinstance(value, Interval) else "a list"


def kind_of_element(field: Field) -> str:
    """The kind of the elements of an ARRAY field."""
    if field.element_type is DataType.VARCHAR:
        return STRING_KIND
    return BOOL_KIND if field.element_type is DataType.BOOL else NUMBER_KIND


def combined(op: str, left: Operand, right: Operand) -> Operand | None:
    """`left op right`, or None if they do not fit each other."""
    if isinstance(left, Time) and isinstance(right, Constant) and op in {"+", "-"}:
        return _moved(left, op, right.value)
    a, b = _as_number(left), _as_number(right)
    if a is None or b is None:
        return None
    return Number(lambda reader: arithmetic(op, a.read(reader), b.read(reader)), a.cost + b.cost)


def _moved(time: Time, op: str, by: Any) -> Operand | None:
    if not isinstance(by, Interval):
        return None
    interval = by if op == "+" else Interval(-by.months, -by.micros)

    def read(reader: Reader) -> Numbers:
        numbers = time.read(reader)
        return Numbers(times.moved(numbers.values, interval), numbers.known)

    return Time(read, FIXED)


def _as_number(operand: Operand) -> Number | None:
    if isinstance(operand, Number):
        return operand
    if isinstance(operand, Json):
        return operand.number()
    if not isinstance(operand, Constant) or kind_of(operand) != NUMBER_KIND:
        return None
    value = operand.value
    whole = isinstance(value, int) and -(2**63) <= value < 2**63
    constant: Array = np.array(value, np.int64 if whole else np.float64)
    return Number(lambda _: Numbers(constant), 0)
