"""Whether an index has found fewer rows than it was asked for."""

from __future__ import annotations

from walvec.wal.rows import Array


def has_gap(positions: Array, place: int) -> bool:
    """Whether any query has no row at `place`: positions (nq, k), padded with -1."""
    if len(positions) == 1:
        return bool(positions[0, place] < 0)
    return bool((positions[:, place] < 0).any())
