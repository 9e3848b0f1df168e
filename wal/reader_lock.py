"""Reading where LMDB has no reader table: on a read-only mount of a store that others may write.

LMDB's table of readers, by which writers know what may not be overwritten yet, must be written
to. Where it cannot be, a read transaction holds the writer lock shared: no commit comes between.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from walvec.wal.errors import LockTimeoutException

TIMEOUT_S = 30.0
PAUSE_S = 0.0001


@contextmanager
def no_commit(lock: Path) -> Iterator[None]:
    """A block in which no process commits. `lock`: the store's writer.lock; without one, nobody
    has written since it was copied.

    Raises LockTimeoutException where a writer stands still.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield
        return
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LockTimeoutException(
                        message=f"the store {lock.parent} is being written by a process that does "
                        f"not go on; waited {TIMEOUT_S:g} s. On a read-only medium readers wait "
                        "for commits"
                    ) from None
                time.sleep(PAUSE_S)
        yield
    finally:
        os.close(descriptor)
