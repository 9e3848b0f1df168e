"""Properties of collections: their names and what they may be."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_dict
from walvec.segments.commands import SEGMENT_MAX_BYTES_PROPERTY
from walvec.segments.files import MMAP_PROPERTY
from walvec.wal.errors import ParamError
from walvec.wal.shown import shown

MAX_DIGITS = 18
PROPERTIES = {MMAP_PROPERTY: "true or false", SEGMENT_MAX_BYTES_PROPERTY: "a positive integer"}


def check_properties(collection: str, properties: dict[str, Any] | None) -> dict[str, str]:
    """Properties as texts. Raises ParamError for an unknown name or an impossible value."""
    texts = {}
    for key, value in check_dict(f"properties of {collection}", properties).items():
        check_property_name(collection, key)
        text = (value if isinstance(value, str) else shown(value)).lower()
        number = key == SEGMENT_MAX_BYTES_PROPERTY and _is_positive(text)
        if not number and not (key == MMAP_PROPERTY and text in ("true", "false")):
            raise ParamError(
                message=f"property {key} of {collection} is {shown(value)}, not {PROPERTIES[key]}"
            )
        texts[key] = text
    return texts


def _is_positive(text: str) -> bool:
    return text.isdecimal() and len(text) <= MAX_DIGITS and int(text) > 0


def check_property_name(collection: str, key: str) -> None:
    """Raise ParamError unless a collection can have a property of this name."""
    if key not in PROPERTIES:
        names = ", ".join(PROPERTIES)
        raise ParamError(message=f"property {key} of {collection} is not one of {names}")
