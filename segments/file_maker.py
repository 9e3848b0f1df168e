"""Making the files of sealed segments, in the background, one segment at a time.

Each handle that writes has one FileMaker. It looks for sealed segments whose files are missing
or not as recorded, writes the columns, has the indexes built by a child process, and appends
SegmentPersisted. It also merges small segments and removes files that nobody wants any more.
Nothing waits for it: a search is exact until an index is there.

Every process that has the store open for writing has one, and each file is made by one of them:
whoever gets the segment's build lock first (build_lock.py), and then, having read the log to its
end once more, still finds it missing. The others look at intervals until the files are recorded,
or their maker is dead, whose lock is then free. What a dead maker's child process still writes
has a name that nobody looks for, and is swept.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from walvec.segments import commands
from walvec.segments.attacher import Attacher
from walvec.segments.build_lock import BuildLock
from walvec.segments.builder import Builder, BuildFailed
from walvec.segments.caches import (
    absent_files,
    library_versions,
    recorded_files,
    sweep,
    wanted_files,
    wanted_paths,
)
from walvec.segments.files import (
    is_intact,
    logger,
    publish_file,
    segment_folder,
    temporary_name,
    write_columns,
)
from walvec.segments.index import IndexSpec
from walvec.segments.job import Job, job_of
from walvec.segments.merging import next_merge
from walvec.segments.state import COLUMNS_FILE, Collection, FileRecord, Segment, State, index_file
from walvec.segments.store import Store
from walvec.segments.worker import INTERVAL_S
from walvec.wal import failpoints
from walvec.wal.errors import CallError

ATTEMPTS = 2
LOCK_WAIT_S = 2.0
"""How long a commit of the worker waits for another writer, which may stand still. It is tried
again, and meanwhile the handle can be closed."""


class FileMaker(Attacher):
    """The background worker of a handle that writes. `start()` it, and `close()` it with the
    store."""

    name = "walvec-files"

    def __init__(self, store: Store, builder: Builder | None = None) -> None:
        """builder: one that builds otherwise than in a child process."""
        self._builder = builder or Builder()
        self._presence: BuildLock | None = None
        self._searched = False
        self._expected: set[tuple[int, str]] = set()
        self._failed: set[tuple[int, str]] = set()
        self._told: set[tuple[int, str]] = set()
        self._unrecorded: dict[tuple[int, str], FileRecord] = {}
        super().__init__(store)

    def start(self) -> None:
        """Begin to work."""
        super().start()
        self._presence = BuildLock.take(self._store.segments_folder, shared=True)
        self._look_again()

    def forked(self) -> None:
        """Start anew in a child, with its first news; the parent's builder stays the parent's."""
        self._builder = Builder()
        super().forked()
        self._presence = BuildLock.take(self._store.segments_folder, shared=True)

    def close(self) -> None:
        """Stop, also in the middle of a build, which another process or the next open takes up."""
        super().close()
        if self._presence is not None:
            self._presence.release()

    def work_now(self) -> None:
        """Do at once, in this thread, all that there is to do. Without `start`."""
        self._work()

    def make_again(self, files: Iterable[tuple[int, str]]) -> None:
        """Make files that were removed, each (segment id, name), without a warning."""
        files = list(files)
        with self._mutex:
            self._expected.update(files)
            self._suspects.update(files)
        self._look_again()

    def _break_off(self) -> None:
        self._builder.close()

    def _rest(self) -> None:
        self._builder.rest()

    def _work(self) -> float | None:
        """Merge, sweep and make until there is nothing left that nobody else does."""
        if not self._searched:
            self._find_absent()
            self._searched = True
        while True:
            self._attach_files()
            if self._stopping:
                return None
            if self._merge():
                continue
            folder = self._store.segments_folder
            busy = sweep(folder, lambda: self._store.with_state(wanted_paths))
            unfinished = self._store.with_state(self._unfinished)
            # The first whose lock is free; then from the top, since the state went on.
            if not any(self._make_alone(segment_id) for segment_id in unfinished):
                return INTERVAL_S if busy or unfinished else None

    def _find_absent(self) -> None:
        """Suspect the recorded files that are gone, or cut."""
        recorded = self._store.with_state(recorded_files)
        absent = absent_files(self._store.segments_folder, recorded)
        with self._mutex:
            self._suspects.update(absent)

    def _merge(self) -> bool:
        """Merge some segments, if a merge is due; whether one was."""
        limit = self._store.settings.segment_max_bytes
        merge = self._store.with_state(lambda state: next_merge(state, limit))
        if merge is None:
            return False
        try:
            self._store.execute(commands.merge_segments(*merge), LOCK_WAIT_S)
        except CallError as refusal:
            # Another process was first, or dropped the collection.
            logger.debug("a merge was not needed any more: %s", refusal)
        return True

    def _unfinished(self, state: State) -> list[int]:
        """The sealed segments some of whose files are missing or suspect."""
        there = {
            segment.id: (collection, segment)
            for collection in state.collections.values()
            for segment in collection.segments.values()
            if segment.sealed
        }
        with self._mutex:
            self._suspects = {s for s in self._suspects if s[0] in there}
            suspects = {segment_id for segment_id, _ in self._suspects}
        return [i for i, found in there.items() if i in suspects or self._missing(*found)]

    def _missing(self, collection: Collection, segment: Segment) -> list[str]:
        return [
            name
            for name in wanted_files(collection)
            if name not in segment.files and (segment.id, name) not in self._failed
        ]

    def _make_alone(self, segment_id: int) -> bool:
        """Make what a segment lacks, unless another process is at it, which gives False."""
        if self._stopping:
            return False
        folder = segment_folder(self._store.segments_folder, segment_id)
        # The folder of all may be gone too: caches may be deleted at any moment.
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = BuildLock.take(folder)
        if lock is None:
            return False
        with lock:
            failpoints.hit("build.after-lock")
            # Only now: who had the lock before may have made and recorded everything.
            job = self._store.with_state(lambda state: self._find_job(state, segment_id))
            job = self._with_damaged(job, segment_id, folder)
            if job is not None and job.missing:
                try:
                    self._make(job, folder)
                except CallError as refusal:
                    # Dropped or merged meanwhile, and the sweep takes its files. Whatever it
                    # is, it is not tried again by this handle.
                    logger.info("files of segment %x are not recorded: %s", segment_id, refusal)
                    self._failed.update((segment_id, name) for name in job.missing)
        return True

    def _find_job(self, state: State, segment_id: int) -> Job | None:
        for collection in state.collections.values():
            segment = collection.segments.get(segment_id)
            if segment is not None and segment.sealed:
                return job_of(collection, segment, self._missing(collection, segment))
        return None

    def _with_damaged(self, job: Job | None, segment_id: int, folder: Path) -> Job | None:
        """The job with those suspects that are indeed not as recorded, which is said."""
        with self._mutex:
            suspects = {name for i, name in self._suspects if i == segment_id}
            self._suspects -= {(segment_id, name) for name in suspects}
        if job is None:
            return None
        names = [COLUMNS_FILE, *(index_file(i) for i in job.indexes)]
        damaged = [
            name
            for name in names
            if name in suspects
            and name in job.files
            and not is_intact(folder / name, job.files[name])
        ]
        for name in damaged:
            self._failed.discard((segment_id, name))
            if (segment_id, name) not in self._expected:
                logger.warning(
                    "file %s of segment %x is missing or damaged: it is made again from the log, "
                    "searches are exact meanwhile",
                    name,
                    segment_id,
                )
        self._expected -= {(segment_id, name) for name in suspects}
        return job._replace(missing=[*job.missing, *damaged])

    def _make(self, job: Job, folder: Path) -> None:
        files: dict[str, FileRecord] = {}
        columns = folder / COLUMNS_FILE
        recorded = job.files.get(COLUMNS_FILE)
        if COLUMNS_FILE in job.missing or not (recorded and is_intact(columns, recorded)):
            made = self._made_before(job, columns)
            files[COLUMNS_FILE] = made or write_columns(columns, job.read(self._store.log))
        failpoints.hit("build.after-columns")
        for index in job.indexes:
            path = folder / index_file(index)
            if path.name in job.missing:
                made = self._made_before(job, path) or self._build(job, index, columns, path)
                if made is not None:
                    files[path.name] = made
        failpoints.hit("build.after-rename")
        # Where the commit must be tried again later, the files need not be made again.
        self._unrecorded = {(job.segment_id, name): record for name, record in files.items()}
        records = tuple((n, *record) for n, record in files.items() if job.files.get(n) != record)
        if records:
            self._store.execute(
                commands.persist_segment(
                    job.collection_id, job.segment_id, records, library_versions()
                ),
                LOCK_WAIT_S,
            )
        self._unrecorded = {}
        failpoints.hit("build.after-persisted")

    def _made_before(self, job: Job, path: Path) -> FileRecord | None:
        """How a file must be found that this handle has made and could not record, if it is."""
        record = self._unrecorded.get((job.segment_id, path.name))
        return record if record is not None and is_intact(path, record) else None

    def _build(self, job: Job, index: IndexSpec, columns: Path, path: Path) -> FileRecord | None:
        field = job.schema.by_id[index.field_id]
        failure: BuildFailed | None = None
        temporary = temporary_name(path)
        # Twice: a building process that was killed, even long ago, shows in its next build.
        for _ in range(ATTEMPTS):
            try:
                self._builder.build(index, field, columns, temporary)
                return publish_file(temporary, path)
            except BuildFailed as error:
                failure = error
            finally:
                temporary.unlink(missing_ok=True)
            if self._stopping:
                return None
        self._failed.add((job.segment_id, path.name))
        if (index.id, str(failure)) not in self._told:  # once, not for each segment
            self._told.add((index.id, str(failure)))
            logger.warning(
                "index %s of segment %x cannot be built: %s; without it searches are exact and "
                "filters scan",
                index.name,
                job.segment_id,
                failure,
            )
        return None
