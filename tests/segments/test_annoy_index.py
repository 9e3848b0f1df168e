"""Annoy: recall on real data, the reduction of IP, and what search_k does."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from walvec.segments import annoy_index, flat
from walvec.tools.sample import load_packages, load_queries

PARAMS = {"n_trees": 32}


def opened(
    vectors: Any, metric: str, path: Path, params: dict[str, Any] = PARAMS
) -> annoy_index.AnnoyIndex:
    annoy_index.build(vectors, metric, params, 1, path)
    return annoy_index.AnnoyIndex(path, len(vectors), vectors.shape[1], metric, params)


def recall(index: annoy_index.AnnoyIndex, vectors: Any, queries: Any, metric: str, k: int) -> float:
    truth, _ = flat.scan(vectors, queries, metric, k)
    positions, _ = index.search(queries, k, {}, k)
    pairs = zip(positions.tolist(), truth.tolist(), strict=True)
    return sum(len(set(rows) & set(best)) for rows, best in pairs) / truth.size


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
def test_recall_at_ten_on_the_shipped_packages_is_at_least_095(metric: str, tmp_path: Path) -> None:
    _, vectors = load_packages()
    held_out = np.random.default_rng(7).permutation(len(vectors))
    queries, rows = vectors[held_out[-400:]], vectors[held_out[:-400]]
    index = opened(np.ascontiguousarray(rows), metric, tmp_path / "index")
    assert recall(index, rows, queries, metric, 10) >= 0.95


@pytest.mark.parametrize("k", [1, 10, 100])
def test_recall_of_the_shipped_questions_is_at_least_095(k: int, tmp_path: Path) -> None:
    _, vectors = load_packages()
    _, queries = load_queries()
    index = opened(vectors, "COSINE", tmp_path / "index")
    assert recall(index, vectors, queries, "COSINE", k) >= 0.95


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_recall_by_inner_product_holds_where_norms_vary(spread: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    _, vectors = load_packages()
    norms = np.exp(spread * rng.standard_normal((len(vectors), 1)))
    vectors = (vectors * norms).astype(np.float32)
    _, queries = load_queries()
    index = opened(vectors, "IP", tmp_path / "index")
    assert recall(index, vectors, queries, "IP", 10) >= 0.95


def test_a_small_search_k_inspects_less_and_a_large_one_everything(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((3_000, 32)).astype(np.float32)
    queries = rng.standard_normal((30, 32)).astype(np.float32)
    index = opened(vectors, "L2", tmp_path / "index")
    truth, _ = flat.scan(vectors, queries, "L2", 10)
    few, _ = index.search(queries, 10, {"search_k": 10}, 10)
    everything, _ = index.search(queries, 10, {"search_k": 2**31 - 1}, 10)
    assert np.array_equal(everything, truth)
    assert not np.array_equal(few, truth)
    assert (few >= 0).all()


def test_parameters_for_k_rows_grow_where_more_are_wanted(tmp_path: Path) -> None:
    vectors = np.random.default_rng(4).standard_normal((3_000, 8)).astype(np.float32)
    index = opened(vectors, "L2", tmp_path / "index")
    assert index.cost(100, {"search_k": 50}, 10) > index.cost(10, {"search_k": 50}, 10)
    truth, _ = flat.scan(vectors, vectors[:50], "L2", 100)
    hits = []
    for k in (100, 10):
        found, _ = index.search(vectors[:50], 100, {"search_k": 150}, k)
        hits.append((found[:, :, None] == truth[:, None, :]).sum())
    assert hits[1] > hits[0]


def test_another_number_of_trees_than_the_spec_is_refused(tmp_path: Path) -> None:
    vectors = np.random.default_rng(5).standard_normal((100, 8)).astype(np.float32)
    annoy_index.build(vectors, "L2", {"n_trees": 3}, 1, tmp_path / "index")
    with pytest.raises(ValueError, match="in 3 trees, not 100 in 4"):
        annoy_index.AnnoyIndex(tmp_path / "index", 100, 8, "L2", {"n_trees": 4})


def test_another_seed_gives_another_file(tmp_path: Path) -> None:
    vectors = np.random.default_rng(6).standard_normal((500, 8)).astype(np.float32)
    for seed in (1, 2):
        annoy_index.build(vectors, "L2", PARAMS, seed, tmp_path / str(seed))
    assert (tmp_path / "1").read_bytes() != (tmp_path / "2").read_bytes()


def test_closing_unmaps_the_file_and_spares_searches_under_way(tmp_path: Path) -> None:
    vectors = np.random.default_rng(7).standard_normal((2_000, 16)).astype(np.float32)
    index = opened(vectors, "L2", tmp_path / "index")
    started, answers = threading.Event(), []

    def search() -> None:
        started.set()
        answers.append(index.search(vectors[:200], 10, {}, 10)[0])

    thread = threading.Thread(target=search)
    thread.start()
    started.wait()
    index.close()
    thread.join()
    assert str(tmp_path / "index") not in mapped_files()
    assert all((a >= 0).all() for a in answers)


def mapped_files() -> list[str]:
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return [line.split(maxsplit=5)[5] for line in lines if len(line.split(maxsplit=5)) == 6]
