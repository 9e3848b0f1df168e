"""Cursors: how far the readers of the change feed have come, in the LMDB database `cursors`.

The key is the cursor's name, 1 to 255 bytes of UTF-8. Numbers in the value are little endian.

    offset  size  field
         0     4  magic      "WVU1"
         4     2  format     1
         6     2  reserved   0
         8     8  seq        of the last change that was acknowledged
        16     8  timestamp  of the acknowledgement, ns since 1970 UTC
        24    16  chain      of the entry `seq`: pins the log that was read
        40    16  digest     BLAKE3 of (key, value[0:40]), 16 bytes

A cursor is valid if and only if magic, format and reserved are known, the length is 56, the
digest matches, and the log has an entry `seq` with this chain. A cursor only moves forward.
"""

from __future__ import annotations

import struct
import time
from typing import Any, NamedTuple

import lmdb

from walvec.wal.entry import DIGEST_SIZE, digest_of
from walvec.wal.environment import CURSORS
from walvec.wal.errors import FormatException, LogCorruptedException, StoreBrokenException
from walvec.wal.found import PAGE_DAMAGE
from walvec.wal.log import Log

VALUE = struct.Struct("<4sHHQQ16s16s")
COVERED = 40
MAGIC = b"WVU1"
FORMAT = 1
MAX_NAME_BYTES = 255

assert VALUE.size == 56
assert VALUE.size - COVERED == DIGEST_SIZE


class Cursor(NamedTuple):
    """A reader has dealt with all changes up to `seq`; it said so at `timestamp` (ns)."""

    name: str
    seq: int
    timestamp: int


def encode_cursor(cursor: Cursor, chain: bytes) -> bytes:
    """The value of a cursor at an entry with this chain."""
    fields = (MAGIC, FORMAT, 0, cursor.seq, cursor.timestamp, chain)
    covered = VALUE.pack(*fields, bytes(DIGEST_SIZE))[:COVERED]
    return covered + digest_of(cursor.name.encode() + covered)


def decode_cursor(key: bytes, value: Any) -> tuple[Cursor, bytes]:
    """A cursor, and the chain of its entry. Raises LogCorruptedException, FormatException."""
    name = key.decode(errors="replace")
    value = bytes(value)
    if len(value) != VALUE.size or digest_of(key + value[:COVERED]) != value[COVERED:]:
        raise _damaged(name, "does not match its digest")
    magic, form, reserved, seq, timestamp, chain, _ = VALUE.unpack(value)
    if magic != MAGIC or form != FORMAT or reserved:
        raise FormatException(message=f"cursor {name} has format {form}: use a newer walvec")
    return Cursor(name, seq, timestamp), chain


def read_cursor(log: Log, txn: lmdb.Transaction, name: str) -> Cursor | None:
    """The cursor of this name, None where nothing was acknowledged yet.

    Raises LogCorruptedException where it or its entry is not what was written.
    """
    database = log.database(CURSORS)
    if database is None:  # a store of an older walvec
        return None
    key = name.encode()
    try:
        value = txn.get(key, db=database)
    except PAGE_DAMAGE as error:
        raise _damaged(name, f"cannot be reached ({error})") from error
    if value is None:
        return None
    cursor, chain = decode_cursor(key, value)
    if cursor.seq > log.last_seq(txn) or log.position_at(txn, cursor.seq).chain != chain:
        raise _damaged(name, f"has read another log up to entry {cursor.seq}")
    return cursor


def put_cursor(log: Log, txn: lmdb.Transaction, name: str, seq: int) -> Cursor:
    """Move a cursor forward to an entry, in a write transaction; as it is then.

    A cursor that is there already, or further, stays. Raises LogCorruptedException.
    """
    present = read_cursor(log, txn, name)
    if present is not None and present.seq >= seq:
        return present
    database = log.database(CURSORS)
    if database is None:
        raise StoreBrokenException(message=f"{log.folder} has no cursors: open the store again")
    cursor = Cursor(name, seq, time.time_ns())
    txn.put(name.encode(), encode_cursor(cursor, log.position_at(txn, seq).chain), db=database)
    return cursor


def delete_cursor(log: Log, txn: lmdb.Transaction, name: str) -> bool:
    """Delete a cursor, damaged or not, in a write transaction; whether there was one."""
    database = log.database(CURSORS)
    return database is not None and txn.delete(name.encode(), db=database)


def all_cursors(log: Log, txn: lmdb.Transaction) -> list[Cursor]:
    """All cursors in the order of their names. Raises LogCorruptedException, FormatException."""
    database = log.database(CURSORS)
    if database is None:
        return []
    try:
        with txn.cursor(db=database) as found:
            pairs = [(bytes(key), bytes(value)) for key, value in found]
    except PAGE_DAMAGE as error:
        raise LogCorruptedException(
            message=f"a page of the cursors is damaged ({error}): restore the log from a copy"
        ) from error
    return [decode_cursor(key, value)[0] for key, value in pairs]


def _damaged(name: str, what: str) -> LogCorruptedException:
    return LogCorruptedException(
        message=f"cursor {name} {what}: drop it with drop_cursor() and begin anew with since="
    )
