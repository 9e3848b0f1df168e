"""The schema as users write it, pymilvus' `CollectionSchema`, and its way into the log and back."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from walvec.arguments import check_dict, check_flag, check_text
from walvec.fields import FieldSchema, checked_flag, refuse_keywords
from walvec.names import RESERVED, check_name
from walvec.wal.errors import ParamError, SchemaNotReadyException
from walvec.wal.schema import FIRST_FIELD_ID, META_FIELD, DataType, Field, Schema
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

PRIMARY_TYPES = (DataType.INT64, DataType.VARCHAR)
MAX_FIELDS = 64
MAX_VECTOR_FIELDS = 4
MAX_LENGTH = 65_535
MIN_DIM, MAX_DIM = 2, 32_768
"""Milvus' limits; it refuses dimension 1."""

SCHEMA_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "partition_key_field": (None, ""),
    "clustering_key_field": (None, ""),
    "clustering_key_field_name": (None, ""),
    "struct_fields": (None, []),
    "functions": (None, []),
    "enable_namespace": (None, False),
    "external_source": (None, ""),
    "external_spec": (None, ""),
}


class CollectionSchema:
    """The fields of a collection, in order: `CollectionSchema([FieldSchema(...), ...])`.

    Keywords: description, auto_id, enable_dynamic_field, primary_field (a field's name),
    check_fields (False: allow a schema without primary key, to be filled with `add_field`).
    The fields are copied.
    """

    def __init__(self, fields: Sequence[FieldSchema], description: str = "", **kwargs: Any) -> None:
        if not isinstance(fields, list | tuple):
            raise ParamError(message=f"fields must be a list of FieldSchema, got {shown(fields)}")
        for field in fields:
            if not isinstance(field, FieldSchema):
                raise ParamError(message=f"fields must be FieldSchema objects, got {shown(field)}")
        own = {"auto_id", "enable_dynamic_field", "primary_field", "check_fields"}
        refuse_keywords("schema", {k: v for k, v in kwargs.items() if k not in own}, SCHEMA_NEUTRAL)
        self._description = check_text("schema: description", description)
        self._auto_id = checked_flag("schema", "auto_id", kwargs.get("auto_id", False))
        self._dynamic = False
        dynamic, primary = kwargs.get("enable_dynamic_field"), kwargs.get("primary_field")
        self.enable_dynamic_field = False if dynamic is None else dynamic
        self._primary_name = None if primary is None else check_text("primary_field", primary)
        self._primary: FieldSchema | None = None
        self._fields: list[FieldSchema] = []
        for field in fields:
            self._append(copy.deepcopy(field))
        if check_flag("schema: check_fields", kwargs.get("check_fields", True)):
            self.verify()

    @property
    def fields(self) -> list[FieldSchema]:
        """The fields in order; the dynamic one is not among them."""
        return self._fields

    @property
    def primary_field(self) -> FieldSchema | None:
        """The primary key, None while there is none."""
        return self._primary

    @property
    def description(self) -> str:
        """As given, empty where none was."""
        return self._description

    @property
    def auto_id(self) -> bool:
        """Whether the store makes the primary keys."""
        return self._auto_id if self._primary is None else self._primary.auto_id

    @auto_id.setter
    def auto_id(self, value: bool) -> None:
        self._auto_id = checked_flag("schema", "auto_id", value)
        if self._primary is not None:
            self._primary.auto_id = value

    @property
    def enable_dynamic_field(self) -> bool:
        """Whether rows may have keys that are no fields."""
        return self._dynamic

    @enable_dynamic_field.setter
    def enable_dynamic_field(self, value: bool) -> None:
        self._dynamic = checked_flag("schema", "enable_dynamic_field", value)

    def add_field(
        self, field_name: str, datatype: DataType | int, **kwargs: Any
    ) -> CollectionSchema:
        """Append a field; keywords as for `FieldSchema`. Returns the schema itself."""
        self._append(FieldSchema(field_name, datatype, **kwargs))
        return self

    def _append(self, field: FieldSchema) -> None:
        if field.name == self._primary_name:
            field.is_primary = True
        if field.is_primary:
            if self._primary is not None:
                raise SchemaNotReadyException(
                    message=f"field {field.name}: the primary key is {self._primary.name} already"
                )
            self._primary = field
            field.auto_id = field.auto_id or self._auto_id
        self._fields.append(field)

    def verify(self) -> None:
        """Raise SchemaNotReadyException unless there is a primary key of INT64 or VARCHAR.

        Everything else is looked at when a collection is created.
        """
        if self._primary is None:
            wanted = f" {self._primary_name}" if self._primary_name else ""
            raise SchemaNotReadyException(message=f"schema has no primary key field{wanted}")
        if self._primary.dtype not in PRIMARY_TYPES:
            raise SchemaNotReadyException(
                message=f"field {self._primary.name}: a primary key is INT64 or VARCHAR, "
                f"not {self._primary.dtype.name}"
            )

    def to_dict(self) -> dict[str, Any]:
        """The schema as a dictionary, with pymilvus' keys."""
        return {
            "auto_id": self.auto_id,
            "description": self._description,
            "fields": [f.to_dict() for f in self._fields],
            "enable_dynamic_field": self._dynamic,
            "enable_namespace": False,
        }

    @classmethod
    def construct_from_dict(cls, raw: Mapping[str, Any]) -> CollectionSchema:
        """The schema of a `to_dict()`, or of what `describe_collection` returns."""
        given = check_dict("a schema", raw)
        if not isinstance(given.get("fields"), list | tuple):
            raise ParamError(message=f"a schema needs a list of fields, got {shown(given)}")
        fields = [FieldSchema.construct_from_dict(f) for f in given["fields"]]
        dynamic = given.get("enable_dynamic_field", False)
        return cls(fields, given.get("description", ""), enable_dynamic_field=dynamic)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CollectionSchema) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        data = self.to_dict()
        del data["enable_namespace"]
        if not self._dynamic:
            del data["enable_dynamic_field"]
        return str(data)


def to_schema(schema: CollectionSchema, collection_name: str) -> Schema:
    """The schema for the log: ids from 100 in order, the dynamic field last, everything checked.

    Raises ParamError for a field that is wrong in itself, SchemaNotReadyException for fields
    that do not make a collection.
    """
    subject = f"collection {collection_name}"
    if not isinstance(schema, CollectionSchema):
        raise ParamError(
            message=f"{subject}: schema must be a CollectionSchema, got {shown(schema)}"
        )
    _check_fields_together(subject, schema)
    fields = [_field(subject, FIRST_FIELD_ID + i, f) for i, f in enumerate(schema.fields)]
    if schema.enable_dynamic_field:
        number = FIRST_FIELD_ID + len(fields)
        fields.append(Field(number, META_FIELD, DataType.JSON, is_dynamic=True))
    return Schema(tuple(fields), schema.description)


def _check_fields_together(subject: str, schema: CollectionSchema) -> None:
    names: set[str] = set()
    for field in schema.fields:
        check_name(f"{subject}: field", field.name)
        if field.name in RESERVED:
            raise ParamError(message=f"{subject}: field name {field.name!r} is reserved")
        if field.name in names:
            raise SchemaNotReadyException(message=f"{subject}: field {field.name} is there twice")
        names.add(field.name)
    primaries = [f for f in schema.fields if f.is_primary]
    if len(primaries) != 1:
        found = ", ".join(f.name for f in primaries) or "none"
        raise SchemaNotReadyException(
            message=f"{subject}: exactly one field must be the primary key, found {found}"
        )
    vectors = sum(f.dtype == DataType.FLOAT_VECTOR for f in schema.fields)
    if not 1 <= vectors <= MAX_VECTOR_FIELDS:
        raise SchemaNotReadyException(
            message=f"{subject}: has {vectors} vector fields, must have 1 to {MAX_VECTOR_FIELDS}"
        )
    if len(schema.fields) > MAX_FIELDS:
        raise SchemaNotReadyException(
            message=f"{subject}: has {len(schema.fields)} fields, at most {MAX_FIELDS} are allowed"
        )


def _field(subject: str, number: int, field: FieldSchema) -> Field:
    subject = f"{subject}: field {field.name}"
    if field.is_primary and field.dtype not in PRIMARY_TYPES:
        raise SchemaNotReadyException(
            message=f"{subject}: a primary key is INT64 or VARCHAR, not {field.dtype.name}"
        )
    if field.auto_id and not field.is_primary:
        raise ParamError(message=f"{subject}: auto_id is for the primary key alone")
    dim = max_length = 0
    if field.dtype == DataType.FLOAT_VECTOR:
        dim = _within(subject, "dim", field.dim, MIN_DIM, MAX_DIM)
    if field.dtype == DataType.VARCHAR:
        max_length = _within(subject, "max_length", field.max_length, 1, MAX_LENGTH)
    return Field(
        id=number,
        name=field.name,
        type=field.dtype,
        dim=dim,
        max_length=max_length,
        is_primary=field.is_primary,
        auto_id=field.auto_id,
        description=field.description,
    )


def _within(subject: str, name: str, value: int | None, low: int, high: int) -> int:
    if value is None:
        raise ParamError(message=f"{subject}: {name} is missing, give {low} to {high}")
    if not low <= value <= high:
        raise ParamError(message=f"{subject}: {name} must be {low} to {high}, got {value}")
    return value


def from_schema(schema: Schema) -> CollectionSchema:
    """The schema as users write it; the dynamic field becomes `enable_dynamic_field`."""
    fields = [
        FieldSchema(
            f.name,
            f.type,
            f.description,
            is_primary=f.is_primary,
            auto_id=f.auto_id,
            **field_params(f),
        )
        for f in schema.fields
        if not f.is_dynamic
    ]
    return CollectionSchema(
        fields, schema.description, enable_dynamic_field=schema.dynamic is not None
    )


def field_params(field: Field) -> dict[str, Any]:
    """`{"dim": ...}`, `{"max_length": ...}` or `{}`."""
    if field.is_vector:
        return {"dim": field.dim}
    return {"max_length": field.max_length} if field.type == DataType.VARCHAR else {}


def field_descriptions(schema: Schema) -> list[dict[str, Any]]:
    """The fields as `MilvusClient.describe_collection` shows them, the dynamic one left out."""
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
        if field.auto_id:
            description["auto_id"] = True
        if field.is_primary:
            description["is_primary"] = True
        descriptions.append(description)
    return descriptions
