"""Collection and Index: indexes made, told, altered and dropped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from walvec import Collection, CollectionSchema, DataType, FieldSchema, Index, Status, connections
from walvec.exceptions import (
    AmbiguousIndexName,
    FieldNotExistException,
    IndexAlreadyExistException,
    IndexNotExistException,
    ParamError,
)

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
        FieldSchema("n", DataType.INT64),
    ]
)
ANNOY: dict[str, Any] = {"index_type": "ANNOY", "metric_type": "L2", "params": {"n_trees": 7}}


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    """An empty collection of a vector and a number."""
    connections.remove_connection("default")
    connections.connect(uri=str(tmp_path / "store"))
    yield Collection("indexed", SCHEMA)
    connections.remove_connection("default")


def test_an_index_is_made_told_and_dropped(collection: Collection) -> None:
    assert collection.indexes == []
    assert not collection.has_index()
    collection.drop_index()
    with pytest.raises(IndexNotExistException) as caught:
        collection.index()
    assert caught.value.code == 700
    done = collection.create_index("vector", ANNOY)
    assert (done, done.OK(), done.code) == (Status(), True, 0)
    index = collection.index()
    assert (index.collection_name, index.field_name, index.index_name) == (
        "indexed",
        "vector",
        "vector",
    )
    assert index.params["index_type"] == "ANNOY"
    assert index.params["metric_type"] == "L2"
    assert index.params["params"]["n_trees"] == 7
    index.params["params"]["n_trees"] = 8
    assert index.params["params"]["n_trees"] == 7, "a copy"
    assert collection.indexes == [index]
    assert collection.has_index(index_name="vector")
    collection.drop_index()
    assert not collection.has_index()


def test_several_indexes_are_told_apart_by_their_names(collection: Collection) -> None:
    collection.create_index("vector", ANNOY, index_name="v")
    collection.create_index("n", {"index_type": "STL_SORT"}, index_name="numbers")
    assert {(i.field_name, i.index_name) for i in collection.indexes} == {
        ("vector", "v"),
        ("n", "numbers"),
    }
    assert collection.index(index_name="numbers").params["index_type"] == "STL_SORT"
    for call in (collection.index, collection.has_index, collection.drop_index):
        with pytest.raises(AmbiguousIndexName, match="v, numbers") as caught:
            call()
        assert caught.value.code == 1
    collection.drop_index(index_name="v")
    assert collection.index().index_name == "numbers"
    assert not collection.has_index(index_name="v")


def test_an_index_without_parameters_is_chosen(collection: Collection) -> None:
    collection.create_index("vector")
    collection.create_index("n")
    types = {index.field_name: index.params["index_type"] for index in collection.indexes}
    assert types.keys() == {"vector", "n"}
    assert types["vector"] != "AUTOINDEX", "the concrete type is told"


def test_an_index_is_made_by_its_class(collection: Collection) -> None:
    index = Index(collection, "vector", ANNOY, index_name="v")
    assert collection.has_index(index_name="v")
    assert index.to_dict() == {
        "collection": "indexed",
        "field": "vector",
        "index_name": "v",
        "index_param": ANNOY,
    }
    assert Index(collection, "n", {"index_type": "INVERTED"}).index_name == "n"
    index.drop()
    assert not collection.has_index(index_name="v")
    with pytest.raises(ParamError, match="Collection"):
        Index("indexed", "vector", ANNOY)  # type: ignore[arg-type]


def test_wrong_indexes_are_refused(collection: Collection) -> None:
    with pytest.raises(FieldNotExistException):
        collection.create_index("nothing", ANNOY)
    with pytest.raises(ParamError):
        collection.create_index("vector", "ANNOY")  # type: ignore[arg-type]
    with pytest.raises(ParamError, match="no_such_option"):
        collection.create_index("vector", ANNOY, no_such_option=1)
    collection.create_index("vector", ANNOY)
    with pytest.raises(IndexAlreadyExistException):
        collection.create_index("vector", {"index_type": "FLAT"}, index_name="another")
    collection.load()
    with pytest.raises(ParamError, match="release"):
        collection.drop_index()


def test_an_index_is_altered(collection: Collection) -> None:
    collection.create_index("vector", ANNOY)
    collection.alter_index("vector", {"mmap.enabled": True})
    assert collection.index().params["mmap.enabled"] == "true"
    with pytest.raises(IndexNotExistException):
        collection.alter_index("nothing", {"mmap.enabled": True})


def test_an_index_is_built_in_a_thread(collection: Collection) -> None:
    collection.insert([[1, 2], [[0.0, 1.0], [1.0, 0.0]], [1, 2]])
    collection.flush()
    future: Any = collection.create_index("vector", ANNOY, sync=True, _async=True)
    assert future.result().OK()
    described = connections.client().describe_index("indexed", "vector")
    assert described["indexed_rows"] == 2
