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
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lmdb

from walvec.wal.entry import (
    GENESIS,
    Header,
    Payload,
    check_payload,
    decode_header,
    encode_entry,
    payload_view,
)
from walvec.wal.environment import create_environment, open_environment
from walvec.wal.errors import (
    FormatException,
    LogCorruptedException,
    MemoryException,
    MilvusException,
    StoreBrokenException,
)
from walvec.wal.events import Event, decode_body, encode_body
from walvec.wal.found import PAGE_DAMAGE, damaged_page, decode_entry, lost_tail

DURABILITIES = ("full", "last-transaction")
SCAN_CHUNK = 4096
KEY = struct.Struct(">Q")


class Position(NamedTuple):
    """A place in the log: what the next entry is chained to."""

    seq: int = 0
    chain: bytes = GENESIS
    timestamp: int = 0


class Entry(NamedTuple):
    """One event as read from the log."""

    header: Header
    event: Event


class Log:
    """A handle on the log of one store. Reads from any thread, write transactions from one."""

    def __init__(self, folder: Path, *, read_only: bool = False, durability: str = "full") -> None:
        """Open the log in `folder`. Raises StoreUnusableException where it cannot be."""
        self.folder = folder
        self.read_only = read_only
        self.durability = durability
        self._files = (folder / "data.mdb", folder / "lock.mdb")
        self._pid = os.getpid()
        # Entered itself, not by the condition, whose Python code an interrupt may cut short.
        self._gate_lock = threading.RLock()
        self._gate = threading.Condition(self._gate_lock)
        self._reads = 0
        self._open()

    def _open(self) -> None:
        self.env, self._entries = open_environment(
            self.folder, read_only=self.read_only, metasync=self.durability == "full"
        )
        self._inodes = self._inodes_now()

    @classmethod
    def create(cls, folder: Path, store_created: Event, timestamp: int) -> None:
        """Make a log whose first entry is `store_created`; whole after any crash, or not there."""
        value, _ = encode_entry(
            previous_chain=GENESIS,
            kind=store_created.TAG,
            version=store_created.VERSION,
            more_follows=False,
            seq=1,
            timestamp=timestamp,
            collection=0,
            request=bytes(16),
            body=encode_body(store_created),
            payload=None,
        )
        create_environment(folder, KEY.pack(1), value)

    def close(self) -> None:
        """Release the mapping and the file handles, when the reads under way have ended."""
        self.check_process()
        with self._alone():
            self.env.close()

    def reopen(self) -> None:
        """Drop the environment, which may be unusable after an I/O error, and open it anew."""
        self.check_process()
        with self._alone():
            self.env.close()
            self._open()

    def last_txnid(self) -> int:
        """LMDB's id of the last committed transaction: has anybody committed? About 0.6 us."""
        self.check_process()
        try:
            txnid: int = self.env.info()["last_txnid"]
        except lmdb.Error:
            # It is being opened anew by another thread.
            with self._gate_lock:
                txnid = self.env.info()["last_txnid"]
        return txnid

    def begin(self, write: bool = False) -> lmdb.Transaction:
        """A transaction; for reading beside other threads take `reading()`.

        Raises StoreBrokenException in a forked child.
        """
        self.check_process()
        try:
            txn: lmdb.Transaction = self.env.begin(write=write, buffers=True)
        except lmdb.MapResizedError:
            with self._alone():
                self.env.set_mapsize(0)
            txn = self.env.begin(write=write, buffers=True)
        return txn

    @contextmanager
    def reading(self) -> Iterator[lmdb.Transaction]:
        """A read transaction, to be kept short: the map neither moves nor goes while it lasts."""
        self.check_process()
        counted = False
        try:
            with self._gate_lock:
                txn = self.begin()
                self._reads += 1
                counted = True
            with txn:
                yield txn
        finally:
            if counted:
                with self._gate_lock:
                    self._reads -= 1
                    self._gate.notify_all()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No thread reads, and none begins to: a view into a map that is gone is a SIGSEGV."""
        with self._gate_lock:
            self._gate.wait_for(lambda: not self._reads)
            yield

    def grow(self) -> None:
        """Double the map, when the reads under way have ended. No write may be open.

        Raises MemoryException; the map is then as large as it was.
        """
        with self._alone():
            size = self.env.info()["map_size"] * 2
            try:
                self.env.set_mapsize(size)
            except (lmdb.Error, MemoryError) as error:
                # LMDB has let the old map go.
                self.env.close()
                self._open()
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

    def scan(self, after: Position, txn: lmdb.Transaction | None = None) -> Iterator[Entry]:
        """The entries after a position, each checked but for its payload.

        Without `txn` short read transactions are used, so that a slow reader pins no pages.
        Raises LogCorruptedException at the first damaged entry.
        """
        while True:
            if txn is not None:
                chunk, damage = self._read(txn, after, None)
            else:
                with self.reading() as own:
                    chunk, damage = self._read(own, after, SCAN_CHUNK)
            yield from chunk
            if damage is not None:
                raise damage
            if txn is not None or len(chunk) < SCAN_CHUNK:
                return
            header = chunk[-1].header
            after = Position(header.seq, header.chain, header.timestamp)

    def _read(
        self, txn: lmdb.Transaction, after: Position, limit: int | None
    ) -> tuple[list[Entry], MilvusException | None]:
        """The entries after a position up to the first damaged one, and what is wrong with it."""
        seq, chain, timestamp = after
        entries: list[Entry] = []
        try:
            with txn.cursor(db=self._entries) as cursor:
                for key, value in cursor if cursor.set_range(KEY.pack(seq + 1)) else ():
                    found = KEY.unpack(key)[0] if len(key) == KEY.size else bytes(key)
                    header, event = decode_entry(seq + 1, found, value, chain, timestamp)
                    seq, chain, timestamp = header.seq, header.chain, header.timestamp
                    entries.append(Entry(header, event))
                    if len(entries) == limit:
                        return entries, None
            return entries, lost_tail(seq, txn.stat(self._entries)["entries"])
        except (LogCorruptedException, FormatException) as error:
            return entries, error
        except PAGE_DAMAGE as error:
            return entries, damaged_page(seq + 1, error)

    def read(self, txn: lmdb.Transaction, seq: int) -> tuple[Entry, memoryview]:
        """One entry and its unverified payload, a view that ends with `txn`."""
        try:
            value = txn.get(KEY.pack(seq), db=self._entries)
        except PAGE_DAMAGE as error:
            raise damaged_page(seq, error) from error
        if value is None:
            raise LogCorruptedException(message=f"log entry {seq} is missing", seq=seq)
        header, body = decode_header(seq, value, None)
        event = decode_body(header.kind, header.version, header.collection, body)
        return Entry(header, event), payload_view(header, value)

    def check_payload(self, header: Header, payload: Any) -> None:
        """Raise LogCorruptedException unless the payload matches its digest."""
        check_payload(header, payload)

    def refuse_replaced_files(self) -> None:
        """Raise StoreBrokenException unless both LMDB files are still the ones opened."""
        if self._inodes_now() != self._inodes:
            raise StoreBrokenException(
                message=f"{self.folder} was deleted or replaced while it was open; nothing was "
                "written: close this store and open it again"
            )

    def _inodes_now(self) -> list[tuple[int, int] | None]:
        inodes: list[tuple[int, int] | None] = []
        for path in self._files:
            try:
                stat = path.stat()
                inodes.append((stat.st_dev, stat.st_ino))
            except FileNotFoundError:
                inodes.append(None)
        return inodes

    def check_process(self) -> None:
        """Raise StoreBrokenException in a child that was forked with this log open."""
        if os.getpid() != self._pid:
            raise StoreBrokenException(
                message=f"the store {self.folder.parent} was opened by process {self._pid}, which "
                "forked this one; LMDB cannot be shared over a fork: open the store in the child"
            )
