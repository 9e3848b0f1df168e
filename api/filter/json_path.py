"""Conditions on a path within a JSON field or the dynamic field: `meta["a"][0] > 1`.

A value of another type than the literal, null, or a path that is not there makes a condition
false, and `!=` true, as in Milvus. Integers and floats are one type, bools another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from walvec.filter.numbers import COMPARE
from walvec.filter.reader import Evaluate, Mask, Reader

Keys = tuple[str | int, ...]
Test = Callable[[Any], bool]
NUMBERS = (int, float)


def each(field_id: int, keys: Keys, test: Test) -> Evaluate:
    """A test of the value at the path; None where there is none."""
    if len(keys) == 1 and isinstance(keys[0], str):
        return _each_key(field_id, keys[0], test)

    def evaluate(reader: Reader) -> Mask:
        documents = reader.documents(field_id)
        return np.fromiter((test(value_at(d, keys)) for d in documents), np.bool_, reader.n)

    return evaluate


def _each_key(field_id: int, key: str, test: Test) -> Evaluate:
    def evaluate(reader: Reader) -> Mask:
        documents = reader.documents(field_id)
        values = (d.get(key) if type(d) is dict else None for d in documents)
        return np.fromiter(map(test, values), np.bool_, reader.n)

    return evaluate


def value_at(document: Any, keys: Keys) -> Any:
    """What stands at the path, or None."""
    for key in keys:
        if isinstance(key, str):
            document = document.get(key) if isinstance(document, dict) else None
        elif isinstance(document, list) and key < len(document):
            document = document[key]
        else:
            return None
    return document


def _types_of(value: Any) -> tuple[type, ...]:
    """The types of values that can be compared with a literal."""
    if isinstance(value, bool):
        return (bool,)
    return NUMBERS if isinstance(value, NUMBERS) else (str,)


def compare(op: str, value: Any) -> Test:
    """`... op value`."""
    wanted, function, otherwise = _types_of(value), COMPARE[op], op == "!="
    return lambda found: bool(function(found, value)) if type(found) in wanted else otherwise


def between(low_op: str, low: Any, high_op: str, high: Any) -> Test:
    """`low low_op ... high_op high`, both operators as they stand in the text."""
    above, below = COMPARE[low_op], COMPARE[high_op]
    wanted = _types_of(low)
    return lambda v: bool(above(low, v) and below(v, high)) if type(v) in wanted else False


def is_in(values: Sequence[Any]) -> Test:
    """`... in values`; the values may be of several types."""
    bools = {v for v in values if isinstance(v, bool)}
    others = {v for v in values if not isinstance(v, bool)}

    def test(found: Any) -> bool:
        kind = type(found)
        if kind is bool:
            return found in bools
        return found in others if kind in (int, float, str) else False

    return test


def like(matches: Callable[[str], bool]) -> Test:
    """`... like pattern`."""
    return lambda found: type(found) is str and matches(found)
