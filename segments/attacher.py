"""Putting files into use: what any process has recorded serves the rows in this one's memory.

A collection in memory follows the log event by event; the files of its segments come later, and
often from another process. This compares the segments in memory with what the state records of
them, opens what is missing (each file verified first, without any lock of the store), and puts it
in place: indexes, and with mmap.enabled the columns, whose copy in memory is then free.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from walvec.segments.build_lock import is_being_made
from walvec.segments.caches import recorded_files
from walvec.segments.catalog import Published
from walvec.segments.files import (
    identity,
    is_intact,
    is_mapped,
    logger,
    read_columns,
    segment_folder,
)
from walvec.segments.growing import FixedColumns
from walvec.segments.index import IndexSpec, needs_file
from walvec.segments.index_files import (
    Columns,
    NotAsRecorded,
    OpenIndexes,
    open_index_file,
)
from walvec.segments.loaded import LoadedCollection
from walvec.segments.loaded_segment import keys_of
from walvec.segments.mapping import columns_of_file, maps_some
from walvec.segments.pk_index import PkIndex
from walvec.segments.state import COLUMNS_FILE, FileRecord, State, index_file
from walvec.segments.store import Store
from walvec.segments.worker import INTERVAL_S, Worker
from walvec.wal.schema import Schema

MAX_INTERVAL_S = 60.0
"""How rarely, in the end, a file is looked for that is recorded and not there."""


class Unused(NamedTuple):
    """A segment in memory and the recorded files that it does not use yet."""

    collection_id: int
    schema: Schema
    segment_id: int
    held: Columns
    properties: dict[str, str]
    indexes: list[tuple[IndexSpec, FileRecord]]
    columns: FileRecord | None


class Opened(NamedTuple):
    """What was opened for it."""

    indexes: OpenIndexes
    columns: tuple[FixedColumns, PkIndex] | None


class Attacher(Worker):
    """The worker of a handle that only reads: it puts into use what others have made."""

    name = "walvec-attacher"

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._suspects: set[tuple[int, str]] = set()
        self._useless: dict[tuple[int, str], tuple[FileRecord, tuple[int, ...] | None]] = {}
        self._said: set[tuple[int, str, object]] = set()
        self._patience = INTERVAL_S

    def damaged(self, collection_id: int, segment_id: int, name: str) -> None:
        """Look at a file: it may be damaged, or of a segment that is no more."""
        with self._mutex:
            self._suspects.add((segment_id, name))
        self._look_again()

    def _work(self) -> float | None:
        """Put files into use; look again at intervals for those that are not there."""
        self._attach_files()
        self._look_at_suspects()
        # Who repairs a file appends nothing to the log if it becomes as it was.
        self._patience = min(2 * self._patience, MAX_INTERVAL_S) if self._useless else INTERVAL_S
        return self._patience if self._useless else None

    def _look_at_suspects(self) -> None:
        with self._mutex:
            suspects, self._suspects = self._suspects, set()
        if not suspects:
            return
        recorded = self._store.with_state(recorded_files)
        for segment_id, name, record in recorded:
            path = segment_folder(self._store.segments_folder, segment_id) / name
            key = (segment_id, name)
            if key not in suspects or is_intact(path, record) or is_being_made(path.parent):
                continue
            if (*key, record) not in self._said:
                self._said.add((*key, record))
                logger.warning(
                    "file %s of segment %x is missing or damaged: a process that may write makes "
                    "it again, searches are exact meanwhile",
                    name,
                    segment_id,
                )

    def _attach_files(self) -> None:
        """Put into use what is recorded, whole, and not in use yet."""
        for unused in self._store.with_state(self._find_unused):
            if self._stopping:
                return
            opened = self._open(unused)
            if any(opened.indexes) or opened.columns:
                self._put_in_place(unused, opened)

    def _find_unused(self, state: State) -> list[Unused]:
        self._forget_useless(state)
        return list(_unused(state, self._store.published))

    def _forget_useless(self, state: State) -> None:
        if self._useless:
            recorded = {(i, name): record for i, name, record in recorded_files(state)}
            self._useless = {
                key: found for key, found in self._useless.items() if recorded.get(key) == found[0]
            }

    def _open(self, unused: Unused) -> Opened:
        folder = segment_folder(self._store.segments_folder, unused.segment_id)
        indexes = OpenIndexes({}, {})
        for index, record in unused.indexes:
            path = folder / index_file(index)
            if self._is_useless(unused.segment_id, path, record):
                continue
            seen = identity(path)
            try:
                mapped = is_mapped({**unused.properties, **index.properties})
                found = open_index_file(
                    index, folder, record, unused.held, unused.schema, mapped=mapped
                )
            except NotAsRecorded:
                self._note_damaged(unused.segment_id, path, record, seen)
                continue
            if found is None:
                self._useless[unused.segment_id, path.name] = (record, seen)
            else:
                indexes.add(index, found)
        return Opened(indexes, self._map_columns(unused, folder / COLUMNS_FILE))

    def _map_columns(self, unused: Unused, path: Path) -> tuple[FixedColumns, PkIndex] | None:
        record = unused.columns
        if record is None or self._is_useless(unused.segment_id, path, record):
            return None
        seen = identity(path)
        rows = read_columns(path, record, mapped=True)
        if rows is None:
            self._note_damaged(unused.segment_id, path, record, seen)
            return None
        columns = columns_of_file(rows, unused.schema, unused.properties, mapped=True)
        return columns, keys_of(columns.column(unused.schema.primary.id, columns.n))

    def _is_useless(self, segment_id: int, path: Path, record: FileRecord) -> bool:
        """Whether this very file was looked at before, and cannot be used."""
        found = self._useless.get((segment_id, path.name))
        return found is not None and found == (record, identity(path))

    def _note_damaged(
        self, segment_id: int, path: Path, record: FileRecord, seen: tuple[int, ...] | None
    ) -> None:
        self._useless[segment_id, path.name] = (record, seen)
        with self._mutex:
            self._suspects.add((segment_id, path.name))

    def _put_in_place(self, unused: Unused, opened: Opened) -> None:
        store, number = self._store, unused.collection_id

        def put(loaded: LoadedCollection) -> None:
            # An index may have been dropped meanwhile, or the segment merged into another.
            there = {i.id for i in store.published.collections[number].indexes.values()}
            loaded.attach(unused.segment_id, opened.indexes.among(there))
            if opened.columns is not None:
                loaded.read_from(unused.segment_id, *opened.columns)

        store.with_loaded(number, put)


def _unused(state: State, published: Published) -> Iterator[Unused]:
    for number, view in published.views.items():
        collection = state.collections.get(number)
        if collection is None:
            continue
        mapped = maps_some(collection.schema, collection.properties)
        for used in view.segments:
            segment = collection.segments.get(used.segment.id)
            if segment is None or not segment.sealed or not used.segment.sealed:
                continue
            in_use = {*used.indexes, *(index.index_id for index in used.scalars.values())}
            indexes = [
                (index, segment.files[index_file(index)])
                for index in collection.indexes.values()
                if needs_file(index)
                and index.id not in in_use
                and index_file(index) in segment.files
            ]
            to_map = mapped and not used.segment.columns.mapped
            columns = segment.files.get(COLUMNS_FILE) if to_map else None
            if indexes or columns is not None:
                yield Unused(
                    number,
                    collection.schema,
                    segment.id,
                    used.segment.columns,
                    dict(collection.properties),
                    indexes,
                    columns,
                )
