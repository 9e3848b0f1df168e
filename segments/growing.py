"""Growable columns: append-only, so that the first n rows never change and need no lock.

A reader takes slices [0:n] of the arrays that are current when it looks; growing replaces an
array by a larger copy and leaves the old one to those who hold it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from walvec.segments.memory import allocate
from walvec.wal.rows import OFFSETS, Array, Column, Rows, filled_column, item_dtype
from walvec.wal.schema import DataType, Field, Schema

FIRST_ROWS = 256
FIRST_TEXT_BYTES = 1 << 14


class GrowableArray:
    """An array of rows that grows by appending. `data[:n]` is what was appended."""

    __slots__ = ("data", "n")

    def __init__(
        self, row_shape: tuple[int, ...], dtype: Any, capacity: int, *, all_used: bool = False
    ) -> None:
        self.data = allocate((capacity, *row_shape), dtype, all_used=all_used)
        self.n = 0

    def reserve(self, wanted: int, reserve_rows: int = 0) -> None:
        """Make room for `wanted` rows in all; at the first growth at once for `reserve_rows`."""
        if wanted <= len(self.data):
            return
        capacity = max(wanted, 2 * len(self.data), reserve_rows)
        larger = allocate((capacity, *self.data.shape[1:]), self.data.dtype)
        larger[: self.n] = self.data[: self.n]
        self.data = larger

    def append(self, values: Array, reserve_rows: int = 0) -> None:
        """Copy rows to the end."""
        end = self.n + len(values)
        if end > len(self.data):
            self.reserve(end, reserve_rows)
        self.data[self.n : end] = values
        self.n = end


class GrowingColumn:
    """One column that grows."""

    __slots__ = ("_inner", "_offsets", "_valid", "_values")

    def __init__(self, field: Field, capacity: int, *, all_used: bool) -> None:
        self._offsets: GrowableArray | None = None
        self._inner: GrowableArray | None = None
        self._valid: GrowableArray | None = None
        dtype = item_dtype(field)
        if field.is_text or field.is_array:
            self._values = GrowableArray((), dtype, max(FIRST_TEXT_BYTES, capacity))
            self._offsets = _growable_offsets(capacity)
            if field.is_array and field.element_type is DataType.VARCHAR:
                self._inner = _growable_offsets(capacity)
        else:
            shape = (field.width,) if field.is_vector else ()
            self._values = GrowableArray(shape, dtype, capacity, all_used=all_used)

    def append(self, column: Column, n_before: int, reserve_rows: int) -> None:
        """Copy a batch's column to the end."""
        if column.valid is not None or self._valid is not None:
            self._append_valid(column, n_before, reserve_rows)
        if self._offsets is None:
            self._values.append(column.values, reserve_rows)
            return
        items = self._values.n
        if self._inner is not None:
            items = self._inner.n - 1
            _append_offsets(self._inner, column.inner, self._values.n, 0)
        self._values.append(column.values)
        _append_offsets(self._offsets, column.offsets, items, reserve_rows + 1)

    def _append_valid(self, column: Column, n_before: int, reserve_rows: int) -> None:
        if self._valid is None:
            valid = GrowableArray((), np.bool_, max(FIRST_ROWS, n_before))
            valid.append(np.ones(n_before, np.bool_))
            self._valid = valid
        valid_rows = np.ones(len(column), np.bool_) if column.valid is None else column.valid
        self._valid.append(valid_rows, reserve_rows)

    def column(self, n: int) -> Column:
        """The first n rows, not copied."""
        valid = None if self._valid is None else self._valid.data[:n]
        if self._offsets is None:
            return Column(self._values.data[:n], None, valid)
        offsets = self._offsets.data[: n + 1]
        items = offsets[n]
        if self._inner is None:
            return Column(self._values.data[:items], offsets, valid)
        inner = self._inner.data[: items + 1]
        return Column(self._values.data[: inner[items]], offsets, valid, inner)


def _growable_offsets(capacity: int) -> GrowableArray:
    offsets = GrowableArray((), OFFSETS, capacity + 1)
    offsets.append(np.zeros(1, OFFSETS))
    return offsets


def _append_offsets(
    growing: GrowableArray, offsets: Array | None, items: int, reserve_rows: int
) -> None:
    """Offsets of a batch whose items come after `items` others."""
    assert offsets is not None, "a column of another kind"
    growing.append(offsets[1:] + (items - int(offsets[0])), reserve_rows)


class GrowingColumns:
    """All columns of a segment in memory, by field id."""

    mapped = False

    def __init__(
        self,
        schema: Schema,
        capacity: int = FIRST_ROWS,
        reserve_rows: int = 0,
        *,
        all_used: bool = False,
    ) -> None:
        """capacity: rows to make room for, `all_used` if so many come. reserve_rows: the room
        that is made when the first has been used up."""
        self._fields = {f.id: GrowingColumn(f, capacity, all_used=all_used) for f in schema.fields}
        self._reserve_rows = reserve_rows
        self.n = 0

    def append(self, rows: Rows) -> None:
        """Copy a batch to the end."""
        for field_id, growing in self._fields.items():
            growing.append(rows.columns[field_id], self.n, self._reserve_rows)
        self.n += rows.n

    def add(self, field: Field) -> None:
        """One column more, with the field's default in all rows."""
        growing = GrowingColumn(field, max(self.n, 1), all_used=False)
        growing.append(filled_column(field, self.n), 0, self._reserve_rows)
        self._fields = {**self._fields, field.id: growing}

    def column(self, field_id: int, n: int) -> Column:
        """The first n rows of one column, not copied."""
        return self._fields[field_id].column(n)


class FixedColumns:
    """The columns of a sealed segment, as they came from a file: read, or `mapped`."""

    def __init__(self, rows: Rows, *, mapped: bool = False) -> None:
        self._columns = rows.columns
        self.n = rows.n
        self.mapped = mapped

    def add(self, field: Field) -> None:
        """One column more, with the field's default in all rows."""
        self._columns = {**self._columns, field.id: filled_column(field, self.n)}

    def complete(self, schema: Schema) -> None:
        """Add the fields that the schema got after the file was written."""
        for field in schema.fields:
            if field.id not in self._columns:
                self.add(field)

    def column(self, field_id: int, n: int) -> Column:
        """The first n rows of one column: all of them, but for a view of the segment as it grew."""
        column = self._columns[field_id]
        return column if n == self.n else column.slice(0, n)
