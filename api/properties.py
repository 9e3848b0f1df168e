"""Properties of collections, databases, fields and indexes: their names and what they may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from walvec.arguments import check_dict
from walvec.segments.catalog_check import MAX_COLLECTIONS_PROPERTY
from walvec.segments.commands import SEGMENT_MAX_BYTES_PROPERTY
from walvec.segments.expiry import TTL_PROPERTY
from walvec.segments.files import MMAP_PROPERTY
from walvec.timestamps import zone_of
from walvec.wal.errors import ParamError
from walvec.wal.shown import shown

TIMEZONE_PROPERTY = "timezone"
"""The zone of times that are given without one, and in which times are shown."""
MAX_DIGITS = 18
MAX_TTL_S = 100 * 365 * 24 * 3600
DYNAMIC_PROPERTY = "dynamicfield.enabled"
"""Not stored: it adds the dynamic field to a collection."""


class Rule(NamedTuple):
    """What a property may be: a test of its text, and the same in words."""

    allows: Callable[[str], bool]
    words: str


def _whole(low: int, high: int = 10**MAX_DIGITS) -> Callable[[str], bool]:
    return lambda text: text.isdecimal() and len(text) <= MAX_DIGITS and low <= int(text) <= high


def _is_zone(text: str) -> bool:
    try:
        zone_of(text)
    except ParamError:
        return False
    return True


FLAG = Rule(lambda text: text in ("true", "false"), "true or false")
TIMEZONE = Rule(_is_zone, "the IANA name of a timezone")
Rules = dict[str, Rule]

PROPERTIES: Rules = {
    MMAP_PROPERTY: FLAG,
    SEGMENT_MAX_BYTES_PROPERTY: Rule(_whole(1), "a positive integer"),
    TTL_PROPERTY: Rule(_whole(0, MAX_TTL_S), "a number of seconds up to 100 years, 0 for no end"),
    TIMEZONE_PROPERTY: TIMEZONE,
}
"""Of collections."""
DATABASE_PROPERTIES: Rules = {
    MAX_COLLECTIONS_PROPERTY: Rule(_whole(1), "a positive integer"),
    TIMEZONE_PROPERTY: TIMEZONE,
}
MMAP_PROPERTIES: Rules = {MMAP_PROPERTY: FLAG}
"""Of indexes, and of fields beside the parameters of their types."""


def check_properties(
    subject: str, properties: dict[str, Any] | None, rules: Rules = PROPERTIES
) -> dict[str, str]:
    """Properties as texts. Raises ParamError for an unknown name or an impossible value."""
    texts = {}
    for key, value in check_dict(f"properties of {subject}", properties).items():
        check_property_name(subject, key, rules)
        text = value if isinstance(value, str) else shown(value)
        text = text if rules[key] is TIMEZONE else text.lower()
        if not rules[key].allows(text):
            raise ParamError(
                message=f"property {key} of {subject} is {shown(value)}, not {rules[key].words}"
            )
        texts[key] = text
    return texts


def check_property_name(subject: str, key: str, rules: Rules = PROPERTIES) -> None:
    """Raise ParamError unless a property of this name is among the rules."""
    if key not in rules:
        names = ", ".join(rules)
        raise ParamError(message=f"property {key} of {subject} is not one of {names}")
