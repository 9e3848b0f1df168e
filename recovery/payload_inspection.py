"""Whether a payload is what its event and the schema say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from walvec.wal.events import Event, RowsDeleted, RowsInserted
from walvec.wal.rows import Array, Column, Rows, decode_rows, item_dtype
from walvec.wal.schema import DataType, Field, Schema


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
    # A writer may not have known yet of a field that was added.
    needed = {i for i in wanted if not _may_be_absent(schema.by_id[i])}
    if not needed <= rows.columns.keys() <= wanted:
        yield f"its columns are {sorted(rows.columns)}, the schema's {sorted(wanted)}"
    yield from _column_faults(rows, schema)


def _may_be_absent(field: Field) -> bool:
    return field.nullable or field.is_dynamic or field.default is not None


def _column_faults(rows: Rows, schema: Schema) -> Iterator[str]:
    for field_id, column in rows.columns.items():
        field = schema.by_id.get(field_id)
        if field is not None and (fault := _column_fault(field, column)):
            yield f"field {field.name}: {fault}"


def _column_fault(field: Field, column: Column) -> str:
    valid = column.valid
    if valid is not None and (valid.dtype != np.bool_ or valid.shape != (len(column),)):
        return f"validity of {valid.dtype} and shape {valid.shape}"
    if column.values.dtype != item_dtype(field):
        return f"values are {column.values.dtype}, not {item_dtype(field)}"
    if field.is_text:
        return _text_fault(column)
    if field.is_array:
        return _array_fault(field, column)
    if column.offsets is not None:
        return "offsets, and its rows have a fixed size"
    return _vector_fault(field, column.values) if field.is_vector else ""


def _vector_fault(field: Field, values: Array) -> str:
    if values.shape[1:] != (field.width,):
        return f"rows of shape {values.shape[1:]}, not ({field.width},)"
    if field.type is DataType.BFLOAT16_VECTOR:
        # Infinities and NaN have all bits of the exponent set.
        finite = (values & 0x7F80) != 0x7F80
    else:
        finite = np.isfinite(values)
    if not finite.all():
        return f"row {int(np.argmin(finite.all(axis=1)))} holds NaN or infinity"
    return ""


def _array_fault(field: Field, column: Column) -> str:
    count = len(column.values) if column.inner is None else len(column.inner) - 1
    if fault := _offsets_fault(column.offsets, count):
        return fault
    is_text = field.element_type is DataType.VARCHAR
    if is_text != (column.inner is not None):
        return "elements with offsets, or without, that are not of that kind"
    return _text_fault(column.elements()) if is_text else ""


def _offsets_fault(offsets: Array | None, count: int) -> str:
    if offsets is None:
        return "rows of any size without offsets"
    if offsets[0] != 0 or offsets[-1] != count or (np.diff(offsets) < 0).any():
        return "offsets do not cover the values in order"
    return ""


def _text_fault(column: Column) -> str:
    if fault := _offsets_fault(column.offsets, len(column.values)):
        return fault
    offsets = column.offsets
    assert offsets is not None, "looked at before"
    try:
        column.values.tobytes().decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8: {error.reason} at byte {error.start}"
    # A row that begins with a continuation byte cuts a character in two.
    starts = offsets[:-1][np.diff(offsets) > 0]
    if ((column.values[starts] & 0xC0) == 0x80).any():
        return "a row begins in the middle of a character"
    return ""
