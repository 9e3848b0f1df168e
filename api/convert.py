"""User data -> rows as columns: the border where data of users is checked, once.

What is wrong raises DataNotMatchException, which names collection, field, row and value,
and nothing of the batch is converted. The caller's objects are read, never kept or changed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from walvec.cells import Place, shown
from walvec.columns import column_of
from walvec.converter import Converter
from walvec.dynamic import merged_meta
from walvec.timestamps import zone_of
from walvec.wal.errors import DataNotMatchException, ParamError
from walvec.wal.rows import Column, Rows
from walvec.wal.schema import Schema

__all__ = [
    "columns_of",
    "merged_meta",
    "partial_rows_of",
    "pks_of",
    "rows_of",
]

MAX_CONVERTERS = 256
_converters: dict[tuple[int, bool], Converter] = {}
_adding = threading.Lock()


def converter(schema: Schema, upsert: bool) -> Converter:
    """The converter of a schema, made once for each schema object."""
    # By identity, because hashing a schema takes longer than converting a row. The converter
    # keeps the schema, so that no other can come to have its id.
    key = (id(schema), upsert)
    found = _converters.get(key)
    if found is None:
        found = Converter(schema, upsert)
        with _adding:
            if len(_converters) >= MAX_CONVERTERS:
                _converters.pop(next(iter(_converters)))
            _converters[key] = found
    return found


def _row_list(data: Any, collection_name: str) -> Sequence[Any]:
    if isinstance(data, dict):
        return (data,)
    if not isinstance(data, list | tuple):
        raise DataNotMatchException(
            message=f"collection {collection_name}: expected a dict or a list of dicts, "
            f"got {shown(data)}"
        )
    return data


def rows_of(
    data: Any,
    schema: Schema,
    collection_name: str,
    *,
    upsert: bool = False,
    timezone: str | None = None,
) -> Rows:
    """Row-based data, a dict or a list of dicts, as columns; an empty list gives no rows.

    A field that a row leaves out, or gives as None, gets its default, or is null. `timezone`: of
    TIMESTAMPTZ texts without an offset, an IANA name. Raises DataNotMatchException.
    """
    plan = converter(schema, upsert)
    rows = _row_list(data, collection_name)
    return plan.rows(rows, collection_name, zone_of(timezone)) if rows else plan.empty()


def partial_rows_of(
    data: Any, schema: Schema, collection_name: str, *, timezone: str | None = None
) -> tuple[Rows, list[int]]:
    """Row-based data of a partial update: the columns of the fields given, and their ids.

    All rows have the primary key and the same fields; dynamic keys may differ, and their column
    is there if any row has one. Raises DataNotMatchException.
    """
    plan = converter(schema, True)
    rows = _row_list(data, collection_name)
    if not rows:
        return plan.empty(), [f.id for f in schema.fields]
    return plan.partial_rows(rows, collection_name, zone_of(timezone))


def columns_of(
    data: Any,
    schema: Schema,
    collection_name: str,
    *,
    upsert: bool = False,
    timezone: str | None = None,
) -> Rows:
    """Column-based data in the order of the fields (without automatic ids), or a data frame.

    Each column is a list, tuple, array, masked array or series; vectors and arrays of one
    length may be one 2-D array. None stands for a column without values where the field may be
    left out. Raises DataNotMatchException.
    """
    plan = converter(schema, upsert)
    if isinstance(data, list | tuple) and not data:
        return plan.empty()
    return plan.columns(data, collection_name, zone_of(timezone))


def pks_of(ids: Any, schema: Schema, collection_name: str) -> Column:
    """Primary keys to get or delete, one or a list, in the order given. Raises ParamError."""
    place = Place(collection_name, schema.primary)
    if isinstance(ids, set | frozenset | range):
        ids = list(ids)
    elif isinstance(ids, np.ndarray) and not ids.ndim:
        ids = [ids.item()]
    elif not isinstance(ids, list | tuple | np.ndarray):
        ids = [ids]
    try:
        return column_of(ids, place)
    except DataNotMatchException as error:
        raise ParamError(message=error.message.replace(", row ", ", id ", 1)) from None
