"""Filters find the rows that a slow, obvious evaluator over dictionaries finds."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walvec.convert import rows_of
from walvec.filter import Filter, compile_filter
from walvec.filter.like import matcher
from walvec.schema import CollectionSchema, FieldSchema, to_schema
from walvec.wal.errors import ExpressionException, ParamError
from walvec.wal.rows import Column
from walvec.wal.schema import DataType, Schema

FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("v", DataType.FLOAT_VECTOR, dim=2),
    FieldSchema("i", DataType.INT8),
    FieldSchema("k", DataType.INT64),
    FieldSchema("f", DataType.FLOAT),
    FieldSchema("d", DataType.DOUBLE),
    FieldSchema("s", DataType.VARCHAR, max_length=100),
    FieldSchema("t", DataType.VARCHAR, max_length=100),
    FieldSchema("b", DataType.BOOL),
    FieldSchema("j", DataType.JSON),
]
SCHEMA = to_schema(CollectionSchema(FIELDS, enable_dynamic_field=True), "c")
PLAIN = to_schema(CollectionSchema(FIELDS), "c")
TEXT_PK = to_schema(
    CollectionSchema(
        [FieldSchema("name", DataType.VARCHAR, is_primary=True, max_length=9), FIELDS[1]]
    ),
    "c",
)
TEXTS = ["", "a", "ab", "abc", "b", "ä", "äb", "a%c", "a_c", "a\0", "\0", "\n", "😀a"]
INTS = [-128, -3, -1, 0, 1, 2, 3, 127]
FLOATS = [-2.5, -1.0, 0.0, 0.1, 0.5, 1.0, 2.0, 2.5]
OTHERS: list[Any] = [None, True, False, 0, 1, 2.0, 0.5, "a", "ab", [1, "a"], {"x": 1}, {}]
ABSENT = object()

rows_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.sampled_from(INTS),
            "k": st.sampled_from([*INTS, 2**53 + 1, -(2**63), 2**63 - 1]),
            "f": st.sampled_from([float(np.float32(f)) for f in FLOATS]),
            "d": st.sampled_from(FLOATS),
            "s": st.sampled_from(TEXTS),
            "t": st.sampled_from(TEXTS),
            "b": st.booleans(),
            "j": st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(OTHERS)),
        },
        optional={"color": st.sampled_from(OTHERS), "deep": st.sampled_from(OTHERS)},
    ),
    min_size=1,
    max_size=12,
)


def columns(data: list[dict[str, Any]], schema: Schema = SCHEMA) -> tuple[Any, int]:
    rows = rows_of([{"id": n, "v": [0, 1], **row} for n, row in enumerate(data)], schema, "c")
    return rows.columns.__getitem__, rows.n


def found(expression: str, data: list[dict[str, Any]], params: Any = None) -> list[int]:
    column, n = columns(data)
    mask = compile_filter(expression, SCHEMA, params).mask(column, n)
    assert mask.dtype == np.bool_
    assert mask.shape == (n,)
    rows: list[int] = np.flatnonzero(mask).tolist()
    return rows


# Random expressions against an evaluator over dictionaries. A case is (text, test of a row).

Case = tuple[str, Callable[[dict[str, Any]], bool]]
COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
ints = st.sampled_from([*INTS, 128, -129, 2**53, 2**63 - 1, -(2**63), 2**70])
numbers = ints | st.sampled_from([*FLOATS, 1e300, -1e300])
texts = st.sampled_from([*TEXTS, "abcd", "x"])
paths = st.sampled_from(["color", "deep", '$meta["color"]', 'j["x"]', "j['y']", 'j["x"][1]'])
literals = numbers | texts | st.booleans()


def quoted(value: Any) -> str:
    """A literal of the filter language."""
    if isinstance(value, bool):
        return "true" if value else "False"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return "'" + text.replace("\0", "\\x00") + "'"


def at(row: dict[str, Any], path: str) -> Any:
    """What stands at one of `paths`."""
    if path in {"color", "deep", '$meta["color"]'}:
        return row.get("color" if "color" in path else "deep")
    value = row["j"].get("x" if '"x"' in path else "y")
    if path.endswith("[1]"):
        return value[1] if isinstance(value, list) and len(value) > 1 else None
    return value


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def rounded(name: str, value: Any) -> Any:
    """A literal as it is compared with a FLOAT field."""
    if name != "f":
        return value
    with np.errstate(over="ignore"):
        return float(np.float32(value))


@st.composite
def comparisons(draw: Any) -> Case:
    op = draw(st.sampled_from(list(COMPARE)))
    name = draw(st.sampled_from(["i", "k", "f", "d", "s"]))
    value = draw(texts if name == "s" else numbers)
    if draw(st.booleans()):
        text = f"{name} {op} {quoted(value)}"
    else:
        text = f"{quoted(value)} {FLIPPED[op]} {name}"
    return text, lambda row: bool(COMPARE[op](row[name], rounded(name, value)))


@st.composite
def json_comparisons(draw: Any) -> Case:
    path, value = draw(paths), draw(literals)
    ops = ["==", "!="] if isinstance(value, bool) else list(COMPARE)
    op = draw(st.sampled_from(ops))

    def test(row: dict[str, Any]) -> bool:
        there = at(row, path)
        return bool(COMPARE[op](there, value)) if kind(there) == kind(value) else op == "!="

    return f"{path} {op} {quoted(value)}", test


@st.composite
def ranges(draw: Any) -> Case:
    low, high = draw(st.sampled_from([("<", "<="), ("<=", "<"), (">", ">="), (">", ">")]))
    name = draw(st.sampled_from(["i", "k", "d", "s"]) | paths)
    values = texts if name == "s" else numbers
    a, b = draw(values), draw(values)

    def test(row: dict[str, Any]) -> bool:
        there = row[name] if name in row and name in "ikds" else at(row, name)
        if kind(there) != kind(a):
            return False
        return bool(COMPARE[low](a, there) and COMPARE[high](there, b))

    return f"{quoted(a)} {low} {name} {high} {quoted(b)}", test


@st.composite
def memberships(draw: Any) -> Case:
    name = draw(st.sampled_from(["i", "k", "f", "d", "s", "b"]))
    values = {"s": texts, "b": st.booleans()}.get(name, numbers)
    wanted = draw(st.lists(values, max_size=12))
    text = f"{name} in [{', '.join(map(quoted, wanted))}]"
    return text, lambda row: row[name] in [rounded(name, v) for v in wanted]


@st.composite
def json_memberships(draw: Any) -> Case:
    path, wanted = draw(paths), draw(st.lists(literals, max_size=4))
    pairs = [(kind(v), v) for v in wanted]

    def test(row: dict[str, Any]) -> bool:
        there = at(row, path)
        return any(kind(there) == k and there == v for k, v in pairs)

    return f"{path} in [{', '.join(map(quoted, wanted))}]", test


@st.composite
def patterns(draw: Any) -> Case:
    name = draw(st.sampled_from(["s", "color"]))
    pieces = draw(st.lists(st.sampled_from(["%", "_", "a", "b", "ä", "\\%", "\\_"]), max_size=5))
    regex = "".join({"%": ".*", "_": "."}.get(p, re.escape(p[-1])) for p in pieces)

    def test(row: dict[str, Any]) -> bool:
        there = row.get(name)
        return isinstance(there, str) and re.fullmatch(regex, there, re.DOTALL) is not None

    return f"{name} like {quoted(''.join(pieces))}", test


@st.composite
def calculations(draw: Any) -> Case:
    op, name = draw(st.sampled_from("+-*/%")), draw(st.sampled_from(["i", "d"]))
    value = draw(st.sampled_from([1, 2, 3, -3] if name == "i" else [0.5, 2, -3]))
    wanted = draw(st.sampled_from([-1, 0, 1, 2] if name == "i" else [-1.0, 0.0, 0.5]))

    def test(row: dict[str, Any]) -> bool:
        x = row[name]
        exact: dict[str, Callable[[], Any]] = {
            "+": lambda: x + value,
            "-": lambda: x - value,
            "*": lambda: x * value,
            "/": lambda: math.trunc(x / value) if name == "i" else x / value,
            "%": lambda: math.fmod(x, value),
        }
        return bool(exact[op]() >= wanted)

    return f"{name} {op} {value} >= {wanted}", test


def fields_compared(left: str, op: str, right: str) -> Case:
    return f"{left} {op} {right}", lambda row: bool(COMPARE[op](row[left], row[right]))


leaves = st.one_of(
    comparisons(),
    json_comparisons(),
    ranges(),
    memberships(),
    json_memberships(),
    patterns(),
    calculations(),
    st.sampled_from([fields_compared("i", o, "k") for o in COMPARE]),
    st.sampled_from([fields_compared("d", o, "f") for o in COMPARE]),
    st.sampled_from([fields_compared("s", o, "t") for o in COMPARE]),
    st.sampled_from([("b", lambda r: r["b"]), ("b == false", lambda r: not r["b"])]),
    st.sampled_from([("true", lambda _: True), ("1 > 2", lambda _: False)]),
)


def joined(cases: list[Case], text: str, together: Callable[[Any], bool]) -> Case:
    tests = [test for _, test in cases]
    inner = f" {text} ".join(f"({t})" for t, _ in cases)
    return inner, lambda row: together(test(row) for test in tests)


def negated(case: Case, word: str) -> Case:
    return f"{word}({case[0]})", lambda row: not case[1](row)


expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(
            joined, st.lists(inner, min_size=2, max_size=3), st.sampled_from(["and", "&&"]),
            st.just(all),
        ),
        st.builds(
            joined, st.lists(inner, min_size=2, max_size=3), st.sampled_from(["or", "||"]),
            st.just(any),
        ),
        st.builds(negated, inner, st.sampled_from(["not ", "!", "NOT"])),
    ),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=500)
@given(rows_strategy, expressions)
def test_a_filter_finds_what_an_obvious_evaluator_finds(data: Any, case: Case) -> None:
    text, test = case
    assert found(text, data) == [n for n, row in enumerate(data) if test(row)]


@given(st.text(max_size=12, alphabet="ab\n"), st.text(max_size=8, alphabet="ab%_\n"))
def test_like_is_a_regular_expression_with_other_words(text: str, pattern: str) -> None:
    regex = "".join({"%": ".*", "_": "."}.get(c, c) for c in pattern)
    assert matcher(pattern)(text) == (re.fullmatch(regex, text, re.DOTALL) is not None)


def test_a_pattern_with_many_wildcards_takes_no_long_time() -> None:
    assert not matcher("%a" * 200 + "%b")("a" * 20_000)


# By example

DATA: list[dict[str, Any]] = [
    {"i": 1, "k": 10, "f": 0.1, "d": 1.5, "s": "it's", "t": "", "b": True, "j": {"a": [{"b": 1}]}},
    {"i": 2, "k": 20, "f": 0.2, "d": 2.5, "s": "50%", "t": "", "b": False, "j": {"a": 2}, "c": 3},
    {"i": 3, "k": 30, "f": 0.3, "d": 3.5, "s": 'a"b', "t": "x", "b": True, "j": {}, "c": "3"},
]


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ("i==1", [0]),
        ("  i\n\t>\r\n1 ", [1, 2]),
        ("1 < i", [1, 2]),
        ("i > 1 AND i < 3 OR i == 1", [0, 1]),
        ("i == 1 or i > 1 and i < 3", [0, 1]),
        ("not i == 1", [1, 2]),
        ("NOT (i == 1) && !b", [1]),
        ("i not in [1, 3]", [1]),
        ("i NOT IN [1,3,]", [1]),
        ("i in []", []),
        ("3 >= i >= 2", [1, 2]),
        ("b", [0, 2]),
        ("b == TRUE", [0, 2]),
        ("b != true", [1]),
        ("f == 0.1", [0]),
        ("f in [0.1, 0.3]", [0, 2]),
        ("s == 'it\\'s'", [0]),
        ('s == "it\'s"', [0]),
        ('s == "a\\"b"', [2]),
        ("s == 'a\"b'", [2]),
        ('s == "\\x35\\u0030%"', [1]),
        ('s == r"50%"', [1]),
        ('s like "50\\%"', [1]),
        ('s like "50\\\\%"', [1]),
        ('s like "5_\\%"', [1]),
        ('s like "%t%"', [0]),
        ("t == ''", [0, 1]),
        ("t like '%'", [0, 1, 2]),
        ("s > t", [0, 1]),
        ('j["a"][0]["b"] == 1', [0]),
        ('j["a"] == 2', [1]),
        ('j["a"] != 2', [0, 2]),
        ('not (j["a"] > 0)', [0, 2]),
        ("c == 3", [1]),
        ('c == "3"', [2]),
        ("c != 3", [0, 2]),
        ("c in [3, '3']", [1, 2]),
        ('$meta["c"] == 3', [1]),
        ("nowhere == 1", []),
        ("i + 1 == 2", [0]),
        ("k / 7 == 2 or k % 7 == 2", [1, 2]),
        ("-i <= -2", [1, 2]),
        ("i * 2 - 1 == 2 ** 2 + 1", [2]),
        ("i + d > 5", [2]),
        ("i / (i - 1) == 2", [1]),
        ("i % (i - 1) != 5", [0, 1, 2]),
        ("i == 0x3 or i == 0b10 or i == 01", [0, 1, 2]),
        ("d == 1.5e0 or d == .25e1", [0, 1]),
        ("d == 0x1.8p0", [0]),
        ("i < 1.5", [0]),
        ("i <= 1.5", [0]),
        ("i > 1.5", [1, 2]),
        ("i >= 1.5", [1, 2]),
        ("i == 1.5", []),
        ("i != 1.5", [0, 1, 2]),
        ("i < 2.0", [0]),
        ("-i <= -2.5", [2]),
        ("1 == 1 and true", [0, 1, 2]),
        ("'a' in ['b']", []),
        ("((((i)))) == (1)", [0]),
    ],
)
def test_expression(expression: str, rows: list[int]) -> None:
    assert found(expression, DATA) == rows


def test_templates_are_filled_with_parameters() -> None:
    assert found("i == {x}", DATA, {"x": 2}) == [1]
    assert found("i in {x} and s == {y}", DATA, {"x": (1, 2), "y": "50%"}) == [1]
    assert found("i in {x}", DATA, {"x": np.array([2, 3])}) == [1, 2]
    assert found("i in [{x}, {y}]", DATA, {"x": np.int8(1), "y": 3}) == [0, 2]
    assert found("c in {x}", DATA, {"x": ["3", 3]}) == [1, 2]
    assert found("b == {x}", DATA, {"x": False}) == [1]
    assert found("s like {x}", DATA, {"x": "50%"}) == [1]
    assert found("i in {x}", DATA, {"x": range_of(65_536)}) == [0, 1, 2]
    with pytest.raises(ExpressionException, match=r"filter_params has no value for \{x\}"):
        found("i == {x}", DATA)
    with pytest.raises(ExpressionException, match=r"no \{y\} in the expression"):
        found("i == {x}", DATA, {"x": 1, "y": 2})
    with pytest.raises(ExpressionException, match="at most 65536 are allowed"):
        found("i in {x}", DATA, {"x": range_of(65_537)})
    with pytest.raises(ExpressionException, match="must be finite numbers"):
        found("i == {x}", DATA, {"x": math.nan})
    with pytest.raises(ExpressionException, match="must be finite numbers"):
        found("i in {x}", DATA, {"x": [None]})
    with pytest.raises(ExpressionException, match="cannot compare"):
        found("i == {x}", DATA, {"x": "1"})


def range_of(n: int) -> list[int]:
    return list(range(n))


def caret(message: str) -> str:
    """What the caret of a message points to."""
    _, line, mark = message.split("\n")
    return line[mark.index("^") :]


@pytest.mark.parametrize(
    ("expression", "what", "points_to"),
    [
        ("i == ", "ends too early", ""),
        ("i = 1", "did not expect '='", "= 1"),
        ("i == 1 1", "did not expect '1'", "1"),
        ("(i == 1", "ends too early", ""),
        ("i == 1)", "did not expect ')'", ")"),
        ("and i == 1", "did not expect 'and'", "and i == 1"),
        ('s == "a', "this string has no end", '"a'),
        ("i # 1", "did not expect '#'", "# 1"),
        ("i is null", "did not expect 'is'", "is null"),
        ("json_contains(j, 1)", "did not expect '('", "(j, 1)"),
        ("i == 09", "not a number", "09"),
        ("d == 1e999", "not a number within range", "1e999"),
        ('s == "\\ud800"', "an escape in this string means no character", '"\\ud800"'),
        ("i == 1 and x == 2", "no field x", "x == 2"),
        ("i == 'a'", "cannot compare a number with a string", "== 'a'"),
        ("s < 1", "cannot compare a string with a number", "< 1"),
        ("b == 1", "cannot compare a bool with a number", "== 1"),
        ("b < true", "< cannot compare a bool with a bool", "< true"),
        ("i == j", "cannot compare a number with a JSON value", "== j"),
        ("v == 1", "field v of type FLOAT_VECTOR cannot be part of a filter", "v == 1"),
        ("i[0] == 1", "field i of type INT8 cannot be indexed", "i[0] == 1"),
        ("i in [1, 'a']", "in cannot find 'a' where a number is", "in [1, 'a']"),
        ("i in [1, k]", "a list takes numbers, strings and bools", "k]"),
        ("i in 1", "did not expect '1'", "1"),
        ("i == [1]", "did not expect '['", "[1]"),
        ("i like 'a'", "like takes a string, not a number", "like 'a'"),
        ("s like 1", "expected a string as the pattern", "1"),
        ("s like 'a\\\\'", "ends in a backslash", "'a\\\\'"),
        ("s + 1 == 2", "+ takes two numbers, not a string and a number", "+ 1 == 2"),
        ("1 / 0 == i", "division by zero", "/ 0 == i"),
        ("2 ** 9999 == i", "out of range", "** 9999 == i"),
        ("10 ** 1000 == i", "out of range", "** 1000 == i"),
        ("i", "expected a condition, found a number", "i"),
        ("j and b", "expected a condition, found a JSON value", "j and b"),
        ("'a'", "expected a condition, found a string", "'a'"),
        ("(i == 1) == true", "a condition or list cannot be a value here", "== 1) == true"),
        ("1 < i > 2", "comparisons can be chained as ranges only", "< i > 2"),
        ("1 < i < 2 < 3", "comparisons can be chained as ranges only", "< i < 2 < 3"),
        ("i == 1 == 1", "comparisons can be chained as ranges only", "== 1 == 1"),
    ],
)
def test_what_cannot_be_read_is_shown_with_a_caret(
    expression: str, what: str, points_to: str
) -> None:
    with pytest.raises(ExpressionException) as raised:
        compile_filter(expression, PLAIN)
    assert what in raised.value.message
    assert caret(raised.value.message) == points_to
    assert raised.value.code == 1100


def test_the_caret_of_a_long_expression_stands_in_an_excerpt() -> None:
    expression = "i == 1 or " * 500 + "\n x == 2 or " + "i == 1 or " * 500 + "b"
    with pytest.raises(ExpressionException) as raised:
        compile_filter(expression, PLAIN)
    assert len(raised.value.message) < 400
    assert caret(raised.value.message).startswith("x == 2")


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 1000 + "b" + ")" * 1000,
        "!" * 5000 + "b",
        "not " * 5000 + "b",
        "-" * 5000 + "i == 1",
        "i" + " + i" * 5000 + " == 1",
        "(i == 1 and " * 500 + "b" + ")" * 500,
    ],
)
def test_deep_nesting_is_refused_and_never_a_recursion_error(expression: str) -> None:
    with pytest.raises(ExpressionException, match="nested more than 128 levels deep"):
        compile_filter(expression, SCHEMA)


def test_long_chains_and_lists_are_no_nesting() -> None:
    assert found(" or ".join(["i == 1"] * 3000), DATA) == [0]
    assert found(f"i in [{','.join(['1'] * 30_000)}]", DATA) == [0]
    assert found("(" * 100 + "b" + ")" * 100, DATA) == [0, 2]


def test_an_expression_of_more_than_64_kib_is_refused() -> None:
    with pytest.raises(ExpressionException, match="has 65537 characters, at most 65536"):
        compile_filter("b" + " " * 65_536, SCHEMA)


def test_arguments_of_wrong_types_are_refused() -> None:
    with pytest.raises(ParamError, match="collection shelf: filter must be a string, got 7"):
        compile_filter(7, SCHEMA, collection_name="shelf")  # type: ignore[arg-type]
    with pytest.raises(ParamError, match="filter_params must be a dict"):
        compile_filter("b", SCHEMA, [1])  # type: ignore[arg-type]


def test_a_filter_names_the_fields_it_reads() -> None:
    by_name = {f.name: f.id for f in SCHEMA.fields}
    compiled = compile_filter('i > 1 and (s like "a%" or color == 1) and j["x"] == 1', SCHEMA)
    assert compiled.field_ids == {by_name[name] for name in ("i", "s", "$meta", "j")}


def test_a_filter_is_compiled_once_for_each_schema() -> None:
    assert compile_filter("i == 77", SCHEMA) is compile_filter("i == 77", SCHEMA)
    assert compile_filter("i == 77", SCHEMA) is not compile_filter("i == 77", PLAIN)
    filled = compile_filter("i == {x}", SCHEMA, {"x": 1})
    assert filled is not compile_filter("i == {x}", SCHEMA, {"x": 2})
    assert repr(filled) == "Filter('i == {x}')"


@pytest.mark.parametrize("expression", ["b", "b == true", "b in [true]", "b and b", "true"])
def test_a_mask_is_the_callers_own(expression: str) -> None:
    column, n = columns(DATA)
    compiled = compile_filter(expression, SCHEMA)
    first = compiled.mask(column, n)
    first[:] = False
    assert compiled(column, n).any()
    assert column(SCHEMA.by_name["b"].id).values.tolist() == [True, False, True]


def test_an_infix_is_found_within_one_text_and_not_across_two() -> None:
    texts = ["", "xab", "", "c", "abc", "", "ab", "abab", "cab", ""]
    data = [{**DATA[0], "s": text} for text in texts]
    assert found('s like "%ab%"', data) == [1, 4, 6, 7, 8]
    assert found('s like "%abc%"', data) == [4]
    assert found('s like "%c%"', data) == [3, 4, 8]


def test_a_bool_within_json_is_no_number() -> None:
    data = [{**DATA[0], "c": c, "j": {"a": c}} for c in (True, False, 1, 0, 1.0, "1", None)]
    for path in ("c", 'j["a"]'):
        assert found(f"{path} == 1", data) == [2, 4]
        assert found(f"{path} == true", data) == [0]
        assert found(f"{path} != false", data) == [0, 2, 3, 4, 5, 6]
        assert found(f"{path} in [1, false]", data) == [1, 2, 4]
        assert found(f"0 <= {path} <= 1", data) == [2, 3, 4]
        assert found(f"{path} like '1'", data) == [5]


def test_no_rows_give_an_empty_mask() -> None:
    rows = rows_of([], SCHEMA, "c")
    for expression in ("i == 1", "s == 'a'", "s in ['a','b']", "s like '%a%'", "c == 1", "b"):
        assert compile_filter(expression, SCHEMA).mask(rows.columns.__getitem__, 0).shape == (0,)


def test_columns_that_are_slices_of_longer_ones_are_read_right() -> None:
    column, _ = columns([*DATA, *DATA])

    def middle(field_id: int) -> Column:
        whole: Column = column(field_id)
        return whole.slice(1, 4)

    for expression in ('s == "50%"', 's in ["50%", "xyz"]', 's like "%0%"', "s like '%0\\\\%'"):
        assert np.flatnonzero(compile_filter(expression, SCHEMA)(middle, 3)).tolist() == [0]


# Keys


def keys_of(compiled: Filter) -> list[Any] | None:
    pks = compiled.pks()
    if pks is None:
        return None
    return pks.texts() if pks.offsets is not None else pks.values.tolist()


@pytest.mark.parametrize(
    ("expression", "keys"),
    [
        ("id == 5", [5]),
        ("5 == id", [5]),
        ("(id == 2 + 3)", [5]),
        ("id in [3, 1, 3]", [3, 1]),
        ("id in []", []),
        ("id in [1.0, 2.5, 99999999999999999999]", [1]),
        ("id != 5", None),
        ("id > 5", None),
        ("id not in [5]", None),
        ("id == 5 and b", None),
        ("id == k", None),
        ("i == 5", None),
        ("1 == 1", None),
    ],
)
def test_expressions_that_just_name_keys_say_which(expression: str, keys: list[int] | None) -> None:
    assert keys_of(compile_filter(expression, SCHEMA)) == keys


def test_keys_may_be_strings_and_come_from_templates() -> None:
    assert keys_of(compile_filter('name in ["b", "ä", "b"]', TEXT_PK)) == ["b", "ä"]
    assert keys_of(compile_filter("name == {x}", TEXT_PK, {"x": "q"})) == ["q"]
    assert keys_of(compile_filter("id in {x}", SCHEMA, {"x": [2, 1]})) == [2, 1]
