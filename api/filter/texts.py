"""Comparisons of texts, on their UTF-8 bytes, eight at a time.

UTF-8 sorts as its code points do, and no character's bytes lie within another's, so that
bytes may be compared for characters. Eight bytes that are read as a big-endian number sort as
they do; past the end of a text there are zeros, and where two texts then look the same the
longer one is the greater.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from walvec.filter.numbers import COMPARE
from walvec.filter.reader import Mask, Rows, Texts
from walvec.wal.rows import Array

BLOCK_BYTES = 1 << 20
"""About so many bytes of text are compared at once; bounds the memory."""

Words = npt.NDArray[np.uint64]


def words(texts: Texts, skip: int) -> Words:
    """Eight bytes of each text from byte `skip` on, as big-endian numbers, zeros past the end."""
    data = texts.data
    if len(data) < 8:
        data = np.concatenate([data, np.zeros(8, np.uint8)])
    # Every place of the bytes as a number of its own: not aligned, which numpy can read.
    numbers: Array = np.ndarray((len(data) - 7,), ">u8", data, strides=(1,))
    starts = texts.starts + skip
    places = np.minimum(starts, len(data) - 8)
    found: Words = numbers[places].astype(np.uint64)
    moved = starts - places
    if moved.any():
        shift = np.minimum(moved, 7).astype(np.uint64) * np.uint64(8)
        found = np.where(moved < 8, found << shift, np.uint64(0))
    left = texts.stops - starts
    short = left < 8
    if short.any():
        cut = np.uint64(8) * (8 - np.clip(left, 1, 8)).astype(np.uint64)
        found = np.where(left <= 0, np.uint64(0), (found >> cut) << cut)
    return found


def _words_of(value: bytes) -> list[int]:
    return [
        int.from_bytes(value[i : i + 8].ljust(8, b"\0"), "big") for i in range(0, len(value), 8)
    ]


def _starting(texts: Texts, rows: Rows, value: bytes) -> Rows:
    """Those of `rows`, all long enough, whose text begins with a value."""
    for place, wanted in enumerate(_words_of(value)):
        if not len(rows):
            break
        found = words(texts.at(rows), 8 * place)
        cut = np.uint64(8 * max(0, 8 * place + 8 - len(value)))
        rows = rows[(found >> cut) == np.uint64(wanted >> int(cut))]
    return rows


def _mask(n: int, rows: Rows) -> Mask:
    mask = np.zeros(n, np.bool_)
    mask[rows] = True
    return mask


def equal(texts: Texts, value: bytes) -> Mask:
    """Texts that are a value."""
    rows = np.flatnonzero(texts.stops - texts.starts == len(value))
    return _mask(len(texts.starts), _starting(texts, rows, value))


def prefix(texts: Texts, value: bytes) -> Mask:
    """Texts that begin with a value."""
    rows = np.flatnonzero(texts.stops - texts.starts >= len(value))
    return _mask(len(texts.starts), _starting(texts, rows, value))


def suffix(texts: Texts, value: bytes) -> Mask:
    """Texts that end with a value."""
    rows = np.flatnonzero(texts.stops - texts.starts >= len(value))
    ends = Texts(texts.data, texts.stops - len(value), texts.stops)
    return _mask(len(texts.starts), _starting(ends, rows, value))


def compare(texts: Texts, op: str, value: bytes) -> Mask:
    """`text op value`."""
    if op in {"==", "!="}:
        found = equal(texts, value)
        return found if op == "==" else ~found
    order = np.zeros(len(texts.starts), np.int8)
    tied: Array = np.arange(len(order))
    for place, wanted in enumerate(_words_of(value)):
        bytes_of = words(texts.at(tied) if place else texts, 8 * place)
        order[tied] = _order(bytes_of, np.uint64(wanted))
        tied = tied[bytes_of == np.uint64(wanted)]
        if not len(tied):
            break
    else:
        order[tied] = np.sign((texts.stops - texts.starts)[tied] - len(value))
    answer: Mask = COMPARE[op](order, 0)
    return answer


def compare_two(left: Texts, op: str, right: Texts) -> Mask:
    """`left op right`, row by row."""
    lengths = left.stops - left.starts, right.stops - right.starts
    order = np.zeros(len(left.starts), np.int8)
    tied: Array = np.arange(len(order))
    if op in {"==", "!="}:
        order[:] = lengths[0] != lengths[1]
        tied = np.flatnonzero(order == 0)
    longest = np.maximum(*lengths)
    skip = 0
    while len(tied):
        ended = longest[tied] <= skip
        done = tied[ended]
        order[done] = np.sign(lengths[0][done] - lengths[1][done])
        tied = tied[~ended]
        a, b = words(left.at(tied), skip), words(right.at(tied), skip)
        order[tied] = _order(a, b)
        tied = tied[a == b]
        skip += 8
    answer: Mask = COMPARE[op](order, 0)
    return answer


def _order(a: Words, b: Words | np.uint64) -> Array:
    return (a > b).astype(np.int8) - (a < b)


class Wanted:
    """The values of a list, by their sizes."""

    def __init__(self, values: Iterable[bytes]) -> None:
        by_size: dict[int, list[bytes]] = {}
        for value in set(values):
            by_size.setdefault(len(value), []).append(value)
        # numpy's strings ignore zero bytes at the end, which makes no two of one size the same.
        self.by_size = {
            size: np.sort(np.array(same_size, f"S{max(1, size)}"))
            for size, same_size in by_size.items()
        }


def is_in(texts: Texts, wanted: Wanted) -> Mask:
    """Texts that are one of the values."""
    sizes = texts.stops - texts.starts
    mask = np.zeros(len(sizes), np.bool_)
    for size, values in wanted.by_size.items():
        rows = np.flatnonzero(sizes == size)
        mask[_one_of(texts, rows, size, values)] = True
    return mask


def _one_of(texts: Texts, rows: Rows, size: int, values: Array) -> Rows:
    """Those of `rows`, all of one size, that are one of the values, all of that size."""
    if len(values) == 1:
        return _starting(texts, rows, values[0].ljust(size, b"\0"))
    places = np.arange(size)
    step = max(1, BLOCK_BYTES // size)
    found = [rows[:0]]
    for first in range(0, len(rows), step):
        block = rows[first : first + step]
        bytes_of = texts.data[texts.starts[block][:, np.newaxis] + places]
        found.append(block[np.isin(bytes_of.view(values.dtype).reshape(-1), values)])
    return np.concatenate(found)
