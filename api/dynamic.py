"""The dynamic field: the keys of rows that are no fields, as one JSON object a row."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from walvec.cells import CONVERTERS, Place
from walvec.json_text import NotJson, json_bytes
from walvec.wal.errors import DataNotMatchException
from walvec.wal.rows import OFFSETS, Column

EMPTY = "{}"
EMPTY_OBJECT = np.frombuffer(EMPTY.encode(), np.uint8)


def empty_objects(n: int) -> Column:
    """n rows without dynamic keys."""
    return Column(np.tile(EMPTY_OBJECT, n), np.arange(0, 2 * n + 1, 2).astype(OFFSETS))


def dynamic_column(data: Sequence[dict[str, Any]], names: Collection[str], place: Place) -> Column:
    """What of the rows is not one of `names`."""
    extra = [{k: v for k, v in row.items() if k not in names} for row in data]
    return CONVERTERS[place.field.type](extra, place)


def merged_meta(old: Column, new: Column) -> Column:
    """The keys of `old` with those of `new` put over them, row by row, as a partial update does.

    Raises DataNotMatchException where a row gets too long.
    """
    merged = []
    for row, (before, after) in enumerate(zip(old.texts(), new.texts(), strict=True)):
        if after in ("", EMPTY):
            merged.append(before or EMPTY)
        elif before in ("", EMPTY):
            merged.append(after)
        else:
            try:
                data = json_bytes({**json.loads(before), **json.loads(after)})
            except NotJson as error:
                raise DataNotMatchException(
                    message=f"the dynamic keys of row {row}, merged: expected {error}"
                ) from None
            merged.append(data.decode())
    return Column.of_texts(merged)
