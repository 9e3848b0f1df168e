"""The index types of scalar fields: which suits which field, and what AUTOINDEX chooses.

As Milvus documents them (its "Index Explained" and the pages of the types):

    type      fields
    STL_SORT  numbers, TIMESTAMPTZ, VARCHAR
    INVERTED  numbers, BOOL, VARCHAR, ARRAY of any of these
    BITMAP    BOOL, integers, VARCHAR, ARRAY of any of these; not the primary key
    TRIE      VARCHAR

AUTOINDEX is what Milvus recommends: INVERTED for numbers and VARCHAR, BITMAP for BOOL and ARRAY
(INVERTED where the elements are floats), STL_SORT for TIMESTAMPTZ. How each is laid out in a
file is in `scalar_file`. None takes parameters.
"""

from __future__ import annotations

from walvec.wal.errors import IndexNotSupportedException
from walvec.wal.schema import ELEMENTS, FLOATS, INTEGERS, DataType, Field
from walvec.wal.shown import shown

AUTO = ("", "AUTOINDEX")
SCALAR_TYPES: dict[str, frozenset[DataType]] = {
    "STL_SORT": INTEGERS | FLOATS | {DataType.TIMESTAMPTZ, DataType.VARCHAR},
    "INVERTED": ELEMENTS | {DataType.ARRAY},
    "BITMAP": INTEGERS | {DataType.BOOL, DataType.VARCHAR, DataType.ARRAY},
    "TRIE": frozenset({DataType.VARCHAR}),
}
"""For each type the fields that it suits."""


def scalar_type(wanted: str, field: Field, where: str) -> str:
    """The index type of a scalar field, from what was asked for in upper case.

    Raises IndexNotSupportedException for a type that is unknown or does not suit the field.
    """
    chosen = _recommended(field) if wanted in AUTO else wanted
    if _suits(chosen, field):
        return chosen
    names = [name for name in SCALAR_TYPES if _suits(name, field)]
    kind = field.type.name
    if field.is_array:
        kind += f" of {field.element_type.name}"
    elif field.is_primary:
        kind += ", a primary key"
    what = f"index type {shown(wanted)} does not suit {kind}"
    allowed = "allowed: " + ", ".join(("AUTOINDEX", *names))
    if not names:
        what, allowed = f"a field of type {kind} cannot be indexed", "leave its index out"
    raise IndexNotSupportedException(message=f"{where}: {what}; {allowed}")


def _recommended(field: Field) -> str:
    if field.type is DataType.TIMESTAMPTZ:
        return "STL_SORT"
    if field.type is DataType.BOOL or (field.is_array and field.element_type not in FLOATS):
        return "BITMAP"
    return "INVERTED"


def _suits(index_type: str, field: Field) -> bool:
    if index_type not in SCALAR_TYPES or field.type not in SCALAR_TYPES[index_type]:
        return False
    if index_type != "BITMAP":
        return True
    return not field.is_primary and not (field.is_array and field.element_type in FLOATS)
