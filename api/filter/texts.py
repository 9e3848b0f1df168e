"""Conditions on VARCHAR columns, on their UTF-8 bytes: equality, lists, prefix, suffix, infix.

UTF-8 sorts as its code points do, and no character's bytes lie within another's, so that
bytes may be compared for characters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from walvec.filter.numbers import COMPARE
from walvec.filter.reader import Evaluate, Mask, Reader
from walvec.wal.rows import Array, Column

BLOCK_BYTES = 1 << 20
"""About so many bytes of text are compared at once; bounds the memory."""

Positions = npt.NDArray[np.intp]


def _bounds(column: Column) -> tuple[Array, Array]:
    assert column.offsets is not None
    return column.offsets[:-1], column.offsets[1:]


def _matching(data: Array, starts: Array, rows: Positions, wanted: bytes) -> Positions:
    """Those of `rows` whose bytes from `starts[row]` on are `wanted`. They must be long enough."""
    if not wanted or not len(rows):
        return rows
    rows = rows[data[starts[rows]] == wanted[0]]
    size = len(wanted)
    pattern = np.frombuffer(wanted, np.uint8)
    places = np.arange(size)
    step = max(1, BLOCK_BYTES // size)
    found = []
    for first in range(0, len(rows), step):
        block = rows[first : first + step]
        same = (data[starts[block][:, np.newaxis] + places] == pattern).all(axis=1)
        found.append(block[same])
    return np.concatenate(found) if found else rows


def _mask(n: int, rows: Positions) -> Mask:
    mask = np.zeros(n, np.bool_)
    mask[rows] = True
    return mask


def equal(field_id: int, value: str) -> Evaluate:
    """`field == value`."""
    wanted = value.encode()

    def evaluate(reader: Reader) -> Mask:
        column = reader.column(field_id)
        starts, stops = _bounds(column)
        rows = np.flatnonzero(stops - starts == len(wanted))
        return _mask(reader.n, _matching(column.values, starts, rows, wanted))

    return evaluate


def prefix(field_id: int, value: str) -> Evaluate:
    """`field like "value%"`."""
    wanted = value.encode()

    def evaluate(reader: Reader) -> Mask:
        column = reader.column(field_id)
        starts, stops = _bounds(column)
        rows = np.flatnonzero(stops - starts >= len(wanted))
        return _mask(reader.n, _matching(column.values, starts, rows, wanted))

    return evaluate


def suffix(field_id: int, value: str) -> Evaluate:
    """`field like "%value"`."""
    wanted = value.encode()

    def evaluate(reader: Reader) -> Mask:
        column = reader.column(field_id)
        starts, stops = _bounds(column)
        rows = np.flatnonzero(stops - starts >= len(wanted))
        return _mask(reader.n, _matching(column.values, stops - len(wanted), rows, wanted))

    return evaluate


def infix(field_id: int, value: str) -> Evaluate:
    """`field like "%value%"`, for a value that is not empty."""
    wanted = value.encode()

    def evaluate(reader: Reader) -> Mask:
        column = reader.column(field_id)
        starts, stops = _bounds(column)
        data = column.values.tobytes()
        mask = np.zeros(reader.n, np.bool_)
        at = data.find(wanted)
        while at >= 0:
            # The last row that starts here or before; empty rows before it start here too.
            row = int(np.searchsorted(starts, at, "right")) - 1
            stop = int(stops[row])
            if at + len(wanted) <= stop:
                mask[row] = True
                at = data.find(wanted, stop)
            else:
                at = data.find(wanted, at + 1)
        return mask

    return evaluate


def is_in(field_id: int, values: Sequence[str]) -> Evaluate:
    """Whether each text is one of the values."""
    by_size: dict[int, list[bytes]] = {}
    for wanted in {v.encode() for v in values}:
        by_size.setdefault(len(wanted), []).append(wanted)

    def evaluate(reader: Reader) -> Mask:
        column = reader.column(field_id)
        starts, stops = _bounds(column)
        sizes = stops - starts
        mask = np.zeros(reader.n, np.bool_)
        for size, same_size in by_size.items():
            rows = np.flatnonzero(sizes == size)
            mask[_one_of(column.values, starts, rows, size, same_size)] = True
        return mask

    return evaluate


def _one_of(
    data: Array, starts: Array, rows: Positions, size: int, wanted: list[bytes]
) -> Positions:
    """Those of `rows`, all of one size, that are one of `wanted`, all of that size."""
    if len(wanted) == 1 or not size:
        return _matching(data, starts, rows, wanted[0])
    # numpy's strings ignore zero bytes at the end, which makes no two of one size the same.
    dtype = np.dtype(f"S{size}")
    values = np.array(wanted, dtype)
    places = np.arange(size)
    step = max(1, BLOCK_BYTES // size)
    found = [rows[:0]]
    for first in range(0, len(rows), step):
        block = rows[first : first + step]
        texts = data[starts[block][:, np.newaxis] + places].view(dtype).reshape(-1)
        found.append(block[np.isin(texts, values)])
    return np.concatenate(found)


def ordered(field_id: int, op: str, value: str) -> Evaluate:
    """`field < value` and its like."""
    compare = COMPARE[op]
    return each(field_id, lambda text: bool(compare(text, value)))


def each(field_id: int, test: Callable[[str], bool]) -> Evaluate:
    """A test of one text after the other."""

    def evaluate(reader: Reader) -> Mask:
        texts = reader.column(field_id).texts()
        return np.fromiter(map(test, texts), np.bool_, reader.n)

    return evaluate


def compare_columns(left_id: int, op: str, right_id: int) -> Evaluate:
    """`left op right` of two VARCHAR fields."""
    compare = COMPARE[op]

    def evaluate(reader: Reader) -> Mask:
        pairs = zip(reader.column(left_id).texts(), reader.column(right_id).texts(), strict=True)
        return np.fromiter((compare(a, b) for a, b in pairs), np.bool_, reader.n)

    return evaluate
