"""Client methods on the fields of a collection that is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from walvec.arguments import check_dict, check_whole
from walvec.field_rules import MAX_CAPACITY, MAX_LENGTH, new_field
from walvec.properties import MMAP_PROPERTIES, TIMEZONE_PROPERTY, check_properties
from walvec.segments import catalog_commands
from walvec.session import Session, check_options, field_of
from walvec.wal.errors import ParamError
from walvec.wal.schema import DataType, Field
from walvec.wal.shown import shown
from walvec.wishes import implicit_wish


class FieldCalls(Session):
    """Methods that add and alter fields."""

    def add_collection_field(
        self,
        collection_name: str,
        field_name: str,
        data_type: DataType,
        desc: str = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a field that is nullable, or has a default: the rows that are there have null or
        the default. No segment is rewritten. A vector field has an index (AUTOINDEX) until
        `create_index` makes another. kwargs: those of FieldSchema.

        Raises ParamError, NotSupportedException.
        """
        info = self.info(collection_name)
        zone = info.properties.get(TIMEZONE_PROPERTY)
        field = new_field(info.schema, field_name, data_type, desc, kwargs, info.name, zone)
        index = implicit_wish(field, info.name) if field.is_vector else None
        self._execute(catalog_commands.add_field(info.id, info.name, field, index), timeout)

    def alter_collection_field(
        self,
        collection_name: str,
        field_name: str,
        field_params: dict[str, Any],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Set `max_length` (VARCHAR, ARRAY of it), `max_capacity` (ARRAY) or `mmap.enabled` of a
        field. What is stored already stays as it is.

        Raises FieldNotExistException, ParamError.
        """
        check_options("alter_collection_field", kwargs)
        info = self.info(collection_name)
        field = field_of(info, field_name)
        given = dict(check_dict("field_params", field_params))
        if not given:
            raise ParamError(message=f"field {field_name} of {info.name}: no parameter given")
        mapped = {k: given.pop(k) for k in MMAP_PROPERTIES if k in given}
        texts = check_properties(f"field {field.name}", mapped, MMAP_PROPERTIES)

        def change(present: Field) -> Field:
            properties = tuple(sorted({**dict(present.properties), **texts}.items()))
            return replace(_with_params(present, given), properties=properties)

        command = catalog_commands.alter_field(info.id, info.name, field.id, change)
        self._execute(command, timeout)


def _with_params(field: Field, given: dict[str, Any]) -> Field:
    """The field with other parameters of its type. Raises ParamError."""
    limits = {}
    if DataType.VARCHAR in (field.type, field.element_type):
        limits["max_length"] = MAX_LENGTH
    if field.is_array:
        limits["max_capacity"] = MAX_CAPACITY
    for name, value in given.items():
        if name not in limits:
            raise ParamError(
                message=f"field {field.name} ({field.type.name}): {shown(name)} cannot be altered; "
                f"allowed: {', '.join((*limits, *MMAP_PROPERTIES))}"
            )
        number = check_whole(name, value, 1, limits[name])
        if name == "max_length":
            if isinstance(field.default, str) and len(field.default.encode()) > number:
                raise ParamError(
                    message=f"field {field.name}: max_length {number} is less than the bytes of "
                    f"its default {shown(field.default)}"
                )
            field = replace(field, max_length=number)
        else:
            field = replace(field, max_capacity=number)
    return field
