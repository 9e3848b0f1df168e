"""Reading a view: rows by key and by filter, turned into what users get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from walvec.filter import Filter
from walvec.output import by_segment, column_at
from walvec.results import ExtraList
from walvec.segments.catalog import CollectionInfo
from walvec.segments.pk_index import pk_values
from walvec.segments.view import (
    Place,
    Predicate,
    SegmentView,
    View,
    selected,
    selected_rows,
)
from walvec.wal.rows import Array, Column


class Piece(NamedTuple):
    """Rows of one segment, (m,) ascending."""

    segment: SegmentView
    rows: Array


class Reader:
    """Reads one view of one collection, as it is after the entry `seq` of the log."""

    __slots__ = ("info", "seq", "view")

    def __init__(self, view: View, info: CollectionInfo, seq: int) -> None:
        self.view = view
        self.info = info
        self.seq = seq

    def places(self, pks: Column) -> list[Place]:
        """Where the visible rows with these keys are, in their order; each key counts once."""
        find = self.view.find
        return [p for p in map(find, dict.fromkeys(pk_values(pks))) if p is not None]

    def pieces(self, compiled: Filter | None, end: int | None = None) -> Iterator[Piece]:
        """The rows that match, segment by segment, in the order of their insertion. `end`: of no
        segment more than so many are needed."""
        predicate = None if compiled is None else compiled.mask
        for segment in self.view.segments:
            mask = selected(segment, predicate)
            if mask is None:
                rows: Array = np.arange(segment.n if end is None else min(end, segment.n))
            else:
                rows = np.flatnonzero(mask)
            yield Piece(segment, rows)

    def count(self, compiled: Filter | None) -> int:
        """How many rows match."""
        predicate = None if compiled is None else compiled.mask
        masks = ((s.n, selected(s, predicate)) for s in self.view.segments)
        return sum(n if mask is None else int(np.count_nonzero(mask)) for n, mask in masks)

    def pieces_at(self, places: list[Place]) -> list[Piece]:
        """The rows at places, segment by segment."""
        return [Piece(segment, rows) for segment, _, rows in by_segment(places)]

    def matching_pks(self, predicate: Predicate) -> Column:
        """The primary keys of the rows that match."""
        primary = self.info.schema.primary.id
        parts = [s.column(primary).take(selected_rows(s, predicate)) for s in self.view.segments]
        return Column.concatenate(parts) if parts else Column(np.empty(0, np.int64))

    def pks_at(self, places: list[Place]) -> list[Any]:
        """Primary keys of rows."""
        return pk_values(column_at(places, self.info.schema.primary)) if places else []

    def sealed_only(self) -> Reader:
        """The same without the rows of growing segments."""
        segments = tuple(s for s in self.view.segments if s.segment.sealed)
        return Reader(self.view._replace(segments=segments), self.info, self.seq)

    def answer(self, rows: list[dict[str, Any]]) -> ExtraList:
        """Rows as a call gives them back."""
        return ExtraList(rows, extra={"seq": self.seq})
