"""Conditions on one operand: `is null`, `exists`, `like`. None: the operand does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from walvec.filter import json_values, like, lookups
from walvec.filter.conditions import Answer, Condition, on_path, reading
from walvec.filter.operands import FIXED, STRING_KIND, Json, Operand, Text
from walvec.filter.reader import Reader
from walvec.segments.lookup import Lookup
from walvec.wal.rows import Array


def null(operand: Operand) -> Condition | None:
    """`operand is null`; of a JSON path, that nothing exists there."""
    if isinstance(operand, Json) and operand.keys:
        found = exists(operand)
        return Condition(lambda reader: Answer(~found.test(reader).match, None), found.cost)
    field = getattr(operand, "field", None)
    if field is None:
        return None

    def test(reader: Reader) -> Answer:
        valid: Array | None = reader.column(field.id).valid
        return Answer(np.zeros(reader.n, np.bool_) if valid is None else ~valid, None)

    return Condition(test, FIXED)


def exists(operand: Json) -> Condition:
    """Whether something stands at a path."""

    def test(column: json_values.JsonColumn) -> Answer:
        found = column.kinds != json_values.ABSENT
        for row, value in column.others.items():
            found[row] = not is_empty(value)
        return Answer(found, None)

    return on_path(operand, test)


def is_empty(value: Any) -> bool:
    """Null, or an array or object with nothing else in it."""
    if isinstance(value, dict | list):
        return all(map(is_empty, value.values() if isinstance(value, dict) else value))
    return value is None


def matching(operand: Operand, pattern: str) -> Condition | None:
    """`operand like pattern`. Raises ValueError for a pattern that means nothing."""
    matches = like.matcher(pattern)
    text = reading(operand, STRING_KIND)
    if not isinstance(text, Text):
        return None
    read = text.read

    def test(reader: Reader) -> Answer:
        found, known = read(reader)
        return Answer(matches(found), known)

    lookup = None
    if text.field is not None:
        prefix = like.prefix_of(pattern)
        parts = like.parts_of(pattern)
        if prefix:
            lookup = Lookup(text.field.id, "prefix", (prefix,))
        elif len(parts) == 1 and None not in parts[0]:
            lookup = lookups.membership(text.field, ["".join(c or "" for c in parts[0])])
    return Condition(test, 2 * text.cost, lookup)
