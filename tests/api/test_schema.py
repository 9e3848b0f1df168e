"""Schemas as users write them, and their way into the log and back."""

from __future__ import annotations

import copy
from typing import Any

import pytest

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
        ("a", DataType.INT64, {"dim": 4}, "dim is for FLOAT_VECTOR alone"),
        ("a", DataType.FLOAT_VECTOR, {"dim": "four"}, "dim must be an integer, got 'four'"),
        ("a", DataType.FLOAT_VECTOR, {"dim": True}, "dim must be an integer, got True"),
        ("a", DataType.INT64, {"is_primary": 1}, "is_primary must be True or False"),
        ("a", DataType.INT64, {"auto_id": True}, "auto_id is for the primary key alone"),
        ("a", "int64", {}, "'int64' is not a DataType"),
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
        (DataType.INT64, {"nullable": True}, "field a (INT64): nullable=True is not supported"),
        (DataType.INT64, {"default_value": 3}, "default_value=3"),
        (DataType.INT64, {"default_value": 0}, "default_value=0"),
        (DataType.INT64, {"is_partition_key": True}, "is_partition_key=True"),
        (DataType.VARCHAR, {"max_length": 9, "enable_analyzer": True}, "enable_analyzer=True"),
        (DataType.ARRAY, {}, "field a: type ARRAY is not supported"),
        (DataType.BINARY_VECTOR, {"dim": 8}, "field a: type BINARY_VECTOR is not supported"),
        (DataType.SPARSE_FLOAT_VECTOR, {}, "field a: type SPARSE_FLOAT_VECTOR is not supported"),
    ],
)
def test_what_this_version_lacks_is_refused_by_field_and_type(
    dtype: DataType, keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(NotSupportedException) as raised:
        FieldSchema("a", dtype, **keywords)
    assert message in raised.value.message


def test_keywords_that_ask_for_nothing_are_fine() -> None:
    keywords: dict[str, Any] = {"nullable": False, "is_partition_key": False, "default_value": None}
    assert FieldSchema("a", DataType.INT64, **keywords) == FieldSchema("a", DataType.INT64)
    CollectionSchema([PK], functions=[], partition_key_field=None, enable_namespace=False)
    with pytest.raises(NotSupportedException, match="partition_key_field='a'"):
        CollectionSchema([PK], partition_key_field="a")
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
    ],
)
def test_a_schema_that_makes_no_collection_is_refused_by_name(
    fields: list[FieldSchema], message: str
) -> None:
    with pytest.raises((ParamError, SchemaNotReadyException)) as raised:
        to_schema(CollectionSchema(fields), "shelf")
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
