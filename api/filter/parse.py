"""Filter text -> nodes. The parser is built once, at the first filter, and is not recursive."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from walvec.filter.failure import failure
from walvec.filter.literals import float_value, integer_value, raw_string_value, string_value
from walvec.filter.nodes import (
    Arithmetic,
    Array,
    Compare,
    Like,
    Literal,
    Logical,
    Member,
    Name,
    Node,
    Not,
    Template,
)
from walvec.wal.errors import ExpressionException
from walvec.wal.shown import shown

MAX_LENGTH = 64 * 1024
MAX_DEPTH = 128
MAX_POWER = 1024
LARGEST = sys.float_info.max


class Unreadable(Exception):
    """What is wrong, and where."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at, self.what = at, what


class _Nodes(Transformer[Token, Node]):
    """One method for each rule of the grammar, called as soon as the rule is complete."""

    def or_(self, parts: list[Any]) -> Node:
        return _deeper(Logical(parts[0].at, False, parts), parts)

    def and_(self, parts: list[Any]) -> Node:
        return _deeper(Logical(parts[0].at, True, parts), parts)

    def negation(self, parts: list[Any]) -> Node:
        return _deeper(Not(_at(parts[0]), parts[1]), parts[1:])

    def compare(self, parts: list[Any]) -> Node:
        operands = parts[::2]
        return _deeper(Compare(_at(parts[1]), [str(p) for p in parts[1::2]], operands), operands)

    def member(self, parts: list[Any]) -> Node:
        operand, token, items = parts
        return _deeper(Member(_at(token), operand, items), [operand, items])

    def no_member(self, parts: list[Any]) -> Node:
        operand, token, _, items = parts
        inner = _deeper(Member(_at(token), operand, items), [operand, items])
        return _deeper(Not(_at(token), inner), [inner])

    def like(self, parts: list[Any]) -> Node:
        operand, token, pattern = parts
        return _deeper(Like(_at(token), operand, pattern), [operand, pattern])

    def array(self, parts: list[Any]) -> Node:
        items = [p for p in parts[1:] if p is not None]
        return _deeper(Array(_at(parts[0]), items), items)

    def arithmetic(self, parts: list[Any]) -> Node:
        left, token, right = parts
        if isinstance(left, Literal) and isinstance(right, Literal):
            return Literal(left.at, fold(_at(token), str(token), left.value, right.value))
        return _deeper(Arithmetic(_at(token), str(token), left, right), [left, right])

    def signed(self, parts: list[Any]) -> Node:
        return self.arithmetic([Literal(_at(parts[0]), 0), *parts])

    def name(self, parts: list[Any]) -> Node:
        return Name(_at(parts[0]), str(parts[0]))

    def path(self, parts: list[Any]) -> Node:
        return Name(_at(parts[0]), str(parts[0]), tuple(_key(token) for token in parts[1:]))

    def integer(self, parts: list[Any]) -> Node:
        return _literal(parts[0], integer_value, "not a number")

    def floating(self, parts: list[Any]) -> Node:
        return _literal(parts[0], float_value, "not a number within range")

    def string(self, parts: list[Any]) -> Node:
        return _literal(parts[0], string_value, "an escape in this string means no character")

    def raw_string(self, parts: list[Any]) -> Node:
        return Literal(_at(parts[0]), raw_string_value(parts[0]))

    def boolean(self, parts: list[Any]) -> Node:
        return Literal(_at(parts[0]), parts[0][0] in "tT")

    def template(self, parts: list[Any]) -> Node:
        return Template(_at(parts[0]), str(parts[0]))

    def parens(self, parts: list[Any]) -> Node:
        inner: Node = parts[0]
        inner.depth += 1
        return _deeper(inner, [])


def _at(token: Token) -> int:
    return token.start_pos or 0


def _deeper(node: Node, parts: list[Node]) -> Node:
    """The node, one level above its parts. Limits the recursion of whoever reads the nodes."""
    node.depth = max([node.depth, *(1 + p.depth for p in parts)])
    if node.depth > MAX_DEPTH:
        raise Unreadable(node.at, f"nested more than {MAX_DEPTH} levels deep")
    return node


def _literal(token: Token, value: Callable[[str], Any], wrong: str) -> Literal:
    try:
        return Literal(_at(token), value(token))
    except (ValueError, OverflowError):
        raise Unreadable(_at(token), wrong) from None


def _key(token: Token) -> str | int:
    node: Any
    if token.type == "INT":
        node = _literal(token, integer_value, "not an index")
    elif token.type == "STRING":
        node = _literal(token, string_value, "an escape in this string means no character")
    else:
        return raw_string_value(token)
    key: str | int = node.value
    return key


_FOLD: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "**": operator.pow,
}


def fold(at: int, op: str, left: Any, right: Any) -> Any:
    """Arithmetic of two constants; whole numbers divide as in C, toward zero. Raises Unreadable."""
    for value in (left, right):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unreadable(at, f"{op} takes numbers, not {shown(value)}")
    if op == "**" and (abs(right) > MAX_POWER or abs(left) > 2**63):
        raise Unreadable(at, "the result is out of range")
    try:
        if op in {"/", "%"}:
            return _divided(op, left, right)
        value = _FOLD[op](left, right)
    except ZeroDivisionError:
        raise Unreadable(at, "division by zero") from None
    except OverflowError:
        raise Unreadable(at, "the result is out of range") from None
    if isinstance(value, complex) or not -LARGEST <= value <= LARGEST:
        raise Unreadable(at, "the result is out of range")
    return value


def _divided(op: str, left: Any, right: Any) -> Any:
    if isinstance(left, float) or isinstance(right, float):
        quotient: float = left / right if op == "/" else math.fmod(left, right)
        return quotient
    quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    return quotient if op == "/" else left - quotient * right


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files("walvec.filter").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", transformer=_Nodes(), maybe_placeholders=False)


@lru_cache(maxsize=512)
def parse(expression: str) -> Node:
    """The nodes of an expression; shared between callers, never to be changed.

    Raises ExpressionException.
    """
    if len(expression) > MAX_LENGTH:
        raise ExpressionException(
            message=f"filter: has {len(expression)} characters, at most {MAX_LENGTH} are allowed; "
            "long lists can be given as filter_params"
        )
    try:
        node: Any = _parser().parse(expression)
    except Unreadable as error:
        raise failure(expression, error.at, error.what) from None
    except VisitError as error:
        if isinstance(error.orig_exc, Unreadable):
            raise failure(expression, error.orig_exc.at, error.orig_exc.what) from None
        raise
    except UnexpectedInput as error:
        raise _unexpected(expression, error) from None
    assert isinstance(node, Node)
    return node


def _unexpected(expression: str, error: UnexpectedInput) -> ExpressionException:
    if isinstance(error, UnexpectedToken):
        token = error.token
        if token.type == "$END":
            return failure(expression, len(expression), "ends too early")
        return failure(expression, _at(token), f"did not expect {str(token)[:40]!r} here")
    at = error.pos_in_stream if isinstance(error, UnexpectedCharacters) else 0
    found = expression[at or 0 : (at or 0) + 1]
    what = "this string has no end" if found in {'"', "'"} else f"did not expect {found!r} here"
    return failure(expression, at or 0, what)
