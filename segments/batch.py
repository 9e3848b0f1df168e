"""Rows made ready for the log before the lock is taken: cut into chunks, encoded, hashed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from walvec.wal.entry import Payload, payload_of
from walvec.wal.errors import ParamError
from walvec.wal.rows import DTYPES, Column, Layout, Rows, completed, encode_rows
from walvec.wal.schema import DataType, Schema

MAX_EVENT_BYTES = 16 << 20
MAX_KEY = 1 << 62
"""The largest that a row may bring to a collection with automatic ids."""
MAX_KEY_DIGITS = 20


class Batch(NamedTuple):
    """Rows made ready for the log, in chunks of at most 16 MiB, for one partition: None for the
    default one."""

    chunks: list[tuple[Rows, Layout, Payload]]
    n: int
    partition: int | None = None


def batch_of(rows: Rows, partition: int | None = None) -> Batch:
    """Encode and hash rows. The arrays are kept, not copied."""
    if rows.n == 1 or (size := rows.nbytes()) <= MAX_EVENT_BYTES:
        return Batch([_chunk(rows)], rows.n, partition)
    step = max(1, MAX_EVENT_BYTES * rows.n // size)
    parts = [rows.slice(i, min(i + step, rows.n)) for i in range(0, rows.n, step)]
    return Batch([_chunk(part) for part in parts], rows.n, partition)


def _chunk(rows: Rows) -> tuple[Rows, Layout, Payload]:
    layout, buffers = encode_rows(rows)
    return rows, layout, payload_of(buffers)


def with_auto_ids(rows: Rows, schema: Schema, first_id: int | None) -> Rows:
    """The rows with their primary key column, which the log states by its first value alone."""
    if first_id is None:
        return rows
    primary = schema.primary
    ids = np.arange(first_id, first_id + rows.n, dtype=DTYPES[DataType.INT64])
    column = Column.of_texts(map(str, ids.tolist())) if primary.is_text else Column(ids)
    return Rows(rows.n, {primary.id: column, **rows.columns})


def whole_rows(rows: Rows, schema: Schema, first_id: int | None) -> Rows:
    """Rows of the log as the collection has them now: with automatic ids, and the fields that
    were added since."""
    return completed(with_auto_ids(rows, schema, first_id), schema)


def largest_key(rows: Rows, schema: Schema) -> int:
    """The largest key that rows bring to a collection with automatic ids, 0 for none.

    Raises ParamError for one after which there would be no room for automatic ones.
    """
    if not schema.primary.auto_id:
        return 0
    keys = rows.columns[schema.primary.id]
    if keys.offsets is None:
        last = int(keys.values.max())
    else:
        texts = (t for t in keys.texts() if t.isascii() and t.isdecimal())
        last = max((int(t) for t in texts if len(t) < MAX_KEY_DIGITS), default=0)
    if last > MAX_KEY:
        raise ParamError(message=f"key {last} is too large beside automatic ids: at most {MAX_KEY}")
    return max(0, last)
