"""Partition: one partition of a collection as an object."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from walvec import (
    AnnSearchRequest,
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    LoadState,
    Partition,
    RRFRanker,
    connections,
    utility,
)
from walvec.exceptions import (
    ParamError,
    PartitionAlreadyExistException,
    PartitionNotExistException,
    PartitionNotLoadedException,
    SchemaNotReadyException,
)

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
    ]
)
L2 = {"metric_type": "L2"}


def vectors(*keys: int) -> list[list[float]]:
    return [[float(key), 0.0] for key in keys]


@pytest.fixture
def films(tmp_path: Path) -> Iterator[Collection]:
    """A loaded collection with rows 1, 2 in `_default` and 3, 4, 5 in `comedy`."""
    connections.remove_connection("default")
    connections.connect(uri=str(tmp_path / "store"))
    made = Collection("films", SCHEMA)
    made.create_index("vector", {"index_type": "FLAT", "metric_type": "L2", "params": {}})
    made.load()
    made.insert([[1, 2], vectors(1, 2)])
    made.create_partition("comedy", "comedy films").insert([[3, 4, 5], vectors(3, 4, 5)])
    yield made
    connections.remove_connection("default")


@pytest.fixture
def comedy(films: Collection) -> Partition:
    """The partition with rows 3, 4, 5."""
    return Partition(films, "comedy")


def test_partitions_are_listed_found_and_made_once(films: Collection) -> None:
    assert [partition.name for partition in films.partitions] == ["_default", "comedy"]
    assert films.has_partition("comedy")
    assert films.partition("nothing") is None
    found = films.partition("comedy")
    assert found is not None
    assert (found.name, found.description) == ("comedy", "")
    made = films.create_partition("drama", "sad ones")
    assert repr(made) == '{"name":"drama","collection_name":"films","description":"sad ones"}'
    with pytest.raises(PartitionAlreadyExistException) as caught:
        films.create_partition("drama")
    assert caught.value.code == 1


def test_a_partition_is_made_by_its_class_if_it_is_not_there(films: Collection) -> None:
    assert Partition(films, "comedy").num_entities == 3
    assert Partition("films", "drama", "sad ones").description == "sad ones"
    assert films.has_partition("drama")
    with pytest.raises(SchemaNotReadyException):
        Partition("nothing", "drama")
    with pytest.raises(ParamError, match="Collection"):
        Partition(7, "drama")  # type: ignore[arg-type]
    with pytest.raises(ParamError, match="name"):
        Partition(films, "a name with spaces")


def test_a_partition_has_its_own_rows(films: Collection, comedy: Partition) -> None:
    assert (comedy.num_entities, comedy.is_empty) == (3, False)
    assert comedy.query("id > 0", ["id"]) == [{"id": 3}, {"id": 4}, {"id": 5}]
    assert comedy.search([[0.0, 0.0]], "vector", L2, 5)[0].ids == [3, 4, 5]
    assert comedy.search([[0.0, 0.0]], "vector", L2, 5, "id > 3", ["id"])[0].ids == [4, 5]
    requests = [AnnSearchRequest([[0.0, 0.0]], "vector", L2, 5)]
    assert comedy.hybrid_search(requests, RRFRanker(), 2)[0].ids == [3, 4]
    assert films.search([[0.0, 0.0]], "vector", L2, 5)[0].ids == [1, 2, 3, 4, 5]
    both = ["_default", "comedy"]
    assert len(films.query("id > 0", partition_names=both)) == 5


def test_rows_are_written_to_a_partition(films: Collection, comedy: Partition) -> None:
    assert comedy.insert([[6], vectors(6)]).insert_count == 1
    assert comedy.insert({"id": 7, "vector": [7.0, 0.0]}).primary_keys == [7]
    assert films.insert([[8], vectors(8)], "comedy").insert_count == 1
    assert comedy.upsert([[1, 3], vectors(1, 3)]).upsert_count == 2
    assert comedy.num_entities == 7
    assert films.num_entities == 8, "row 1 has moved"
    assert comedy.delete("id in [1, 2, 3]").delete_count == 3
    assert comedy.num_entities == 5
    assert films.query("id == 2", ["id"]) == [{"id": 2}], "it lies in another partition"
    with pytest.raises(PartitionNotExistException):
        films.insert([[9], vectors(9)], "nothing")


def test_a_partition_is_released_loaded_and_dropped_alone(
    films: Collection, comedy: Partition
) -> None:
    comedy.release()
    assert utility.load_state("films", ["comedy"]) == LoadState.NotLoad
    assert films.query("id > 0", ["id"]) == [{"id": 1}, {"id": 2}]
    with pytest.raises(PartitionNotLoadedException) as caught:
        comedy.query("id > 0")
    assert caught.value.code == 201
    comedy.load(replica_number=1)
    assert len(comedy.query("id > 0")) == 3
    assert len(comedy.get_replicas().groups) == 1
    comedy.flush()
    comedy.release()
    comedy.drop()
    assert not films.has_partition("comedy")
    assert films.num_entities == 2
    films.create_partition("comedy")
    films.partition("comedy").release()  # type: ignore[union-attr]
    films.drop_partition("comedy")
    assert [partition.name for partition in films.partitions] == ["_default"]


def test_a_collection_with_a_partition_key_has_its_partitions(films: Collection) -> None:
    fields = [*SCHEMA.fields, FieldSchema("k", DataType.INT64, is_partition_key=True)]
    keyed = Collection("keyed", CollectionSchema(fields), num_partitions=4)
    keyed.insert([list(range(20)), vectors(*range(20)), list(range(20))])
    assert [partition.name for partition in keyed.partitions] == [f"_default_{i}" for i in range(4)]
    assert sum(partition.num_entities for partition in keyed.partitions) == 20
    assert Partition(keyed, "_default_0").num_entities == keyed.partitions[0].num_entities
    with pytest.raises(ParamError, match="partition key"):
        keyed.create_partition("mine")
