"""From a folder to a store: make the log if there is none, fold it, start the background work."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from pathlib import Path

import lmdb

from walvec.recovery.checkpoint import newest_state
from walvec.recovery.checkpointer import Checkpointer
from walvec.segments.attacher import Attacher
from walvec.segments.file_maker import FileMaker
from walvec.segments.files import logger
from walvec.segments.fold import Fold
from walvec.segments.settings import Settings
from walvec.segments.store import Store
from walvec.wal import failpoints
from walvec.wal.creation import create_log
from walvec.wal.errors import ParamError, StoreUnusableException
from walvec.wal.events import StoreCreated
from walvec.wal.log import DURABILITIES, WRITER_LOCK, Log
from walvec.wal.medium import refusal, refuse_network_file_system, sync_names
from walvec.wal.shown import shown
from walvec.wal.writer_lock import WriterLock

LOG, SEGMENTS, LOCK = "log", "segments", WRITER_LOCK
OURS = frozenset({LOG, f"{LOG}.tmp", SEGMENTS, LOCK})


def open_store(
    path: str | os.PathLike[str],
    *,
    read_only: bool = False,
    settings: Settings | None = None,
    walvec_version: str = "",
    background: bool = True,
) -> Store:
    """Open the store in folder `path`; made if it is not there and may be written.

    With `read_only` nothing on disk is changed and no lock is taken. A log with a damaged entry
    opens read-only up to that entry: `store.damage` says what is wrong. Without `background`
    no thread makes segment files or checkpoints.

    The state is read from the newest checkpoint that is sound, and only the entries after it
    are. So damage before it does not show here: reading rows from such an entry raises
    LogCorruptedException, which names it, and `verify` finds it.

    Raises StoreUnusableException, DiskFullException, LockTimeoutException, ParamError.
    """
    settings = settings or Settings()
    if settings.durability not in DURABILITIES:
        raise ParamError(
            message=f"durability {shown(settings.durability)} is not one of "
            f"{', '.join(DURABILITIES)}"
        )
    # The process may change its working directory while the store is open.
    folder = Path(path).absolute()
    try:
        _prepare_folder(folder, read_only, settings)
        lock = None if read_only else _make_what_is_missing(folder, settings, walvec_version)
        store = _fold_log(folder, read_only, settings, lock)
    except (OSError, lmdb.Error) as error:
        raise refusal(error, f"cannot open the store {folder}") from error
    if store.damage is not None:
        logger.warning("the store %s is read-only: %s", folder, store.damage.message)
    try:
        if background:
            _start_workers(store, writes=lock is not None and store.damage is None)
    except BaseException:  # an interrupt, say
        store.close()
        raise
    return store


def _fold_log(folder: Path, read_only: bool, settings: Settings, lock: WriterLock | None) -> Store:
    """The store of the log as it is now. It takes over the lock; an error closes that."""
    log = None
    try:
        log = Log(
            folder / LOG, read_only=read_only, durability=settings.durability, reads_first=True
        )
        fold = Fold(newest_state)
        # Before the replay: what another process commits during it is caught up with later.
        with log.reading() as txn:
            seen = txn.id()
        damage = fold.restore(log)
        failpoints.hit("open.after-fold")
        return Store(folder, log, fold, settings, seen, lock=lock, damage=damage)
    except BaseException:
        if log is not None:
            log.close()
        if lock is not None:
            lock.close()
        raise


def _start_workers(store: Store, writes: bool) -> None:
    # The checkpoints first: closed last, so the one at close has what the others append.
    kinds = (Checkpointer, FileMaker) if writes else (Attacher,)
    for kind in kinds:
        worker = kind(store)
        store.add_watcher(worker)
        worker.start()


def _prepare_folder(folder: Path, read_only: bool, settings: Settings) -> None:
    """Raise StoreUnusableException unless the folder is a store or may become one."""
    try:
        is_file = folder.exists() and not folder.is_dir()
    except OSError as error:  # a name that is too long, a parent that may not be read
        message = f"cannot look at the folder {shown(str(folder))}: {error.strerror}"
        raise StoreUnusableException(message=message) from error
    if is_file:
        raise StoreUnusableException(message=f"{folder} is a file; a walvec store is a folder")
    if read_only and not (folder / LOG).is_dir():
        raise StoreUnusableException(message=f"{folder} is not a walvec store, it has no log")
    if not read_only:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = f"cannot make the folder {folder}: {error}"
            raise StoreUnusableException(message=message) from error
        strangers = {p.name for p in folder.iterdir()} - OURS
        if strangers and not (folder / LOG).is_dir():
            raise StoreUnusableException(
                message=f"{folder} is not a walvec store and not empty ({min(strangers)}): "
                "choose another folder"
            )
    if not settings.allow_network_fs:
        refuse_network_file_system(folder)


def _make_what_is_missing(folder: Path, settings: Settings, walvec_version: str) -> WriterLock:
    """The log and the folders of a store that may be written, and its writer lock, not held."""
    lock = WriterLock(folder / LOCK, settings.lock_timeout_s)
    try:
        failpoints.hit("open.after-lock")
        if not (folder / LOG).is_dir():
            with lock.held():
                _remove_half_made(folder)
                _create_log(folder, walvec_version)
        _make_segments_folder(folder / SEGMENTS)
        sync_names(folder)
    except BaseException:
        lock.close()
        raise
    return lock


def _remove_half_made(folder: Path) -> None:
    """A creation that was interrupted has promised nothing."""
    temporary = folder / f"{LOG}.tmp"
    if temporary.is_dir() and not temporary.is_symlink():
        shutil.rmtree(temporary)
    else:
        temporary.unlink(missing_ok=True)


def _make_segments_folder(segments: Path) -> None:
    """The folder of the caches; whatever else has its name is in their place."""
    if not segments.is_dir():
        segments.unlink(missing_ok=True)
        segments.mkdir(mode=0o700, exist_ok=True)


def _create_log(folder: Path, walvec_version: str) -> None:
    if (folder / LOG).is_dir():
        return
    if (folder / SEGMENTS).is_dir() and any((folder / SEGMENTS).iterdir()):
        raise StoreUnusableException(
            message=f"{folder} has segments but no log; the log is the database: restore it"
        )
    created = StoreCreated(0, uuid.uuid4().bytes, walvec_version)
    create_log(folder / LOG, created, time.time_ns())
