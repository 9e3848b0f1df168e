"""Reading entries one after the other, each checked against the chain."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import lmdb

from walvec.wal.entry import GENESIS, Header, decode_header, payload_view
from walvec.wal.errors import FormatException, LogCorruptedException, MilvusException
from walvec.wal.events import Event, decode_body
from walvec.wal.found import PAGE_DAMAGE, damaged_page, decode_entry, lost_tail

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


def read_entries(
    txn: lmdb.Transaction, database: Any, after: Position, limit: int | None
) -> tuple[list[Entry], MilvusException | None]:
    """The entries after a position, at most `limit`, up to the first damaged one, and what is
    wrong with that."""
    seq, chain, timestamp = after
    entries: list[Entry] = []
    try:
        with txn.cursor(db=database) as cursor:
            for key, value in cursor if cursor.set_range(KEY.pack(seq + 1)) else ():
                found = KEY.unpack(key)[0] if len(key) == KEY.size else bytes(key)
                header, event = decode_entry(seq + 1, found, value, chain, timestamp)
                seq, chain, timestamp = header.seq, header.chain, header.timestamp
                entries.append(Entry(header, event))
                if len(entries) == limit:
                    return entries, None
        return entries, lost_tail(seq, txn.stat(database)["entries"])
    except (LogCorruptedException, FormatException) as error:
        return entries, error
    except PAGE_DAMAGE as error:
        return entries, damaged_page(seq + 1, error)


def position_at(txn: lmdb.Transaction, database: Any, seq: int) -> Position:
    """The position of an entry, from its header alone. Raises LogCorruptedException."""
    if not seq:
        return Position()
    header, _ = decode_header(seq, _value(txn, database, seq), None)
    return Position(seq, header.chain, header.timestamp)


def read_entry(
    txn: lmdb.Transaction, database: Any, seq: int, before: Header | None
) -> tuple[Entry, memoryview]:
    """See Log.read."""
    if before is not None and before.seq == seq - 1:
        value = _value(txn, database, seq)
        header, body = decode_header(seq, value, before.chain)
    else:
        header, body, value = _sound(txn, database, seq)
    event = decode_body(header.kind, header.version, header.collection, body)
    return Entry(header, event), payload_view(header, value)


def _sound(txn: lmdb.Transaction, database: Any, seq: int) -> tuple[Header, bytes, Any]:
    value = current = _value(txn, database, seq)
    wrong: MilvusException | None = None
    for place in range(seq, 0, -1):
        # Both first: after a damaged page LMDB lets nothing more be read in this transaction.
        previous = _value(txn, database, place - 1) if place > 1 else None
        try:
            before = (
                GENESIS if previous is None else decode_header(place - 1, previous, None)[0].chain
            )
            header, body = decode_header(place, current, before)
        except (LogCorruptedException, FormatException) as error:
            wrong, current = error, previous  # it may be the entry before it that is damaged
            continue
        if wrong is None:
            return header, body, value
        break
    assert wrong is not None
    raise wrong


def _value(txn: lmdb.Transaction, database: Any, seq: int) -> Any:
    try:
        value = txn.get(KEY.pack(seq), db=database)
    except PAGE_DAMAGE as error:
        raise damaged_page(seq, error) from error
    if value is None:
        raise LogCorruptedException(message=f"log entry {seq} is missing", seq=seq)
    return value
