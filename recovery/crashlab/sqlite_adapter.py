"""SQLite: a table of rows, in its journal modes and at its levels of synchronisation.

With FULL and a write-ahead log it keeps what it has acknowledged. NORMAL syncs that log only at
a checkpoint: a power cut may take the last transactions. OFF syncs nothing. With a rollback
journal, FULL does not sync the folder after the journal's name is gone, which is what commits: a
power cut may bring it back, and with it the state before; EXTRA does.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from walvec.crashlab.adapter import Op
from walvec.crashlab.row_adapter import RowAdapter, changes_of

FILE = "rows.db"


class SqliteAdapter(RowAdapter):
    """One transaction an operation."""

    volatile = frozenset({f"{FILE}-shm"})

    def __init__(
        self, *, journal_mode: str = "wal", synchronous: str = "FULL", name: str = "sqlite3"
    ) -> None:
        """journal_mode: "wal" or "delete". synchronous: "EXTRA", "FULL", "NORMAL", "OFF"."""
        self.journal_mode = journal_mode
        self.synchronous = synchronous
        self.name = name

    def open(self, folder: Path) -> sqlite3.Connection:
        """Open the database, and make the table if there is none."""
        connection = sqlite3.connect(folder / FILE, isolation_level=None)
        connection.execute(f"PRAGMA journal_mode = {self.journal_mode}")
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        connection.execute("CREATE TABLE IF NOT EXISTS rows (number INTEGER PRIMARY KEY, text)")
        return connection

    def apply(self, handle: sqlite3.Connection, op: Op) -> None:
        """Commit one transaction."""
        handle.execute("BEGIN IMMEDIATE")
        for number, text in changes_of(op).items():
            if text is None:
                handle.execute("DELETE FROM rows WHERE number = ?", (number,))
            else:
                handle.execute("INSERT INTO rows VALUES (?, ?)", (number, text))
        handle.execute("COMMIT")

    def state(self, handle: sqlite3.Connection) -> dict[int, str]:
        """The rows of the table."""
        return dict(handle.execute("SELECT number, text FROM rows"))

    def check(self, handle: sqlite3.Connection) -> list[str]:
        """What SQLite finds in its own structures."""
        found = [text for (text,) in handle.execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def close(self, handle: sqlite3.Connection) -> None:
        """Close it, which may move what is in the write-ahead log."""
        handle.close()
