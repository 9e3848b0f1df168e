"""Rows as they stand in the log: read back, verified, copied once."""

from __future__ import annotations

import lmdb
import numpy as np

from walvec.segments.batch import whole_rows, with_auto_ids
from walvec.segments.extents import Extents
from walvec.segments.growing import GrowingColumns
from walvec.segments.memory import unmap_pages
from walvec.wal.entry import Header, check_payload
from walvec.wal.errors import LogCorruptedException
from walvec.wal.events import RowsDeleted, RowsInserted
from walvec.wal.log import Entry, Log
from walvec.wal.rows import Array, Column, Rows, decode_rows, empty_column
from walvec.wal.schema import Schema

BYTES_AT_ONCE = 4 << 20
"""Of payload, read in one transaction."""


def read_rows(log: Log, txn: lmdb.Transaction, seq: int, schema: Schema) -> Rows:
    """The rows of one entry, as views of the map that end with `txn`.

    Raises LogCorruptedException where the payload does not match its digest.
    """
    entry, payload = log.read(txn, seq)
    return _rows_of(log, entry, payload, schema)


def _rows_of(log: Log, entry: Entry, payload: memoryview, schema: Schema) -> Rows:
    check_payload(entry.header, payload)
    log.sound.add(entry.header.seq)
    seq, event = entry.header.seq, entry.event
    assert isinstance(event, RowsInserted | RowsDeleted), f"entry {seq} carries no rows"
    try:
        rows = decode_rows(event.n, event.layout, payload)
    except ValueError as error:
        raise LogCorruptedException(message=f"log entry {seq}: {error}", seq=seq) from error
    return whole_rows(rows, schema, event.first_id) if isinstance(event, RowsInserted) else rows


def read_segment(
    log: Log, extents: Extents, schema: Schema, reserve_rows: int = 0
) -> GrowingColumns:
    """All rows of a segment, copied into memory, a few entries in one short transaction.

    reserve_rows: the room that is made when more rows come.
    """
    columns = GrowingColumns(schema, max(1, extents.rows), reserve_rows, all_used=True)
    rest = iter(extents)
    before: Header | None = None
    while True:
        size = 0
        read: list[memoryview] = []
        with log.reading() as txn:
            for seq, _ in rest:
                entry, payload = log.read(txn, seq, before)
                before = entry.header
                columns.append(_rows_of(log, entry, payload, schema))
                read.append(payload)
                size += len(payload)
                if size > BYTES_AT_ONCE:
                    break
            # The map would count as this process' memory, beside the copy.
            unmap_pages(read)
            if size <= BYTES_AT_ONCE:
                return columns


def read_pks(log: Log, extents: Extents, schema: Schema) -> tuple[Column, Array]:
    """The primary keys of entries, one after the other, and the seq of each, (n,) int64.

    Their payloads, whole, are checked the first time that this handle reads them: a wrong key
    would be a wrong count, or another row's death. Raises LogCorruptedException.
    """
    pk = schema.primary
    parts = [empty_column(pk)]
    seqs = [np.empty(0, np.int64)]
    before: Header | None = None
    for seq, n in extents:
        with log.reading() as txn:
            entry, payload = log.read(txn, seq, before)
            before = entry.header
            event = entry.event
            assert isinstance(event, RowsInserted | RowsDeleted), f"entry {seq} carries no rows"
            unchecked = seq not in log.sound
            if unchecked:
                check_payload(entry.header, payload)
                log.sound.add(seq)
            rows = decode_rows(event.n, event.layout, payload)
            first_id = event.first_id if isinstance(event, RowsInserted) else None
            column = with_auto_ids(rows, schema, first_id).columns[pk.id]
            parts.append(copied(column))
            if unchecked:
                unmap_pages([payload])
        seqs.append(np.full(n, seq, np.int64))
    return Column.concatenate(parts), np.concatenate(seqs)


def copied(column: Column) -> Column:
    """A column in memory of its own."""
    valid = None if column.valid is None else column.valid.copy()
    offsets = None if column.offsets is None else column.offsets.copy()
    inner = None if column.inner is None else column.inner.copy()
    return Column(column.values.copy(), offsets, valid, inner)
