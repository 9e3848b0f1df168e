"""Which conditions an index answers, which are scanned, and for which rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from slow_index import SlowIndex

from walvec.filter import Step, compile_filter
from walvec.segments.lookup import Lookup
from walvec.wal.rows import OFFSETS, Array, Column
from walvec.wal.schema import DataType, Field, Schema

N = 1000
FIELDS = {
    "id": Field(100, "id", DataType.INT64, is_primary=True),
    "a": Field(101, "a", DataType.INT64),
    "b": Field(102, "b", DataType.INT32, nullable=True),
    "s": Field(103, "s", DataType.VARCHAR, max_length=20),
    "flag": Field(104, "flag", DataType.BOOL),
    "tags": Field(105, "tags", DataType.ARRAY, element_type=DataType.INT8, max_capacity=4),
    "f": Field(106, "f", DataType.FLOAT),
    "meta": Field(107, "$meta", DataType.JSON, is_dynamic=True),
}
SCHEMA = Schema(tuple(FIELDS.values()))
ROWS = np.arange(N)
COLUMNS = {
    100: Column(ROWS),
    101: Column(ROWS // 2),
    102: Column((ROWS % 50).astype(np.int32), None, ROWS % 10 != 3),
    103: Column.of_texts(f"{row % 100:02d}x" for row in range(N)),
    104: Column(ROWS == 7),
    105: Column((np.arange(2 * N) % 120).astype(np.int8), np.arange(N + 1, dtype=OFFSETS) * 2),
    106: Column((ROWS / 10).astype(np.float32)),
    107: Column.of_texts(f'{{"color":{row % 5}}}' for row in range(N)),
}


def source(*indexed: str) -> Any:
    """All rows, with an index of some fields."""
    scalars = {FIELDS[name].id: SlowIndex(COLUMNS[FIELDS[name].id]) for name in indexed}
    return SimpleNamespace(n=N, column=COLUMNS.__getitem__, scalars=scalars)


def steps(expression: str, *indexed: str) -> list[tuple[str, str, int, int | None, int]]:
    """What was done: condition, path, rows asked, estimate, rows found."""
    compiled = compile_filter(expression, SCHEMA)
    trace: list[Step] = []
    found = compiled.mask(source(*indexed), trace)
    assert found.tolist() == compiled.mask(source()).tolist()
    assert all(step.seconds >= 0 for step in trace)
    return [tuple(step[:5]) for step in trace]  # type: ignore[misc]


def test_an_index_that_finds_few_rows_is_asked() -> None:
    assert steps("a == 3", "a") == [("a == 3", "index INVERTED", N, 2, 2)]
    assert steps("a < 5", "a") == [("a < 5", "index INVERTED", N, 10, 10)]
    assert steps("flag", "flag") == [("flag", "index INVERTED", N, 1, 1)]
    assert steps('s like "07%"', "s") == [('s like "07%"', "index INVERTED", N, 10, 10)]


def test_an_index_that_finds_many_rows_is_not_asked() -> None:
    assert steps("a > 100", "a") == [("a > 100", "scan", N, 798, 798)]
    assert steps("a != 3", "a") == [("a != 3", "scan", N, None, 998)]
    assert steps("not flag", "flag") == [("not (flag)", "scan", N, 999, 999)]


def test_without_an_index_all_rows_are_scanned() -> None:
    assert steps("a == 3") == [("a == 3", "scan", N, None, 2)]


def test_the_most_selective_index_goes_first_and_the_others_see_its_rows_alone() -> None:
    assert steps('b >= 1 and s == "07x" and a in [3, 53, 203]', "a", "b", "s") == [
        ("a in [3, 53, 203]", "index INVERTED", N, 6, 6),
        ("b >= 1", "scan of candidates", 6, None, 6),
        ('s == "07x"', "scan of candidates", 6, None, 3),
    ]


def test_conditions_after_the_last_row_are_not_asked() -> None:
    assert steps("a == -1 and color == 3", "a") == [("a == -1", "index INVERTED", N, 0, 0)]
    assert steps("a == -1 and color == 3") == [("a == -1", "scan", N, None, 0)]


def test_an_index_that_finds_many_rows_leaves_the_others_to_a_scan() -> None:
    assert steps('s > "40" and f > 50', "s") == [
        ("f > 50", "scan", N, None, 499),
        ('s > "40"', "index INVERTED", N, 600, 600),
    ]


def test_two_ranges_of_a_field_are_one_to_an_index() -> None:
    found = steps("a > 3 and flag == false and 6 >= a", "a")
    assert found[0] == ("a > 3 and 6 >= a", "index INVERTED", N, 6, 6)
    assert steps("3 < a <= 6", "a") == [("3 < a <= 6", "index INVERTED", N, 6, 6)]


def test_an_or_is_the_union_of_what_indexes_find() -> None:
    assert steps('a == 3 or s == "07x"', "a", "s") == [
        ("a == 3", "index INVERTED", N, 2, 2),
        ('s == "07x"', "index INVERTED", N, 10, 10),
    ]


def test_an_or_with_a_part_that_no_index_answers_uses_both() -> None:
    assert steps("a == 3 or f > 99.5", "a") == [
        ("a == 3", "index INVERTED", N, 2, 2),
        ("f > 99.5", "scan", N, None, 4),
    ]


def test_json_is_decoded_for_the_rows_that_are_left() -> None:
    assert steps("color == 3 and b == 1") == [
        ("b == 1", "scan", N, None, 20),
        ("color == 3", "scan of candidates", 20, None, 0),
    ]
    assert steps("color == 3 or a < 450") == [
        ("a < 450", "scan", N, None, 900),
        ("color == 3", "scan of candidates", 100, None, 20),
    ]


def test_not_moves_to_the_conditions_and_an_index_answers_those() -> None:
    assert steps("not (a >= 3 or s != '01x')", "a", "s") == [
        ("not (a >= 3)", "index INVERTED", N, 6, 6),
        ("not (s != '01x')", "scan of candidates", 6, None, 1),
    ]
    assert steps("a not in [1] and not (a > 2)", "a")[0][1:] == ("index INVERTED", N, 6, 6)


@pytest.mark.parametrize("indexed", [(), ("a",)])
def test_any_number_of_ranges_of_a_field_are_one(indexed: tuple[str, ...]) -> None:
    expression = " and ".join(f"a > {number}" for number in range(3000, 0, -1))
    assert not compile_filter(expression, SCHEMA).mask(source(*indexed)).any()
    within = " and ".join(f"a >= {number % 9}" for number in range(3000))
    assert compile_filter(within, SCHEMA).mask(source(*indexed)).sum() == N - 16


def test_explain_gives_the_steps_of_a_mask() -> None:
    compiled = compile_filter("a == 3 and b > 1", SCHEMA)
    names = [step.expression for step in compiled.explain(source("a"))]
    assert names == ["a == 3", "b > 1"]


class Recording(SlowIndex):
    """An index that remembers what it was asked."""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.lookups: list[Lookup] = []

    def positions(self, lookup: Lookup) -> Array:
        self.lookups.append(lookup)
        return super().positions(lookup)


@pytest.mark.parametrize(
    ("expression", "name", "lookup"),
    [
        ("a == 3", "a", ("in", (3,))),
        ("a == 3.0", "a", ("in", (3,))),
        ("a in [3, 3, 4.5, 99999999999999999999]", "a", ("in", (3,))),
        ("a < 2.5", "a", ("range", (None, 3), (True, False))),
        ("a <= 2.5", "a", ("range", (None, 2), (True, True))),
        ("a > 497.5", "a", ("range", (497, None), (False, True))),
        ("not (a < 498)", "a", ("range", (498, None), (True, True))),
        ("2 < a < 5", "a", ("range", (2, 5), (False, False))),
        ("a > 5 and a < 2", "a", ("in", ())),
        ("a >= 2 and a < 2", "a", ("in", ())),
        ("2 <= a <= 2", "a", ("range", (2, 2), (True, True))),
        ("a > 5 and a < 2 and a < 9", "a", ("in", ())),
        ("a >= 2 and a > 2 and a < 5", "a", ("range", (2, 5), (False, False))),
        ("f == 0.1", "f", ("in", (float(np.float32(0.1)),))),
        ("f < 0.3", "f", ("range", (None, float(np.float32(0.3))), (True, False))),
        ('s == "07x"', "s", ("in", (b"07x",))),
        ('s like "07x"', "s", ("in", (b"07x",))),
        ('s like "07%"', "s", ("prefix", (b"07",))),
        ('"07w" < s < "07y"', "s", ("range", (b"07w", b"07y"), (False, False))),
        ("flag == true", "flag", ("in", (True,))),
        ("not (flag == false)", "flag", ("in", (True,))),
        ("flag != false", "flag", ("in", (True,))),
        ("a != 3", "a", None),
        ("array_contains(tags, 7)", "tags", ("any", (7,))),
        ("array_contains_any(tags, [7, 9])", "tags", ("any", (7, 9))),
        ("array_contains_all(tags, [6, 7, 7])", "tags", ("all", (6, 7))),
    ],
)
def test_what_an_index_is_asked_for(expression: str, name: str, lookup: Any) -> None:
    index = Recording(COLUMNS[FIELDS[name].id])
    rows = source()
    rows.scalars[FIELDS[name].id] = index
    compile_filter(expression, SCHEMA).mask(rows)
    asked = [tuple(one)[1:] for one in index.lookups]
    assert asked == ([] if lookup is None else [(*lookup, (True, True))[:3]])


def test_an_index_that_cannot_tell_is_not_asked() -> None:
    class Silent(Recording):
        def count(self, lookup: Lookup) -> int | None:
            return None

    rows = source()
    rows.scalars[101] = index = Silent(COLUMNS[101])
    assert compile_filter("a == 3", SCHEMA).mask(rows).sum() == 2
    assert index.lookups == []
