"""An index: what it is in the log, how it is built into a file, and how it answers.

`resolve` decides type, metric and parameters once, in the command; the log holds the outcome as
an IndexSpec, and every machine builds from that. The types and their parameters are in
`index_params`, the work in `annoy_index`, `faiss_index` and `faiss_binary_index`; neither library
is imported before an index of its kind is built or opened.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from walvec.segments import annoy_index, faiss_binary_index, faiss_index
from walvec.segments.index_params import (
    EXACT_TYPES,
    FAISS_TYPES,
    VECTOR_TYPES,
    resolve,
    search_params,
)
from walvec.segments.scalar_params import SCALAR_TYPES
from walvec.segments.valid_rows import ValidRows
from walvec.wal.rows import Array, item_dtype
from walvec.wal.schema import Field

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
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def is_scalar(self) -> bool:
        """Whether it serves filters (see scalar_index.py), and not searches."""
        return self.index_type in SCALAR_TYPES

    def to_data(self) -> dict[str, Any]:
        properties = dict(sorted(self.properties.items()))
        return {**vars(self), "params": dict(self.params), "properties": properties}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> IndexSpec:
        return cls(**data)


class VectorIndex(Protocol):
    """An index of one vector field of one sealed segment. Safe to search from many threads.

    It knows nothing of deleted rows and of filters: who needs k rows of some asks for more than
    k, see candidates.py.
    """

    @property
    def exact_scores(self) -> bool:
        """Whether `search` returns scores: those of `flat.scores` but for float32 rounding."""

    def search(
        self, queries: Array, wanted: int, params: dict[str, Any], k: int
    ) -> tuple[Array, Array | None]:
        """The nearest rows to each query, as far as the index knows: `wanted`, or more where
        that many are needed for the best `wanted` to be among them after exact ranking.

        queries: (nq, dim) float32, of binary vectors (nq, dim / 8) uint8. wanted: at most the
        number of rows. params: from `search_params`; they say what to do for k rows, and where
        more are wanted it does more.

        Returns positions (nq, m) int64, padded with -1, and their scores (nq, m) float32, best
        first, in Milvus' convention (undefined where the position is -1), or None where the
        index knows no exact ones: then score the rows with `flat.scores`. Fewer than wanted are
        found where a graph, or the lists that were looked at, do not lead to them.

        Raises CollectionNotLoadedException after `close`.
        """

    def cost(self, wanted: int, params: dict[str, Any], k: int) -> float:
        """About how many microseconds that takes for one query: to be compared with others."""

    def effort(self, wanted: int, params: dict[str, Any], k: int) -> dict[str, int]:
        """The search parameter by which it does that, and its value: {"ef": 64}."""

    def close(self) -> None:
        """Free its memory or mapping, at once or when the searches under way have ended."""


def needs_file(spec: IndexSpec) -> bool:
    """Whether the index is a file to build. FLAT and BIN_FLAT are not: the rows serve."""
    return spec.is_scalar or (
        spec.index_type in VECTOR_TYPES and spec.index_type not in EXACT_TYPES
    )


def build_index(spec: IndexSpec, vectors: Array, path: str | Path) -> dict[str, Any]:
    """Write the index of `vectors`, (n, width) as in their column, to `path`, mode 0600.

    The file appears whole, under its name, or not at all; it is not synced, being a cache. One
    thread and the spec's seed: the same vectors and library versions give the same bytes. An
    index of no rows is an empty file.

    Returns the parameters used, which differ from the spec's where `n` was too small for them.
    Raises ImportError, OSError, MemoryError. Annoy may kill the process when memory is short,
    and holds the GIL for seconds: see `builder`.
    """
    assert needs_file(spec), f"{spec.index_type} has no file"
    assert vectors.ndim == 2, "vectors are (n, width)"
    path = Path(path)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    params: dict[str, Any] = dict(spec.params)
    try:
        if not len(vectors):
            draft.touch()
        elif spec.index_type == "ANNOY":
            annoy_index.build(vectors, spec.metric_type, params, spec.seed, draft)
        elif spec.index_type == "BIN_IVF_FLAT":
            params = faiss_binary_index.build(vectors, params, spec.seed, draft)
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
    spec: IndexSpec,
    path: str | Path,
    field: Field,
    n: int,
    valid: Array | None = None,
    *,
    mapped: bool = False,
) -> VectorIndex:
    """The index in a file, for searching the n rows of a segment.

    valid: (n,) bool, the rows that are not null, of which alone the index is made; None for
    all. The caller has compared the file's length and digest with the log *before*: Annoy
    checks nothing and dies on bad bytes. FAISS indexes are read into memory unless `mapped`,
    Annoy's always mapped.

    Raises IndexUnreadable where the library is missing or finds something else in the file.
    """
    assert needs_file(spec), f"{spec.index_type} has no file"
    if valid is None or valid.all():
        return _open(spec, path, field, n, mapped)
    rows = np.flatnonzero(valid)
    return ValidRows(_open(spec, path, field, len(rows), mapped), rows)


def _open(spec: IndexSpec, path: str | Path, field: Field, n: int, mapped: bool) -> VectorIndex:
    if not n:
        return _NoRows()
    kind, metric, dim = spec.index_type, spec.metric_type, field.dim
    try:
        if kind == "BIN_IVF_FLAT":
            return faiss_binary_index.BinaryIndex(path, n, dim, metric, mapped=mapped)
        if kind in FAISS_TYPES:
            dtype = item_dtype(field)
            return faiss_index.FaissIndex(
                path, n, dim, kind, metric, spec.params, dtype=dtype, mapped=mapped
            )
        return annoy_index.AnnoyIndex(path, n, dim, metric, spec.params)
    except ImportError as error:
        extra = "walvec[faiss]" if kind in FAISS_TYPES else "annoy"
        raise IndexUnreadable(
            f"index {spec.name} ({kind}) of field {spec.field_name} needs a library "
            f"that cannot be imported: pip install '{extra}'"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise IndexUnreadable(f"index {spec.name}, file {path}: {error}") from error


class _NoRows:
    """The index of a segment without rows, or whose rows are all null."""

    exact_scores = True

    def search(
        self, queries: Array, wanted: int, params: dict[str, Any], k: int
    ) -> tuple[Array, Array | None]:
        shape = (len(queries), wanted)
        return np.full(shape, -1, np.int64), np.zeros(shape, np.float32)

    def cost(self, wanted: int, params: dict[str, Any], k: int) -> float:
        return 0.0

    def effort(self, wanted: int, params: dict[str, Any], k: int) -> dict[str, int]:
        return {}

    def close(self) -> None:
        return
