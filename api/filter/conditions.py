"""Conditions: what is asked of each row. Comparisons of resolved operands; None: they do not fit.

Conditions are true, false or unknown, as in Milvus (3.0, and 2.6 from 2.6.19; before, `!=` on
JSON was true of what is not there). A row is found if the whole expression is true of it.

    what the condition looks at                     the condition is
    ------------------------------------------      ----------------------------------------
    a field that is null                            unknown
    array[i] beyond the end                         unknown
    a JSON path where nothing or null stands        unknown, `!=` and `not in` too
    a JSON value of another type than the           unknown, `!=` too; integers and floats are
      constant                                        one type, a list is another than a number
    JSON `in` a list                                unknown if no value of the list has its type
    anything `in []`                                false if there is a value, else unknown
    json_contains, array_length where no array      unknown
    json_contains in an array                       false for elements of other types
    a division by zero in that row                  unknown
    x is null, exists x                             never unknown. A JSON null, an empty object
                                                      and an empty array count as not existing,
                                                      and in a null row nothing exists
    not unknown                                     unknown
    unknown and false / unknown and true            false / unknown
    unknown or true / unknown or false              true / unknown
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from walvec.filter import arrays, json_values, lookups, numbers, texts
from walvec.filter.numbers import COMPARE, FLIPPED, both
from walvec.filter.operands import (
    BOOL_KIND,
    NUMBER_KIND,
    STRING_KIND,
    Bool,
    Constant,
    Items,
    Json,
    Number,
    Operand,
    Text,
    Time,
    kind_of_element,
    kind_of_value,
)
from walvec.filter.reader import Mask, Reader
from walvec.segments.lookup import Lookup


class Answer(NamedTuple):
    """For each row whether the condition is true, where that is known (None: everywhere).

    `match` is new, never a column itself.
    """

    match: Mask
    known: Mask | None


class Condition(NamedTuple):
    """A test of the rows of a reader; `cost` of a row, relatively. `lookup` asks an index for the
    rows for which it is true, `inverse` for those for which it is false, where one can."""

    test: Callable[[Reader], Answer]
    cost: int
    lookup: Lookup | None = None
    inverse: Lookup | None = None


def constant(value: bool) -> Condition:
    """The same for all rows."""
    return Condition(lambda reader: Answer(np.full(reader.n, value, np.bool_), None), 0)


def comparison(op: str, left: Operand, right: Operand) -> Condition | None:
    """`left op right`."""
    if isinstance(left, Constant):
        if isinstance(right, Constant):
            return _of_constants(op, left.value, right.value)
        return comparison(FLIPPED[op], right, left)
    if isinstance(right, Constant):
        return _with_constant(left, op, right.value)
    if isinstance(left, Number | Time) and type(left) is type(right):
        return _of_numbers(left, op, right)
    if isinstance(left, Text) and isinstance(right, Text):
        return _of_texts(left, op, right)
    if isinstance(left, Bool) and isinstance(right, Bool) and op in {"==", "!="}:
        return _of_bools(left, op, right)
    return None


def _of_constants(op: str, left: Any, right: Any) -> Condition | None:
    kind = kind_of_value(left)
    if kind != kind_of_value(right) or kind in {"a list", "an interval"} or not _ordered(kind, op):
        return None
    return constant(bool(COMPARE[op](left, right)))


def _ordered(kind: str, op: str) -> bool:
    return kind not in {BOOL_KIND, "a list"} or op in {"==", "!="}


def _of_numbers(left: Number | Time, op: str, right: Any) -> Condition:
    def test(reader: Reader) -> Answer:
        a, b = left.read(reader), right.read(reader)
        return Answer(numbers.compare_two(a, op, b), both(a.known, b.known))

    return Condition(test, left.cost + right.cost)


def _of_texts(left: Text, op: str, right: Text) -> Condition:
    def test(reader: Reader) -> Answer:
        (a, a_known), (b, b_known) = left.read(reader), right.read(reader)
        return Answer(texts.compare_two(a, op, b), both(a_known, b_known))

    return Condition(test, left.cost + right.cost)


def _of_bools(left: Bool, op: str, right: Bool) -> Condition:
    def test(reader: Reader) -> Answer:
        (a, a_known), (b, b_known) = left.read(reader), right.read(reader)
        return Answer(COMPARE[op](a, b), both(a_known, b_known))

    return Condition(test, left.cost + right.cost)


def reading(operand: Operand, kind: str) -> Operand | None:
    """The operand as what can be compared with constants of a kind; None if it cannot."""
    if isinstance(operand, Json):
        if kind == NUMBER_KIND:
            return operand.number()
        if kind == STRING_KIND:
            return operand.text()
        return operand.flag() if kind == BOOL_KIND else None
    wanted = {NUMBER_KIND: Number, STRING_KIND: Text, BOOL_KIND: Bool, "a time": Time}.get(kind)
    return operand if wanted is not None and isinstance(operand, wanted) else None


def _with_constant(left: Operand, op: str, value: Any) -> Condition | None:
    kind = kind_of_value(value)
    if not _ordered(kind, op):
        return None
    if kind == "a list":
        return _with_list(left, op, value)
    operand = reading(left, kind)
    lookup = inverse = None
    if isinstance(operand, Time):
        value = value.micros
    if isinstance(operand, Number | Text | Bool | Time) and operand.field is not None:
        lookup = lookups.comparison(operand.field, op, value)
        inverse = lookups.comparison(operand.field, lookups.OPPOSITE[op], value)
    test = _test_of(operand, op, value)
    return None if test is None else Condition(test, left_cost(operand), lookup, inverse)


def left_cost(operand: Operand | None) -> int:
    """What it costs to read the operand."""
    return 0 if operand is None or isinstance(operand, Constant) else operand.cost


def _test_of(operand: Operand | None, op: str, value: Any) -> Callable[[Reader], Answer] | None:
    match operand:
        case Number(read=read) | Time(read=read):

            def of_numbers(reader: Reader) -> Answer:
                found = read(reader)
                return Answer(numbers.compare(found, op, value), found.known)

            return of_numbers
        case Text(read=read_texts):
            wanted = value.encode()

            def of_texts(reader: Reader) -> Answer:
                found, known = read_texts(reader)
                return Answer(texts.compare(found, op, wanted), known)

            return of_texts
        case Bool(read=read_bools):

            def of_bools(reader: Reader) -> Answer:
                found, known = read_bools(reader)
                return Answer(found.copy() if (op == "==") == value else ~found, known)

            return of_bools
    return None


def _with_list(left: Operand, op: str, values: list[Any]) -> Condition | None:
    """Whether an array is a list."""
    if isinstance(left, Items):
        if any(kind_of_value(value) != kind_of_element(left.field) for value in values):
            return None
        field, equals = left.field, arrays.equals(left.field, values)

        def of_items(reader: Reader) -> Answer:
            found = equals(reader)
            return Answer(found if op == "==" else ~found, reader.bounds(field.id)[3])

        return Condition(of_items, left.cost)
    if not isinstance(left, Json):
        return None
    wanted = json_key(values)

    def of_lists(column: json_values.JsonColumn) -> Answer:
        known = column.kinds == json_values.ITEMS
        found = _of_others(column, lambda value: json_key(value) == wanted)
        return Answer(found if op == "==" else ~found, known)

    return on_path(left, of_lists)


def json_key(value: Any) -> Any:
    """Something hashable that equals that of another JSON value if the values are equal: a bool
    is no number, 1 is 1.0."""
    if isinstance(value, dict):
        return frozenset((key, json_key(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return tuple(json_key(inner) for inner in value)
    return (bool, value) if isinstance(value, bool) else value


def on_path(operand: Json, answer: Callable[[json_values.JsonColumn], Answer]) -> Condition:
    """A condition on what stands at a path."""
    field_id, keys = operand.field.id, operand.keys
    return Condition(lambda reader: answer(reader.path(field_id, keys)), operand.cost)


def _of_others(column: json_values.JsonColumn, test: Callable[[Any], bool]) -> Mask:
    """Rows whose list or object passes a test."""
    found = np.zeros(len(column.kinds), np.bool_)
    for row, value in column.others.items():
        found[row] = test(value)
    return found


def between(ops: Sequence[str], low: Operand, middle: Operand, high: Operand) -> Condition | None:
    """The range `low < middle < high`."""
    first, second = comparison(ops[0], low, middle), comparison(ops[1], middle, high)
    if first is None or second is None:
        return None
    a, b = first, second

    def test(reader: Reader) -> Answer:
        above, known = a.test(reader)
        below, also_known = b.test(reader)
        if known is also_known or known is None or also_known is None:
            return Answer(above & below, both(known, also_known))
        # Each may tell alone that the row lies outside.
        outside = (known & ~above) | (also_known & ~below)
        return Answer(above & below, (known & also_known) | outside)

    lookup = None
    if a.lookup is not None and b.lookup is not None:
        lookup = lookups.intersection(a.lookup, b.lookup)
    return Condition(test, max(a.cost, b.cost), lookup)
