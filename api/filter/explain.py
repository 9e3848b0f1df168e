"""How a filter found its rows: one record for each condition that was evaluated on a segment.

    trace: list[Step] = []
    mask = compiled.mask(view, trace)

The steps stand in the order in which they ran, which is not that of the expression: of an `and`
the conditions that an index answers come first, the one with the fewest rows at the head, and
the others see only the rows that are left. A condition that did not run (nothing was left to
ask it for) has no step.
"""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """One condition on the rows of one segment.

    expression  that part of the filter, as it is written
    path        "index STL_SORT" (or INVERTED, BITMAP, TRIE), "scan" of all rows, or
                "scan of candidates"
    rows        how many rows it was asked for: all of the segment, or the candidates
    estimated   how many rows the index said it would find; None where no index was asked or none
                could tell (a scan with an estimate is one that the index would not have made
                faster)
    found       how many of them match
    seconds     what it took
    """

    expression: str
    path: str
    rows: int
    estimated: int | None
    found: int
    seconds: float
