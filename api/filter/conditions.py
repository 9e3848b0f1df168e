"""Comparisons and lists of resolved operands -> what evaluates them. None: they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from walvec.filter import json_path, numbers, texts
from walvec.filter.numbers import COMPARE, FLIPPED
from walvec.filter.operands import Bool, Constant, Json, Number, Operand, Text, kind_of_value
from walvec.filter.reader import Evaluate, Mask, Reader


def comparison(op: str, left: Operand, right: Operand) -> Evaluate | None:
    """`left op right`."""
    if isinstance(left, Constant):
        if isinstance(right, Constant):
            return _of_constants(op, left.value, right.value)
        return comparison(FLIPPED[op], right, left)
    if isinstance(right, Constant):
        return _with_constant(left, op, right.value)
    if isinstance(left, Number) and isinstance(right, Number):
        return numbers.compare_arrays(left.numbers, op, right.numbers)
    if isinstance(left, Text) and isinstance(right, Text):
        return texts.compare_columns(left.field.id, op, right.field.id)
    if isinstance(left, Bool) and isinstance(right, Bool) and op in {"==", "!="}:
        columns = [numbers.column_numbers(side.field.id) for side in (left, right)]
        return numbers.compare_arrays(columns[0], op, columns[1])
    return None


def _of_constants(op: str, left: Any, right: Any) -> Evaluate | None:
    kind = kind_of_value(left)
    if kind != kind_of_value(right) or kind == "a list" or not _has_order(kind, op):
        return None
    answer = bool(COMPARE[op](left, right))
    return lambda reader: reader.constant(answer)


def _has_order(kind: str, op: str) -> bool:
    return kind != "a bool" or op in {"==", "!="}


def _with_constant(left: Operand, op: str, value: Any) -> Evaluate | None:
    kind = kind_of_value(value)
    if not _has_order(kind, op) or kind == "a list":
        return None
    if isinstance(left, Json):
        return json_path.each(left.field.id, left.keys, json_path.compare(op, value))
    if isinstance(left, Text) and kind == "a string":
        if op == "==":
            return texts.equal(left.field.id, value)
        if op == "!=":
            return inverted(texts.equal(left.field.id, value))
        return texts.ordered(left.field.id, op, value)
    if isinstance(left, Bool) and kind == "a bool":
        evaluate = flag(left)
        return evaluate if (op == "==") == value else inverted(evaluate)
    if isinstance(left, Number) and kind == "a number":
        if left.bounds is None:
            return numbers.compare_floats(left.numbers, op, value)
        return numbers.compare_integers(left.numbers, op, value, left.bounds)
    return None


def between(ops: Sequence[str], low: Operand, middle: Operand, high: Operand) -> Evaluate | None:
    """The range `low < middle < high`."""
    if isinstance(middle, Json):
        if not isinstance(low, Constant) or not isinstance(high, Constant):
            return None
        kind = kind_of_value(low.value)
        if kind != kind_of_value(high.value) or kind not in {"a number", "a string"}:
            return None
        test = json_path.between(ops[0], low.value, ops[1], high.value)
        return json_path.each(middle.field.id, middle.keys, test)
    first, second = comparison(ops[0], low, middle), comparison(ops[1], middle, high)
    return None if first is None or second is None else logical(True, [first, second])


def membership(operand: Operand, values: Sequence[Any]) -> Evaluate | None:
    """`operand in values`."""
    if isinstance(operand, Constant):
        value = operand.value
        answer = any(kind_of_value(v) == kind_of_value(value) and v == value for v in values)
        return lambda reader: reader.constant(answer)
    if isinstance(operand, Json):
        return json_path.each(operand.field.id, operand.keys, json_path.is_in(values))
    if isinstance(operand, Text):
        return texts.is_in(operand.field.id, values)
    if isinstance(operand, Bool):
        answers = [v in values for v in (False, True)]
        if answers[0] == answers[1]:
            return lambda reader: reader.constant(answers[0])
        return flag(operand) if answers[1] else inverted(flag(operand))
    if operand.bounds is None:
        return numbers.floats_in(operand.numbers, values)
    return numbers.integers_in(operand.numbers, values, operand.bounds)


def flag(operand: Bool) -> Evaluate:
    """A BOOL field as it is, copied: every evaluation gives a new array."""
    return lambda reader: reader.column(operand.field.id).values.copy()


def inverted(evaluate: Evaluate) -> Evaluate:
    """The rows that `evaluate` does not find."""
    return lambda reader: ~evaluate(reader)


def logical(is_and: bool, parts: Sequence[Evaluate]) -> Evaluate:
    """All or any of the parts. The parts that cannot change the answer are not evaluated."""

    def evaluate(reader: Reader) -> Mask:
        mask = parts[0](reader)
        for part in parts[1:]:
            if is_and:
                if not mask.any():
                    break
                mask &= part(reader)
            else:
                if mask.all():
                    break
                mask |= part(reader)
        return mask

    return evaluate
