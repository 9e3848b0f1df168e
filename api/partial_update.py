"""Partial updates: rows that keep what they are not given."""

from __future__ import annotations

from typing import Any

import numpy as np

from walvec.convert import merged_meta, partial_rows_of
from walvec.segments.pk_index import pk_values
from walvec.segments.view import Place, View
from walvec.wal.errors import DataNotMatchException
from walvec.wal.rows import Array, Column, Rows, columns_in_log_order, filled_column
from walvec.wal.schema import Field

NOWHERE = -1


class Conflict(Exception):
    """Rows that a write depends on have changed since it read them."""


def merged_rows(
    view: View, data: Any, collection_name: str, timezone: str | None
) -> tuple[Rows, Array]:
    """The rows given, with what they leave out as it is in the view, all partitions of which are
    there; and the ids of the partitions that they are in, (n,) int64. Rows that are not present
    get defaults and nulls, and partition NOWHERE. timezone: of times without one.

    Raises DataNotMatchException.
    """
    schema = view.schema
    rows, given = partial_rows_of(data, schema, collection_name, timezone=timezone)
    places = [view.find(pk) for pk in pk_values(rows.columns[schema.primary.id])]
    columns = dict(rows.columns)
    for field in schema.fields:
        if field.id not in given:
            columns[field.id] = _present(field, places, collection_name)
        elif field.is_dynamic:
            columns[field.id] = merged_meta(
                _present(field, places, collection_name), rows.columns[field.id]
            )
    homes = [NOWHERE if place is None else place[0].segment.partition for place in places]
    return Rows(rows.n, columns_in_log_order(schema, columns)), np.array(homes, np.int64)


def _present(field: Field, places: list[Place | None], collection_name: str) -> Column:
    """A field's values at these places; defaults or nulls where there is no row."""
    by_segment: dict[int, list[int]] = {}
    for number, place in enumerate(places):
        segment_id = -1 if place is None else place[0].segment.id
        by_segment.setdefault(segment_id, []).append(number)
    parts = []
    for segment_id, numbers in by_segment.items():
        if segment_id == -1:
            _refuse_incomplete(field, numbers[0], collection_name)
            parts.append(filled_column(field, len(numbers)))
            continue
        found = [place for number in numbers if (place := places[number]) is not None]
        rows = np.array([row for _, row in found], np.int64)
        parts.append(found[0][0].column(field.id).take(rows))
    if not parts:
        return filled_column(field, 0)
    order = np.concatenate([np.array(numbers, np.int64) for numbers in by_segment.values()])
    return Column.concatenate(parts).take(np.argsort(order))


def _refuse_incomplete(field: Field, row: int, collection_name: str) -> None:
    if not (field.nullable or field.is_dynamic or field.default is not None):
        raise DataNotMatchException(
            message=f"collection {collection_name}: field {field.name}, row {row}: the row is not "
            "present, so that it needs a value for this field"
        )
