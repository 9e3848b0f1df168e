"""FAISS as a library: importing it, its threads, reading its files, asking an index.

FAISS' switches are per process, and the process is the user's: ef and nprobe go along with each
search. A build is done by one thread: more would insert in another order and give other bytes.
A search with one query starts no thread. One with several does, but not in a forked process:
there OpenMP waits for ever for threads that the fork left behind.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import numpy as np

from walvec.wal.rows import Array

MIN_ROWS_PER_LIST = 39
"""As Milvus' knowhere: with fewer rows for each centroid, nlist is lowered to n // 39."""
SEEDS = 2**31

_forked = False


def library() -> Any:
    """FAISS. Raises ImportError without it.

    It is imported by a thread: an interrupt, which comes to the main thread alone, would leave it
    half imported, and unusable until the process ends.
    """
    if "faiss" not in sys.modules:
        thread = Thread(target=_import, name="walvec-import", daemon=True)
        thread.start()
        thread.join()
    return importlib.import_module("faiss")


def _import() -> None:
    with suppress(ImportError):  # raised again where it is caught
        importlib.import_module("faiss")


def _note_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_note_fork)


@contextmanager
def one_thread(faiss: Any) -> Iterator[None]:
    """What this thread asks of FAISS is done by this thread alone: OpenMP keeps the number of
    threads for each thread that asks."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def used_params(params: dict[str, Any], n: int) -> dict[str, Any]:
    """The parameters of building with n rows: nlist is lowered where they are too few for it."""
    if "nlist" not in params:
        return dict(params)
    return {**params, "nlist": min(int(params["nlist"]), max(1, n // MIN_ROWS_PER_LIST))}


def read(faiss: Any, path: str, mapped: bool, *, binary: bool = False) -> Any:
    """The index in a file, in memory; or `mapped`: codes, lists and graph stay in the file, and
    its pages are shared by all processes. Measured, 60,000 rows of 128 dimensions, private
    memory after 200 searches: HNSW 39 -> 2.5 MiB, HNSW_SQ 17 -> 2.5, IVF_FLAT 32 -> 1.8, IVF_SQ8
    9.6 -> 1.8. A search by HNSW takes as long as before, one by IVF 10 to 20 % longer."""
    # Without copies since FAISS 1.11; IO_FLAG_MMAP, which is older, maps IVF lists alone.
    flag = getattr(faiss, "IO_FLAG_MMAP_IFC", 0)
    read_index = faiss.read_index_binary if binary else faiss.read_index
    return read_index(path, flag) if mapped and flag else read_index(path)


def check_size(index: Any, n: int, dim: int) -> None:
    """Raises ValueError if an index holds something else than n rows of `dim`."""
    if (index.ntotal, index.d) != (n, dim):
        raise ValueError(f"holds {index.ntotal} rows of dim {index.d}, not {n} of {dim}")


def ask(index: Any, queries: Array, k: int, how: Any) -> tuple[Array, Array]:
    """Positions and scores of one FAISS search; query by query where its threads cannot be used."""
    if len(queries) > 1 and _forked:
        parts = [index.search(queries[i : i + 1], k, params=how) for i in range(len(queries))]
        return np.concatenate([p for _, p in parts]), np.concatenate([s for s, _ in parts])
    scores, positions = index.search(queries, k, params=how)
    return positions, scores


def ask_in_this_thread(faiss: Any, index: Any, queries: Array, k: int, how: Any) -> Array:
    """Positions, of an index whose search starts threads even for one query, which takes 400
    times as long where the processors are busy, and in a forked process for ever."""
    with one_thread(faiss):
        positions: Array = index.search(queries, k, params=how)[1]
    return positions
