"""Extents: which log entries rows come from, as (seq of the entry, rows in it), in order.

A plain list of pairs in the memory of numbers, 16 bytes a pair: a state has as many as there
were batches, and a copy of it, or its bytes, must cost no more than copying them.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import overload

import numpy as np

from walvec.wal.rows import Array

PAIR_BYTES = 16


class Extents:
    """Pairs (seq, rows), appended one at a time. Comparable, not hashable."""

    __slots__ = ("_words",)

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._words = array("q", (number for pair in pairs for number in pair))

    @classmethod
    def joined(cls, parts: Iterable[Extents]) -> Extents:
        """All pairs of several, one after the other."""
        whole = cls()
        for part in parts:
            whole._words += part._words
        return whole

    @classmethod
    def in_order(cls, parts: Iterable[Extents]) -> Extents:
        """All pairs of several in the order of their seqs."""
        pairs = cls.joined(parts).pairs()
        whole = cls()
        whole._words.frombytes(pairs[np.argsort(pairs[:, 0], kind="stable")].tobytes())
        return whole

    @classmethod
    def from_bytes(cls, data: bytes) -> Extents:
        """The reverse of `to_bytes`. Raises ValueError for half a pair."""
        if len(data) % PAIR_BYTES:
            raise ValueError(f"extents of {len(data)} bytes are not whole pairs of {PAIR_BYTES}")
        extents = cls()
        extents._words.frombytes(data)
        if sys.byteorder == "big":
            extents._words.byteswap()
        return extents

    def to_bytes(self) -> bytes:
        """Seq and rows in turn, 8 bytes each, signed, little endian."""
        if sys.byteorder == "big":
            swapped = self._words[:]
            swapped.byteswap()
            return swapped.tobytes()
        return self._words.tobytes()

    def append(self, pair: tuple[int, int]) -> None:
        """Add one pair."""
        self._words.extend(pair)

    def after(self, seq: int) -> Extents:
        """The pairs with a greater seq, of extents in the order of their seqs."""
        return self[bisect_right(self._words[::2], seq) :]

    def copy(self) -> Extents:
        """Another with the same pairs."""
        other = Extents.__new__(Extents)
        other._words = self._words[:]
        return other

    def pairs(self) -> Array:
        """All pairs, copied: (n, 2) int64, seqs and rows."""
        # A view would forbid the array to grow for as long as it lives.
        return np.array(self._words, np.int64).reshape(-1, 2)

    @property
    def rows(self) -> int:
        """The rows of all pairs."""
        return sum(self._words[1::2])

    def __len__(self) -> int:
        return len(self._words) // 2

    def __iter__(self) -> Iterator[tuple[int, int]]:
        numbers = iter(self._words)
        return zip(numbers, numbers, strict=True)

    @overload
    def __getitem__(self, place: int) -> tuple[int, int]: ...

    @overload
    def __getitem__(self, place: slice) -> Extents: ...

    def __getitem__(self, place: int | slice) -> tuple[int, int] | Extents:
        if isinstance(place, slice):
            first, stop, step = place.indices(len(self))
            if step == 1:
                part = Extents()
                part._words = self._words[2 * first : 2 * max(first, stop)]
                return part
            return Extents(self[i] for i in range(first, stop, step))
        if not -len(self) <= place < len(self):
            raise IndexError(f"extent {place} of {len(self)}")
        place %= len(self)
        return self._words[2 * place], self._words[2 * place + 1]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Extents):
            return NotImplemented
        return self._words == other._words

    def __repr__(self) -> str:
        return f"Extents({list(self)})"
