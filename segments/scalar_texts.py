"""Sorting texts that lie one after the other in an array of bytes, without a Python object each.

Eight bytes of every text make one integer, highest byte first, whose order is that of the
bytes. The texts are sorted by their first eight, then those that are still equal and not at
their end by the next eight, and so on. What is behind a text's end counts as zero, so that of
texts equal but for zeros at the end the shorter comes first, by length. Each round costs a
sort of the texts that are left, but where they are equal once more only a comparison: the
whole is bounded by the number of bytes, and common prefixes or repeats of long texts cost
no more than reading them. Memory: a copy of the bytes, and some 50 bytes a text.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from walvec.wal.rows import Array

STEP = 8


class Sorted(NamedTuple):
    """order: (n,) the places of the texts in ascending order, equal ones as they stood.
    is_new: (n,) whether each of these differs from the one before it."""

    order: Array
    is_new: Array


def sort_texts(data: Array, starts: Array, lengths: Array) -> Sorted:
    """Sort n texts: data uint8, text i being data[starts[i]:starts[i] + lengths[i]]."""
    n = len(starts)
    chunks = _Chunks(data)
    order = np.arange(n)
    is_new = np.zeros(n, np.bool_)
    is_new[:1] = True
    # Places in `order` that are not settled: members of groups of equals with bytes left.
    places: Array = np.arange(n)
    depth = 0
    while len(places):
        texts = order[places]
        left = lengths[texts] - depth
        keys = chunks.at(starts[texts] + depth, left)
        # Of texts that end here the shorter comes first; those that go on are 8 or more.
        ends = np.clip(left, 0, STEP + 1)
        group = np.cumsum(is_new[places])
        if not _are_equal(group, keys, ends):
            by = np.lexsort((ends, keys, group))
            order[places] = texts[by]
            keys, ends, left = keys[by], ends[by], left[by]
        differs = (keys[1:] != keys[:-1]) | (ends[1:] != ends[:-1])
        is_new[places[1:]] |= differs
        depth += STEP
        places = _unsettled(places, is_new, left > STEP)
    return Sorted(order, is_new)


def _are_equal(group: Array, keys: Array, ends: Array) -> bool:
    """Whether all texts of each group are equal so far, which settles their order."""
    same = group[1:] == group[:-1]
    differs = (keys[1:] != keys[:-1]) | (ends[1:] != ends[:-1])
    return not (same & differs).any()


def _unsettled(places: Array, is_new: Array, goes_on: Array) -> Array:
    """The places among these whose text goes on and has an equal beside it."""
    starts = is_new[places]
    alone = starts & np.append(starts[1:], True)
    left: Array = places[goes_on & ~alone]
    return left


class _Chunks:
    """Eight bytes from anywhere in an array, as integers."""

    def __init__(self, data: Array) -> None:
        padded = np.zeros(len(data) + STEP, np.uint8)
        padded[: len(data)] = data
        # An integer begins at every byte.
        self._at: Array = np.ndarray(len(data) + 1, ">u8", padded, strides=(1,))

    def at(self, starts: Array, left: Array) -> Array:
        """The eight bytes at each start as an integer, (n,) uint64, zero behind the `left`
        bytes that remain of its text."""
        keys = self._at[np.minimum(starts, len(self._at) - 1)].astype(np.uint64)
        unused = 8 * np.clip(STEP - left, 0, STEP)
        # In two halves: a shift by 64 bits is undefined.
        half = (unused >> 1).astype(np.uint64)
        rest = (unused - (unused >> 1)).astype(np.uint64)
        cut: Array = keys >> half >> rest << half << rest
        return cut
