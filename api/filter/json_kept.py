"""Values at paths that were extracted once, for as long as their JSON columns live.

A column of a segment is the first n rows of arrays that only ever grow, so that what was read
from the same places of memory is the same value, while the arrays are alive. Bounded: the paths
that were asked for longest ago go first.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from walvec.filter.json_path import Keys
from walvec.filter.json_values import JsonColumn, merged
from walvec.filter.kept import Kept
from walvec.wal.rows import Array, Column

MOST_BYTES = 128 << 20
"""Of all that is kept in the process."""

Key = tuple[int, int, int, int, Keys]


class _Entry(NamedTuple):
    """Values, and the arrays whose memory they were read from."""

    values: JsonColumn
    owners: tuple[weakref.ref[Any], ...]

    def is_dead(self) -> bool:
        """Whether that memory may belong to another column by now."""
        return any(owner() is None for owner in self.owners)


_entries: Kept[Key, _Entry] = Kept(MOST_BYTES, lambda entry: entry.values.nbytes)


def known(column: Column, keys: Keys) -> JsonColumn | None:
    """The values at a path in all rows, if they are kept."""
    found = _get(_key(column, keys))
    n = len(column)
    return found.first(n) if found is not None and len(found.kinds) >= n else None


def kept(column: Column, keys: Keys, extract: Callable[[int, int], JsonColumn]) -> JsonColumn:
    """The values at a path in all rows; `extract(first, n)` reads those that are missing."""
    key, n = _key(column, keys), len(column)
    found = _get(key)
    before = 0 if found is None else len(found.kinds)
    if found is not None and before >= n:
        return found.first(n)
    new = extract(before, n)
    if found is not None:
        new = merged(n, [(np.arange(before), found), (np.arange(before, n), new)])
    _put(key, new, column)
    return new


def _owner(array: Array) -> Array:
    """The array whose memory this one looks at."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _key(column: Column, keys: Keys) -> Key:
    assert column.offsets is not None
    places = [(id(_owner(a)), a.ctypes.data) for a in (column.values, column.offsets)]
    return (*places[0], *places[1], keys)


def _get(key: Key) -> JsonColumn | None:
    entry = _entries.get(key)
    return None if entry is None or entry.is_dead() else entry.values


def _put(key: Key, values: JsonColumn, column: Column) -> None:
    assert column.offsets is not None
    arrays = (_owner(column.values), _owner(column.offsets))
    _entries.put(key, _Entry(values, tuple(weakref.ref(array, _died) for array in arrays)))


def _died(_: Any) -> None:
    """Memory of a column was freed, and what was read from it may be."""
    _entries.drop(_Entry.is_dead, wait=False)
