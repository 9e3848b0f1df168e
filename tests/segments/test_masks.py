"""Masks against np.flatnonzero."""

from __future__ import annotations

import numpy as np
import pytest

from walvec.segments.masks import rows_of


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 1_000, 10_003])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 1.0])
def test_rows_are_those_of_flatnonzero(n: int, share: float) -> None:
    mask = np.random.default_rng(n).random(n) < share
    if n:
        mask[-1] |= share > 0
    for view in (mask, mask[1:], mask[::2]):
        rows = rows_of(view, int(view.sum()))
        assert rows.dtype == np.int64
        assert np.array_equal(rows, np.flatnonzero(view))
