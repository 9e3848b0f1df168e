"""Conditions with a list of values: `in`, and what an array contains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from walvec.filter import arrays, json_values, lookups, numbers, texts
from walvec.filter.conditions import (
    Answer,
    Condition,
    constant,
    json_key,
    on_path,
    reading,
)
from walvec.filter.operands import (
    Bool,
    Constant,
    Items,
    Json,
    Number,
    Operand,
    Text,
    Time,
    kind_of_value,
)
from walvec.filter.reader import Reader
from walvec.segments.lookup import Lookup
from walvec.wal.rows import Array


def membership(operand: Operand, values: Sequence[Any]) -> Condition | None:
    """`operand in values`; the values are of its kind, unless it is JSON."""
    if isinstance(operand, Constant):
        value = operand.value
        kind = kind_of_value(value)
        return constant(any(kind_of_value(v) == kind and v == value for v in values))
    if isinstance(operand, Json):
        return _json_membership(operand, values)
    if isinstance(operand, Items):
        return None
    lookup = None
    if isinstance(operand, Time):
        values = [value.micros for value in values]
    if operand.field is not None:
        lookup = lookups.membership(operand.field, values)
    inverse = None
    if isinstance(operand, Bool) and lookup is not None:
        others = [flag for flag in (False, True) if flag not in lookup.values]
        inverse = lookup._replace(values=tuple(others))
    return Condition(_in(operand, values), operand.cost, lookup, inverse)


def _in(operand: Operand | None, values: Sequence[Any]) -> Callable[[Reader], Answer]:
    match operand:
        case Number(read=read) | Time(read=read):
            wanted_numbers = numbers.Wanted(values)

            def of_numbers(reader: Reader) -> Answer:
                found = read(reader)
                return Answer(numbers.is_in(found, wanted_numbers), found.known)

            return of_numbers
        case Text(read=read_texts):
            wanted = texts.Wanted(value.encode() for value in values)

            def of_texts(reader: Reader) -> Answer:
                found, known = read_texts(reader)
                return Answer(texts.is_in(found, wanted), known)

            return of_texts
        case Bool(read=read_bools):

            def of_bools(reader: Reader) -> Answer:
                found, known = read_bools(reader)
                return Answer(np.isin(found, np.array(values, np.bool_)), known)

            return of_bools
    raise AssertionError(operand)


def _json_membership(operand: Json, values: Sequence[Any]) -> Condition:
    """Known where the list has a value of the type that stands there."""
    by_kind: dict[str, list[Any]] = {}
    for value in values:
        by_kind.setdefault(kind_of_value(value), []).append(value)
    lists = {json_key(value) for value in by_kind.pop("a list", [])}
    tests = [_in(reading(operand, kind), same_kind) for kind, same_kind in by_kind.items()]

    def test(reader: Reader) -> Answer:
        column = reader.path(operand.field.id, operand.keys)
        match: Array = np.zeros(reader.n, np.bool_)
        known = column.kinds != json_values.ABSENT if not values else match.copy()
        for one in tests:
            found, has_type = one(reader)
            assert has_type is not None
            match |= found & has_type
            known |= has_type
        if lists:
            known |= column.kinds == json_values.ITEMS
            for row, value in column.others.items():
                match[row] |= json_key(value) in lists
        return Answer(match, known)

    return Condition(test, operand.cost)


def containment(operand: Items | Json, values: Sequence[Any], every: bool) -> Condition:
    """Whether one, or each, of the values is an element of the array."""
    if isinstance(operand, Json):
        wanted = {json_key(value) for value in values}

        def of_lists(column: json_values.JsonColumn) -> Answer:
            known = column.kinds == json_values.ITEMS
            found = np.zeros(len(known), np.bool_)
            for row in np.flatnonzero(known).tolist():
                elements = {json_key(value) for value in column.others[row]}
                found[row] = wanted <= elements if every else not wanted.isdisjoint(elements)
            return Answer(found, known)

        return on_path(operand, of_lists)
    field = operand.field
    contains = arrays.contains_all if every else arrays.contains_any
    test = contains(field, values)
    held = lookups.column_values(field, values)
    lookup = None
    if not every or len(held) == len(set(values)):
        lookup = Lookup(field.id, "all" if every else "any", held)
    return Condition(
        lambda reader: Answer(test(reader), reader.bounds(field.id)[3]), operand.cost, lookup
    )
