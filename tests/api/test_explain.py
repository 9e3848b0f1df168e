"""`explain` says what a query or a search does, and what it says is so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from walvec import DataType, MilvusClient
from walvec.explanation import Explanation
from walvec.tools.cli import main
from walvec.wal.errors import (
    CollectionNotLoadedException,
    ExpressionException,
    IndexNotExistException,
    ParamError,
)

N, DIM = 3_000, 16
COLORS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a sealed segment of N rows with all kinds of indexes, and a growing one of 10."""
    folder = tmp_path_factory.mktemp("explain") / "store"
    with MilvusClient(folder) as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
        schema.add_field("color", DataType.VARCHAR, max_length=20)
        schema.add_field("year", DataType.INT32)
        schema.add_field("price", DataType.DOUBLE)
        schema.add_field("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4)
        params = client.prepare_index_params()
        params.add_index("v", "FLAT", metric_type="L2")
        params.add_index("color", "TRIE", index_name="by_color")
        params.add_index("year", "STL_SORT")
        params.add_index("tags", "INVERTED")
        client.create_collection("docs", schema=schema, index_params=params)
        client.insert("docs", [row(i) for i in range(N)])
        client.flush("docs", wait=True)
        client.insert("docs", [row(i) for i in range(N, N + 10)])
        client.delete("docs", ids=list(range(5)))
    return folder


@pytest.fixture
def client(folder: Path) -> Iterator[MilvusClient]:
    with MilvusClient(folder) as client:
        client.wait_for_files(60)
        yield client


def row(number: int) -> dict[str, object]:
    vector = np.random.default_rng(number).standard_normal(DIM).astype(np.float32)
    color = f"{COLORS[number % 3]}{number % 300}"
    tags = [number % 7, number % 1_000]
    return {"id": number, "v": vector, "color": color, "year": number % 100, "price": number / 7,
            "tags": tags}  # fmt: skip


def paths(explanation: Explanation) -> list[list[tuple[str, str]]]:
    """(expression, path) of each segment's steps."""
    return [[(s.expression, s.path) for s in segment.steps] for segment in explanation.segments]


# Filters


@pytest.mark.parametrize(
    ("expression", "index_type"),
    [
        ('color == "red3"', "TRIE"),
        ('color like "red3%"', "TRIE"),
        ('color in ["red3", "blue5", "none"]', "TRIE"),
        ("year == 17", "STL_SORT"),
        ("98 <= year", "STL_SORT"),
        ("array_contains(tags, 500)", "INVERTED"),
        ("array_contains_all(tags, [2, 500])", "INVERTED"),
    ],
)
def test_a_selective_condition_is_answered_by_the_index_and_scanned_where_rows_grow(
    client: MilvusClient, expression: str, index_type: str
) -> None:
    explanation = client.explain("docs", expression)
    sealed, growing = explanation.segments
    (asked,) = sealed.steps
    assert (asked.path, asked.rows) == (f"index {index_type}", N)
    assert asked.estimated is not None and asked.estimated >= asked.found > 0
    assert [step.path for step in growing.steps] == ["scan"]
    assert (sealed.state, growing.state) == ("sealed", "growing")
    found = client.query("docs", expression, output_fields=["id"])
    assert explanation.candidates == explanation.hits == len(found)
    assert sealed.candidates == sum(r["id"] < N for r in found)


def test_a_condition_without_an_index_or_that_finds_many_rows_is_scanned(
    client: MilvusClient,
) -> None:
    (step,) = client.explain("docs", "price > 100").segments[0].steps
    assert (step.path, step.estimated) == ("scan", None)
    (step,) = client.explain("docs", "year >= 10").segments[0].steps
    assert step.path == "scan", "an index is no help for most of the rows"


def test_of_an_and_the_index_goes_first_and_the_scan_sees_what_is_left(
    client: MilvusClient,
) -> None:
    explanation = client.explain("docs", "price > 100 and year == 17")
    first, second = explanation.segments[0].steps
    assert (first.path, first.found) == ("index STL_SORT", N // 100)
    assert (second.path, second.rows) == ("scan of candidates", N // 100)


def test_deleted_rows_are_neither_alive_nor_candidates(client: MilvusClient) -> None:
    sealed = client.explain("docs", "year == 3").segments[0]
    assert (sealed.rows, sealed.alive) == (N, N - 5)
    assert sealed.steps[0].found == N // 100
    assert sealed.candidates == N // 100 - 1
    assert sealed.selectivity == sealed.candidates / sealed.alive


def test_a_filter_by_primary_key_looks_rows_up(client: MilvusClient) -> None:
    explanation = client.explain("docs", f"id in [1, 7, {N + 2}, 999999]")
    assert [s.path for s in explanation.segments] == ["primary key", "primary key"]
    assert [s.candidates for s in explanation.segments] == [1, 1], "1 was deleted"
    assert explanation.hits == 2


def test_segments_after_the_limit_are_not_read(client: MilvusClient) -> None:
    explanation = client.explain("docs", "year < 50", limit=10)
    assert [s.path for s in explanation.segments] == ["filter", "not read"]
    assert explanation.segments[1].candidates is None
    assert explanation.hits == 10
    assert client.explain("docs", limit=10).segments[0].path == "all rows"


def test_ignore_growing_and_partitions_leave_segments_out(client: MilvusClient) -> None:
    (sealed,) = client.explain("docs", "year < 50", ignore_growing=True).segments
    assert (sealed.state, sealed.partition) == ("sealed", "_default")
    named = client.explain("docs", "year < 50", partition_names=["_default"])
    assert len(named.segments) == 2


def test_templates_are_filled(client: MilvusClient) -> None:
    explanation = client.explain("docs", "year == {y}", filter_params={"y": 17})
    assert explanation.segments[0].steps[0].path == "index STL_SORT"


# Searches


def test_a_search_says_where_its_hits_are_from(client: MilvusClient) -> None:
    query = row(N + 3)["v"]
    explanation = client.explain("docs", "year < 50", data=[query, query], limit=20)
    hits = client.search("docs", [query, query], "year < 50", limit=20)
    of_growing = sum(hit["id"] >= N for found in hits for hit in found)
    assert of_growing >= 2
    searches = [s.search for s in explanation.segments]
    assert [s.hits for s in searches if s is not None] == [40 - of_growing, of_growing]
    assert [s.path for s in searches if s is not None] == ["exact", "exact"]
    assert explanation.hits == 40
    assert (explanation.kind, explanation.limit) == ("search", 20)


def test_a_search_by_ids_and_without_a_filter(client: MilvusClient) -> None:
    explanation = client.explain("docs", ids=[17, 18])
    assert explanation.hits == 20
    assert [s.steps for s in explanation.segments] == [(), ()]
    assert explanation.segments[0].path == "all rows"


@pytest.mark.parametrize(
    ("index_type", "build", "given", "effort"),
    [
        ("HNSW", {}, {"ef": 77}, {"ef": 77}),
        ("HNSW", {}, {}, {"ef": 64}),
        ("IVF_FLAT", {"nlist": 16}, {"nprobe": 5}, {"nprobe": 5}),
        ("ANNOY", {"n_trees": 4}, {"search_k": 500}, {"search_k": 500}),
    ],
)
def test_an_index_is_named_with_its_effort(
    tmp_path: Path,
    index_type: str,
    build: dict[str, int],
    given: dict[str, int],
    effort: dict[str, int],
) -> None:
    with MilvusClient(tmp_path / "store") as client:
        rows = 20_000
        params = client.prepare_index_params()
        params.add_index("vector", index_type, metric_type="L2", params=build)
        client.create_collection("docs", dimension=DIM, metric_type="L2", index_params=params)
        vectors = np.random.default_rng(1).standard_normal((rows, DIM)).astype(np.float32)
        client.insert("docs", [{"id": i, "vector": v} for i, v in enumerate(vectors)])
        client.flush("docs", wait=True)
        explanation = client.explain("docs", data=vectors[0], search_params=given)
        found = explanation.segments[0].search
        assert found is not None
        if index_type == "ANNOY" or given:
            assert (found.path, found.effort) == (index_type, effort)
            assert found.asked[0] >= 10
        explanation = client.explain("docs", "id % 2 == 0", data=vectors[0])
        assert explanation.segments[0].candidates == rows // 2
        assert explanation.hits == 10


# What it refuses


def test_explain_refuses_what_query_and_search_refuse(client: MilvusClient) -> None:
    with pytest.raises(ExpressionException):
        client.explain("docs", "year ==")
    with pytest.raises(ParamError, match="data or ids, not both"):
        client.explain("docs", data=[[0.0] * DIM], ids=[1])
    with pytest.raises(ParamError, match="takes no search_params"):
        client.explain("docs", search_params={"ef": 3})
    with pytest.raises(ParamError, match=r"explain\(\) does not take color"):
        client.explain("docs", color="red")
    with pytest.raises(ParamError, match="neither groups nor orders"):
        client.explain("docs", data=[[0.0] * DIM], search_params={"group_by_field": "color"})


def test_explain_of_a_released_collection_is_refused(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "store") as client:
        client.create_collection("docs", dimension=DIM)
        client.release_collection("docs")
        with pytest.raises(CollectionNotLoadedException):
            client.explain("docs", "id > 3")


# Indexes


def test_a_scalar_index_is_described_as_any_other(client: MilvusClient) -> None:
    assert client.list_indexes("docs") == ["v", "by_color", "year", "tags"]
    assert client.list_indexes("docs", "color") == ["by_color"]
    assert client.describe_index("docs", "by_color") == {
        "index_type": "TRIE",
        "field_name": "color",
        "index_name": "by_color",
        "total_rows": N,
        "indexed_rows": N,
        "pending_index_rows": 0,
        "state": "Finished",
    }


def test_an_index_comes_and_goes_while_the_collection_is_loaded(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "store") as client:
        client.create_collection("docs", dimension=2, auto_id=False)
        client.insert("docs", [{"id": i, "vector": [0, i]} for i in range(1_000)])
        client.flush("docs", wait=True)

        def path() -> str:
            return client.explain("docs", "id == 5 or id == 7").segments[0].steps[0].path

        assert path() == "scan"
        params = client.prepare_index_params()
        params.add_index("id", "STL_SORT")
        client.create_index("docs", params, sync=True)
        assert path() == "index STL_SORT"
        assert client.describe_index("docs", "id")["indexed_rows"] == 1_000
        client.drop_index("docs", "id")
        assert path() == "scan"
        with pytest.raises(IndexNotExistException):
            client.describe_index("docs", "id")


# The command


def test_the_command_prints_segments_and_steps(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["explain", str(folder), "docs", "--filter", "price > 100 and year == 17"]
    assert main([*arguments, "--ids", "17", "--limit", "5"]) == 0
    printed = capsys.readouterr().out
    assert "search of docs" in printed.splitlines()[0]
    assert "limit 5, filter price > 100 and year == 17" in printed
    for expected in ("sealed", "growing", "index STL_SORT", "scan of candidates", "exact"):
        assert expected in printed
    assert main(arguments) == 0
    assert "query of docs" in capsys.readouterr().out


def test_the_command_prints_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vector = json.dumps([0.5] * DIM)
    assert main(["explain", str(folder), "docs", "--vector", vector, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["hits"] == 10
    assert [s["state"] for s in printed["segments"]] == ["sealed", "growing"]


def test_the_command_says_what_is_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(folder), "docs", "--filter", "colour == 1"]) == 1
    assert "no field colour" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["explain", str(folder), "docs", "--vector", "nonsense"])
    assert "'nonsense' is not JSON" in capsys.readouterr().err
