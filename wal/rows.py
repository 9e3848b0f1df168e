"""A batch of rows as columns, and its payload bytes in the log.

A column is one of

    fixed     values (n,) or (n, width), C order, little endian; offsets None
    text      values (bytes,) uint8: UTF-8 of all rows one after the other;
              offsets (n + 1,) int64: row i is values[offsets[i]:offsets[i + 1]]
    array     values (items,) of the element's type, offsets (n + 1,) into them as for text;
              of texts: values (bytes,) uint8, offsets (n + 1,) into the elements, and
              inner (elements + 1,) int64: element j is values[inner[j]:inner[j + 1]]

and each may carry `valid`, (n,) bool, False where the row is null; values are zero, texts and
arrays empty there. A vector of FLOAT16 is float16, of BFLOAT16 the upper half of a float32 as
uint16, of bits uint8 with the first bit highest; a TIMESTAMPTZ is microseconds since 1970, UTC.

The payload is the columns' buffers one after the other, each starting at a multiple of 16
from the start of the payload (zero bytes between). What they are stands in the event's body
as `layout`, one tuple a buffer, in order:

    (field id, part, numpy dtype string, items per row or 0 for 1-D, number of bytes)

with part "v" for values, "o" for offsets, "i" for inner, "n" for valid. Numbers are little
endian. The primary key's column comes first, so that counting rows touches few pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from walvec.wal.schema import DataType, Field, Schema

Array = npt.NDArray[Any]
Layout = tuple[tuple[int, str, str, int, int], ...]

ALIGNMENT = 16
DTYPES: dict[DataType, np.dtype[Any]] = {
    DataType.BOOL: np.dtype("|b1"),
    DataType.INT8: np.dtype("|i1"),
    DataType.INT16: np.dtype("<i2"),
    DataType.INT32: np.dtype("<i4"),
    DataType.INT64: np.dtype("<i8"),
    DataType.FLOAT: np.dtype("<f4"),
    DataType.DOUBLE: np.dtype("<f8"),
    DataType.VARCHAR: np.dtype("|u1"),
    DataType.JSON: np.dtype("|u1"),
    DataType.TIMESTAMPTZ: np.dtype("<i8"),
    DataType.FLOAT_VECTOR: np.dtype("<f4"),
    DataType.FLOAT16_VECTOR: np.dtype("<f2"),
    DataType.BFLOAT16_VECTOR: np.dtype("<u2"),
    DataType.INT8_VECTOR: np.dtype("|i1"),
    DataType.BINARY_VECTOR: np.dtype("|u1"),
}
"""Of the items in a column's values."""
OFFSETS = np.dtype("<i8")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a batch. Arrays are shared, never copied, and must not be written to."""

    values: Array
    offsets: Array | None = None
    valid: Array | None = None
    inner: Array | None = None

    def __len__(self) -> int:
        return len(self.values) if self.offsets is None else len(self.offsets) - 1

    def slice(self, start: int, stop: int) -> Column:
        """Rows start to stop, without copying the values."""
        valid = None if self.valid is None else self.valid[start:stop]
        if self.offsets is None:
            return Column(self.values[start:stop], None, valid)
        offsets = self.offsets[start : stop + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        if self.inner is None:
            return Column(self.values[first:last], offsets - first, valid)
        items = self._items().slice(first, last)
        return Column(items.values, offsets - first, valid, items.offsets)

    def take(self, positions: Array) -> Column:
        """The rows at `positions`, (m,) integers, copied."""
        valid = None if self.valid is None else self.valid[positions]
        if self.offsets is None:
            return Column(self.values[positions], None, valid)
        starts, stops = self.offsets[positions], self.offsets[positions + 1]
        lengths = stops - starts
        offsets = np.zeros(len(lengths) + 1, OFFSETS)
        np.cumsum(lengths, out=offsets[1:])
        # Source position of every item: its row's start plus its place in the row.
        source = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        if self.inner is None:
            return Column(self.values[source], offsets, valid)
        items = self._items().take(source)
        return Column(items.values, offsets, valid, items.offsets)

    def _items(self) -> Column:
        """The elements of all rows of an array of texts, as a text column."""
        return Column(self.values, self.inner)

    def elements(self) -> Column:
        """The elements of all rows of an array, one after the other."""
        return Column(self.values) if self.inner is None else self._items()

    def text(self, row: int) -> str:
        """Row `row` of a text column."""
        assert self.offsets is not None
        return str(self.values[self.offsets[row] : self.offsets[row + 1]].tobytes(), "utf-8")

    def texts(self) -> list[str]:
        """All rows of a text column."""
        assert self.offsets is not None
        data = self.values.tobytes()
        bounds = (self.offsets - self.offsets[0]).tolist()
        return [str(data[a:b], "utf-8") for a, b in pairwise(bounds)]

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> Column:
        """A text column of Python strings."""
        encoded = [t.encode() for t in texts]
        offsets = np.zeros(len(encoded) + 1, OFFSETS)
        np.cumsum(np.fromiter(map(len, encoded), OFFSETS, len(encoded)), out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    @classmethod
    def concatenate(cls, columns: Sequence[Column]) -> Column:
        """The columns' rows one after the other, copied."""
        if len(columns) == 1:
            return columns[0]
        values = np.concatenate([c.values for c in columns])
        valid = None
        if any(c.valid is not None for c in columns):
            valid = np.concatenate(
                [np.ones(len(c), bool) if c.valid is None else c.valid for c in columns]
            )
        if columns[0].offsets is None:
            return cls(values, None, valid)
        inner = None
        if columns[0].inner is not None:
            inner = _joined([_present(c.inner) for c in columns])
        return cls(values, _joined([_present(c.offsets) for c in columns]), valid, inner)


def _present(part: Array | None) -> Array:
    assert part is not None, "columns of different kinds"
    return part


def _joined(parts: Sequence[Array]) -> Array:
    """Offsets of columns that are put one after the other."""
    lengths = np.concatenate([np.diff(part) for part in parts])
    offsets = np.zeros(len(lengths) + 1, OFFSETS)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


@dataclass(frozen=True, slots=True)
class Rows:
    """n rows as columns by field id. A column that the log leaves out (auto ids) is absent."""

    n: int
    columns: dict[int, Column]

    def slice(self, start: int, stop: int) -> Rows:
        """Rows start to stop, without copying the values."""
        return Rows(stop - start, {i: c.slice(start, stop) for i, c in self.columns.items()})

    def take(self, positions: Array) -> Rows:
        """The rows at `positions`, (m,) integers, copied."""
        return Rows(len(positions), {i: c.take(positions) for i, c in self.columns.items()})

    def nbytes(self) -> int:
        """Bytes of all buffers."""
        return sum(part.nbytes for _, _, part in _parts(self.columns))


def _parts(columns: dict[int, Column]) -> Iterator[tuple[int, str, Array]]:
    for field_id, column in columns.items():
        yield field_id, "v", column.values
        if column.offsets is not None:
            yield field_id, "o", column.offsets
        if column.inner is not None:
            yield field_id, "i", column.inner
        if column.valid is not None:
            yield field_id, "n", column.valid


def encode_rows(rows: Rows, alignment: int = ALIGNMENT) -> tuple[Layout, list[Any]]:
    """The layout and the buffers (to be joined) of a batch. Nothing is copied unless strided."""
    layout: list[tuple[int, str, str, int, int]] = []
    buffers: list[Any] = []
    for field_id, part, array in _parts(rows.columns):
        size = array.nbytes
        per_row = array.shape[1] if array.ndim == 2 else 0
        layout.append((field_id, part, array.dtype.str, per_row, size))
        buffers.append(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        if gap := -size % alignment:
            buffers.append(bytes(gap))
    return tuple(layout), buffers


def decode_rows(n: int, layout: Layout, payload: Any, alignment: int = ALIGNMENT) -> Rows:
    """The batch in a payload. The arrays are views of `payload`, which must outlive them.

    Raises ValueError where layout and payload do not fit each other.
    """
    parts: dict[int, dict[str, Array]] = {}
    position = 0
    for field_id, part, dtype, per_row, size in layout:
        item = np.dtype(dtype)
        if item.hasobject or size % item.itemsize:
            raise ValueError(f"field {field_id} part {part}: {size} bytes of {dtype}")
        array = (
            np.frombuffer(payload, item, size // item.itemsize, position)
            if size
            else (np.empty(0, item))
        )
        parts.setdefault(field_id, {})[part] = array.reshape(-1, per_row) if per_row else array
        position += size + -size % alignment
    if position != len(payload):
        raise ValueError(f"layout covers {position} bytes, payload has {len(payload)}")
    columns = {i: Column(p["v"], p.get("o"), p.get("n"), p.get("i")) for i, p in parts.items()}
    for field_id, column in columns.items():
        if len(column) != n:
            raise ValueError(f"field {field_id} has {len(column)} rows, not {n}")
    return Rows(n, columns)


def item_dtype(field: Field) -> np.dtype[Any]:
    """The type of the items in the values of a field's column."""
    return DTYPES[field.element_type if field.is_array else field.type]


def empty_column(field: Field) -> Column:
    """A column of no rows with the field's physical type."""
    return filled_column(field, 0)


def filled_column(field: Field, n: int) -> Column:
    """n rows that have the field's default, or are null where it has none (a dynamic field: no
    keys)."""
    is_null = n and field.default is None and not field.is_dynamic
    valid = np.zeros(n, np.bool_) if is_null else None
    dtype = item_dtype(field)
    if field.is_vector:
        return Column(np.zeros((n, field.width), dtype), None, valid)
    if field.is_array or field.is_text:
        text = str(field.default or ("{}" if field.is_dynamic else "")).encode()
        inner = np.zeros(1, OFFSETS) if field.element_type is DataType.VARCHAR else None
        offsets = np.arange(n + 1, dtype=OFFSETS) * len(text)
        return Column(np.tile(np.frombuffer(text, dtype), n), offsets, valid, inner)
    return Column(np.full(n, field.default or 0, dtype), None, valid)


def completed(rows: Rows, schema: Schema) -> Rows:
    """The rows with the fields that the schema got after they were written."""
    if len(rows.columns) == len(schema.fields):
        return rows
    absent = [f for f in schema.fields if f.id not in rows.columns]
    columns = {f.id: filled_column(f, rows.n) for f in absent}
    return Rows(rows.n, {**rows.columns, **columns})


def columns_in_log_order(schema: Schema, columns: dict[int, Column]) -> dict[int, Column]:
    """The same columns, the primary key's first."""
    pk = schema.primary.id
    return dict(sorted(columns.items(), key=lambda item: (item[0] != pk, item[0])))
