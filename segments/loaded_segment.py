"""A segment in memory: its columns, which rows are dead since when, its keys, its indexes.

One thread at a time changes it (the one that publishes); readers look at it through a
SegmentView, which fixes a seq and a number of rows. What a change adds lies beyond what older
views look at: new rows after their n, deaths with a seq after theirs.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from walvec.segments.deaths import NEVER
from walvec.segments.extents import Extents
from walvec.segments.growing import FixedColumns, GrowableArray, GrowingColumns
from walvec.segments.index import VectorIndex
from walvec.segments.lookup import ScalarIndex
from walvec.segments.pk_index import HashedPks, PkIndex, SortedPks, pk_values
from walvec.segments.stored_vectors import lengths
from walvec.wal.rows import Array, Column, Rows
from walvec.wal.schema import Field, Schema


def rows_in(max_bytes: int, schema: Schema) -> int:
    """How many rows have so many bytes of vectors, and one more."""
    return max_bytes // max(1, schema.vector_bytes) + 1


class LoadedSegment:
    """Rows of one segment, growing or sealed."""

    def __init__(
        self,
        segment_id: int,
        schema: Schema,
        columns: GrowingColumns | FixedColumns,
        *,
        partition: int,
        extents: Extents,
        growing: bool = False,
    ) -> None:
        """columns: with the rows so far, which come from `extents` (kept). The keys of a segment
        that is not `growing` wait for `seal()`."""
        self.id = segment_id
        self.partition = partition
        self.extents = extents
        self.schema = schema
        self.columns = columns
        self.deaths = 0
        self.indexes: dict[int, VectorIndex] = {}
        self.scalars: dict[int, ScalarIndex] = {}
        self.sealed = False
        self.pks: PkIndex = HashedPks()
        self._died = GrowableArray((), np.int64, max(1, columns.n))
        self._norms = {f.id: GrowableArray((), np.float32, 1) for f in schema.vectors}
        self._norms_lock = threading.Lock()
        self._masks: tuple[int, int, Array] | None = None
        if columns.n:
            keys = pk_values(self.pk_column(columns.n)) if growing else None
            self._took(columns.n, keys)

    @classmethod
    def growing(
        cls, segment_id: int, partition: int, schema: Schema, max_bytes: int
    ) -> LoadedSegment:
        """An empty segment that reserves address space up to its upper limit when it grows."""
        columns = GrowingColumns(schema, reserve_rows=rows_in(max_bytes, schema))
        return cls(
            segment_id, schema, columns, partition=partition, extents=Extents(), growing=True
        )

    def append(self, seq: int, rows: Rows, pks: list[Any]) -> int:
        """Copy the batch of an entry to the end; returns the place of its first row."""
        assert isinstance(self.columns, GrowingColumns), "a sealed segment does not grow"
        first = self.columns.n
        self.columns.append(rows)
        self.extents.append((seq, rows.n))
        self._took(rows.n, pks)
        return first

    def _took(self, count: int, pks: list[Any] | None) -> None:
        """Account for `count` new rows at the end. Without `pks` their keys wait for `seal()`."""
        n = self.columns.n
        if count == 1:
            self._died.append(_NEVER_ONCE)
        else:
            self._died.append(np.full(count, NEVER, np.int64))
        if pks is not None:
            assert isinstance(self.pks, HashedPks)
            self.pks.append(pks, n - count)

    def seal(self) -> None:
        """No row will follow: index the keys for good."""
        self.sealed = True
        # Made before it is put in place: a reader that looks meanwhile must find every key.
        self.pks = keys_of(self.pk_column(self.columns.n))

    def forked(self) -> None:
        """This is a child: a thread of the parent may have held the lock."""
        self._norms_lock = threading.Lock()

    def pk_column(self, n: int) -> Column:
        """The keys of the first n rows."""
        return self.columns.column(self.schema.primary.id, n)

    def norms(self, field_id: int, n: int) -> Array:
        """The `lengths` of the first n vectors of a field, (n,) float32, see stored_vectors.py.
        Computed when first asked."""
        norms = self._norms[field_id]
        if norms.n < n:
            with self._norms_lock:
                vectors = self.columns.column(field_id, n).values[norms.n :]
                norms.append(lengths(vectors))
        return norms.data[:n]

    def kill(self, rows: Array, seq: int) -> None:
        """These rows are dead from `seq` on, unless they are already."""
        died = self._died.data
        rows = rows[died[rows] == NEVER]
        died[rows] = seq
        self.deaths += len(rows)

    def kill_one(self, row: int, seq: int) -> None:
        """As `kill`, of one row."""
        died = self._died.data
        if died[row] == NEVER:
            died[row] = seq
            self.deaths += 1

    def expire(self, until: int, seq: int) -> None:
        """The rows of entries up to `until` are dead from `seq` on."""
        pairs = self.extents.pairs()
        rows = int(pairs[pairs[:, 0] <= until, 1].sum())
        self.kill(np.arange(rows), seq)

    def add_field(self, schema: Schema, field: Field) -> None:
        """One field more, the last of `schema` but for the dynamic one."""
        self.columns.add(field)
        if field.is_vector:
            self._norms = {**self._norms, field.id: GrowableArray((), np.float32, 1)}
        self.schema = schema

    def set_died(self, died: Array) -> None:
        """The deaths of all rows at once, (n,) int64, of a segment just read."""
        self._died.data[: len(died)] = died
        self.deaths = int((died != NEVER).sum())
        self._masks = None

    def died(self) -> Array:
        """The seq at which each row died, (n,) int64."""
        return self._died.data[: self.columns.n]

    def is_alive(self, row: int, seq: int) -> bool:
        """Whether a row is visible at `seq`."""
        return bool(self._died.data[row] > seq)

    def alive(self, n: int, deaths: int, seq: int) -> Array | None:
        """Which of the first n rows are visible at `seq`, (n,) bool; None for all of them.

        `deaths` is the number of deaths at `seq`, which makes the mask easy to remember.
        """
        if not deaths:
            return None
        masks = self._masks
        if masks is not None and masks[0] == n and masks[1] == deaths:
            return masks[2]
        mask = self._died.data[:n] > seq
        self._masks = (n, deaths, mask)
        return mask

    def read_from(self, columns: FixedColumns, pks: PkIndex) -> None:
        """Read the same rows from somewhere else from now on, older views too: from a mapped file,
        so that the memory they were in becomes free."""
        assert self.sealed and columns.n == self.columns.n, "other rows"
        columns.complete(self.schema)
        self.columns, self.pks = columns, pks

    def attach(self, indexes: dict[int, VectorIndex], scalars: dict[int, ScalarIndex]) -> None:
        """Search and filter by these indexes from the next view on. indexes: by id; scalars: by
        field."""
        self.indexes = {**self.indexes, **indexes}
        self.scalars = {**self.scalars, **scalars}

    def keep_indexes(self, index_ids: set[int]) -> None:
        """Let go of the indexes that are not among these."""
        self.indexes = {i: x for i, x in self.indexes.items() if i in index_ids}
        self.scalars = {f: x for f, x in self.scalars.items() if x.index_id in index_ids}


def keys_of(column: Column) -> PkIndex:
    """The rows of a sealed segment by their keys."""
    if column.offsets is None:
        return SortedPks(column.values)
    hashed = HashedPks()
    hashed.append(pk_values(column), 0)
    return hashed


_NEVER_ONCE = np.full(1, NEVER, np.int64)
