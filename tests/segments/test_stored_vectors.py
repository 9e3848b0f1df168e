"""Stored vectors as numbers: every float16 and bfloat16 there is, and the lengths of rows."""

from __future__ import annotations

import numpy as np
import pytest

from walvec.segments.stored_vectors import blocks, lengths, to_float32, to_float64


def test_every_finite_float16_becomes_the_same_number() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(-1, 64)
    finite = np.isfinite(halves)
    with np.errstate(invalid="ignore"):
        expected = halves.astype(np.float32)
    assert np.array_equal(
        to_float32(halves)[finite].view(np.uint32), expected[finite].view(np.uint32)
    )
    assert np.array_equal(to_float64(halves)[finite], expected[finite].astype(np.float64))


def test_a_bfloat16_is_the_float32_with_its_upper_half() -> None:
    values = np.random.default_rng(1).standard_normal((10, 8)).astype(np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    assert np.array_equal(to_float32(upper).view(np.uint32), values.view(np.uint32) & 0xFFFF0000)


def test_float32_is_not_copied_and_int8_keeps_its_values() -> None:
    values = np.ones((3, 4), np.float32)
    assert to_float32(values) is values
    numbers = np.arange(-128, 128, dtype=np.int8).reshape(-1, 16)
    assert to_float32(numbers).tolist() == numbers.tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
def test_lengths_are_l2_norms_whatever_the_blocks(dtype: type) -> None:
    values = (np.random.default_rng(2).standard_normal((5_000, 64)) * 20).astype(dtype)
    assert sum(len(values[part]) for part in blocks(values)) == 5_000
    expected = np.linalg.norm(values.astype(np.float64), axis=1)
    assert np.allclose(lengths(values), expected, rtol=1e-6)


def test_a_row_with_an_infinity_has_infinite_length() -> None:
    assert lengths(np.array([[np.inf, 1], [3, 4]], np.float16)).tolist() == [np.inf, 5]


def test_the_length_of_bits_is_how_many_are_set() -> None:
    assert lengths(np.array([[255, 1], [0, 0]], np.uint8)).tolist() == [9, 0]
