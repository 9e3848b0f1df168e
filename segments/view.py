"""The view: what a search or query reads. Immutable, taken without a lock."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any, NamedTuple

import numpy as np

from walvec.segments.index import VectorIndex
from walvec.segments.loaded_segment import LoadedSegment
from walvec.segments.lookup import ScalarIndex
from walvec.segments.masks import rows_of
from walvec.wal.rows import Array, Column
from walvec.wal.schema import Schema


class SegmentView(NamedTuple):
    """The first n rows of a segment as they were at a seq."""

    segment: LoadedSegment
    n: int
    deaths: int
    seq: int
    indexes: dict[int, VectorIndex]
    scalars: dict[int, ScalarIndex]
    """By field id; of a sealed segment, n rows each."""

    def column(self, field_id: int) -> Column:
        """A column of n rows, not copied."""
        return self.segment.columns.column(field_id, self.n)

    def alive(self) -> Array | None:
        """Visible rows, (n,) bool; None for all."""
        return self.segment.alive(self.n, self.deaths, self.seq)

    def find(self, pk: Any) -> int:
        """The visible row with a primary key, or -1."""
        segment = self.segment
        row = segment.pks.get(pk)
        if row >= self.n:
            row = self._older(pk)
        return row if row >= 0 and segment.is_alive(row, self.seq) else -1

    def _older(self, pk: Any) -> int:
        """The newest row of a key within the view, whose newest row of all came after it."""
        keys = self.segment.pk_column(self.n)
        if keys.offsets is None:
            places = np.flatnonzero(keys.values == pk)
        else:
            places = np.array([i for i, t in enumerate(keys.texts()) if t == pk], np.int64)
        return int(places[-1]) if len(places) else -1


Place = tuple[SegmentView, int]
"""A row."""


class View(NamedTuple):
    """A collection at a seq: its segments in the order of their rows.

    `partitions` are those whose rows are here, also where they have none.
    """

    seq: int
    collection: int
    schema: Schema
    segments: tuple[SegmentView, ...]
    partitions: frozenset[int]

    def within(self, partitions: Set[int]) -> View:
        """The segments of these partitions."""
        kept = tuple(s for s in self.segments if s.segment.partition in partitions)
        return self._replace(segments=kept, partitions=self.partitions & partitions)

    def find(self, pk: Any) -> Place | None:
        """Where the visible row with a primary key is. Newer segments are asked first."""
        for segment in reversed(self.segments):
            row = segment.find(pk)
            if row >= 0:
                return segment, row
        return None

    def row_count(self) -> int:
        """Visible rows."""
        return sum(s.n - s.deaths for s in self.segments)


Predicate = Callable[[SegmentView], Array]
"""A compiled filter: which of a segment's n rows match, (n,) bool."""


def selected(segment: SegmentView, predicate: Predicate | None) -> Array | None:
    """Rows that are visible and match the filter, (n,) bool; None for all of them."""
    alive = segment.alive()
    if predicate is None:
        return alive
    mask = predicate(segment)
    return mask if alive is None else mask & alive


def selected_rows(segment: SegmentView, predicate: Predicate | None) -> Array:
    """The rows that are visible and match the filter, (m,) int64, ascending."""
    mask = selected(segment, predicate)
    if mask is None:
        return np.arange(segment.n)
    return rows_of(mask, int(np.count_nonzero(mask)))
