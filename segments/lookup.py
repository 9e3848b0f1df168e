"""What a filter may ask of a scalar index, and what one can answer."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from walvec.wal.rows import Array

Value = bool | int | float | bytes
"""As in a column: texts as their UTF-8, whose order is that of the characters."""


class Lookup(NamedTuple):
    """A condition on one field. A row that is null matches none.

    kind      rows whose value
    "in"      is one of `values`
    "range"   lies between low = values[0] and high = values[1] (None: no bound), each included
              or not as `closed` says
    "prefix"  begins with values[0]
    "any"     (ARRAY) has an element among `values`
    "all"     (ARRAY) has all of `values` as elements
    """

    field_id: int
    kind: Literal["in", "range", "prefix", "any", "all"]
    values: tuple[Value | None, ...]
    closed: tuple[bool, bool] = (True, True)


class ScalarIndex(Protocol):
    """An index of one scalar field of one sealed segment. Safe to ask from many threads."""

    @property
    def index_type(self) -> str:
        """STL_SORT, INVERTED, BITMAP or TRIE."""

    @property
    def index_id(self) -> int:
        """The id of the index in the log."""

    def count(self, lookup: Lookup) -> int | None:
        """How many rows match, in logarithmic time (of "any" and "all": at most so many); None
        where this index cannot tell."""

    def positions(self, lookup: Lookup) -> Array:
        """The rows that match, (m,) int64, ascending. Of a lookup that `count` can tell."""
