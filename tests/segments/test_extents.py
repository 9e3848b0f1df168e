"""Extents: what a list of pairs would say, in bytes that are fixed."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walvec.segments.extents import PAIR_BYTES, Extents

NUMBERS = st.integers(-(2**63), 2**63 - 1)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=20)


@given(PAIRS, st.integers(-25, 25), st.slices(25))
def test_they_are_a_list_of_pairs(pairs: list[tuple[int, int]], place: int, part: slice) -> None:
    extents = Extents(pairs)
    assert list(extents) == pairs
    assert len(extents) == len(pairs)
    assert list(extents[part]) == pairs[part]
    assert extents.rows == sum(n for _, n in pairs)
    assert extents.pairs().tolist() == [list(pair) for pair in pairs]
    try:
        wanted = pairs[place]
    except IndexError:
        with pytest.raises(IndexError):
            extents[place]
    else:
        assert extents[place] == wanted


@given(PAIRS, PAIRS)
def test_they_are_equal_if_and_only_if_their_pairs_are(
    left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    assert (Extents(left) == Extents(right)) == (left == right)
    assert Extents(left) == Extents(left)
    assert Extents(left) != left


@given(PAIRS)
def test_bytes_and_copies_are_equal_and_their_own(pairs: list[tuple[int, int]]) -> None:
    extents = Extents(pairs)
    data = extents.to_bytes()
    assert len(data) == PAIR_BYTES * len(pairs)
    copies = [extents.copy(), Extents.from_bytes(data), copy.deepcopy(extents), extents[:]]
    array = extents.pairs()
    extents.append((1, 2))
    for other in copies:
        assert list(other) == pairs
        assert other != extents
    assert len(array) == len(pairs)
    assert extents[-1] == (1, 2)


def test_the_bytes_are_little_endian_words() -> None:
    data = Extents([(1, 2), (258, -1)]).to_bytes()
    assert data.hex() == "010000000000000002000000000000000201000000000000" + "ff" * 8


@given(st.lists(st.integers(0, 30), unique=True).map(sorted), st.integers(-1, 31))
def test_those_after_a_seq_are_its_successors(seqs: list[int], seq: int) -> None:
    extents = Extents((s, s + 100) for s in seqs)
    assert list(extents.after(seq)) == [(s, s + 100) for s in seqs if s > seq]
    assert list(extents) == [(s, s + 100) for s in seqs]


@pytest.mark.parametrize("size", [1, 8, 15, 17, 24])
def test_half_a_pair_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"{size} bytes"):
        Extents.from_bytes(bytes(size))


def test_several_are_joined_as_they_come_or_in_the_order_of_their_seqs() -> None:
    parts = [Extents([(3, 1), (9, 2)]), Extents(), Extents([(4, 5)])]
    assert Extents.joined(parts) == Extents([(3, 1), (9, 2), (4, 5)])
    assert Extents.in_order(parts) == Extents([(3, 1), (4, 5), (9, 2)])
    assert Extents.in_order([]) == Extents()


def test_they_are_shown_and_cannot_be_a_key() -> None:
    assert repr(Extents([(3, 1)])) == "Extents([(3, 1)])"
    with pytest.raises(TypeError):
        hash(Extents())
