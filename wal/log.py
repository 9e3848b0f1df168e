"""The log: events in order, in one LMDB environment, never changed and never deleted.

    STORE/log/data.mdb   databases `entries` (seq -> entry, see entry.py)
    STORE/log/lock.mdb   LMDB's reader table

How the environment is made and opened stands in environment.py. Here:

- One value an event; the rows of a batch are its payload.
- The map grows when it is full, and is adopted when another process grew it.
- Before a commit the inodes of both files are compared with the opened ones: with a replaced
  lock.mdb LMDB admits a second writer, which loses acknowledged rows.
- lock.mdb is never opened by us: closing it would drop LMDB's fcntl locks in this process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import lmdb

from walvec.wal.data_file import DataFile
from walvec.wal.entry import Header, Payload, encode_entry
from walvec.wal.environment import ENTRIES, has_reader_table, open_environment
from walvec.wal.errors import MemoryException, StoreBrokenException, StoreClosedException
from walvec.wal.events import Event, encode_body
from walvec.wal.gate import Gate
from walvec.wal.reader_lock import no_commit
from walvec.wal.scan import KEY, Entry, Position, position_at, read_entries, read_entry
from walvec.wal.seq_set import SeqSet

__all__ = ["DURABILITIES", "KEY", "WRITER_LOCK", "Entry", "Log", "Position"]

DURABILITIES = ("full", "last-transaction")
SCAN_CHUNK = 4096
WRITER_LOCK = "writer.lock"


class Log:
    """A handle on the log of one store. Reads from any thread, write transactions from one.

    `sound` are the entries whose payload this handle has found to match its digest.
    """

    def __init__(
        self,
        folder: Path,
        *,
        read_only: bool = False,
        durability: str = "full",
        reads_first: bool = False,
    ) -> None:
        """Open the log in `folder`. Raises StoreUnusableException where it cannot be.

        With `reads_first` LMDB's write lock, for which there is no timeout, is not asked for
        until `prepare_to_write()`.
        """
        self.folder = folder
        self.read_only = read_only
        self.durability = durability
        self._reads_first = reads_first
        self.gate = Gate()
        self.sound = SeqSet()
        self._pid = os.getpid()
        self._closed = False
        self._generation = 0
        self._open(writing=not read_only and not reads_first)

    def _open(self, writing: bool) -> None:
        self.env, self._databases = open_environment(
            self.folder, read_only=not writing, metasync=self.durability == "full"
        )
        self._writing = writing
        # As long as it only reads, it may also be on a read-only medium.
        self._has_table = has_reader_table(self.folder, not writing)
        self._entries = self._databases[ENTRIES]
        self._data = DataFile(self.folder)
        self._generation += 1

    def close(self) -> None:
        """Release the mapping and the file handles, when the reads under way have ended."""
        self.check_process()
        with self.gate.alone():
            self._closed = True
            self._close()

    def _close(self) -> None:
        self._data.close()
        self.env.close()

    def reopen(self, generation: int | None = None) -> None:
        """Drop the environment, which may be unusable after an I/O error, and open it anew;
        not if another thread has done so since `generation`."""
        self.check_process()
        with self.gate.alone():
            if generation in (None, self._generation):
                self.sound.clear()
                self._close()
                self._open(writing=not self.read_only and not self._reads_first)

    def prepare_to_write(self) -> None:
        """Open the environment for writing, if it is not. The caller has the writer lock, so
        nobody has LMDB's."""
        self._mend()
        if not self._writing and not self.read_only:
            self.check_process()
            with self.gate.alone():
                self._close()
                self._open(writing=True)

    def adopt(self) -> None:
        """Make this the log of a child that was forked while no thread of the parent used it, to
        be closed or opened anew.

        Without transactions, closing the inherited environment touches nothing that the parent
        shares: its locks and reader slots belong to its pid.
        """
        self._pid = os.getpid()

    def newest_txnid(self) -> int:
        """The id of the newest committed LMDB transaction: has anybody committed? About 0.1 us.

        Raises StoreClosedException.
        """
        try:
            return self._data.newest_txnid()
        except ValueError:
            # It is being opened anew by another thread, or it was closed.
            with self.gate.lock:
                self._mend()
                return self._data.newest_txnid()

    def _mend(self) -> None:
        """Open what an interrupt has left closed."""
        if self._data.closed:
            with self.gate.lock:
                if self._closed:
                    raise StoreClosedException(message=f"the log in {self.folder} is closed")
                if self._data.closed:
                    self.reopen()

    def begin(self, write: bool = False) -> lmdb.Transaction:
        """A transaction; for reading beside other threads take `reading()`.

        Raises StoreBrokenException in a forked child.
        """
        self.check_process()
        try:
            txn: lmdb.Transaction = self.env.begin(write=write, buffers=True)
        except lmdb.MapResizedError:
            with self.gate.alone():
                txn = self._begin_resized(write)
        return txn

    def _begin_resized(self, write: bool) -> lmdb.Transaction:
        """Another process grew the map. Raises StoreUnusableException where it has no room here."""
        txn: lmdb.Transaction
        try:
            txn = self.env.begin(write=write, buffers=True)
        except lmdb.MapResizedError:
            try:
                self.env.set_mapsize(0)
            except (lmdb.Error, MemoryError):
                # LMDB has let the old map go.
                self._close()
                self._open(self._writing)
            txn = self.env.begin(write=write, buffers=True)
        return txn  # or another thread had adopted it meanwhile

    @contextmanager
    def reading(self) -> Iterator[lmdb.Transaction]:
        """A read transaction, to be kept short: the map neither moves nor goes while it lasts."""
        self.check_process()
        with self._unchanged(), self.gate.reading(self._begin_reading) as txn, txn:
            yield txn

    def _unchanged(self) -> AbstractContextManager[None]:
        return nullcontext() if self._has_table else no_commit(self.folder.parent / WRITER_LOCK)

    def _begin_reading(self) -> lmdb.Transaction:
        self._mend()
        generation = self._generation
        try:
            return self.begin()
        except lmdb.PanicError:
            # A commit of another thread has failed: no transaction can begin until the
            # environment is dropped.
            self.reopen(generation)
            return self.begin()

    def database(self, name: bytes) -> Any:
        """The handle of a database beside the entries; None where an older walvec made none."""
        return self._databases.get(name)

    def grow(self) -> None:
        """Double the map, when the reads under way have ended. No write may be open.

        Raises MemoryException; the map is then as large as it was.
        """
        with self.gate.alone():
            size = self.env.info()["map_size"] * 2
            try:
                self.env.set_mapsize(size)
            except (lmdb.Error, MemoryError) as error:
                # LMDB has let the old map go.
                self._close()
                self._open(self._writing)
                raise MemoryException(message=f"cannot map {size} bytes: {error}") from error

    def append(
        self,
        txn: lmdb.Transaction,
        after: Position,
        event: Event,
        payload: Payload | None,
        *,
        timestamp: int,
        request: bytes,
        more_follows: bool,
    ) -> Position:
        """Put one event after `after` and return its position. Durable when `txn` commits."""
        seq = after.seq + 1
        value, chain = encode_entry(
            previous_chain=after.chain,
            kind=event.TAG,
            version=event.VERSION,
            more_follows=more_follows,
            seq=seq,
            timestamp=timestamp,
            collection=event.collection,
            request=request,
            body=encode_body(event),
            payload=payload,
        )
        if not txn.put(KEY.pack(seq), value, db=self._entries, append=True):
            raise StoreBrokenException(message=f"log entry {seq} exists already: reopen the store")
        return Position(seq, chain, timestamp)

    def last_seq(self, txn: lmdb.Transaction) -> int:
        """The seq of the newest entry, 0 for none."""
        with txn.cursor(db=self._entries) as cursor:
            return KEY.unpack(cursor.key())[0] if cursor.last() else 0

    def position_at(self, txn: lmdb.Transaction, seq: int) -> Position:
        """The position of an entry, from its header alone. Raises LogCorruptedException."""
        return position_at(txn, self._entries, seq)

    def scan(self, after: Position, txn: lmdb.Transaction | None = None) -> Iterator[Entry]:
        """The entries after a position, each checked but for its payload.

        Without `txn` short read transactions are used, so that a slow reader pins no pages.
        Raises LogCorruptedException at the first damaged entry.
        """
        while True:
            if txn is not None:
                chunk, damage = read_entries(txn, self._entries, after, None)
            else:
                with self.reading() as own:
                    chunk, damage = read_entries(own, self._entries, after, SCAN_CHUNK)
            yield from chunk
            if damage is not None:
                raise damage
            if txn is not None or len(chunk) < SCAN_CHUNK:
                return
            header = chunk[-1].header
            after = Position(header.seq, header.chain, header.timestamp)

    def read(
        self, txn: lmdb.Transaction, seq: int, before: Header | None = None
    ) -> tuple[Entry, memoryview]:
        """One entry, checked against the chain before it, and its unverified payload, a view that
        ends with `txn`.

        before: the header of an entry that was read; if it is the one before, its pages need not
        be touched again. Raises LogCorruptedException.
        """
        return read_entry(txn, self._entries, seq, before)

    def refuse_replaced_files(self) -> None:
        """Raise StoreBrokenException unless both LMDB files are still the ones opened."""
        self._data.refuse_if_replaced()

    def check_process(self) -> None:
        """Raise StoreBrokenException in a child that was forked with this log open."""
        if os.getpid() != self._pid:
            raise StoreBrokenException(
                message=f"the store {self.folder.parent} was opened by process {self._pid}, which "
                "forked this one; LMDB cannot be shared over a fork: open the store in the child"
            )
