"""The exact scan against a float64 oracle, and its ties, masks and borders."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from walvec.segments import flat

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
