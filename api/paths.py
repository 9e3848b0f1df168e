"""Paths into JSON as they stand among output fields and in an order: `meta["a"][0]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from walvec.filter.json_path import value_at
from walvec.wal.schema import META_FIELD, DataType, Field, Schema

NAME = re.compile(r"\s*([A-Za-z_$][\w$]*)\s*(?=\[)")
STEP = re.compile(r"""\[\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\d{1,9}))\s*\]\s*""")
ESCAPED = re.compile(r"\\(.)")


class Path(NamedTuple):
    """A place within the documents of a field. `text` is the path as it was written."""

    text: str
    field: Field
    keys: tuple[str | int, ...]

    def values(self, documents: Sequence[Any]) -> list[Any]:
        """What stands there in each document; None where there is nothing."""
        return [value_at(document, self.keys) for document in documents]


def path_of(text: str, schema: Schema) -> Path | None:
    """The path of a text: into a JSON field, or else into the dynamic one; None if it is none."""
    start = NAME.match(text)
    if start is None:
        return None
    keys: list[str | int] = []
    at = start.end()
    while at < len(text):
        step = STEP.match(text, at)
        if step is None:
            return None
        double, single, number = step.groups()
        keys.append(int(number) if number else ESCAPED.sub(r"\1", double or single or ""))
        at = step.end()
    name = start[1]
    field = schema.by_name.get(name)
    if field is None:
        dynamic = schema.dynamic
        return None if dynamic is None else Path(text, dynamic, (name, *keys))
    return Path(text, field, tuple(keys)) if field.type is DataType.JSON else None


def dynamic_key(path: Path) -> str | None:
    """The key that `$meta["key"]` names, as the key alone does."""
    key = path.keys[0]
    one = path.field.name == META_FIELD and len(path.keys) == 1
    return key if one and isinstance(key, str) else None
