"""What `client.explain` answers: how a query or a search found its rows, segment by segment.

>>> print(client.explain("docs", 'color == "red" and year > 2000', data=vector))
search of docs at seq 15, limit 10, filter color == "red" and year > 2000
68 candidates, 10 hits, 0.79 ms
segment 7: sealed, partition _default, 19997 of 20000 rows alive, 34 candidates (0.17%), ...
    color == "red": index INVERTED, 200 of 20000 rows, estimated 200, 0.02 ms
    year > 2000: scan of candidates, 34 of 200 rows, 0.06 ms
    search: exact, 10 hits, 0.31 ms
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class FilterStep:
    """One condition of the filter on the rows of one segment, in the order in which they ran.

    path: "index STL_SORT" (INVERTED, BITMAP, TRIE), "scan" of all rows, or "scan of candidates":
    of those that earlier steps left. `rows` it was asked for, `estimated` by an index (None: no
    index could tell), `found` of them match.
    """

    expression: str
    path: str
    rows: int
    estimated: int | None
    found: int
    seconds: float

    def __str__(self) -> str:
        estimated = "" if self.estimated is None else f", estimated {self.estimated}"
        return (
            f"{self.expression}: {self.path}, {self.found} of {self.rows} rows{estimated}, "
            f"{_milliseconds(self.seconds)}"
        )


@dataclass(frozen=True)
class VectorStep:
    """The search of one segment, after the filter.

    path: "exact" (a scan of the candidates), the type of the index, "HNSW, then exact" where
    the index did not find enough, or "empty". `effort`: what the index was told, as {"ef": 64}.
    `asked`: how many rows it was asked for, round by round: more than the limit where a filter
    or deletes leave only some of what it finds. `hits` in the answer are from this segment.
    """

    path: str
    effort: dict[str, int]
    asked: tuple[int, ...]
    hits: int
    seconds: float

    def __str__(self) -> str:
        effort = "".join(f" {name}={value}" for name, value in self.effort.items())
        asked = f", asked for {' and '.join(map(str, self.asked))}" if self.asked else ""
        took = _milliseconds(self.seconds)
        hits = f"{self.hits} hit{'s' * (self.hits != 1)}"
        return f"search: {self.path}{effort}{asked}, {hits}, {took}"


@dataclass(frozen=True)
class SegmentPlan:
    """One segment: its rows, those `alive` (neither deleted nor replaced), and how those that
    match were found.

    path: "filter", "primary key" (rows are looked up by the keys that the filter names), "all
    rows" without a filter, "not read" where the limit was reached before. candidates: rows that
    are alive and match, None where it was not read; of a search without those whose vector is
    null. selectivity: candidates by alive, None for none.
    """

    id: int
    state: str
    partition: str
    rows: int
    alive: int
    path: str
    steps: tuple[FilterStep, ...]
    candidates: int | None
    selectivity: float | None
    seconds: float
    search: VectorStep | None = None

    def __str__(self) -> str:
        words = [
            f"segment {self.id:x}: {self.state}",
            f"partition {self.partition}",
            f"{self.alive} of {self.rows} rows alive",
        ]
        if self.path != "filter":
            words.append(self.path)
        if self.candidates is not None:
            share = "" if self.selectivity is None else f" ({self.selectivity:.2%})"
            words += [f"{self.candidates} candidates{share}", _milliseconds(self.seconds)]
        lines = [", ".join(words), *map(str, self.steps)]
        if self.search is not None:
            lines.append(str(self.search))
        return "\n    ".join(lines)


@dataclass(frozen=True)
class Explanation:
    """How one query or search ran. `segments` in the order of their rows, `seconds` of all."""

    collection: str
    kind: str
    filter: str
    limit: int | None
    seq: int
    candidates: int
    hits: int
    seconds: float
    segments: tuple[SegmentPlan, ...]

    def __str__(self) -> str:
        """For people, a line for each segment and for each step."""
        limit = "" if self.limit is None else f", limit {self.limit}"
        sought = f", filter {self.filter}" if self.filter else ""
        return "\n".join(
            (
                f"{self.kind} of {self.collection} at seq {self.seq}{limit}{sought}",
                f"{self.candidates} candidates, {self.hits} hits, {_milliseconds(self.seconds)}",
                *map(str, self.segments),
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return asdict(self)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
