"""A slow, obvious evaluator of filters over dictionaries, and random schemas, rows, expressions.

A case is the text of an expression and what it is of a row: True, False, or None for unknown.
"""

from __future__ import annotations

import math
import operator
import re
import struct
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from walvec.schema import FieldSchema
from walvec.wal.schema import DataType

Row = dict[str, Any]
Truth = bool | None
Test = Callable[[Row], Truth]

COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
ABSENT = object()

TEXTS = ["", "a", "ab", "abc", "b", "ä", "äb", "a%c", "a_c", "a\0", "\0", "\n", "😀a", "abcdefgh",
         "abcdefghi", "abcdefghä", "abcdefgh\0", "aabab"]  # fmt: skip
INTS = [-128, -3, -1, 0, 1, 2, 3, 127]
FLOATS = [-2.5, -1.0, 0.0, 0.1, 0.5, 1.0, 2.0, 2.5]
TIMES = ["1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z", "2024-01-31T10:00:00Z",
         "2024-02-29T23:00:00Z", "2025-03-30T00:30:00Z"]  # fmt: skip
DOCUMENTS: list[Any] = [None, True, False, 0, 1, 2.0, 0.5, -3, 2**63, "a", "ab", "ä", "x", '"',
                        [1, "a"], [], [[1], 2.0, True], ["ab", None], {"x": 1}, {},
                        {"y": {}}]  # fmt: skip


class Case(NamedTuple):
    """An expression."""

    text: str
    test: Test


class Ref(NamedTuple):
    """Something that a row has a value for, or None: its text, how it is read, and what it is:
    "number", "text", "bool", "time", "json", "array"; `single`: a 32-bit float."""

    text: str
    read: Callable[[Row], Any]
    kind: str
    single: bool = False
    elements: str = ""


def float32(value: float) -> float:
    """A number as a 32-bit float."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def kind(value: Any) -> str:
    """What kind of constant a value can be compared with."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return {str: "text", list: "list", dict: "object", datetime: "time"}[type(value)]


def quoted(value: Any) -> str:
    """A literal of the filter language."""
    if isinstance(value, bool):
        return "true" if value else "False"
    if isinstance(value, list):
        return f"[{', '.join(map(quoted, value))}]"
    if isinstance(value, datetime):
        return f"ISO '{value.isoformat()}'"
    if isinstance(value, int | float):
        return repr(value)
    text = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return "'" + text.replace("\0", "\\x00") + "'"


def moment(text: str) -> datetime:
    """A time."""
    return datetime.fromisoformat(text.replace("Z", "+00:00").replace(".5+", ".500000+"))


# Truth


def negation(truth: Truth) -> Truth:
    return None if truth is None else not truth


def every(truths: Iterable[Truth]) -> Truth:
    found = list(truths)
    return False if False in found else None if None in found else True


def some(truths: Iterable[Truth]) -> Truth:
    return negation(every(map(negation, truths)))


# Schemas and rows

KINDS: dict[str, tuple[FieldSchema, Any]] = {
    "i": (FieldSchema("i", DataType.INT8), st.sampled_from(INTS)),
    "k": (
        FieldSchema("k", DataType.INT64),
        st.sampled_from([*INTS, 2**53 + 1, -(2**63), 2**63 - 1]),
    ),
    "f": (FieldSchema("f", DataType.FLOAT), st.sampled_from([float32(f) for f in FLOATS])),
    "d": (FieldSchema("d", DataType.DOUBLE), st.sampled_from(FLOATS)),
    "s": (FieldSchema("s", DataType.VARCHAR, max_length=100), st.sampled_from(TEXTS)),
    "t": (FieldSchema("t", DataType.VARCHAR, max_length=100), st.sampled_from(TEXTS)),
    "b": (FieldSchema("b", DataType.BOOL), st.booleans()),
    "c": (FieldSchema("c", DataType.BOOL), st.booleans()),
    "z": (FieldSchema("z", DataType.TIMESTAMPTZ), st.sampled_from(TIMES)),
    "ai": (
        FieldSchema("ai", DataType.ARRAY, element_type=DataType.INT16, max_capacity=4),
        st.lists(st.sampled_from(INTS), max_size=4),
    ),
    "af": (
        FieldSchema("af", DataType.ARRAY, element_type=DataType.FLOAT, max_capacity=3),
        st.lists(st.sampled_from([float32(f) for f in FLOATS]), max_size=3),
    ),
    "as": (
        FieldSchema(
            "as", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=3, max_length=50
        ),
        st.lists(st.sampled_from(TEXTS), max_size=3),
    ),
    "ab": (
        FieldSchema("ab", DataType.ARRAY, element_type=DataType.BOOL, max_capacity=3),
        st.lists(st.booleans(), max_size=3),
    ),
    "j": (
        FieldSchema("j", DataType.JSON),
        st.one_of(
            st.dictionaries(st.sampled_from(["x", "y", "ä"]), st.sampled_from(DOCUMENTS)),
            st.sampled_from([1, [1, 2], [[1], "x"]]),
        ),
    ),
}
DYNAMIC = st.dictionaries(st.sampled_from(["color", "deep"]), st.sampled_from(DOCUMENTS))


class World(NamedTuple):
    """A random schema with random rows."""

    fields: list[FieldSchema]
    rows: list[Row]


def _nullable(field: FieldSchema) -> FieldSchema:
    params = {**field.params, "nullable": True}
    if field.dtype is DataType.ARRAY:
        params["element_type"] = field.element_type
    return FieldSchema(field.name, field.dtype, **params)


@st.composite
def worlds(draw: Any) -> World:
    names = draw(st.lists(st.sampled_from(list(KINDS)), min_size=2, max_size=6, unique=True))
    fields, values = [], {}
    for name in names:
        field, value = KINDS[name]
        if draw(st.booleans()):
            field, value = _nullable(field), st.none() | value
        fields.append(field)
        values[name] = value
    row = st.tuples(st.fixed_dictionaries(values), DYNAMIC).map(lambda both: {**both[1], **both[0]})
    return World(fields, draw(st.lists(row, min_size=1, max_size=10)))


# References


def at(value: Any, *keys: Any) -> Any:
    """What stands at a path of JSON, None for null and nothing."""
    for key in keys:
        if isinstance(key, str):
            value = value.get(key) if isinstance(value, dict) else None
        elif isinstance(value, dict):
            value = value.get(str(key))
        else:
            value = value[key] if isinstance(value, list) and len(value) > key else None
    return value


def _column(name: str, kind_of: str, single: bool = False, elements: str = "") -> Ref:
    if kind_of == "time":
        return Ref(name, lambda row: row[name] and moment(row[name]), "time")
    return Ref(name, lambda row: row[name], kind_of, single, elements)


def _path(text: str, *keys: Any) -> Ref:
    return Ref(text, lambda row: at(row, *keys), "json")


def _element(name: str, index: int, kind_of: str, single: bool = False) -> Ref:
    return Ref(f"{name}[{index}]", lambda row: at(row[name], index), kind_of, single)


def _length(name: str) -> Ref:
    def read(row: Row) -> Any:
        return len(row[name]) if isinstance(row[name], list) else None

    return Ref(f"array_length({name})", read, "number")


def _shifted(name: str) -> list[Ref]:
    def read(days: int, seconds: float) -> Callable[[Row], Any]:
        by = timedelta(days, seconds)
        return lambda row: row[name] and moment(row[name]) + by

    return [
        Ref(f"{name} + INTERVAL 'P1DT2H'", read(1, 7200), "time"),
        Ref(f"{name} - interval 'PT0.5S'", read(0, -0.5), "time"),
    ]


REFS: dict[str, list[Ref]] = {
    "i": [_column("i", "number")],
    "k": [_column("k", "number")],
    "f": [_column("f", "number", single=True)],
    "d": [_column("d", "number")],
    "s": [_column("s", "text")],
    "t": [_column("t", "text")],
    "b": [_column("b", "bool")],
    "c": [_column("c", "bool")],
    "z": [_column("z", "time"), *_shifted("z")],
    "ai": [
        _column("ai", "array", elements="number"),
        _element("ai", 0, "number"),
        _element("ai", 2, "number"),
        _length("ai"),
    ],
    "af": [_column("af", "array", True, "number"), _element("af", 1, "number", True)],
    "as": [_column("as", "array", elements="text"), _element("as", 0, "text"), _length("as")],
    "ab": [_column("ab", "array", elements="bool"), _element("ab", 1, "bool")],
    "j": [
        _path('j["x"]', "j", "x"),
        _path("j['y'][0]", "j", "y", 0),
        _path('j["ä"]', "j", "ä"),
        _path("j[1]", "j", 1),
        _path("j", "j"),
        _length("j"),
    ],
}
DYNAMIC_REFS = [
    _path("color", "color"),
    _path('$meta["color"]', "color"),
    _path("deep", "deep"),
    _path('deep["x"]', "deep", "x"),
    _path("deep[0]", "deep", 0),
]

# Constants

numbers = st.sampled_from([*INTS, 128, -129, 2**53, 2**63 - 1, -(2**63), 2**70]) | st.sampled_from(
    [*FLOATS, 1e300, -1e300]
)
texts = st.sampled_from([*TEXTS, "abcd", "x", "abcdefghj"])
times = st.sampled_from([moment(t) for t in [*TIMES, "2024-02-01T12:00:00+08:00"]])
# Of JSON, 2**63 is a float, as which 2**63 - 1 is the same: there is no telling them apart.
scalars = numbers.filter(lambda number: number != 2**63 - 1) | texts | st.booleans()
lists = st.lists(scalars | st.lists(scalars, max_size=2), max_size=3)
CONSTANTS = {
    "number": numbers,
    "text": texts,
    "bool": st.booleans(),
    "time": times,
    "json": scalars | lists,
}


def _rounded(ref: Ref, value: Any) -> Any:
    return float32(value) if ref.single and kind(value) == "number" else value


def _same(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal: a bool is no number."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return a is b is None or (a is not None and b is not None and kind(a) == kind(b) and a == b)


# Leaves


@st.composite
def comparisons(draw: Any, ref: Ref) -> Case:
    value = draw(CONSTANTS[ref.kind])
    op = draw(st.sampled_from(["==", "!="] if kind(value) in {"bool", "list"} else list(COMPARE)))

    def test(row: Row) -> Truth:
        there = ref.read(row)
        if there is None or kind(there) != kind(value):
            return None
        if kind(value) == "list":
            return _same(there, value) == (op == "==")
        return bool(COMPARE[op](there, _rounded(ref, value)))

    if draw(st.booleans()):
        return Case(f"{ref.text} {op} {quoted(value)}", test)
    return Case(f"{quoted(value)} {FLIPPED[op]} {ref.text}", test)


@st.composite
def ranges(draw: Any, ref: Ref) -> Case:
    low, high = draw(st.sampled_from([("<", "<="), ("<=", "<"), (">", ">="), (">", ">")]))
    constants = (
        CONSTANTS[ref.kind]
        if ref.kind != "json"
        else draw(st.sampled_from([scalars.filter(lambda v: kind(v) == "number"), texts]))
    )
    a, b = draw(constants), draw(constants)

    def test(row: Row) -> Truth:
        there = ref.read(row)
        if there is None or kind(there) != kind(a):
            return None
        return bool(
            COMPARE[low](_rounded(ref, a), there) and COMPARE[high](there, _rounded(ref, b))
        )

    return Case(f"{quoted(a)} {low} {ref.text} {high} {quoted(b)}", test)


@st.composite
def memberships(draw: Any, ref: Ref) -> Case:
    wanted = draw(st.lists(CONSTANTS[ref.kind], max_size=10))
    word = draw(st.sampled_from(["in", "not in", "NOT IN"]))

    def test(row: Row) -> Truth:
        there = ref.read(row)
        if there is None or (wanted and kind(there) not in {kind(v) for v in wanted}):
            return None
        found = any(_same(there, _rounded(ref, value)) for value in wanted)
        return found == (word == "in")

    return Case(f"{ref.text} {word} {quoted(wanted)}", test)


@st.composite
def patterns(draw: Any, ref: Ref) -> Case:
    pieces = draw(
        st.lists(st.sampled_from(["%", "_", "a", "b", "ä", "\\%", "\\_", "cdefgh"]), max_size=5)
    )
    regex = "".join({"%": ".*", "_": "."}.get(p, re.escape(p.removeprefix("\\"))) for p in pieces)

    def test(row: Row) -> Truth:
        there = ref.read(row)
        if not isinstance(there, str):
            return None
        return re.fullmatch(regex, there, re.DOTALL) is not None

    return Case(f"{ref.text} LIKE {quoted(''.join(pieces))}", test)


def _trunc_div(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


@st.composite
def calculations(draw: Any, ref: Ref) -> Case:
    op = draw(st.sampled_from("+-*/%"))
    value = draw(st.sampled_from([1, 2, 3, -3, 0.5, 0]))
    wanted = draw(st.sampled_from([-1, 0, 1, 2, 0.5]))
    compare = draw(st.sampled_from(["==", ">=", "!="]))

    def result(x: Any) -> Any:
        if op in "/%" and value == 0:
            return None
        whole = isinstance(x, int) and isinstance(value, int)
        if op == "/":
            return _trunc_div(x, value) if whole else x / value
        if op == "%":
            return x - value * _trunc_div(x, value) if whole else math.fmod(x, value)
        return {"+": operator.add, "-": operator.sub, "*": operator.mul}[op](x, value)

    def test(row: Row) -> Truth:
        there = ref.read(row)
        if there is None or kind(there) != "number":
            return None
        found = result(there)
        return None if found is None else bool(COMPARE[compare](found, wanted))

    return Case(f"{ref.text} {op} {value} {compare} {wanted}", test)


def small(ref: Ref) -> Ref:
    """For arithmetic: the largest JSON integer is a float there."""

    def read(row: Row) -> Any:
        there = ref.read(row)
        return float(there) if there == 2**63 and not isinstance(there, bool) else there

    return ref._replace(read=read)


def null_tests(ref: Ref, negated: bool) -> Case:
    is_null: Test = lambda row: ref.read(row) is None  # noqa: E731
    if ref.kind == "json" and ref.text != "j":
        is_null = lambda row: _nothing(ref.read(row))  # noqa: E731
    words = "IS NOT NULL" if negated else "is null"
    return Case(f"{ref.text} {words}", lambda row: is_null(row) != negated)


def _nothing(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_nothing, value.values()))
    return value is None or (isinstance(value, list) and all(map(_nothing, value)))


def existence(ref: Ref) -> Case:
    return Case(f"exists {ref.text}", lambda row: not _nothing(ref.read(row)))


@st.composite
def containments(draw: Any, ref: Ref) -> Case:
    name = draw(st.sampled_from(["json_contains", "ARRAY_CONTAINS"]))
    mode = draw(st.sampled_from(["", "_all", "_any"]))
    constants = CONSTANTS[ref.elements] if ref.elements else scalars | lists
    values = draw(st.lists(constants, max_size=3)) if mode else [draw(constants)]
    mode = mode.upper() if name.isupper() else mode

    def test(row: Row) -> Truth:
        there = ref.read(row)
        if not isinstance(there, list):
            return None
        found = [any(_same(item, _rounded(ref, value)) for item in there) for value in values]
        return any(found) if mode.lower() == "_any" else all(found)

    argument = values if mode else values[0]
    return Case(f"{name}{mode}({ref.text}, {quoted(argument)})", test)


@st.composite
def wholes(draw: Any, ref: Ref) -> Case:
    """A whole array against a list."""
    values = draw(st.lists(CONSTANTS[ref.elements], max_size=3))
    op = draw(st.sampled_from(["==", "!="]))

    def test(row: Row) -> Truth:
        there = ref.read(row)
        if there is None:
            return None
        return _same(there, [_rounded(ref, v) for v in values]) == (op == "==")

    return Case(f"{ref.text} {op} {quoted(values)}", test)


@st.composite
def pairs(draw: Any, left: Ref, right: Ref) -> Case:
    """Two columns."""
    op = draw(st.sampled_from(["==", "!="] if left.kind == "bool" else list(COMPARE)))

    def test(row: Row) -> Truth:
        a, b = left.read(row), right.read(row)
        return None if a is None or b is None else bool(COMPARE[op](a, b))

    return Case(f"{left.text} {op} {right.text}", test)


def flag(ref: Ref) -> Case:
    return Case(ref.text, ref.read)


ALWAYS = [Case("1 > 2", lambda _: False), Case("true", lambda _: True)]


def _leaves_of(ref: Ref, refs: list[Ref]) -> list[Any]:
    """What can be asked of something."""
    options: list[Any] = []
    if ref.kind != "array":
        options += [comparisons, memberships]
    if ref.kind in {"number", "text", "time", "json"}:
        options.append(ranges)
    if ref.kind in {"text", "json"}:
        options.append(patterns)
    if ref.kind in {"number", "json"} and ref.text != "k" and not ref.single:
        options.append(lambda ref: calculations(small(ref)))
    if ref.kind == "bool":
        options.append(lambda ref: st.just(flag(ref)))
    if ref.kind in {"json", "array"}:
        options.append(containments)
    if ref.kind == "json" and ref.text != "j":
        options.append(lambda ref: st.just(existence(ref)))
    if ref.kind == "array":
        options.append(wholes)
    if ref.kind == "json" or ref.text in KINDS:
        options.append(lambda ref: st.builds(null_tests, st.just(ref), st.booleans()))
    # An integer and a float are compared as floats: exact below 2**53 only.
    same = [other for other in refs if other.kind == ref.kind and "k" not in ref.text + other.text]
    if ref.kind not in {"json", "array"} and len(same) > 1:
        options.append(lambda ref: st.sampled_from(same).flatmap(lambda other: pairs(ref, other)))
    return options


@st.composite
def leaves(draw: Any, fields: list[FieldSchema]) -> Case:
    """A condition on one of the fields, or a dynamic key."""
    refs = [ref for field in fields for ref in REFS[field.name]]
    refs += [draw(st.sampled_from(DYNAMIC_REFS))]
    if draw(st.integers(0, 20)) == 0:
        return draw(st.sampled_from(ALWAYS))  # type: ignore[no-any-return]
    ref = draw(st.sampled_from(refs))
    option = draw(st.sampled_from(_leaves_of(ref, refs)))
    return draw(option(ref))  # type: ignore[no-any-return]


# Expressions


def _joined(cases: list[Case], word: str, together: Callable[[Iterable[Truth]], Truth]) -> Case:
    text = f" {word} ".join(f"({case.text})" for case in cases)
    return Case(text, lambda row: together([case.test(row) for case in cases]))


def _negated(case: Case, word: str) -> Case:
    return Case(f"{word}({case.text})", lambda row: negation(case.test(row)))


def expressions(fields: list[FieldSchema]) -> Any:
    """Any condition, and any combination of conditions."""
    return st.recursive(
        leaves(fields),
        lambda inner: st.one_of(
            st.builds(
                _joined,
                st.lists(inner, min_size=2, max_size=3),
                st.sampled_from(["and", "&&"]),
                st.just(every),
            ),
            st.builds(
                _joined,
                st.lists(inner, min_size=2, max_size=3),
                st.sampled_from(["or", "||"]),
                st.just(some),
            ),
            st.builds(_negated, inner, st.sampled_from(["not ", "!", "NOT"])),
        ),
        max_leaves=5,
    )
