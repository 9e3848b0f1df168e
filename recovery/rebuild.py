"""rebuild: delete all segment files and make them again from the log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from walvec.recovery.open import LOG, open_store
from walvec.recovery.report import Progress
from walvec.segments.caches import remove_all, wanted_files
from walvec.segments.file_maker import FileMaker
from walvec.segments.files import is_intact, segment_folder
from walvec.segments.fold import Fold
from walvec.segments.log_rows import read_rows
from walvec.segments.settings import Settings
from walvec.segments.state import FileRecord, State
from walvec.segments.store import Store
from walvec.wal import failpoints
from walvec.wal.errors import LogCorruptedException, StoreUnusableException
from walvec.wal.schema import Schema

POLL_S = 0.05


class Rebuilt(NamedTuple):
    """What rebuild did. `failed` are files that could not be made; searches do without them."""

    segments: int
    files: int
    file_bytes: int
    deleted_files: int
    deleted_bytes: int
    failed: list[str]

    def to_data(self) -> dict[str, Any]:
        return {"ok": not self.failed, **self._asdict()}


def rebuild(
    path: str | os.PathLike[str],
    progress: Progress | None = None,
    *,
    settings: Settings | None = None,
) -> Rebuilt:
    """Delete the files of all sealed segments and make them again; returns when that is done.

    May be killed at any moment: files are caches, and what is missing afterwards is made again
    when the store is opened next. Other processes may read and write meanwhile: what they have
    mapped stays with them, and what they are making is waited for. `progress` is called with
    the files made and the files there will be.

    Raises StoreUnusableException where there is no store, LogCorruptedException where the log is
    damaged; nothing is deleted then.
    """
    folder = Path(path)
    if not (folder / LOG).is_dir():
        raise StoreUnusableException(message=f"{folder} is not a walvec store, it has no log")
    store = open_store(folder, settings=settings, background=False)
    try:
        _refuse_damaged(store)
        store.side_write(lambda _: None)  # Raises where nothing can be written.
        deleted = remove_all(store.segments_folder)
        failpoints.hit("rebuild.after-delete")
        return _make_all(store, deleted, progress)
    finally:
        store.close()


def _refuse_damaged(store: Store) -> None:
    """Raise LogCorruptedException unless the log can give all rows of all sealed segments: a file
    may be the last place where the rows of a damaged entry are."""
    # From the first entry on: the store was opened from a checkpoint, and has not looked before it.
    damage = store.damage or Fold().restore(store.log)
    try:
        for schema, seq in store.with_state(_sealed_entries):
            with store.log.reading() as txn:
                read_rows(store.log, txn, seq, schema)
    except LogCorruptedException as error:
        damage = error
    if damage is not None:
        raise LogCorruptedException(
            message=f"nothing was deleted, since not all files could be made again: "
            f"{damage.message}",
            seq=getattr(damage, "seq", 0),
        )


def _sealed_entries(state: State) -> list[tuple[Schema, int]]:
    return [
        (collection.schema, seq)
        for collection in state.collections.values()
        for segment in collection.segments.values()
        if segment.sealed
        for seq, _ in segment.extents
    ]


def _make_all(store: Store, deleted: tuple[int, int], progress: Progress | None) -> Rebuilt:
    maker = FileMaker(store)
    store.add_watcher(maker)
    wanted = store.with_state(_wanted)
    maker.make_again(wanted)
    maker.start()
    while not maker.wait(POLL_S):
        if progress is not None:
            made = sum(_path(store, *file).exists() for file in wanted)
            progress(min(made, len(wanted)), len(wanted))
    # Small segments may have been merged on the way: count what there is in the end.
    sizes: list[int] = []
    failed: list[str] = []
    records = store.with_state(_wanted)
    for (segment_id, name), record in records.items():
        path = _path(store, segment_id, name)
        if record is not None and is_intact(path, record):
            sizes.append(record.length)
        else:
            failed.append(f"{path.parent.name}/{name}")
    if progress is not None:
        progress(len(sizes), len(records))
    segments = len({segment_id for segment_id, _ in records})
    return Rebuilt(segments, len(sizes), sum(sizes), *deleted, failed)


def _wanted(state: State) -> dict[tuple[int, str], FileRecord | None]:
    """Every file that the sealed segments have in the end, by segment id and name, and how it
    must be, once that is recorded."""
    return {
        (segment.id, name): segment.files.get(name)
        for collection in state.collections.values()
        for segment in collection.segments.values()
        if segment.sealed
        for name in wanted_files(collection)
    }


def _path(store: Store, segment_id: int, name: str) -> Path:
    return segment_folder(store.segments_folder, segment_id) / name
