"""A loaded collection: its segments in memory, kept up to date event by event."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from walvec.segments.deaths import died_at
from walvec.segments.extents import Extents
from walvec.segments.files import MMAP_PROPERTY, read_columns, segment_folder
from walvec.segments.growing import FixedColumns, GrowingColumns
from walvec.segments.index_files import Damaged, OpenIndexes, open_index_files
from walvec.segments.loaded_segment import LoadedSegment, rows_in
from walvec.segments.log_rows import read_pks, read_segment
from walvec.segments.mapping import columns_of_file, maps_some
from walvec.segments.pk_index import PkIndex, pk_values
from walvec.segments.state import COLUMNS_FILE, Collection, Segment
from walvec.segments.view import SegmentView, View
from walvec.wal.errors import MemoryException
from walvec.wal.events import (
    CollectionLoaded,
    CollectionReleased,
    CollectionTruncated,
    Event,
    FieldAdded,
    FieldAltered,
    PartitionCreated,
    PartitionDropped,
    PartitionsReleased,
    RowsDeleted,
    RowsExpired,
    RowsInserted,
    SegmentsMerged,
    SegmentsSealed,
)
from walvec.wal.log import Log
from walvec.wal.rows import Column, Rows
from walvec.wal.schema import Field


class LoadedCollection:
    """Rows of one collection in memory. Changed by one thread at a time, see LoadedSegment."""

    def __init__(self, collection: Collection, max_bytes: int) -> None:
        self.id = collection.id
        self.schema = collection.schema
        self.partitions = set(collection.loaded_partitions)
        self.loads_new = collection.loads_new
        self._max_bytes = max_bytes
        self._segments: dict[int, LoadedSegment] = {}

    @classmethod
    def materialize(
        cls, collection: Collection, log: Log, folder: Path, max_bytes: int, damaged: Damaged
    ) -> LoadedCollection:
        """Read the rows of loaded partitions, from the segments' files where they are as recorded,
        else from the log.

        Raises LogCorruptedException, MemoryException.
        """
        loaded = cls(collection, max_bytes)
        try:
            for segment in collection.segments.values():
                if segment.partition in loaded.partitions:
                    loaded._segments[segment.id] = loaded._read(
                        collection, segment, log, folder, damaged
                    )
            loaded._resolve_deaths(collection, log)
            for read in loaded._segments.values():
                segment = collection.segments[read.id]
                if segment.sealed:
                    read.seal()
                    indexes = open_index_files(collection, segment, read.columns, folder, damaged)
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
            return self._segment_of(segment, columns)
        record = segment.files.get(COLUMNS_FILE)
        if record is not None:
            mapped = maps_some(self.schema, collection.properties)
            path = segment_folder(folder, segment.id) / COLUMNS_FILE
            rows_read = read_columns(path, record, mapped=mapped)
            if rows_read is not None:
                columns_read = columns_of_file(
                    rows_read, self.schema, collection.properties, mapped=mapped
                )
                return self._segment_of(segment, columns_read)
            damaged(segment.id, COLUMNS_FILE)
        return self._segment_of(segment, read_segment(log, segment.extents, self.schema))

    def _segment_of(
        self, segment: Segment, columns: GrowingColumns | FixedColumns
    ) -> LoadedSegment:
        return LoadedSegment(
            segment.id,
            self.schema,
            columns,
            partition=segment.partition,
            extents=segment.extents.copy(),
            growing=not segment.sealed,
        )

    def _resolve_deaths(self, collection: Collection, log: Log) -> None:
        """Find the dead rows of all segments at once. Rows of partitions that are not loaded may
        have replaced some."""
        segments = [s for s in collection.segments.values() if s.id in self._segments]
        if not segments:
            return
        others = [s.extents for s in collection.segments.values() if s.id not in self._segments]
        pks = Column.concatenate([self._segments[s.id].pk_column(s.rows) for s in segments])
        born = np.concatenate([np.repeat(*s.extents.pairs().T) for s in segments])
        tombstones = Extents.in_order([collection.deletes, *others])
        deleted, deleted_at = read_pks(log, tombstones, self.schema)
        died = died_at(pks, born, deleted, deleted_at)
        died[born <= collection.expired] = collection.expired
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
                if segment_id in self._segments:
                    self._segments[segment_id].seal()
        elif isinstance(event, SegmentsMerged):
            self._merge(event)
        elif isinstance(event, RowsExpired):
            self._expire(event.until, seq)
        elif isinstance(event, CollectionTruncated):
            self._segments = {}
        else:
            self._follow_catalog(event)

    def _follow_catalog(self, event: Event) -> None:
        match event:
            case CollectionLoaded():
                self.loads_new = True
            case CollectionReleased():
                self.loads_new = False
                self._let_go(set(self.partitions))
            case PartitionCreated() if self.loads_new:
                self.partitions.add(event.partition)
            case PartitionDropped():
                self._let_go({event.partition})
            case PartitionsReleased():
                self._let_go(set(event.partitions))
                self.loads_new &= bool(self.partitions)
            case FieldAdded():
                field = Field.from_data(event.field)
                self.schema = self.schema.with_field(field)
                for segment in self._segments.values():
                    segment.add_field(self.schema, field)
            case FieldAltered():
                self.schema = self.schema.with_field(Field.from_data(event.field))
                for segment in self._segments.values():
                    segment.schema = self.schema

    def _let_go(self, partitions: set[int]) -> None:
        self.partitions -= partitions
        kept = {i: s for i, s in self._segments.items() if s.partition not in partitions}
        self._segments = kept

    def _expire(self, until: int, seq: int) -> None:
        """The rows of entries up to `until` are gone; segments without any other, too."""
        kept = {i: s for i, s in self._segments.items() if s.extents[-1][0] > until}
        for segment in kept.values():
            segment.expire(until, seq)
        self._segments = kept

    def _insert(self, seq: int, event: RowsInserted, rows: Rows) -> None:
        column = rows.columns[self.schema.primary.id]
        pks = pk_values(column)
        self._kill(seq, pks, column)
        if event.partition not in self.partitions:
            return
        segment = self._segments.get(event.segment)
        if segment is None:
            segment = LoadedSegment.growing(
                event.segment, event.partition, self.schema, self._max_bytes
            )
            self._segments[event.segment] = segment
        first = segment.append(seq, rows, pks)
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
        if event.sources[0] not in self._segments:
            return  # of a partition that is not loaded
        sources = [self._segments[i] for i in event.sources]
        columns = GrowingColumns(self.schema, capacity=max(1, sum(s.columns.n for s in sources)))
        for source in sources:
            n = source.columns.n
            parts = {f.id: source.columns.column(f.id, n) for f in self.schema.fields}
            columns.append(Rows(n, parts))
        merged = LoadedSegment(
            event.target,
            self.schema,
            columns,
            partition=sources[0].partition,
            extents=Extents.joined(s.extents for s in sources),
        )
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
            SegmentView(s, s.columns.n, s.deaths, seq, s.indexes, s.scalars)
            for s in self._segments.values()
            if s.columns.n
        )
        return View(seq, self.id, self.schema, segments, frozenset(self.partitions))

    def attach(self, segment_id: int, indexes: OpenIndexes) -> None:
        """Search and filter a segment by these indexes, if it is still there."""
        segment = self._segments.get(segment_id)
        if segment is not None:
            segment.attach(indexes.vectors, indexes.scalars)

    def read_from(self, segment_id: int, columns: FixedColumns, pks: PkIndex) -> None:
        """Read the rows of a sealed segment from somewhere else, if it is still there."""
        segment = self._segments.get(segment_id)
        if segment is not None:
            segment.read_from(columns, pks)

    def keep_indexes(self, index_ids: set[int]) -> None:
        """Let go of the indexes that are not among these."""
        for segment in self._segments.values():
            segment.keep_indexes(index_ids)
