"""A path within a JSON document, as `meta["a"][0]` in a filter.

It is a JSON pointer, as in Milvus: a key of an object, or a place in an array, whether that is
written as `["0"]` or `[0]`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Keys = tuple[str | int, ...]


def value_at(document: Any, keys: Iterable[str | int]) -> Any:
    """What stands at a path in a decoded document, or None."""
    for key in keys:
        if isinstance(document, dict):
            document = document.get(str(key))
        elif isinstance(document, list) and (isinstance(key, int) or key.isdigit()):
            place = int(key)
            document = document[place] if place < len(document) else None
        else:
            return None
    return document
