"""Texts are compared by their bytes as they would be by their characters."""

from __future__ import annotations

import operator
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from walvec.filter import texts as on_bytes
from walvec.filter.like import matcher
from walvec.filter.reader import Texts
from walvec.wal.rows import Column

COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
characters = st.text(alphabet="ab\0ä😀\n%_", max_size=20)
many = st.lists(characters, max_size=8)


def of(texts: list[str]) -> Texts:
    return Texts.of(Column.of_texts(texts))


@given(many, characters, st.sampled_from(list(COMPARE)))
def test_a_comparison_with_a_constant_is_that_of_the_characters(
    texts: list[str], value: str, op: str
) -> None:
    found = on_bytes.compare(of([*texts, value]), op, value.encode())
    assert found.tolist() == [COMPARE[op](text, value) for text in [*texts, value]]


@given(st.lists(st.tuples(characters, characters), max_size=8), st.sampled_from(list(COMPARE)))
def test_a_comparison_of_two_columns_is_that_of_the_characters(
    pairs: list[tuple[str, str]], op: str
) -> None:
    pairs = [*pairs, *[(a, a) for a, _ in pairs], *[(a, a + "\0") for a, _ in pairs]]
    left, right = of([a for a, _ in pairs]), of([b for _, b in pairs])
    assert on_bytes.compare_two(left, op, right).tolist() == [COMPARE[op](a, b) for a, b in pairs]


@given(many, many)
def test_a_list_finds_the_texts_in_it(texts: list[str], wanted: list[str]) -> None:
    found = on_bytes.is_in(
        of([*texts, *wanted]), on_bytes.Wanted(value.encode() for value in wanted)
    )
    assert found.tolist() == [text in wanted for text in [*texts, *wanted]]


@given(many, st.lists(st.sampled_from(["%", "_", "a", "b", "ä", "😀", "\n", "\\%"]), max_size=8))
def test_like_is_a_regular_expression_with_other_words(texts: list[str], pieces: list[str]) -> None:
    regex = "".join({"%": ".*", "_": "."}.get(p, re.escape(p.removeprefix("\\"))) for p in pieces)
    wanted = [re.fullmatch(regex, text, re.DOTALL) is not None for text in texts]
    assert matcher("".join(pieces))(of(texts)).tolist() == wanted


@given(many, st.sampled_from(["%a%", "a%b", "%a_b%", "_%", "%ab%a%", "ab", "%b"]))
def test_like_of_some_rows_is_like_of_all_rows(texts: list[str], pattern: str) -> None:
    column = of(["ab" * 50, *texts, "xa_b" * 50, *texts])
    some = np.arange(1, len(texts) + 1)
    whole = matcher(pattern)(column)
    assert matcher(pattern)(column.at(some)).tolist() == whole[some].tolist()


@pytest.mark.parametrize("text", ["a" * 200_000, "ä" * 200_000, "ab" * 100_000 + "c"])
def test_a_pattern_with_many_wildcards_takes_no_long_time(text: str) -> None:
    found = matcher("%a" * 200 + "%b_%x%c")(of([text, text, "a" * 300 + "bäxc"]))
    assert found.tolist() == [False, False, True]


def test_a_long_part_of_texts_that_repeat_themselves_takes_no_long_time() -> None:
    long, text = "a" * 10_000 + "b", "a" * 500_000
    found = matcher(f"%{long}%")(of([text, text + "b", "", text + "bb", long, "ä" + long + "ä"]))
    assert found.tolist() == [False, True, False, True, True, True]


@given(st.lists(st.text(alphabet="aä", max_size=300), max_size=5), st.integers(60, 70))
def test_long_parts_are_found_as_short_ones_are(texts: list[str], size: int) -> None:
    texts = [*texts, *(f"{a}b{b}" for a in texts for b in texts)]
    part = "a" * size
    wanted = [re.search(f"{part}.*{part}b.*a", text, re.DOTALL) is not None for text in texts]
    assert matcher(f"%{part}%{part}b%a%")(of(texts)).tolist() == wanted


def test_a_pattern_that_ends_in_a_backslash_means_nothing() -> None:
    with pytest.raises(ValueError, match="ends in a backslash"):
        matcher("a\\")
