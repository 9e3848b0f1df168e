"""How the rows of a segment are found: which conditions an index answers, which are scanned.

A plan is a tree of conditions that are each asked either for the rows of which they are true or
for those of which they are false: `not` is moved down to them, through `and` and `or`, which
keeps unknown rows out on both sides.

An index answers a condition if it finds few rows. Of an `and`, the condition with the fewest rows
goes first; once few rows are left, the others look at these alone. Else the columns are
scanned, those that are read fastest first, and JSON is decoded for the rows that are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import numpy as np

from walvec.filter import lookups
from walvec.filter.conditions import Answer, Condition
from walvec.filter.explain import Step
from walvec.filter.operands import FIXED, JSON
from walvec.filter.reader import Mask, Reader, Rows
from walvec.segments.lookup import Lookup, ScalarIndex

INDEX_SHARE = {FIXED: 40}
"""An index is asked if it finds less than one row in so many, by the cost of the scan. Measured:
to mark a fortieth of a million rows takes as long as to compare a million integers."""
INDEX_SHARE_OF_DEAR = 1
"""Of texts and arrays: to mark all rows is faster than to scan them."""
CANDIDATE_SHARE = 16
"""A scan of fixed size is made of the candidates alone if they are fewer than one row in so many;
of a dearer column, in CANDIDATE_SHARE_OF_DEAR; of JSON, always."""
CANDIDATE_SHARE_OF_DEAR = 4


class Plan(Protocol):
    """Finds rows."""

    @property
    def cost(self) -> int:
        """Of a row, relatively."""

    def estimate(self, reader: Reader) -> int | None:
        """How many rows indexes would find, if they are to be asked; else None."""

    def find(self, reader: Reader) -> Mask:
        """Which of the reader's rows match; the caller's to change."""

    def rows(self, reader: Reader) -> Rows:
        """The same as positions, ascending. For a plan with an estimate."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One condition, asked for the rows of which it is true, or false if `negated`. `text`: the
    question, as it is written."""

    text: str
    condition: Condition
    negated: bool = False

    @property
    def cost(self) -> int:
        return self.condition.cost

    @property
    def lookup(self) -> Lookup | None:
        """What to ask an index for."""
        return self.condition.inverse if self.negated else self.condition.lookup

    def estimate(self, reader: Reader) -> int | None:
        """How many rows the index finds, if it is to be asked."""
        found = self._index(reader)
        return None if found is None else found[2]

    def _index(self, reader: Reader) -> tuple[ScalarIndex, Lookup, int] | None:
        """The index to ask, if that is faster than to scan."""
        found = self._counted(reader)
        share = INDEX_SHARE.get(self.cost, INDEX_SHARE_OF_DEAR)
        return found if found is not None and found[2] * share < reader.n else None

    def _counted(self, reader: Reader) -> tuple[ScalarIndex, Lookup, int] | None:
        """The index that knows how many rows match, and how many."""
        lookup = self.lookup
        if lookup is None or reader.positions is not None:
            return None
        index = reader.source.scalars.get(lookup.field_id)
        if index is None:
            return None
        if id(self) not in reader.counts:
            reader.counts[id(self)] = index.count(lookup)
        count = reader.counts[id(self)]
        return None if count is None else (index, lookup, count)

    def rows(self, reader: Reader) -> Rows:
        """What the index finds."""
        started = perf_counter()
        found = self._index(reader)
        assert found is not None, "a plan without an estimate"
        index, lookup, estimated = found
        positions = index.positions(lookup)
        path = f"index {index.index_type}"
        self._tell(reader, path, estimated, len(positions), started)
        return positions

    def find(self, reader: Reader) -> Mask:
        """Which of the reader's rows match."""
        if self._index(reader) is not None:
            return _mask(reader.n, self.rows(reader))
        started = perf_counter()
        found = self.scan(reader)
        if reader.trace is not None:
            counted = self._counted(reader)
            estimated = None if counted is None else counted[2]
            path = "scan" if reader.positions is None else "scan of candidates"
            self._tell(reader, path, estimated, int(np.count_nonzero(found)), started)
        return found

    def scan(self, reader: Reader) -> Mask:
        """The rows that match, by their values."""
        match, known = self.condition.test(reader)
        found = ~match if self.negated else match
        return found if known is None else found & known

    def _tell(
        self, reader: Reader, path: str, estimated: int | None, found: int, started: float
    ) -> None:
        if reader.trace is not None:
            seconds = perf_counter() - started
            reader.trace.append(Step(self.text, path, reader.n, estimated, found, seconds))


class Every:
    """Rows that every part finds."""

    def __init__(self, parts: Sequence[Plan]) -> None:
        self.parts = sorted(_with_ranges(parts), key=lambda part: part.cost)
        self.cost = max(part.cost for part in parts)

    def estimate(self, reader: Reader) -> int | None:
        """How many rows the best of the indexes finds."""
        known = [part.estimate(reader) for part in self.parts]
        return min((count for count in known if count is not None), default=None)

    def rows(self, reader: Reader) -> Rows:
        """Those of the rows that the best index finds that the others find too."""
        counts = [part.estimate(reader) for part in self.parts]
        _, best = min((count, i) for i, count in enumerate(counts) if count is not None)
        first = self.parts[best]
        return _among(self._but(first), reader, first.rows(reader))

    def _but(self, part: Plan) -> list[Plan]:
        return [other for other in self.parts if other is not part]

    def find(self, reader: Reader) -> Mask:
        """Which of the reader's rows all parts find."""
        least = self.estimate(reader)
        if least is not None and least * CANDIDATE_SHARE_OF_DEAR < reader.n:
            return _mask(reader.n, self.rows(reader))
        mask = self.parts[0].find(reader)
        for place, part in enumerate(self.parts[1:], 1):
            left = int(np.count_nonzero(mask))
            if left == 0:
                break
            if _is_few(left, reader.n, part.cost):
                rows = _among(self.parts[place:], reader, np.flatnonzero(mask))
                return _mask(reader.n, rows)
            mask &= part.find(reader)
        return mask


class Either:
    """Rows that some part finds."""

    def __init__(self, parts: Sequence[Plan]) -> None:
        self.parts = sorted(parts, key=lambda part: part.cost)
        self.cost = sum(part.cost for part in parts)

    def estimate(self, reader: Reader) -> int | None:
        """How many rows indexes find, if each part has one to ask."""
        known = [part.estimate(reader) for part in self.parts]
        counts = [count for count in known if count is not None]
        return sum(counts) if len(counts) == len(known) else None

    def rows(self, reader: Reader) -> Rows:
        """The union of what the indexes find."""
        union: Rows = np.unique(np.concatenate([part.rows(reader) for part in self.parts]))
        return union

    def find(self, reader: Reader) -> Mask:
        """Which of the reader's rows some part finds."""
        mask = self.parts[0].find(reader)
        for part in self.parts[1:]:
            left = reader.n - int(np.count_nonzero(mask))
            if left == 0:
                break
            if part.estimate(reader) is None and _is_few(left, reader.n, part.cost):
                rows = np.flatnonzero(~mask)
                mask[rows[part.find(reader.at(rows))]] = True
            else:
                mask |= part.find(reader)
        return mask


def _is_few(left: int, n: int, cost: int) -> bool:
    """Whether a part should look at the rows that are left, rather than at all n."""
    if cost >= JSON:
        return left < n
    return left * (CANDIDATE_SHARE if cost <= FIXED else CANDIDATE_SHARE_OF_DEAR) < n


def _among(parts: Sequence[Plan], reader: Reader, rows: Rows) -> Rows:
    """Those of the rows that every part finds."""
    for part in parts:
        if not len(rows):
            break
        rows = rows[part.find(reader.at(rows))]
    return rows


def _mask(n: int, rows: Rows) -> Mask:
    mask = np.zeros(n, np.bool_)
    mask[rows] = True
    return mask


def _with_ranges(parts: Sequence[Plan]) -> list[Plan]:
    """The parts, with all ranges of one field as one, which an index answers better."""
    found: list[Plan | list[Leaf]] = []
    ranges: dict[int, list[Leaf]] = {}
    for part in parts:
        lookup = part.lookup if isinstance(part, Leaf) else None
        if not isinstance(part, Leaf) or lookup is None or lookup.kind != "range":
            found.append(part)
        elif lookup.field_id in ranges:
            ranges[lookup.field_id].append(part)
        else:
            ranges[lookup.field_id] = [part]
            found.append(ranges[lookup.field_id])
    return [_joined(part) if isinstance(part, list) else part for part in found]


def _joined(leaves: Sequence[Leaf]) -> Leaf:
    """Ranges of one field, however many, as one condition."""
    first, *others = leaves
    if not others:
        return first

    def test(reader: Reader) -> Answer:
        match = first.scan(reader)
        for leaf in others:
            match &= leaf.scan(reader)
        return Answer(match, None)

    lookup = first.lookup
    for leaf in others:
        assert lookup is not None and leaf.lookup is not None, "ranges of one field"
        lookup = lookups.intersection(lookup, leaf.lookup)
    condition = Condition(test, max(leaf.cost for leaf in leaves), lookup)
    return Leaf(" and ".join(leaf.text for leaf in leaves), condition)
