"""A plain log in LMDB: one value an operation, under its number.

LMDB's first write is not atomic, and LMDB never syncs a folder. So the environment is made in a
temporary folder, synced, and given its name, and then the folder is synced that holds the name.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import lmdb

from walvec.crashlab.adapter import Op
from walvec.crashlab.row_adapter import RowAdapter, change, changes_of

FOLDER = "log"
KEY = struct.Struct(">Q")
MAP_SIZE_BYTES = 64 << 20


class LmdbAdapter(RowAdapter):
    """One transaction an operation. The state is the fold of the values."""

    volatile = frozenset({f"{FOLDER}/lock.mdb"})

    def __init__(
        self, *, sync: bool = True, metasync: bool = True, may_lose: int = 0, name: str = "lmdb"
    ) -> None:
        """sync, metasync: of `lmdb.open`. Without metasync a power cut may take the last
        transaction, which `may_lose=1` allows."""
        self.sync = sync
        self.metasync = metasync
        self.may_lose = may_lose
        self.name = name

    def open(self, folder: Path) -> Any:
        """Open the environment, or make it."""
        log = folder / FOLDER
        if not log.exists():
            _create(log)
        # It may have been made by a process that was killed before it had synced its name.
        _sync(folder)
        return lmdb.open(
            str(log), map_size=MAP_SIZE_BYTES, sync=self.sync, metasync=self.metasync, create=False
        )

    def apply(self, handle: Any, op: Op) -> None:
        """Commit one value."""
        value = json.dumps(changes_of(op)).encode()
        with handle.begin(write=True) as txn:
            txn.put(KEY.pack(op.number), value, append=True)

    def state(self, handle: Any) -> dict[int, str]:
        """The rows that the values make, one after the other."""
        rows: dict[int, str] = {}
        with handle.begin() as txn:
            for _, value in txn.cursor():
                changes: dict[str, Any] = json.loads(value)
                change(rows, {int(number): text for number, text in changes.items()})
        return rows

    def close(self, handle: Any) -> None:
        """Close the environment."""
        handle.close()


def _create(log: Path) -> None:
    temporary = log.with_name(f"{log.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    env = lmdb.open(str(temporary), map_size=MAP_SIZE_BYTES)
    env.sync(True)
    env.close()
    _sync(temporary / "data.mdb")
    _sync(temporary)
    temporary.rename(log)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
