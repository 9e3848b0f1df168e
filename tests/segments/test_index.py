"""What an index is to be: resolving what users ask for, and what holds for every type."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from walvec.segments import flat, index, index_params
from walvec.segments.builder import Builder
from walvec.segments.files import write_columns
from walvec.segments.index import (
    IndexSpec,
    IndexUnreadable,
    build_index,
    needs_file,
    open_index,
    resolve,
    search_params,
)
from walvec.segments.stored_vectors import to_float32
from walvec.wal.errors import (
    CollectionNotLoadedException,
    IndexNotSupportedException,
    ParamError,
)
from walvec.wal.rows import Column, Rows
from walvec.wal.schema import DataType, Field

DIM = 16
VECTOR = Field(101, "embedding", DataType.FLOAT_VECTOR, dim=DIM)
BITS = Field(102, "bits", DataType.BINARY_VECTOR, dim=64)
FILE_TYPES = ("ANNOY", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8")
METRICS = ("L2", "IP", "COSINE")


def spec_of(
    index_type: str, metric: str = "COSINE", field: Field = VECTOR, **params: Any
) -> IndexSpec:
    resolved = resolve(field, index_type, metric, params, collection="docs")
    return IndexSpec(7, field.id, field.name, "my_index", *resolved, seed=7)


def clustered(n: int, seed: int) -> Any:
    """Rows around 40 centres that the seed does not change, (n, DIM) float32."""
    centres = np.random.default_rng(0).standard_normal((40, DIM))
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(0, 40, n)] + 0.4 * rng.standard_normal((n, DIM))
    return rows.astype(np.float32)


# Resolving


def test_a_vector_index_is_resolved_with_every_parameter_and_cosine() -> None:
    assert resolve(VECTOR, "hnsw", "", {"M": "24"}, collection="docs") == (
        "HNSW",
        "COSINE",
        {"M": 24, "efConstruction": 100},
    )
    assert resolve(VECTOR, "IVF_FLAT", "l2", {"nlist": 1024}, collection="docs") == (
        "IVF_FLAT",
        "L2",
        {"nlist": 1024},
    )
    assert resolve(VECTOR, "ANNOY", "ip", {}, collection="docs") == ("ANNOY", "IP", {"n_trees": 32})
    assert resolve(VECTOR, "HNSW_SQ", "IP", {"sq_type": "sq6"}, collection="docs")[2] == {
        "M": 16,
        "efConstruction": 100,
        "sq_type": "SQ6",
    }


def test_autoindex_is_hnsw_with_faiss_and_annoy_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(VECTOR, "AUTOINDEX", "L2", {}, collection="docs")[0] == "HNSW"
    monkeypatch.setattr(index_params, "has_faiss", lambda: False)
    assert resolve(VECTOR, "", "L2", {}, collection="docs")[0] == "ANNOY"


def test_a_binary_vector_has_its_own_types_metrics_and_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resolved(kind: str, metric: str = "") -> Any:
        return resolve(BITS, kind, metric, {}, collection="docs")

    assert resolved("AUTOINDEX") == ("BIN_IVF_FLAT", "HAMMING", {"nlist": 1024})
    assert resolved("bin_ivf_flat", "jaccard") == ("BIN_IVF_FLAT", "JACCARD", {"nlist": 128})
    assert resolved("BIN_FLAT") == ("BIN_FLAT", "HAMMING", {})
    monkeypatch.setattr(index_params, "has_faiss", lambda: False)
    assert resolved("") == ("BIN_FLAT", "HAMMING", {})
    for kind in ("HNSW", "FLAT", "ANNOY"):
        with pytest.raises(IndexNotSupportedException, match="AUTOINDEX, BIN_FLAT, BIN_IVF_FLAT"):
            resolved(kind)
    with pytest.raises(IndexNotSupportedException, match="'BIN_FLAT' is not one for FLOAT_VECTOR"):
        resolve(VECTOR, "BIN_FLAT", "", {}, collection="docs")


def test_the_implicit_index_needs_no_extra_library_and_has_the_default_metric() -> None:
    for field in (VECTOR, BITS):
        kind = index_params.implicit_type(field)
        assert kind not in index_params.FAISS_TYPES
        metric = resolve(field, kind, "", {}, collection="docs")[1]
        assert metric == index_params.metrics_of(field)[0]
    assert index_params.metrics_of(BITS) == ("HAMMING", "JACCARD")


def test_a_faiss_type_without_faiss_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_params, "has_faiss", lambda: False)
    with pytest.raises(IndexNotSupportedException, match=r"pip install 'walvec\[faiss\]'"):
        resolve(VECTOR, "HNSW", "L2", {}, collection="docs")


@pytest.mark.parametrize(
    ("index_type", "params", "named"),
    [
        ("HNSW", {"m": 16}, "unknown parameter 'm'"),
        ("HNSW", {"M": 1}, "M is 1, allowed is an integer from 2 to 2048"),
        ("HNSW", {"efConstruction": 0}, "efConstruction is 0, allowed is an integer from 1"),
        ("HNSW", {"M": 16.5}, "M is 16.5"),
        ("HNSW", {"M": True}, "M is True"),
        ("HNSW", {"M": "many"}, "M is 'many'"),
        ("HNSW_SQ", {"sq_type": "SQ9"}, "sq_type is 'SQ9', allowed is one of SQ8"),
        ("IVF_FLAT", {"nlist": 65537}, "nlist is 65537, allowed is an integer from 1 to 65536"),
        ("ANNOY", {"n_trees": 1025}, "n_trees is 1025, allowed is an integer from 1 to 1024"),
        ("ANNOY", {"search_k": 100}, "unknown parameter 'search_k'"),
        ("FLAT", {"nlist": 1}, "unknown parameter 'nlist'"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(
    index_type: str, params: dict[str, Any], named: str
) -> None:
    with pytest.raises(ParamError) as caught:
        resolve(VECTOR, index_type, "L2", params, collection="docs")
    assert named in caught.value.message
    assert "collection docs, field embedding" in caught.value.message


def test_an_unknown_metric_or_type_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ParamError, match="'HAMMING' is not one of COSINE, L2, IP"):
        resolve(VECTOR, "HNSW", "HAMMING", {}, collection="docs")
    with pytest.raises(ParamError, match="'L2' is not one of HAMMING, JACCARD"):
        resolve(BITS, "BIN_FLAT", "L2", {}, collection="docs")
    with pytest.raises(IndexNotSupportedException, match=r"'DISKANN'.*ANNOY, FLAT, HNSW"):
        resolve(VECTOR, "DISKANN", "L2", {}, collection="docs")


# Search parameters


def test_search_parameters_are_taken_flat_nested_and_as_text() -> None:
    spec = spec_of("HNSW", "L2")
    assert search_params(spec, None) == {}
    assert search_params(spec, {"ef": 64}) == {"ef": 64}
    assert search_params(spec, {"metric_type": "l2", "params": {"ef": "64"}}) == {"ef": 64}
    assert search_params(spec_of("ANNOY"), {"search_k": -1}) == {}
    assert search_params(spec_of("ANNOY"), {"search_k": 500}) == {"search_k": 500}
    assert search_params(spec_of("IVF_SQ8", nlist=10), {"nprobe": 10}) == {"nprobe": 10}


@pytest.mark.parametrize(
    ("index_type", "params", "named"),
    [
        ("HNSW", {"nprobe": 8}, "unknown parameter 'nprobe'"),
        ("HNSW", {"ef": 0}, "ef is 0, allowed is an integer from 1"),
        ("HNSW", {"ef": 3, "params": {"ef": 4}}, "ef is given twice, 3 and 4"),
        ("HNSW", {"params": 3}, "params is 3"),
        ("HNSW", {"metric_type": "IP"}, "metric_type is 'IP', but the index has COSINE"),
        ("IVF_FLAT", {"nprobe": 129}, "nprobe is 129, allowed is an integer from 1 to 128"),
        ("ANNOY", {"search_k": 0}, "search_k is 0"),
        ("FLAT", {"ef": 3}, "unknown parameter 'ef'"),
    ],
)
def test_a_wrong_search_parameter_is_refused_by_name(
    index_type: str, params: dict[str, Any], named: str
) -> None:
    with pytest.raises(ParamError) as caught:
        search_params(spec_of(index_type), params)
    assert named in caught.value.message
    assert "field embedding, index my_index" in caught.value.message


def test_a_spec_survives_the_log() -> None:
    for index_type in (*FILE_TYPES, "FLAT"):
        spec = spec_of(index_type)
        data = msgpack.unpackb(msgpack.packb(spec.to_data()))
        assert IndexSpec.from_data(data) == spec


# Every type that has a file


def test_flat_alone_has_no_file() -> None:
    assert all(needs_file(spec_of(t)) for t in FILE_TYPES)
    assert not needs_file(spec_of("FLAT"))
    assert not needs_file(spec_of("BIN_FLAT", "HAMMING", BITS))
    assert needs_file(spec_of("BIN_IVF_FLAT", "HAMMING", BITS))
    assert needs_file(IndexSpec(1, 100, "f", "f", "STL_SORT", "", {}, 1))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("index_type", FILE_TYPES)
def test_builds_in_separate_processes_are_byte_identical(
    index_type: str, metric: str, tmp_path: Path
) -> None:
    vectors = clustered(600, seed=1)
    write_columns(tmp_path / "columns", Rows(600, {VECTOR.id: Column(vectors)}))
    spec = spec_of(index_type, metric)
    built = []
    for number in range(2):
        builder = Builder()
        out = tmp_path / f"index-{number}"
        builder.build(spec, VECTOR, tmp_path / "columns", out)
        builder.close()
        built.append(out.read_bytes())
    build_index(spec, vectors, tmp_path / "index-here")
    assert built[0] == built[1] == (tmp_path / "index-here").read_bytes()
    assert (tmp_path / "index-here").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("index_type", FILE_TYPES)
def test_recall_at_ten_is_at_least_095_by_default(
    index_type: str, metric: str, tmp_path: Path
) -> None:
    vectors, queries = clustered(5_000, seed=2), clustered(200, seed=3)
    spec = spec_of(index_type, metric)
    build_index(spec, vectors, tmp_path / "index")
    opened = open_index(spec, tmp_path / "index", VECTOR, 5_000)
    assert recall(opened, vectors, queries, metric) >= 0.95


def recall(opened: index.VectorIndex, vectors: Any, queries: Any, metric: str) -> float:
    """Recall@10 after exact ranking of the candidates, as a search does it."""
    truth, _ = flat.scan(vectors, queries, metric, 10)
    positions, _ = opened.search(queries, 10, {}, 10)
    hits = 0
    for query, rows, best in zip(queries, positions, truth, strict=True):
        scores = flat.scores(vectors[rows], query, metric)
        ranked = rows[np.argsort(scores if metric == "L2" else -scores, kind="stable")][:10]
        hits += len(set(ranked.tolist()) & set(best.tolist()))
    return hits / truth.size


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("index_type", FILE_TYPES)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_every_row_is_found_once_where_all_are_wanted(
    index_type: str, metric: str, n: int, tmp_path: Path
) -> None:
    vectors = clustered(n, seed=7)
    spec = spec_of(index_type, metric)
    build_index(spec, vectors, tmp_path / "index")
    opened = open_index(spec, tmp_path / "index", VECTOR, n)
    positions, _ = opened.search(clustered(2, seed=8), n, {}, 5)
    assert positions.dtype == np.int64
    assert np.sort(positions).tolist() == [list(range(n))] * 2


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("index_type", FILE_TYPES)
def test_identical_and_zero_vectors_are_built_and_found(
    index_type: str, metric: str, tmp_path: Path
) -> None:
    vectors = clustered(300, seed=9)
    vectors[:100] = vectors[0]
    vectors[100:150] = 0.0
    spec = spec_of(index_type, metric)
    build_index(spec, vectors, tmp_path / "index")
    opened = open_index(spec, tmp_path / "index", VECTOR, 300)
    queries = np.concatenate([vectors[:1], np.zeros((1, DIM), np.float32)])
    positions, scores = opened.search(queries, 10, {}, 10)
    assert all(len(set(rows)) == 10 and min(rows) >= 0 for rows in positions.tolist())
    if scores is not None:
        for query, rows, values in zip(queries, positions, scores, strict=True):
            assert np.allclose(values, flat.scores(vectors[rows], query, metric), atol=1e-5)


@pytest.mark.parametrize("index_type", FILE_TYPES)
def test_scores_where_given_are_those_of_the_scan(index_type: str, tmp_path: Path) -> None:
    vectors, queries = clustered(500, seed=10), clustered(5, seed=11)
    for metric in METRICS:
        spec = spec_of(index_type, metric)
        build_index(spec, vectors, tmp_path / "index")
        opened = open_index(spec, tmp_path / "index", VECTOR, 500)
        positions, scores = opened.search(queries, 10, {}, 10)
        assert (scores is not None) == opened.exact_scores
        if scores is not None:
            for query, rows, values in zip(queries, positions, scores, strict=True):
                assert np.allclose(values, flat.scores(vectors[rows], query, metric), atol=1e-4)


@pytest.mark.parametrize("index_type", FILE_TYPES)
def test_a_closed_index_says_that_the_collection_is_not_loaded(
    index_type: str, tmp_path: Path
) -> None:
    spec = spec_of(index_type)
    build_index(spec, clustered(50, seed=12), tmp_path / "index")
    opened = open_index(spec, tmp_path / "index", VECTOR, 50)
    opened.close()
    opened.close()
    with pytest.raises(CollectionNotLoadedException):
        opened.search(clustered(1, seed=13), 3, {}, 3)


@pytest.mark.parametrize("index_type", FILE_TYPES)
def test_a_file_of_another_number_of_rows_is_unreadable(index_type: str, tmp_path: Path) -> None:
    spec = spec_of(index_type)
    build_index(spec, clustered(50, seed=14), tmp_path / "index")
    with pytest.raises(IndexUnreadable, match="my_index"):
        open_index(spec, tmp_path / "index", VECTOR, 51)


def test_a_failed_build_leaves_neither_file_nor_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        args[-1].write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index.annoy_index, "build", full)
    with pytest.raises(OSError, match="No space left"):
        build_index(spec_of("ANNOY"), clustered(5, seed=15), tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


def test_an_nlist_above_the_rows_is_lowered_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_clamped_said", set())
    spec = spec_of("IVF_FLAT", "L2", nlist=1024)
    with caplog.at_level(logging.WARNING, "walvec"):
        assert build_index(spec, clustered(5, seed=16), tmp_path / "a") == {"nlist": 1}
        assert build_index(spec, clustered(78, seed=17), tmp_path / "b") == {"nlist": 2}
    messages = [r.getMessage() for r in caplog.records if r.name == "walvec"]
    assert len(messages) == 1
    assert "my_index" in messages[0]
    assert "nlist 1024 is too large for a segment of 5 rows, nlist 1 is used" in messages[0]
    opened = open_index(spec, tmp_path / "b", VECTOR, 78)
    assert (opened.search(clustered(1, seed=18), 10, {"nprobe": 1000}, 10)[0] >= 0).all()


@pytest.mark.parametrize(("index_type", "library"), [("ANNOY", "annoy"), ("HNSW", "faiss")])
def test_an_index_without_its_library_is_unreadable_and_says_what_to_install(
    index_type: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(index_type)
    build_index(spec, clustered(50, seed=19), tmp_path / "index")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(IndexUnreadable, match=rf"pip install '.*{library}"):
        open_index(spec, tmp_path / "index", VECTOR, 50)


# Other types than float32, and rows that are null


def stored_as(vectors: Any, data_type: DataType) -> Any:
    """Vectors as the column of a type has them; int8 about as precise as they come."""
    if data_type is DataType.BFLOAT16_VECTOR:
        return (vectors.view(np.uint32) >> 16).astype(np.uint16)
    if data_type is DataType.INT8_VECTOR:
        return np.clip(np.rint(vectors * 30), -127, 127).astype(np.int8)
    return vectors.astype(np.float16)


HALVES = (DataType.FLOAT16_VECTOR, DataType.BFLOAT16_VECTOR, DataType.INT8_VECTOR)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("index_type", FILE_TYPES)
@pytest.mark.parametrize("data_type", HALVES)
def test_smaller_types_are_built_as_they_are_and_found_as_well(
    data_type: DataType, index_type: str, metric: str, tmp_path: Path
) -> None:
    field = Field(103, "v", data_type, dim=DIM)
    vectors = stored_as(clustered(3_000, seed=20), data_type)
    queries = to_float32(stored_as(clustered(50, seed=21), data_type))
    spec = spec_of(index_type, metric, field)
    build_index(spec, vectors, tmp_path / "index")
    opened = open_index(spec, tmp_path / "index", field, 3_000)
    assert recall(opened, vectors, queries, metric) >= 0.94
    _, scores = opened.search(queries, 10, {}, 10)
    if index_type in ("HNSW", "IVF_FLAT"):
        # FAISS keeps two bytes a component; at length 1 they are not the stored values.
        assert (scores is not None) == (metric != "COSINE")
        assert (tmp_path / "index").stat().st_size < 3_000 * (2 * DIM + 160) + 20_000


@pytest.mark.parametrize("data_type", HALVES)
@pytest.mark.parametrize("index_type", ["HNSW", "IVF_FLAT"])
def test_scores_of_smaller_types_are_those_of_the_scan(
    index_type: str, data_type: DataType, tmp_path: Path
) -> None:
    field = Field(103, "v", data_type, dim=DIM)
    vectors = stored_as(clustered(500, seed=22), data_type)
    for metric in ("L2", "IP"):
        spec = spec_of(index_type, metric, field)
        build_index(spec, vectors, tmp_path / "index")
        opened = open_index(spec, tmp_path / "index", field, 500)
        queries = to_float32(vectors[:5])
        positions, scores = opened.search(queries, 10, {}, 10)
        assert scores is not None
        for query, rows, values in zip(queries, positions, scores, strict=True):
            assert np.allclose(values, flat.scores(vectors[rows], query, metric), rtol=1e-5)


@pytest.mark.parametrize("index_type", FILE_TYPES)
def test_an_index_of_the_rows_that_are_not_null_gives_the_segments_positions(
    index_type: str, tmp_path: Path
) -> None:
    vectors = clustered(400, seed=23)
    valid = np.random.default_rng(24).random(400) < 0.3
    vectors[~valid] = 0.0
    spec = spec_of(index_type, "L2")
    build_index(spec, np.ascontiguousarray(vectors[valid]), tmp_path / "index")
    opened = open_index(spec, tmp_path / "index", VECTOR, 400, valid)
    count = int(valid.sum())
    positions, _ = opened.search(np.zeros((2, DIM), np.float32), 400, {}, 400)
    assert [sorted(rows) for rows in positions.tolist()] == [np.flatnonzero(valid).tolist()] * 2
    assert positions.shape == (2, count)
    nearest, _ = opened.search(vectors[valid][:3], 1, {}, 1)
    assert nearest[:, 0].tolist() == np.flatnonzero(valid)[:3].tolist()
    opened.close()
    with pytest.raises(CollectionNotLoadedException):
        opened.search(vectors[:1], 1, {}, 1)


def test_the_index_of_a_segment_whose_rows_are_all_null_finds_none(tmp_path: Path) -> None:
    spec = spec_of("HNSW", "L2")
    build_index(spec, np.empty((0, DIM), np.float32), tmp_path / "index")
    opened = open_index(spec, tmp_path / "index", VECTOR, 9, np.zeros(9, bool))
    assert (opened.search(clustered(2, seed=25), 3, {}, 3)[0] == -1).all()
