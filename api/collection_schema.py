"""The fields of a collection as users write them: pymilvus' `CollectionSchema`."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from walvec.arguments import check_dict, check_flag, check_text
from walvec.fields import (
    NO_CLUSTERING,
    NO_EXTERNAL,
    NO_FUNCTIONS,
    NO_STRUCTS,
    FieldSchema,
    Neutral,
    refuse_keywords,
)
from walvec.wal.errors import NotSupportedException, ParamError, SchemaNotReadyException
from walvec.wal.schema import DataType
from walvec.wal.shown import shown

KEY_TYPES = (DataType.INT64, DataType.VARCHAR)
"""Of primary keys and of partition keys."""
OWN = (
    "auto_id",
    "enable_dynamic_field",
    "primary_field",
    "partition_key_field",
    "check_fields",
)
SCHEMA_NEUTRAL: Neutral = {
    "clustering_key_field": ((None, ""), NO_CLUSTERING),
    "clustering_key_field_name": ((None, ""), NO_CLUSTERING),
    "struct_fields": ((None, []), NO_STRUCTS),
    "functions": ((None, []), NO_FUNCTIONS),
    "enable_namespace": ((None, False), "namespaces are not offered, use a partition key"),
    "external_source": ((None, ""), NO_EXTERNAL),
    "external_spec": ((None, ""), NO_EXTERNAL),
}


class CollectionSchema:
    """The fields of a collection, in order: `CollectionSchema([FieldSchema(...), ...])`.

    Keywords: description, auto_id, enable_dynamic_field, primary_field and partition_key_field
    (names of fields), check_fields (False: allow a schema without primary key, to be filled
    with `add_field`). The fields are copied.
    """

    def __init__(self, fields: Sequence[FieldSchema], description: str = "", **kwargs: Any) -> None:
        if not isinstance(fields, list | tuple):
            raise ParamError(message=f"fields must be a list of FieldSchema, got {shown(fields)}")
        for field in fields:
            if not isinstance(field, FieldSchema):
                raise ParamError(message=f"fields must be FieldSchema objects, got {shown(field)}")
        refuse_keywords("schema", {k: v for k, v in kwargs.items() if k not in OWN}, SCHEMA_NEUTRAL)
        self._description = check_text("schema: description", description)
        self._auto_id = check_flag("schema: auto_id", kwargs.get("auto_id", False))
        self._dynamic = False
        dynamic = kwargs.get("enable_dynamic_field")
        self.enable_dynamic_field = False if dynamic is None else dynamic
        primary, key = kwargs.get("primary_field"), kwargs.get("partition_key_field")
        self._primary_name = "" if primary is None else check_text("primary_field", primary)
        self._partition_key_name = "" if key is None else check_text("partition_key_field", key)
        self._primary: FieldSchema | None = None
        self._partition_key: FieldSchema | None = None
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
    def partition_key_field(self) -> FieldSchema | None:
        """The field whose values choose the partition of a row, None where there is none."""
        return self._partition_key

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
        self._auto_id = check_flag("schema: auto_id", value)
        if self._primary is not None:
            self._primary.auto_id = value

    @property
    def enable_dynamic_field(self) -> bool:
        """Whether rows may have keys that are no fields."""
        return self._dynamic

    @enable_dynamic_field.setter
    def enable_dynamic_field(self, value: bool) -> None:
        self._dynamic = check_flag("schema: enable_dynamic_field", value)

    def add_field(
        self, field_name: str, datatype: DataType | int, **kwargs: Any
    ) -> CollectionSchema:
        """Append a field; keywords as for `FieldSchema`. Returns the schema itself."""
        self._append(FieldSchema(field_name, datatype, **kwargs))
        return self

    @property
    def functions(self) -> list[Any]:
        """None: there are no functions."""
        return []

    @property
    def struct_fields(self) -> list[Any]:
        """None: there are no struct fields."""
        return []

    @property
    def enable_namespace(self) -> bool:
        """False: there are no namespaces."""
        return False

    def add_function(self, function: Any) -> NoReturn:
        """Always raises NotSupportedException."""
        raise NotSupportedException(message=f"add_function is not supported: {NO_FUNCTIONS}")

    def add_struct_field(self, struct_field_schema: Any) -> NoReturn:
        """Always raises NotSupportedException."""
        raise NotSupportedException(message=f"add_struct_field is not supported: {NO_STRUCTS}")

    def _append(self, field: FieldSchema) -> None:
        field.is_primary |= field.name == self._primary_name
        field.is_partition_key |= field.name == self._partition_key_name
        if field.is_primary:
            _check_only("primary key", self._primary, field)
        if field.is_partition_key:
            _check_only("partition key", self._partition_key, field)
            self._partition_key = field
        if field.is_primary:
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
        check_key_type(f"field {self._primary.name}: a primary key", self._primary.dtype)
        if self._partition_key is not None:
            subject = f"field {self._partition_key.name}: a partition key"
            check_key_type(subject, self._partition_key.dtype)
        elif self._partition_key_name:
            raise SchemaNotReadyException(
                message=f"schema has no field {self._partition_key_name} to be the partition key"
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


def _check_only(role: str, present: FieldSchema | None, field: FieldSchema) -> None:
    if present is not None:
        raise SchemaNotReadyException(
            message=f"field {field.name}: the {role} is {present.name} already"
        )


def check_key_type(subject: str, dtype: DataType) -> None:
    """Raise SchemaNotReadyException unless a key can have the type."""
    if dtype not in KEY_TYPES:
        raise SchemaNotReadyException(message=f"{subject} is INT64 or VARCHAR, not {dtype.name}")
