"""What a filter reads: the columns of n rows, each fetched and decoded once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from walvec.wal.rows import Array, Column

Mask = npt.NDArray[np.bool_]
Evaluate = Callable[["Reader"], Mask]
Numbers = Callable[["Reader"], Array]

NO_KEYS: dict[str, Any] = {}


class Reader:
    """n rows, for one evaluation of a filter."""

    __slots__ = ("_columns", "_documents", "_fetch", "n")

    def __init__(self, fetch: Callable[[int], Column], n: int) -> None:
        self.n = n
        self._fetch = fetch
        self._columns: dict[int, Column] = {}
        self._documents: dict[int, list[Any]] = {}

    def column(self, field_id: int) -> Column:
        """A field's column of n rows."""
        found = self._columns.get(field_id)
        if found is None:
            found = self._columns[field_id] = self._fetch(field_id)
        return found

    def documents(self, field_id: int) -> list[Any]:
        """A JSON field's values, decoded; not to be changed."""
        found = self._documents.get(field_id)
        if found is None:
            texts = self.column(field_id).texts()
            found = [NO_KEYS if t == "{}" else json.loads(t) for t in texts]
            self._documents[field_id] = found
        return found

    def constant(self, value: bool) -> Mask:
        """The same answer for all rows."""
        return np.full(self.n, value, np.bool_)
