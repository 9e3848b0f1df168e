"""Which rows are dead, and since when: the visibility rule over whole columns at once.

A row is visible at seq t if born <= t and nothing of its primary key, neither a newer row nor
a tombstone, lies in (born, t]; of rows of one entry with equal keys the last one counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from walvec.wal.rows import Array, Column

NEVER = np.iinfo(np.int64).max


def died_at(pks: Column, born: Array, deleted: Column, deleted_at: Array) -> Array:
    """The seq at which each row died, NEVER for a living one.

    pks: (n,) keys in the order of the log within equal `born`; born: (n,) seqs; deleted: (m,)
    keys of tombstones; deleted_at: (m,) their seqs. Returns (n,) int64.
    """
    n = len(pks)
    died = np.full(n, NEVER, np.int64)
    if not len(deleted) and pks.offsets is None and bool((pks.values[1:] > pks.values[:-1]).all()):
        return died
    keys = _numbers(pks, deleted)
    seqs = np.concatenate([born, deleted_at])
    order = np.lexsort((np.arange(len(keys)), seqs, keys))
    followed = keys[order][1:] == keys[order][:-1]
    earlier, later = order[:-1][followed], order[1:][followed]
    rows = earlier < n
    died[earlier[rows]] = seqs[later[rows]]
    return died


def _numbers(pks: Column, deleted: Column) -> Array:
    """Keys as int64: themselves, or for strings a number for each distinct one."""
    if pks.offsets is None:
        return np.concatenate([pks.values, deleted.values])
    numbers: dict[Any, int] = {}
    texts = pks.texts() + deleted.texts()
    return np.fromiter((numbers.setdefault(t, len(numbers)) for t in texts), np.int64, len(texts))
