"""Stored vectors as numbers: the float32 values of every dense type, and the lengths of rows.

A column holds float32; float16; uint16, the upper half of a float32 (BFLOAT16); int8; or uint8,
the bits of a binary vector. The dtype says which. Each dense type is a subset of float32, so
that converting is exact, and is done in blocks: a whole column is never converted at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from walvec.segments import bits
from walvec.wal.rows import Array

BLOCK_BYTES = 512 << 10
"""Of float32 converted at a time: what stays in a processor's cache until it is used."""
EXPONENT_AND_SIGN = np.int32(-0x70002000)
"""0x8FFFE000: where a float16's bits lie in a float32, but for the bias."""


def is_binary(vectors: Array) -> bool:
    """Whether rows are bits and not numbers."""
    return vectors.dtype == np.uint8


def to_float32(vectors: Array) -> Array:
    """The values of dense rows as float32; float32 itself is not copied.

    A float16 that is infinite or no number comes out as some number from 65536 on: `lengths`
    tells whether there is one. numpy's own conversion, which gets these right, takes three
    times as long.
    """
    if vectors.dtype == np.float32:
        return vectors
    if vectors.dtype == np.uint16:
        words = vectors.astype(np.uint32)
        words <<= 16
        return words.view(np.float32)
    if vectors.dtype == np.float16:
        return _widened(vectors.view(np.int16))
    return vectors.astype(np.float32)


def _widened(halves: Array) -> Array:
    """float16, as int16, to float32. The sign is spread over the upper bits, all others go to
    their places, and what remains of the spread sign is cut out of the exponent. Its bias is 112
    less, which a multiplication puts right, exactly (subnormals, too)."""
    words = halves.astype(np.int32)
    words <<= 13
    words &= EXPONENT_AND_SIGN
    values = words.view(np.float32)
    values *= np.float32(2.0**112)
    return values


def to_float64(vectors: Array) -> Array:
    """The values of dense rows as float64, always copied."""
    if vectors.dtype == np.uint16:
        vectors = to_float32(vectors)
    return vectors.astype(np.float64)


def blocks(vectors: Array, block_bytes: int = BLOCK_BYTES) -> Iterator[slice]:
    """The rows in parts whose float32 values take so many bytes."""
    step = max(1, block_bytes // (4 * max(1, vectors.shape[1])))
    for start in range(0, len(vectors), step):
        yield slice(start, min(len(vectors), start + step))


def lengths(vectors: Array) -> Array:
    """The L2 norm of each row, (n,) float32, with that of a row with infinities infinite; of
    binary rows how many bits are set."""
    if is_binary(vectors):
        return bits.counts(vectors).astype(np.float32)
    result = np.empty(len(vectors), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for part in blocks(vectors):
            rows = vectors[part]
            values = rows.astype(np.float32) if rows.dtype == np.float16 else to_float32(rows)
            np.sqrt(np.einsum("ij,ij->i", values, values), out=result[part])
    return result
