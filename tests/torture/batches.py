"""Batches: the rows of one transaction, whose keys and stamps tell what belongs together.

    pk      owner << 32 | number << 8 | size << 4 | position     so a half-seen batch shows
    stamp   writer << 32 | operation                            so a half-seen rewrite shows

An owner is a writer's number, from 1. Owner 0 are the batches that all writers rewrite.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

DIM = 4
MAX_SIZE = 15
SHARED = 0
SHARED_BATCHES = 3
SHARED_SIZE = 5
MASK = (1 << 64) - 1

Pairs = Iterable[tuple[int, int]]
"""(pk, stamp) of rows."""


class Batch(NamedTuple):
    """A set of keys that are written and deleted together."""

    owner: int
    number: int
    size: int

    @property
    def pks(self) -> list[int]:
        """Its primary keys."""
        first = self.owner << 32 | self.number << 8 | self.size << 4
        return list(range(first, first + self.size))


def batch_of(pk: int) -> Batch:
    """The batch that a key belongs to."""
    return Batch(pk >> 32, pk >> 8 & 0xFFFFFF, pk >> 4 & 0xF)


def stamp_of(writer: int, operation: int) -> int:
    """What all rows carry that one operation wrote."""
    return writer << 32 | operation


def shared_batch(number: int) -> Batch:
    """One of the batches that all writers rewrite."""
    return Batch(SHARED, number, SHARED_SIZE)


def vector_of(pk: int, stamp: int) -> np.ndarray[Any, Any]:
    """The vector of a row: it tells the row, and searches find it by that."""
    return np.random.default_rng((pk, stamp)).standard_normal(DIM).astype(np.float32)


def rows_of(batch: Batch, stamp: int) -> list[dict[str, Any]]:
    """The rows of a batch as one operation writes them."""
    return [{"id": pk, "vector": vector_of(pk, stamp), "stamp": stamp} for pk in batch.pks]


def content_hash(pairs: Pairs) -> int:
    """A number for a set of rows, in any order: rows that come and go can be added and taken."""
    return sum(map(hash, pairs)) & MASK


def torn(pairs: Pairs) -> Iterator[str]:
    """What is wrong with rows that were read at one moment: a row twice, a batch half there or
    half rewritten. `pairs` must hold all rows of every batch that it touches."""
    seen: dict[Batch, dict[int, int]] = defaultdict(dict)
    for pk, stamp in pairs:
        batch = batch_of(pk)
        if pk in seen[batch]:
            yield f"row {pk} of {batch} was seen twice"
        seen[batch][pk] = stamp
    for batch, rows in seen.items():
        if len(rows) != batch.size:
            yield f"{batch} was half seen: {len(rows)} of {batch.size} rows"
        if len(set(rows.values())) > 1:
            yield f"{batch} was half rewritten: stamps {sorted(set(rows.values()))}"


def size_drawn(rng: random.Random) -> int:
    """How many rows the next batch has."""
    return rng.randint(2, MAX_SIZE)
