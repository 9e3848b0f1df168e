"""A filter expression and a schema -> a `Filter` that finds rows."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from walvec.filter import conditions, json_path
from walvec.filter.failure import failure
from walvec.filter.like import like_field, matcher
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
from walvec.filter.operands import (
    Bool,
    Constant,
    Json,
    Operand,
    Text,
    combined,
    kind_of,
    operand_of,
)
from walvec.filter.operands import kind_of_value as kind_of_one
from walvec.filter.parse import Unreadable, parse
from walvec.filter.reader import Evaluate, Mask, Reader
from walvec.wal.errors import ExpressionException, ParamError
from walvec.wal.rows import Column
from walvec.wal.schema import DataType, Schema
from walvec.wal.shown import shown

MAX_LIST = 65_536
MAX_FILTERS = 1024
NOT_FINITE = (math.inf, -math.inf)
RISING, FALLING = {"<", "<="}, {">", ">="}


class Filter:
    """A compiled expression. Immutable, and usable by several threads."""

    __slots__ = ("_evaluate", "_pks", "expression", "field_ids", "schema")

    def __init__(self, expression: str, schema: Schema, params: Mapping[str, Any]) -> None:
        """Raises ExpressionException."""
        self.expression = expression
        self.schema = schema
        node = parse(expression)
        compiler = _Compiler(schema, params)
        try:
            self._evaluate = compiler.condition(node)
            pks = compiler.pks(node)
        except Unreadable as error:
            raise failure(expression, error.at, error.what) from None
        unused = sorted(set(params) - compiler.used)
        if unused:
            raise ExpressionException(
                message=f"filter: no {{{unused[0]}}} in the expression, but filter_params has it"
            )
        self._pks = None if pks is None else _pk_column(pks, schema)
        self.field_ids = frozenset(compiler.field_ids)

    def mask(self, column: Callable[[int], Column], n: int) -> Mask:
        """Which of n rows match, (n,) bool, new. `column` gives a field's n rows by its id."""
        return self._evaluate(Reader(column, n))

    __call__ = mask

    def pks(self, schema: Schema | None = None) -> Column | None:
        """The keys asked for, each once, if the expression is just `pk == x` or `pk in [...]`."""
        return self._pks if schema is None or schema.primary == self.schema.primary else None

    def __repr__(self) -> str:
        return f"Filter({self.expression!r})"


def _pk_column(values: list[Any], schema: Schema) -> Column:
    if schema.primary.type is DataType.VARCHAR:
        return Column.of_texts(dict.fromkeys(values))
    whole = (int(v) for v in values if isinstance(v, int) or v.is_integer())
    unique = dict.fromkeys(v for v in whole if -(2**63) <= v < 2**63)
    return Column(np.array(list(unique), np.int64))


class _Compiler:
    """Nodes -> evaluators, noting which fields and templates they use."""

    def __init__(self, schema: Schema, params: Mapping[str, Any]) -> None:
        self.schema = schema
        self.params = params
        self.used: set[str] = set()
        self.field_ids: set[int] = set()

    def condition(self, node: Node) -> Evaluate:
        """What tells rows that match from those that do not. Raises Unreadable."""
        match node:
            case Logical():
                return conditions.logical(node.is_and, [self.condition(p) for p in node.operands])
            case Not():
                return conditions.inverted(self.condition(node.operand))
            case Compare():
                return self._compare(node)
            case Member():
                return self._member(node)
            case Like():
                return self._like(node)
        operand = self.operand(node)
        if isinstance(operand, Bool):
            return conditions.flag(operand)
        if isinstance(operand, Constant) and isinstance(operand.value, bool):
            answer = operand.value
            return lambda reader: reader.constant(answer)
        raise Unreadable(node.at, f"expected a condition, found {kind_of(operand)}")

    def operand(self, node: Node) -> Operand:
        """What stands on one side of an operator. Raises Unreadable."""
        match node:
            case Literal():
                return Constant(node.value)
            case Template():
                return Constant(self._param(node))
            case Name():
                return self._name(node)
            case Arithmetic():
                left, right = self.operand(node.left), self.operand(node.right)
                result = combined(node.op, left, right, node.at)
                if result is None:
                    kinds = f"{kind_of(left)} and {kind_of(right)}"
                    raise Unreadable(node.at, f"{node.op} takes two numbers, not {kinds}")
                return result
        raise Unreadable(node.at, "a condition or list cannot be a value here")

    def _name(self, node: Name) -> Operand:
        field, keys = self.schema.by_name.get(node.name), node.keys
        if field is None and self.schema.dynamic is not None:
            field, keys = self.schema.dynamic, (node.name, *keys)
        if field is None:
            raise Unreadable(node.at, f"the collection has no field {node.name}")
        operand = operand_of(field, keys)
        if operand is None:
            what = "cannot be indexed" if keys else "cannot be part of a filter"
            raise Unreadable(node.at, f"field {field.name} of type {field.type.name} {what}")
        self.field_ids.add(field.id)
        return operand

    def _param(self, node: Template) -> Any:
        if node.name not in self.params:
            raise Unreadable(node.at, f"filter_params has no value for {{{node.name}}}")
        self.used.add(node.name)
        value = self.params[node.name]
        if isinstance(value, np.ndarray | np.generic):
            value = value.tolist()
        values = list(value) if isinstance(value, list | tuple) else [value]
        values = [v.item() if isinstance(v, np.generic) else v for v in values]
        for v in values:
            if not isinstance(v, bool | int | float | str) or v in NOT_FINITE or v != v:
                raise Unreadable(
                    node.at,
                    f"{{{node.name}}} must be finite numbers, strings or bools, not {shown(v)}",
                )
        return values if isinstance(value, list | tuple) else values[0]

    def _compare(self, node: Compare) -> Evaluate:
        operands = [self.operand(o) for o in node.operands]
        ops = node.ops
        if len(ops) == 1:
            result = conditions.comparison(ops[0], operands[0], operands[1])
        elif len(ops) == 2 and (set(ops) <= RISING or set(ops) <= FALLING):
            result = conditions.between(ops, operands[0], operands[1], operands[2])
        else:
            raise Unreadable(node.at, "comparisons can be chained as ranges only: 1 < a <= 5")
        if result is None:
            kinds = " with ".join(kind_of(o) for o in operands)
            raise Unreadable(node.at, f"{' '.join(ops)} cannot compare {kinds}")
        return result

    def _member(self, node: Member) -> Evaluate:
        operand = self.operand(node.operand)
        values = self._list(node.items)
        kind = kind_of(operand)
        if not isinstance(operand, Json):
            for value in values:
                if kind_of_one(value) != kind:
                    raise Unreadable(node.at, f"in cannot find {shown(value)} where {kind} is")
        result = conditions.membership(operand, values)
        if result is None:
            raise Unreadable(node.at, f"in cannot be asked of {kind}")
        return result

    def _list(self, node: Node) -> list[Any]:
        if isinstance(node, Array):
            values = [self._item(item) for item in node.items]
        else:
            operand = self.operand(node)
            if not isinstance(operand, Constant) or not isinstance(operand.value, list):
                raise Unreadable(node.at, "expected a list")
            values = operand.value
        if len(values) > MAX_LIST:
            what = f"the list has {len(values)} values, at most {MAX_LIST} are allowed"
            raise Unreadable(node.at, what)
        return values

    def _item(self, node: Node) -> Any:
        operand = self.operand(node)
        if not isinstance(operand, Constant) or isinstance(operand.value, list):
            raise Unreadable(node.at, "a list takes numbers, strings and bools")
        return operand.value

    def _like(self, node: Like) -> Evaluate:
        operand, pattern = self.operand(node.operand), self.operand(node.pattern)
        if not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
            raise Unreadable(node.pattern.at, "expected a string as the pattern of like")
        try:
            if isinstance(operand, Text):
                return like_field(operand.field.id, pattern.value)
            test = json_path.like(matcher(pattern.value))
        except ValueError as error:
            raise Unreadable(node.pattern.at, str(error)) from None
        if isinstance(operand, Json):
            return json_path.each(operand.field.id, operand.keys, test)
        raise Unreadable(node.at, f"like takes a string, not {kind_of(operand)}")

    def pks(self, node: Node) -> list[Any] | None:
        """The keys of `pk == x` and `pk in [...]`; None for any other expression."""
        if isinstance(node, Compare) and node.ops == ["=="]:
            side, other = sorted(node.operands, key=lambda o: not self._is_pk(o))
            if self._is_pk(side):
                value = self.operand(other)
                return [value.value] if isinstance(value, Constant) else None
        elif isinstance(node, Member) and self._is_pk(node.operand):
            return self._list(node.items)
        return None

    def _is_pk(self, node: Node) -> bool:
        return isinstance(node, Name) and node.name == self.schema.primary.name


_filters: dict[tuple[int, str], Filter] = {}
_adding = threading.Lock()


def compile_filter(
    expression: str,
    schema: Schema,
    params: Mapping[str, Any] | None = None,
    collection_name: str = "",
) -> Filter:
    """The filter of an expression that is not empty; `params` fill its `{templates}`.

    Compiled once for each schema object, unless it has params. Raises ExpressionException,
    whose message shows the place, and ParamError for arguments of wrong types.
    """
    if not isinstance(expression, str):
        raise ParamError(message=f"collection {collection_name}: filter must be a string, "
                         f"got {shown(expression)}")  # fmt: skip
    if params is not None and not isinstance(params, Mapping):
        raise ParamError(message=f"filter_params must be a dict, got {shown(params)}")
    if params:
        return Filter(expression, schema, params)
    # By identity, as hashing a schema takes long. The filter keeps the schema alive.
    key = (id(schema), expression)
    found = _filters.get(key)
    if found is None:
        found = Filter(expression, schema, {})
        with _adding:
            if len(_filters) >= MAX_FILTERS:
                _filters.pop(next(iter(_filters)))
            _filters[key] = found
    return found
