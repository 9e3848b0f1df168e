"""Client methods on the segments of collections: flush, count, list, truncate, merge."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from typing import Any

from walvec.arguments import check_flag, check_text, check_whole
from walvec.descriptions import LoadedSegmentInfo, ReplicaInfo, SegmentInfo, SegmentState
from walvec.optimizing import OptimizeResult, OptimizeTask
from walvec.segments import commands
from walvec.segments.catalog import CollectionInfo
from walvec.segments.counting import count_rows
from walvec.segments.expiry import expire_rows
from walvec.segments.merging import forced_merges
from walvec.segments.state import COLUMNS_FILE, State
from walvec.session import Session, check_options
from walvec.wal.errors import CollectionNotExistException, NotSupportedException, ParamError
from walvec.wal.rows import Rows
from walvec.wal.shown import shown

UNITS = {unit: 1024**power for power, unit in enumerate(("b", "kb", "mb", "gb", "tb", "pb"))}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?b)", re.ASCII | re.IGNORECASE)
MAX_BYTES = 2**50


class SegmentCalls(Session):
    """Methods on what a collection consists of."""

    def get_collection_stats(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, int]:
        """{"row_count": n}: rows that are visible now, exactly, loaded or not."""
        check_options("get_collection_stats", kwargs)
        self._time(timeout)
        info = self.info(collection_name)
        expire_rows(self._store, info)
        return {"row_count": count_rows(self._store, info)}

    def flush(
        self,
        collection_name: str,
        timeout: float | None = None,
        *,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        """Seal the growing segment; rows that follow go to a new one.

        On return the seal is durable, as the rows were before. It costs one small transaction;
        files and indexes are made in the background, and searches of a segment are exact until
        its index is there. Calling it after every insertion makes many small segments, which
        are merged by eights in the background. `wait`: return when the files are there.
        Raises TimeoutException.
        """
        check_options("flush", kwargs)
        info = self.info(collection_name)
        self._execute(commands.flush(info.id, info.name), timeout)
        if check_flag("wait", wait):
            self.wait_for_files(timeout)

    def flush_all(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Seal the growing segments of all collections of the database."""
        check_options("flush_all", kwargs)
        for name in self._database_info("").names:
            # One that was dropped meanwhile has nothing left that grows.
            with contextlib.suppress(CollectionNotExistException):
                self.flush(name, timeout)

    def get_flush_all_state(self, timeout: float | None = None, **kwargs: Any) -> bool:
        """True: `flush_all()` is done when it returns."""
        check_options("get_flush_all_state", kwargs)
        self._time(timeout)
        return True

    def truncate_collection(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Take all rows away; schema, indexes, partitions and whether it is loaded stay."""
        check_options("truncate_collection", kwargs)
        info = self.info(collection_name)
        self._execute(commands.truncate(info.id, info.name), timeout)

    def list_segments(
        self,
        collection_name: str,
        states: Sequence[SegmentState | int] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> list[SegmentInfo]:
        """The segments of a collection: growing, sealed (files are being made) or flushed (they
        are there); those of `states` alone, if given."""
        check_options("list_segments", kwargs)
        self._time(timeout)
        wanted = None if states is None else {_state(s) for s in states}
        found = self._segments(self.info(collection_name))
        return [s for s in found if wanted is None or s.state in wanted]

    def list_persistent_segments(
        self,
        collection_name: str,
        timeout: float | None = None,
        states: Sequence[SegmentState | int] | None = None,
        **kwargs: Any,
    ) -> list[SegmentInfo]:
        """As list_segments; without `states` those that are sealed."""
        check_options("list_persistent_segments", kwargs)
        if states is None:
            states = (SegmentState.Sealed, SegmentState.Flushed)
        return self.list_segments(collection_name, states, timeout)

    def _segments(self, info: CollectionInfo) -> list[SegmentInfo]:
        def read(state: State) -> list[SegmentInfo]:
            collection = commands.collection_of(state, info.id, info.name)
            found = []
            for s in collection.segments.values():
                made = SegmentState.Flushed if COLUMNS_FILE in s.files else SegmentState.Sealed
                kind = made if s.sealed else SegmentState.Growing
                found.append(
                    SegmentInfo(s.id, info.id, info.name, s.rows, False, kind, 0, 0, s.partition)
                )
            return found

        return self._store.with_state(read)

    def list_loaded_segments(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> list[LoadedSegmentInfo]:
        """The segments of a collection that are in this process' memory, none of one that is not
        loaded. `mem_size`: bytes of their columns, mapped ones too."""
        check_options("list_loaded_segments", kwargs)
        self._time(timeout)
        info = self.info(collection_name)
        if not info.loaded:
            return []
        found = []
        for segment in self._store.view(info).segments:
            loaded = segment.segment
            names = {i.id: i.name for i in info.indexes.values()}
            index = next((i for i in segment.indexes if i in names), 0)
            parts = [segment.column(f.id) for f in info.schema.fields]
            size = Rows(segment.n, dict(enumerate(parts))).nbytes()
            state = SegmentState.Sealed if loaded.sealed else SegmentState.Growing
            plain = (loaded.id, info.id, info.name, segment.n, False, state, 0, 0)
            found.append(
                LoadedSegmentInfo(*plain, loaded.partition, names.get(index, ""), index, (1,), size)
            )
        return found

    def describe_replica(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> list[ReplicaInfo]:
        """The one replica of a loaded collection, which is this process; none of another."""
        check_options("describe_replica", kwargs)
        self._time(timeout)
        info = self.info(collection_name)
        return [ReplicaInfo.of(info.id, info.name)] if info.loaded else []

    def compact(
        self,
        collection_name: str,
        is_clustering: bool | None = False,
        is_l0: bool | None = False,
        target_size: int | None = None,
        target_size_unit: str = "mb",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> int:
        """Merge neighbouring sealed segments into ones of at most `target_size` (that of a full
        growing segment without) of vectors. Durable on return; files follow in the background.

        Returns a number for `get_compaction_state`. Small segments are merged without it, too.
        """
        check_options("compact", kwargs)
        if is_clustering or is_l0:
            raise NotSupportedException(message="compact(): there are no clustering keys and no L0")
        info = self.info(collection_name)
        limit = None
        if target_size is not None:
            count = check_whole("target_size", target_size, 1, MAX_BYTES)
            limit = size_bytes(f"{count}{check_text('target_size_unit', target_size_unit)}")
        return self._merge(info, limit, timeout)

    def _merge(self, info: CollectionInfo, limit: int | None, timeout: float | None) -> int:
        most = self._store.settings.segment_max_bytes if limit is None else limit
        runs = self._store.with_state(lambda state: forced_merges(state, info.id, most))
        limit_s = self._time(timeout)
        for run in runs:
            # Refused where another process, or the background, has merged some of them.
            with contextlib.suppress(ParamError):
                self._store.execute(commands.merge_segments(info.id, run), limit_s)
        return self._store.current().seq

    def get_compaction_state(self, job_id: int, timeout: float | None = None, **kwargs: Any) -> str:
        """ "Completed": a merge is done when `compact` returns."""
        check_options("get_compaction_state", kwargs)
        self._time(timeout)
        check_whole("job_id", job_id, 1, self._store.current().seq)
        return "Completed"

    def optimize(
        self,
        collection_name: str,
        target_size: str | None = None,
        wait: bool = True,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> OptimizeResult | OptimizeTask:
        """Merge sealed segments into ones of at most `target_size` ("512MB") and wait until their
        files and indexes are there. With wait=False it goes on in a thread.

        Raises ParamError, TimeoutException.
        """
        check_options("optimize", kwargs)
        info = self.info(collection_name)
        limit = None if target_size is None else size_bytes(check_text("target_size", target_size))

        def work(tell: Callable[[str], None]) -> OptimizeResult:
            tell("waiting for indexes")
            self.wait_for_files(timeout)
            tell("merging segments")
            job = self._merge(info, limit, timeout)
            tell("waiting for the indexes of merged segments")
            self.wait_for_files(timeout)
            return OptimizeResult("success", info.name, job, target_size, [])

        task = OptimizeTask(work)
        return task.result() if check_flag("wait", wait) else task


def _state(value: SegmentState | int) -> SegmentState:
    try:
        return SegmentState(value)
    except ValueError:
        raise ParamError(message=f"{shown(value)} is not a SegmentState") from None


def size_bytes(text: str) -> int:
    """The bytes of "512MB", "1.5gb". Raises ParamError."""
    found = SIZE.fullmatch(text.strip())
    if found is None or not (size := int(float(found[1]) * UNITS[found[2].lower()])):
        raise ParamError(message=f"target_size {shown(text)} is not a size such as 512MB")
    return size
