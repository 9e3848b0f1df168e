"""Filter expressions: which rows match."""

from __future__ import annotations

from typing import Any

from differential import documents
from differential.case import Place, cases, lite_answers, lite_differs, lite_refuses
from differential.data import INDEXED, make_arrays, make_nullables, make_scalars


def matching(at: Place, make: Any, expression: str, params: Any = None) -> Any:
    """The keys of the rows that match, sorted: by a scan, and as well by indexes."""
    name = make.__name__.removeprefix("make_")
    scanned = _keys(at, at.shared(name, make), expression, params)
    indexed = _keys(at, at.shared(name + INDEXED, make), expression, params)
    return scanned if scanned == indexed else {"scan": scanned, "indexed": indexed}


def _keys(at: Place, name: str, expression: str, params: Any) -> list[int]:
    more = {} if params is None else {"filter_params": params}
    rows = at.client.query(name, expression, output_fields=["pk"], limit=100, **more)
    return sorted(row["pk"] for row in rows)


def named(*expressions: str) -> dict[str, str]:
    """Cases called as their expressions."""
    return {expression: expression for expression in expressions}


ANY_LEFT_OF_IN = "any value may stand left of `in`; in Milvus a field or a path"

OPERATORS = ("==", "!=", "<", "<=", ">", ">=")
LITERALS = {
    "i8": "1",
    "i16": "200",
    "i32": "7",
    "i64": "9007199254740993",
    "f": "0.5",
    "d": "0.1",
    "s": "'abc'",
}


@cases(named(*(f"{f} {op} {lit}" for f, lit in LITERALS.items() for op in OPERATORS)))
def comparison(at: Place, expression: str) -> Any:
    return matching(at, make_scalars, expression)


@cases(
    named(
        "b == true",
        "b == false",
        "b != true",
        "b",
        "not b",
        "i8 == -128",
        "i8 == 128",
        "i8 < 1000",
        "i32 > 2147483647",
        "i64 == 4611686018427387904",
        "i64 >= -4611686018427387904",
        "i16 == 200.0",
        "i16 > 199.5",
        "f == 3",
        "f > -2.25",
        "d < -1e299",
        "d > 0 and d < 1e-200",
        "7 == i32",
        "7 < i16",
        "i16 == i16",
        "i8 < i16",
        "f < d",
        "-1 < i8 < 100",
        "0 <= i16 <= 400",
        "400 > i16 >= 0",
        's == "x\'y"',
        "s == 'x\"y'",
        "s == 'x\\'y'",
        'd == 0.1 and s != ""',
        "s == ''",
        "s == 'back\\\\slash'",
        "s == 'é'",
        "s < 'b'",
        "s >= 'Abc' and s <= 'b'",
        "'a' <= s <= 'b'",
        "i16 == 0x64",
        "i16 == 1e2",
        "f == .5",
        "b == True and b == TRUE",
        "pk >= 0",
        "pk in [3, 1, 2, 3]",
        "i32 == 7 AND b == true",
        "i32 == 7 OR b == true",
        "NOT i32 == 7",
        "i32 == 7 && b == true",
        "i32 == 7 || b == true",
        "!(i32 == 7)",
        "!(b)",
        "not not b",
        "b and i8 == 0 or i16 > 600",
        "b or i8 == 0 and i16 > 600",
        "not b and i8 == 0",
        "(b or i8 == 0) and (i16 > 0)",
        "((((i16 > 0))))",
        "  i16>0   and\ti16<500\n",
    ),
    differs=lite_refuses(
        "milvus-lite cannot chain comparisons",
        documents.FILTERS,
        {
            "-1 < i8 < 100": [0, 1, 5, 6, 10, 11],
            "0 <= i16 <= 400": [3, 4, 5, 6, 7],
            "400 > i16 >= 0": [3, 4, 5, 6],
            "'a' <= s <= 'b'": [1, 2, 3, 4, 6, 7],
        },
    )
    | lite_refuses(
        "milvus-lite does not know these forms of numbers",
        documents.GRAMMAR,
        {"i16 == 0x64": [4], "f == .5": [1, 6, 11]},
    )
    | lite_differs(
        "a row is found once, however often its key is named",
        documents.OPERATORS,
        {"pk in [3, 1, 2, 3]": ([1, 2, 3, 3], [1, 2, 3])},
    ),
)
def scalar_expression(at: Place, expression: str) -> Any:
    return matching(at, make_scalars, expression)


@cases(
    named(
        "i16 + 100 == 200",
        "i16 - 100 == 200",
        "i16 * 2 == 400",
        "i16 / 2 == 100",
        "i16 % 3 == 1",
        "i16 % 3 == -1",
        "i16 ** 2 == 40000",
        "f + 0.5 > 1",
        "f * 2 == 1.0",
        "i16 / 200 == 2",
        "-i16 == 300",
        "i16 + i8 > 100",
        "2 + 3 * 4 == i16 / 100 * 14",
        "i16 == 2 * 100",
        "i16 + 100 in [200, 300]",
    ),
    differs=lite_refuses(
        "milvus-lite has neither % nor **; the remainder has the sign of the dividend",
        documents.OPERATORS,
        {"i16 % 3 == 1": [4, 7, 10], "i16 % 3 == -1": [2], "i16 ** 2 == 40000": [1, 5]},
    )
    | lite_differs(
        "integers are divided as integers",
        documents.ARITHMETIC,
        {"i16 / 200 == 2": ([7], [7, 8])},
    )
    | lite_refuses(
        ANY_LEFT_OF_IN,
        documents.OURS,
        {"i16 + 100 in [200, 300]": [4, 5]},
    ),
)
def arithmetic(at: Place, expression: str) -> Any:
    return matching(at, make_scalars, expression)


@cases(
    named(
        "i8 in [1, -1]",
        "i8 not in [1, -1]",
        "i8 in []",
        "i8 not in []",
        "i64 in [7, 4611686018427387904]",
        "f in [0.5, 3]",
        "f in [3, 0]",
        "d in [0.1]",
        "b in [true]",
        "b in [true, false]",
        "s in ['a', \"b\", '']",
        "s not in ['a', 'b']",
        "s in ['nope']",
        "s IN ['a']",
        "s NOT IN ['a']",
        "not (s in ['a'])",
        "i16 in [100, 200, 300] and s in ['abc', 'b']",
    )
)
def membership(at: Place, expression: str) -> Any:
    return matching(at, make_scalars, expression)


@cases(
    named(
        "s like 'a%'",
        "s like '%c'",
        "s like '%b%'",
        "s like 'a_c'",
        "s like '_'",
        "s like '%'",
        "s like ''",
        "s like 'abc'",
        "s like 'a%c'",
        "s like 'a\\\\%c'",
        "s like 'a\\%c'",
        "s like 'a\\_c'",
        "s like 'A%'",
        "s like '%é%'",
        "s like '___'",
        "s like '%_%'",
        "s LIKE 'a%'",
        "s not like 'a%'",
        "not (s like 'a%')",
        's like "x\'%"',
        "j['t'] like 'a%'",
        "tag like 't%'",
    ),
    differs=lite_refuses(
        "a backslash before % and _ takes them as they are",
        documents.OPERATORS,
        {"s like 'a\\%c'": [6], "s like 'a\\_c'": [7]},
    ),
)
def pattern(at: Place, expression: str) -> Any:
    return matching(at, make_scalars, expression)


@cases(
    named(
        "j['n'] == 1",
        'j["n"] == 1',
        "j['n'] == 1.0",
        "j['n'] != 1",
        "j['n'] > 0",
        "j['n'] >= 1 and j['n'] < 3",
        "0 < j['n'] < 3",
        "j['n'] == '1'",
        "j['n'] == true",
        "j['n'] == 9007199254740992",
        "j['n'] in [1, 2]",
        "j['n'] not in [1, 2]",
        "j['n'] in ['1']",
        "j['t'] == 'a'",
        "j['t'] != 'a'",
        "j['t'] > 'a'",
        "j['t'] in ['a', 'b']",
        "j['t'] == ''",
        "j['f'] == 0.5",
        "j['f'] < 0",
        "j['b'] == true",
        "j['b'] == false",
        "j['b'] != true",
        "not (j['b'] == true)",
        "j['o']['k'] == 1",
        "j['o']['k'] == '2'",
        "j['o']['k'] != 1",
        "j['o']['k']['deep']['er'] == 1",
        "j['o']['l'][0] == 'x'",
        "j['o']['l'][1][0] == 2",
        "j['l'][0] == 1",
        "j['l'][0] == 'x'",
        "j['l'][0][1] == 2",
        "j['l'][5] == 1",
        "j['l'][0] == true",
        "j['with space'] == 7",
        "j['nope'] == 1",
        "j['nope'] != 1",
        "not (j['nope'] == 1)",
        "not (j['n'] == 1)",
        "j['n'] + 1 == 2",
        "j['n'] * 2 > 2",
        "j['n'] % 2 == 0",
        "exists j['n']",
        "exists j['o']",
        "exists j['o']['k']",
        "exists j['l'][0]",
        "not exists j['n']",
        "EXISTS j['t']",
        "json_contains(j['l'], 1)",
        "json_contains(j['l'], 'x')",
        "json_contains(j['l'], true)",
        "json_contains(j['l'], 0.5)",
        "json_contains(j['l'], [1, 2])",
        "json_contains_all(j['l'], [1, 2])",
        "json_contains_any(j['l'], [2, 'x'])",
        "json_contains_any(j['l'], [])",
        "json_contains_all(j['l'], [])",
        "JSON_CONTAINS(j['l'], 3)",
        "not json_contains(j['l'], 1)",
        "json_contains(j['o']['l'], 'x')",
        "json_contains(j['n'], 1)",
        "j['l'] == [1, 2, 3]",
        "j['n'] is null",
        "j['n'] is not null",
        "j is null",
        "j is not null",
    ),
    differs=lite_differs(
        "a truth is no number; a value of another type makes a comparison unknown",
        documents.JSON_EVALUATION,
        {
            "j['n'] == 1": ([0, 3, 9], [0, 3]),
            'j["n"] == 1': ([0, 3, 9], [0, 3]),
            "j['n'] == 1.0": ([0, 3, 9], [0, 3]),
            "j['n'] != 1": ([1, 2, 4, 8, 10, 11], [1, 2, 8, 10, 11]),
            "j['n'] > 0": ([0, 1, 3, 8, 9, 11], [0, 1, 3, 8, 11]),
            "j['n'] >= 1 and j['n'] < 3": ([0, 1, 3, 9], [0, 1, 3]),
            "j['n'] == true": ([0, 3, 9], [9]),
            "j['t'] != 'a'": ([1, 2, 3, 4, 9, 10], [1, 2, 3, 9, 10]),
            "j['o']['k'] != 1": ([1, 8, 11], [1]),
            "j['l'][0] == 1": ([0, 9], [0]),
            "j['l'][0] == true": ([0, 9], [9]),
            "not (j['n'] == 1)": ([1, 2, 4, 8, 10, 11], [1, 2, 8, 10, 11]),
            "j['n'] + 1 == 2": ([0, 3, 9], [0, 3]),
            "json_contains(j['l'], 1)": ([0, 3, 9], [0, 3]),
            "json_contains(j['l'], true)": ([0, 3, 9], [9]),
            "json_contains_all(j['l'], [1, 2])": ([0, 9], [0]),
            "not json_contains(j['l'], 1)": (
                [1, 2, 4, 5, 6, 7, 8, 10, 11],
                [1, 2, 5, 9, 10],
            ),
        },
    )
    | lite_differs(
        "an empty object does not count as existing",
        documents.EXISTS,
        {"exists j['o']": ([0, 1, 2, 8, 11], [0, 1, 8, 11])},
    )
    | lite_refuses(
        "milvus-lite takes in and chained comparisons for fields only, and has no %",
        documents.JSON,
        {
            "0 < j['n'] < 3": [0, 1, 3],
            "j['n'] in [1, 2]": [0, 1, 3],
            "j['n'] not in [1, 2]": [2, 8, 10, 11],
            "j['n'] in ['1']": [4],
            "j['t'] in ['a', 'b']": [0, 1],
            "j['n'] % 2 == 0": [1, 8, 10],
        },
    )
    | lite_refuses(
        "milvus-lite does not look for lists in lists",
        documents.JSON,
        {"json_contains(j['l'], [1, 2])": [5]},
        code=1,
    )
    | lite_refuses(
        "milvus-lite does not compare lists", documents.JSON, {"j['l'] == [1, 2, 3]": [0]}
    ),
)
def json_path(at: Place, expression: str) -> Any:
    return matching(at, make_scalars, expression)


@cases(
    named(
        "dyn == 3",
        "dyn != 3",
        "dyn > 3",
        "dyn in [1, 3]",
        "dyn not in [1, 3]",
        "not (dyn == 3)",
        "tag == 't1'",
        "tag != 't1'",
        "$meta['dyn'] == 3",
        "$meta['tag'] == 't1'",
        "exists dyn",
        "exists $meta['tag']",
        "not exists tag",
        "never_given == 1",
        "never_given != 1",
        "not (never_given == 1)",
        "dyn == 3 or tag == 't1'",
        "dyn + 1 == 4",
    ),
    differs=lite_differs(
        "not in of nothing is unknown, as != is",
        documents.NULL_EVALUATION,
        {"dyn not in [1, 3]": ([0, 2, 4, 5, 6, 7, 8, 9, 10, 11], [5, 7, 9, 11])},
    ),
)
def dynamic_field(at: Place, expression: str) -> Any:
    return matching(at, make_scalars, expression)


def _null_expressions() -> dict[str, str]:
    literals = {"i": "1", "f": "1.5", "b": "true", "s": "'s5'"}
    made = [f"{f} {op} {v}" for f, v in literals.items() for op in ("==", "!=", "<", ">=")]
    made = [e for e in made if not e.startswith(("b <", "b >"))]
    for name in ("i", "f", "b", "s", "j", "a"):
        made += [f"{name} is null", f"{name} is not null", f"{name} IS NULL"]
        made += [f"not ({name} is null)"]
    made += [f"not ({f} == {v})" for f, v in literals.items()]
    made += [f"{f} in [{v}]" for f, v in literals.items()]
    made += [f"{f} not in [{v}]" for f, v in literals.items()]
    made += [f"not ({f} in [{v}])" for f, v in literals.items()]
    made += [
        "i == 1 or s == 's5'",
        "i > 0 and s > 's5'",
        "not (i > 0 and s > 's5')",
        "not (i > 0 or s > 's5')",
        "i > 0 or not (i > 0)",
        "i > 0 and i is null",
        "i + 1 == 2",
        "i + f > 1",
        "-2 < i < 2",
        "i == i",
        "i != f",
        "s like 's%'",
        "s not like 's%'",
        "not (s like 's%')",
        "not b",
        "j['k'] == 4",
        "j['k'] != 4",
        "not (j['k'] == 4)",
        "j['z'] is null",
        "j['k'] is not null",
        "exists j['k']",
        "not exists j['k']",
        "a[0] == 4",
        "a[0] != 4",
        "not (a[0] == 4)",
        "array_contains(a, 4)",
        "not array_contains(a, 4)",
        "array_length(a) == 2",
        "array_length(a) != 2",
    ]
    return named(*made)


@cases(
    _null_expressions(),
    differs=lite_differs(
        "a condition on null is unknown, and so is its negation",
        documents.NULL_EVALUATION,
        {
            **dict.fromkeys(
                ("i not in [1]", "not (i in [1])"),
                ([0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11], [1, 2, 4, 7, 8, 10, 11]),
            ),
            **dict.fromkeys(
                ("f not in [1.5]", "not (f in [1.5])"),
                ([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11], [0, 1, 4, 6, 7, 9, 10]),
            ),
            **dict.fromkeys(
                ("b not in [true]", "not (b in [true])"),
                ([1, 3, 4, 5, 7, 9, 10, 11], [3, 5, 9, 11]),
            ),
            **dict.fromkeys(
                ("s not in ['s5']", "not (s in ['s5'])"),
                ([0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11], [1, 2, 4, 7, 8, 10, 11]),
            ),
            "not array_contains(a, 4)": (
                [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11],
                [0, 2, 5, 6, 8, 9, 11],
            ),
            "array_length(a) != 2": ([1, 4, 7, 10], []),
        },
    )
    | lite_refuses(
        "milvus-lite cannot chain comparisons", documents.FILTERS, {"-2 < i < 2": [4, 5]}
    ),
)
def null_logic(at: Place, expression: str) -> Any:
    return matching(at, make_nullables, expression)


@cases(
    named(
        "ints[0] == 0",
        "ints[1] == 1",
        "ints[3] >= 3",
        "ints[7] == 1",
        "ints[0] in [0]",
        "ints[0] != 0",
        "not (ints[0] == 0)",
        "texts[0] == 'b'",
        "texts[0] like 'a%'",
        "bools[0] == true",
        "floats[0] > 1",
        "array_contains(ints, 3)",
        "array_contains(texts, 'b')",
        "array_contains(bools, true)",
        "array_contains(floats, 0.25)",
        "array_contains_all(ints, [0, 2])",
        "array_contains_all(ints, [])",
        "array_contains_any(ints, [3, 9])",
        "array_contains_any(texts, ['b', 'é'])",
        "array_contains_any(ints, [])",
        "ARRAY_CONTAINS(ints, 3)",
        "not array_contains(ints, 1)",
        "array_length(ints) == 0",
        "array_length(ints) > 2",
        "array_length(ints) in [1, 2]",
        "array_length(texts) == 2",
        "ints == [0, 1]",
        "ints != [0, 1]",
        "texts == ['b']",
        "json_contains(ints, 3)",
        "ints[0] + 1 == 1",
    ),
    differs=lite_refuses(
        "milvus-lite takes in for fields only, and does not compare arrays",
        documents.ARRAYS,
        {
            "ints[0] in [0]": [1, 2, 3, 4, 6, 7, 8, 9, 11],
            "ints == [0, 1]": [2, 7],
            "ints != [0, 1]": [0, 1, 3, 4, 5, 6, 8, 9, 10, 11],
            "texts == ['b']": [4],
        },
    )
    | lite_refuses(
        ANY_LEFT_OF_IN,
        documents.OURS,
        {"array_length(ints) in [1, 2]": [1, 2, 6, 7, 11]},
    ),
)
def array_expression(at: Place, expression: str) -> Any:
    return matching(at, make_arrays, expression)


@cases(
    {
        "number": ("i16 > {x}", {"x": 200}),
        "float": ("f == {x}", {"x": 0.5}),
        "text": ("s == {x}", {"x": "abc"}),
        "text with quotes": ("s == {x}", {"x": "x'y"}),
        "text with backslash": ("s == {x}", {"x": "back\\slash"}),
        "truth": ("b == {x}", {"x": True}),
        "list": ("i16 in {x}", {"x": [100, 200]}),
        "texts": ("s in {x}", {"x": ["a", "x'y"]}),
        "empty list": ("i16 in {x}", {"x": []}),
        "not in": ("i16 not in {x}", {"x": [100, 200]}),
        "two": ("i16 > {x} and s in {y}", {"x": 0, "y": ["abc", "b"]}),
        "json": ("j['n'] == {x}", {"x": 1}),
        "contains": ("json_contains(j['l'], {x})", {"x": 1}),
        "unused": ("i16 > 200", {"x": 1}),
    },
    differs=lite_refuses(
        "milvus-lite has no templates",
        documents.TEMPLATES,
        {
            "number": [6, 7, 8, 9, 10, 11],
            "float": [1, 6, 11],
            "text": [3],
            "text with quotes": [9],
            "text with backslash": [11],
            "truth": [0, 3, 6, 9],
            "list": [4, 5],
            "texts": [1, 9],
            "empty list": [],
            "not in": [0, 1, 2, 3, 6, 7, 8, 9, 10, 11],
            "two": [4],
            "json": [0, 3],
            "contains": [0, 3],
        },
    )
    | lite_answers(
        "a parameter that no template of the filter uses raises; Milvus passes over it",
        documents.OURS,
        "unused",
    ),
)
def template(at: Place, given: tuple[str, dict[str, Any]]) -> Any:
    return matching(at, make_scalars, *given)


@cases(
    {
        "missing": ("i16 > {x}", {}),
        "other": ("i16 > {x}", {"y": 1}),
        "wrong type": ("i16 > {x}", {"x": "a"}),
    }
)
def bad_template_is_refused(at: Place, given: tuple[str, dict[str, Any]]) -> Any:
    return matching(at, make_scalars, *given)


@cases(
    named(
        "i16 >",
        "i16 = 1",
        "i16 == 1 and",
        "and i16 == 1",
        "(i16 == 1",
        "i16 == 1)",
        "i16 in 1",
        "i16 in [1",
        "i16 in ['a']",
        "s in [1]",
        "i16 == 'a'",
        "s == 1",
        "s > 1",
        "b == 1",
        "b == 'true'",
        "s like 5",
        "i16 like 'a%'",
        "i16 == 1 i8 == 1",
        "i16 <> 1",
        "i16 === 1",
        "i16 == @",
        "s == 'abc",
        "1",
        "i16",
        "s",
        "i16 + 1",
        "'abc'",
        "i16 == null",
        "s + 1 == 2",
        "i16[0] == 1",
        "s['a'] == 1",
        "nofunction(i16)",
        "array_contains(i16, 1)",
        "v == 1",
        "v is null",
        "i16 and b",
        "not i16",
        "i16 is",
        "is null",
        "exists",
        "exists i16",
        "json_contains(s, 1)",
        "i16 == 99999999999999999999",
        "i16 between 1 and 2",
    ),
    differs=lite_answers(
        "only JSON and arrays are indexed", documents.FILTERS, "i16[0] == 1", "s['a'] == 1"
    )
    | lite_refuses(
        "a number beyond 64 bits equals no integer; Milvus refuses it",
        documents.OURS,
        {"i16 == 99999999999999999999": []},
        code=1,
    ),
)
def bad_expression_is_refused(at: Place, expression: str) -> Any:
    return matching(at, make_scalars, expression)


@cases(named("nope == 1", "nope in [1]", "nope is null", "exists nope", "nope['a'] == 1"))
def unknown_field_without_dynamic_is_refused(at: Place, expression: str) -> Any:
    return matching(at, make_arrays, expression)


@cases(named("i8 > 0", "s like 'a%'", "i16 in [100, 200]", "b == true"))
def filter_of_a_search(at: Place, expression: str) -> Any:
    name = at.shared("scalars", make_scalars)
    hits = at.client.search(name, [[0, 1, 0, 0]], filter=expression, limit=20, anns_field="v")[0]
    return [(hit["pk"], hit["distance"]) for hit in hits]
