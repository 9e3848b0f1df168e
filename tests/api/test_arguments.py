"""Arguments that are wrong in kind: each raises a MilvusException that names what was given."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from walvec import (
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    IndexParams,
    MilvusClient,
    MilvusException,
    connections,
    utility,
)
from walvec.exceptions import NotSupportedException, ParamError
from walvec.missing import CLIENT_METHODS, COLLECTION_METHODS, UTILITY_FUNCTIONS
from walvec.wal.shown import MAX_CHARACTERS, shown


class NoRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


LONE_SURROGATE = "\ud800"
WRONG: dict[str, Any] = {
    "number": 7,
    "float": 1.5,
    "nan": float("nan"),
    "huge": 10**5000,
    "bytes": b"docs",
    "list of lists": [[1]],
    "set": {1},
    "dict": {1: 2},
    "array": np.array([1, 2, 3]),
    "empty array": np.array([]),
    "numpy scalar": np.float32(1),
    "nested": nested(3000),
    "without repr": NoRepr(),
    "surrogate": LONE_SURROGATE,
    "class": int,
}
ARGUMENTS = [
    ("create_collection", "id_type"),
    ("create_collection", "metric_type"),
    ("create_collection", "index_params"),
    ("create_collection", "properties"),
    ("create_collection", "description"),
    ("create_collection", "num_shards"),
    ("create_collection", "enable_dynamic_field"),
    ("has_collection", "collection_name"),
    ("describe_collection", "collection_name"),
    ("drop_collection_properties", "property_keys"),
    ("alter_collection_properties", "properties"),
    ("get_load_state", "partition_name"),
    ("load_collection", "replica_number"),
    ("flush", "wait"),
    ("create_index", "index_params"),
    ("describe_index", "index_name"),
    ("list_indexes", "field_name"),
    ("insert", "partition_name"),
    ("delete", "filter"),
    ("query", "filter"),
    ("query", "output_fields"),
    ("query", "filter_params"),
    ("search", "filter"),
    ("search", "limit"),
    ("search", "offset"),
    ("search", "output_fields"),
    ("search", "search_params"),
    ("search", "anns_field"),
    ("search", "partition_names"),
    ("search", "round_decimal"),
]
GOOD: dict[str, dict[str, Any]] = {
    "create_collection": {"collection_name": "other", "dimension": 4},
    "insert": {"collection_name": "docs", "data": {"id": 2, "vector": [1.0] * 4}},
    "query": {"collection_name": "docs", "filter": "id > 0", "limit": 1},
    "search": {"collection_name": "docs", "data": [[1.0] * 4]},
}
MEANT = {
    ("query", "filter_params"): {"dict"},
    ("search", "limit"): {"number"},
    ("search", "offset"): {"number"},
    ("create_collection", "num_shards"): {"number"},
}
"""What of the wrong values is right for an argument."""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MilvusClient]:
    with MilvusClient(tmp_path / "store") as client:
        client.create_collection("docs", dimension=4)
        client.insert("docs", {"id": 1, "vector": [1.0] * 4})
        yield client


@pytest.mark.parametrize(("method", "argument"), ARGUMENTS)
def test_an_argument_of_a_wrong_kind_raises_an_error_of_walvec(
    client: MilvusClient, method: str, argument: str
) -> None:
    good = {"collection_name": "docs", **GOOD.get(method, {})}
    if method == "describe_index":
        good["index_name"] = "vector"
    for kind, value in WRONG.items():
        if kind in MEANT.get((method, argument), ()):
            continue
        with pytest.raises(MilvusException) as caught:
            getattr(client, method)(**{**good, argument: value})
        assert len(str(caught.value)) < 1_000, kind
    assert client.list_collections() == ["docs"], "nothing was done, and the handle is usable"


@pytest.mark.parametrize(
    "make",
    [
        lambda v: CollectionSchema(v),
        lambda v: CollectionSchema([], v),
        lambda v: CollectionSchema([], check_fields=v),
        lambda v: CollectionSchema([], check_fields=False, primary_field=v),
        lambda v: CollectionSchema([], check_fields=False, enable_dynamic_field=v),
        lambda v: CollectionSchema.construct_from_dict(v),
        lambda v: CollectionSchema.construct_from_dict({"fields": v}),
        lambda v: FieldSchema.construct_from_dict(v),
        lambda v: FieldSchema("a", v),
        lambda v: FieldSchema("a", DataType.INT64, v),
        lambda v: FieldSchema("a", DataType.INT64, dim=v),
        lambda v: IndexParams().add_index(v),
        lambda v: IndexParams().add_index("a", v),
        lambda v: IndexParams().add_index("a", metric_type=v),
        lambda v: IndexParams().add_index("a", params=v),
        lambda v: connections.has_connection(v),
        lambda v: connections.connect(v),
        lambda v: connections.connect(host=v),
        lambda v: utility.list_collections(using=v),
        lambda v: MilvusClient("./never-made", db_name=v),
        lambda v: MilvusClient("./never-made", read_only=v),
        lambda v: MilvusClient("./never-made", durability=v),
        lambda v: MilvusClient("./never-made", no_such_option=v),
    ],
)
def test_what_is_made_of_a_wrong_value_raises_an_error_of_walvec(make: Any) -> None:
    for kind, value in WRONG.items():
        with pytest.raises(MilvusException):
            make(value)
            raise AssertionError(f"{kind} was taken")


def test_a_text_that_no_file_can_hold_is_refused_and_the_store_stays_usable(
    client: MilvusClient,
) -> None:
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    for make in (
        lambda: client.create_collection("other", dimension=4, description=LONE_SURROGATE),
        lambda: schema.add_field("v", DataType.FLOAT_VECTOR, dim=4, description=LONE_SURROGATE),
        lambda: client.prepare_index_params("vector", index_name=LONE_SURROGATE),
        lambda: MilvusClient(LONE_SURROGATE),
    ):
        with pytest.raises(ParamError, match="ud800"):
            make()
    assert client.get_collection_stats("docs") == {"row_count": 1}


def test_an_index_name_follows_the_rules_of_names(client: MilvusClient) -> None:
    params = client.prepare_index_params("vector", index_name="a name with spaces")
    with pytest.raises(ParamError, match="index name 'a name with spaces'"):
        client.create_collection("other", dimension=4, index_params=params)


@pytest.mark.parametrize("uri", ["http://[x", "~nobody_has_this_name/store", "x" * 5000, "\0", ""])
def test_a_uri_that_is_no_path_is_refused_by_name(uri: str) -> None:
    with pytest.raises(MilvusException):
        MilvusClient(uri)


def test_options_by_which_pymilvus_reaches_a_server_have_no_meaning(tmp_path: Path) -> None:
    MilvusClient(tmp_path / "a", secure=True, grpc_options={}).close()
    with pytest.raises(ParamError, match="no_such_option='x'"):
        MilvusClient(tmp_path / "b", no_such_option="x")


def test_get_takes_ids_in_any_form_that_delete_takes(client: MilvusClient) -> None:
    for ids in (1, [1], (1,), {1}, range(3), np.array([1]), np.array(1), np.int64(1)):
        assert [row["id"] for row in client.get("docs", ids)] == [1], ids
    assert client.get("docs", []) == client.get("docs", np.array([])) == []


def test_positions_of_arguments_are_those_of_pymilvus(client: MilvusClient) -> None:
    connections.connect("default", "user", "password", "default", "token", uri=client.folder)
    try:
        assert utility.has_collection("docs", "default", 5) is True
        assert utility.list_collections(5, "default") == ["docs"]
        assert utility.load_state("docs", None, "default", 5).name == "Loaded"
        assert utility.loading_progress("docs", None, "default") == {"loading_progress": "100%"}
        utility.wait_for_loading_complete("docs", None, 5, "default")
        assert Collection("docs").has_index(5, index_name="vector") is True
        utility.rename_collection("docs", "texts", "", 5, "default")
        utility.drop_collection("texts", 5, "default")
    finally:
        connections.disconnect("default")


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (MilvusClient, CLIENT_METHODS),
        (Collection, COLLECTION_METHODS),
        (utility, UTILITY_FUNCTIONS),
    ],
)
def test_no_method_is_said_to_be_missing_that_is_there(
    owner: object, names: dict[str, str]
) -> None:
    assert not names.keys() & set(dir(owner))


def test_a_method_of_pymilvus_that_is_missing_says_so(client: MilvusClient) -> None:
    with pytest.raises(NotSupportedException, match=r"MilvusClient\.create_user\(\)"):
        getattr(client, "create_user")("u", "p")  # noqa: B009
    assert not hasattr(client, "no_such_method")


def test_a_description_has_the_keys_and_kinds_of_pymilvus(client: MilvusClient) -> None:
    client.create_collection("other", dimension=4, consistency_level="Bounded")
    found = client.describe_collection("other")
    assert (found["consistency_level"], found["consistency_level_name"]) == (2, "Bounded")
    assert type(found["consistency_level"]) is int
    assert found["enable_namespace"] is False


def test_a_present_collection_of_another_schema_is_named_with_what_to_do(
    client: MilvusClient,
) -> None:
    client.create_collection("docs", dimension=4)
    with pytest.raises(
        MilvusException, match=r"docs exists with another schema.*: drop_collection"
    ):
        client.create_collection("docs", dimension=5)


@pytest.mark.parametrize("timeout", [float("inf"), 2**64, 10**400])
def test_a_timeout_longer_than_the_system_can_wait_is_a_long_one(
    client: MilvusClient, timeout: float
) -> None:
    rng = np.random.default_rng(1)
    client.insert("docs", [{"id": i, "vector": rng.random(4)} for i in range(2_000)])
    client.flush("docs", timeout, wait=True)
    with ThreadPoolExecutor(4) as threads:
        rows = [{"id": i, "vector": [1.0] * 4} for i in range(200)]
        list(threads.map(lambda row: client.insert("docs", row, timeout), rows))


def test_a_long_name_makes_no_long_message(client: MilvusClient) -> None:
    with pytest.raises(MilvusException) as caught:
        client.describe_collection("x" * 100_000)
    assert len(str(caught.value)) < 3_000


@pytest.mark.parametrize("kind", WRONG)
def test_any_value_can_be_shown(kind: str) -> None:
    assert 0 < len(shown(WRONG[kind])) <= MAX_CHARACTERS
