"""FAISS for binary vectors: recall, threads, forks, mapped files, and equal builds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from walvec.segments import faiss_binary_index, flat
from walvec.segments.faiss_binary_index import BinaryIndex
from walvec.tools.sample import load_packages


def bits_of(vectors: Any) -> Any:
    """The signs of embeddings as bits, which is how people make binary vectors of them."""
    return np.packbits(vectors > 0, axis=1)


def opened(vectors: Any, path: Path, metric: str, *, mapped: bool = False) -> BinaryIndex:
    faiss_binary_index.build(vectors, {"nlist": 128}, 1, path)
    return BinaryIndex(path, len(vectors), 8 * vectors.shape[1], metric, mapped=mapped)


@pytest.mark.parametrize("metric", ["HAMMING", "JACCARD"])
def test_recall_at_ten_on_the_shipped_packages_is_at_least_095(metric: str, tmp_path: Path) -> None:
    _, embeddings = load_packages()
    held_out = np.random.default_rng(7).permutation(len(embeddings))
    rows, queries = bits_of(embeddings[held_out[:-200]]), bits_of(embeddings[held_out[-200:]])
    index = opened(rows, tmp_path / "index", metric)
    candidates, scores = index.search(queries, 10, {}, 10)
    assert scores is None
    _, distances = flat.scan(rows, queries, metric, 10)
    hits = 0
    for query, near, best in zip(queries, candidates, distances, strict=True):
        found = np.sort(flat.scores(rows[near[near >= 0]], query, metric))[:10]
        # As near as the tenth: several rows may be, and any of them is right.
        hits += int((found <= best[-1]).sum())
    assert hits / distances.size >= 0.95


def test_builds_are_byte_identical_and_nlist_is_lowered_for_few_rows(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).integers(0, 256, (500, 8), np.uint8)
    for name in ("a", "b"):
        assert faiss_binary_index.build(rows, {"nlist": 1024}, 5, tmp_path / name) == {"nlist": 12}
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_mapped_index_answers_as_one_in_memory(tmp_path: Path) -> None:
    rows = np.random.default_rng(2).integers(0, 256, (5_000, 16), np.uint8)
    index = opened(rows, tmp_path / "index", "HAMMING")
    mapped = opened(rows, tmp_path / "index", "HAMMING", mapped=True)
    left, right = (i.search(rows[:20], 10, {}, 10)[0] for i in (index, mapped))
    assert np.array_equal(left, right)
    assert str(tmp_path / "index") in Path("/proc/self/maps").read_text(encoding="utf-8")
    mapped.close()
    assert str(tmp_path / "index") not in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_a_search_leaves_the_number_of_threads_as_it_was(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).integers(0, 256, (500, 8), np.uint8)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(before + 3)
    try:
        opened(rows, tmp_path / "index", "HAMMING").search(rows[:5], 3, {}, 3)
        assert faiss.omp_get_max_threads() == before + 3
    finally:
        faiss.omp_set_num_threads(before)


def test_jaccard_far_from_the_query_is_left_to_a_scan(tmp_path: Path) -> None:
    rows = np.random.default_rng(4).integers(0, 256, (500, 8), np.uint8)
    index = opened(rows, tmp_path / "index", "JACCARD")
    assert index.cost(20, {}, 10) < index.cost(21, {}, 10) == float("inf")


CHILD = """
import os, sys
from pathlib import Path
import numpy as np
from walvec.segments.faiss_binary_index import BinaryIndex, build

rows = np.random.default_rng(1).integers(0, 256, (2000, 16), np.uint8)
path = Path(sys.argv[1]) / "index"
build(rows, {"nlist": 16}, 1, path)
index = BinaryIndex(path, 2000, 128, "HAMMING")
before = len(os.listdir("/proc/self/task"))
expected = [index.search(rows[:n], 10, {}, 10)[0] for n in (1, 50)]
assert len(os.listdir("/proc/self/task")) == before, "a search started threads"
pid = os.fork()
if pid == 0:
    found = [index.search(rows[:n], 10, {}, 10)[0] for n in (1, 50)]
    os._exit(0 if all(map(np.array_equal, found, expected)) else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_searches_start_no_threads_and_work_after_a_fork(tmp_path: Path) -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "4"}
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    run = subprocess.run(command, env=env, timeout=60, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
