"""What is found where an entry must be: the entry, or what is wrong with it. Damaged pages of LMDB
itself, around the entries, are covered by no digest of ours, and show as errors of LMDB."""

from __future__ import annotations

from typing import Any

import lmdb

from walvec.wal.entry import Header, decode_header
from walvec.wal.errors import LogCorruptedException
from walvec.wal.events import Event, decode_body

PAGE_DAMAGE = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.PanicError, lmdb.CursorFullError)
"""What LMDB raises where a page is not what it must be."""


def damaged_page(seq: int, error: Exception) -> LogCorruptedException:
    """The entry `seq` cannot be reached."""
    return LogCorruptedException(
        message=f"log entry {seq} cannot be reached, a page of data.mdb is damaged ({error}); "
        "nothing was cut: restore the log from a copy",
        seq=seq,
    )


def lost_tail(found: int, recorded: int) -> LogCorruptedException | None:
    """What is wrong where the entries end at seq `found`, and LMDB has counted `recorded`."""
    if recorded <= found:
        return None
    return LogCorruptedException(
        message=f"log entry {found + 1} is missing: data.mdb counts {recorded} entries; nothing "
        "was cut: restore the log from a copy",
        seq=found + 1,
    )


def decode_entry(
    seq: int, found_seq: int | bytes, value: Any, chain: bytes, timestamp: int
) -> tuple[Header, Event]:
    """The entry `seq`, which follows one with this chain and timestamp. Its payload is not checked.

    found_seq: what its key says. Raises LogCorruptedException, FormatException.
    """
    if found_seq != seq:
        raise LogCorruptedException(
            message=f"log entry {seq} is missing, the next key is {found_seq!r}: "
            "restore from a copy",
            seq=seq,
        )
    header, body = decode_header(seq, value, chain)
    if header.timestamp < timestamp:
        raise LogCorruptedException(
            message=f"log entry {seq}, offset 24: timestamp {header.timestamp} is before that of "
            f"the entry before it, {timestamp}",
            seq=seq,
        )
    return header, decode_body(header.kind, header.version, header.collection, body)
