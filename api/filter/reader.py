"""What a filter reads: the columns of the rows in question, each fetched and decoded once."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from walvec.filter.explain import Step
from walvec.filter.json_column import extracted
from walvec.filter.json_path import Keys
from walvec.filter.json_values import JsonColumn
from walvec.segments.lookup import ScalarIndex
from walvec.wal.rows import Array, Column

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


class Source(Protocol):
    """Rows of a segment."""

    @property
    def n(self) -> int:
        """How many."""

    @property
    def scalars(self) -> dict[int, ScalarIndex]:
        """The scalar indexes of all n rows, by field id."""

    def column(self, field_id: int) -> Column:
        """A field's n rows, not to be changed."""


class Texts(NamedTuple):
    """n texts: text i is data[starts[i]:stops[i]], UTF-8, wherever that lies."""

    data: Array
    starts: Array
    stops: Array

    @classmethod
    def of(cls, column: Column) -> Texts:
        """The rows of a text column."""
        assert column.offsets is not None
        return cls(column.values, column.offsets[:-1], column.offsets[1:])

    def at(self, rows: Array) -> Texts:
        """The texts at some rows."""
        return Texts(self.data, self.starts[rows], self.stops[rows])


class Reader:
    """Some rows of a source, for one evaluation of a filter: all, or the candidates that are left.

    What it gives is for those rows, in order: `n` of them.
    """

    __slots__ = ("_columns", "_paths", "counts", "n", "positions", "source", "trace")

    def __init__(
        self, source: Source, positions: Rows | None = None, trace: list[Step] | None = None
    ) -> None:
        self.source = source
        self.positions = positions
        self.n = source.n if positions is None else len(positions)
        self.trace = trace
        self.counts: dict[int, int | None] = {}
        """What indexes said, by the id of the condition that asked."""
        self._columns: dict[int, Column] = {}
        self._paths: dict[tuple[int, Keys], JsonColumn] = {}

    def at(self, rows: Rows) -> Reader:
        """A reader of some of these rows."""
        positions = rows if self.positions is None else self.positions[rows]
        return Reader(self.source, positions, self.trace)

    def all(self) -> Mask:
        """A mask of all rows, new."""
        return np.ones(self.n, np.bool_)

    def column(self, field_id: int) -> Column:
        """A field's rows. Of candidates they are copied."""
        found = self._columns.get(field_id)
        if found is None:
            found = self.source.column(field_id)
            if self.positions is not None:
                found = found.take(self.positions)
            self._columns[field_id] = found
        return found

    def values(self, field_id: int) -> tuple[Array, Mask | None]:
        """The values of a field of fixed size, and which are not null; None for all."""
        column = self.column(field_id)
        return column.values, column.valid

    def texts(self, field_id: int) -> tuple[Texts, Mask | None]:
        """The rows of a VARCHAR field, never copied, and which are not null."""
        column = self.source.column(field_id)
        texts, valid = Texts.of(column), column.valid
        if self.positions is None:
            return texts, valid
        return texts.at(self.positions), None if valid is None else valid[self.positions]

    def bounds(self, field_id: int) -> tuple[Column, Array, Array, Mask | None]:
        """Of an ARRAY field: all elements of all rows of the source, where in them the elements of
        each of these rows start and stop, and which rows are not null."""
        column = self.source.column(field_id)
        assert column.offsets is not None
        starts, stops, valid = column.offsets[:-1], column.offsets[1:], column.valid
        if self.positions is not None:
            starts, stops = starts[self.positions], stops[self.positions]
            valid = None if valid is None else valid[self.positions]
        return column.elements(), starts, stops, valid

    def path(self, field_id: int, keys: Keys) -> JsonColumn:
        """What stands at a path in each row of a JSON field."""
        found = self._paths.get((field_id, keys))
        if found is None:
            found = extracted(self.source.column(field_id), keys, self.positions)
            self._paths[field_id, keys] = found
        return found
