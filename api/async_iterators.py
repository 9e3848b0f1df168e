"""What an AsyncMilvusClient hands out to iterate: batches of rows or hits, and changes."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar

from walvec.arguments import check_whole
from walvec.change_calls import MAX_SEQ, Changes
from walvec.changes import Change
from walvec.threads import CallThreads
from walvec.wal.errors import ParamError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
It = TypeVar("It", bound="_Closing")


class Batches(Protocol[T_co]):
    """A query_iterator or search_iterator."""

    def next(self) -> T_co:
        """The next batch, empty at the end."""

    def close(self) -> None:
        """Let go of the rows."""


class _Steps(Generic[T]):
    """Steps, one after the other, each in a thread. One whose task is cancelled is not lost: who
    asks next waits for it and has what it brings."""

    def __init__(self, threads: CallThreads, step: Callable[[], T]) -> None:
        self._threads = threads
        self._step = step
        self._begun: Future[T] | None = None
        self._turn = asyncio.Lock()

    async def next(self) -> T:
        """What the step brings. A cancelled task leaves it to the next one."""
        async with self._turn:
            if self._begun is None:
                self._begun = self._threads.submit(self._step)
            try:
                found = await asyncio.shield(asyncio.wrap_future(self._begun))
            except asyncio.CancelledError:
                raise
            except BaseException:
                self._begun = None
                raise
            self._begun = None
            return found

    async def settle(self) -> None:
        """Wait for a step that a cancelled task has left, and forget it."""
        async with self._turn:
            if self._begun is not None:
                await asyncio.wait([asyncio.wrap_future(self._begun)])
                self._begun = None


class _Closing(ABC):
    """An asynchronous context manager that closes."""

    async def __aenter__(self: It) -> It:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @abstractmethod
    async def close(self) -> None:
        """Let go of what is held. May be called again."""


class AsyncBatches(_Closing, Generic[T]):
    """Batches for coroutines: `async for batch in batches`, or
    `await batches.next()` until it is empty."""

    def __init__(self, threads: CallThreads, iterator: Batches[T]) -> None:
        """Use AsyncMilvusClient.query_iterator or search_iterator."""
        self._iterator = iterator
        self._steps = _Steps(threads, iterator.next)

    async def next(self) -> T:
        """The next batch, empty at the end."""
        return await self._steps.next()

    def __aiter__(self) -> AsyncBatches[T]:
        return self

    async def __anext__(self) -> T:
        batch = await self.next()
        if not batch:
            raise StopAsyncIteration
        return batch

    async def close(self) -> None:
        """Let go of the rows. May be called again."""
        await self._steps.settle()
        self._iterator.close()


class AsyncChanges(_Closing):
    """The changes of a store for coroutines: `async for change in changes`.

    Waiting for the next change has a thread of its own, so that it holds up no call.
    """

    def __init__(self, threads: CallThreads, changes: Changes) -> None:
        """Use AsyncMilvusClient.changes."""
        self._changes = changes
        self._calls = threads
        self._waiting = CallThreads(1, "walvec-changes")
        self._steps = _Steps(self._waiting, self._step)
        self._seq = changes.seq

    @property
    def seq(self) -> int:
        """Up to here everything was delivered, or is not of the collection asked for."""
        return self._seq

    def _step(self) -> tuple[Change | None, int]:
        change = next(self._changes, None)
        return change, self._changes.seq

    def __aiter__(self) -> AsyncChanges:
        return self

    async def __anext__(self) -> Change:
        change, seq = await self._steps.next()
        self._seq = seq
        if change is None:
            raise StopAsyncIteration
        return change

    async def ack(self, seq: int | None = None) -> int:
        """Note durably that all changes up to `seq`, or those delivered so far, were dealt with;
        see Changes.ack. Raises ParamError for changes that were not delivered yet."""
        done = self._seq if seq is None else check_whole("seq", seq, 0, MAX_SEQ)
        if done > self._seq:
            raise ParamError(
                message=f"ack({done}): changes were delivered up to {self._seq}, the ones after "
                "it would be skipped"
            )
        return await self._calls.run(lambda: self._changes.ack(done))

    async def close(self) -> None:
        """End the iteration, whatever task waits in it. May be called again."""
        self._changes.close()
        await asyncio.to_thread(self._waiting.close)
