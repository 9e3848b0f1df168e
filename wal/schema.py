"""The schema of a collection as it stands in the log: plain, frozen, comparable data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

META_FIELD = "$meta"
FLOAT32_BYTES = 4
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
    VARCHAR = 21
    ARRAY = 22
    JSON = 23
    BINARY_VECTOR = 100
    FLOAT_VECTOR = 101
    FLOAT16_VECTOR = 102
    BFLOAT16_VECTOR = 103
    SPARSE_FLOAT_VECTOR = 104
    INT8_VECTOR = 105

    def __str__(self) -> str:
        return str(self.value)


INTEGERS = frozenset({DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64})
FLOATS = frozenset({DataType.FLOAT, DataType.DOUBLE})
TEXTS = frozenset({DataType.VARCHAR, DataType.JSON})
VECTORS = frozenset({DataType.FLOAT_VECTOR})
STORED = INTEGERS | FLOATS | TEXTS | VECTORS | {DataType.BOOL}
"""The types that a collection can hold; the others have a number and nothing more."""


@dataclass(frozen=True)
class Field:
    """One field. `id` is its identity in the log and in files, for ever."""

    id: int
    name: str
    type: DataType
    dim: int = 0
    max_length: int = 0
    is_primary: bool = False
    auto_id: bool = False
    is_dynamic: bool = False
    description: str = ""

    @property
    def is_vector(self) -> bool:
        return self.type in VECTORS

    @property
    def is_text(self) -> bool:
        """Whether rows are variable-length UTF-8 (VARCHAR, or JSON text)."""
        return self.type in TEXTS

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
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Field:
        return cls(**{**data, "type": DataType(data["type"])})


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
        return sum(FLOAT32_BYTES * f.dim for f in self.vectors)

    @cached_property
    def dynamic(self) -> Field | None:
        return next((f for f in self.fields if f.is_dynamic), None)

    @cached_property
    def by_id(self) -> dict[int, Field]:
        return {f.id: f for f in self.fields}

    def to_data(self) -> dict[str, Any]:
        return {"fields": [f.to_data() for f in self.fields], "description": self.description}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Schema:
        return cls(tuple(Field.from_data(f) for f in data["fields"]), data["description"])
