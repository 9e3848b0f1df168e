"""The ORM: Collection, connections, utility."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from walvec import (
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    LoadState,
    connections,
    utility,
)
from walvec.exceptions import (
    ConnectionNotExistException,
    DataNotMatchException,
    IndexNotExistException,
    ParamError,
    SchemaNotReadyException,
)

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=5),
    ]
)
COLUMNS = [
    [0, 1, 2, 3, 4],
    [
        [0.1, 0.2, -0.3, -0.4, 0.5],
        [0.3, -0.1, -0.2, -0.6, 0.7],
        [-0.6, -0.3, 0.2, 0.8, 0.7],
        [0.6, 0.2, -0.3, -0.8, 0.5],
        [0.3, 0.1, -0.2, -0.6, -0.7],
    ],
]


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    """A collection with the five rows of Milvus' page on flush()."""
    connections.connect(uri=str(tmp_path / "store"))
    made = Collection("test_collection", SCHEMA)
    made.insert(COLUMNS)
    yield made
    connections.disconnect("default")


def segments(collection: Collection) -> list[tuple[int, bool]]:
    """(rows, sealed) of each segment."""
    store = connections.client()._store
    info = connections.client().info(collection.name)
    return store.with_state(
        lambda state: [(s.rows, s.sealed > 0) for s in state.collections[info.id].segments.values()]
    )


def test_rows_after_a_flush_go_to_a_new_segment(collection: Collection) -> None:
    assert segments(collection) == [(5, False)]
    collection.flush()
    assert collection.num_entities == 5
    assert segments(collection) == [(5, True)]
    collection.insert([{"id": 9, "vector": [0.0] * 5}])
    assert segments(collection) == [(5, True), (1, False)]
    assert collection.num_entities == 6
    collection.flush(timeout=10)
    collection.flush()
    assert segments(collection) == [(5, True), (1, True)], "a flush of nothing seals nothing"


def test_the_related_operations(collection: Collection) -> None:
    assert collection.name == "test_collection"
    assert not collection.is_empty
    assert collection.schema == SCHEMA
    assert collection.primary_field.name == "id"
    assert collection.describe()["collection_name"] == "test_collection"
    assert collection.get_replicas().groups == []
    index = {"index_type": "FLAT", "metric_type": "L2", "params": {}}
    collection.create_index("vector", index)
    assert [i.index_name for i in collection.indexes] == ["vector"]
    assert collection.index().params["metric_type"] == "L2"
    collection.load()
    assert len(collection.get_replicas().groups) == 1
    hits = collection.search([COLUMNS[1][3]], "vector", {"metric_type": "L2"}, limit=2)[0]
    assert hits.ids[0] == 3
    assert hits.distances[0] == pytest.approx(0)
    assert hits[0].id == 3
    assert collection.query("id == 4", ["vector"])[0]["vector"] == pytest.approx(COLUMNS[1][4])
    done = collection.upsert([[4], np.ones((1, 5), np.float32)])
    assert (done.upsert_count, done.primary_keys) == (1, [4])
    assert collection.delete("id in [0, 1]").delete_count == 2
    assert collection.num_entities == 3
    collection.set_properties({"mmap.enabled": True})
    collection.release()
    assert utility.load_state("test_collection") == LoadState.NotLoad
    collection.drop_index()
    assert not collection.has_index()
    with pytest.raises(IndexNotExistException):
        collection.index()
    collection.drop()
    assert not utility.has_collection("test_collection")


def test_a_collection_is_found_by_its_name(collection: Collection) -> None:
    assert Collection("test_collection").num_entities == 5
    assert Collection("test_collection", SCHEMA).num_entities == 5
    other = CollectionSchema([*SCHEMA.fields, FieldSchema("x", DataType.BOOL)])
    with pytest.raises(SchemaNotReadyException, match="another schema"):
        Collection("test_collection", other)
    with pytest.raises(SchemaNotReadyException, match="does not exist"):
        Collection("nothing")


def test_columns_must_fit(collection: Collection) -> None:
    with pytest.raises(DataNotMatchException):
        collection.insert([[1, 2], [[0.0] * 5]])
    with pytest.raises(DataNotMatchException):
        collection.insert([[1, 2]])
    assert collection.num_entities == 5


def test_utility_follows_a_collection(collection: Collection) -> None:
    utility.rename_collection("test_collection", "renamed")
    assert utility.list_collections() == ["renamed"]
    assert utility.loading_progress("renamed") == {"loading_progress": "0%"}
    renamed = Collection("renamed")
    renamed.create_index("vector", {"index_type": "ANNOY", "metric_type": "L2"})
    renamed.flush()
    utility.wait_for_index_building_complete("renamed")
    assert utility.index_building_progress("renamed")["indexed_rows"] == 5
    renamed.load()
    utility.wait_for_loading_complete("renamed")
    assert utility.loading_progress("renamed") == {"loading_progress": "100%"}


def test_connections_are_by_alias(tmp_path: Path) -> None:
    connections.connect("one", uri=str(tmp_path / "one"))
    connections.connect("one", uri=str(tmp_path / "one"))
    with pytest.raises(ParamError, match="disconnect"):
        connections.connect("one", uri=str(tmp_path / "two"))
    Collection("here", SCHEMA, using="one")
    assert utility.list_collections(using="one") == ["here"]
    assert connections.has_connection("one")
    assert connections.get_connection_addr("one") == {"uri": str(tmp_path / "one")}
    connections.disconnect("one")
    with pytest.raises(ConnectionNotExistException, match="one"):
        utility.list_collections(using="one")


def test_without_a_connection_the_default_folder_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WALVEC_URI", raising=False)
    Collection("here", SCHEMA)
    assert (tmp_path / "walvec-store" / "log").is_dir()
    connections.disconnect("default")
    monkeypatch.setenv("WALVEC_URI", str(tmp_path / "elsewhere"))
    Collection("there", SCHEMA)
    assert (tmp_path / "elsewhere" / "log").is_dir()
    connections.disconnect("default")
