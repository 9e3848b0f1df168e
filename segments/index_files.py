"""Opening the index files of sealed segments, each verified first: Annoy crashes on bad bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from walvec.segments.files import is_intact, logger, segment_folder
from walvec.segments.index import IndexSpec, IndexUnreadable, VectorIndex, needs_file, open_index
from walvec.segments.state import Collection, Segment, index_file
from walvec.wal.schema import Schema

_unreadable: set[int] = set()
"""Indexes that were said to be unreadable."""

Damaged = Callable[[int, str], None]
"""Called with (segment id, file name) for a file that is not as recorded."""


def open_index_files(
    collection: Collection, segment: Segment, segments_folder: Path, damaged: Damaged
) -> dict[int, VectorIndex]:
    """The indexes of a segment that are built and as recorded, by index id."""
    folder = segment_folder(segments_folder, segment.id)
    opened = {}
    for index in collection.indexes.values():
        record = segment.files.get(index_file(index))
        if record is None or not needs_file(index):
            continue
        if not is_intact(folder / index_file(index), record):
            damaged(segment.id, index_file(index))
            continue
        found = open_index_file(index, folder, segment.rows, collection.schema)
        if found is not None:
            opened[index.id] = found
    return opened


def open_index_file(
    index: IndexSpec, folder: Path, rows: int, schema: Schema
) -> VectorIndex | None:
    """An index whose file is known to be whole; None, said once, where no library can read it."""
    dim = schema.by_id[index.field_id].dim
    try:
        return open_index(index, folder / index_file(index), rows, dim)
    except IndexUnreadable as reason:
        if index.id not in _unreadable:
            _unreadable.add(index.id)
            logger.warning("%s; its searches are exact", reason)
        return None
