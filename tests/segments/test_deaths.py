"""Which rows are dead since when, against the visibility rule applied row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from walvec.segments.deaths import NEVER, died_at
from walvec.wal.rows import Column

Entry = tuple[bool, list[int]]
"""Whether it deletes, and its keys."""


def by_the_rule(entries: list[Entry]) -> list[int]:
    """When each inserted row died: at the next entry or row of its key."""
    died = []
    for seq, (deletes, keys) in enumerate(entries, 1):
        for place, key in enumerate(keys):
            if deletes:
                continue
            if key in keys[place + 1 :]:
                died.append(seq)
                continue
            later = (s for s, (_, ks) in enumerate(entries, 1) if s > seq and key in ks)
            died.append(next(later, NEVER))
    return died


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 6), max_size=6)), max_size=10),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_deaths_are_those_of_the_rule(entries: list[Entry], texts: bool, random: Any) -> None:
    rows = [(s, k) for s, (d, keys) in enumerate(entries, 1) for k in keys if not d]
    tombs = [(s, k) for s, (d, keys) in enumerate(entries, 1) for k in keys if d]
    random.shuffle(tombs)

    def column(pairs: list[tuple[int, int]]) -> Column:
        if texts:
            return Column.of_texts([str(k) for _, k in pairs])
        return Column(np.array([k for _, k in pairs], np.int64))

    def seqs(pairs: list[tuple[int, int]]) -> np.ndarray[Any, Any]:
        return np.array([s for s, _ in pairs], np.int64)

    found = died_at(column(rows), seqs(rows), column(tombs), seqs(tombs))
    assert found.tolist() == by_the_rule(entries)


def test_a_tombstone_before_the_row_does_not_kill_it() -> None:
    keys = Column(np.array([5]))
    died = died_at(keys, np.array([3]), Column(np.array([5, 5])), np.array([2, 9]))
    assert died.tolist() == [9]
