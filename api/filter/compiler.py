"""Nodes and a schema -> a plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from walvec.filter import conditions, lists, predicates, times
from walvec.filter.conditions import Condition
from walvec.filter.failure import Unreadable
from walvec.filter.fold import fold
from walvec.filter.functions import CONTAINMENT, REFUSED, SAMPLE
from walvec.filter.given import check_length, one_of_each_type, plain_value
from walvec.filter.nodes import (
    Arithmetic,
    Array,
    Call,
    Compare,
    Exists,
    IsNull,
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
from walvec.filter.operands import (
    Bool,
    Constant,
    Items,
    Json,
    Operand,
    Time,
    combined,
    kind_of,
    kind_of_element,
    kind_of_value,
    length_of,
    operand_of,
)
from walvec.filter.plan import Either, Every, Leaf, Plan
from walvec.wal.schema import Schema
from walvec.wal.shown import shown

RISING, FALLING = {"<", "<="}, {">", ">="}


class Compiler:
    """Nodes -> plans, noting which fields and templates they use."""

    def __init__(
        self, expression: str, schema: Schema, params: Mapping[str, Any], zone: tzinfo
    ) -> None:
        """zone: of times without an offset."""
        self.expression = expression
        self.schema = schema
        self.params = dict(params)
        self.zone = zone
        self.used: set[str] = set()
        self.field_ids: set[int] = set()

    def plan(self, node: Node, negated: bool = False) -> Plan:
        """What finds the rows of which a node is true, or (`negated`) false. Raises Unreadable."""
        if isinstance(node, Not):
            return self.plan(node.operand, not negated)
        if isinstance(node, Logical):
            parts = [self.plan(part, negated) for part in node.operands]
            return Every(parts) if node.is_and != negated else Either(parts)
        text = self.expression[node.start : node.stop]
        inverted = isinstance(node, Member | IsNull) and node.negated
        shown_text = f"not ({text})" if negated else text
        return Leaf(shown_text, self._condition(node), negated != inverted)

    def _condition(self, node: Node) -> Condition:
        match node:
            case Compare():
                return self._compare(node)
            case Member():
                return self._member(node)
            case Like():
                return self._like(node)
            case IsNull():
                return self._is_null(node)
            case Exists():
                return self._exists(node)
            case Call(name=name) if name != "array_length":
                return self._call(node)
        operand = self.operand(node)
        if isinstance(operand, Bool | Constant):
            found = conditions.comparison("==", operand, Constant(True))
            if found is not None:
                return found
        raise Unreadable(node.at, f"expected a condition, found {kind_of(operand)}")

    def operand(self, node: Node) -> Operand:
        """What stands on one side of an operator. Raises Unreadable."""
        match node:
            case Literal(value=value):
                return Constant(value)
            case TimeText(text=text):
                return Constant(self._moment(text, node))
            case Template():
                return Constant(self._param(node))
            case Name():
                return self._name(node)
            case Array(items=items):
                check_length(items, node)
                return Constant([self._item(item) for item in items])
            case Arithmetic(op=op):
                return self._arithmetic(op, self.operand(node.left), self.operand(node.right), node)
            case Call(name="array_length"):
                return self._length(node)
        raise Unreadable(node.at, "a condition cannot be a value here")

    def _arithmetic(self, op: str, left: Operand, right: Operand, node: Node) -> Operand:
        if isinstance(left, Constant) and isinstance(right, Constant):
            return Constant(fold(node.at, op, left.value, right.value))
        result = combined(op, left, right)
        if result is None:
            kinds = f"{kind_of(left)} and {kind_of(right)}"
            what = "a time and an interval" if isinstance(left, Time) else "two numbers"
            raise Unreadable(node.at, f"{op} takes {what}, not {kinds}")
        return result

    def _name(self, node: Name) -> Operand:
        field, keys = self.schema.by_name.get(node.name), node.keys
        if field is None and self.schema.dynamic is not None:
            field, keys = self.schema.dynamic, (node.name, *keys)
        if field is None:
            raise Unreadable(node.at, f"the collection has no field {node.name}")
        operand = operand_of(field, keys)
        if isinstance(operand, str):
            raise Unreadable(node.at, operand)
        self.field_ids.add(field.id)
        return operand

    def _param(self, node: Template) -> Any:
        if node.name not in self.params:
            raise Unreadable(node.at, f"filter_params has no value for {{{node.name}}}")
        self.used.add(node.name)
        return plain_value(self.params[node.name], node)

    def _timed(self, operands: list[Operand], nodes: list[Node]) -> list[Operand]:
        """The operands, with the strings as times where one of them is a time."""
        if not any(isinstance(operand, Time) for operand in operands):
            return operands
        return [
            Constant(self._moments(o.value, n)) if isinstance(o, Constant) else o
            for o, n in zip(operands, nodes, strict=True)
        ]

    def _moments(self, value: Any, node: Node) -> Any:
        if isinstance(value, list):
            return [self._moments(item, node) for item in value]
        return self._moment(value, node) if isinstance(value, str) else value

    def _moment(self, text: str, node: Node) -> times.Moment:
        try:
            return times.moment(text, self.zone)
        except ValueError as error:
            raise Unreadable(node.at, f"{shown(text)} is no time: expected {error}") from None

    def _compare(self, node: Compare) -> Condition:
        operands = self._timed([self.operand(o) for o in node.operands], node.operands)
        ops = node.ops
        if len(ops) == 1:
            result = conditions.comparison(ops[0], operands[0], operands[1])
        elif len(ops) == 2 and (set(ops) <= RISING or set(ops) <= FALLING):
            low, middle, high = operands
            if isinstance(middle, Json) and kind_of(low) != kind_of(high):
                result = None
            else:
                result = conditions.between(ops, low, middle, high)
        else:
            raise Unreadable(node.at, "comparisons can be chained as ranges only: 1 < a <= 5")
        if result is None:
            kinds = " with ".join(kind_of(o) for o in operands)
            raise Unreadable(node.at, f"{' '.join(ops)} cannot compare {kinds}")
        return result

    def _member(self, node: Member) -> Condition:
        operand = self.operand(node.operand)
        values = self._list(node.items)
        if isinstance(operand, Time):
            values = self._moments(values, node.items)
        kind = kind_of(operand)
        if not isinstance(operand, Json | Items):
            for value in one_of_each_type(values):
                if kind_of_value(value) != kind:
                    raise Unreadable(node.at, f"in cannot find {shown(value)} where {kind} is")
        result = lists.membership(operand, values)
        if result is None:
            raise Unreadable(node.at, f"in cannot be asked of {kind}, array_contains can")
        return result

    def _list(self, node: Node) -> list[Any]:
        operand = self.operand(node)
        if not isinstance(operand, Constant) or not isinstance(operand.value, list):
            raise Unreadable(node.at, f"expected a list, found {kind_of(operand)}")
        values: list[Any] = operand.value
        return values

    def _item(self, node: Node) -> Any:
        operand = self.operand(node)
        if not isinstance(operand, Constant):
            raise Unreadable(node.at, f"a list takes constants, not {kind_of(operand)}")
        return operand.value

    def _like(self, node: Like) -> Condition:
        operand, pattern = self.operand(node.operand), self.operand(node.pattern)
        if not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
            raise Unreadable(node.pattern.at, "expected a string as the pattern of like")
        try:
            result = predicates.matching(operand, pattern.value)
        except ValueError as error:
            raise Unreadable(node.pattern.at, str(error)) from None
        if result is None:
            raise Unreadable(node.at, f"like takes a string, not {kind_of(operand)}")
        return result

    def _is_null(self, node: IsNull) -> Condition:
        operand = self.operand(node.operand)
        result = predicates.null(operand)
        if result is None or not isinstance(node.operand, Name):
            raise Unreadable(node.at, "is null can be asked of a field or a JSON path")
        return result

    def _exists(self, node: Exists) -> Condition:
        operand = self.operand(node.operand)
        if not isinstance(operand, Json) or not operand.keys:
            what = "exists can be asked of a key within a JSON field or of a dynamic key"
            raise Unreadable(node.at, what)
        return predicates.exists(operand)

    def _call(self, node: Call) -> Condition:
        if node.name in REFUSED:
            raise Unreadable(node.at, f"{node.name} is not supported: {REFUSED[node.name]}")
        if node.name == SAMPLE:
            what = f"{SAMPLE} can stand alone or at the end of the outermost and"
            raise Unreadable(node.at, what)
        mode = CONTAINMENT.get(node.name)
        if mode is None:
            raise Unreadable(node.at, f"there is no function {node.name}")
        if len(node.arguments) != 2:
            raise Unreadable(node.at, f"{node.name} takes an array and what it may contain")
        operand = self.operand(node.arguments[0])
        if not isinstance(operand, Items | Json):
            raise Unreadable(node.at, f"{node.name} takes an array, not {kind_of(operand)}")
        values = self._contained(node, operand, one=mode == "one")
        return lists.containment(operand, values, every=mode == "all")

    def _contained(self, node: Call, operand: Items | Json, one: bool) -> list[Any]:
        argument = node.arguments[1]
        values = [self._item(argument)] if one else self._list(argument)
        if isinstance(operand, Items):
            kind = kind_of_element(operand.field)
            for value in one_of_each_type(values):
                if kind_of_value(value) != kind:
                    raise Unreadable(argument.at, f"{shown(value)} is not {kind}, as the elements")
        return values

    def _length(self, node: Call) -> Operand:
        operand = self.operand(node.arguments[0]) if len(node.arguments) == 1 else None
        if not isinstance(operand, Items | Json):
            found = "" if operand is None else f", not {kind_of(operand)}"
            raise Unreadable(node.at, f"{node.name} takes one array{found}")
        return length_of(operand)
