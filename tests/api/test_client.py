"""MilvusClient: what users of pymilvus call, on a real store."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from walvec import DataType, LoadState, MilvusClient, MilvusException
from walvec.exceptions import (
    CollectionAlreadyExistException,
    CollectionNotExistException,
    CollectionNotLoadedException,
    DataNotMatchException,
    ExpressionException,
    FieldNotExistException,
    IndexAlreadyExistException,
    IndexNotExistException,
    LockTimeoutException,
    NotSupportedException,
    ParamError,
    PartitionNotExistException,
    ReadOnlyException,
    StoreClosedException,
    StoreUnusableException,
    TimeoutException,
)
from walvec.wal import failpoints
from walvec.wal.writer_lock import WriterLock

DIM = 4


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MilvusClient]:
    """A client of an empty store."""
    with MilvusClient(tmp_path / "store") as opened:
        yield opened


def rows(n: int, start: int = 0) -> list[dict[str, Any]]:
    """Rows whose vector i has the direction of i along the first axis."""
    return [
        {"id": i, "vector": np.array([1, i, 0, 0], np.float32), "color": ("red", "blue")[i % 2]}
        for i in range(start, start + n)
    ]


def test_the_quick_form_is_indexed_and_loaded(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM)
    assert client.get_load_state("docs") == {"state": LoadState.Loaded}
    assert client.list_indexes("docs") == ["vector"]
    described = client.describe_index("docs", "vector")
    assert described["metric_type"] == "COSINE"
    assert described["index_type"] in ("HNSW", "ANNOY"), "AUTOINDEX is resolved"
    assert client.describe_collection("docs")["enable_dynamic_field"] is True


def test_the_quick_form_with_string_keys_and_auto_ids(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM, id_type="string", max_length=20, auto_id=True)
    made = client.insert("docs", [{"vector": [1, 0, 0, 0]}, {"vector": [0, 1, 0, 0]}])
    assert made["ids"] == ["1", "2"]
    assert client.get("docs", "2")[0]["vector"] == [0, 1, 0, 0]


@pytest.mark.parametrize("id_type", ["int", "string"])
def test_automatic_ids_never_meet_a_key_that_was_brought(
    client: MilvusClient, id_type: str
) -> None:
    length = {"max_length": 20} if id_type == "string" else {}
    client.create_collection("docs", dimension=2, id_type=id_type, auto_id=True, **length)
    kind = int if id_type == "int" else str
    made = client.insert("docs", [{"vector": [1.0, 2.0]}] * 2)["ids"]
    client.upsert("docs", [{"id": kind(4), "vector": [7.0, 7.0]}])
    client.upsert("docs", [{"id": kind(1), "vector": [8.0, 8.0]}])
    made += client.insert("docs", [{"vector": [1.0, 2.0]}] * 2)["ids"]
    assert made == [kind(i) for i in (1, 2, 5, 6)]
    assert client.get_collection_stats("docs") == {"row_count": 5}
    assert client.get("docs", [kind(4)])[0]["vector"] == [7.0, 7.0]
    with pytest.raises(ParamError, match="too large beside automatic ids"):
        client.upsert("docs", [{"id": kind(2**63 - 1), "vector": [7.0, 7.0]}])


def test_insert_get_query_search_delete(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM, metric_type="L2")
    made = client.insert("docs", rows(10))
    assert (made["insert_count"], made["ids"]) == (10, list(range(10)))
    hits = client.search("docs", [[1, 3.2, 0, 0]], limit=3, output_fields=["color"])[0]
    assert hits.ids == [3, 4, 2]
    assert hits[0]["distance"] == pytest.approx(0.04, abs=1e-4), "L2 is squared"
    assert hits[0]["entity"] == {"color": "blue"}
    found = client.search("docs", [[1, 3.2, 0, 0]], 'color == "red"', limit=2)[0]
    assert found.ids == [4, 2]
    assert client.query("docs", "id in [7, 8]", ["color"]) == [
        {"id": 7, "color": "blue"},
        {"id": 8, "color": "red"},
    ]
    assert client.get("docs", [8, 99])[0]["vector"] == [1, 8, 0, 0]
    assert client.delete("docs", [3, 99])["delete_count"] == 2
    assert client.search("docs", [[1, 3.2, 0, 0]], limit=1)[0].ids == [4]
    assert client.delete("docs", filter='color == "red"')["delete_count"] == 5
    assert client.get_collection_stats("docs") == {"row_count": 4}
    assert client.query("docs", output_fields=["count(*)"]) == [{"count(*)": 4}]


def test_a_present_key_is_replaced_by_insert_and_upsert(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM)
    client.insert("docs", rows(3))
    client.flush("docs")
    client.upsert("docs", {"id": 1, "vector": [9, 9, 9, 9], "color": "green"})
    client.insert("docs", {"id": 2, "vector": [8, 8, 8, 8]})
    assert client.get("docs", 1)[0]["color"] == "green"
    assert client.get("docs", 2) == [{"id": 2, "vector": [8, 8, 8, 8]}]
    assert client.get_collection_stats("docs") == {"row_count": 3}
    client.release_collection("docs")
    assert client.get_collection_stats("docs") == {"row_count": 3}, "exact when not loaded too"


def test_the_last_of_equal_keys_in_one_insert_wins(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM)
    client.insert("docs", [{"id": 5, "vector": [1, 0, 0, 0]}, {"id": 5, "vector": [0, 1, 0, 0]}])
    assert client.get("docs", 5)[0]["vector"] == [0, 1, 0, 0]
    assert client.get_collection_stats("docs") == {"row_count": 1}
    with pytest.raises(DataNotMatchException, match=r"row 1.*6"):
        client.upsert("docs", [{"id": 6, "vector": [1, 0, 0, 0]}] * 2)


def test_a_bad_row_stores_nothing_of_its_batch(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM)
    seq = client.insert("docs", rows(1))["seq"]
    bad = [*rows(3, 10), {"id": 13, "vector": [1, 2, float("nan"), 4]}]
    with pytest.raises(DataNotMatchException, match=r"docs.*vector.*row 3.*nan"):
        client.insert("docs", bad)
    assert client.insert("docs", rows(1))["seq"] == seq + 1
    assert client.get_collection_stats("docs") == {"row_count": 1}


def test_every_answer_carries_its_seq(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM)
    seq = client.insert("docs", rows(2))["seq"]
    assert client.search("docs", [[1, 0, 0, 0]]).extra["seq"] == seq
    assert client.get("docs", 1).extra["seq"] == seq
    assert client.query("docs", "id == 1").extra["seq"] == seq
    assert client.delete("docs", 1)["seq"] == seq + 1


def test_several_vector_fields_are_searched_each_by_its_name(client: MilvusClient) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("a", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("b", DataType.FLOAT_VECTOR, dim=3)
    client.create_collection("docs", schema=schema)
    client.load_collection("docs")
    client.insert("docs", [{"id": i, "a": [1, i], "b": [i, 1, 0]} for i in range(5)])
    by_l2 = {"metric_type": "L2"}
    assert client.search("docs", [[1, 4]], limit=1, anns_field="a", search_params=by_l2)[0].ids == [
        4
    ]
    found = client.search("docs", [[2, 1, 0]], limit=1, anns_field="b", search_params=by_l2)
    assert found[0].ids == [2]
    with pytest.raises(ParamError, match="several vector fields"):
        client.search("docs", [[1, 4]])
    with pytest.raises(ParamError, match="id"):
        client.search("docs", [[1, 4]], anns_field="id")


def test_load_and_release_survive_reopening(tmp_path: Path) -> None:
    for loaded in (True, False):
        with MilvusClient(tmp_path / "s") as client:
            if not client.has_collection("docs"):
                client.create_collection("docs", dimension=DIM)
                client.insert("docs", rows(5))
            if loaded:
                client.load_collection("docs")
            else:
                client.release_collection("docs")
        with MilvusClient(tmp_path / "s") as client:
            state = LoadState.Loaded if loaded else LoadState.NotLoad
            assert client.get_load_state("docs") == {"state": state}
            if loaded:
                assert client.search("docs", [[1, 4, 0, 0]], limit=1)[0].ids == [4]


def test_search_of_a_released_collection_is_refused(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM)
    client.release_collection("docs")
    for call in (
        lambda: client.search("docs", [[1, 0, 0, 0]]),
        lambda: client.query("docs", "id == 1"),
        lambda: client.get("docs", 1),
        lambda: client.refresh_load("docs"),
    ):
        with pytest.raises(CollectionNotLoadedException) as refused:
            call()
        assert refused.value.code == 101


def test_indexes_are_made_described_and_dropped(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM)
    client.release_collection("docs")
    client.drop_index("docs", "vector")
    assert client.list_indexes("docs") == [], "what takes its place is nobody's"
    params = client.prepare_index_params()
    params.add_index("vector", "IVF_FLAT", metric_type="L2", params={"nlist": 8})
    params.add_index("id", "STL_SORT", index_name="by_id")
    client.create_index("docs", params)
    client.create_index("docs", params)
    assert sorted(client.list_indexes("docs")) == ["by_id", "vector"]
    assert client.list_indexes("docs", "id") == ["by_id"]
    client.insert("docs", rows(50))
    client.flush("docs", wait=True)
    described = client.describe_index("docs", "vector")
    assert described["nlist"] == 8
    assert (described["indexed_rows"], described["state"]) == (50, "Finished")
    other = client.prepare_index_params("vector", index_type="HNSW", metric_type="L2")
    with pytest.raises(IndexAlreadyExistException):
        client.create_index("docs", other)
    client.load_collection("docs")
    with pytest.raises(ParamError, match="release"):
        client.drop_index("docs", "vector")
    with pytest.raises(IndexNotExistException):
        client.describe_index("docs", "nothing")


def test_an_index_that_was_altered_may_be_made_again(client: MilvusClient) -> None:
    client.create_collection("c", dimension=2)
    index = client.prepare_index_params("vector", index_type="AUTOINDEX", metric_type="COSINE")
    client.create_index("c", index)
    client.alter_index_properties("c", "vector", {"mmap.enabled": True})
    client.create_index("c", index)
    assert client.list_indexes("c") == ["vector"]


@pytest.mark.parametrize("index_type", ["FLAT", "ANNOY", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8"])
@pytest.mark.parametrize("metric", ["L2", "IP", "COSINE"])
def test_every_index_finds_the_neighbours(
    client: MilvusClient, index_type: str, metric: str
) -> None:
    rng = np.random.default_rng(11)
    vectors = rng.standard_normal((400, 8)).astype(np.float32)
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    params = client.prepare_index_params()
    params.add_index("vector", index_type, metric_type=metric)
    client.create_collection("docs", schema=schema, index_params=params)
    client.insert("docs", [{"id": i, "vector": v} for i, v in enumerate(vectors)])
    client.flush("docs", wait=True)
    client.delete("docs", list(range(0, 400, 4)))
    alive = np.array([i for i in range(400) if i % 4])
    queries = rng.standard_normal((20, 8)).astype(np.float32)
    found = 0
    for query, hits in zip(queries, client.search("docs", queries, limit=10), strict=True):
        exact = _scores(vectors, query, metric)
        best = sorted(alive.tolist(), key=lambda i: exact[i], reverse=metric != "L2")[:10]
        assert len(hits) == 10, "never fewer than k when k exist"
        assert set(hits.ids) <= set(alive.tolist()), "no deleted row"
        assert hits.distances == sorted(hits.distances, reverse=metric != "L2")
        for hit in hits:
            # IVF_SQ8 and HNSW_SQ find by rounded vectors; the scores are exact.
            assert hit["distance"] == pytest.approx(exact[hit["id"]], abs=1e-3)
        found += len(set(best) & set(hits.ids))
    assert found / 200 >= 0.9


def _scores(vectors: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    if metric == "L2":
        return ((vectors - query) ** 2).sum(axis=1)
    dots = vectors @ query
    if metric == "IP":
        return dots
    return dots / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))


def test_names_are_managed(client: MilvusClient) -> None:
    client.create_collection("a", dimension=DIM)
    client.create_collection("a", dimension=DIM)
    with pytest.raises(CollectionAlreadyExistException):
        client.create_collection("a", dimension=DIM + 1)
    with pytest.raises(IndexAlreadyExistException):
        client.create_collection("a", dimension=DIM, metric_type="L2")
    with pytest.raises(CollectionAlreadyExistException, match="properties"):
        client.create_collection("a", dimension=DIM, properties={"mmap.enabled": True})
    client.create_collection("b", dimension=DIM)
    with pytest.raises(CollectionAlreadyExistException):
        client.rename_collection("a", "b")
    client.rename_collection("a", "c")
    assert client.list_collections() == ["b", "c"]
    client.drop_collection("b")
    client.drop_collection("b")
    assert not client.has_collection("b")
    assert client.get_load_state("b") == {"state": LoadState.NotExist}
    with pytest.raises(CollectionNotExistException) as refused:
        client.describe_collection("b")
    assert refused.value.code == 100


def test_properties_are_set_and_unknown_ones_refused(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM, properties={"mmap.enabled": True})
    client.alter_collection_properties("docs", {"segment.max_bytes": 64})
    assert client.describe_collection("docs")["properties"] == {
        "mmap.enabled": "true",
        "segment.max_bytes": "64",
    }
    client.drop_collection_properties("docs", ["mmap.enabled"])
    assert "mmap.enabled" not in client.describe_collection("docs")["properties"]
    for bad in ({"colour": 1}, {"segment.max_bytes": 0}, {"mmap.enabled": "perhaps"}):
        with pytest.raises(ParamError, match=next(iter(bad))):
            client.alter_collection_properties("docs", bad)


def test_a_growing_segment_seals_itself_at_its_limit(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM, properties={"segment.max_bytes": 16 * DIM})
    client.insert("docs", rows(3))
    client.wait_for_files()
    assert client.describe_index("docs", "vector")["total_rows"] == 0, "still growing"
    client.insert("docs", rows(1, 3))
    assert client.describe_index("docs", "vector")["total_rows"] == 4, "sealed by its size"
    assert len(client.search("docs", [[1, 0, 0, 0]], limit=10)[0]) == 4


def test_mapped_collections_answer_the_same(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "s") as client:
        client.create_collection("docs", dimension=DIM, properties={"mmap.enabled": "true"})
        client.insert("docs", rows(100))
        client.flush("docs", wait=True)
        before = client.search("docs", [[1, 7, 0, 0]], limit=5)[0].ids
        client.release_collection("docs")
        client.load_collection("docs")
        assert client.search("docs", [[1, 7, 0, 0]], limit=5)[0].ids == before
        assert client.get("docs", 42)[0]["color"] == "red"


def test_unknown_arguments_are_refused_by_name(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM)
    calls: list[Any] = [
        lambda: client.insert("docs", rows(1), nonsense=1),
        lambda: client.search("docs", [[1, 0, 0, 0]], nonsense=1),
        lambda: client.search("docs", [[1, 0, 0, 0]], search_params={"params": {"nonsense": 1}}),
        lambda: client.create_collection("x", dimension=DIM, nonsense=1),
        lambda: client.load_collection("docs", nonsense=1),
        lambda: client.flush("docs", nonsense=1),
    ]
    for call in calls:
        with pytest.raises(MilvusException, match="nonsense"):
            call()


def test_wrong_values_are_refused(client: MilvusClient) -> None:
    client.create_collection("docs", dimension=DIM)
    query = [[1, 0, 0, 0]]
    for error, call in (
        (ParamError, lambda: client.search("docs", query, limit=0)),
        (ParamError, lambda: client.search("docs", query, limit=16_385)),
        (ParamError, lambda: client.search("docs", query, timeout=-1)),
        (ParamError, lambda: client.search("docs", query, consistency_level="Hopeful")),
        (MilvusException, lambda: client.search("docs", [[1, 0]])),
        (MilvusException, lambda: client.search("docs", [])),
        (FieldNotExistException, lambda: client.search("docs", query, anns_field="nothing")),
        (ExpressionException, lambda: client.search("docs", query, "id ==")),
        (PartitionNotExistException, lambda: client.insert("docs", rows(1), partition_name="p")),
        (ParamError, lambda: client.delete("docs")),
        (ParamError, lambda: client.delete("docs", [1], filter="id == 1")),
        (ParamError, lambda: client.query("docs")),
        (ParamError, lambda: client.query("docs", "id == 1", ids=[1])),
        (NotSupportedException, lambda: client.load_collection("docs", replica_number=2)),
        (MilvusException, lambda: client.delete("docs", ["text"])),
        (ParamError, lambda: client.create_collection("x")),
    ):
        with pytest.raises(error):
            call()


def test_a_closed_client_says_so(tmp_path: Path) -> None:
    first, second = MilvusClient(tmp_path / "s"), MilvusClient(tmp_path / "s")
    first.create_collection("docs", dimension=DIM)
    first.close()
    first.close()
    assert second.has_collection("docs"), "the store is open while a client of it is"
    second.close()
    for client in (first, second):
        with pytest.raises(StoreClosedException):
            client.list_collections()


def test_a_read_only_client_reads_and_refuses_to_write(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "s") as client:
        client.create_collection("docs", dimension=DIM)
        client.insert("docs", rows(5))
    with MilvusClient(tmp_path / "s", read_only=True) as client:
        assert client.search("docs", [[1, 4, 0, 0]], limit=1)[0].ids == [4]
        with pytest.raises(ReadOnlyException):
            client.insert("docs", rows(1))
    with pytest.raises(StoreUnusableException):
        MilvusClient(tmp_path / "nothing", read_only=True)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StoreUnusableException, match=r"letter\.txt"):
        MilvusClient(tmp_path)
    with pytest.raises(StoreUnusableException, match="is a file"):
        MilvusClient(tmp_path / "letter.txt")
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_server_address_is_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with MilvusClient(uri="https://host.example:19530", token="user:password") as client:
        assert client.list_collections() == []
    assert "there is no server" in caplog.text
    assert [p.name for p in tmp_path.iterdir()] == ["walvec-store-host.example-19530"]


def test_other_settings_for_an_open_store_are_refused(client: MilvusClient) -> None:
    with pytest.raises(ParamError, match="other settings"):
        MilvusClient(client.folder, durability="last-transaction")
    with pytest.raises(ParamError, match="durability"):
        MilvusClient(client.folder / "x", durability="none")


def test_a_writer_that_has_the_lock_is_named(client: MilvusClient) -> None:
    client.create_collection("c", 2)
    other = WriterLock(client.folder / "writer.lock", 0)
    with other.held(), pytest.raises(LockTimeoutException, match=f"process {os.getpid()} on "):
        client.insert("c", {"id": 1, "vector": [1.0, 2.0]}, timeout=0.1)
    client.insert("c", {"id": 1, "vector": [1.0, 2.0]})
    other.close()


def test_a_store_of_a_relative_path_stays_where_it_is_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    client = MilvusClient("store")
    client.create_collection("c", 2)
    monkeypatch.chdir(tmp_path / "elsewhere")
    client.insert("c", {"id": 1, "vector": [1.0, 2.0]})
    client.flush("c", wait=True, timeout=60)
    client.close()
    assert not list((tmp_path / "elsewhere").iterdir())
    with MilvusClient(tmp_path / "store") as again:
        assert again.get_collection_stats("c") == {"row_count": 1}


def test_a_signal_handler_may_not_write_within_a_write_which_goes_on(client: MilvusClient) -> None:
    client.create_collection("c", 2)
    said: list[str] = []

    def handler(name: str) -> None:
        if name == "commit.begin" and not said:
            said.append("")
            with pytest.raises(TimeoutException, match="signal handler") as caught:
                client.insert("c", {"id": 2, "vector": [1.0, 2.0]})
            said[0] = caught.value.message
            # The lock is still the outer write's.
            with pytest.raises(LockTimeoutException):
                WriterLock(client.folder / "writer.lock", 0).held().__enter__()

    # At the place where a signal would be handled.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failpoints, "hit", handler)
        client.insert("c", {"id": 1, "vector": [1.0, 2.0]})
    assert "nothing was done" in said[0]
    assert [row["id"] for row in client.query("c", limit=9)] == [1]


def test_a_client_cannot_be_pickled_and_says_what_to_do(client: MilvusClient) -> None:
    with pytest.raises(TypeError, match="hand the folder"):
        pickle.dumps(client)
