"""Opening the index files of sealed segments, each verified first: Annoy crashes on bad bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from walvec.segments.files import identity, is_intact, is_mapped, logger, segment_folder
from walvec.segments.growing import FixedColumns, GrowingColumns
from walvec.segments.index import IndexSpec, IndexUnreadable, VectorIndex, needs_file, open_index
from walvec.segments.lookup import ScalarIndex
from walvec.segments.scalar_index import OpenScalarIndex, open_scalar_index
from walvec.segments.state import Collection, FileRecord, Segment, index_file
from walvec.wal.schema import Schema

_unreadable: set[tuple[Path, int]] = set()
"""Indexes that were said to be unreadable, by the folder of the store's segments and id."""

Damaged = Callable[[int, str], None]
"""Called with (segment id, file name) for a file that is not as recorded."""


Columns = FixedColumns | GrowingColumns


class NotAsRecorded(Exception):
    """A file is missing, or is not the one that the log describes."""


class OpenIndexes(NamedTuple):
    """Opened indexes of one segment."""

    vectors: dict[int, VectorIndex]
    """By index id."""
    scalars: dict[int, ScalarIndex]
    """By field id."""

    def add(self, index: IndexSpec, opened: VectorIndex | OpenScalarIndex) -> None:
        """Put an index in its place."""
        if isinstance(opened, OpenScalarIndex):
            self.scalars[index.field_id] = opened
        else:
            self.vectors[index.id] = opened

    def among(self, index_ids: set[int]) -> OpenIndexes:
        """Those with one of these ids."""
        vectors = {i: x for i, x in self.vectors.items() if i in index_ids}
        scalars = {f: x for f, x in self.scalars.items() if x.index_id in index_ids}
        return OpenIndexes(vectors, scalars)


def open_index_files(
    collection: Collection,
    segment: Segment,
    columns: Columns,
    segments_folder: Path,
    damaged: Damaged,
) -> OpenIndexes:
    """The indexes of a segment that are built and as recorded. columns: the segment's."""
    folder = segment_folder(segments_folder, segment.id)
    opened = OpenIndexes({}, {})
    for index in collection.indexes.values():
        record = segment.files.get(index_file(index))
        if record is None or not needs_file(index):
            continue
        try:
            mapped = is_mapped({**collection.properties, **index.properties})
            found = open_index_file(
                index, folder, record, columns, collection.schema, mapped=mapped
            )
        except NotAsRecorded:
            damaged(segment.id, index_file(index))
            continue
        if found is not None:
            opened.add(index, found)
    return opened


def open_index_file(
    index: IndexSpec,
    folder: Path,
    record: FileRecord,
    columns: Columns,
    schema: Schema,
    *,
    mapped: bool,
) -> VectorIndex | OpenScalarIndex | None:
    """An index, if its file is as recorded; None, said once, where no library can read it.

    Raises NotAsRecorded, also where the file is taken away or replaced meanwhile.
    """
    path = folder / index_file(index)
    before = identity(path)
    if before is None or not is_intact(path, record):
        raise NotAsRecorded(str(path))
    unreadable: IndexUnreadable | None = None
    opened = None
    try:
        opened = _open(index, path, columns, schema, mapped=mapped)
    except IndexUnreadable as reason:
        unreadable = reason
    # The name was opened once more: what that gave must be what was verified.
    if identity(path) != before:
        raise NotAsRecorded(str(path))
    if unreadable is not None and (folder.parent, index.id) not in _unreadable:
        _unreadable.add((folder.parent, index.id))
        without = "filters scan" if index.is_scalar else "its searches are exact"
        logger.warning("%s; %s", unreadable, without)
    return opened


def _open(
    index: IndexSpec, path: Path, columns: Columns, schema: Schema, *, mapped: bool
) -> VectorIndex | OpenScalarIndex:
    field = schema.by_id[index.field_id]
    if not index.is_scalar:
        valid = columns.column(field.id, columns.n).valid
        return open_index(index, path, field, columns.n, valid, mapped=mapped)
    try:
        return open_scalar_index(index.id, index.index_type, field, path, columns.n, mapped=mapped)
    except (OSError, ValueError) as error:
        raise IndexUnreadable(f"index {index.name}, file {path}: {error}") from error
