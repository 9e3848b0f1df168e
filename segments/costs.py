"""Costs: about how many microseconds a search takes, by scan or by index, to choose by.

Constants, not measured where it runs, so that the same log gives the same answers everywhere.
They are of one 2-core machine, and only their ratios matter. Measured and as computed here, one
query, 10 rows, microseconds:

    rows x dim       filter   scan            HNSW (ef)         IVF_FLAT       ANNOY
       62,666 x 384  -         4,300  4,300   145   116  (64)     800    830    2,500  3,400
                     10 %        720    830   360   417 (237)
                      1 %         90     90
    1,000,000 x 128  -        20,000 24,800   400   335 (128)   2,300  1,750   14,000 16,200
                     10 %      6,100  5,400   730   918 (354)
                      1 %        600    590
"""

from __future__ import annotations

import math

import numpy as np

from walvec.wal.rows import Array

CACHE_BYTES = 8 << 20
"""Rows that fit are multiplied three times as fast as they come from memory."""
CONVERT_US = {"f4": 0.0, "f2": 0.0003, "u2": 0.00016, "i1": 0.0001}
"""For one component, to make a float32 of it."""


def scan_us(vectors: Array, count: int, nq: int) -> float:
    """Of an exact scan of `count` selected of all rows, one of nq queries at a time."""
    n, width = len(vectors), int(vectors.shape[1])
    select = 0.0002 * n if count < n else 0.0
    gathered = 3 * count <= n
    scored = count if gathered else n
    if vectors.dtype == np.uint8:
        return 20.0 + select + scored * (0.001 + 0.00005 * width)
    # Both are done once, and a product with many queries at once is fast for each.
    copy = 0.01 + 0.00013 * width if gathered else 0.0
    convert = CONVERT_US[vectors.dtype.str[1:]] * width
    cached = 4 * scored * width <= CACHE_BYTES
    multiply = width * (0.00004 if nq > 1 else 0.00006 if cached else 0.00017)
    return 20.0 + select + scored * (0.003 + multiply + (copy + convert) / nq)


def graph_us(ef: int, n: int, dim: int) -> float:
    """Of a walk through a graph of n rows."""
    return 5.0 + ef * (0.5 * _uncached(n) + 0.003 * dim)


def lists_us(scanned: float, dim: int) -> float:
    """Of looking at `scanned` rows, in lists and as centroids."""
    return 10.0 + scanned * (0.003 + 0.00012 * dim)


def bit_lists_us(scanned: float, bits: int) -> float:
    """The same of binary rows."""
    return 10.0 + scanned * (0.0005 + 0.000005 * bits)


def trees_us(search_k: int, n: int, dim: int) -> float:
    """Of inspecting `search_k` of n rows in the leaves of trees."""
    return search_k * (0.02 + 0.0002 * dim) * (1.0 + 0.35 * _uncached(n))


def _uncached(n: int) -> float:
    """By what a row picked at random takes longer: the more there are, the fewer are cached."""
    return math.log2(1.0 + n / 50_000)
