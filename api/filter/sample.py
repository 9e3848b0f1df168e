"""`random_sample(share)`: the same rows every time the same view is asked.

Each row of a segment gets a number from its place, the segment's id and the seq of the view, and
the rows with the smallest numbers are the sample: one row in 1/share of those that the rest of
the expression finds, at least one. Another write gives another view, and another sample.
"""

from __future__ import annotations

import numpy as np

from walvec.filter.reader import Mask, Source
from walvec.filter.texts import Words
from walvec.segments.view import SegmentView

SMALLEST = 1e-10
"""As in Milvus: shares nearer to 0 or to 1 are refused."""


def sampled(mask: Mask, share: float, source: Source) -> Mask:
    """Some of the rows of a mask."""
    rows = np.flatnonzero(mask)
    wanted = max(1, int(len(rows) * share))
    if len(rows) > wanted:
        numbers = _mixed(rows.astype(np.uint64) + _seed(source))
        rows = rows[np.argpartition(numbers, wanted)[:wanted]]
    found = np.zeros(len(mask), np.bool_)
    found[rows] = True
    return found


def _seed(source: Source) -> Words:
    """One number for a view of a segment."""
    if not isinstance(source, SegmentView):
        return np.zeros(1, np.uint64)
    seeds = np.array([source.segment.id, source.seq], np.uint64)
    return _mixed(_mixed(seeds[:1]) ^ seeds[1:])


def _mixed(numbers: Words) -> Words:
    """splitmix64 (Steele, Lea, Flood 2014): no two numbers give the same."""
    with np.errstate(over="ignore"):
        x: Words = numbers + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return x
