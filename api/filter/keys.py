"""Which values of a key an expression restricts the rows to, for whoever finds rows by keys."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from walvec.filter.compiler import Compiler
from walvec.filter.nodes import Compare, Logical, Member, Name, Node
from walvec.filter.operands import Constant
from walvec.wal.rows import Column, item_dtype
from walvec.wal.schema import INTEGERS, DataType, Field


def only(node: Node, field: Field, compiler: Compiler) -> Column | None:
    """The values x of `field == x` and `field in [...]`, in their order, each once; None for any
    other expression, which says more or less than that. Raises Unreadable."""
    values = _asked(node, field, compiler)
    return None if values is None else _column(values, field)


def restricted(node: Node, field: Field, compiler: Compiler) -> Column | None:
    """Values outside of which no row matches; None where there may be any, or the field is neither
    of integers nor VARCHAR."""
    values = _restricted(node, field, compiler)
    return None if values is None else _column(values, field)


def _restricted(node: Node, field: Field, compiler: Compiler) -> list[Any] | None:
    if not isinstance(node, Logical):
        return _asked(node, field, compiler)
    parts = [_restricted(part, field, compiler) for part in node.operands]
    known = [part for part in parts if part is not None]
    if not node.is_and:
        # Any of the parts may be what is true.
        return list(chain(*known)) if len(known) == len(parts) else None
    if not known:
        return None
    wanted = [set(part) for part in known]
    return [value for value in known[0] if all(value in values for values in wanted)]


def _asked(node: Node, field: Field, compiler: Compiler) -> list[Any] | None:
    """The values of an == or in."""
    if isinstance(node, Compare) and node.ops == ["=="]:
        side, other = sorted(node.operands, key=lambda operand: not _is(operand, field))
        if _is(side, field):
            value = compiler.operand(other)
            return [value.value] if isinstance(value, Constant) else None
    elif isinstance(node, Member) and not node.negated and _is(node.operand, field):
        values = compiler.operand(node.items)
        return list(values.value) if isinstance(values, Constant) else None
    return None


def _is(node: Node, field: Field) -> bool:
    return isinstance(node, Name) and node.name == field.name and not node.keys


def _column(values: Iterable[Any], field: Field) -> Column | None:
    if field.type is DataType.VARCHAR:
        return Column.of_texts(dict.fromkeys(values))
    if field.type not in INTEGERS:
        return None
    dtype = item_dtype(field)
    info = np.iinfo(dtype)
    whole = (int(v) for v in values if isinstance(v, int) or v.is_integer())
    fitting = dict.fromkeys(v for v in whole if info.min <= v <= info.max)
    return Column(np.array(list(fitting), dtype))
