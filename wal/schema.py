"""The schema of a collection as it stands in the log: plain, frozen, comparable data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

META_FIELD = "$meta"
FIRST_FIELD_ID = 100
"""Milvus keeps field ids below 100 for itself."""


class DataType(IntEnum):
    """The types of fields, with Milvus' numbers."""

    NONE = 0
    BOOL = 1
    INT8 = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    FLOAT = 10
    DOUBLE = 11
    STRING = 20
    VARCHAR = 21
    ARRAY = 22
    JSON = 23
    GEOMETRY = 24
    TEXT = 25
    TIMESTAMPTZ = 26
    BINARY_VECTOR = 100
    FLOAT_VECTOR = 101
    FLOAT16_VECTOR = 102
    BFLOAT16_VECTOR = 103
    SPARSE_FLOAT_VECTOR = 104
    INT8_VECTOR = 105
    STRUCT = 201
    UNKNOWN = 999

    def __str__(self) -> str:
        return str(self.value)


INTEGERS = frozenset({DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64})
FLOATS = frozenset({DataType.FLOAT, DataType.DOUBLE})
TEXTS = frozenset({DataType.VARCHAR, DataType.JSON})
DENSE_VECTORS = frozenset(
    {
        DataType.FLOAT_VECTOR,
        DataType.FLOAT16_VECTOR,
        DataType.BFLOAT16_VECTOR,
        DataType.INT8_VECTOR,
    }
)
VECTORS = DENSE_VECTORS | {DataType.BINARY_VECTOR}
ELEMENTS = INTEGERS | FLOATS | {DataType.BOOL, DataType.VARCHAR}
"""What an ARRAY may hold."""
STORED = INTEGERS | FLOATS | TEXTS | VECTORS | {DataType.BOOL, DataType.ARRAY, DataType.TIMESTAMPTZ}
"""The types that a collection can hold; the others have a number and nothing more."""
VECTOR_ITEM_BYTES = {
    DataType.FLOAT_VECTOR: 4,
    DataType.FLOAT16_VECTOR: 2,
    DataType.BFLOAT16_VECTOR: 2,
    DataType.INT8_VECTOR: 1,
    DataType.BINARY_VECTOR: 1,
}


@dataclass(frozen=True)
class Field:
    """One field. `id` is its identity in the log and in files, for ever.

    `dim` of a vector: components, for BINARY_VECTOR bits. `max_length`: bytes of UTF-8 of a
    VARCHAR, or of each element of an ARRAY of them. `default`: what a row without a value gets,
    None for none (a nullable field is null then); TIMESTAMPTZ in microseconds since 1970.
    """

    id: int
    name: str
    type: DataType
    dim: int = 0
    max_length: int = 0
    is_primary: bool = False
    auto_id: bool = False
    is_dynamic: bool = False
    description: str = ""
    nullable: bool = False
    default: bool | int | float | str | None = None
    element_type: DataType = DataType.NONE
    max_capacity: int = 0
    is_partition_key: bool = False
    properties: tuple[tuple[str, str], ...] = ()

    @property
    def is_vector(self) -> bool:
        return self.type in VECTORS

    @property
    def is_text(self) -> bool:
        """Whether rows are variable-length UTF-8 (VARCHAR, or JSON text)."""
        return self.type in TEXTS

    @property
    def is_array(self) -> bool:
        """Whether a row has any number of elements."""
        return self.type is DataType.ARRAY

    @property
    def width(self) -> int:
        """Items of a row of a vector field in its column: components, or bytes of bits."""
        return self.dim // 8 if self.type is DataType.BINARY_VECTOR else self.dim

    @property
    def row_bytes(self) -> int:
        """Bytes of one vector."""
        return self.width * VECTOR_ITEM_BYTES[self.type]

    def to_data(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "type": int(self.type),
            "dim": self.dim,
            "max_length": self.max_length,
            "is_primary": self.is_primary,
            "auto_id": self.auto_id,
            "is_dynamic": self.is_dynamic,
            "description": self.description,
            "nullable": self.nullable,
            "default": self.default,
            "element_type": int(self.element_type),
            "max_capacity": self.max_capacity,
            "is_partition_key": self.is_partition_key,
            "properties": dict(self.properties),
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Field:
        """The reverse of `to_data`; what an older walvec did not write has its default."""
        plain = {**data, "type": DataType(data["type"])}
        plain["element_type"] = DataType(data.get("element_type", 0))
        plain["properties"] = tuple(sorted(data.get("properties", {}).items()))
        return cls(**plain)


@dataclass(frozen=True)
class Schema:
    """The fields of a collection in order. The dynamic field, if enabled, is the last: `$meta`."""

    fields: tuple[Field, ...]
    description: str = ""
    by_name: dict[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {f.name: f for f in self.fields})

    @cached_property
    def primary(self) -> Field:
        return next(f for f in self.fields if f.is_primary)

    @cached_property
    def vectors(self) -> tuple[Field, ...]:
        return tuple(f for f in self.fields if f.is_vector)

    @cached_property
    def vector_bytes(self) -> int:
        """Bytes of one row's vectors: what the upper limit of a growing segment counts."""
        return sum(f.row_bytes for f in self.vectors)

    @cached_property
    def partition_key(self) -> Field | None:
        """The field whose values choose a row's partition, if there is one."""
        return next((f for f in self.fields if f.is_partition_key), None)

    @cached_property
    def dynamic(self) -> Field | None:
        return next((f for f in self.fields if f.is_dynamic), None)

    @cached_property
    def by_id(self) -> dict[int, Field]:
        return {f.id: f for f in self.fields}

    def with_field(self, new: Field) -> Schema:
        """With a field in place of the one of its id, or else as the last before the dynamic
        one."""
        fields = [new if f.id == new.id else f for f in self.fields]
        if new.id not in self.by_id:
            dynamic = self.dynamic is not None
            fields.insert(len(fields) - dynamic, new)
        return Schema(tuple(fields), self.description)

    def to_data(self) -> dict[str, Any]:
        return {"fields": [f.to_data() for f in self.fields], "description": self.description}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Schema:
        return cls(tuple(Field.from_data(f) for f in data["fields"]), data["description"])
