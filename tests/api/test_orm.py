"""Collection: made, described, loaded, flushed, compacted, dropped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from walvec import (
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    Group,
    LoadState,
    Shard,
    connections,
    utility,
)
from walvec.exceptions import (
    CollectionNotExistException,
    CollectionNotLoadedException,
    NotSupportedException,
    ParamError,
    PrimaryKeyException,
    SchemaNotReadyException,
)

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=5),
    ],
    description="five",
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
FLAT: dict[str, Any] = {"index_type": "FLAT", "metric_type": "L2", "params": {}}


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    """A collection with the five rows of Milvus' page on flush()."""
    connections.remove_connection("default")
    connections.connect(uri=str(tmp_path / "store"))
    made = Collection("test_collection", SCHEMA)
    made.insert(COLUMNS)
    yield made
    connections.remove_connection("default")


def segments(collection: Collection) -> list[tuple[int, bool]]:
    """(rows, sealed) of each segment."""
    found = connections.client().list_segments(collection.name)
    return [(s.num_rows, s.state_name != "Growing") for s in found]


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
    assert collection.describe()["collection_name"] == "test_collection"
    assert collection.get_replicas().groups == []
    collection.create_index("vector", FLAT)
    collection.load()
    assert len(collection.get_replicas().groups) == 1
    collection.set_properties({"mmap.enabled": True})
    assert collection.describe()["properties"] == {"mmap.enabled": "true"}
    collection.release()
    assert utility.load_state("test_collection") == LoadState.NotLoad
    with pytest.raises(CollectionNotLoadedException) as caught:
        collection.query("id > 0")
    assert caught.value.code == 101
    collection.drop()
    assert not utility.has_collection("test_collection")
    with pytest.raises(CollectionNotExistException):
        collection.num_entities  # noqa: B018


def test_what_a_collection_is_stands_in_its_properties(collection: Collection) -> None:
    assert (collection.name, collection.description) == ("test_collection", "five")
    assert collection.schema == SCHEMA
    assert collection.primary_field.name == "id"
    assert (collection.num_entities, collection.is_empty, collection.num_shards) == (5, False, 1)
    assert collection.aliases == []
    assert repr(collection) == (
        "<Collection>:\n-------------\n<name>: test_collection\n<description>: five\n"
        f"<schema>: {SCHEMA}\n"
    )


def test_a_collection_is_found_by_its_name(collection: Collection) -> None:
    assert Collection("test_collection").num_entities == 5
    assert Collection("test_collection", SCHEMA).num_entities == 5
    other = CollectionSchema([*SCHEMA.fields, FieldSchema("x", DataType.BOOL)])
    with pytest.raises(SchemaNotReadyException, match="another schema"):
        Collection("test_collection", other)
    with pytest.raises(SchemaNotReadyException, match="does not exist"):
        Collection("nothing")
    with pytest.raises(SchemaNotReadyException, match="CollectionSchema"):
        Collection("nothing", {"fields": []})  # type: ignore[arg-type]


def test_a_collection_is_found_by_an_alias(collection: Collection) -> None:
    utility.create_alias("test_collection", "five")
    found = Collection("five", SCHEMA)
    assert (found.name, found.num_entities, found.aliases) == ("five", 5, ["five"])
    assert found.describe()["collection_name"] == "test_collection"
    found.insert([[5], [[0.0] * 5]])
    assert collection.num_entities == 6


def test_the_schema_of_a_collection_that_grew_is_still_its_schema(collection: Collection) -> None:
    connections.client().add_collection_field("test_collection", "n", DataType.INT64, nullable=True)
    connections.client().alter_collection_properties(
        "test_collection", {"dynamicfield.enabled": True}
    )
    assert [field.name for field in collection.schema.fields] == ["id", "vector", "n"]
    assert Collection("test_collection", collection.schema).num_entities == 5
    with pytest.raises(SchemaNotReadyException, match="another schema"):
        Collection("test_collection", SCHEMA)


def test_a_collection_is_made_with_its_options(tmp_path: Path) -> None:
    connections.connect("options", uri=str(tmp_path / "store"))
    fields = [*SCHEMA.fields, FieldSchema("k", DataType.INT64, is_partition_key=True)]
    options: dict[str, Any] = {
        "consistency_level": "Bounded",
        "properties": {"collection.ttl.seconds": 1800},
        "num_partitions": 3,
        "timeout": 10,
    }
    made = Collection("keyed", CollectionSchema(fields), "options", shards_num=2, **options)
    described = made.describe()
    assert described["consistency_level_name"] == "Bounded"
    assert described["properties"] == {"collection.ttl.seconds": "1800"}
    assert (made.num_shards, len(made.partitions)) == (2, 3)
    again = Collection("keyed", using="options", consistency_level=2)
    assert again.schema == made.schema
    with pytest.raises(SchemaNotReadyException, match="Bounded"):
        Collection("keyed", using="options", consistency_level="Strong")
    with pytest.raises(ParamError, match="shards_num"):
        Collection("other", SCHEMA, "options", shards_num=2, num_shards=2)
    with pytest.raises(ParamError, match="no_such_option"):
        Collection("other", SCHEMA, "options", no_such_option=1)
    with pytest.raises(ParamError, match="no_such_option"):
        Collection("keyed", using="options", no_such_option=1)
    connections.remove_connection("options")


def test_partitions_of_a_collection_are_loaded_alone(collection: Collection) -> None:
    collection.create_partition("p")
    collection.load(["p"])
    assert utility.load_state("test_collection", ["p"]) == LoadState.Loaded
    assert utility.load_state("test_collection", ["_default"]) == LoadState.NotLoad
    collection.load(replica_number=1, timeout=10)
    assert utility.load_state("test_collection", ["_default"]) == LoadState.Loaded
    for names in (None, ["p"]):
        with pytest.raises(NotSupportedException, match="replica"):
            collection.load(names, replica_number=2)
    refused = ("_resource_groups", "resource_groups", "load_fields", "priority")
    for name in (*refused, "skip_load_dynamic_field"):
        with pytest.raises(NotSupportedException, match=name.removeprefix("_")):
            collection.load(**{name: ["one"]})
    with pytest.raises(ParamError, match="no_such_option"):
        collection.load(["p"], no_such_option=1)
    collection.load(_refresh=True, load_fields=None, skip_load_dynamic_field=False)
    collection.release()
    collection.load(_async=True)
    utility.wait_for_loading_complete("test_collection")


def test_the_one_replica_is_told_with_milvus_names(collection: Collection) -> None:
    collection.load()
    (group,) = collection.get_replicas().groups
    assert isinstance(group, Group)
    assert (group.group_nodes, group.resource_group) == ((1,), "__default_resource_group")
    (shard,) = group.shards
    assert isinstance(shard, Shard)
    assert shard.shard_leader == 1


def test_truncate_takes_the_rows_and_leaves_the_rest(collection: Collection) -> None:
    collection.create_index("vector", FLAT)
    collection.load()
    collection.truncate()
    assert collection.is_empty
    assert collection.has_index()
    assert collection.query("id >= 0") == []
    collection.insert(COLUMNS)
    assert len(collection.query("id >= 0")) == 5


def test_a_compaction_is_completed_when_it_returns(collection: Collection) -> None:
    with pytest.raises(ParamError, match=r"compact\(\) first"):
        collection.get_compaction_state()
    collection.flush()
    collection.insert([[5], [[0.0] * 5]])
    collection.flush()
    collection.compact()
    state = collection.get_compaction_state()
    assert (state.state_name, state.in_executing, state.in_timeout) == ("Completed", 0, 0)
    assert collection.wait_for_compaction_completed()
    assert segments(collection) == [(6, True)]
    with pytest.raises(NotSupportedException, match="clustering"):
        collection.compact(is_clustering=True)
    with pytest.raises(NotSupportedException, match="plans"):
        getattr(collection, "get_compaction_plans")()  # noqa: B009


def test_errors_are_caught_by_pymilvus_finer_names() -> None:
    with pytest.raises(PrimaryKeyException):
        CollectionSchema([FieldSchema("vector", DataType.FLOAT_VECTOR, dim=5)])
