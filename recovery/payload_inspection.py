"""Whether a payload is what its event and the schema say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from walvec.wal.events import Event, RowsDeleted, RowsInserted
from walvec.wal.rows import DTYPES, Column, Rows, decode_rows
from walvec.wal.schema import Field, Schema


def payload_faults(event: Event, payload: Any, schema: Schema | None) -> Iterator[str]:
    """What is wrong with an entry's payload, whose digest is right. Without a schema the fields
    are not looked at."""
    if not isinstance(event, RowsInserted | RowsDeleted):
        if len(payload):
            yield f"a payload of {len(payload)} bytes, and this event has none"
        return
    try:
        rows = decode_rows(event.n, event.layout, payload)
    except (ValueError, TypeError, KeyError) as error:
        yield f"its layout does not fit its payload: {error}"
        return
    if schema is None:
        return
    wanted = {field.id for field in schema.fields}
    if isinstance(event, RowsDeleted):
        wanted = {schema.primary.id}
    elif event.first_id is not None:
        wanted -= {schema.primary.id}
    if rows.columns.keys() != wanted:
        yield f"its columns are {sorted(rows.columns)}, the schema's {sorted(wanted)}"
    yield from _column_faults(rows, schema)


def _column_faults(rows: Rows, schema: Schema) -> Iterator[str]:
    for field_id, column in rows.columns.items():
        field = schema.by_id.get(field_id)
        if field is not None and (fault := _column_fault(field, column)):
            yield f"field {field.name}: {fault}"


def _column_fault(field: Field, column: Column) -> str:
    if field.is_text:
        return _text_fault(column)
    values = column.values
    if column.offsets is not None or values.dtype != DTYPES[field.type]:
        return f"values are {values.dtype}, not {DTYPES[field.type]}"
    if field.is_vector and values.shape[1:] != (field.dim,):
        return f"rows of shape {values.shape[1:]}, not ({field.dim},)"
    if field.is_vector and not np.isfinite(values).all():
        return f"row {int(np.argmin(np.isfinite(values).all(axis=1)))} holds NaN or infinity"
    return ""


def _text_fault(column: Column) -> str:
    offsets = column.offsets
    if offsets is None:
        return "text without offsets"
    if offsets[0] != 0 or offsets[-1] != len(column.values) or (np.diff(offsets) < 0).any():
        return "offsets do not cover the text in order"
    try:
        column.values.tobytes().decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8: {error.reason} at byte {error.start}"
    # A row that begins with a continuation byte cuts a character in two.
    starts = offsets[:-1][np.diff(offsets) > 0]
    if ((column.values[starts] & 0xC0) == 0x80).any():
        return "a row begins in the middle of a character"
    return ""
