"""Aggregates of a query: count, sum, avg, min and max of all rows or of each group of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import tzinfo
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from walvec.grouping import group_field
from walvec.ordering import order_keys, row_codes, sorted_places
from walvec.python_rows import values_of
from walvec.querying import Page, column_of
from walvec.reading import Piece
from walvec.segments.catalog import CollectionInfo
from walvec.timestamps import zone_of
from walvec.wal.errors import FieldNotExistException, ParamError
from walvec.wal.rows import Array, Column
from walvec.wal.schema import FLOATS, INTEGERS, DataType, Field

CALL = re.compile(r"\s*(count|sum|avg|min|max)\s*\(\s*([\w$]*|\*)\s*\)\s*", re.IGNORECASE)
NUMBERS = INTEGERS | FLOATS
TAKES = {
    "sum": NUMBERS,
    "avg": NUMBERS,
    "min": NUMBERS | {DataType.VARCHAR, DataType.TIMESTAMPTZ},
    "max": NUMBERS | {DataType.VARCHAR, DataType.TIMESTAMPTZ},
}
SAFE_SUM = 2**62


class Aggregate(NamedTuple):
    """One aggregate. `name` is what it is called in the answer, `field` None for count(*)."""

    name: str
    function: str
    field: Field | None


class Aggregates(NamedTuple):
    """What goes out of each group, in this order, and the fields whose values make the groups;
    without any, all rows are one."""

    items: tuple[Aggregate | Field, ...]
    groups: tuple[Field, ...]
    timezone: str | None

    @property
    def computes(self) -> bool:
        """Whether anything goes out beside the values that make the groups."""
        return any(isinstance(item, Aggregate) for item in self.items)

    @property
    def counts_all(self) -> bool:
        """Whether count(*) is among them and there are no groups."""
        counts = any(isinstance(i, Aggregate) and i.field is None for i in self.items)
        return counts and not self.groups

    @property
    def is_count(self) -> bool:
        """Whether it is count(*) of all rows and nothing more."""
        return self.counts_all and len(self.items) == 1


def aggregates_of(
    info: CollectionInfo, names: Sequence[str], group_by: Sequence[str], timezone: str | None
) -> Aggregates | None:
    """What output fields and group_by_fields ask for; None if it is rows.

    Raises ParamError, FieldNotExistException.
    """
    calls = {name: match for name in names if (match := CALL.fullmatch(name)) is not None}
    if not calls and not group_by:
        return None
    groups = tuple(group_field("query", info, name) for name in group_by)
    items: list[Aggregate | Field] = []
    for name in names:
        if name in calls:
            items.append(_aggregate(info, name, *calls[name].groups()))
        elif name in group_by:
            items.append(info.schema.by_name[name])
        else:
            raise ParamError(
                message=f"query(): {name} goes out neither as an aggregate nor as one of "
                f"group_by_fields {list(group_by)}"
            )
    return Aggregates(tuple(items), groups, timezone)


def _aggregate(info: CollectionInfo, name: str, function: str, of: str) -> Aggregate:
    function = function.lower()
    if of == "*" and function == "count":
        return Aggregate(name.strip(), function, None)
    field = info.schema.by_name.get(of)
    if field is None:
        raise FieldNotExistException(
            message=f"query(): collection {info.name} has no field {of} for {name}"
        )
    if function != "count" and field.type not in TAKES[function]:
        raise ParamError(
            message=f"query(): {function} does not take field {of} of the type {field.type.name}"
        )
    return Aggregate(name.strip(), function, field)


def aggregate(wish: Aggregates, pieces: Sequence[Piece], page: Page) -> list[dict[str, Any]]:
    """One dictionary for each group, in the order in which they are met unless another is asked
    for. An aggregate of no values is None, but for a count."""
    n = sum(len(piece.rows) for piece in pieces)
    if not n:
        none = {i.name: 0 if _is_count(i) else None for i in wish.items}
        return [] if wish.groups else [none]
    if wish.groups:
        groups = groups_of([column_of(pieces, f) for f in wish.groups], wish.groups)
    else:
        groups = Groups(np.zeros(n, np.int64), np.zeros(1, np.int64))
    zone = zone_of(wish.timezone)
    answers = [_values(item, pieces, groups, zone) for item in wish.items]
    names = [item.name for item in wish.items]
    rows = [dict(zip(names, values, strict=True)) for values in zip(*answers, strict=True)]
    if page.order:
        heads = [(f, column_of(pieces, f).take(groups.first)) for f in wish.groups]
        columns = {field.id: column for field, column in heads}
        keys = order_keys(page.order, lambda field: columns[field.id])
        rows = [rows[i] for i in sorted_places(page.order, keys).tolist()]
    return rows[page.offset : page.end]


def _is_count(item: Aggregate | Field) -> bool:
    return isinstance(item, Aggregate) and item.function == "count"


class Groups(NamedTuple):
    """The group of each row, (n,) numbers from 0 without gaps, and the first row of each."""

    codes: Array
    first: Array


def groups_of(columns: Sequence[Column], fields: Sequence[Field]) -> Groups:
    """Rows grouped by the values of columns; nulls are equal. Numbered as they are met."""
    codes: Array = np.zeros(len(columns[0]), np.int64)
    for column, field in zip(columns, fields, strict=True):
        own: Array = np.unique(row_codes(column, field), return_inverse=True)[1].reshape(-1)
        if column.valid is not None:
            own = np.where(column.valid, own, len(own))
        codes = codes * (len(own) + 1) + own
        codes = np.unique(codes, return_inverse=True)[1].reshape(-1)
    _, first = np.unique(codes, return_index=True)
    order = np.argsort(first)
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.arange(len(order))
    return Groups(numbers[codes], first[order])


def _values(
    item: Aggregate | Field, pieces: Sequence[Piece], groups: Groups, zone: tzinfo
) -> list[Any]:
    """What an item is for each group."""
    if isinstance(item, Field):
        return values_of(column_of(pieces, item).take(groups.first), item, zone)
    size = len(groups.first)
    if item.field is None:
        return _counts(groups.codes, size)
    column, codes = column_of(pieces, item.field), groups.codes
    if column.valid is not None:
        kept = np.flatnonzero(column.valid)
        column, codes = column.take(kept), codes[kept]
    counts = _counts(codes, size)
    if item.function == "count":
        return counts
    order = np.argsort(codes, kind="stable")
    present = [group for group, count in enumerate(counts) if count]
    starts = np.cumsum([0, *(counts[group] for group in present)])[:-1]
    answers: list[Any] = [None] * size
    if present:
        function = _sums if item.function in ("sum", "avg") else partial(_ends, item, zone)
        for group, value in zip(present, function(column, item.field, order, starts), strict=True):
            answers[group] = value / counts[group] if item.function == "avg" else value
    return answers


def _counts(codes: Array, groups: int) -> list[int]:
    counts: list[int] = np.bincount(codes, minlength=groups).tolist()
    return counts


def _sums(column: Column, field: Field, order: Array, starts: Array) -> list[Any]:
    """The sum of each group, of integers exactly. `order`: rows group by group, from `starts`."""
    values = column.values[order]
    if field.type in FLOATS:
        return list(np.add.reduceat(values.astype(np.float64), starts).tolist())
    whole = values.astype(np.int64)
    if max(abs(int(whole.max())), abs(int(whole.min()))) * len(whole) < SAFE_SUM:
        return list(np.add.reduceat(whole, starts).tolist())
    return [sum(part) for part in np.split(whole.astype(object), starts[1:])]


def _ends(
    item: Aggregate, zone: tzinfo, column: Column, field: Field, order: Array, starts: Array
) -> list[Any]:
    """The least or greatest value of each group."""
    lengths = np.diff(np.append(starts, len(order)))
    groups = np.repeat(np.arange(len(starts)), lengths)
    # Within each group by value: the least comes first, the greatest last.
    by_value = order[np.lexsort((row_codes(column, field)[order], groups))]
    ends = starts if item.function == "min" else starts + lengths - 1
    return values_of(column.take(by_value[ends]), field, zone)
