"""The exact scan of binary vectors against single bits, with masks, ranges and ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from walvec.segments import binary_scan, flat
from walvec.segments.metrics import Range

METRICS = ("HAMMING", "JACCARD")


def random_bits(n: int, width: int, seed: int, density: float = 0.5) -> Any:
    """Rows of `width` bytes."""
    drawn = np.random.default_rng(seed).random((n, 8 * width)) < density
    return np.packbits(drawn, axis=1)


def oracle(vectors: Any, query: Any, metric: str) -> Any:
    """Distances by single bits."""
    a, b = np.unpackbits(vectors, axis=1).astype(bool), np.unpackbits(query).astype(bool)
    if metric == "HAMMING":
        return (a ^ b).sum(1).astype(np.float32)
    counts = zip((a & b).sum(1), (a | b).sum(1), strict=True)
    return np.array([np.float32(e - c) / np.float32(e) if e else 1 for c, e in counts], np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("width", [1, 5, 12, 32])
@pytest.mark.parametrize("share", [None, 0.1, 0.8])
def test_the_scan_gives_the_oracles_rows_and_distances_best_first(
    metric: str, width: int, share: float | None
) -> None:
    vectors, queries = random_bits(900, width, 1, 0.3), random_bits(4, width, 2, 0.3)
    alive = None if share is None else np.random.default_rng(3).random(900) < share
    for norms in (None, flat.lengths(vectors)):
        positions, scores = flat.scan(vectors, queries, metric, 20, alive, norms)
        assert (positions.dtype, scores.dtype) == (np.int64, np.float32)
        for query, rows, values in zip(queries, positions, scores, strict=True):
            expected = oracle(vectors, query, metric)
            order = np.argsort(expected, kind="stable")
            order = order if alive is None else order[alive[order]]
            assert rows.tolist() == order[:20].tolist()
            assert np.array_equal(values, expected[rows])
            assert np.array_equal(flat.scores(vectors[rows], query, metric), values)


def test_jaccard_of_two_empty_vectors_is_one_as_in_milvus() -> None:
    vectors = np.array([[0, 0], [1, 0]], np.uint8)
    query = np.zeros((1, 2), np.uint8)
    positions, scores = flat.scan(vectors, query, "JACCARD", 2)
    assert positions.tolist() == [[0, 1]]
    assert scores.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("metric", METRICS)
def test_the_answer_does_not_depend_on_the_size_of_chunks(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, queries = random_bits(900, 2, 10), random_bits(3, 2, 11)
    alive = np.random.default_rng(12).random(900) < 0.6
    whole = [flat.scan(vectors, queries, metric, 50, mask) for mask in (None, alive)]
    monkeypatch.setattr(binary_scan, "CHUNK_ROWS", 30)
    chunked = [flat.scan(vectors, queries, metric, 50, mask) for mask in (None, alive)]
    for left, right in zip(whole, chunked, strict=True):
        assert np.array_equal(left[0], right[0])
        assert np.array_equal(left[1], right[1])


@pytest.mark.parametrize("metric", METRICS)
def test_equal_distances_come_in_the_order_of_rows(metric: str) -> None:
    vectors = np.repeat(random_bits(3, 4, 4), 50, axis=0)
    positions, scores = flat.scan(vectors, vectors[60:61], metric, 40)
    assert positions[0].tolist() == list(range(50, 90))
    assert (scores == 0).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", [None, 0.2, 0.7])
def test_a_range_gives_the_best_k_rows_within_it(metric: str, share: float | None) -> None:
    vectors, query = random_bits(500, 8, 5, 0.3), random_bits(1, 8, 6, 0.3)
    alive = None if share is None else np.random.default_rng(7).random(500) < share
    scores = oracle(vectors, query[0], metric)
    order = np.argsort(scores, kind="stable")
    order = order if alive is None else order[alive[order]]
    low, high = float(scores[order[10]]), float(scores[order[60]])
    positions, values = flat.scan(vectors, query, metric, 8, alive, None, Range(high, low))
    assert positions[0].tolist() == [r for r in order if low <= scores[r] < high][:8]
    assert np.array_equal(values[0], scores[positions[0]])


def test_fewer_rows_than_k_are_padded() -> None:
    positions, scores = flat.scan(random_bits(3, 2, 8), random_bits(2, 2, 9), "HAMMING", 5)
    assert (positions[:, 3:] == -1).all()
    assert (scores[:, 3:] == np.inf).all()
    nothing = flat.scan(random_bits(3, 2, 8), random_bits(1, 2, 9), "HAMMING", 5, np.zeros(3, bool))
    assert (nothing[0] == -1).all()
