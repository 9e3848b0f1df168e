"""Columns -> Python values: what users get to see."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from walvec.wal.rows import Column
from walvec.wal.schema import DataType, Field

EMPTY = "{}"


def values_of(column: Column, field: Field) -> list[Any]:
    """All rows: numbers, bools, strings, decoded JSON, vectors as lists of floats; None if null."""
    values: list[Any]
    if not field.is_text:
        values = column.values.tolist()
    elif field.type is DataType.JSON:
        values = [json.loads(text) for text in _json_texts(column)]
    else:
        values = column.texts()
    if column.valid is not None:
        valid = column.valid.tolist()
        values = [v if ok else None for v, ok in zip(values, valid, strict=True)]
    return values


def _json_texts(column: Column) -> list[str]:
    texts = column.texts()
    if column.valid is None:
        return texts
    return [t if ok else "null" for t, ok in zip(texts, column.valid.tolist(), strict=True)]


def value_at(column: Column, field: Field, row: int) -> Any:
    """One row, as in `values_of`."""
    if column.valid is not None and not column.valid[row]:
        return None
    if not field.is_text:
        return column.values[row].tolist()
    text = column.text(row)
    return json.loads(text) if field.type is DataType.JSON else text


def python_rows(
    columns: dict[int, Column],
    fields: Sequence[Field],
    n: int,
    dynamic_keys: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """n rows as dictionaries of the fields, in their order.

    If `fields` has the dynamic field, its keys stand in the row itself: all of them, or those
    of `dynamic_keys` alone. A field goes before a dynamic key of the same name.
    """
    plain = [f for f in fields if not f.is_dynamic]
    names = [f.name for f in plain]
    if plain:
        lists = [values_of(columns[f.id], f) for f in plain]
        rows = [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]
    else:
        rows = [{} for _ in range(n)]
    for field in fields:
        if field.is_dynamic:
            _expand(rows, columns[field.id].texts(), dynamic_keys)
    return rows


def _expand(
    rows: list[dict[str, Any]], texts: list[str], dynamic_keys: Collection[str] | None
) -> None:
    for row, text in zip(rows, texts, strict=True):
        if text == EMPTY:
            continue
        for key, value in json.loads(text).items():
            if dynamic_keys is None or key in dynamic_keys:
                row.setdefault(key, value)
