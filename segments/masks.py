"""Masks: which rows a bool array selects."""

from __future__ import annotations

import numpy as np

from walvec.wal.rows import Array

SPARSE = 16
"""With fewer rows than one in so many selected, most words of eight have none."""


def rows_of(mask: Array, count: int) -> Array:
    """As np.flatnonzero: the positions of the `count` selected rows, (count,) int64, ascending.

    mask: (n,) bool. Where few are selected it first looks for words of eight rows with any, which
    of 1,000,000 rows takes 40 microseconds instead of 115 for 1,000, and 280 instead of 830 for
    50,000.
    """
    n = len(mask)
    if count * SPARSE >= n or not mask.flags.c_contiguous:
        return np.flatnonzero(mask)
    whole = n & -8
    words = mask[:whole].view(np.uint64)
    some = np.flatnonzero(words != 0)
    inside = np.flatnonzero(words[some].view(np.bool_))
    rows = some.take(inside >> 3)
    rows <<= 3
    inside &= 7
    rows += inside
    if whole == n:
        return rows
    return np.concatenate([rows, np.flatnonzero(mask[whole:]) + whole])
