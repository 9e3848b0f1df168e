"""The LMDB environment under the log: made atomically, opened with the flags that keep promises.

- Created in `log.tmp`, synced, closed, file and folder fsynced, renamed, parent fsynced: LMDB's
  first write is not atomic, and LMDB never syncs a folder.
- sync=True always. metasync=False ("last-transaction") may lose the last transaction to a
  power cut, never integrity. sync=False and writemap do not exist here.
- The file's size is checked before it is mapped: a file that was cut is SIGBUS.
- A map of 64 GiB from the start, less under RLIMIT_AS.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
from pathlib import Path
from typing import Any

import lmdb

from walvec.wal.errors import StoreUnusableException
from walvec.wal.medium import check_data_file

MAP_SIZE_BYTES = 64 << 30
MIN_MAP_SIZE_BYTES = 64 << 20
MAX_READERS = 1024
MAX_DATABASES = 4
ENTRIES, CHECKPOINTS, CURSORS = b"entries", b"checkpoints", b"cursors"
BESIDE = (CHECKPOINTS, CURSORS)
"""Databases that a store of an older walvec may lack."""


def open_environment(
    folder: Path, *, read_only: bool, metasync: bool
) -> tuple[Any, dict[bytes, Any]]:
    """The environment in `folder` and its databases by name.

    With `read_only` no lock is waited for. Raises StoreUnusableException.
    """
    data = folder / "data.mdb"
    check_data_file(data)
    env = None
    settings = {
        "max_dbs": MAX_DATABASES,
        "max_readers": MAX_READERS,
        "readonly": read_only,
        "create": False,
        "metasync": metasync,
        "mode": 0o600,
        "lock": has_reader_table(folder, read_only),
    }
    try:
        try:
            env = _mapped(folder, **settings)
        except lmdb.Error as error:
            if "already open in this process" not in str(error):
                raise
            # A handle that an interrupt took from everybody, perhaps.
            gc.collect()
            env = _mapped(folder, **settings)
        databases = _open_databases(env)
        if not read_only:
            make_missing(env, databases)
        env.reader_check()
    except BaseException as error:
        if env is not None:
            env.close()
        if not isinstance(error, lmdb.Error | MemoryError):
            raise  # an interrupt, say
        raise StoreUnusableException(
            message=f"cannot open the log in {folder}: {error}{_hint(error)}"
        ) from error
    return env, databases


def has_reader_table(folder: Path, read_only: bool) -> bool:
    """Whether lock.mdb can be used: not on a read-only medium, which others may write elsewhere."""
    return not read_only or os.access(folder, os.W_OK)


def _open_databases(env: Any) -> dict[bytes, Any]:
    """The databases that are there. For this LMDB takes its write lock, for which there is no
    timeout, unless the environment was opened for reading."""
    databases = {ENTRIES: env.open_db(ENTRIES, create=False)}
    for name in BESIDE:
        with contextlib.suppress(lmdb.NotFoundError):
            databases[name] = env.open_db(name, create=False)
    return databases


def make_missing(env: Any, databases: dict[bytes, Any]) -> None:
    """Make the databases that an older walvec, or nobody, has made."""
    for name in BESIDE:
        if name not in databases:
            databases[name] = env.open_db(name)


def _mapped(folder: Path, **settings: Any) -> Any:
    """The environment with room to grow, or, where memory is short, with none: to be read, and
    written until the map is full."""
    data = folder / "data.mdb"
    try:
        return lmdb.open(str(folder), map_size=_map_size(data), **settings)
    except (lmdb.MemoryError, MemoryError):
        size = max(MIN_MAP_SIZE_BYTES, data.stat().st_size)
        return lmdb.open(str(folder), map_size=size, **settings)


def _map_size(data: Path) -> int:
    """64 GiB, or a quarter of what RLIMIT_AS leaves; never below the file."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    size = MAP_SIZE_BYTES
    if limit != resource.RLIM_INFINITY:
        size = max(MIN_MAP_SIZE_BYTES, min(size, limit // 4)) // 4096 * 4096
    while size < data.stat().st_size * 5 // 4:
        size *= 2
    return size


def _hint(error: Exception) -> str:
    if isinstance(error, lmdb.LockError):
        return (
            "; if another container uses this store, both may have the same pid: share the pid "
            "namespace"
        )
    if "already open in this process" in str(error):
        return " Use that handle, or close it first."
    if isinstance(error, MemoryError):
        return "; the address space is too small for the map: raise RLIMIT_AS"
    return ""
