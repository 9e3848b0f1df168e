"""One field as the log keeps it, checked: limits of types, defaults, what goes with what."""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo
from typing import Any

from walvec.cells import CONVERTERS, Place
from walvec.collection_schema import check_key_type
from walvec.fields import FieldSchema
from walvec.names import RESERVED, check_name
from walvec.segments.files import MMAP_PROPERTY
from walvec.timestamps import zone_of
from walvec.wal.errors import DataNotMatchException, ParamError, SchemaNotReadyException
from walvec.wal.schema import VECTORS, DataType, Field, Schema

MAX_FIELDS = 64
MAX_VECTOR_FIELDS = 4
MAX_LENGTH = 65_535
MAX_CAPACITY = 4_096
MIN_DIM, MAX_DIM = 2, 32_768
"""Milvus' limits as it is installed; it refuses dimension 1."""
BITS = 8
NO_DEFAULT = VECTORS | {DataType.JSON, DataType.ARRAY}


def check_field_name(subject: str, name: str) -> None:
    """Raise ParamError unless a field may have the name. `subject`: the collection."""
    check_name(f"{subject}: field", name)
    if name in RESERVED:
        raise ParamError(message=f"{subject}: field name {name!r} is reserved")


def field_of(subject: str, number: int, field: FieldSchema, zone: tzinfo) -> Field:
    """The field with id `number`. `zone`: of a TIMESTAMPTZ default that has no offset.

    Raises ParamError, SchemaNotReadyException.
    """
    subject = f"{subject}: field {field.name}"
    _check_roles(subject, field)
    dim = max_length = max_capacity = 0
    if field.dtype in VECTORS:
        dim = _dim(subject, field)
    if DataType.VARCHAR in (field.dtype, field.element_type):
        max_length = _within(subject, "max_length", field.max_length, 1, MAX_LENGTH)
    if field.dtype == DataType.ARRAY:
        if field.element_type is None:
            raise ParamError(message=f"{subject}: element_type is missing, an ARRAY needs one")
        max_capacity = _within(subject, "max_capacity", field.max_capacity, 1, MAX_CAPACITY)
    mapped = field.mmap_enabled
    plain = Field(
        id=number,
        name=field.name,
        type=field.dtype,
        dim=dim,
        max_length=max_length,
        is_primary=field.is_primary,
        auto_id=field.auto_id,
        description=field.description,
        nullable=field.nullable,
        element_type=field.element_type or DataType.NONE,
        max_capacity=max_capacity,
        is_partition_key=field.is_partition_key,
        properties=() if mapped is None else ((MMAP_PROPERTY, str(mapped).lower()),),
    )
    if field.default_value is None:
        return plain
    return replace(plain, default=_default(subject, plain, field.default_value, zone))


def _check_roles(subject: str, field: FieldSchema) -> None:
    if field.is_primary:
        check_key_type(f"{subject}: a primary key", field.dtype)
        if field.nullable:
            raise ParamError(message=f"{subject}: a primary key cannot be nullable")
        if field.is_partition_key:
            raise ParamError(message=f"{subject}: the primary key cannot be the partition key")
    elif field.auto_id:
        raise ParamError(message=f"{subject}: auto_id is for the primary key alone")
    if field.is_partition_key:
        check_key_type(f"{subject}: a partition key", field.dtype)
        if field.nullable:
            raise ParamError(message=f"{subject}: a partition key cannot be nullable")


def _dim(subject: str, field: FieldSchema) -> int:
    if field.dtype != DataType.BINARY_VECTOR:
        return _within(subject, "dim", field.dim, MIN_DIM, MAX_DIM)
    bits = _within(subject, "dim", field.dim, BITS, BITS * MAX_DIM)
    if bits % BITS:
        raise ParamError(message=f"{subject}: dim must be a multiple of {BITS} bits, got {bits}")
    return bits


def _within(subject: str, name: str, value: int | None, low: int, high: int) -> int:
    if value is None:
        raise ParamError(message=f"{subject}: {name} is missing, give {low} to {high}")
    if not low <= value <= high:
        raise ParamError(message=f"{subject}: {name} must be {low} to {high}, got {value}")
    return value


def _default(subject: str, field: Field, value: Any, zone: tzinfo) -> bool | int | float | str:
    """The default as a column holds it, checked as the value of a row is."""
    if field.is_primary:
        raise ParamError(message=f"{subject}: a primary key cannot have a default_value")
    if field.type in NO_DEFAULT:
        raise ParamError(
            message=f"{subject}: a field of type {field.type.name} cannot have a default_value"
        )
    try:
        column = CONVERTERS[field.type]([value], Place("", field, zone))
    except DataNotMatchException as error:
        wanted = error.message.partition(": expected ")[2]
        raise ParamError(message=f"{subject}: default_value: expected {wanted}") from None
    found: bool | int | float | str = column.text(0) if field.is_text else column.values[0].item()
    return found


def new_field(
    schema: Schema,
    name: str,
    dtype: DataType | int,
    desc: str,
    kwargs: dict[str, Any],
    collection_name: str,
    timezone: str | None = None,
) -> Field:
    """A field to add to a collection that may have rows: they get its default, or are null in it.

    `kwargs` as for `FieldSchema`; `timezone` is the collection's. As in Milvus it must be
    nullable; a scalar with a default may also do without. Raises ParamError,
    SchemaNotReadyException, NotSupportedException.
    """
    subject = f"collection {collection_name}"
    wish = FieldSchema(name, dtype, desc, **kwargs)
    check_field_name(subject, wish.name)
    for role, is_that in (("primary", wish.is_primary), ("partition", wish.is_partition_key)):
        if is_that:
            raise ParamError(message=f"{subject}: field {wish.name}: a {role} key cannot be added")
    if wish.name in schema.by_name:
        raise ParamError(message=f"{subject}: has a field {wish.name} already")
    if not wish.nullable and wish.default_value is None:
        raise ParamError(
            message=f"{subject}: field {wish.name}: a field that is added must have nullable=True "
            "or a default_value, for the rows that are there"
        )
    field = field_of(subject, max(f.id for f in schema.fields) + 1, wish, zone_of(timezone))
    plain = [f for f in schema.fields if not f.is_dynamic]
    check_counts(subject, len(plain) + 1, len(schema.vectors) + field.is_vector)
    return field


def check_counts(subject: str, fields: int, vectors: int) -> None:
    """Raise SchemaNotReadyException unless a collection can have so many fields."""
    if not 1 <= vectors <= MAX_VECTOR_FIELDS:
        raise SchemaNotReadyException(
            message=f"{subject}: has {vectors} vector fields, must have 1 to {MAX_VECTOR_FIELDS}"
        )
    if fields > MAX_FIELDS:
        raise SchemaNotReadyException(
            message=f"{subject}: has {fields} fields, at most {MAX_FIELDS} are allowed"
        )
