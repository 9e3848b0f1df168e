"""Filter text -> nodes. The parser is built once, at the first filter, and is not recursive."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import Any, TypeVar

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from walvec.filter import times
from walvec.filter.failure import Unreadable, failure
from walvec.filter.fold import fold
from walvec.filter.kept import Kept
from walvec.filter.literals import float_value, integer_value, raw_string_value, string_value
from walvec.filter.nodes import (
    Arithmetic,
    Array,
    Call,
    Compare,
    Exists,
    IsNull,
    Keyword,
    Like,
    Literal,
    Logical,
    Member,
    Name,
    Node,
    Not,
    Template,
    TimeText,
)
from walvec.wal.errors import ExpressionException

MAX_LENGTH = 64 * 1024
MAX_DEPTH = 128

AnyNode = TypeVar("AnyNode", bound=Node)


class _Nodes(Transformer[Token, Node]):
    """One method for each rule of the grammar, called as soon as the rule is complete."""

    def or_(self, parts: list[Any]) -> Node:
        return _above(Logical(parts[0].at, False, parts), parts)

    def and_(self, parts: list[Any]) -> Node:
        return _above(Logical(parts[0].at, True, parts), parts)

    def negation(self, parts: list[Any]) -> Node:
        return _above(Not(_at(parts[0]), parts[1]), parts)

    def compare(self, parts: list[Any]) -> Node:
        ops = [str(token) for token in parts[1::2]]
        return _above(Compare(_at(parts[1]), ops, parts[::2]), parts)

    def member(self, parts: list[Any]) -> Node:
        return _above(Member(_at(parts[1]), parts[0], parts[2]), parts)

    def no_member(self, parts: list[Any]) -> Node:
        return _above(Member(_at(parts[1]), parts[0], parts[3], negated=True), parts)

    def like(self, parts: list[Any]) -> Node:
        return _above(Like(_at(parts[1]), parts[0], parts[2]), parts)

    def is_null(self, parts: list[Any]) -> Node:
        return _above(IsNull(_at(parts[1]), parts[0], False), parts)

    def is_not_null(self, parts: list[Any]) -> Node:
        return _above(IsNull(_at(parts[1]), parts[0], True), parts)

    def exists(self, parts: list[Any]) -> Node:
        return _above(Exists(_at(parts[0]), parts[1]), parts)

    def arithmetic(self, parts: list[Any]) -> Node:
        left, token, right = parts
        if isinstance(left, Literal) and isinstance(right, Literal):
            value = fold(_at(token), str(token), left.value, right.value)
            return _above(Literal(left.at, value), [left, right], deeper=False)
        return _above(Arithmetic(_at(token), str(token), left, right), parts)

    def signed(self, parts: list[Any]) -> Node:
        zero = Literal(_at(parts[0]), 0, start=_at(parts[0]), stop=_at(parts[0]))
        return self.arithmetic([zero, *parts])

    def bitwise(self, parts: list[Any]) -> Node:
        token = next(part for part in parts if isinstance(part, Token))
        raise Unreadable(_at(token), f"{token} is not supported, as in Milvus")

    def name(self, parts: list[Any]) -> Node:
        return _above(Name(_at(parts[0]), str(parts[0])), parts)

    def path(self, parts: list[Any]) -> Node:
        keys = tuple(_key(token) for token in parts[2::3])
        return _above(Name(_at(parts[0]), str(parts[0]), keys), parts)

    def call(self, parts: list[Any]) -> Node:
        arguments = [part for part in parts if isinstance(part, Node)]
        return _above(Call(_at(parts[0]), str(parts[0]).lower(), arguments), parts)

    def keyword(self, parts: list[Any]) -> Node:
        return _above(Keyword(_at(parts[0]), str(parts[0]).lower(), parts[1]), parts)

    def array(self, parts: list[Any]) -> Node:
        items = [part for part in parts if isinstance(part, Node)]
        return _above(Array(_at(parts[0]), items), parts)

    def template(self, parts: list[Any]) -> Node:
        return _above(Template(_at(parts[0]), str(parts[1])), parts)

    def integer(self, parts: list[Any]) -> Node:
        return _literal(parts[0], integer_value, "not a number")

    def floating(self, parts: list[Any]) -> Node:
        return _literal(parts[0], float_value, "not a number within range")

    def string(self, parts: list[Any]) -> Node:
        return _literal(parts[0], string_value, NO_CHARACTER)

    def raw_string(self, parts: list[Any]) -> Node:
        return _literal(parts[0], raw_string_value, "not a string")

    def boolean(self, parts: list[Any]) -> Node:
        return _literal(parts[0], lambda token: token[0] in "tT", "not a bool")

    def time(self, parts: list[Any]) -> Node:
        text = _literal(parts[0], string_value, NO_CHARACTER).value
        return _above(TimeText(_at(parts[0]), text), parts)

    def interval(self, parts: list[Any]) -> Node:
        wrong = "not an interval as P1Y2M3DT4H5M6S"
        return _literal(parts[0], lambda token: times.interval(string_value(token)), wrong)

    def parens(self, parts: list[Any]) -> Node:
        inner: Node = parts[1]
        inner.depth += 1
        # A condition is shown without its parentheses, an operand is not whole without them.
        span = [inner] if isinstance(inner, CONDITIONS) else parts
        return _above(inner, span, deeper=False)


CONDITIONS = (Compare, Member, Like, IsNull, Exists, Not, Logical)
NO_CHARACTER = "an escape in this string means no character"


def _at(token: Token) -> int:
    return token.start_pos or 0


def _above(node: AnyNode, parts: list[Any], *, deeper: bool = True) -> AnyNode:
    """The node, which spans its parts, and is one level above them. Limits the recursion of
    whoever reads the nodes."""
    first, last = parts[0], parts[-1]
    node.start = _at(first) if isinstance(first, Token) else first.start
    node.stop = (last.end_pos or 0) if isinstance(last, Token) else last.stop
    if deeper:
        node.depth = max([1, *(1 + part.depth for part in parts if isinstance(part, Node))])
    if node.depth > MAX_DEPTH:
        raise Unreadable(node.at, f"nested more than {MAX_DEPTH} levels deep")
    return node


def _literal(token: Token, value: Callable[[str], Any], wrong: str) -> Literal:
    try:
        return _above(Literal(_at(token), value(token)), [token])
    except (ValueError, OverflowError):
        raise Unreadable(_at(token), wrong) from None


def _key(token: Token) -> str | int:
    node: Any
    if token.type == "INT":
        node = _literal(token, integer_value, "not an index")
    elif token.type == "STRING":
        node = _literal(token, string_value, NO_CHARACTER)
    else:
        return raw_string_value(token)
    key: str | int = node.value
    return key


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files("walvec.filter").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", transformer=_Nodes(), maybe_placeholders=False)


_read: Kept[str, Node] = Kept(1 << 20, lambda node: node.stop + 100)
"""By their texts, of so many characters in all."""


def parse(expression: str) -> Node:
    """The nodes of an expression; shared between callers, never to be changed.

    Raises ExpressionException.
    """
    known = _read.get(expression)
    if known is not None:
        return known
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
    _read.put(expression, node)
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
