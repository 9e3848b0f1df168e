"""Order by fields: what stands in `order_by_fields`, and rows put in that order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from walvec.arguments import check_text
from walvec.paths import Path, path_of
from walvec.python_rows import values_of
from walvec.segments.catalog import CollectionInfo
from walvec.wal.errors import FieldNotExistException, ParamError
from walvec.wal.rows import Array, Column
from walvec.wal.schema import FLOATS, INTEGERS, DataType, Field
from walvec.wal.shown import shown

SORTABLE = INTEGERS | FLOATS | {DataType.BOOL, DataType.VARCHAR, DataType.TIMESTAMPTZ}
DIRECTIONS = {"": False, "asc": False, "ascending": False, "desc": True, "descending": True}
NULLS = {"nulls_first": True, "nulls_last": False}


Key = tuple[Array, Array | None]
"""What rows are ordered by: codes, and which of them are not null (None for all)."""


class Order(NamedTuple):
    """One key of an order: a field, or a path into the dynamic field."""

    by: Field | Path
    descending: bool
    nulls_first: bool


def orders_of(method: str, wish: Any, info: CollectionInfo, *, dynamic: bool) -> tuple[Order, ...]:
    """What a user asked for: "price:desc,name", or a list of such texts or of dicts
    {"field": "price", "order": "desc"}. Nulls come last in an ascending order and first in a
    descending one, unless ":nulls_first" or ":nulls_last" follows the direction.

    `dynamic`: whether keys of the dynamic field may be named. Raises ParamError,
    FieldNotExistException.
    """
    if wish is None:
        return ()
    items = wish.split(",") if isinstance(wish, str) else wish
    if not isinstance(items, list | tuple):
        raise ParamError(message=f"{method}(): order_by_fields must be a list, got {shown(wish)}")
    texts = [_text_of(method, item) for item in items]
    return tuple(_order(method, text, info, dynamic) for text in texts if text.strip())


def _text_of(method: str, item: Any) -> str:
    if isinstance(item, dict) and set(item) <= {"field", "order"}:
        name = check_text("field of order_by_fields", item.get("field", ""))
        if not name:
            raise ParamError(message=f"{method}(): {shown(item)} of order_by_fields has no field")
        return f"{name}:{check_text('order of order_by_fields', item.get('order', 'asc'))}"
    if not isinstance(item, str):
        raise ParamError(
            message=f"{method}(): order_by_fields takes dicts of field and order, got {shown(item)}"
        )
    return item


def _order(method: str, text: str, info: CollectionInfo, dynamic: bool) -> Order:
    name, *how = (part.strip() for part in text.split(":"))
    direction = how[0].lower() if how else ""
    nulls = how[1].lower() if len(how) > 1 else None
    if direction not in DIRECTIONS or nulls not in (None, *NULLS) or len(how) > 2:
        raise ParamError(
            message=f"{method}(): {shown(text)} of order_by_fields is not field:asc or field:desc, "
            "with :nulls_first or :nulls_last after it"
        )
    descending = DIRECTIONS[direction]
    by = _by(method, name, info, dynamic)
    return Order(by, descending, descending if nulls is None else NULLS[nulls])


def _by(method: str, name: str, info: CollectionInfo, dynamic: bool) -> Field | Path:
    field = info.schema.by_name.get(name)
    if field is not None and field.type in SORTABLE:
        return field
    meta = info.schema.dynamic
    if field is None and dynamic and meta is not None:
        path = path_of(name, info.schema)
        if path is None:
            return Path(name, meta, (name,))
        if path.field is meta:
            return path
        field = path.field
    if field is None:
        raise FieldNotExistException(
            message=f"{method}(): collection {info.name} has no field {name} to order by"
        )
    raise ParamError(
        message=f"{method}(): field {field.name} of {info.name} has the type {field.type.name}, "
        "which has no order"
    )


def order_keys(orders: Sequence[Order], column_of: Callable[[Field], Column]) -> list[Key]:
    """For each order the codes of all rows and which of them are not null (None for all).
    `column_of` gives a field's column of those rows."""
    keys: list[Key] = []
    for order in orders:
        if isinstance(order.by, Path):
            field = order.by.field
            keys.append(_value_codes(order.by.values(values_of(column_of(field), field))))
        else:
            column = column_of(order.by)
            keys.append((row_codes(column, order.by), column.valid))
    return keys


def row_codes(column: Column, field: Field) -> Array:
    """(n,) numbers that are ordered as the rows of a column are. Nulls have any."""
    return _codes(column.texts()) if field.is_text else column.values


def _value_codes(values: list[Any]) -> Key:
    """Codes of values out of JSON. Numbers go before texts, texts before bools, and all else goes
    last, as text."""
    codes = _codes([_rank(value) for value in values])
    return codes, np.array([value is not None for value in values], np.bool_)


def _rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, int | float):
        return 0, value
    if isinstance(value, str):
        return 1, value
    return 3, json.dumps(value)


def _codes(values: list[Any]) -> Array:
    places = {value: place for place, value in enumerate(sorted(set(values)))}
    return np.fromiter(map(places.__getitem__, values), np.int64, len(values))


def sorted_places(orders: Sequence[Order], keys: Sequence[Key]) -> Array:
    """The rows in order, (n,) int64; equal ones stay as they are. keys: from `order_keys`."""
    columns = []
    for order, (codes, valid) in zip(orders, keys, strict=True):
        ranks: Array = np.unique(codes, return_inverse=True)[1].reshape(-1)
        if order.descending:
            ranks = -ranks
        if valid is not None:
            beyond = len(ranks) + 1
            ranks = np.where(valid, ranks, -beyond if order.nulls_first else beyond)
        columns.append(ranks)
    order_of_rows: Array = np.lexsort(columns[::-1])
    return order_of_rows
