"""The schema as users write it -> as the log keeps it, and back."""

from __future__ import annotations

from typing import Any

from walvec.collection_schema import CollectionSchema
from walvec.field_rules import check_counts, check_field_name, field_of
from walvec.fields import FieldSchema
from walvec.names import check_name
from walvec.segments.files import MMAP_PROPERTY
from walvec.timestamps import iso_text, zone_of
from walvec.wal.errors import ParamError, SchemaNotReadyException
from walvec.wal.schema import FIRST_FIELD_ID, META_FIELD, VECTORS, DataType, Field, Schema
from walvec.wal.shown import shown

__all__ = [
    "CollectionSchema",
    "FieldSchema",
    "check_name",
    "field_descriptions",
    "field_params",
    "from_schema",
    "to_schema",
]


def to_schema(
    schema: CollectionSchema, collection_name: str, timezone: str | None = None
) -> Schema:
    """The schema for the log: ids from 100 in order, the dynamic field last, everything checked.

    `timezone`: the collection's, an IANA name, for TIMESTAMPTZ defaults that have no offset.
    Raises ParamError for a field that is wrong in itself, SchemaNotReadyException for fields
    that do not make a collection.
    """
    subject = f"collection {collection_name}"
    if not isinstance(schema, CollectionSchema):
        raise ParamError(
            message=f"{subject}: schema must be a CollectionSchema, got {shown(schema)}"
        )
    _check_fields_together(subject, schema)
    zone = zone_of(timezone, f"{subject}: timezone")
    fields = [field_of(subject, FIRST_FIELD_ID + i, f, zone) for i, f in enumerate(schema.fields)]
    if schema.enable_dynamic_field:
        number = FIRST_FIELD_ID + len(fields)
        fields.append(Field(number, META_FIELD, DataType.JSON, is_dynamic=True))
    return Schema(tuple(fields), schema.description)


def _check_fields_together(subject: str, schema: CollectionSchema) -> None:
    names: set[str] = set()
    for field in schema.fields:
        check_field_name(subject, field.name)
        if field.name in names:
            raise SchemaNotReadyException(message=f"{subject}: field {field.name} is there twice")
        names.add(field.name)
    primaries = [f.name for f in schema.fields if f.is_primary]
    if len(primaries) != 1:
        raise SchemaNotReadyException(
            message=f"{subject}: exactly one field must be the primary key, "
            f"found {', '.join(primaries) or 'none'}"
        )
    keys = [f.name for f in schema.fields if f.is_partition_key]
    if len(keys) > 1:
        raise SchemaNotReadyException(
            message=f"{subject}: one field at most can be the partition key, "
            f"found {', '.join(keys)}"
        )
    vectors = sum(f.dtype in VECTORS for f in schema.fields)
    check_counts(subject, len(schema.fields), vectors)


def from_schema(schema: Schema, timezone: str | None = None) -> CollectionSchema:
    """The schema as users write it; the dynamic field becomes `enable_dynamic_field`.

    `timezone`: in which TIMESTAMPTZ defaults are shown.
    """
    fields = []
    for field in schema.fields:
        if field.is_dynamic:
            continue
        kwargs: dict[str, Any] = field_params(field)
        if field.default is not None:
            kwargs["default_value"] = _shown_default(field, timezone)
        if field.is_array:
            kwargs["element_type"] = field.element_type
        fields.append(
            FieldSchema(
                field.name,
                field.type,
                field.description,
                is_primary=field.is_primary,
                auto_id=field.auto_id,
                is_partition_key=field.is_partition_key,
                nullable=field.nullable,
                **kwargs,
            )
        )
    return CollectionSchema(
        fields, schema.description, enable_dynamic_field=schema.dynamic is not None
    )


def _shown_default(field: Field, timezone: str | None) -> Any:
    if field.type == DataType.TIMESTAMPTZ:
        assert isinstance(field.default, int)
        return iso_text(field.default, zone_of(timezone))
    return field.default


def field_params(field: Field) -> dict[str, Any]:
    """What its type and its properties say: `{"dim": ...}`, `{"max_length": ...}`, `{}`, ..."""
    params: dict[str, Any] = {}
    mapped = dict(field.properties).get(MMAP_PROPERTY)
    if mapped is not None:
        params["mmap_enabled"] = mapped == "true"
    if field.is_vector:
        params["dim"] = field.dim
    if field.max_length:
        params["max_length"] = field.max_length
    if field.is_array:
        params["max_capacity"] = field.max_capacity
    return params


def field_descriptions(schema: Schema, timezone: str | None = None) -> list[dict[str, Any]]:
    """The fields as `MilvusClient.describe_collection` shows them, the dynamic one left out.

    `timezone`: in which TIMESTAMPTZ defaults are shown.
    """
    descriptions = []
    for field in schema.fields:
        if field.is_dynamic:
            continue
        description: dict[str, Any] = {
            "field_id": field.id,
            "name": field.name,
            "description": field.description,
            "type": field.type,
            "params": field_params(field),
        }
        if field.default is not None:
            description["default_value"] = _shown_default(field, timezone)
        if field.is_array:
            description["element_type"] = field.element_type
        for flag in ("is_partition_key", "auto_id", "nullable", "is_primary"):
            if getattr(field, flag):
                description[flag] = True
        descriptions.append(description)
    return descriptions
