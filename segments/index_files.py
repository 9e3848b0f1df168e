"""Opening the index files of sealed segments, each verified first: Annoy crashes on bad bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from walvec.segments.files import identity, is_intact, is_mapped, logger, segment_folder
from walvec.segments.index import IndexSpec, IndexUnreadable, VectorIndex, needs_file, open_index
from walvec.segments.state import Collection, FileRecord, Segment, index_file
from walvec.wal.schema import Schema

_unreadable: set[tuple[Path, int]] = set()
"""Indexes that were said to be unreadable, by the folder of the store's segments and id."""

Damaged = Callable[[int, str], None]
"""Called with (segment id, file name) for a file that is not as recorded."""


class NotAsRecorded(Exception):
    """A file is missing, or is not the one that the log describes."""


def open_index_files(
    collection: Collection, segment: Segment, segments_folder: Path, damaged: Damaged
) -> dict[int, VectorIndex]:
    """The indexes of a segment that are built and as recorded, by index id."""
    folder = segment_folder(segments_folder, segment.id)
    mapped = is_mapped(collection.properties)
    opened = {}
    for index in collection.indexes.values():
        record = segment.files.get(index_file(index))
        if record is None or not needs_file(index):
            continue
        try:
            found = open_index_file(
                index, folder, record, segment.rows, collection.schema, mapped=mapped
            )
        except NotAsRecorded:
            damaged(segment.id, index_file(index))
            continue
        if found is not None:
            opened[index.id] = found
    return opened


def open_index_file(
    index: IndexSpec,
    folder: Path,
    record: FileRecord,
    rows: int,
    schema: Schema,
    *,
    mapped: bool,
) -> VectorIndex | None:
    """An index, if its file is as recorded; None, said once, where no library can read it.

    Raises NotAsRecorded, also where the file is taken away or replaced meanwhile.
    """
    path = folder / index_file(index)
    before = identity(path)
    if before is None or not is_intact(path, record):
        raise NotAsRecorded(str(path))
    dim = schema.by_id[index.field_id].dim
    unreadable: IndexUnreadable | None = None
    opened = None
    try:
        opened = open_index(index, path, rows, dim, mapped=mapped)
    except IndexUnreadable as reason:
        unreadable = reason
    # The library opened the name once more: what it has must be what was verified.
    if identity(path) != before:
        raise NotAsRecorded(str(path))
    if unreadable is not None and (folder.parent, index.id) not in _unreadable:
        _unreadable.add((folder.parent, index.id))
        logger.warning("%s; its searches are exact", unreadable)
    return opened
