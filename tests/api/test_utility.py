"""utility: collections, partitions, aliases and indexes by name; hybrid timestamps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import walvec
from walvec import (
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    LoadState,
    SegmentState,
    connections,
    utility,
)
from walvec.exceptions import (
    AliasAlreadyExistException,
    AliasNotExistException,
    AmbiguousIndexName,
    CollectionNotExistException,
    CollectionNotLoadedException,
    IndexNotExistException,
    MilvusException,
    NotSupportedException,
    ParamError,
    PartitionNotExistException,
    PartitionNotLoadedException,
)
from walvec.missing import UTILITY_FUNCTIONS

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
        FieldSchema("n", DataType.INT64),
    ]
)
INDEX = {"index_type": "ANNOY", "metric_type": "L2"}


@pytest.fixture
def films(tmp_path: Path) -> Iterator[Collection]:
    """A collection of three rows in `_default` and two in `p`."""
    connections.remove_connection("default")
    connections.connect(uri=str(tmp_path / "store"))
    made = Collection("films", SCHEMA)
    made.insert([[1, 2, 3], [[1.0, 0.0]] * 3, [1, 2, 3]])
    made.create_partition("p").insert([[4, 5], [[2.0, 0.0]] * 2, [4, 5]])
    yield made
    connections.remove_connection("default")


def test_collections_are_found_renamed_and_dropped(films: Collection) -> None:
    assert utility.has_collection("films")
    assert not utility.has_collection("nothing")
    utility.rename_collection("films", "movies")
    assert utility.list_collections() == ["movies"]
    with pytest.raises(CollectionNotExistException) as caught:
        assert films.num_entities
    assert caught.value.code == 100
    utility.truncate_collection("movies")
    assert Collection("movies").is_empty
    utility.drop_collection("movies")
    utility.drop_collection("movies")
    assert utility.list_collections() == []


def test_partitions_are_found(films: Collection) -> None:
    assert utility.has_partition("films", "p")
    assert not utility.has_partition("films", "nothing")
    with pytest.raises(CollectionNotExistException):
        utility.has_partition("nothing", "p")


def test_aliases_stand_for_collections(films: Collection) -> None:
    Collection("other", SCHEMA)
    utility.create_alias("films", "best")
    utility.create_alias("films", "all")
    assert utility.list_aliases("films") == films.aliases == ["all", "best"]
    with pytest.raises(AliasAlreadyExistException) as caught:
        utility.create_alias("other", "best")
    assert caught.value.code == 1602
    utility.alter_alias("other", "best")
    assert utility.list_aliases("other") == ["best"]
    with pytest.raises(AliasNotExistException):
        utility.alter_alias("other", "nothing")
    utility.drop_alias("best")
    assert utility.list_aliases("other") == []
    assert utility.has_collection("all")
    for change in (utility.drop_collection, lambda name: utility.rename_collection(name, "new")):
        with pytest.raises(ParamError, match="all is an alias of collection films"):
            change("all")


def test_load_states_are_told_of_collections_and_of_partitions(films: Collection) -> None:
    assert utility.load_state("nothing") == LoadState.NotExist
    assert utility.load_state("films") == LoadState.NotLoad
    assert utility.loading_progress("films") == {"loading_progress": "0%"}
    with pytest.raises(CollectionNotLoadedException):
        utility.wait_for_loading_complete("films")
    films.load(["p"])
    assert utility.load_state("films", ["p"]) == LoadState.Loaded
    assert utility.load_state("films", ["p", "_default"]) == LoadState.NotLoad
    both = utility.loading_progress("films", ["p", "_default"])
    assert both == {"loading_progress": "50%"}
    utility.wait_for_loading_complete("films", ["p"])
    with pytest.raises(PartitionNotLoadedException):
        utility.wait_for_loading_complete("films", ["_default"])
    films.load()
    assert utility.load_state("films", ["p", "_default"]) == LoadState.Loaded
    assert utility.loading_progress("films") == {"loading_progress": "100%"}
    utility.wait_for_loading_complete("films", ["_default"])
    with pytest.raises(PartitionNotExistException):
        utility.load_state("films", ["nothing"])
    with pytest.raises(CollectionNotExistException):
        utility.loading_progress("nothing")


def test_index_building_is_told_of_one_index(films: Collection) -> None:
    with pytest.raises(IndexNotExistException) as caught:
        utility.index_building_progress("films")
    assert caught.value.code == 700
    films.create_index("vector", INDEX)
    films.flush()
    assert utility.wait_for_index_building_complete("films")
    built = {"total_rows": 5, "indexed_rows": 5, "pending_index_rows": 0, "state": "Finished"}
    assert utility.index_building_progress("films") == built
    films.create_index("n", {"index_type": "STL_SORT"}, index_name="numbers")
    assert utility.list_indexes("films") == ["vector", "numbers"]
    assert utility.list_indexes("films", field_name="n") == ["numbers"]
    assert utility.list_indexes("films", field_name=None) == ["vector", "numbers"]
    with pytest.raises(AmbiguousIndexName, match="vector, numbers"):
        utility.index_building_progress("films")
    assert utility.wait_for_index_building_complete("films", "numbers")
    assert utility.index_building_progress("films", "numbers")["indexed_rows"] == 5
    with pytest.raises(IndexNotExistException):
        utility.wait_for_index_building_complete("films", "nothing")


def test_flush_all_seals_every_collection(films: Collection) -> None:
    other = Collection("other", SCHEMA)
    other.insert([[1], [[0.0, 0.0]], [1]])
    utility.flush_all()
    client = connections.client()
    for name in ("films", "other"):
        assert SegmentState.Growing not in {s.state for s in client.list_segments(name)}
    other.insert([[2], [[0.0, 0.0]], [1]])
    future = utility.flush_all(_async=True)
    assert future is not None
    future.result()
    assert len(client.list_segments("other")) == 2
    with pytest.raises(ParamError, match="no_such_option"):
        utility.flush_all(no_such_option=1)


def test_segments_in_memory_are_told_with_milvus_names(films: Collection) -> None:
    assert utility.get_query_segment_info("films") == []
    films.load()
    found = utility.get_query_segment_info("films")
    assert sorted(segment.num_rows for segment in found) == [2, 3]
    assert {segment.state for segment in found} == {SegmentState.Growing}
    assert len({segment.segmentID for segment in found}) == 2
    assert len({segment.partitionID for segment in found}) == 2
    assert {segment.collectionID for segment in found} == {films.describe()["collection_id"]}
    assert all(segment.mem_size > 0 for segment in found)


def test_the_server_is_walvec(films: Collection) -> None:
    assert utility.get_server_version().startswith("walvec ")
    assert utility.get_server_type() == "walvec"


@pytest.mark.parametrize("name", sorted(UTILITY_FUNCTIONS))
def test_what_needs_a_server_says_so(name: str) -> None:
    with pytest.raises(NotSupportedException, match=rf"utility\.{name}\(\)"):
        getattr(utility, name)("x")


def test_a_name_that_pymilvus_has_not_is_no_function() -> None:
    assert not hasattr(utility, "no_such_function")


def test_functions_of_utility_are_names_of_the_package(films: Collection) -> None:
    assert walvec.has_collection("films")
    assert walvec.list_collections() == ["films"]
    assert walvec.loading_progress("films") == {"loading_progress": "0%"}


NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=timezone.utc)


def test_a_hybrid_timestamp_is_milliseconds_above_18_bits() -> None:
    made = utility.mkts_from_datetime(NOON)
    assert made == utility.mkts_from_unixtime(NOON.timestamp())
    assert made & 0x3FFFF == 0
    assert made >> 18 == 1795262400250
    assert utility.hybridts_to_unixtime(made) == 1795262400.25
    assert utility.hybridts_to_datetime(made, timezone.utc) == NOON
    assert utility.hybridts_to_datetime(made).timestamp() == NOON.timestamp()


def test_a_hybrid_timestamp_is_moved_and_keeps_its_low_bits() -> None:
    made = utility.mkts_from_datetime(NOON) + 5
    later = utility.mkts_from_hybridts(made, milliseconds=3, delta=timedelta(minutes=1))
    assert later - made == 60_003 << 18
    assert utility.mkts_from_hybridts(made, -1) == made - (1 << 18)
    again = utility.mkts_from_datetime(NOON, 3, timedelta(minutes=1))
    assert again == later - 5
    assert utility.mkts_from_unixtime(1.0, delta=timedelta(seconds=2)) == 3_000 << 18


@pytest.mark.parametrize(
    "call",
    [
        lambda: utility.hybridts_to_unixtime(-1),
        lambda: utility.hybridts_to_datetime(1.5),
        lambda: utility.hybridts_to_datetime(1, "UTC"),
        lambda: utility.mkts_from_hybridts("1"),
        lambda: utility.mkts_from_hybridts(1, "1"),
        lambda: utility.mkts_from_hybridts(1, delta=5),
        lambda: utility.mkts_from_unixtime("now"),
        lambda: utility.mkts_from_datetime(5),
    ],
)
def test_what_is_no_time_is_refused(call: Any) -> None:
    with pytest.raises(MilvusException):
        call()


def test_a_collection_tells_when_it_was_made_as_a_hybrid_timestamp(films: Collection) -> None:
    made = utility.hybridts_to_unixtime(films.describe()["created_timestamp"])
    assert abs(datetime.now().timestamp() - made) < 3600
