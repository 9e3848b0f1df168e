"""Names of collections and fields: Milvus' rules."""

from __future__ import annotations

import re
from typing import Any

from walvec.wal.errors import ParamError
from walvec.wal.schema import META_FIELD
from walvec.wal.shown import shown

MAX_NAME_LENGTH = 255
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)

FILTER_WORDS = [
    "like",
    "exists",
    "and",
    "or",
    "not",
    "in",
    "true",
    "false",
    "null",
    "json_contains",
    "json_contains_all",
    "json_contains_any",
    "array_contains",
    "array_contains_all",
    "array_contains_any",
    "array_length",
    "text_match",
    "phrase_match",
    "random_sample",
]
RESERVED = frozenset({META_FIELD, "RowID", "Timestamp", "EXISTS", "True", "False", "Null"}).union(
    FILTER_WORDS, (w.upper() for w in FILTER_WORDS if "_" in w or w in {"true", "false", "null"})
)
"""Names that no field may have: Milvus' own fields and the words of its filter language."""


def check_name(kind: str, name: Any) -> None:
    """Raise ParamError unless `name` is one that Milvus allows. `kind` is "collection", "field"...

    Letters, digits and underscores, no digit first, 1 to 255 of them.
    """
    if not isinstance(name, str) or not name:
        raise ParamError(
            message=f"{kind} name must be a string that is not empty, got {shown(name)}"
        )
    if len(name) > MAX_NAME_LENGTH:
        raise ParamError(
            message=f"{kind} name {name[:40]!r}... has {len(name)} characters, "
            f"at most {MAX_NAME_LENGTH} are allowed"
        )
    if not NAME.match(name):
        raise ParamError(
            message=f"{kind} name {shown(name)}: only letters, digits and underscores are allowed, "
            "and the first is no digit"
        )
