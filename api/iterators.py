"""Iterators of search and query: batch after batch of one view, whatever happens meanwhile.

An iterator keeps the rows of its view in memory until it is closed, also where the collection
is released or dropped. It is for one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from walvec.arguments import check_whole
from walvec.filter import Filter
from walvec.ordering import row_codes
from walvec.output import Output, rows_at
from walvec.querying import column_of
from walvec.reading import Reader
from walvec.results import Hit, Hits
from walvec.search_wish import MAX_LIMIT
from walvec.searching import hits_of
from walvec.segments.metrics import best_first
from walvec.segments.search import Found, Plan, search_segment
from walvec.segments.view import Place, SegmentView
from walvec.wal.errors import ParamError
from walvec.wal.rows import Array
from walvec.wal.shown import shown

UNLIMITED = -1
FIRST_ROWS = MAX_LIMIT
"""So many of the best rows are looked for at first, and each time GROWTH times more."""
GROWTH = 16
MAX_ROWS = 2**63 - 1
ExternalFilter = Callable[[Hits], Iterable[Hit]]


class SearchPage(list[Hit]):
    """The hits of one batch, best first; empty at the end."""

    def ids(self) -> list[Any]:
        """Their primary keys."""
        return [hit.id for hit in self]

    def distances(self) -> list[float]:
        """Their scores."""
        return [hit.distance for hit in self]


class _Batches:
    """Places in an order, given out batch by batch: for each the segment, by its number, and the
    row."""

    def __init__(
        self, segments: Sequence[SegmentView], numbers: Array, rows: Array, scores: Array | None
    ) -> None:
        self._segments = segments
        self._numbers = numbers
        self._rows = rows
        self._scores = scores
        self._at = 0

    @property
    def total(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    @property
    def given(self) -> int:
        """How many rows were given out."""
        return self._at

    @property
    def left(self) -> int:
        """How many rows are to come."""
        return len(self._rows) - self._at

    def skip(self, count: int) -> None:
        """Leave out the next rows."""
        self._at += count

    def take(self, count: int) -> tuple[list[float], list[Place]]:
        """The next rows, at most so many, and their scores if there are some."""
        part = slice(self._at, self._at + count)
        self._at += count
        numbers, rows = self._numbers[part].tolist(), self._rows[part].tolist()
        places = [(self._segments[n], row) for n, row in zip(numbers, rows, strict=True)]
        return [] if self._scores is None else self._scores[part].tolist(), places


class _Iterator:
    """What both kinds share: batch size, limit, being closed."""

    def __init__(self, reader: Reader, batch_size: Any, limit: Any, output: Output | None) -> None:
        self._reader: Reader | None = reader
        self._batches: _Batches | None = None
        self._batch_size = check_whole("batch_size", batch_size, 1, MAX_LIMIT)
        wanted = UNLIMITED if limit is None else check_whole("limit", limit, UNLIMITED, MAX_ROWS)
        self._left = MAX_ROWS if wanted == UNLIMITED else wanted
        self._output = output

    @property
    def _open_reader(self) -> Reader:
        if self._reader is None:
            raise ParamError(message="this iterator was closed: make another one")
        return self._reader

    def close(self) -> None:
        """Let go of the view. May be called again."""
        self._reader = self._batches = None


class QueryIterator(_Iterator):
    """Rows that match, by rising primary key; see MilvusClient.query_iterator."""

    def __init__(
        self,
        reader: Reader,
        compiled: Filter | None,
        output: Output,
        *,
        batch_size: int,
        limit: int | None,
        offset: int,
    ) -> None:
        """Use MilvusClient.query_iterator, which checks the arguments."""
        super().__init__(reader, batch_size, limit, output)
        self._rows_output = output
        self._compiled = compiled
        self._offset = offset

    def next(self) -> list[dict[str, Any]]:
        """The next rows, at most `batch_size`; none at the end."""
        reader = self._open_reader
        if self._batches is None:
            self._batches = self._by_key(reader)
            self._batches.skip(self._offset)
        _, places = self._batches.take(min(self._batch_size, self._left))
        self._left -= len(places)
        return rows_at(places, self._rows_output)

    def _by_key(self, reader: Reader) -> _Batches:
        pieces = list(reader.pieces(self._compiled))
        if not pieces:
            return _no_batches()
        primary = reader.info.schema.primary
        keys = row_codes(column_of(pieces, primary), primary)
        rows = np.concatenate([piece.rows for piece in pieces])
        numbers = np.repeat(np.arange(len(pieces)), [len(piece.rows) for piece in pieces])
        if len(keys) > 1 and not bool((keys[1:] > keys[:-1]).all()):
            order = np.argsort(keys, kind="stable")
            rows, numbers = rows[order], numbers[order]
        return _Batches([piece.segment for piece in pieces], numbers, rows, None)


class SearchIterator(_Iterator):
    """Rows by nearness to one query, to the last of them; see MilvusClient.search_iterator."""

    def __init__(
        self,
        reader: Reader,
        plan: Plan,
        queries: Array,
        output: Output | None,
        *,
        batch_size: int,
        limit: int | None,
        decimals: int,
        external_filter: ExternalFilter | None,
    ) -> None:
        """Use MilvusClient.search_iterator, which checks the arguments."""
        super().__init__(reader, batch_size, limit, output)
        self._plan = plan
        self._queries = queries
        self._decimals = decimals
        self._external_filter = external_filter
        self._kept: list[Hit] = []
        self._k = 0

    def next(self) -> SearchPage:
        """The next hits, at most `batch_size`; none at the end."""
        reader = self._open_reader
        wanted = min(self._batch_size, self._left)
        if self._external_filter is None:
            page = SearchPage(self._hits(reader, wanted))
        else:
            page = self._filtered(reader, wanted, self._external_filter)
        self._left -= len(page)
        return page

    def _hits(self, reader: Reader, count: int) -> Hits:
        batches = self._batches
        # Fewer than were looked for are all that there are.
        while batches is None or (batches.left < count and batches.total == self._k):
            self._k = FIRST_ROWS if batches is None else self._k * GROWTH
            given = 0 if batches is None else batches.given
            batches = self._batches = self._best(reader, self._k)
            batches.skip(given)
        return hits_of(reader, Found(*batches.take(count)), self._decimals, self._output)

    def _filtered(self, reader: Reader, wanted: int, keep: ExternalFilter) -> SearchPage:
        """Hits that the user's function keeps; those beyond the batch wait for the next."""
        while len(self._kept) < wanted:
            hits = self._hits(reader, self._batch_size)
            if not hits:
                break
            kept = keep(hits)
            if not isinstance(kept, Iterable):
                raise ParamError(message=f"external_filter_func returned {shown(kept)}, no hits")
            self._kept.extend(kept)
        page = SearchPage(self._kept[:wanted])
        del self._kept[:wanted]
        return page

    def _best(self, reader: Reader, k: int) -> _Batches:
        """The k best rows in their order. Exactly, so that they are the first of any more that
        are asked for: an index would find others then."""
        segments = reader.view.segments
        rows, scores, numbers = [], [], []
        for number, segment in enumerate(segments):
            plan = self._plan._replace(k=min(k, segment.n), spec=None, params={})
            found, values = search_segment(segment, plan, self._queries)
            found, values = found[0], values[0]
            count = int(np.count_nonzero(found >= 0))  # what is missing stands at the end
            rows.append(found[:count])
            scores.append(values[:count])
            numbers.append(np.full(count, number))
        if not segments:
            return _no_batches()
        joined = np.concatenate(scores)
        order = best_first(joined, self._plan.metric_type, k)
        return _Batches(
            segments, np.concatenate(numbers)[order], np.concatenate(rows)[order], joined[order]
        )


def _no_batches() -> _Batches:
    return _Batches((), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
