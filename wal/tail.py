"""The tail of a log: waiting, cheaply, until this or another process has committed.

LMDB commits by pwrite, the meta page last, so every commit is a modification of `data.mdb` that
Linux tells us of by inotify: a waiting thread sleeps in poll(2). The first events of a commit
are those of its data pages, when nothing is committed yet; what decides is therefore always the
transaction id in the meta page, read after each event, and after the watch was set.

Where inotify cannot be had (another system, no instance or watch left), and on file systems
that other machines write to, the transaction id itself is looked at every few milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from walvec.wal.errors import StoreClosedException
from walvec.wal.log import Log
from walvec.wal.medium import NETWORK_FILE_SYSTEMS, file_system_of

POLL_S = 0.004
"""Between two looks without inotify."""
RECHECK_S = 0.5
"""Between two looks with it: mounts between containers and virtual machines may tell nothing."""
UNSYNCED_S = 0.0003
"""Until the next look where the newest transaction is written and readers cannot see it yet."""
IN_MODIFY = 0x2
IN_IGNORED = 0x8000
EVENT = struct.Struct("=iIII")
"""struct inotify_event: watch, mask, cookie, bytes of the name that follows."""
READ_BYTES = 1 << 16
"""As much as a pipe holds."""


class Tail:
    """Waits for commits to a log. One thread waits at a time; any thread may wake or close."""

    def __init__(self, log: Log, *, notify: bool = True) -> None:
        """Watch the log, which stays the caller's. `notify=False`: without inotify."""
        self._log = log
        self._notify = notify
        self._closed = False
        self._waits = False
        self._told = (0, 0)
        self._pause_s = UNSYNCED_S
        # Reentrant: a signal's handler may wake or close in the midst of a wait of its thread.
        self._turn = threading.RLock()
        self._handles = threading.RLock()
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._wake_read, self._wake_write = os.pipe()
        told = self._notify and not _is_shared(self._log.folder)
        self._inotify = _watch(self._log.folder / "data.mdb") if told else None
        for handle in (self._wake_read, self._wake_write):
            os.set_blocking(handle, False)
        self._poll = select.poll()
        self._poll.register(self._wake_read, select.POLLIN)
        if self._inotify is not None:
            self._poll.register(self._inotify, select.POLLIN)

    @property
    def notified(self) -> bool:
        """Whether the system tells of commits; else the log is looked at every few ms."""
        return self._inotify is not None

    def wait(self, seen_txnid: int, timeout_s: float | None = None) -> bool:
        """Whether a transaction other than `seen_txnid` is the newest, as soon as one is.

        seen_txnid: the id of the caller's last read transaction. The next one may still have it,
        where the commit's last sync is under way: then wait again. False after `timeout_s` seconds
        (None: no limit), `wake()` or `close()`, and nothing new.
        Raises StoreClosedException where this tail or the log was closed before.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._turn:
            if self._closed:
                raise StoreClosedException(message="this tail of a log was closed: make another")
            self._leave_to_the_parent()
            self._waits = True
            try:
                return self._wait(seen_txnid, deadline)
            finally:
                self._waits = False
                if self._closed:
                    self._close_handles()

    def _wait(self, seen_txnid: int, deadline: float | None) -> bool:
        newest = self._log.newest_txnid()
        if newest != seen_txnid and self._told == (seen_txnid, newest):
            # Told before, and not found: the commit's last sync is under way. Or its process was
            # killed there, and nobody may commit for long.
            if self._pause_s < POLL_S:
                time.sleep(self._pause_s)
            elif self._sleep(self._pause_s):
                return False
            self._pause_s = min(2 * self._pause_s, RECHECK_S)
            newest = self._log.newest_txnid()
        else:
            self._pause_s = UNSYNCED_S
        woken = False
        while newest == seen_txnid:
            left = None if deadline is None else deadline - time.monotonic()
            if woken or self._closed or (left is not None and left <= 0):
                return False
            woken = self._sleep(left)
            newest = self._log.newest_txnid()
        self._told = (seen_txnid, newest)
        return True

    def _sleep(self, left_s: float | None) -> bool:
        """Until something may have happened, at most `left_s` seconds; whether by `wake()`."""
        step = POLL_S if self._inotify is None else RECHECK_S
        seconds = step if left_s is None else min(step, left_s)
        # poll(2) counts in milliseconds, and Python rounds up: it never returns too early.
        ready = {handle for handle, _ in self._poll.poll(seconds * 1000)}
        if self._inotify in ready:
            self._take_events()
        if self._wake_read not in ready:
            return False
        os.read(self._wake_read, READ_BYTES)
        return True

    def _take_events(self) -> None:
        """Empty the queue, and do without it from now on if the watch is gone."""
        assert self._inotify is not None, "only a handle that is open becomes ready"
        events = b""
        with suppress(BlockingIOError):
            events = os.read(self._inotify, READ_BYTES)
        start = 0
        while start < len(events):
            _, mask, _, length = EVENT.unpack_from(events, start)
            start += EVENT.size + length
            if mask & IN_IGNORED:
                # The file was deleted, or its file system unmounted.
                self._poll.unregister(self._inotify)
                os.close(self._inotify)
                self._inotify = None
                return

    def _leave_to_the_parent(self) -> None:
        """After a fork: a queue that two processes read tells each only half."""
        if self._pid != os.getpid():
            self._close_handles()
            self._open()

    def wake(self) -> None:
        """End the wait under way, or else the next one. From any thread."""
        with self._handles:
            # After a fork the pipe is the parent's too.
            if not self._closed and self._pid == os.getpid():
                with suppress(BlockingIOError):  # full of calls that nobody has heard yet
                    os.write(self._wake_write, b"w")

    def forked(self) -> None:
        """Close this in a child; a thread of the parent may have been waiting."""
        self._turn, self._handles = threading.RLock(), threading.RLock()
        self._waits = False
        self.close()

    def close(self) -> None:
        """End the wait under way, and release all handles. May be called again."""
        self.wake()
        with self._handles:
            if self._closed:
                return
            self._closed = True
        # A wait under way still polls the handles: their numbers must not be used anew.
        with self._turn:
            if not self._waits:  # else this is a signal's handler inside of it
                self._close_handles()

    def _close_handles(self) -> None:
        handles = (self._wake_read, self._wake_write, self._inotify)
        self._wake_read = self._wake_write = -1
        self._inotify = None
        for handle in handles:
            if handle is not None and handle >= 0:
                os.close(handle)

    def __del__(self) -> None:
        # Of an iteration that was left and forgotten.
        if hasattr(self, "_poll"):
            self.close()

    def __enter__(self) -> Tail:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _is_shared(folder: Path) -> bool:
    """Whether other machines may write here, of which this one's kernel says nothing."""
    kind = file_system_of(folder)
    return kind in NETWORK_FILE_SYSTEMS or kind.startswith("fuse.")


def _watch(path: Path) -> int | None:
    """An inotify handle that tells of writes to a file, None where there can be none."""
    libc = _libc()
    if libc is None:
        return None
    handle: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if handle < 0:
        return None
    if libc.inotify_add_watch(handle, os.fsencode(path), IN_MODIFY) < 0:
        os.close(handle)
        return None
    return handle


@cache
def _libc() -> Any:
    """The C library, if it has inotify, else None."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None)
        init, add = libc.inotify_init1, libc.inotify_add_watch
    except (OSError, AttributeError):
        return None
    init.argtypes = (ctypes.c_int,)
    add.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
    return libc
