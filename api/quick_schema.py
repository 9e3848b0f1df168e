"""The schema of create_collection's quick form: primary key, vector, dynamic field."""

from __future__ import annotations

from typing import Any

from walvec.schema import CollectionSchema
from walvec.wal.errors import ParamError
from walvec.wal.schema import DataType
from walvec.wal.shown import shown

ID_TYPES = {
    "int": DataType.INT64,
    "integer": DataType.INT64,
    DataType.INT64: DataType.INT64,
    "str": DataType.VARCHAR,
    "string": DataType.VARCHAR,
    DataType.VARCHAR: DataType.VARCHAR,
}
"""The spellings of `id_type` that pymilvus accepts."""


def quick_schema(
    dimension: int | None,
    primary_field_name: str,
    id_type: str | DataType,
    vector_field_name: str,
    auto_id: bool,
    options: dict[str, Any],
) -> CollectionSchema:
    """Primary key, vector, dynamic field."""
    if dimension is None:
        raise ParamError(message="create_collection() needs a dimension or a schema")
    if not isinstance(id_type, str | int) or id_type not in ID_TYPES:
        raise ParamError(message=f"id_type {shown(id_type)} is not one of int, string")
    schema = CollectionSchema(
        [],
        check_fields=False,
        auto_id=auto_id,
        enable_dynamic_field=options.get("enable_dynamic_field", True),
        description=options.get("description", ""),
    )
    length = {"max_length": options.get("max_length", 65_535)}
    kind = ID_TYPES[id_type]
    schema.add_field(
        primary_field_name,
        kind,
        is_primary=True,
        auto_id=auto_id,
        **(length if kind is DataType.VARCHAR else {}),
    )
    schema.add_field(vector_field_name, DataType.FLOAT_VECTOR, dim=dimension)
    return schema
