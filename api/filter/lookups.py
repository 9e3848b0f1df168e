"""Conditions on one column, as what a scalar index can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from walvec.filter.numbers import as_float, wanted_values, whole_bound
from walvec.segments.lookup import Lookup, Value
from walvec.wal.rows import item_dtype
from walvec.wal.schema import DataType, Field

OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def column_values(field: Field, values: Sequence[Any]) -> tuple[Value, ...]:
    """Those of the constants that an item of the field can equal, as they stand in its column."""
    kind = field.element_type if field.is_array else field.type
    if kind is DataType.VARCHAR:
        return tuple(dict.fromkeys(value.encode() for value in values))
    if kind is DataType.BOOL:
        return tuple(dict.fromkeys(bool(value) for value in values))
    found: list[Value] = wanted_values(values, item_dtype(field)).tolist()
    return tuple(found)


def membership(field: Field, values: Sequence[Any]) -> Lookup:
    """`field in values`."""
    return Lookup(field.id, "in", column_values(field, values))


def comparison(field: Field, op: str, value: Any) -> Lookup | None:
    """`field op value`; None for `!=`, which nearly all rows match."""
    if op == "!=" and isinstance(value, bool):
        return membership(field, [not value])
    if op in {"==", "!="}:
        return membership(field, [value]) if op == "==" else None
    bound = _bound(field, op, value)
    if bound is None:
        return None
    is_low = op in {">", ">="}
    closed = op in {"<=", ">="}
    bounds = (bound, None) if is_low else (None, bound)
    return Lookup(field.id, "range", bounds, (closed or not is_low, closed or is_low))


def _bound(field: Field, op: str, value: Any) -> Value | None:
    if field.type is DataType.VARCHAR:
        return str(value).encode()
    dtype = item_dtype(field)
    if dtype.kind == "f":
        return float(as_float(value, dtype))
    bound = whole_bound(op, value)
    info = np.iinfo(dtype)
    return bound if bound is not None and info.min <= bound <= info.max else None


def intersection(a: Lookup, b: Lookup) -> Lookup | None:
    """Both of two ranges of one field, or of one and nothing; None for other lookups."""
    for lookup in (a, b):
        if lookup.kind == "in" and not lookup.values:
            return lookup
    if a.kind != "range" or b.kind != "range" or a.field_id != b.field_id:
        return None
    low, low_closed = _tighter(a, b, 0, max)
    high, high_closed = _tighter(a, b, 1, min)
    if low is not None and high is not None:
        # Any: of two texts or two numbers.
        first: Any = low
        if first > high or (first == high and not (low_closed and high_closed)):
            return Lookup(a.field_id, "in", ())
    return Lookup(a.field_id, "range", (low, high), (low_closed, high_closed))


def _tighter(a: Lookup, b: Lookup, side: int, choose: Any) -> tuple[Value | None, bool]:
    bounds = [(x.values[side], x.closed[side]) for x in (a, b) if x.values[side] is not None]
    if not bounds:
        return None, True
    value = choose(value for value, _ in bounds)
    return value, all(closed for bound, closed in bounds if bound == value)
