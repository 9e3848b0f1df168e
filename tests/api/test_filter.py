"""The filter language by example: what is read, what it finds, what is refused and how."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from walvec.convert import rows_of
from walvec.filter import Filter, compile_filter
from walvec.filter.parse import parse
from walvec.schema import CollectionSchema, FieldSchema, to_schema
from walvec.wal.errors import ExpressionException, ParamError
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


def source(data: list[dict[str, Any]], schema: Schema = SCHEMA) -> Any:
    """Rows as a filter reads them."""
    rows = rows_of([{"id": n, "v": [0, 1], **row} for n, row in enumerate(data)], schema, "c")
    return SimpleNamespace(column=rows.columns.__getitem__, n=rows.n, scalars={})


def found(expression: str, data: list[dict[str, Any]], params: Any = None) -> list[int]:
    rows = source(data)
    mask = compile_filter(expression, SCHEMA, params).mask(rows)
    assert mask.dtype == np.bool_
    assert mask.shape == (rows.n,)
    numbers: list[int] = np.flatnonzero(mask).tolist()
    return numbers


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
        ('j["a"] != 2', []),
        ('not (j["a"] > 0)', []),
        ('not (j["a"] > 2)', [1]),
        ("c == 3", [1]),
        ('c == "3"', [2]),
        ("c != 3", []),
        ("c != 4", [1]),
        ("c in [3, '3']", [1, 2]),
        ('$meta["c"] == 3', [1]),
        ("nowhere == 1", []),
        ("i + 1 == 2", [0]),
        ("k / 7 == 2 or k % 7 == 2", [1, 2]),
        ("-i <= -2", [1, 2]),
        ("i * 2 - 1 == 2 ** 2 + 1", [2]),
        ("i + d > 5", [2]),
        ("i / (i - 1) == 2", [1]),
        ("i % (i - 1) != 5", [1, 2]),
        ("2 ** 3 ** 2 == 64", [0, 1, 2]),
        ("2 ** -1 == 0.5", [0, 1, 2]),
        ("d ** 2 == 6.25", [1]),
        ("i == 1 Or i iN [2] aNd trUE", [0, 1]),
        ("i is null or s IS  NULL", []),
        ("i is not null", [0, 1, 2]),
        ("exists c", [1, 2]),
        ("not exists $meta['c']", [0]),
        ("c is null", [0]),
        ("json_contains(j['a'], 1)", []),
        ("JSON_CONTAINS_ANY(j['a'], [1, [2], 'x'])", []),
        ("Json_Contains_All(j['a'], [])", [0]),
        ("array_length(j['a']) == 1", [0]),
        ("j['a'][0] == [1]", []),
        ("j['a'] == []", []),
        ("i - -1 == 2", [0]),
        ("c + 1 == 4", [1]),
        ("7 / c == 2", [1]),
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
    with pytest.raises(
        ExpressionException, match="must be finite numbers, strings, bools or lists"
    ):
        found("i == {x}", DATA, {"x": math.nan})
    with pytest.raises(
        ExpressionException, match="must be finite numbers, strings, bools or lists"
    ):
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
        ("i is nul", "did not expect 'is'", "is nul"),
        ("v is null", "field v of type FLOAT_VECTOR cannot be part of a filter", "v is null"),
        ("(i + 1) is null", "is null can be asked of a field or a JSON path", "is null"),
        ("exists i", "exists can be asked of a key within a JSON field", "exists i"),
        ("exists j", "exists can be asked of a key within a JSON field", "exists j"),
        ("exists j['a'] > 1", "did not expect '>'", "> 1"),
        (
            "json_contains(i, 1)",
            "json_contains takes an array, not a number",
            "json_contains(i, 1)",
        ),
        (
            "json_contains(j)",
            "json_contains takes an array and what it may contain",
            "json_contains(j)",
        ),
        ("json_contains(j, i)", "a list takes constants, not a number", "i)"),
        ("json_contains_all(j, 1)", "expected a list, found a number", "1)"),
        (
            "array_length(s) == 1",
            "array_length takes one array, not a string",
            "array_length(s) == 1",
        ),
        ("array_length(j)", "expected a condition, found a number", "array_length(j)"),
        ("empty(s)", "there is no function empty", "empty(s)"),
        (
            "text_match(s, 'a')",
            "text_match is not supported: walvec has no text analyzers",
            "text_match(s, 'a')",
        ),
        ("PHRASE_MATCH(s, 'a', 2)", "phrase_match is not supported", "PHRASE_MATCH(s, 'a', 2)"),
        (
            "TEXT_MATCH(s, 'a', minimum_should_match=2)",
            "has no text analyzers",
            "TEXT_MATCH(s, 'a', minimum_should_match=2)",
        ),
        (
            "ST_WITHIN(s, 'POINT (1 1)')",
            "walvec has no GEOMETRY fields",
            "ST_WITHIN(s, 'POINT (1 1)')",
        ),
        ("match_any(s, i == 1)", "walvec has no arrays of structs", "match_any(s, i == 1)"),
        ("i & 1 == 1", "& is not supported, as in Milvus", "& 1 == 1"),
        ("i | 1 == 1", "| is not supported, as in Milvus", "| 1 == 1"),
        ("i ^ 1 == 1", "^ is not supported, as in Milvus", "^ 1 == 1"),
        ("i << 1 == 1", "<< is not supported, as in Milvus", "<< 1 == 1"),
        ("~i == 1", "~ is not supported, as in Milvus", "~i == 1"),
        ("b or random_sample(0.5)", "at the end of the outermost and", "random_sample(0.5)"),
        ("random_sample(0.5) and b", "at the end of the outermost and", "random_sample(0.5) and b"),
        ("not random_sample(0.5)", "at the end of the outermost and", "random_sample(0.5)"),
        ("random_sample(1)", "random_sample takes one number between 0 and 1", "random_sample(1)"),
        ("random_sample(1.5)", "takes one number between 0 and 1", "random_sample(1.5)"),
        ("random_sample(i)", "takes one number between 0 and 1", "random_sample(i)"),
        (
            "ISO '2025-13-01T00:00:00Z' == i",
            "is no time: expected a date and a time that exist",
            "ISO '2025-13-01T00:00:00Z' == i",
        ),
        (
            "i + INTERVAL 'P1D' == 1",
            "+ takes two numbers, not a number and an interval",
            "+ INTERVAL 'P1D' == 1",
        ),
        ("i + INTERVAL '1D' == 1", "not an interval as", "INTERVAL '1D' == 1"),
        (
            "i == iso '2025-01-01 00:00:00'",
            "cannot compare a number with a time",
            "== iso '2025-01-01 00:00:00'",
        ),
        ("j['x'] == j['y']", "cannot compare a JSON value with a JSON value", "== j['y']"),
        (
            "1 < j['x'] < 'a'",
            "cannot compare a number with a JSON value with a string",
            "< j['x'] < 'a'",
        ),
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
        ("i in [1, k]", "a list takes constants, not a number", "k]"),
        ("i in 1", "expected a list, found a number", "1"),
        ("1 in j", "expected a list, found a JSON value", "j"),
        ("i == [1]", "cannot compare a number with a list", "== [1]"),
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
        ("(i == 1) == true", "a condition cannot be a value here", "== 1) == true"),
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
    rows = source(DATA)
    compiled = compile_filter(expression, SCHEMA)
    first = compiled.mask(rows)
    first[:] = False
    assert compiled.mask(rows).any()
    assert rows.column(SCHEMA.by_name["b"].id).values.tolist() == [True, False, True]


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
        assert found(f"{path} != false", data) == [0]
        assert found(f"{path} in [1, false]", data) == [1, 2, 4]
        assert found(f"0 <= {path} <= 1", data) == [2, 3, 4]
        assert found(f"{path} like '1'", data) == [5]


def test_no_rows_give_an_empty_mask() -> None:
    rows = source([])
    for expression in ("i == 1", "s == 'a'", "s in ['a','b']", "s like '%a%'", "c == 1", "b"):
        assert compile_filter(expression, SCHEMA).mask(rows).shape == (0,)


def test_columns_that_are_slices_of_longer_ones_are_read_right() -> None:
    column = source([*DATA, *DATA]).column
    middle = SimpleNamespace(n=3, scalars={}, column=lambda field_id: column(field_id).slice(1, 4))

    for expression in ('s == "50%"', 's in ["50%", "xyz"]', 's like "%0%"', "s like '%0\\\\%'"):
        mask = compile_filter(expression, SCHEMA).mask(middle)
        assert np.flatnonzero(mask).tolist() == [0]


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


# Values of a key, for whoever prunes by them

KEYED = to_schema(
    CollectionSchema(
        [*FIELDS[:2], FieldSchema("g", DataType.VARCHAR, max_length=9), FIELDS[3], FIELDS[8]],
        enable_dynamic_field=True,
    ),
    "c",
)


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("g == 'a'", ["a"]),
        ("'a' == g and k > 5", ["a"]),
        ("k > 5 and (b and g in ['b', 'a', 'b'])", ["b", "a"]),
        ("g in ['a', 'b'] and g in ['b', 'c']", ["b"]),
        ("g == 'a' and g == 'b'", []),
        ("g == 'a' or g == 'b'", ["a", "b"]),
        ("g == 'a' and k == 1 or k == 2 and g == 'c'", ["a", "c"]),
        ("g == 'a' and random_sample(0.5)", ["a"]),
        ("g == 'a' or k == 1", None),
        ("g != 'a'", None),
        ("not (g == 'a')", None),
        ("g not in ['a']", None),
        ("g > 'a'", None),
        ("k == 1", None),
        ("random_sample(0.5)", None),
        ("other['g'] == 'a'", None),
    ],
)
def test_a_filter_says_which_values_of_a_key_can_match(
    expression: str, values: list[str] | None
) -> None:
    found = compile_filter(expression, KEYED).key_values(KEYED.by_name["g"])
    assert (None if found is None else found.texts()) == values


def test_values_of_a_key_may_be_integers_and_come_from_templates() -> None:
    field = KEYED.by_name["k"]
    compiled = compile_filter("k in {x} and g == 'a'", KEYED, {"x": [3, 2.0, 2.5, 2**70, 3]})
    found = compiled.key_values(field)
    assert found is not None
    assert found.values.tolist() == [3, 2]
    assert found.values.dtype == np.int64


def test_the_text_of_a_template_is_read_once() -> None:
    text = "i == {x} and k > 12345"
    compile_filter(text, SCHEMA, {"x": 1})
    nodes = parse(text)
    compile_filter(text, SCHEMA, {"x": 2})
    assert parse(text) is nodes


def test_long_expressions_are_not_kept_for_ever() -> None:
    text = f"i in [{', '.join(['1'] * 20_000)}]"
    nodes = parse(text)
    assert parse(text) is nodes
    for number in range(20):
        parse(f"{text} and k == {number}")
    assert parse(text) is not nodes


def test_parameters_that_are_not_in_the_text_are_named_whatever_they_are() -> None:
    with pytest.raises(ExpressionException, match=r"no \{5\} in the expression"):
        found("i == {x}", DATA, {"x": 1, 5: 2, "y": 3})


def test_a_list_of_lists_within_a_template_is_limited_too() -> None:
    assert found("j['a'] == {x}", DATA, {"x": []}) == []
    assert found("json_contains(j['a'], {x})", DATA, {"x": [[1]]}) == []
    with pytest.raises(ExpressionException, match="at most 65536 are allowed"):
        found("j['a'] == {x}", DATA, {"x": range_of(65_537)})
    nested: Any = 1
    for _ in range(20):
        nested = [nested]
    with pytest.raises(ExpressionException, match="strings, bools or lists of them"):
        found("j['a'] == {x}", DATA, {"x": nested})
