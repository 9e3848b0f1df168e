"""The exact scan against a float64 oracle, and its ties, masks and borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from walvec.segments import flat
from walvec.segments.metrics import Range

METRICS = ("L2", "IP", "COSINE")
Array = npt.NDArray[np.float32]


def random_vectors(n: int, dim: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def oracle(vectors: Array, query: Array, metric: str) -> npt.NDArray[np.float64]:
    """Scores of all rows in float64, by the textbook formulas."""
    rows, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "L2":
        return np.asarray(((rows - q) ** 2).sum(1))
    products = (rows * q).sum(1)
    if metric == "IP":
        return np.asarray(products)
    lengths = np.sqrt((rows**2).sum(1)) * np.sqrt((q**2).sum())
    return np.asarray(np.where(lengths > 0, products / np.where(lengths > 0, lengths, 1.0), 0.0))


def oracle_order(vectors: Array, query: Array, metric: str) -> npt.NDArray[np.int64]:
    with np.errstate(over="ignore"):
        scores = oracle(vectors, query, metric).astype(np.float32)
    return np.argsort(scores if metric == "L2" else -scores, kind="stable")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("nq", [1, 7])
def test_the_scan_gives_the_oracles_rows_and_scores_best_first(metric: str, nq: int) -> None:
    vectors, queries = random_vectors(500, 24, seed=1), random_vectors(nq, 24, seed=2)
    positions, scores = flat.scan(vectors, queries, metric, 10)
    assert positions.dtype == np.int64
    assert scores.dtype == np.float32
    for query, rows, values in zip(queries, positions, scores, strict=True):
        expected = oracle_order(vectors, query, metric)[:10]
        assert rows.tolist() == expected.tolist()
        assert np.allclose(values, oracle(vectors, query, metric)[expected], rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_norms_given_or_computed_make_no_difference(metric: str) -> None:
    vectors, queries = random_vectors(300, 16, seed=3), random_vectors(3, 16, seed=4)
    norms = np.linalg.norm(vectors, axis=1).astype(np.float32)
    with_norms = flat.scan(vectors, queries, metric, 5, None, norms)
    without = flat.scan(vectors, queries, metric, 5)
    assert np.array_equal(with_norms[0], without[0])
    assert np.array_equal(with_norms[1], without[1])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", [0.05, 0.9])
def test_only_rows_that_are_alive_are_returned(metric: str, share: float) -> None:
    vectors, queries = random_vectors(400, 8, seed=5), random_vectors(4, 8, seed=6)
    alive = np.random.default_rng(7).random(400) < share
    positions, _ = flat.scan(vectors, queries, metric, 12, alive)
    for query, rows in zip(queries, positions, strict=True):
        order = oracle_order(vectors, query, metric)
        assert rows.tolist() == order[alive[order]][:12].tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_equal_scores_come_in_the_order_of_rows(metric: str) -> None:
    vectors = np.repeat(random_vectors(3, 8, seed=8), 50, axis=0)
    positions, scores = flat.scan(vectors, vectors[60:61], metric, 40)
    assert sorted(positions[0].tolist()) == positions[0].tolist()
    assert len(set(scores[0].tolist())) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_scores_of_a_subset_are_those_of_the_scan(metric: str) -> None:
    vectors, queries = random_vectors(300, 33, seed=9), random_vectors(2, 33, seed=10)
    positions, scores = flat.scan(vectors, queries, metric, 20)
    for query, rows, values in zip(queries, positions, scores, strict=True):
        assert np.array_equal(flat.scores(vectors[rows], query, metric), values)
        one_by_one = [flat.scores(vectors[r : r + 1], query, metric)[0] for r in rows]
        assert one_by_one == values.tolist()


def test_l2_far_from_the_origin_does_not_cancel() -> None:
    near = np.random.default_rng(11).standard_normal((2_000, 16)) * 1e-3
    vectors = (1_000.0 + near).astype(np.float32)
    query = vectors[17:18]
    positions, scores = flat.scan(vectors, query, "L2", 10)
    assert positions[0].tolist() == oracle_order(vectors, query[0], "L2")[:10].tolist()
    assert scores[0, 0] == 0.0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_the_order_is_right_where_float32_squares_vanish_or_overflow(
    metric: str, scale: float
) -> None:
    vectors = (random_vectors(100, 4, seed=12) * scale).astype(np.float32)
    query = random_vectors(1, 4, seed=13)
    if metric == "L2":
        query = (query * scale).astype(np.float32)
    positions, _ = flat.scan(vectors, query, metric, 5)
    assert positions[0].tolist() == oracle_order(vectors, query[0], metric)[:5].tolist()


def test_the_cosine_with_a_zero_vector_is_zero() -> None:
    vectors = np.array([[0, 0], [1, 0], [-1, 0], [0, 0]], np.float32)
    positions, scores = flat.scan(vectors, vectors[1:2], "COSINE", 4)
    assert positions[0].tolist() == [1, 0, 3, 2]
    assert scores[0].tolist() == [1.0, 0.0, 0.0, -1.0]
    positions, scores = flat.scan(vectors, vectors[0:1], "COSINE", 4)
    assert positions[0].tolist() == [0, 1, 2, 3]
    assert scores[0].tolist() == [0.0] * 4


@pytest.mark.parametrize(("metric", "worst"), [("L2", np.inf), ("IP", -np.inf)])
def test_fewer_rows_than_k_are_padded_with_minus_one(metric: str, worst: float) -> None:
    vectors = random_vectors(3, 4, seed=14)
    alive = np.array([True, False, True])
    positions, scores = flat.scan(vectors, vectors, metric, 5, alive)
    assert (positions[:, 2:] == -1).all()
    assert (scores[:, 2:] == worst).all()
    assert {tuple(sorted(r)) for r in positions[:, :2].tolist()} == {(0, 2)}


def test_no_rows_or_none_alive_give_only_padding() -> None:
    queries = random_vectors(2, 4, seed=15)
    empty = np.empty((0, 4), np.float32)
    assert (flat.scan(empty, queries, "L2", 3)[0] == -1).all()
    vectors = random_vectors(5, 4, seed=16)
    assert (flat.scan(vectors, queries, "L2", 3, np.zeros(5, bool))[0] == -1).all()


def test_the_answer_does_not_depend_on_the_size_of_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors, queries = random_vectors(200, 12, seed=17), random_vectors(9, 12, seed=18)
    alive = np.random.default_rng(19).random(200) < 0.2
    whole = [flat.scan(vectors, queries, "L2", 8, mask) for mask in (None, alive)]
    monkeypatch.setattr(flat, "MAX_SCORE_BYTES", 1_600)
    monkeypatch.setattr(flat, "MAX_GATHER_BYTES", 500)
    chunked = [flat.scan(vectors, queries, "L2", 8, mask) for mask in (None, alive)]
    for (p1, s1), (p2, s2) in zip(whole, chunked, strict=True):
        assert np.array_equal(p1, p2)
        assert np.array_equal(s1, s2)


# Other types than float32


def stored_as(vectors: Any, kind: str) -> Any:
    """Vectors as a column of that type has them."""
    if kind == "BFLOAT16":
        return (vectors.view(np.uint32) >> 16).astype(np.uint16)
    if kind == "INT8":
        return np.clip(np.rint(vectors * 40), -128, 127).astype(np.int8)
    return vectors.astype(np.float16)


def numbers_of(stored: Any) -> Array:
    """Their values, by another way than the code's: bits for bfloat16, numpy's own otherwise."""
    if stored.dtype == np.uint16:
        return np.stack([np.zeros_like(stored), stored], -1).view(np.float32)[..., 0]
    return np.asarray(stored.astype(np.float32))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["FLOAT16", "BFLOAT16", "INT8"])
@pytest.mark.parametrize("share", [None, 0.1, 0.8])
def test_a_smaller_type_is_scanned_as_the_float32_values_it_stands_for(
    kind: str, metric: str, share: float | None
) -> None:
    vectors = stored_as(random_vectors(3_000, 48, seed=20), kind)
    queries = random_vectors(3, 48, seed=21)
    alive = None if share is None else np.random.default_rng(22).random(3_000) < share
    positions, scores = flat.scan(vectors, queries, metric, 15, alive)
    as_float32 = flat.scan(numbers_of(vectors), queries, metric, 15, alive)
    assert np.array_equal(positions, as_float32[0])
    assert np.array_equal(scores, as_float32[1])
    order = oracle_order(numbers_of(vectors), queries[0], metric)
    order = order if alive is None else order[alive[order]]
    assert positions[0].tolist() == order[:15].tolist()


def test_float16_at_its_limits_is_scanned_in_the_right_order() -> None:
    vectors = np.array([[65504, 0], [6e-8, 0], [-6e-8, 0], [0, 0], [-65504, 1]], np.float16)
    positions, scores = flat.scan(vectors, np.array([[1, 0]], np.float32), "IP", 5)
    assert positions[0].tolist() == [0, 1, 3, 2, 4]
    assert scores[0, 1] == vectors[1, 0].astype(np.float32)


def test_an_infinite_float16_is_the_farthest_by_l2() -> None:
    vectors = np.array([[np.inf, 0], [3, 0], [1, 0]], np.float16)
    positions, scores = flat.scan(vectors, np.zeros((1, 2), np.float32), "L2", 3)
    assert positions[0].tolist() == [2, 1, 0]
    assert scores[0].tolist() == [1, 9, np.inf]


# Ranges


def in_range(score: float, metric: str, within: Range) -> bool:
    """Milvus' words: range_filter <= distance < radius, and radius < similarity <= range_filter."""
    radius, inner = within
    if metric == "L2":
        return (radius is None or score < radius) and (inner is None or inner <= score)
    return (radius is None or score > radius) and (inner is None or inner >= score)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [3, 1_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("share", [None, 0.2, 0.7])
def test_a_range_gives_the_best_k_rows_within_it(
    metric: str, k: int, dtype: Any, share: float | None
) -> None:
    vectors, query = random_vectors(700, 12, seed=23).astype(dtype), random_vectors(1, 12, seed=24)
    alive = None if share is None else np.random.default_rng(25).random(700) < share
    scores = flat.scores(vectors, query[0], metric)
    order = oracle_order(vectors.astype(np.float32), query[0], metric)
    order = order if alive is None else order[alive[order]]
    # Borders at scores that occur, so that it matters which side belongs.
    far, near = float(scores[order[90]]), float(scores[order[30]])
    for within in (Range(far, near), Range(None, near), Range(far, None), Range(near, far)):
        positions, values = flat.scan(vectors, query, metric, k, alive, None, within)
        expected = [r for r in order.tolist() if in_range(float(scores[r]), metric, within)][:k]
        found = positions[0][positions[0] >= 0]
        assert found.tolist() == expected
        assert np.array_equal(values[0, : len(found)], scores[found])


@pytest.mark.parametrize("metric", METRICS)
def test_a_range_between_rows_that_float32_products_cannot_tell_apart_is_exact(metric: str) -> None:
    rng = np.random.default_rng(26)
    vectors = (1_000.0 + rng.standard_normal((2_000, 16)) * 1e-3).astype(np.float32)
    vectors[:20] = 0.0  # Their cosine is 0 by definition.
    query = vectors[50:51]
    scores = flat.scores(vectors, query[0], metric)
    order = np.argsort(scores if metric == "L2" else -scores, kind="stable")
    within = Range(None, float(scores[order[700]]))
    positions, _ = flat.scan(vectors, query, metric, 10, None, None, within)
    expected = [r for r in order.tolist() if in_range(float(scores[r]), metric, within)][:10]
    assert positions[0].tolist() == expected


@pytest.mark.parametrize("bound", [1e300, -1e300, 0.0, float("inf")])
def test_a_range_beyond_all_scores_gives_all_or_nothing(bound: float) -> None:
    vectors = random_vectors(50, 4, seed=27)
    found = flat.scan(vectors, vectors[:1], "L2", 50, None, None, Range(None, bound))[0]
    assert (found >= 0).sum() == (0 if bound > 1 else 50)
