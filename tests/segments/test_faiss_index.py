"""FAISS: recall on real data, threads, forks, and its settings left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from walvec.segments import faiss_index, flat
from walvec.segments.faiss_index import FaissIndex
from walvec.tools.sample import load_packages

GRAPH = {"M": 16, "efConstruction": 100}
TYPES: dict[str, dict[str, Any]] = {
    "HNSW": GRAPH,
    "HNSW_SQ": {**GRAPH, "sq_type": "SQ8"},
    "IVF_FLAT": {"nlist": 128},
    "IVF_SQ8": {"nlist": 128},
}


def opened(
    vectors: Any, index_type: str, metric: str, path: Path, params: dict[str, Any] | None = None
) -> FaissIndex:
    params = params or TYPES[index_type]
    faiss_index.build(vectors, index_type, metric, params, 1, path)
    return FaissIndex(path, len(vectors), vectors.shape[1], index_type, metric, params)


def recall(index: FaissIndex, vectors: Any, queries: Any, metric: str) -> float:
    """Recall@10 after exact ranking of the candidates, as a search does it."""
    truth, _ = flat.scan(vectors, queries, metric, 10)
    positions, _ = index.search(queries, 10, {}, 10)
    hits = 0
    for query, rows, best in zip(queries, positions, truth, strict=True):
        scores = flat.scores(vectors[rows], query, metric)
        ranked = rows[np.argsort(scores if metric == "L2" else -scores, kind="stable")][:10]
        hits += len(set(ranked.tolist()) & set(best.tolist()))
    return hits / truth.size


CASES: list[tuple[str, dict[str, Any]]] = [
    *TYPES.items(),
    *(("HNSW_SQ", {**GRAPH, "sq_type": sq}) for sq in ("SQ6", "SQ4U", "FP16", "BF16")),
    ("IVF_FLAT", {"nlist": 16}),
]


@pytest.mark.parametrize(("index_type", "params"), CASES)
def test_recall_at_ten_on_the_shipped_packages_is_at_least_095(
    index_type: str, params: dict[str, Any], tmp_path: Path
) -> None:
    _, vectors = load_packages()
    held_out = np.random.default_rng(7).permutation(len(vectors))
    rows = np.ascontiguousarray(vectors[held_out[:-400]])
    index = opened(rows, index_type, "COSINE", tmp_path / "index", params)
    assert recall(index, rows, vectors[held_out[-400:]], "COSINE") >= 0.95


def random_vectors(n: int, dim: int, seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize("index_type", TYPES)
def test_concurrent_searches_with_their_own_parameters_do_not_meet(
    index_type: str, tmp_path: Path
) -> None:
    vectors, queries = random_vectors(2_000, 16, 1), random_vectors(40, 16, 2)
    index = opened(vectors, index_type, "L2", tmp_path / "index")
    name = "ef" if index_type.startswith("HNSW") else "nprobe"
    efforts = [10, 20, 51]

    def search(effort: int) -> Any:
        return [index.search(q[None], 10, {name: effort}, 10)[0].tolist() for q in queries]

    alone = [search(effort) for effort in efforts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(search, efforts * 8))
    assert together == alone * 8


def test_a_larger_ef_finds_more_and_ef_below_k_finds_k(tmp_path: Path) -> None:
    vectors, queries = random_vectors(3_000, 32, 3), random_vectors(50, 32, 4)
    index = opened(vectors, "HNSW", "L2", tmp_path / "index", {"M": 4, "efConstruction": 8})
    truth, _ = flat.scan(vectors, queries, "L2", 10)
    found = {ef: index.search(queries, 10, {"ef": ef}, 10)[0] for ef in (1, 500)}
    hits = {ef: (f[:, :, None] == truth[:, None, :]).sum() for ef, f in found.items()}
    assert hits[500] > hits[1]
    assert (found[1] >= 0).all()


def test_more_lists_are_probed_for_more_rows_than_the_parameters_speak_of(tmp_path: Path) -> None:
    vectors = random_vectors(2_000, 8, 5)
    index = opened(vectors, "IVF_FLAT", "L2", tmp_path / "index", {"nlist": 50})
    few, _ = index.search(vectors[:3], 200, {"nprobe": 2}, 200)
    more, _ = index.search(vectors[:3], 200, {"nprobe": 2}, 1)
    assert (few < 0).any()
    assert (more >= 0).sum() > (few >= 0).sum()


def test_a_build_leaves_the_number_of_threads_as_it_was(tmp_path: Path) -> None:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(before + 3)
    try:
        opened(random_vectors(100, 8, 6), "IVF_FLAT", "L2", tmp_path / "index")
        assert faiss.omp_get_max_threads() == before + 3
    finally:
        faiss.omp_set_num_threads(before)


def test_the_zero_vector_has_cosine_zero_with_everything(tmp_path: Path) -> None:
    vectors = random_vectors(20, 8, 7)
    vectors[3] = 0
    index = opened(vectors, "HNSW", "COSINE", tmp_path / "index")
    positions, scores = index.search(vectors[:1], 20, {}, 20)
    assert scores is not None
    assert scores[0][positions[0].tolist().index(3)] == 0.0
    assert positions[0][0] == 0


def test_a_vector_longer_than_any_float32_has_its_cosine(tmp_path: Path) -> None:
    vectors = random_vectors(20, 8, 7)
    vectors[3] = 3e38 * np.sign(vectors[0])
    index = opened(vectors, "HNSW", "COSINE", tmp_path / "index")
    positions, scores = index.search(vectors[3:4], 20, {}, 20)
    assert scores is not None
    assert positions[0][:2].tolist() == [3, 0]
    assert scores[0][0] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("index_type", TYPES)
@pytest.mark.parametrize("metric", ["L2", "IP", "COSINE"])
def test_a_mapped_index_answers_as_one_in_memory(
    index_type: str, metric: str, tmp_path: Path
) -> None:
    vectors = np.random.default_rng(2).standard_normal((5_000, 16)).astype(np.float32)
    index = opened(vectors, index_type, metric, tmp_path / "index")
    parameters = TYPES[index_type]
    mapped = FaissIndex(tmp_path / "index", 5_000, 16, index_type, metric, parameters, mapped=True)
    for left, right in zip(
        index.search(vectors[:20], 10, {}, 10),
        mapped.search(vectors[:20], 10, {}, 10),
        strict=True,
    ):
        assert (left is None and right is None) or np.array_equal(left, right)
    assert str(tmp_path / "index") in Path("/proc/self/maps").read_text(encoding="utf-8")
    (tmp_path / "index").unlink()  # What is mapped outlives its name.
    assert mapped.search(vectors[:1], 1, {}, 1)[0].tolist() == [[0]] or metric == "IP"
    mapped.close()
    assert str(tmp_path / "index") not in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_a_faiss_that_cannot_map_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(2).standard_normal((500, 16)).astype(np.float32)
    opened(vectors, "HNSW", "L2", tmp_path / "index")
    monkeypatch.delattr(faiss, "IO_FLAG_MMAP_IFC", raising=False)
    index = FaissIndex(tmp_path / "index", 500, 16, "HNSW", "L2", GRAPH, mapped=True)
    assert index.search(vectors[:1], 1, {}, 1)[0].tolist() == [[0]]
    assert str(tmp_path / "index") not in Path("/proc/self/maps").read_text(encoding="utf-8")


CHILD = """
import os, sys
from pathlib import Path
import numpy as np
from walvec.segments.faiss_index import FaissIndex, build

def threads():
    return len(os.listdir("/proc/self/task"))

vectors = np.random.default_rng(1).standard_normal((2000, 16)).astype(np.float32)
kinds = {"HNSW": {"M": 8, "efConstruction": 40}, "IVF_FLAT": {"nlist": 16}}
indexes = []
for kind, params in kinds.items():
    path = Path(sys.argv[1]) / kind
    build(vectors, kind, "L2", params, 1, path)
    indexes.append(FaissIndex(path, 2000, 16, kind, "L2", params))
before = threads()
for index in indexes:
    index.search(vectors[:1], 10, {}, 10)
assert threads() == before, "a single query started threads"
expected = [index.search(vectors[:50], 10, {}, 10)[0] for index in indexes]
pid = os.fork()
if pid == 0:
    found = [index.search(vectors[:50], 10, {}, 10)[0] for index in indexes]
    os._exit(0 if all(map(np.array_equal, found, expected)) else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_single_queries_start_no_threads_and_batches_work_after_a_fork(tmp_path: Path) -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "4"}
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    run = subprocess.run(command, env=env, timeout=60, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
