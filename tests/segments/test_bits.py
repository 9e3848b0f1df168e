"""Counting bits against numpy's unpackbits, for every width of row and with an old numpy."""

from __future__ import annotations

import numpy as np
import pytest

from walvec.segments import bits

WIDTHS = (1, 2, 3, 4, 5, 7, 8, 12, 16, 24, 32, 36, 64, 96, 100, 128, 1_000)


@pytest.fixture(params=["this numpy", "numpy before 2.0", "FAISS"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts."""
    if request.param == "numpy before 2.0":
        monkeypatch.setattr(bits, "_bitwise_count", None)
    if request.param == "FAISS":
        monkeypatch.setattr(bits, "FAISS_BYTES", 0)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("width", WIDTHS)
def test_counts_are_those_of_the_single_bits(width: int) -> None:
    rng = np.random.default_rng(width)
    rows = rng.integers(0, 256, (300, width), np.uint8)
    rows[0], rows[1] = 255, 0
    query = rng.integers(0, 256, width, np.uint8)
    single, of_query = np.unpackbits(rows, axis=1), np.unpackbits(query)
    assert bits.counts(rows).tolist() == single.sum(1).tolist()
    assert bits.differing(rows, query).tolist() == (single ^ of_query).sum(1).tolist()
    # The most that a row can have, which is where lanes would overflow.
    assert bits.differing(rows, ~rows[0])[0] == 8 * width


@pytest.mark.usefixtures("library")
def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(1).integers(0, 256, (1_000, 32), np.uint8)
    whole = bits.differing(rows, rows[3])
    for size in (1, 32, 100, 5_000):
        monkeypatch.setattr(bits, "BLOCK_BYTES", size)
        assert np.array_equal(bits.differing(rows, rows[3]), whole)


@pytest.mark.usefixtures("library")
def test_rows_that_may_not_be_written_to_are_counted() -> None:
    rows = np.random.default_rng(2).integers(0, 256, (100, 8), np.uint8)
    rows.flags.writeable = False
    assert bits.differing(rows, rows[0])[0] == 0
    assert np.array_equal(bits.differing(rows[::2], rows[0]), bits.differing(rows, rows[0])[::2])


def test_no_rows_have_no_counts() -> None:
    assert bits.counts(np.empty((0, 8), np.uint8)).shape == (0,)
