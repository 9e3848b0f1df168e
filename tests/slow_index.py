"""A scalar index that looks at every row: what a filter gets from it cannot be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from walvec.segments.lookup import Lookup
from walvec.wal.rows import Array, Column


class SlowIndex:
    """Of one field of n rows. Counts how often it gave positions."""

    index_type = "INVERTED"

    def __init__(self, column: Column) -> None:
        self.rows = [_value(column, row) for row in range(len(column))]
        self.asked = 0

    def count(self, lookup: Lookup) -> int | None:
        """How many rows match."""
        return len(self._found(lookup))

    def positions(self, lookup: Lookup) -> Array:
        """Which rows match."""
        self.asked += 1
        return self._found(lookup)

    def _found(self, lookup: Lookup) -> Array:
        rows = [i for i, v in enumerate(self.rows) if v is not None and _matches(v, lookup)]
        return np.array(rows, np.int64)

    def close(self) -> None:
        """Nothing to free."""


def _value(column: Column, row: int) -> Any:
    if column.valid is not None and not column.valid[row]:
        return None
    if column.offsets is None:
        return column.values[row].item()
    one = column.slice(row, row + 1)
    if one.inner is not None:
        return [text.encode() for text in one.elements().texts()]
    return one.values.tobytes() if one.values.dtype == np.uint8 else one.values.tolist()


def _matches(value: Any, lookup: Lookup) -> bool:
    wanted: Any = lookup.values
    if lookup.kind == "in":
        return value in wanted
    if lookup.kind == "prefix":
        return bool(value.startswith(wanted[0]))
    if lookup.kind in {"any", "all"}:
        found = [element in value for element in wanted]
        return any(found) if lookup.kind == "any" else all(found)
    low, high = wanted
    above = low is None or value > low or (lookup.closed[0] and value == low)
    below = high is None or value < high or (lookup.closed[1] and value == high)
    return bool(above and below)
