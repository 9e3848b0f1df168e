"""data.mdb seen from outside LMDB: its newest transaction, and whether it is still the opened file.

LMDB's two meta pages are mapped a second time, read-only. Asking LMDB itself
(`env.info()`) lets go of the GIL, which costs a searching thread more than the answer.
A meta page is written before LMDB shows its transaction to readers: who finds a new id here
begins a read transaction and looks at the id of that one.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from walvec.wal.errors import StoreBrokenException
from walvec.wal.medium import META_OFFSET, META_TXNID_OFFSET, meta_page_size

WORD = 8


class DataFile:
    """The files data.mdb and lock.mdb of an open log. Any thread may ask."""

    def __init__(self, folder: Path) -> None:
        """Look at the files of the environment that was just opened in `folder`."""
        self.folder = folder
        self._closed = False
        data = folder / "data.mdb"
        self._data, self._lock = str(data), str(folder / "lock.mdb")
        self._identities = _identity(self._data), _identity(self._lock)
        page = meta_page_size(data)
        # Closing this file is harmless: LMDB's locks are on lock.mdb.
        with data.open("rb") as file:
            self._mapping = mmap.mmap(file.fileno(), 2 * page, access=mmap.ACCESS_READ)
        self._words = memoryview(self._mapping).cast("Q")
        self._first = (META_OFFSET + META_TXNID_OFFSET) // WORD
        self._second = self._first + page // WORD

    def newest_txnid(self) -> int:
        """The id of the newest committed transaction. About 0.1 us.

        Raises ValueError when closed.
        """
        words = self._words
        first, second = words[self._first], words[self._second]
        return first if first > second else second

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Let go of the mapping. May be called again."""
        self._closed = True
        self._words.release()
        self._mapping.close()

    def refuse_if_replaced(self) -> None:
        """Raise StoreBrokenException unless both LMDB files are still the ones opened."""
        if (_identity(self._data), _identity(self._lock)) != self._identities:
            raise StoreBrokenException(
                message=f"{self.folder} was deleted or replaced while it was open; nothing was "
                "written: close this store and open it again"
            )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  half the time, before every commit
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
