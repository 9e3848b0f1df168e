"""The terms of a scalar index in ascending order: which of them a lookup means.

Numbers are an array, texts their bytes one after the other with ends; both are searched by
halving. Values are compared as a scan compares them: with an integer field exactly, with a
float field after rounding to its type, as Milvus does.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from walvec.segments.lookup import Lookup, Value
from walvec.wal.rows import Array

Spans = Array
"""(m, 2) int64: half-open ranges of ranks, ascending, none of them empty, without overlap."""


class Terms(Protocol):
    """Values in ascending order; their places in it are ranks."""

    def __len__(self) -> int: ...

    def spans(self, lookup: Lookup) -> Spans | None:
        """The terms that match an "in", "range" or "prefix" lookup; of "any" and "all" the same
        as of "in". None where these terms cannot tell."""


class NumberTerms:
    """Numbers, perhaps with repeats: bools, integers or floats."""

    def __init__(self, values: Array) -> None:
        """values: (m,) ascending, without NaN. Kept."""
        self._values = values.view(np.uint8) if values.dtype == np.bool_ else values
        self._whole = self._values.dtype.kind != "f"
        if self._whole:
            limits = np.iinfo(self._values.dtype)
            self._low, self._high = int(limits.min), int(limits.max)

    def __len__(self) -> int:
        return len(self._values)

    def spans(self, lookup: Lookup) -> Spans | None:
        """As `Terms.spans`."""
        if any(isinstance(value, bytes) or value != value for value in lookup.values):
            return None
        if lookup.kind == "prefix":
            return None
        if lookup.kind == "range":
            return self._range(lookup)
        if len(lookup.values) == 1:
            (value,) = lookup.values
            return self._span(*(self._rank(value, after=after) for after in (False, True)))
        keys = self._keys(lookup.values)
        first = self._values.searchsorted(keys, "left")
        last = self._values.searchsorted(keys, "right")
        found = np.stack([first, last], axis=1)
        return found[last > first]

    def _range(self, lookup: Lookup) -> Spans:
        (low, high), (low_closed, high_closed) = lookup.values, lookup.closed
        first = 0 if low is None else self._rank(low, after=not low_closed)
        last = len(self) if high is None else self._rank(high, after=high_closed)
        return self._span(first, last)

    def _span(self, first: int, last: int) -> Spans:
        return np.array([(first, last)] if first < last else [], np.int64).reshape(-1, 2)

    def _keys(self, values: Sequence[Value | None]) -> Array:
        """Those of the values that the type can hold, ascending, each once."""
        dtype = self._values.dtype
        numbers = [v for v in values if isinstance(v, int | float)]
        if not self._whole:
            return np.unique(np.array([_rounded(v, dtype) for v in numbers], dtype))
        whole = {int(v) for v in numbers if isinstance(v, int) or v.is_integer()}
        return np.array(sorted(v for v in whole if self._low <= v <= self._high), dtype)

    def _rank(self, value: Value | None, *, after: bool) -> int:
        """How many terms are less than a value, or with `after` not greater."""
        assert isinstance(value, int | float)
        dtype = self._values.dtype
        if not self._whole:
            key = _rounded(value, dtype)
            return int(self._values.searchsorted(key, "right" if after else "left"))
        if isinstance(value, float) and not value.is_integer():
            if math.isinf(value):
                return 0 if value < 0 else len(self)
            value, after = math.floor(value), True
        if value < self._low:
            return 0
        if value > self._high:
            return len(self)
        return int(self._values.searchsorted(dtype.type(value), "right" if after else "left"))


def _rounded(value: float, dtype: np.dtype[Any]) -> Any:
    try:
        with np.errstate(over="ignore"):
            return dtype.type(np.float64(value))
    except OverflowError:  # an integer of more than 1,024 bits
        return dtype.type(math.copysign(math.inf, value))


class TextTerms:
    """Texts as UTF-8, each once. Their bytes order as their characters do."""

    def __init__(self, data: Array, ends: Array) -> None:
        """data: uint8; ends: (m,), where each text ends in it. Kept."""
        self._data = data.data
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, rank: int) -> bytes:
        start = self._ends.item(rank - 1) if rank else 0
        return bytes(self._data[start : self._ends.item(rank)])

    def spans(self, lookup: Lookup) -> Spans | None:
        """As `Terms.spans`."""
        if not all(value is None or isinstance(value, bytes) for value in lookup.values):
            return None
        found = []
        if lookup.kind == "range":
            found = [self._range(lookup)]
        elif lookup.kind == "prefix":
            found = [self._prefix(lookup.values[0])]
        else:
            rank = 0
            for value in sorted(v for v in set(lookup.values) if isinstance(v, bytes)):
                rank = bisect_left(self, value, rank)
                if rank == len(self):
                    break
                found.append((rank, rank + (self[rank] == value)))
        kept = [(first, last) for first, last in found if first < last]
        return np.array(kept, np.int64).reshape(-1, 2)

    def _range(self, lookup: Lookup) -> tuple[int, int]:
        (low, high), (low_closed, high_closed) = lookup.values, lookup.closed
        first, last = 0, len(self)
        if isinstance(low, bytes):
            first = (bisect_left if low_closed else bisect_right)(self, low)
        if isinstance(high, bytes):
            last = (bisect_right if high_closed else bisect_left)(self, high)
        return first, last

    def _prefix(self, prefix: Value | None) -> tuple[int, int]:
        assert isinstance(prefix, bytes)
        first = bisect_left(self, prefix)
        # What follows all texts with the prefix: it, with its last byte raised. No byte of UTF-8
        # is 0xFF, so there is no carry, but for the empty prefix.
        if not prefix:
            return first, len(self)
        return first, bisect_left(self, prefix[:-1] + bytes([prefix[-1] + 1]), first)
