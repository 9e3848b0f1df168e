"""Which sealed segments to merge: eight of about one size become one, so that their number
grows with the logarithm of the rows, and each row is rewritten that often at most.

The idea is the size-tiered compaction of log-structured merge trees (Cassandra's
SizeTieredCompactionStrategy; Lucene's LogMergePolicy).
"""

from __future__ import annotations

import math

from walvec.segments.commands import SEGMENT_MAX_BYTES_PROPERTY
from walvec.segments.state import Collection, Segment, State, vector_bytes_per_row

FAN_IN = 8


def next_merge(state: State, segment_max_bytes: int) -> tuple[int, tuple[int, ...]] | None:
    """(collection id, segment ids in the order of their rows) of the next merge, if one is due."""
    for collection in state.collections.values():
        limit = int(collection.properties.get(SEGMENT_MAX_BYTES_PROPERTY, segment_max_bytes))
        for partition in collection.partitions.values():
            sources = _oldest_tier(collection, partition, limit)
            if sources:
                return collection.id, sources
    return None


def _oldest_tier(collection: Collection, partition: int, limit: int) -> tuple[int, ...]:
    """The first eight small segments of one tier. None is as large as half of the limit."""
    per_row = max(1, vector_bytes_per_row(collection.schema))
    tiers: dict[int, list[Segment]] = {}
    segments = [s for s in collection.segments.values() if s.sealed and s.partition == partition]
    for segment in sorted(segments, key=lambda s: s.extents[0]):
        size = segment.rows * per_row
        if 2 * size <= limit:
            tier = tiers.setdefault(int(math.log(size, FAN_IN)), [])
            tier.append(segment)
            if len(tier) == FAN_IN:
                return tuple(s.id for s in tier)
    return ()
