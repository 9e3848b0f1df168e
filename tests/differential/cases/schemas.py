"""Schemas that cannot be, and wrong indexes."""

from __future__ import annotations

from typing import Any

from differential import documents
from differential.case import (
    ANYTHING,
    Differs,
    Place,
    Refused,
    case,
    cases,
    lite_answers,
    lite_refuses,
)


@cases(
    {
        "two keys": [
            ("a", "INT64", {"is_primary": True}),
            ("b", "INT64", {"is_primary": True}),
        ],
        "FLOAT key": [("a", "FLOAT", {"is_primary": True})],
        "INT32 key": [("a", "INT32", {"is_primary": True})],
        "VARCHAR without length": [("a", "VARCHAR")],
        "VARCHAR of 0": [("a", "VARCHAR", {"max_length": 0})],
        "VARCHAR of 65536": [("a", "VARCHAR", {"max_length": 65536})],
        "vector without dim": [("a", "FLOAT_VECTOR")],
        "vector of 0": [("a", "FLOAT_VECTOR", {"dim": 0})],
        "vector of 32769": [("a", "FLOAT_VECTOR", {"dim": 32769})],
        "binary vector of 9": [("a", "BINARY_VECTOR", {"dim": 9})],
        "same name twice": [("a", "INT64"), ("a", "INT64")],
        "empty name": [("", "INT64")],
        "name of a space": [("a b", "INT64")],
        "name of digits": [("1a", "INT64")],
        "nullable key": [("a", "INT64", {"is_primary": True, "nullable": True})],
        "ARRAY without element": [("a", "ARRAY", {"max_capacity": 4})],
        "ARRAY without capacity": [("a", "ARRAY", {"element_type": "INT64"})],
        "ARRAY of 0": [("a", "ARRAY", {"element_type": "INT64", "max_capacity": 0})],
        "ARRAY of 4097": [("a", "ARRAY", {"element_type": "INT64", "max_capacity": 4097})],
        "ARRAY of JSON": [("a", "ARRAY", {"element_type": "JSON", "max_capacity": 4})],
        "ARRAY of text without length": [
            ("a", "ARRAY", {"element_type": "VARCHAR", "max_capacity": 4})
        ],
        "default of another type": [("a", "INT64", {"default_value": "x"})],
        "default too long": [("a", "VARCHAR", {"max_length": 2, "default_value": "xyz"})],
        "default out of range": [("a", "INT8", {"default_value": 300})],
        "default of JSON": [("a", "JSON", {"default_value": {}})],
        "default of a key": [("a", "INT64", {"is_primary": True, "default_value": 1})],
        "default of a vector": [("a", "FLOAT_VECTOR", {"dim": 2, "default_value": [1.0, 2.0]})],
        "two partition keys": [
            ("a", "INT64", {"is_partition_key": True}),
            ("b", "INT64", {"is_partition_key": True}),
        ],
        "FLOAT partition key": [("a", "FLOAT", {"is_partition_key": True})],
        "key as partition key": [("a", "INT64", {"is_primary": True, "is_partition_key": True})],
    },
    differs=lite_answers(
        "milvus-lite does not look at lengths, dimensions and names",
        documents.LIMITS,
        *("VARCHAR without length", "VARCHAR of 0", "VARCHAR of 65536"),
        *("vector of 32769", "name of a space", "name of digits"),
    )
    | lite_answers(
        "an array has 1 to 4,096 elements of a scalar type, texts in it a length",
        documents.ARRAY_FIELD,
        *("ARRAY without capacity", "ARRAY of 0", "ARRAY of 4097", "ARRAY of JSON"),
        "ARRAY of text without length",
    )
    | lite_answers(
        "a default is a value of the field's type; a primary key has none",
        documents.NULLS,
        *("default of another type", "default too long", "default out of range"),
        "default of a key",
    ),
)
def impossible_schema_is_refused(at: Place, fields: list[Any]) -> Any:
    return at.create(*fields, load=False)


@case
def schema_without_a_key_is_refused(at: Place) -> Any:
    schema = at.mv.MilvusClient.create_schema()
    schema.add_field("v", at.mv.DataType.FLOAT_VECTOR, dim=4)
    at.client.create_collection(at.name, schema=schema)


@case
def schema_without_a_vector_is_refused(at: Place) -> Any:
    schema = at.mv.MilvusClient.create_schema()
    schema.add_field("pk", at.mv.DataType.INT64, is_primary=True)
    at.client.create_collection(at.name, schema=schema)


@cases(
    {"0": 0, "negative": -1, "32769": 32769, "text": "four", "none": None},
    differs=lite_answers("a vector has at most 32,768 dimensions", documents.LIMITS, "32769"),
)
def bad_dimension_is_refused(at: Place, dimension: Any) -> Any:
    at.client.create_collection(at.name, dimension=dimension)


@cases({"metric": {"metric_type": "TANIMOTO"}, "id type": {"id_type": "float"}})
def bad_quick_argument_is_refused(at: Place, options: dict[str, Any]) -> Any:
    at.client.create_collection(at.name, dimension=4, **options)


@cases(
    {
        "unknown type": ("v", "TREE", "L2"),
        "unknown metric": ("v", "FLAT", "TANIMOTO"),
        "binary metric": ("v", "FLAT", "HAMMING"),
        "scalar type on a vector": ("v", "INVERTED", None),
        "vector type on a scalar": ("a", "HNSW", "L2"),
        "unknown field": ("nope", "FLAT", "L2"),
        "sorted JSON": ("j", "STL_SORT", None),
        "trie of numbers": ("a", "TRIE", None),
    },
    differs=lite_answers(
        "an index type that there is not", documents.INDEXES, "unknown type", code=701
    ),
)
def wrong_index_is_refused(at: Place, index: tuple[str, str, str | None]) -> Any:
    at.create(("a", "INT64"), ("j", "JSON"), load=False)
    name, kind, metric = index
    at.client.create_index(
        at.name, at.index_params(**{name: (kind, metric) if metric else kind}), sync=False
    )


@cases({"FLAT": "FLAT", "HNSW": "HNSW", "IVF_FLAT": "IVF_FLAT", "IVF_SQ8": "IVF_SQ8"})
def vector_index_is_listed_and_described(at: Place, kind: str) -> Any:
    at.create(load=False)
    more = {"HNSW": {"M": 8, "efConstruction": 40}, "FLAT": {}}.get(kind, {"nlist": 4})
    params = at.mv.MilvusClient.prepare_index_params()
    params.add_index("v", index_type=kind, metric_type="L2", params=more)
    at.client.create_index(at.name, params, sync=False)
    listed = at.client.list_indexes(at.name)
    found = at.client.describe_index(at.name, "v")
    return listed, {k: found[k] for k in ("index_type", "metric_type", "field_name", "index_name")}


def _listed(kind: str) -> list[Any]:
    return [["a", "v"], {"index_type": kind, "field_name": "a", "index_name": "a"}]


@cases(
    {"INVERTED": "INVERTED", "STL_SORT": "STL_SORT", "BITMAP": "BITMAP"},
    differs=lite_refuses(
        "milvus-lite has INVERTED only",
        documents.SCALAR_INDEXES,
        {kind: _listed(kind) for kind in ("STL_SORT", "BITMAP")},
    ),
)
def scalar_index_is_listed_and_described(at: Place, kind: str) -> Any:
    at.create(("a", "INT64"), scalar={"a": kind})
    found = at.client.describe_index(at.name, "a")
    listed = sorted(at.client.list_indexes(at.name))
    return listed, {k: found[k] for k in ("index_type", "field_name", "index_name")}


@case(
    differs=Differs(
        [["v"], "v", "IP"],
        [["mine"], "mine", "IP"],
        "milvus-lite does not keep the index's name",
        documents.INDEXES,
    )
)
def index_with_a_name_of_its_own(at: Place) -> Any:
    at.create(load=False)
    params = at.mv.MilvusClient.prepare_index_params()
    params.add_index("v", index_type="FLAT", index_name="mine", metric_type="IP")
    at.client.create_index(at.name, params, sync=False)
    found = at.client.describe_index(at.name, "mine")
    return at.client.list_indexes(at.name), found["index_name"], found["metric_type"]


@case
def indexes_of_one_field_are_listed(at: Place) -> Any:
    at.create(("a", "INT64"), scalar={"a": "INVERTED"})
    return [at.client.list_indexes(at.name, field_name=name) for name in ("a", "v", "pk")]


@case(
    differs=Differs(
        [None, []],
        [None, ["v"]],
        "the other index stays; milvus-lite lists none",
        documents.INDEXES,
    )
)
def dropped_index_is_gone(at: Place) -> Any:
    at.create(("a", "INT64"), scalar={"a": "INVERTED"})
    at.client.release_collection(at.name)
    return at.client.drop_index(at.name, "a"), at.client.list_indexes(at.name)


@case
def dropping_a_vector_index_of_a_loaded_collection_is_refused(at: Place) -> Any:
    at.create()
    at.client.drop_index(at.name, "v")


@case(
    differs=Differs(
        ANYTHING,
        Refused(700),
        "`describe_index` of an unknown index raises 700; pymilvus answers None",
        documents.OURS,
    )
)
def unknown_index_is_described_by_nothing(at: Place) -> Any:
    at.create()
    return at.client.describe_index(at.name, "nope")


@case
def loading_without_an_index_is_refused(at: Place) -> Any:
    at.create(load=False)
    at.client.load_collection(at.name)


@case
def another_index_on_a_field_is_refused(at: Place) -> Any:
    at.create(index="HNSW")
    at.client.create_index(at.name, at.index_params(v=("IVF_FLAT", "L2")))


@case(
    differs=Differs(
        Refused(35), None, "the same index again changes nothing and is fine", documents.INDEXES
    )
)
def same_index_twice_is_fine(at: Place) -> Any:
    at.create()
    return at.client.create_index(at.name, at.index_params(v=("FLAT", "L2")))


@case
def field_schema_of_the_client(at: Place) -> Any:
    field = at.client.create_field_schema("a", at.mv.DataType.VARCHAR, max_length=7)
    return field.name, field.dtype, field.params, field.is_primary
