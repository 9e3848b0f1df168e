"""A loaded collection: its segments in memory, kept up to date event by event."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from walvec.segments.deaths import died_at
from walvec.segments.files import MMAP_PROPERTY, is_mapped, read_columns, segment_folder
from walvec.segments.growing import FixedColumns, GrowingColumns
from walvec.segments.index import VectorIndex
from walvec.segments.index_files import Damaged, open_index_files
from walvec.segments.loaded_segment import LoadedSegment, rows_in
from walvec.segments.log_rows import read_pks, read_segment
from walvec.segments.pk_index import PkIndex, pk_values
from walvec.segments.state import COLUMNS_FILE, Collection, Segment
from walvec.segments.view import SegmentView, View
from walvec.wal.errors import MemoryException
from walvec.wal.events import (
    Event,
    RowsDeleted,
    RowsInserted,
    SegmentsMerged,
    SegmentsSealed,
)
from walvec.wal.log import Log
from walvec.wal.rows import Column, Rows


class LoadedCollection:
    """Rows of one collection in memory. Changed by one thread at a time, see LoadedSegment."""

    def __init__(self, collection: Collection, max_bytes: int) -> None:
        self.id = collection.id
        self.schema = collection.schema
        self._max_bytes = max_bytes
        self._segments: dict[int, LoadedSegment] = {}

    @classmethod
    def materialize(
        cls, collection: Collection, log: Log, folder: Path, max_bytes: int, damaged: Damaged
    ) -> LoadedCollection:
        """Read all rows, from the segments' files where they are as recorded, else from the log.

        Raises LogCorruptedException, MemoryException.
        """
        loaded = cls(collection, max_bytes)
        try:
            for segment in collection.segments.values():
                loaded._segments[segment.id] = loaded._read(
                    collection, segment, log, folder, damaged
                )
            loaded._resolve_deaths(collection, log)
            for read in loaded._segments.values():
                segment = collection.segments[read.id]
                if segment.sealed:
                    read.seal()
                    indexes = open_index_files(collection, segment, folder, damaged)
                    loaded.attach(segment.id, indexes)
        except MemoryError as error:
            raise MemoryException(
                message=f"not enough memory to load collection {collection.name}: set its property "
                f"{MMAP_PROPERTY}, or make room"
            ) from error
        return loaded

    def _read(
        self, collection: Collection, segment: Segment, log: Log, folder: Path, damaged: Damaged
    ) -> LoadedSegment:
        if not segment.sealed:
            reserve = rows_in(self._max_bytes, self.schema)
            columns = read_segment(log, segment.extents, self.schema, reserve)
            return LoadedSegment(segment.id, self.schema, columns, growing=True)
        record = segment.files.get(COLUMNS_FILE)
        if record is not None:
            mapped = is_mapped(collection.properties)
            path = segment_folder(folder, segment.id) / COLUMNS_FILE
            rows_read = read_columns(path, record, mapped=mapped)
            if rows_read is not None:
                return LoadedSegment(
                    segment.id, self.schema, FixedColumns(rows_read, mapped=mapped)
                )
            damaged(segment.id, COLUMNS_FILE)
        return LoadedSegment(
            segment.id, self.schema, read_segment(log, segment.extents, self.schema)
        )

    def _resolve_deaths(self, collection: Collection, log: Log) -> None:
        """Find the dead rows of all segments at once."""
        segments = [s for s in collection.segments.values() if s.rows]
        if not segments:
            return
        pks = Column.concatenate([self._segments[s.id].pk_column(s.rows) for s in segments])
        born = np.concatenate([np.repeat(*s.extents.pairs().T) for s in segments])
        deleted, deleted_at = read_pks(log, collection.deletes, self.schema)
        died = died_at(pks, born, deleted, deleted_at)
        start = 0
        for segment in segments:
            self._segments[segment.id].set_died(died[start : start + segment.rows])
            start += segment.rows

    def follow(self, seq: int, event: Event, rows: Rows | None) -> None:
        """Take over one event. `rows` are those of its payload."""
        if isinstance(event, RowsInserted):
            assert rows is not None
            self._insert(seq, event, rows)
        elif isinstance(event, RowsDeleted):
            assert rows is not None
            column = rows.columns[self.schema.primary.id]
            self._kill(seq, pk_values(column), column)
        elif isinstance(event, SegmentsSealed):
            for segment_id in event.segments:
                self._segments[segment_id].seal()
        elif isinstance(event, SegmentsMerged):
            self._merge(event)

    def _insert(self, seq: int, event: RowsInserted, rows: Rows) -> None:
        column = rows.columns[self.schema.primary.id]
        pks = pk_values(column)
        self._kill(seq, pks, column)
        segment = self._segments.get(event.segment)
        if segment is None:
            segment = LoadedSegment.growing(event.segment, self.schema, self._max_bytes)
            self._segments[event.segment] = segment
        first = segment.append(rows, pks)
        if rows.n > 1 and len(set(pks)) < rows.n:
            last = {pk: first + i for i, pk in enumerate(pks)}
            again = [first + i for i, pk in enumerate(pks) if last[pk] != first + i]
            segment.kill(np.array(again, np.int64), seq)

    def _kill(self, seq: int, pks: list[object], column: Column) -> None:
        """Rows of these keys are dead from `seq` on, wherever they are."""
        if len(pks) == 1:
            for segment in self._segments.values():
                row = segment.pks.get(pks[0])
                if row >= 0:
                    segment.kill_one(row, seq)
            return
        array = column.values if column.offsets is None else None
        for segment in self._segments.values():
            rows = segment.pks.find(pks, array)
            rows = rows[rows >= 0]
            if len(rows):
                segment.kill(np.unique(rows), seq)

    def _merge(self, event: SegmentsMerged) -> None:
        sources = [self._segments[i] for i in event.sources]
        columns = GrowingColumns(self.schema, capacity=max(1, sum(s.columns.n for s in sources)))
        for source in sources:
            n = source.columns.n
            parts = {f.id: source.columns.column(f.id, n) for f in self.schema.fields}
            columns.append(Rows(n, parts))
        merged = LoadedSegment(event.target, self.schema, columns)
        merged.set_died(np.concatenate([s.died() for s in sources]))
        merged.seal()
        # In the place of the first one, as in the state.
        segments: dict[int, LoadedSegment] = {}
        for segment in self._segments.values():
            if segment.id == event.sources[0]:
                segments[merged.id] = merged
            elif segment.id not in event.sources:
                segments[segment.id] = segment
        self._segments = segments

    def forked(self) -> None:
        """This is a child: see LoadedSegment."""
        for segment in self._segments.values():
            segment.forked()

    def view(self, seq: int) -> View:
        """What is visible now, which is `seq`."""
        segments = tuple(
            SegmentView(s, s.columns.n, s.deaths, seq, s.indexes)
            for s in self._segments.values()
            if s.columns.n
        )
        return View(seq, self.id, self.schema, segments)

    def attach(self, segment_id: int, indexes: dict[int, VectorIndex]) -> None:
        """Search a segment by these indexes, given by id, if it is still there."""
        segment = self._segments.get(segment_id)
        for index_id, index in indexes.items():
            if segment is not None:
                segment.attach(index_id, index)

    def read_from(self, segment_id: int, columns: FixedColumns, pks: PkIndex) -> None:
        """Read the rows of a sealed segment from somewhere else, if it is still there."""
        segment = self._segments.get(segment_id)
        if segment is not None:
            segment.read_from(columns, pks)

    def keep_indexes(self, index_ids: set[int]) -> None:
        """Let go of the indexes that are not among these."""
        for segment in self._segments.values():
            segment.keep_indexes(index_ids)
