"""Rows that have outlived their collection's time to live.

A row's age is that of its entry in the log. That rows have expired is an event itself, logged by
who reads the collection first after it is due, so that a replay finds the same rows gone. A
handle looks at most once a second; one that is read-only sees what others have logged.
"""

from __future__ import annotations

import time
from bisect import bisect_right

import numpy as np

from walvec.segments import commands
from walvec.segments.catalog import CollectionInfo
from walvec.segments.commands import collection_of
from walvec.segments.extents import Extents
from walvec.segments.files import logger
from walvec.segments.state import State
from walvec.segments.store import Store
from walvec.wal.errors import ReadOnlyException, RoomError, WaitError

TTL_PROPERTY = "collection.ttl.seconds"
NS = 10**9
LOCK_WAIT_S = 0.5
"""How long a reader waits for a writer that stands still; then, or where the disk is full, it sees
the rows a while longer, and tries again."""


def expire_rows(store: Store, info: CollectionInfo) -> None:
    """Take the rows away that have outlived the collection's time to live, if it has one."""
    ttl_s = int(info.properties.get(TTL_PROPERTY, 0))
    if not ttl_s or time.time_ns() < store.expiry.get((info.id, ttl_s), 0):
        return
    until = _expired_until(store, info, ttl_s)
    if until is None:
        return
    try:
        store.execute(commands.expire(info.id, info.name, until), LOCK_WAIT_S)
    except ReadOnlyException:
        return
    except (WaitError, RoomError) as reason:
        store.expiry[info.id, ttl_s] = time.time_ns() + NS
        logger.warning("expired rows of collection %s stay a while: %s", info.name, reason)


def _expired_until(store: Store, info: CollectionInfo, ttl_s: int) -> int | None:
    """The seq of the newest entry whose rows have expired; notes when to look again."""
    now = time.time_ns()
    seqs = store.with_state(lambda state: _seqs(state, info))

    def written_at(seq: int) -> int:
        with store.log.reading() as txn:
            return store.log.read(txn, seq)[0].header.timestamp

    count = bisect_right(seqs, now - ttl_s * NS, key=written_at)
    oldest = written_at(seqs[count]) if count < len(seqs) else now
    store.expiry[info.id, ttl_s] = max(now + NS, oldest + ttl_s * NS)
    return seqs[count - 1] if count else None


def _seqs(state: State, info: CollectionInfo) -> list[int]:
    """The entries that have rows left, in order."""
    collection = collection_of(state, info.id, info.name)
    extents = Extents.joined(s.extents for s in collection.segments.values())
    seqs: list[int] = np.unique(extents.pairs()[:, 0]).tolist()
    return seqs[bisect_right(seqs, collection.expired) :]
