"""An opened scalar index: which rows of a segment a lookup finds.

The terms (`scalar_terms`) say which of them a lookup means, the lists or bits (layouts in
`scalar_file`) in which rows these are.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from walvec.segments.lookup import Lookup
from walvec.segments.scalar_file import Parts, read_parts
from walvec.segments.scalar_terms import NumberTerms, Spans, Terms, TextTerms
from walvec.wal.rows import Array
from walvec.wal.schema import Field

MASK_SHARE = 8
"""From one in so many rows on, marking rows in a mask and reading it is about as fast as sorting
them where numpy sorts with vector instructions, and faster where it does not."""
OF_ARRAYS = ("any", "all")


def open_scalar_index(
    index_id: int, index_type: str, field: Field, path: Path, n: int, *, mapped: bool
) -> OpenScalarIndex:
    """The index in a file of n rows, whose length and digest were compared with the log before.

    Raises OSError, MemoryError, and ValueError where it is not an index of so many rows.
    """
    parts = read_parts(path, mapped=mapped)
    if parts.n != n:
        raise ValueError(f"an index of {parts.n} rows, not {n}")
    return OpenScalarIndex(index_id, index_type, field, parts)


class _Resolved(NamedTuple):
    """The terms that a lookup means, of "all" those of each value, and how many rows that is."""

    spans: list[Spans]
    rows: int


class OpenScalarIndex:
    """A ScalarIndex (see lookup.py) in memory, or mapped."""

    def __init__(self, index_id: int, index_type: str, field: Field, parts: Parts) -> None:
        self.index_id = index_id
        self.index_type = index_type
        self.parts = parts
        self._is_array = field.is_array
        self._terms = _terms_of(parts)
        is_bits = parts.layout == "bits"
        self._found: _Found = _Bits(parts) if is_bits else _Lists(parts, is_array=field.is_array)
        self._last: tuple[Lookup, _Resolved | None] | None = None

    def count(self, lookup: Lookup) -> int | None:
        """How many rows match; of "any" and "all" at most so many; None: it cannot tell."""
        resolved = self._resolve(lookup)
        return None if resolved is None else resolved.rows

    def positions(self, lookup: Lookup) -> Array:
        """The rows that match, (m,) int64, ascending. Of a lookup that `count` can tell."""
        resolved = self._resolve(lookup)
        assert resolved is not None, f"{self.index_type} cannot tell {lookup}"
        # From the fewest on, so that little is left for the others.
        first, *others = sorted(resolved.spans, key=self._found.count)
        rows = self._found.rows(first, is_range=lookup.kind in ("range", "prefix"))
        for spans in others:
            if not len(rows):
                break
            more = self._found.rows(spans, is_range=False)
            rows = np.intersect1d(rows, more, assume_unique=True)
        return rows

    def _resolve(self, lookup: Lookup) -> _Resolved | None:
        """What a lookup means, None where the index cannot tell. The last is remembered: who
        plans counts several times, and then asks for the rows."""
        last = self._last
        if last is None or last[0] is not lookup:
            last = self._last = (lookup, self._resolved(lookup))
        return last[1]

    def _resolved(self, lookup: Lookup) -> _Resolved | None:
        if (lookup.kind in OF_ARRAYS) != self._is_array:
            return None
        lookups = [lookup]
        if lookup.kind == "all":
            lookups = [lookup._replace(values=(v,)) for v in dict.fromkeys(lookup.values)]
        found = [self._terms.spans(one) for one in lookups]
        spans = [one for one in found if one is not None]
        if not spans or len(spans) < len(found):
            return None
        return _Resolved(spans, min(self.parts.n, *map(self._found.count, spans)))


def _terms_of(parts: Parts) -> Terms:
    if "values" in parts.arrays:
        return NumberTerms(parts.arrays["values"])
    return TextTerms(parts.arrays["bytes"], parts.arrays["ends"])


class _Found(Protocol):
    """In which rows the terms are."""

    def count(self, spans: Spans) -> int:
        """How many (term, row) pairs there are."""

    def rows(self, spans: Spans, *, is_range: bool) -> Array:
        """The rows of all these terms, (m,) int64, ascending. is_range: a span may be of
        several distinct terms."""


class _Lists:
    """Layouts "terms" and "pairs": the rows stand term by term."""

    def __init__(self, parts: Parts, *, is_array: bool) -> None:
        self._n = parts.n
        self._is_array = is_array
        self._starts = parts.arrays.get("starts")
        self._rows = parts.arrays["rows"]

    def _places(self, spans: Spans) -> Array:
        """Where the rows of each span stand, (m, 2)."""
        return spans if self._starts is None else self._starts[spans].astype(np.int64)

    def count(self, spans: Spans) -> int:
        places = self._places(spans)
        return int((places[:, 1] - places[:, 0]).sum())

    def rows(self, spans: Spans, *, is_range: bool) -> Array:
        pieces = [self._rows[first:last] for first, last in self._places(spans).tolist()]
        if not pieces:
            return np.empty(0, np.int64)
        if len(pieces) == 1 and not is_range:
            return pieces[0].astype(np.int64)
        if sum(map(len, pieces)) * MASK_SHARE > self._n:
            mask = np.zeros(self._n, np.bool_)
            for piece in pieces:
                mask[piece] = True
            return np.flatnonzero(mask)
        rows = np.sort(np.concatenate(pieces)).astype(np.int64)
        # An array may have several of the elements asked for.
        return rows[np.append(True, rows[1:] != rows[:-1])] if self._is_array else rows


class _Bits:
    """Layout "bits": one bit a row for each term."""

    def __init__(self, parts: Parts) -> None:
        self._n = parts.n
        self._counts = parts.arrays["counts"]
        self._bits = parts.arrays["bits"].reshape(len(self._counts), -1)

    def count(self, spans: Spans) -> int:
        return sum(int(self._counts[first:last].sum()) for first, last in spans.tolist())

    def rows(self, spans: Spans, *, is_range: bool) -> Array:
        if not len(spans):
            return np.empty(0, np.int64)
        runs = [self._bits[rank] for first, last in spans.tolist() for rank in range(first, last)]
        merged = runs[0] if len(runs) == 1 else np.bitwise_or.reduce(runs)
        mask = np.unpackbits(merged, count=self._n, bitorder="little")
        return np.flatnonzero(mask.view(np.bool_))
