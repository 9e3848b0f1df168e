"""Index parameters as users give them, resolved: concrete type, metric and parameters."""

from __future__ import annotations

from collections.abc import Sequence

from walvec.names import check_name
from walvec.params import IndexParam
from walvec.properties import MMAP_PROPERTIES, check_properties
from walvec.segments.commands import IMPLICIT_INDEX, IndexWish
from walvec.segments.index import resolve
from walvec.segments.index_params import implicit_type
from walvec.wal.errors import FieldNotExistException, ParamError
from walvec.wal.schema import Field, Schema
from walvec.wal.shown import shown


def wishes_of(params: Sequence[IndexParam], schema: Schema, collection: str) -> list[IndexWish]:
    """One wish for each parameter. An index without a name has its field's.

    Raises FieldNotExistException, IndexNotSupportedException, ParamError.
    """
    wishes: list[IndexWish] = []
    for param in params:
        if not isinstance(param, IndexParam):
            raise ParamError(message=f"index_params must come from add_index(), got {shown(param)}")
        field = schema.by_name.get(param.field_name)
        if field is None:
            raise FieldNotExistException(
                message=f"collection {collection} has no field {param.field_name} to index"
            )
        name = param.index_name or field.name
        check_name("index", name)
        if name.startswith(IMPLICIT_INDEX):
            raise ParamError(message=f"index name {name}: names with {IMPLICIT_INDEX} are reserved")
        params_given = dict(param.params)
        mapped = {k: params_given.pop(k) for k in MMAP_PROPERTIES if k in params_given}
        properties = check_properties(f"index {name}", mapped, MMAP_PROPERTIES)
        resolved = resolve(
            field, param.index_type, param.metric_type, params_given, collection=collection
        )
        wishes.append(IndexWish(field.id, field.name, name, *resolved, properties))
    return wishes


def implicit_wish(field: Field, collection: str) -> IndexWish:
    """The index of a vector field for which nobody asked for one, by the default metric."""
    resolved = resolve(field, implicit_type(field), "", {}, collection=collection)
    return IndexWish(field.id, field.name, f"{IMPLICIT_INDEX}{field.name}", *resolved)
