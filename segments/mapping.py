"""Which columns of a sealed segment are mapped from its file, and which are held in memory.

A collection's `mmap.enabled` says it for all of its fields, a field's own for that field.
"""

from __future__ import annotations

from walvec.segments.files import is_mapped
from walvec.segments.growing import FixedColumns
from walvec.segments.log_rows import copied
from walvec.wal.rows import Rows, completed
from walvec.wal.schema import Field, Schema


def maps_some(schema: Schema, properties: dict[str, str]) -> bool:
    """Whether a collection with these properties maps the file of a segment at all."""
    if is_mapped(properties):
        return True
    return any(is_mapped(dict(field.properties)) for field in schema.fields)


def columns_of_file(
    rows: Rows, schema: Schema, properties: dict[str, str], *, mapped: bool
) -> FixedColumns:
    """The columns of a file that was read or `mapped`; of a mapped one those fields are copied
    that are to be held in memory."""
    if mapped:
        columns = {
            i: column if _is_mapped(schema.by_id.get(i), properties) else copied(column)
            for i, column in rows.columns.items()
        }
        rows = Rows(rows.n, columns)
    return FixedColumns(completed(rows, schema), mapped=mapped)


def _is_mapped(field: Field | None, properties: dict[str, str]) -> bool:
    return field is None or is_mapped({**properties, **dict(field.properties)})
