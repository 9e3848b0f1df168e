"""Searching segments: by index and by scan, filtered, with nulls, ranges, and any k."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from walvec.segments import flat
from walvec.segments import search as search_module
from walvec.segments.extents import Extents
from walvec.segments.growing import FixedColumns
from walvec.segments.index import IndexSpec, build_index, open_index, resolve
from walvec.segments.loaded_segment import LoadedSegment
from walvec.segments.metrics import DISTANCES, Range
from walvec.segments.search import Found, Plan, Step, search
from walvec.segments.view import SegmentView, View
from walvec.wal.rows import Column, Rows
from walvec.wal.schema import DataType, Field, Schema

N, DIM, K = 5_000, 16, 10
DENSE = ("ANNOY", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8")
CASES = [(kind, metric) for kind in DENSE for metric in ("L2", "COSINE")]
CASES += [("BIN_IVF_FLAT", "HAMMING"), ("BIN_IVF_FLAT", "JACCARD")]


def vectors_of(n: int, seed: int, *, binary: bool = False) -> Any:
    """Rows around 40 centres that the seed does not change: (n, DIM) float32, or as bits, 16 of
    each number, (n, 2 DIM) uint8."""
    centres = np.random.default_rng(0).standard_normal((40, DIM))
    rng = np.random.default_rng(seed)
    rows = (centres[rng.integers(0, 40, n)] + 0.4 * rng.standard_normal((n, DIM))).astype("f4")
    if not binary:
        return rows
    steps = np.linspace(-2, 2, 16, dtype=np.float32)
    return np.packbits((rows[:, :, None] > steps).reshape(n, -1), axis=1)


def field_of(kind: str) -> Field:
    if kind.startswith("BIN"):
        return Field(101, "v", DataType.BINARY_VECTOR, dim=16 * DIM, nullable=True)
    return Field(101, "v", DataType.FLOAT_VECTOR, dim=DIM, nullable=True)


def segment_of(field: Field, vectors: Any, valid: Any = None, number: int = 1) -> LoadedSegment:
    key = Field(100, "id", DataType.INT64, is_primary=True)
    columns = {100: Column(np.arange(len(vectors))), 101: Column(vectors, None, valid)}
    rows = FixedColumns(Rows(len(vectors), columns))
    return LoadedSegment(number, Schema((key, field)), rows, partition=0, extents=Extents())


def view_of(*segments: LoadedSegment, deaths: int = 0) -> View:
    views = [SegmentView(s, s.columns.n, deaths, 100, s.indexes, {}) for s in segments]
    return View(100, 1, segments[0].schema, tuple(views), frozenset())


def indexed(
    folder: Path, kind: str, metric: str, vectors: Any, valid: Any = None
) -> tuple[LoadedSegment, IndexSpec]:
    """A segment with an index of its rows."""
    field = field_of(kind)
    spec = IndexSpec(1, 101, "v", "v", *resolve(field, kind, metric, {}, collection="c"), seed=1)
    path = folder / f"{kind}-{metric}-{len(vectors)}-{valid is None}"
    if not path.exists():
        kept = vectors if valid is None else np.ascontiguousarray(vectors[valid])
        build_index(spec, kept, path)
    segment = segment_of(field, vectors, valid)
    segment.indexes = {1: open_index(spec, path, field, len(vectors), valid)}
    return segment, spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where indexes are built once for the tests of this file."""
    return tmp_path_factory.mktemp("indexes")


@pytest.fixture
def only_by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan is expected to take for ever, so that it is what is left when the index gives up."""
    monkeypatch.setattr(search_module, "scan_us", lambda *_: float("inf"))


def plan_of(kind: str, metric: str, spec: IndexSpec | None, k: int = K, **more: Any) -> Plan:
    return Plan(field_of(kind), metric, spec, {}, k, **more)


def rows_of(found: Found) -> list[int]:
    return [row for _, row in found.places]


def recall(found: Found, vectors: Any, query: Any, metric: str, mask: Any, k: int = K) -> float:
    """The share of the k nearest rows that were found; all found are in the mask, and so many."""
    count = min(k, int(mask.sum()))
    truth = flat.scan(vectors, query[None], metric, count, mask)[0][0]
    rows = rows_of(found)
    assert len(set(rows)) == len(rows) == count
    assert mask[rows].all()
    assert np.allclose(found.scores, flat.scores(vectors[rows], query, metric), atol=1e-4)
    ordered = found.scores if metric in DISTANCES else [-s for s in found.scores]
    assert ordered == sorted(ordered)
    return len(set(rows) & set(truth.tolist())) / max(1, count)


# Filters


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
@pytest.mark.parametrize(("kind", "metric"), CASES)
@pytest.mark.parametrize("forced", [False, True])
def test_a_filtered_search_finds_k_rows_and_nearly_the_nearest(
    folder: Path,
    request: pytest.FixtureRequest,
    kind: str,
    metric: str,
    share: float,
    forced: bool,
) -> None:
    if forced:
        request.getfixturevalue("only_by_index")
    vectors = vectors_of(N, 1, binary=kind.startswith("BIN"))
    queries = vectors_of(30, 2, binary=kind.startswith("BIN"))
    segment, spec = indexed(folder, kind, metric, vectors)
    mask = np.random.default_rng(3).random(N) < share
    plan = plan_of(kind, metric, spec, predicate=lambda _: mask)
    found = search(view_of(segment), plan, queries)
    shares = [recall(one, vectors, q, metric, mask) for one, q in zip(found, queries, strict=True)]
    assert np.mean(shares) >= 0.95


@pytest.mark.parametrize(("kind", "metric"), CASES)
@pytest.mark.parametrize("side", ["near", "far"])
@pytest.mark.usefixtures("only_by_index")
def test_a_filter_that_has_to_do_with_the_query_does_not_mislead(
    folder: Path, kind: str, metric: str, side: str
) -> None:
    vectors = vectors_of(N, 1, binary=kind.startswith("BIN"))
    segment, spec = indexed(folder, kind, metric, vectors)
    shares = []
    for query in vectors_of(8, 4, binary=kind.startswith("BIN")):
        scores = flat.scores(vectors, query, metric)
        order = np.argsort(scores if metric in DISTANCES else -scores, kind="stable")
        mask = np.zeros(N, bool)
        mask[order[: N // 10] if side == "near" else order[-N // 10 :]] = True
        plan = plan_of(kind, metric, spec, predicate=lambda _, mask=mask: mask)
        (found,) = search(view_of(segment), plan, query[None])
        shares.append(recall(found, vectors, query, metric, mask))
    assert np.mean(shares) >= 0.95


@pytest.mark.parametrize(("kind", "metric"), CASES)
def test_deleted_rows_are_never_found(folder: Path, kind: str, metric: str) -> None:
    vectors = vectors_of(N, 1, binary=kind.startswith("BIN"))
    segment, spec = indexed(folder, kind, metric, vectors)
    segment.kill(np.arange(0, N, 2), 50)
    view = view_of(segment, deaths=segment.deaths)
    for row in range(4):
        (found,) = search(view, plan_of(kind, metric, spec), vectors[row : row + 1])
        assert len(found.places) == K
        assert all(place % 2 for place in rows_of(found))
        assert (row in rows_of(found)) == bool(row % 2)


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize(("kind", "metric"), CASES[::2])
@pytest.mark.parametrize("forced", [False, True])
def test_the_largest_k_works_for_every_type(
    folder: Path,
    request: pytest.FixtureRequest,
    kind: str,
    metric: str,
    filtered: bool,
    forced: bool,
) -> None:
    if forced:
        request.getfixturevalue("only_by_index")
    n, k = 17_000, 16_384
    vectors = vectors_of(n, 5, binary=kind.startswith("BIN"))
    segment, spec = indexed(folder, kind, metric, vectors)
    mask = np.arange(n) % 10 < (3 if filtered else 10)
    plan = plan_of(kind, metric, spec, k, predicate=(lambda _: mask) if filtered else None)
    (found,) = search(view_of(segment), plan, vectors[:1])
    assert recall(found, vectors, vectors[0], metric, mask, k) >= 0.95


def test_what_was_done_is_told_to_who_wants_to_know(folder: Path) -> None:
    vectors = vectors_of(N, 1)
    segment, spec = indexed(folder, "HNSW", "L2", vectors)
    steps: list[Step] = []
    few, none = np.arange(N) < 20, np.zeros(N, bool)
    for predicate in (None, lambda _: few, lambda _: none):
        plan = plan_of("HNSW", "L2", spec, predicate=predicate, trace=steps.append)
        search(view_of(segment), plan, vectors[:1])
    assert steps == [
        Step(1, "HNSW", N, N, (10,), {"ef": 64}),
        Step(1, "exact", N, 20, (), {}),
        Step(1, "empty", N, 0, (), {}),
    ]


@pytest.mark.usefixtures("only_by_index")
def test_what_the_index_does_not_lead_to_is_found_by_a_scan(folder: Path) -> None:
    vectors = vectors_of(N, 1)
    segment, spec = indexed(folder, "IVF_FLAT", "L2", vectors)
    steps: list[Step] = []
    plan = plan_of("IVF_FLAT", "L2", spec, N - 5, trace=steps.append)
    (found,) = search(view_of(segment), plan._replace(params={"nprobe": 1}), vectors[:1])
    assert [step.path for step in steps] == ["IVF_FLAT, then exact"]
    assert len(found.places) == N - 5


# Nulls


@pytest.mark.parametrize("share", [0.0, 0.002, 0.5, 1.0])
@pytest.mark.parametrize(("kind", "metric"), CASES)
@pytest.mark.parametrize("by_index", [False, True])
def test_a_null_vector_is_never_found(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    kind: str,
    metric: str,
    share: float,
    by_index: bool,
) -> None:
    if by_index:
        request.getfixturevalue("only_by_index")
    n = 2_000
    vectors = vectors_of(n, 6, binary=kind.startswith("BIN"))
    valid = np.random.default_rng(7).random(n) < share
    vectors[~valid] = 0
    segment, spec = indexed(tmp_path, kind, metric, vectors, valid)
    # The zero vector is what nulls hold: they would be the nearest.
    queries = np.concatenate([np.zeros_like(vectors[:1]), vectors_of(5, 8, binary=kind[0] == "B")])
    mask = np.random.default_rng(9).random(n) < 0.5
    for predicate, kept in ((None, valid), (lambda _: mask, valid & mask)):
        plan = plan_of(kind, metric, spec if by_index else None, predicate=predicate)
        for one, query in zip(search(view_of(segment), plan, queries), queries, strict=True):
            if metric == "COSINE" and not query.any():
                assert len(one.places) == min(K, kept.sum())
                assert kept[rows_of(one)].all()
            else:
                recall(one, vectors, query, metric, kept)


# Ranges


@pytest.mark.parametrize("k", [5, 300])
@pytest.mark.parametrize(("kind", "metric"), CASES)
@pytest.mark.usefixtures("only_by_index")
def test_a_range_search_by_index_finds_the_k_best_within(
    folder: Path, kind: str, metric: str, k: int
) -> None:
    vectors = vectors_of(N, 1, binary=kind.startswith("BIN"))
    queries = vectors_of(6, 10, binary=kind.startswith("BIN"))
    segment, spec = indexed(folder, kind, metric, vectors)
    mask = np.arange(N) % 3 > 0
    hits = total = 0
    for query in queries:
        scores = flat.scores(vectors, query, metric)
        order = np.argsort(scores if metric in DISTANCES else -scores, kind="stable")
        within = Range(float(scores[order[220]]), float(scores[order[90]]))
        for predicate, alive in ((None, None), (lambda _: mask, mask)):
            plan = plan_of(kind, metric, spec, k, predicate=predicate)
            plan = plan._replace(radius=within.radius, range_filter=within.range_filter)
            (found,) = search(view_of(segment), plan, query[None])
            truth = flat.scan(vectors, query[None], metric, k, alive, None, within)[0][0]
            truth = truth[truth >= 0]
            assert within.keeps(np.array(found.scores, np.float32), metric).all()
            assert len(found.places) == len(truth)
            hits += len(set(rows_of(found)) & set(truth.tolist()))
            total += len(truth)
    assert hits >= 0.95 * total


def test_a_range_without_any_row_is_empty(folder: Path) -> None:
    vectors = vectors_of(N, 1)
    segment, spec = indexed(folder, "HNSW", "L2", vectors)
    for radius, range_filter in ((0.0, None), (2e6, 1e6), (None, 1e9)):
        plan = plan_of("HNSW", "L2", spec, radius=radius, range_filter=range_filter)
        assert search(view_of(segment), plan, vectors[:2]) == [Found([], [])] * 2


# Several segments, other types


@pytest.mark.parametrize(
    ("data_type", "metric"),
    [
        (DataType.FLOAT16_VECTOR, "COSINE"),
        (DataType.BFLOAT16_VECTOR, "IP"),
        (DataType.INT8_VECTOR, "L2"),
        (DataType.BINARY_VECTOR, "HAMMING"),
        (DataType.BINARY_VECTOR, "JACCARD"),
    ],
)
def test_segments_of_every_type_are_merged_best_first(data_type: DataType, metric: str) -> None:
    binary = data_type is DataType.BINARY_VECTOR
    stored = vectors_of(300, 11, binary=binary)
    if data_type is DataType.FLOAT16_VECTOR:
        stored = stored.astype(np.float16)
    elif data_type is DataType.BFLOAT16_VECTOR:
        stored = (stored.view(np.uint32) >> 16).astype(np.uint16)
    elif data_type is DataType.INT8_VECTOR:
        stored = np.clip(stored * 30, -127, 127).astype(np.int8)
    field = Field(101, "v", data_type, dim=16 * DIM if binary else DIM)
    parts = [segment_of(field, stored[i : i + 100], None, i) for i in (0, 100, 200)]
    query = vectors_of(1, 12, binary=binary)
    (found,) = search(view_of(*parts), Plan(field, metric, None, {}, 25), query)
    positions, scores = flat.scan(stored, query, metric, 25)
    assert [segment.segment.id + row for segment, row in found.places] == positions[0].tolist()
    assert found.scores == scores[0].tolist()
