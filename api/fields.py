"""A field as users write it: pymilvus' `FieldSchema`."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from walvec.arguments import check_dict, check_flag, check_text
from walvec.wal.errors import NotSupportedException, ParamError
from walvec.wal.schema import ELEMENTS, STORED, VECTORS, DataType
from walvec.wal.shown import shown

MAX_DIGITS = 20
FLAGS = ("is_primary", "auto_id", "nullable", "is_partition_key")
TYPE_PARAMS = {
    "dim": "vectors",
    "max_length": "VARCHAR, and ARRAY of VARCHAR",
    "max_capacity": "ARRAY",
}
"""The parameters of types, and what they are for."""
OWN = (*FLAGS, *TYPE_PARAMS, "default_value", "element_type", "mmap_enabled")

NO_TEXT_SEARCH = "full-text search is not offered"
NO_STRUCTS = "arrays of structs are not offered"
NO_FUNCTIONS = "functions run on a Milvus server"
NO_CLUSTERING = "clustering keys place rows on the nodes of a cluster"
NO_EXTERNAL = "external tables are not offered"
Neutral = dict[str, tuple[tuple[Any, ...], str]]
FIELD_NEUTRAL: Neutral = {
    "is_clustering_key": ((False,), NO_CLUSTERING),
    "is_dynamic": ((False,), "the dynamic field is made by enable_dynamic_field=True"),
    "is_function_output": ((False,), NO_FUNCTIONS),
    "struct_schema": ((None,), NO_STRUCTS),
    "warmup": ((None,), "rows are in memory once a collection is loaded"),
    "enable_analyzer": ((None, False), NO_TEXT_SEARCH),
    "enable_match": ((None, False), NO_TEXT_SEARCH),
    "analyzer_params": ((None,), NO_TEXT_SEARCH),
    "multi_analyzer_params": ((None,), NO_TEXT_SEARCH),
    "external_field": ((None, ""), NO_EXTERNAL),
}
"""pymilvus' other keywords of a field, with the values that ask for nothing, and why others are
refused."""


def refuse_keywords(subject: str, given: Mapping[str, Any], neutral: Neutral) -> None:
    """Raise for a keyword that is unknown, or known to pymilvus and not offered here."""
    for name, value in given.items():
        if name not in neutral:
            raise ParamError(message=f"{subject}: unknown keyword {shown(name)}")
        values, reason = neutral[name]
        if not any(value is v or (type(value) is type(v) and value == v) for v in values):
            raise NotSupportedException(
                message=f"{subject}: {name}={shown(value)} is not supported: {reason}"
            )


class FieldSchema:
    """One field: `FieldSchema("id", DataType.INT64, is_primary=True)`.

    Keywords: is_primary, auto_id, is_partition_key, nullable, default_value (TIMESTAMPTZ: ISO
    8601 text), dim (vectors), max_length (bytes of UTF-8 of a VARCHAR, or of an element of an
    ARRAY), element_type and max_capacity (ARRAY), mmap_enabled.

    Raises ParamError for an unknown keyword or a wrong value, NotSupportedException for a
    type or keyword that pymilvus has and walvec does not.
    """

    is_clustering_key = False
    is_dynamic = False
    is_function_output = False

    def __init__(
        self, name: str, dtype: DataType | int, description: str = "", **kwargs: Any
    ) -> None:
        self.name = check_text("field name", name)
        self._description = check_text(f"field {name}: description", description)
        self._dtype = _stored_type(name, dtype)
        subject = f"field {name} ({self._dtype.name})"
        rest = {k: v for k, v in kwargs.items() if k not in OWN}
        refuse_keywords(subject, rest, FIELD_NEUTRAL)
        flags = {k: check_flag(f"{subject}: {k}", kwargs.get(k, False)) for k in FLAGS}
        self.is_primary = flags["is_primary"]
        self.auto_id = flags["auto_id"]
        self.nullable = flags["nullable"]
        self.is_partition_key = flags["is_partition_key"]
        if self.auto_id and not self.is_primary:
            raise ParamError(message=f"{subject}: auto_id is for the primary key alone")
        self.default_value = kwargs.get("default_value")
        if "default_value" in kwargs and self.default_value is None and not self.nullable:
            raise ParamError(
                message=f"{subject}: default_value=None is for a field with nullable=True"
            )
        self.element_type = _element_type(subject, self._dtype, kwargs.get("element_type"))
        self._params: dict[str, Any] = {}
        if kwargs.get("mmap_enabled") is not None:
            flag = check_flag(f"{subject}: mmap_enabled", kwargs["mmap_enabled"])
            self._params["mmap_enabled"] = flag
        for key in TYPE_PARAMS:
            if kwargs.get(key) is not None:
                self._params[key] = self._type_param(subject, key, kwargs[key])

    def _type_param(self, subject: str, name: str, value: Any) -> int:
        texts = DataType.VARCHAR in (self._dtype, self.element_type)
        fits = {
            "dim": self._dtype in VECTORS,
            "max_length": texts,
            "max_capacity": self._dtype == DataType.ARRAY,
        }
        if not fits[name]:
            raise ParamError(message=f"{subject}: {name} is for {TYPE_PARAMS[name]} alone")
        return _whole(subject, name, value)

    @property
    def dtype(self) -> DataType:
        """Its type."""
        return self._dtype

    @property
    def description(self) -> str:
        """As given, empty where none was."""
        return self._description

    @property
    def params(self) -> dict[str, Any]:
        """`dim`, `max_length`, `max_capacity` and `mmap_enabled`, those that were given."""
        return self._params

    @property
    def dim(self) -> int | None:
        """Components of a vector (bits of a BINARY_VECTOR), None of another type."""
        return self._params.get("dim")

    @property
    def max_length(self) -> int | None:
        """Bytes of UTF-8 of a string, None of another type."""
        return self._params.get("max_length")

    @property
    def max_capacity(self) -> int | None:
        """Elements of an ARRAY, None of another type."""
        return self._params.get("max_capacity")

    @property
    def mmap_enabled(self) -> bool | None:
        """Whether files of it are mapped, None where the collection's property decides."""
        return self._params.get("mmap_enabled")

    def to_dict(self) -> dict[str, Any]:
        """The field as pymilvus prints it, the default as a plain value."""
        data: dict[str, Any] = {
            "name": self.name,
            "description": self._description,
            "type": self._dtype,
        }
        if self._params:
            data["params"] = dict(self._params)
        if self.is_primary:
            data["is_primary"] = True
            data["auto_id"] = self.auto_id
        if self.is_partition_key:
            data["is_partition_key"] = True
        if self.default_value is not None:
            data["default_value"] = self.default_value
        if self.nullable:
            data["nullable"] = True
        if self.element_type is not None:
            data["element_type"] = self.element_type
        return data

    @classmethod
    def construct_from_dict(cls, raw: Mapping[str, Any]) -> FieldSchema:
        """The field of a `to_dict()`. Raises ParamError as the constructor does."""
        given = check_dict("a field", raw)
        if "name" not in given or "type" not in given:
            raise ParamError(message=f"a field needs a name and a type, got {shown(given)}")
        known = {"name", "type", "description", "params", "field_id"}
        kwargs = {k: v for k, v in given.items() if k not in known}
        kwargs.update(check_dict("params of a field", given.get("params")))
        if kwargs.get("default_value") is None:
            kwargs.pop("default_value", None)
        return cls(given["name"], given["type"], given.get("description", ""), **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSchema) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return str(self.to_dict())


def _known_type(subject: str, dtype: Any) -> DataType:
    """The type of a number, walvec's own DataType whatever class was given."""
    if isinstance(dtype, bool) or not isinstance(dtype, int):
        raise ParamError(message=f"{subject}: {shown(dtype)} is not a DataType")
    try:
        return DataType(dtype)
    except ValueError:
        if hasattr(dtype, "name"):  # a type of pymilvus that walvec has no number for
            raise NotSupportedException(
                message=f"{subject}: type {dtype.name} is not supported by walvec"
            ) from None
        raise ParamError(message=f"{subject}: {shown(dtype)} is not a DataType") from None


def _stored_type(name: str, dtype: Any) -> DataType:
    known = _known_type(f"field {name}", dtype)
    if known not in STORED:
        raise NotSupportedException(
            message=f"field {name}: type {known.name} is not supported by walvec"
        )
    return known


def _element_type(subject: str, dtype: DataType, given: Any) -> DataType | None:
    if given is None or (dtype != DataType.ARRAY and given == DataType.NONE):
        return None
    if dtype != DataType.ARRAY:
        raise ParamError(message=f"{subject}: element_type is for ARRAY alone")
    known = _known_type(f"{subject}: element_type", given)
    if known == DataType.STRUCT:
        raise NotSupportedException(message=f"{subject}: {NO_STRUCTS}")
    if known not in ELEMENTS:
        raise ParamError(message=f"{subject}: an ARRAY cannot have elements of type {known.name}")
    return known


def _whole(subject: str, name: str, value: Any) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) < MAX_DIGITS:
        return int(value)
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise ParamError(message=f"{subject}: {name} must be an integer, got {shown(value)}")
    return number
