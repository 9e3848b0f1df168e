"""Querying a view: rows by filter or key, in an order, by page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from walvec.filter import Filter
from walvec.ordering import Order, order_keys, sorted_places
from walvec.output import Output, column_at, rows_at, rows_of
from walvec.reading import Piece, Reader
from walvec.segments.view import Place
from walvec.wal.rows import Column
from walvec.wal.schema import Field


class Page(NamedTuple):
    """Which of the rows go out: `limit` of them, None for all, after the first `offset`."""

    limit: int | None = None
    offset: int = 0
    order: tuple[Order, ...] = ()

    @property
    def end(self) -> int | None:
        """The row after the last."""
        return None if self.limit is None else self.offset + self.limit


def query(
    reader: Reader, compiled: Filter | None, output: Output, page: Page
) -> list[dict[str, Any]]:
    """The rows that match, in the order of their insertion unless another is asked for.

    A filter that asks for keys gives them in the order in which it names them.
    """
    pks = None if compiled is None else compiled.pks(reader.info.schema)
    if pks is not None:
        return by_places(reader.places(pks), output, page)
    if page.order:
        return rows_at(_ordered(list(reader.pieces(compiled)), page), output)
    rows: list[dict[str, Any]] = []
    skip, left = page.offset, page.limit
    for segment, found in reader.pieces(compiled, page.end):
        taken = found[skip:] if left is None else found[skip : skip + left]
        skip = max(0, skip - len(found))
        if len(taken):
            rows += rows_of(segment, taken, output)
            left = None if left is None else left - len(taken)
        if left == 0:
            break
    return rows


def by_places(places: list[Place], output: Output, page: Page) -> list[dict[str, Any]]:
    """The rows at places, in their order unless another is asked for."""
    if page.order and places:
        keys = order_keys(page.order, partial(column_at, places))
        places = [places[i] for i in sorted_places(page.order, keys).tolist()]
    return rows_at(places[page.offset : page.end], output)


def column_of(pieces: Sequence[Piece], field: Field) -> Column:
    """A field's column of all the rows, one piece after the other."""
    return Column.concatenate([s.column(field.id).take(rows) for s, rows in pieces])


def _ordered(pieces: Sequence[Piece], page: Page) -> list[Place]:
    """A page of the rows in an order."""
    if not pieces:
        return []
    keys = order_keys(page.order, partial(column_of, pieces))
    numbers = sorted_places(page.order, keys)[page.offset : page.end]
    starts = np.array([0, *accumulate(len(piece.rows) for piece in pieces)])
    which = np.searchsorted(starts, numbers, "right") - 1
    return [
        (pieces[p].segment, int(pieces[p].rows[number - starts[p]]))
        for p, number in zip(which.tolist(), numbers.tolist(), strict=True)
    ]
