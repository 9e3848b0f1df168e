"""Making the files of sealed segments, in the background, one segment at a time.

Each handle that writes has one FileMaker. It looks for sealed segments whose files are missing
or not as recorded, writes the columns, has the indexes built by a child process, and appends
SegmentPersisted. It also merges small segments and removes files that nobody wants any more.
Nothing waits for it: a search is exact until an index is there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from walvec.segments import commands
from walvec.segments.builder import Builder, BuildFailed
from walvec.segments.caches import (
    absent_files,
    library_versions,
    sweep,
    wanted_files,
    wanted_paths,
)
from walvec.segments.files import (
    is_intact,
    logger,
    record_of,
    segment_folder,
    vectors_place,
    write_columns,
)
from walvec.segments.fold import Applied
from walvec.segments.index import IndexSpec, needs_file
from walvec.segments.index_files import open_index_file
from walvec.segments.log_rows import read_segment
from walvec.segments.merging import next_merge
from walvec.segments.state import COLUMNS_FILE, Collection, FileRecord, Segment, State, index_file
from walvec.segments.store import Store
from walvec.segments.watcher import Watcher
from walvec.wal import failpoints
from walvec.wal.errors import CallError, MilvusException
from walvec.wal.events import RowsDeleted, RowsInserted, SegmentPersisted
from walvec.wal.rows import Rows
from walvec.wal.schema import Schema

ATTEMPTS = 2


class Job(NamedTuple):
    """A segment some of whose files have to be made. A copy: the state goes on."""

    collection_id: int
    schema: Schema
    segment_id: int
    rows: int
    extents: list[tuple[int, int]]
    files: dict[str, FileRecord]
    indexes: list[IndexSpec]
    missing: list[str]


class FileMaker(Watcher):
    """The background worker of a store. `start()` it, and `close()` it with the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._builder = Builder()
        self._wake = threading.Condition()
        self._idle = False
        self._again = True
        self._stopping = False
        self._trouble: Exception | None = None
        self._damaged: set[tuple[int, str]] = set()
        self._failed: set[tuple[int, str]] = set()
        self._said: set[tuple[int, str]] = set()
        self._thread = threading.Thread(target=self._run, name="walvec-files", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """Stop, also in the middle of a build, which the next open takes up."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self._builder.close()
        if self._thread.is_alive():
            self._thread.join()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to make; False if the time ran out first.

        Raises MilvusException where the last attempt failed, as on a full disk.
        """
        with self._wake:
            done = self._wake.wait_for(lambda: self._idle or self._stopping, timeout)
            if done and self._trouble is not None:
                raise MilvusException(
                    message=f"segment files cannot be made, searches are exact: {self._trouble}"
                ) from self._trouble
            return done

    def published(self, applied: Sequence[Applied]) -> None:
        """Look again, unless only rows changed."""
        quiet = RowsInserted | RowsDeleted | SegmentPersisted
        if not all(isinstance(a.event, quiet) for a in applied):
            self._look_again()

    def restarted(self) -> None:
        """Look again."""
        self._look_again()

    def damaged(self, collection_id: int, segment_id: int, name: str) -> None:
        """Make a file again, and say so once."""
        with self._wake:
            if (segment_id, name) in self._damaged:
                return
            self._damaged.add((segment_id, name))
        logger.warning(
            "file %s of segment %x is missing or damaged: it is made again from the log, "
            "searches are exact meanwhile",
            name,
            segment_id,
        )
        self._look_again()

    def make_again(self, files: Iterable[tuple[int, str]]) -> None:
        """Make files anew, each (segment id, name), whatever is there."""
        with self._wake:
            self._damaged.update(files)
        self._look_again()

    def _look_again(self) -> None:
        with self._wake:
            self._idle, self._again = False, True
            self._wake.notify_all()

    def _find_absent(self) -> None:
        """Queue the recorded files that are gone, or cut."""
        folder = self._store.segments_folder
        absent = self._store.with_state(lambda state: absent_files(state, folder))
        for segment_id, name in absent:
            self.damaged(0, segment_id, name)

    def _run(self) -> None:
        first = True
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._again or self._stopping)
                if self._stopping:
                    return
                self._again, self._trouble = False, None
            try:
                if first:
                    self._find_absent()
                first = False
                self._work()
            except Exception as trouble:
                # A thread has nobody to raise to, but those who wait. Searches stay exact.
                self._trouble = trouble
                if not self._stopping:
                    logger.exception("making segment files failed; it goes on with the next seal")
            with self._wake:
                if not self._again:
                    self._idle = True
                    self._wake.notify_all()

    def _work(self) -> None:
        """Merge, sweep and make until there is nothing left to do."""
        limit = self._store.settings.segment_max_bytes
        while not self._stopping:
            merge = self._store.with_state(lambda state: next_merge(state, limit))
            if merge is not None:
                self._store.execute(commands.merge_segments(*merge))
                continue
            sweep(self._store.segments_folder, self._store.with_state(wanted_paths))
            job = self._store.with_state(self._next_job)
            if job is None:
                return
            try:
                self._make(job)
            except CallError as refusal:
                # Dropped or merged meanwhile, and the sweep takes its files. Whatever it is, it
                # is not tried again by this handle.
                logger.info("files of segment %x are not recorded: %s", job.segment_id, refusal)
                self._failed.update((job.segment_id, name) for name in job.missing)

    def _next_job(self, state: State) -> Job | None:
        for collection in state.collections.values():
            for segment in collection.segments.values():
                if segment.sealed and (missing := self._missing(collection, segment)):
                    return _job(collection, segment, missing)
        return None

    def _missing(self, collection: Collection, segment: Segment) -> list[str]:
        return [
            name
            for name in wanted_files(collection)
            if (name not in segment.files or (segment.id, name) in self._damaged)
            and (segment.id, name) not in self._failed
        ]

    def _make(self, job: Job) -> None:
        folder = segment_folder(self._store.segments_folder, job.segment_id)
        # The folder of all may be gone too: caches may be deleted at any moment.
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        files: dict[str, FileRecord] = {}
        columns = folder / COLUMNS_FILE
        recorded = job.files.get(COLUMNS_FILE)
        if COLUMNS_FILE in job.missing or not (recorded and is_intact(columns, recorded)):
            files[COLUMNS_FILE] = self._write_columns(job, columns)
        failpoints.hit("build.after-columns")
        for index in job.indexes:
            name = index_file(index)
            if name in job.missing and self._build(job, index, columns, folder / name):
                files[name] = record_of(folder / name)
        failpoints.hit("build.after-rename")
        records = tuple((n, *record) for n, record in files.items() if job.files.get(n) != record)
        if records:
            self._store.execute(
                commands.persist_segment(
                    job.collection_id, job.segment_id, records, library_versions()
                )
            )
        failpoints.hit("build.after-persisted")
        with self._wake:
            self._damaged -= {(job.segment_id, name) for name in (*files, *job.missing)}
        self._attach(job, files)

    def _write_columns(self, job: Job, path: Path) -> FileRecord:
        columns = read_segment(self._store.log, job.extents, job.schema)
        rows = Rows(columns.n, {f.id: columns.column(f.id, columns.n) for f in job.schema.fields})
        return write_columns(path, rows)

    def _build(self, job: Job, index: IndexSpec, columns: Path, out: Path) -> bool:
        offset, _ = vectors_place(columns, index.field_id)
        dim = job.schema.by_id[index.field_id].dim
        failure: BuildFailed | None = None
        # Twice: a building process that was killed, even long ago, shows in its next build.
        for _ in range(ATTEMPTS):
            try:
                self._builder.build(index, columns, offset, job.rows, dim, out)
                return True
            except BuildFailed as error:
                failure = error
            if self._stopping:
                return False
        self._failed.add((job.segment_id, out.name))
        if (index.id, str(failure)) not in self._said:  # once, not for each segment
            self._said.add((index.id, str(failure)))
            logger.warning(
                "index %s of segment %x cannot be built: %s; searches without it are exact",
                index.name,
                job.segment_id,
                failure,
            )
        return False

    def _attach(self, job: Job, files: dict[str, FileRecord]) -> None:
        """Hand the new indexes to the collection in memory."""
        folder = segment_folder(self._store.segments_folder, job.segment_id)
        made = [i for i in job.indexes if index_file(i) in files]
        if made and job.collection_id in self._store.published.views:
            opened = {i.id: open_index_file(i, folder, job.rows, job.schema) for i in made}
            built = {number: index for number, index in opened.items() if index is not None}
            self._store.with_loaded(
                job.collection_id, lambda loaded: loaded.attach(job.segment_id, built)
            )


def _job(collection: Collection, segment: Segment, missing: list[str]) -> Job:
    return Job(
        collection_id=collection.id,
        schema=collection.schema,
        segment_id=segment.id,
        rows=segment.rows,
        extents=list(segment.extents),
        files=dict(segment.files),
        indexes=[i for i in collection.indexes.values() if needs_file(i)],
        missing=missing,
    )
