"""What a filter expression consists of, once it is read. `at` is its place in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Node:
    """Part of an expression, its text from `start` to `stop`. A message about it points to `at`.
    `depth`: how deeply its parts are nested."""

    at: int
    start: int = field(default=0, kw_only=True)
    stop: int = field(default=0, kw_only=True)
    depth: int = field(default=1, kw_only=True)


@dataclass(slots=True)
class Literal(Node):
    """A number, string, bool or interval."""

    value: Any


@dataclass(slots=True)
class TimeText(Node):
    """`ISO "..."`: which time it is, may depend on the timezone."""

    text: str


@dataclass(slots=True)
class Name(Node):
    """A field or dynamic key, and the keys and indexes of a path within it."""

    name: str
    keys: tuple[str | int, ...] = ()


@dataclass(slots=True)
class Template(Node):
    """`{name}`: its value comes with the call."""

    name: str


@dataclass(slots=True)
class Array(Node):
    """`[a, b, ...]`."""

    items: list[Node]


@dataclass(slots=True)
class Arithmetic(Node):
    """`left op right` with op one of + - * / % **."""

    op: str
    left: Node
    right: Node


@dataclass(slots=True)
class Compare(Node):
    """`a op b`, or the range `a op b op c`."""

    ops: list[str]
    operands: list[Node]


@dataclass(slots=True)
class Member(Node):
    """`operand in items`, or `not in`."""

    operand: Node
    items: Node
    negated: bool = False


@dataclass(slots=True)
class Like(Node):
    """`operand like pattern`."""

    operand: Node
    pattern: Node


@dataclass(slots=True)
class IsNull(Node):
    """`operand is null`, or `is not null`."""

    operand: Node
    negated: bool


@dataclass(slots=True)
class Exists(Node):
    """`exists operand`."""

    operand: Node


@dataclass(slots=True)
class Call(Node):
    """`name(argument, ...)`. The name is in lower case."""

    name: str
    arguments: list[Node]


@dataclass(slots=True)
class Keyword(Node):
    """`name=value` among the arguments of a call."""

    name: str
    value: Node


@dataclass(slots=True)
class Not(Node):
    """`not operand`."""

    operand: Node


@dataclass(slots=True)
class Logical(Node):
    """All (`is_and`) or any of the operands."""

    is_and: bool
    operands: list[Node]
