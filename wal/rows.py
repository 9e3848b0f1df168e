"""A batch of rows as columns, and its payload bytes in the log.

A column is one of

    fixed     values (n,) or (n, dim), C order, little endian; offsets None
    text      values (bytes,) uint8: UTF-8 of all rows one after the other;
              offsets (n + 1,) int64: row i is values[offsets[i]:offsets[i + 1]]

and either may carry `valid`, (n,) bool, False where the row is null.

The payload is the columns' buffers one after the other, each starting at a multiple of 16
from the start of the payload (zero bytes between). What they are stands in the event's body
as `layout`, one tuple a buffer, in order:

    (field id, part, numpy dtype string, items per row or 0 for 1-D, number of bytes)

with part "v" for values, "o" for offsets, "n" for valid. Numbers are little endian. The
primary key's column comes first, so that counting rows touches few pages.
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
    DataType.FLOAT_VECTOR: np.dtype("<f4"),
}
OFFSETS = np.dtype("<i8")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a batch. Arrays are shared, never copied, and must not be written to."""

    values: Array
    offsets: Array | None = None
    valid: Array | None = None

    def __len__(self) -> int:
        return len(self.values) if self.offsets is None else len(self.offsets) - 1

    def slice(self, start: int, stop: int) -> Column:
        """Rows start to stop, without copying the values."""
        valid = None if self.valid is None else self.valid[start:stop]
        if self.offsets is None:
            return Column(self.values[start:stop], None, valid)
        offsets = self.offsets[start : stop + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        return Column(self.values[first:last], offsets - first, valid)

    def take(self, positions: Array) -> Column:
        """The rows at `positions`, (m,) integers, copied."""
        valid = None if self.valid is None else self.valid[positions]
        if self.offsets is None:
            return Column(self.values[positions], None, valid)
        starts, stops = self.offsets[positions], self.offsets[positions + 1]
        lengths = stops - starts
        offsets = np.zeros(len(lengths) + 1, OFFSETS)
        np.cumsum(lengths, out=offsets[1:])
        # Source position of every byte: its row's start plus its place in the row.
        source = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return Column(self.values[source], offsets, valid)

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
        lengths = np.concatenate([np.diff(_offsets(c)) for c in columns])
        offsets = np.zeros(len(lengths) + 1, OFFSETS)
        np.cumsum(lengths, out=offsets[1:])
        return cls(values, offsets, valid)


def _offsets(column: Column) -> Array:
    assert column.offsets is not None, "text and fixed columns mixed"
    return column.offsets


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
    columns = {i: Column(p["v"], p.get("o"), p.get("n")) for i, p in parts.items()}
    for field_id, column in columns.items():
        if len(column) != n:
            raise ValueError(f"field {field_id} has {len(column)} rows, not {n}")
    return Rows(n, columns)


def empty_column(field: Field) -> Column:
    """A column of no rows with the field's physical type."""
    if field.is_text:
        return Column(np.empty(0, np.uint8), np.zeros(1, OFFSETS))
    shape = (0, field.dim) if field.is_vector else (0,)
    return Column(np.empty(shape, DTYPES[field.type]))


def columns_in_log_order(schema: Schema, columns: dict[int, Column]) -> dict[int, Column]:
    """The same columns, the primary key's first."""
    pk = schema.primary.id
    return dict(sorted(columns.items(), key=lambda item: (item[0] != pk, item[0])))
