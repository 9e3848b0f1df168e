"""Which partition a row belongs to by the value of its partition key: a hash that is the same on
any machine, of whole columns at once.

Integers are mixed by the finalizer of splitmix64 (Steele, Lea and Flood, Fast Splittable
Pseudorandom Number Generators, 2014). A text is the polynomial of its bytes plus one at an odd
number modulo 2^64, lowest power first, then mixed in the same way.
"""

from __future__ import annotations

import numpy as np

from walvec.wal.rows import Array, Column

BASE = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def partition_places(keys: Column, partitions: int) -> Array:
    """For each key the place of its partition among so many, (n,) int64."""
    numbers = keys.values.astype(np.uint64) if keys.offsets is None else _of_texts(keys)
    places: Array = (_mixed(numbers) % np.uint64(partitions)).astype(np.int64)
    return places


def _mixed(numbers: Array) -> Array:
    numbers = numbers + np.uint64(BASE)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(FIRST)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(SECOND)
    mixed: Array = numbers ^ (numbers >> np.uint64(31))
    return mixed


def _of_texts(keys: Column) -> Array:
    assert keys.offsets is not None, "texts have offsets"
    lengths = np.diff(keys.offsets)
    longest = int(lengths.max()) if len(lengths) else 0
    powers = np.full(longest + 1, BASE, np.uint64)
    powers[0] = 1
    np.cumprod(powers, out=powers)
    starts = keys.offsets[:-1]
    places = np.arange(len(keys.values)) - np.repeat(starts - keys.offsets[0], lengths)
    terms = (keys.values.astype(np.uint64) + np.uint64(1)) * powers[places]
    numbers = np.zeros(len(lengths), np.uint64)
    filled = lengths > 0
    if filled.any():
        numbers[filled] = np.add.reduceat(terms, (starts - keys.offsets[0])[filled])
    return numbers + lengths.astype(np.uint64)
