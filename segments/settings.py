"""What a handle on a store may set."""

from __future__ import annotations

from typing import NamedTuple

from walvec.segments.commands import SEGMENT_MAX_BYTES


class Settings(NamedTuple):
    """Settings of a handle; handles of other processes may have others.

    `segment_max_bytes`: vectors in a growing segment before its seal. `durability`: see Log.
    `lock_timeout_s`: how long a writer waits for another. A checkpoint is written after
    `checkpoint_events` events or `checkpoint_bytes` bytes of rows.
    """

    segment_max_bytes: int = SEGMENT_MAX_BYTES
    durability: str = "full"
    lock_timeout_s: float = 30.0
    allow_network_fs: bool = False
    checkpoint_events: int = 1000
    checkpoint_bytes: int = 256 << 20
