"""Columns -> Python values: what users get to see.

Numbers, bools and strings as themselves, JSON decoded, an ARRAY as a list, null as None. A
TIMESTAMPTZ is ISO 8601 text. A FLOAT_VECTOR is a list of floats; vectors of the other types are
bytes, as in pymilvus: little endian, in a list of one in the rows of a query.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import tzinfo
from itertools import pairwise
from typing import Any

from walvec.timestamps import UTC, iso_texts, zone_of
from walvec.wal.rows import Column
from walvec.wal.schema import DataType, Field


def values_of(column: Column, field: Field, zone: tzinfo = UTC) -> list[Any]:
    """All rows. `zone`: in which a TIMESTAMPTZ is told."""
    values: list[Any]
    if field.is_text:
        values = column.texts() if field.type is not DataType.JSON else _jsons(column)
    elif field.is_array:
        values = _arrays(column)
    elif field.type is DataType.TIMESTAMPTZ:
        values = list(iso_texts(column.values, zone))
    elif field.is_vector and field.type is not DataType.FLOAT_VECTOR:
        data, size = column.values.tobytes(), field.row_bytes
        values = [data[i * size : (i + 1) * size] for i in range(len(column))]
    else:
        values = column.values.tolist()
    if column.valid is not None:
        valid = column.valid.tolist()
        values = [v if ok else None for v, ok in zip(values, valid, strict=True)]
    return values


def _jsons(column: Column) -> list[Any]:
    texts = column.texts()
    if column.valid is not None:
        texts = [t if ok else "null" for t, ok in zip(texts, column.valid.tolist(), strict=True)]
    # One call for all takes half the time of one for each.
    found: list[Any] = json.loads(f"[{','.join(texts)}]")
    return found


def _arrays(column: Column) -> list[Any]:
    assert column.offsets is not None
    elements = column.elements()
    flat = elements.values.tolist() if elements.offsets is None else elements.texts()
    first = int(column.offsets[0])
    return [flat[a - first : b - first] for a, b in pairwise(column.offsets.tolist())]


def python_rows(
    columns: dict[int, Column],
    fields: Sequence[Field],
    n: int,
    dynamic_keys: Collection[str] | None = None,
    *,
    timezone: str | None = None,
    bytes_in_lists: bool = True,
) -> list[dict[str, Any]]:
    """n rows as dictionaries of the fields, in their order.

    If `fields` has the dynamic field, its keys stand in the row itself: all of them, or those
    of `dynamic_keys` alone. A field goes before a dynamic key of the same name. `timezone`: an
    IANA name. `bytes_in_lists`: a vector that is bytes is put in a list, as in pymilvus' rows
    of a query; not in those of a search.
    """
    plain = [f for f in fields if not f.is_dynamic]
    names = [f.name for f in plain]
    if plain:
        zone = zone_of(timezone)
        lists = [values_of(columns[f.id], f, zone) for f in plain]
        if bytes_in_lists:
            for place, field in enumerate(plain):
                if field.is_vector and field.type is not DataType.FLOAT_VECTOR:
                    lists[place] = [None if v is None else [v] for v in lists[place]]
        rows = [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]
    else:
        rows = [{} for _ in range(n)]
    for field in fields:
        if field.is_dynamic:
            _expand(rows, _jsons(columns[field.id]), dynamic_keys)
    return rows


def _expand(
    rows: list[dict[str, Any]], objects: list[Any], dynamic_keys: Collection[str] | None
) -> None:
    for row, found in zip(rows, objects, strict=True):
        for key, value in found.items():
            if dynamic_keys is None or key in dynamic_keys:
                row.setdefault(key, value)
