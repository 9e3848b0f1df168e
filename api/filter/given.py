"""Values and lists that come with a filter: what they may be, and how long."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from walvec.filter.failure import Unreadable
from walvec.filter.nodes import Node, Template
from walvec.wal.shown import shown

MAX_LIST = 65_536
MAX_LIST_DEPTH = 16
PLAIN = frozenset({bool, int, str})


def plain_value(value: Any, node: Template, depth: int = 0) -> Any:
    """The value of a template in plain Python types. Raises Unreadable."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple) and depth < MAX_LIST_DEPTH:
        check_length(value, node)
        if PLAIN.issuperset(map(type, value)):
            return list(value)
        return [plain_value(item, node, depth + 1) for item in value]
    if isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    what = f"{{{node.name}}} must be finite numbers, strings, bools or lists of them"
    raise Unreadable(node.at, f"{what}, not {shown(value)}")


def check_length(values: Sequence[Any], node: Node) -> None:
    """Raise Unreadable for a list that is too long."""
    if len(values) > MAX_LIST:
        what = f"the list has {len(values)} values, at most {MAX_LIST} are allowed"
        raise Unreadable(node.at, what)


def one_of_each_type(values: Sequence[Any]) -> Iterable[Any]:
    """As many of the values as it takes to know their kinds."""
    return {type(value): value for value in values}.values()
