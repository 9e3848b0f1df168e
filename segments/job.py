"""A job: a sealed segment whose files may have to be made."""

from __future__ import annotations

from typing import NamedTuple

from walvec.segments.extents import Extents
from walvec.segments.index import IndexSpec, needs_file
from walvec.segments.log_rows import read_segment
from walvec.segments.state import Collection, FileRecord, Segment
from walvec.wal.log import Log
from walvec.wal.rows import Rows
from walvec.wal.schema import Schema


class Job(NamedTuple):
    """A segment with what the log says of its files, and the names of those to make. A copy: the
    state goes on."""

    collection_id: int
    schema: Schema
    segment_id: int
    rows: int
    extents: Extents
    files: dict[str, FileRecord]
    indexes: list[IndexSpec]
    missing: list[str]

    def read(self, log: Log) -> Rows:
        """The segment's rows, from the log. Raises LogCorruptedException."""
        columns = read_segment(log, self.extents, self.schema)
        return Rows(columns.n, {f.id: columns.column(f.id, columns.n) for f in self.schema.fields})


def job_of(collection: Collection, segment: Segment, missing: list[str]) -> Job:
    """The job of making some of a segment's files."""
    return Job(
        collection_id=collection.id,
        schema=collection.schema,
        segment_id=segment.id,
        rows=segment.rows,
        extents=segment.extents.copy(),
        files=dict(segment.files),
        indexes=[i for i in collection.indexes.values() if needs_file(i)],
        missing=missing,
    )
