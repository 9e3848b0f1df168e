"""Threads that make a client's calls for coroutines: bounded, own contextvars, safe to cancel."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from walvec.wal.errors import StoreClosedException

R = TypeVar("R")


class ProcessLock:
    """A lock that a forked child has anew: the thread that held it stays in the parent."""

    def __init__(self) -> None:
        self._of_process = (os.getpid(), threading.Lock())

    def __enter__(self) -> None:
        pid = os.getpid()
        if self._of_process[0] != pid:
            self._of_process = (pid, threading.Lock())
        self._of_process[1].acquire()

    def __exit__(self, *_: object) -> None:
        self._of_process[1].release()


class CallThreads:
    """At most `count` threads, made when they are needed, and anew in a forked child.

    A call that no thread has begun when its task is cancelled is not made. One that was begun
    goes on to its end, whatever becomes of the task.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._lock = ProcessLock()
        self._pool: tuple[int, ThreadPoolExecutor] | None = None
        self._closed = False

    def submit(self, call: Callable[[], R]) -> Future[R]:
        """Have a thread make the call, with the caller's contextvars.

        Raises StoreClosedException.
        """
        context = contextvars.copy_context()
        with self._lock:
            if self._closed:
                raise StoreClosedException(message="this client was closed: make another one")
            pid = os.getpid()
            if self._pool is None or self._pool[0] != pid:
                self._pool = (pid, ThreadPoolExecutor(self._count, self._name))
            return self._pool[1].submit(context.run, call)

    async def run(self, call: Callable[[], R]) -> R:
        """What the call returns or raises. The event loop is free meanwhile."""
        return await asyncio.wrap_future(self.submit(call))

    def close(self) -> None:
        """Take no more calls, and wait for those that were taken."""
        with self._lock:
            self._closed = True
            pool = self._pool
        if pool is not None and pool[0] == os.getpid():
            pool[1].shutdown(wait=True)
