"""A field as users write it: pymilvus' `FieldSchema`."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from walvec.arguments import check_dict, check_flag, check_text
from walvec.wal.errors import NotSupportedException, ParamError
from walvec.wal.schema import STORED, DataType
from walvec.wal.shown import shown

FIELD_FLAGS = ("is_primary", "auto_id")
MAX_DIGITS = 20
TYPE_PARAMS = {"dim": DataType.FLOAT_VECTOR, "max_length": DataType.VARCHAR}
"""The parameters of types, and the one type that each belongs to."""

FIELD_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "nullable": (False,),
    "default_value": (None,),
    "is_partition_key": (False,),
    "is_clustering_key": (False,),
    "is_dynamic": (False,),
    "is_function_output": (False,),
    "element_type": (None, DataType.NONE),
    "max_capacity": (None,),
    "mmap_enabled": (None,),
    "warmup": (None,),
    "enable_analyzer": (None, False),
    "enable_match": (None, False),
    "analyzer_params": (None,),
    "multi_analyzer_params": (None,),
    "external_field": (None, ""),
}
"""pymilvus' other keywords of a field with the values that ask for nothing; others are refused."""


def refuse_keywords(
    subject: str, given: Mapping[str, Any], neutral: dict[str, tuple[Any, ...]]
) -> None:
    """Raise for a keyword that is unknown, or known to pymilvus and not honoured here."""
    for name, value in given.items():
        if name not in neutral:
            raise ParamError(message=f"{subject}: unknown keyword {shown(name)}")
        if not any(value is v or (type(value) is type(v) and value == v) for v in neutral[name]):
            raise NotSupportedException(
                message=f"{subject}: {name}={shown(value)} is not supported by this version"
            )


def checked_flag(subject: str, name: str, value: Any) -> bool:
    """The value, if it is a bool; raises ParamError."""
    return check_flag(f"{subject}: {name}", value)


class FieldSchema:
    """One field: `FieldSchema("id", DataType.INT64, is_primary=True)`.

    Keywords: is_primary, auto_id, dim (FLOAT_VECTOR), max_length (VARCHAR, bytes of UTF-8).

    Raises ParamError for an unknown keyword or a wrong value, NotSupportedException for a
    type or keyword that pymilvus has and this version of walvec does not.
    """

    nullable = False
    is_partition_key = False
    is_clustering_key = False
    is_dynamic = False
    is_function_output = False
    default_value = None
    element_type = None

    def __init__(
        self, name: str, dtype: DataType | int, description: str = "", **kwargs: Any
    ) -> None:
        self.name = check_text("field name", name)
        self._description = check_text(f"field {name}: description", description)
        self._dtype = _stored_type(name, dtype)
        subject = f"field {name} ({self._dtype.name})"
        rest = {k: v for k, v in kwargs.items() if k not in FIELD_FLAGS and k not in TYPE_PARAMS}
        refuse_keywords(subject, rest, FIELD_NEUTRAL)
        self.is_primary = checked_flag(subject, "is_primary", kwargs.get("is_primary", False))
        self.auto_id = checked_flag(subject, "auto_id", kwargs.get("auto_id", False))
        if self.auto_id and not self.is_primary:
            raise ParamError(message=f"{subject}: auto_id is for the primary key alone")
        self._params = {
            k: _type_param(subject, self._dtype, k, kwargs[k])
            for k in TYPE_PARAMS
            if kwargs.get(k) is not None
        }

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
        """`dim` or `max_length`, where its type has one."""
        return self._params

    @property
    def dim(self) -> int | None:
        """Components of a vector, None of another type."""
        return self._params.get("dim")

    @property
    def max_length(self) -> int | None:
        """Bytes of UTF-8 of a string, None of another type."""
        return self._params.get("max_length")

    def to_dict(self) -> dict[str, Any]:
        """The field as pymilvus prints it."""
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
        return cls(given["name"], given["type"], given.get("description", ""), **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSchema) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return str(self.to_dict())


def _stored_type(name: str, dtype: Any) -> DataType:
    if isinstance(dtype, bool) or not isinstance(dtype, int):
        raise ParamError(message=f"field {name}: {shown(dtype)} is not a DataType")
    try:
        known = DataType(dtype)
    except ValueError:
        if hasattr(dtype, "name"):  # a type of pymilvus that walvec has no number for
            raise NotSupportedException(
                message=f"field {name}: type {dtype.name} is not supported by this version"
            ) from None
        raise ParamError(message=f"field {name}: {shown(dtype)} is not a DataType") from None
    if known not in STORED:
        raise NotSupportedException(
            message=f"field {name}: type {known.name} is not supported by this version"
        )
    return known


def _type_param(subject: str, dtype: DataType, name: str, value: Any) -> int:
    if dtype != TYPE_PARAMS[name]:
        raise ParamError(message=f"{subject}: {name} is for {TYPE_PARAMS[name].name} alone")
    if isinstance(value, str) and value.isdecimal() and len(value) < MAX_DIGITS:
        return int(value)
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise ParamError(message=f"{subject}: {name} must be an integer, got {shown(value)}")
    return number
