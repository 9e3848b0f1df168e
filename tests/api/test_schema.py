"""Schemas as users write them, and their way into the log and back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from walvec.field_rules import new_field
from walvec.schema import (
    CollectionSchema,
    FieldSchema,
    check_name,
    field_descriptions,
    from_schema,
    to_schema,
)
from walvec.wal.errors import NotSupportedException, ParamError, SchemaNotReadyException
from walvec.wal.schema import META_FIELD, DataType, Field, Schema

PK = FieldSchema("id", DataType.INT64, is_primary=True)
VECTOR = FieldSchema("vector", DataType.FLOAT_VECTOR, dim=5)
KEY = FieldSchema("id", DataType.INT64, is_primary=True, is_partition_key=True)


def array(element_type: int, max_capacity: int) -> FieldSchema:
    return FieldSchema("a", DataType.ARRAY, element_type=element_type, max_capacity=max_capacity)


def partition_key(dtype: int, **keywords: Any) -> FieldSchema:
    return FieldSchema("p", dtype, is_partition_key=True, **keywords)


def test_add_field_prints_what_the_documentation_shows() -> None:
    schema = CollectionSchema([], auto_id=False, enable_dynamic_field=False, check_fields=False)
    printed = schema.add_field(field_name="my_id", datatype=DataType.INT64, is_primary=True)
    assert str(printed) == (
        "{'auto_id': False, 'description': '', 'fields': [{'name': 'my_id', 'description': '', "
        "'type': <DataType.INT64: 5>, 'is_primary': True, 'auto_id': False}]}"
    )
    printed = schema.add_field(field_name="my_vector", datatype=DataType.FLOAT_VECTOR, dim=5)
    assert printed is schema
    assert repr(schema).endswith(
        "{'name': 'my_vector', 'description': '', 'type': <DataType.FLOAT_VECTOR: 101>, "
        "'params': {'dim': 5}}]}"
    )


def test_the_dynamic_field_is_printed_where_it_is_enabled() -> None:
    schema = CollectionSchema([PK, VECTOR], enable_dynamic_field=True)
    assert str(schema).endswith("'enable_dynamic_field': True}")
    assert schema.to_dict()["enable_dynamic_field"] is True


def test_attributes_have_the_names_of_pymilvus() -> None:
    field = FieldSchema("title", DataType.VARCHAR, "what it is", max_length=20)
    assert (field.name, field.dtype, field.description) == ("title", 21, "what it is")
    assert (field.max_length, field.dim, field.params) == (20, None, {"max_length": 20})
    assert (field.is_primary, field.auto_id, field.nullable) == (False, False, False)
    schema = CollectionSchema([PK, field], "a shelf", auto_id=True)
    assert schema.primary_field == schema.fields[0]
    assert (schema.description, schema.auto_id, len(schema)) == ("a shelf", True, 2)


def test_a_schema_copies_its_fields() -> None:
    schema = CollectionSchema([PK, VECTOR], auto_id=True)
    assert schema.fields[0].auto_id
    assert not PK.auto_id


def test_schemas_are_equal_by_what_they_say() -> None:
    schema = CollectionSchema([PK, VECTOR], "text", enable_dynamic_field=True)
    assert CollectionSchema.construct_from_dict(schema.to_dict()) == schema
    assert copy.deepcopy(schema) == schema
    assert CollectionSchema([PK, VECTOR], "other", enable_dynamic_field=True) != schema


def test_primary_field_can_be_named_by_the_schema() -> None:
    schema = CollectionSchema([FieldSchema("id", DataType.INT64), VECTOR], primary_field="id")
    assert schema.primary_field is schema.fields[0]
    later = CollectionSchema([], primary_field="id", check_fields=False)
    later.add_field("id", DataType.INT64)
    assert later.fields[0].is_primary


@pytest.mark.parametrize(
    ("name", "dtype", "keywords", "message"),
    [
        ("a", DataType.INT64, {"nullible": True}, "a (INT64): unknown keyword 'nullible'"),
        ("a", DataType.INT64, {"dim": 4}, "dim is for vectors alone"),
        ("a", DataType.FLOAT_VECTOR, {"dim": "four"}, "dim must be an integer, got 'four'"),
        ("a", DataType.FLOAT_VECTOR, {"dim": True}, "dim must be an integer, got True"),
        ("a", DataType.INT64, {"is_primary": 1}, "is_primary must be True or False"),
        ("a", DataType.INT64, {"auto_id": True}, "auto_id is for the primary key alone"),
        ("a", "int64", {}, "'int64' is not a DataType"),
        ("a", DataType.INT64, {"max_length": 4}, "max_length is for VARCHAR, and ARRAY of VARCHAR"),
        ("a", DataType.INT64, {"max_capacity": 4}, "max_capacity is for ARRAY alone"),
        ("a", DataType.INT64, {"element_type": DataType.INT8}, "element_type is for ARRAY alone"),
        ("a", DataType.ARRAY, {"element_type": DataType.JSON}, "elements of type JSON"),
        ("a", DataType.ARRAY, {"element_type": "int"}, "element_type: 'int' is not a DataType"),
        ("a", DataType.INT64, {"nullable": 1}, "nullable must be True or False, got 1"),
        ("a", DataType.INT64, {"is_partition_key": "yes"}, "is_partition_key must be True or"),
        ("a", DataType.INT64, {"mmap_enabled": "true"}, "mmap_enabled must be True or False"),
        ("a", DataType.INT64, {"default_value": None}, "default_value=None is for a field with"),
        (7, DataType.INT64, {}, "field name must be a string, got 7"),
    ],
)
def test_a_wrong_field_is_refused_by_name(
    name: Any, dtype: Any, keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParamError) as raised:
        FieldSchema(name, dtype, **keywords)
    assert message in raised.value.message


@pytest.mark.parametrize(
    ("dtype", "keywords", "message"),
    [
        (DataType.INT64, {"is_clustering_key": True}, "place rows on the nodes of a cluster"),
        (DataType.VARCHAR, {"max_length": 9, "enable_analyzer": True}, "full-text search"),
        (DataType.VARCHAR, {"max_length": 9, "enable_match": True}, "enable_match=True"),
        (DataType.VARCHAR, {"analyzer_params": {"type": "english"}}, "analyzer_params="),
        (DataType.ARRAY, {"element_type": DataType.STRUCT}, "arrays of structs are not offered"),
        (DataType.SPARSE_FLOAT_VECTOR, {}, "field a: type SPARSE_FLOAT_VECTOR is not supported"),
        (DataType.GEOMETRY, {}, "field a: type GEOMETRY is not supported by walvec"),
        (DataType.TEXT, {}, "field a: type TEXT is not supported by walvec"),
    ],
)
def test_what_walvec_does_not_offer_is_refused_by_field_and_reason(
    dtype: DataType, keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(NotSupportedException) as raised:
        FieldSchema("a", dtype, **keywords)
    assert "field a" in raised.value.message
    assert message in raised.value.message


@pytest.mark.parametrize(
    "ask",
    [
        lambda: CollectionSchema([PK], functions=["bm25"]),
        lambda: CollectionSchema([PK], clustering_key_field="id"),
        lambda: CollectionSchema([PK], enable_namespace=True),
        lambda: CollectionSchema([PK]).add_function("bm25"),
        lambda: CollectionSchema([PK]).add_struct_field("s"),
    ],
)
def test_schemas_have_no_functions_and_no_clusters(ask: Callable[[], object]) -> None:
    with pytest.raises(NotSupportedException, match="is not supported: "):
        ask()


def test_keywords_that_ask_for_nothing_are_fine() -> None:
    keywords: dict[str, Any] = {"nullable": False, "is_partition_key": False, "max_capacity": None}
    assert FieldSchema("a", DataType.INT64, **keywords) == FieldSchema("a", DataType.INT64)
    CollectionSchema([PK], functions=[], partition_key_field=None, enable_namespace=False)
    with pytest.raises(ParamError, match="unknown keyword 'autoid'"):
        CollectionSchema([PK], autoid=True)


def test_a_schema_without_a_usable_primary_key_is_refused_unless_it_is_to_be_filled() -> None:
    with pytest.raises(SchemaNotReadyException, match="no primary key"):
        CollectionSchema([VECTOR])
    with pytest.raises(SchemaNotReadyException, match="INT64 or VARCHAR, not INT8"):
        CollectionSchema([FieldSchema("id", DataType.INT8, is_primary=True)])
    with pytest.raises(SchemaNotReadyException, match="the primary key is id already"):
        CollectionSchema([PK]).add_field("b", DataType.INT64, is_primary=True)
    with pytest.raises(SchemaNotReadyException):
        CollectionSchema([VECTOR], check_fields=False).verify()


def test_to_schema_numbers_the_fields_and_puts_the_dynamic_one_last() -> None:
    schema = to_schema(CollectionSchema([PK, VECTOR], "d", enable_dynamic_field=True), "c")
    assert schema == Schema(
        (
            Field(100, "id", DataType.INT64, is_primary=True),
            Field(101, "vector", DataType.FLOAT_VECTOR, dim=5),
            Field(102, META_FIELD, DataType.JSON, is_dynamic=True),
        ),
        "d",
    )


def test_from_schema_gives_back_what_to_schema_took() -> None:
    pk = FieldSchema("k", DataType.VARCHAR, is_primary=True, auto_id=True, max_length=64)
    schema = CollectionSchema([pk, VECTOR, FieldSchema("j", DataType.JSON, "doc")], "text")
    assert from_schema(to_schema(schema, "c")) == schema
    schema.enable_dynamic_field = True
    assert from_schema(to_schema(schema, "c")) == schema


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([PK], "has 0 vector fields, must have 1 to 4"),
        ([PK, *(FieldSchema(f"v{i}", 101, dim=2) for i in range(5))], "has 5 vector fields"),
        ([PK, VECTOR, FieldSchema("id", DataType.INT8)], "field id is there twice"),
        ([PK, VECTOR, FieldSchema("1a", DataType.INT8)], "field name '1a'"),
        ([PK, VECTOR, FieldSchema("a b", DataType.INT8)], "field name 'a b'"),
        ([PK, VECTOR, FieldSchema("$meta", DataType.INT8)], "field name '$meta'"),
        ([PK, VECTOR, FieldSchema("like", DataType.INT8)], "field name 'like' is reserved"),
        ([PK, FieldSchema("v", 101)], "field v: dim is missing"),
        ([PK, FieldSchema("v", 101, dim=1)], "field v: dim must be 2 to 32768, got 1"),
        ([PK, FieldSchema("v", 101, dim=32_769)], "dim must be 2 to 32768, got 32769"),
        ([PK, VECTOR, FieldSchema("s", 21)], "field s: max_length is missing"),
        ([PK, VECTOR, FieldSchema("s", 21, max_length=0)], "must be 1 to 65535, got 0"),
        ([PK, VECTOR, FieldSchema("s", 21, max_length=65_536)], "must be 1 to 65535"),
        ([PK, VECTOR, *(FieldSchema(f"f{i}", 2) for i in range(63))], "has 65 fields"),
        ([PK, FieldSchema("v", 100, dim=12)], "dim must be a multiple of 8 bits, got 12"),
        ([PK, FieldSchema("v", 100, dim=262_152)], "dim must be 8 to 262144, got 262152"),
        ([PK, VECTOR, FieldSchema("a", 22, max_capacity=4)], "field a: element_type is missing"),
        ([PK, VECTOR, FieldSchema("a", 22, element_type=5)], "max_capacity is missing, give 1 to"),
        ([PK, VECTOR, array(5, 0)], "field a: max_capacity must be 1 to 4096, got 0"),
        ([PK, VECTOR, array(5, 4097)], "field a: max_capacity must be 1 to 4096, got 4097"),
        ([PK, VECTOR, array(21, 9)], "field a: max_length is missing, give 1 to 65535"),
        ([KEY, VECTOR, FieldSchema("p", 21, max_length=9, is_partition_key=True)], "found id, p"),
        ([PK, VECTOR, partition_key(2)], "a partition key is INT64 or VARCHAR, not INT8"),
        ([PK, VECTOR, partition_key(5, nullable=True)], "a partition key cannot be nullable"),
        ([FieldSchema("id", 5, is_primary=True, nullable=True), VECTOR], "cannot be nullable"),
        ([FieldSchema("id", 5, is_primary=True, default_value=1), VECTOR], "a primary key cannot"),
        ([FieldSchema("id", 5, is_primary=True, is_partition_key=True), VECTOR], "partition key"),
        ([PK, VECTOR, FieldSchema("j", 23, default_value="{}")], "JSON cannot have a default"),
        ([PK, FieldSchema("v", 101, dim=2, default_value=0)], "FLOAT_VECTOR cannot have a default"),
    ],
)
def test_a_schema_that_makes_no_collection_is_refused_by_name(
    fields: list[FieldSchema], message: str
) -> None:
    schema = CollectionSchema([], check_fields=False)
    schema.fields.extend(fields)
    with pytest.raises((ParamError, SchemaNotReadyException)) as raised:
        to_schema(schema, "shelf")
    assert "shelf" in raised.value.message
    assert message in raised.value.message


def test_a_dimension_may_be_given_as_text_as_in_milvus() -> None:
    assert FieldSchema("v", DataType.FLOAT_VECTOR, dim="128").dim == 128


@pytest.mark.parametrize("name", ["a", "_", "A_1", "x" * 255])
def test_names_that_milvus_allows(name: str) -> None:
    check_name("collection", name)


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "ä", "a\n", "x" * 256, None, 7, b"a"])
def test_names_that_milvus_refuses(name: Any) -> None:
    with pytest.raises(ParamError, match="collection name"):
        check_name("collection", name)


def test_field_descriptions_have_the_shape_of_describe_collection() -> None:
    pk = FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True)
    schema = to_schema(CollectionSchema([pk, VECTOR], enable_dynamic_field=True), "c")
    assert field_descriptions(schema) == [
        {
            "field_id": 100,
            "name": "id",
            "description": "",
            "type": DataType.INT64,
            "params": {},
            "auto_id": True,
            "is_primary": True,
        },
        {
            "field_id": 101,
            "name": "vector",
            "description": "",
            "type": DataType.FLOAT_VECTOR,
            "params": {"dim": 5},
        },
    ]
    again = CollectionSchema.construct_from_dict({"fields": field_descriptions(schema)})
    assert again == CollectionSchema([pk, VECTOR])


EVERYTHING: list[FieldSchema] = [
    PK,
    VECTOR,
    FieldSchema("half", DataType.FLOAT16_VECTOR, dim=4, nullable=True),
    FieldSchema("bits", DataType.BINARY_VECTOR, dim=16, mmap_enabled=True),
    FieldSchema("owner", DataType.VARCHAR, max_length=9, is_partition_key=True),
    FieldSchema("flag", DataType.BOOL, default_value=False),
    FieldSchema("size", DataType.INT8, nullable=True, default_value=-3),
    FieldSchema("score", DataType.FLOAT, default_value=2.5),
    FieldSchema("name", DataType.VARCHAR, max_length=9, default_value="none"),
    FieldSchema("seen", DataType.TIMESTAMPTZ, default_value="2025-01-01T00:00:00Z"),
    FieldSchema("tags", DataType.ARRAY, element_type=21, max_capacity=4, max_length=8),
    FieldSchema("ids", DataType.ARRAY, element_type=5, max_capacity=4096, nullable=True),
    FieldSchema("doc", DataType.JSON, nullable=True),
]


def test_every_kind_of_field_goes_into_the_log_and_comes_back() -> None:
    schema = CollectionSchema(EVERYTHING, "text", enable_dynamic_field=True)
    stored = to_schema(schema, "c")
    assert from_schema(stored) == schema
    assert Schema.from_data(stored.to_data()) == stored
    assert CollectionSchema.construct_from_dict(schema.to_dict()) == schema
    again = {"fields": field_descriptions(stored), "enable_dynamic_field": True}
    assert CollectionSchema.construct_from_dict({**again, "description": "text"}) == schema


def test_fields_of_the_log_say_what_was_asked_for() -> None:
    stored = to_schema(CollectionSchema(EVERYTHING), "c").by_name
    assert stored["bits"].properties == (("mmap.enabled", "true"),)
    assert (stored["bits"].dim, stored["bits"].width) == (16, 2)
    assert stored["half"].nullable
    assert stored["owner"].is_partition_key
    assert (stored["size"].default, stored["size"].nullable) == (-3, True)
    assert stored["flag"].default is False
    assert stored["seen"].default == 1_735_689_600_000_000
    tags = stored["tags"]
    assert (tags.element_type, tags.max_capacity, tags.max_length) == (DataType.VARCHAR, 4, 8)


def test_descriptions_have_the_keys_of_pymilvus() -> None:
    described = {
        f["name"]: f for f in field_descriptions(to_schema(CollectionSchema(EVERYTHING), "c"))
    }
    assert described["tags"] == {
        "field_id": 110,
        "name": "tags",
        "description": "",
        "type": DataType.ARRAY,
        "params": {"max_length": 8, "max_capacity": 4},
        "element_type": DataType.VARCHAR,
    }
    assert described["bits"]["params"] == {"dim": 16, "mmap_enabled": True}
    assert described["size"]["default_value"] == -3
    assert described["size"]["nullable"] is True
    assert described["owner"]["is_partition_key"] is True
    assert "nullable" not in described["owner"]


def test_a_partition_key_can_be_named_by_the_schema() -> None:
    owner = FieldSchema("owner", DataType.VARCHAR, max_length=9)
    schema = CollectionSchema([PK, VECTOR, owner], partition_key_field="owner")
    assert schema.partition_key_field is schema.fields[2]
    assert not owner.is_partition_key
    key = to_schema(schema, "c").partition_key
    assert key is not None
    assert key.name == "owner"
    with pytest.raises(SchemaNotReadyException, match="no field owner to be the partition key"):
        CollectionSchema([PK, VECTOR], partition_key_field="owner")
    with pytest.raises(SchemaNotReadyException, match="the partition key is owner already"):
        schema.add_field("other", DataType.INT64, is_partition_key=True)


def test_a_default_time_is_read_and_shown_in_the_timezone_of_the_collection() -> None:
    seen = FieldSchema("seen", DataType.TIMESTAMPTZ, default_value="2025-01-01 08:00:00")
    schema = to_schema(CollectionSchema([PK, VECTOR, seen]), "c", "Asia/Shanghai")
    assert schema.by_name["seen"].default == 1_735_689_600_000_000
    shown = field_descriptions(schema, "Asia/Shanghai")[-1]["default_value"]
    assert shown == "2025-01-01T08:00:00+08:00"
    with pytest.raises(ParamError, match="timezone 'Mars' is not the IANA name"):
        to_schema(CollectionSchema([PK, VECTOR, seen]), "c", "Mars")


@pytest.mark.parametrize(
    ("dtype", "default", "message"),
    [
        (DataType.INT8, 128, "expected an integer from -128 to 127 (INT8), got 128"),
        (DataType.INT64, 1.5, "expected an integer, got 1.5 (float)"),
        (DataType.INT64, True, "expected an integer, got True"),
        (DataType.INT64, [1], "expected an integer, got [1]"),
        (DataType.FLOAT, 1e39, "a finite number within the range of FLOAT"),
        (DataType.DOUBLE, float("nan"), "a finite number"),
        (DataType.BOOL, 1, "expected True or False, got 1"),
        (DataType.VARCHAR, "toolong", "at most 5 bytes of UTF-8 (max_length), not 7"),
        (DataType.VARCHAR, 5, "expected a string, got 5"),
        (DataType.TIMESTAMPTZ, "yesterday", "expected ISO 8601 text such as"),
        (DataType.TIMESTAMPTZ, 5, "expected ISO 8601 text or a datetime"),
    ],
)
def test_a_default_is_checked_as_a_value_is(dtype: DataType, default: Any, message: str) -> None:
    length = {"max_length": 5} if dtype == DataType.VARCHAR else {}
    field = FieldSchema("a", dtype, default_value=default, **length)
    with pytest.raises(ParamError) as raised:
        to_schema(CollectionSchema([PK, VECTOR, field]), "shelf")
    assert "collection shelf: field a: default_value: expected" in raised.value.message
    assert message in raised.value.message


# Fields that are added

PLAIN = to_schema(CollectionSchema([PK, VECTOR], enable_dynamic_field=True), "shelf")


def test_an_added_field_has_the_next_id_and_is_nullable_or_has_a_default() -> None:
    size = new_field(PLAIN, "size", DataType.INT64, "how big", {"nullable": True}, "shelf")
    assert size == Field(103, "size", DataType.INT64, nullable=True, description="how big")
    count = new_field(PLAIN, "count", DataType.INT8, "", {"default_value": 7}, "shelf")
    assert (count.id, count.default, count.nullable) == (103, 7, False)
    later = new_field(PLAIN, "v2", DataType.INT8_VECTOR, "", {"nullable": True, "dim": 3}, "shelf")
    assert (later.is_vector, later.nullable, later.dim) == (True, True, 3)
    when = {"nullable": True, "default_value": "2025-01-01T08:00:00"}
    seen = new_field(PLAIN, "at", DataType.TIMESTAMPTZ, "", when, "shelf", "Asia/Shanghai")
    assert seen.default == 1_735_689_600_000_000


@pytest.mark.parametrize(
    ("name", "dtype", "keywords", "message"),
    [
        ("a", DataType.INT64, {}, "must have nullable=True or a default_value"),
        ("a", DataType.FLOAT_VECTOR, {"dim": 4}, "must have nullable=True"),
        ("a", DataType.INT64, {"is_primary": True}, "a primary key cannot be added"),
        ("a", DataType.INT64, {"is_partition_key": True}, "a partition key cannot be added"),
        ("id", DataType.INT64, {"nullable": True}, "has a field id already"),
        ("$meta", DataType.JSON, {"nullable": True}, "field name '$meta'"),
        ("like", DataType.JSON, {"nullable": True}, "field name 'like' is reserved"),
        ("a", DataType.JSON, {"nullable": True, "default_value": "{}"}, "JSON cannot have a"),
        ("a", DataType.INT64, {"nullible": True}, "unknown keyword 'nullible'"),
    ],
)
def test_a_field_that_cannot_be_added_is_refused(
    name: str, dtype: DataType, keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParamError) as raised:
        new_field(PLAIN, name, dtype, "", keywords, "shelf")
    assert message in raised.value.message


def test_fields_are_added_up_to_the_limits() -> None:
    vectors = [FieldSchema(f"v{i}", 101, dim=2) for i in range(4)]
    full = to_schema(CollectionSchema([PK, *vectors]), "shelf")
    with pytest.raises(SchemaNotReadyException, match="has 5 vector fields"):
        new_field(full, "v5", DataType.FLOAT_VECTOR, "", {"nullable": True, "dim": 2}, "shelf")
    scalars = [FieldSchema(f"f{i}", 2) for i in range(62)]
    full = to_schema(CollectionSchema([PK, VECTOR, *scalars]), "shelf")
    with pytest.raises(SchemaNotReadyException, match="has 65 fields"):
        new_field(full, "more", DataType.INT8, "", {"nullable": True}, "shelf")
