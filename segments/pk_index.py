"""Which row of a segment has a primary key: a dictionary while it grows, sorted once sealed.

Both know the newest row of a key alone: rows are appended in the order of the log, so it is
the last of its key, and all rows of the key before it are dead.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from walvec.wal.rows import Array, Column

NONE = -1


def pk_values(column: Column) -> list[Any]:
    """The keys as Python ints or strings."""
    if column.offsets is not None:
        return column.texts()
    values: list[Any] = column.values.tolist()
    return values


class HashedPks:
    """key -> newest row. For growing segments, and for sealed ones with VARCHAR keys."""

    def __init__(self) -> None:
        self._rows: dict[Any, int] = {}

    def append(self, pks: list[Any], first_row: int) -> None:
        """Rows first_row.. have these keys."""
        self._rows.update(zip(pks, range(first_row, first_row + len(pks)), strict=True))

    def get(self, pk: Any) -> int:
        """The newest row with this key, or -1."""
        return self._rows.get(pk, NONE)

    def find(self, pks: list[Any], _array: Array | None) -> Array:
        """The newest row of each key, (m,) int64, -1 where there is none."""
        get = self._rows.get
        return np.fromiter((get(pk, NONE) for pk in pks), np.int64, len(pks))


class SortedPks:
    """Sorted INT64 keys with their rows: 8 or 16 bytes a row. For sealed segments."""

    def __init__(self, keys: Array) -> None:
        # Rows in order of their keys need no permutation: the usual case of counted ids.
        self._order: Array | None = None
        if len(keys) > 1 and not bool((keys[1:] > keys[:-1]).all()):
            self._order = np.argsort(keys, kind="stable")
            keys = keys[self._order]
        self._keys = keys
        self._low, self._high = (int(keys[0]), int(keys[-1])) if len(keys) else (0, -1)

    def get(self, pk: Any) -> int:
        """The newest row with this key, or -1."""
        if not self._low <= pk <= self._high:
            return NONE
        place = int(self._keys.searchsorted(pk, "right")) - 1
        if self._keys[place] != pk:
            return NONE
        return place if self._order is None else int(self._order[place])

    def find(self, pks: list[Any], array: Array | None) -> Array:
        """The newest row of each key, (m,) int64, -1 where there is none."""
        wanted = np.asarray(pks, np.int64) if array is None else array
        if not len(wanted) or not len(self._keys):
            return np.full(len(wanted), NONE, np.int64)
        if wanted.max() < self._low or wanted.min() > self._high:
            return np.full(len(wanted), NONE, np.int64)
        places = self._keys.searchsorted(wanted, "right") - 1
        found = self._keys[places] == wanted
        rows = places if self._order is None else self._order[places]
        return np.where(found, rows, NONE)


PkIndex = HashedPks | SortedPks
