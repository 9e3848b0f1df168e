"""Data frames: the schema that one has by its columns, and its rows as dicts."""

from __future__ import annotations

from typing import Any

import numpy as np

from walvec.arguments import check_flag, check_text
from walvec.collection_schema import CollectionSchema
from walvec.field_rules import MAX_LENGTH
from walvec.fields import FieldSchema
from walvec.wal.errors import CannotInferSchemaException, SchemaNotReadyException
from walvec.wal.schema import DataType
from walvec.wal.shown import shown

BY_DTYPE = {
    "bool": DataType.BOOL,
    "int8": DataType.INT8,
    "int16": DataType.INT16,
    "int32": DataType.INT32,
    "int64": DataType.INT64,
    "uint8": DataType.INT8,
    "uint16": DataType.INT16,
    "uint32": DataType.INT32,
    "uint64": DataType.INT64,
    "float16": DataType.FLOAT,
    "float32": DataType.FLOAT,
    "float64": DataType.DOUBLE,
    "string": DataType.VARCHAR,
    "str": DataType.VARCHAR,
}
"""pymilvus' types of numpy's and pandas' columns; values that do not fit are refused by name."""


def is_frame(data: Any) -> bool:
    """Whether it is a data frame, of pandas or of polars."""
    return hasattr(data, "columns") and hasattr(data, "dtypes")


def rows_of_frame(frame: Any) -> list[dict[str, Any]]:
    """The rows of a data frame as dicts, None for null."""
    rows: list[dict[str, Any]]
    if hasattr(frame, "to_dicts"):
        rows = frame.to_dicts()
    else:
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return rows


def without_null_keys(frame: Any, primary: Any, auto_id: Any) -> Any:
    """The frame, without the empty column of automatic keys. Raises SchemaNotReadyException."""
    if not is_frame(frame):
        raise SchemaNotReadyException(message=f"{shown(frame)} is not a pandas DataFrame")
    if primary is None:
        raise SchemaNotReadyException(message="primary_field must name the primary key's column")
    if check_text("primary_field", primary) not in list(frame.columns):
        raise SchemaNotReadyException(message=f"the data frame has no column {shown(primary)}")
    if not check_flag("auto_id", auto_id):
        return frame
    if not frame[primary].isnull().all():
        raise SchemaNotReadyException(
            message=f"with auto_id the store makes the keys: column {primary} must be empty"
        )
    return frame.drop(columns=primary)


def schema_of_frame(frame: Any, primary: str, auto_id: bool) -> CollectionSchema:
    """A field for each column, and the primary key. Raises CannotInferSchemaException."""
    fields = []
    if auto_id:
        fields.append(FieldSchema(primary, DataType.INT64, is_primary=True, auto_id=True))
    for name in frame.columns:
        column = frame[name]
        kind = BY_DTYPE.get(str(column.dtype))
        params: dict[str, Any] = {"is_primary": True} if name == primary else {}
        if kind is None:
            kind, dim = _by_value(name, column)
            params |= {"dim": dim} if dim else {}
        if kind is DataType.VARCHAR:
            params["max_length"] = MAX_LENGTH
        fields.append(FieldSchema(name, kind, **params))
    return CollectionSchema(fields)


def _by_value(name: Any, column: Any) -> tuple[DataType, int]:
    """The type that the first value of a column has, and the dimension of a vector."""
    first = column.iloc[0] if len(column) else None
    kinds = (
        ((bool, np.bool_), DataType.BOOL),
        ((int, np.int64), DataType.INT64),
        (np.float32, DataType.FLOAT),
        (float, DataType.DOUBLE),
        (str, DataType.VARCHAR),
        (dict, DataType.JSON),
    )
    for kinds_of_python, kind in kinds:
        if isinstance(first, kinds_of_python):
            return kind, 0
    if isinstance(first, bytes) and first:
        return DataType.BINARY_VECTOR, 8 * len(first)
    if isinstance(first, list | tuple | np.ndarray) and _is_vector(first):
        return DataType.FLOAT_VECTOR, len(first)
    raise CannotInferSchemaException(
        message=f"column {name}: its first value {shown(first)} does not tell the field's type: "
        "make the Collection with a schema"
    )


def _is_vector(values: Any) -> bool:
    numbers = all(
        isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in values
    )
    return len(values) > 0 and numbers
