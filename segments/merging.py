"""Which sealed segments to merge: eight neighbours of about one size become one, so that their
number grows with the logarithm of the rows, and each row is rewritten about that often.

The idea is the size-tiered compaction of log-structured merge trees (Cassandra's
SizeTieredCompactionStrategy; Lucene's LogMergePolicy).
"""

from __future__ import annotations

import math

from walvec.segments.commands import SEGMENT_MAX_BYTES_PROPERTY
from walvec.segments.state import Collection, Segment, State

FAN_IN = 8


def next_merge(state: State, segment_max_bytes: int) -> tuple[int, tuple[int, ...]] | None:
    """(collection id, segment ids in the order of their rows) of the next merge, if one is due."""
    for collection in state.collections.values():
        limit = int(collection.properties.get(SEGMENT_MAX_BYTES_PROPERTY, segment_max_bytes))
        for partition in collection.partitions.values():
            sources = _adjacent(collection, partition, limit)
            if sources:
                return collection.id, sources
    return None


def _adjacent(collection: Collection, partition: int, limit: int) -> tuple[int, ...]:
    """The first eight neighbours that are due. None is as large as half of the limit.

    Only neighbours are merged, or the rows of a segment would not be in the order of the log,
    which finding the newest row of a key relies on. Smaller segments between two of one tier
    are merged with them, as in LogMergePolicy.
    """
    per_row = max(1, collection.schema.vector_bytes)
    run: list[Segment] = []
    for segment in _sealed(collection, partition):
        if 2 * segment.rows * per_row <= limit:
            run = [*run, segment]
            continue
        if due := _due(run, per_row):
            return due
        run = []
    return _due(run, per_row)


def _due(run: list[Segment], per_row: int) -> tuple[int, ...]:
    """The first eight of a run of neighbours that reach up to the last one of the largest tier."""
    tiers = [int(math.log(s.rows * per_row, FAN_IN)) for s in run]
    start = 0
    while len(run) - start >= FAN_IN:
        top = max(tiers[start:])
        stop = len(tiers) - tiers[::-1].index(top)
        if stop - start >= FAN_IN:
            return tuple(s.id for s in run[start : start + FAN_IN])
        start = stop
    return ()


def forced_merges(state: State, collection_id: int, limit: int) -> list[tuple[int, ...]]:
    """Runs of neighbouring sealed segments of a collection with at most `limit` bytes of vectors
    each, as long as possible."""
    collection = state.collections.get(collection_id)
    if collection is None:
        return []
    per_row = max(1, collection.schema.vector_bytes)
    runs: list[tuple[int, ...]] = []
    for partition in collection.partitions.values():
        run: list[Segment] = []
        for segment in _sealed(collection, partition):
            if run and (sum(s.rows for s in run) + segment.rows) * per_row > limit:
                runs.append(tuple(s.id for s in run))
                run = []
            run = [*run, segment]
        runs.append(tuple(s.id for s in run))
    return [run for run in runs if len(run) > 1]


def _sealed(collection: Collection, partition: int) -> list[Segment]:
    """The sealed segments of a partition in the order of their rows."""
    segments = [s for s in collection.segments.values() if s.sealed and s.partition == partition]
    return sorted(segments, key=lambda s: s.extents[0])
