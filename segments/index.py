"""An index: what it is in the log, how it is built into a file, and how it answers.

`resolve` decides type, metric and parameters once, in the command; the log holds the outcome as
an IndexSpec, and every machine builds from that. The types and their parameters are in
`index_params`, the work in `annoy_index` and `faiss_index`; neither library is imported before
an index of its kind is built or opened.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from walvec.segments import annoy_index, faiss_index
from walvec.segments.index_params import FAISS_TYPES, VECTOR_TYPES, resolve, search_params
from walvec.wal.rows import Array

__all__ = [
    "IndexSpec",
    "IndexUnreadable",
    "VectorIndex",
    "build_index",
    "needs_file",
    "open_index",
    "resolve",
    "say_clamped",
    "search_params",
]

logger = logging.getLogger("walvec")

_clamped_said: set[tuple[int, str]] = set()


class IndexUnreadable(Exception):
    """An index file cannot be used here: its library is missing or refuses it. Search exactly."""


@dataclass(frozen=True)
class IndexSpec:
    """An index of a field, as the log has it. `params` is complete; `metric_type` is "" for a
    scalar index. `id` is its identity in the log and in files, the name is the user's."""

    id: int
    field_id: int
    field_name: str
    name: str
    index_type: str
    metric_type: str
    params: dict[str, int | float | str]
    seed: int

    def to_data(self) -> dict[str, Any]:
        return {**vars(self), "params": dict(self.params)}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> IndexSpec:
        return cls(**data)


class VectorIndex(Protocol):
    """An index of one vector field of one sealed segment. Safe to search from many threads."""

    @property
    def exact_scores(self) -> bool:
        """Whether `search` returns scores: those of `flat.scores` but for float32 rounding."""

    def candidates(self, k: int) -> int:
        """How many rows to ask for so that the k best are among them after exact re-ranking."""

    def search(
        self, queries: Array, k: int, params: dict[str, Any], alive: Array | None = None
    ) -> tuple[Array, Array | None]:
        """The k nearest rows of each query, best first, as far as the index knows.

        queries: (nq, dim) float32. params: from `search_params`. alive: (n,) bool, the only
        rows that may be returned; None for all.

        Returns positions (nq, k) int64, padded with -1, and their scores (nq, k) float32 in
        Milvus' convention (undefined where the position is -1), or None where the index knows
        no exact ones: then score the rows with `flat.scores`. Fewer than k are found only
        where fewer exist or a graph does not lead to them; the caller then scans.

        Raises CollectionNotLoadedException after `close`.
        """

    def close(self) -> None:
        """Free its memory or mapping, at once or when the searches under way have ended."""


def needs_file(spec: IndexSpec) -> bool:
    """Whether the index is a file to build. FLAT and scalar indexes are not: the rows serve."""
    return spec.index_type in VECTOR_TYPES and spec.index_type != "FLAT"


def build_index(spec: IndexSpec, vectors: Array, path: str | Path) -> dict[str, Any]:
    """Write the index of `vectors`, (n, dim) float32 in C order, to `path`, mode 0600.

    The file appears whole, under its name, or not at all; it is not synced, being a cache. One
    thread and the spec's seed: the same vectors and library versions give the same bytes. An
    index of no rows is an empty file.

    Returns the parameters used, which differ from the spec's where `n` was too small for them.
    Raises ImportError, OSError, MemoryError. Annoy may kill the process when memory is short,
    and holds the GIL for seconds: see `builder`.
    """
    assert needs_file(spec), f"{spec.index_type} has no file"
    assert vectors.dtype == np.float32 and vectors.ndim == 2, "vectors are (n, dim) float32"
    path = Path(path)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    params: dict[str, Any] = dict(spec.params)
    try:
        if not len(vectors):
            draft.touch()
        elif spec.index_type == "ANNOY":
            annoy_index.build(vectors, spec.metric_type, params, spec.seed, draft)
        else:
            params = faiss_index.build(
                vectors, spec.index_type, spec.metric_type, params, spec.seed, draft
            )
        draft.chmod(0o600)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    say_clamped(spec, params, len(vectors))
    return params


def say_clamped(spec: IndexSpec, used: dict[str, Any], n: int) -> None:
    """Log, once for each index, that its parameters were too large for a segment."""
    changed = {name: value for name, value in used.items() if spec.params.get(name) != value}
    if changed and (spec.id, spec.name) not in _clamped_said:
        _clamped_said.add((spec.id, spec.name))
        wanted = {name: spec.params.get(name) for name in changed}
        logger.warning(
            "index %s of field %s: %s is too large for a segment of %d rows, %s is used there",
            spec.name,
            spec.field_name,
            ", ".join(f"{k} {v}" for k, v in wanted.items()),
            n,
            ", ".join(f"{k} {v}" for k, v in changed.items()),
        )


def open_index(
    spec: IndexSpec, path: str | Path, n: int, dim: int, *, mapped: bool = False
) -> VectorIndex:
    """The index in a file of n rows of `dim`, for searching.

    The caller has compared the file's length and digest with the log *before*: Annoy checks
    nothing and dies on bad bytes. FAISS indexes are read into memory unless `mapped`, Annoy's
    always mapped.

    Raises IndexUnreadable where the library is missing or finds something else in the file.
    """
    assert needs_file(spec), f"{spec.index_type} has no file"
    if not n:
        return _NoRows()
    try:
        if spec.index_type in FAISS_TYPES:
            return faiss_index.FaissIndex(
                path, n, dim, spec.index_type, spec.metric_type, spec.params, mapped=mapped
            )
        return annoy_index.AnnoyIndex(path, n, dim, spec.metric_type, spec.params)
    except ImportError as error:
        extra = "walvec[faiss]" if spec.index_type in FAISS_TYPES else "annoy"
        raise IndexUnreadable(
            f"index {spec.name} ({spec.index_type}) of field {spec.field_name} needs a library "
            f"that cannot be imported: pip install '{extra}'"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise IndexUnreadable(f"index {spec.name}, file {path}: {error}") from error


class _NoRows:
    """The index of an empty segment."""

    exact_scores = True

    def candidates(self, k: int) -> int:
        return k

    def search(
        self, queries: Array, k: int, params: dict[str, Any], alive: Array | None = None
    ) -> tuple[Array, Array | None]:
        shape = (len(queries), k)
        return np.full(shape, -1, np.int64), np.zeros(shape, np.float32)

    def close(self) -> None:
        return
