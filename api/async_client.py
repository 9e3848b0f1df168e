"""AsyncMilvusClient: MilvusClient for coroutines, on threads."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from walvec.arguments import check_whole
from walvec.async_iterators import AsyncBatches, AsyncChanges, Batches
from walvec.change_calls import Changes
from walvec.client import MilvusClient
from walvec.missing import CLIENT_METHODS, missing
from walvec.threads import CallThreads, ProcessLock
from walvec.wal.errors import StoreClosedException

MAX_WORKERS = 1024

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_methods = cast(MilvusClient, MilvusClient)
"""The methods of MilvusClient. To type checkers they are bound, so that what is left are the
arguments that a coroutine takes over."""


def in_thread(
    method: Callable[P, R],
) -> Callable[Concatenate[AsyncMilvusClient, P], Coroutine[Any, Any, R]]:
    """A method of MilvusClient as a coroutine of AsyncMilvusClient: same arguments, same answer,
    same errors."""
    unbound: Callable[..., R] = method

    @functools.wraps(unbound)
    async def call(self: AsyncMilvusClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._threads.run(lambda: unbound(self._client(), *args, **kwargs))

    return call


def in_batches(
    method: Callable[P, Batches[T]],
) -> Callable[Concatenate[AsyncMilvusClient, P], Coroutine[Any, Any, AsyncBatches[T]]]:
    """A method of MilvusClient that answers with an iterator, as a coroutine that answers with
    one to be iterated by `async for`."""
    begin = in_thread(method)

    @functools.wraps(method)
    async def call(self: AsyncMilvusClient, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return AsyncBatches(self._threads, await begin(self, *args, **kwargs))

    return call


class AsyncMilvusClient:
    """MilvusClient with coroutines: `async with AsyncMilvusClient("./mystore") as client`.

    Every call runs in a thread, of `max_workers` at most, so the event loop is never held up.
    Calls of one task are made in its order; those of several tasks share commits. A client may be
    used from several event loops and threads.

    Cancelling a task that awaits a call: a call that no thread has begun is not made. One that
    was begun goes on, and is done wholly or not at all, as always: what it writes is durable
    then, only its answer is lost. Reading tells which it was, and so does `close()`, which waits
    for all calls that are under way. To have the answer in any case, await
    `asyncio.shield(...)`.
    """

    create_schema = staticmethod(MilvusClient.create_schema)
    create_field_schema = staticmethod(MilvusClient.create_field_schema)
    prepare_index_params = staticmethod(MilvusClient.prepare_index_params)

    def __init__(
        self,
        uri: str | os.PathLike[str] | None = None,
        user: str = "",
        password: str = "",
        db_name: str = "",
        token: str = "",
        timeout: float | None = None,
        *,
        max_workers: int = 8,
        **kwargs: Any,
    ) -> None:
        """A client of the store in the folder `uri`, which the first call opens, or `async with`.

        max_workers: calls that run at the same time; more wait. The other arguments are those
        of MilvusClient, which the first call checks. Raises ParamError.
        """
        arguments = (uri, user, password, db_name, token, timeout)
        self._open = functools.partial(MilvusClient, *arguments, **kwargs)
        self._opening = ProcessLock()
        self._opened: MilvusClient | None = None
        self._closed = False
        count = check_whole("max_workers", max_workers, 1, MAX_WORKERS)
        self._threads = CallThreads(count, "walvec-call")

    def _client(self) -> MilvusClient:
        """The client that makes the calls, opened if need be."""
        client = self._opened
        if client is None:
            with self._opening:
                if self._closed:
                    raise StoreClosedException(message="this client was closed: make another one")
                if self._opened is None:
                    self._opened = self._open()
                client = self._opened
        return client

    __reduce__ = MilvusClient.__reduce__

    async def __aenter__(self) -> AsyncMilvusClient:
        await self._threads.run(self._client)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Take no more calls, wait for those under way, and let go of the store. Changes that are
        followed end with StoreClosedException. May be called again."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._threads.close()
        with self._opening:
            self._closed = True
            if self._opened is not None:
                self._opened.close()

    def get_server_type(self) -> str:
        """ "walvec": what pymilvus asks of a server."""
        return "walvec"

    async def changes(
        self,
        since: int = 0,
        collection: str | None = None,
        *,
        follow: bool = False,
        cursor: str | None = None,
        timeout: float | None = None,
    ) -> AsyncChanges:
        """As MilvusClient.changes, to be iterated by `async for`."""

        def begin() -> Changes:
            return self._client().changes(
                since, collection, follow=follow, cursor=cursor, timeout=timeout
            )

        return AsyncChanges(self._threads, await self._threads.run(begin))

    create_alias = in_thread(_methods.create_alias)
    alter_alias = in_thread(_methods.alter_alias)
    drop_alias = in_thread(_methods.drop_alias)
    describe_alias = in_thread(_methods.describe_alias)
    list_aliases = in_thread(_methods.list_aliases)
    list_cursors = in_thread(_methods.list_cursors)
    drop_cursor = in_thread(_methods.drop_cursor)
    get_server_version = in_thread(_methods.get_server_version)
    create_collection = in_thread(_methods.create_collection)
    has_collection = in_thread(_methods.has_collection)
    list_collections = in_thread(_methods.list_collections)
    describe_collection = in_thread(_methods.describe_collection)
    drop_collection = in_thread(_methods.drop_collection)
    rename_collection = in_thread(_methods.rename_collection)
    alter_collection_properties = in_thread(_methods.alter_collection_properties)
    drop_collection_properties = in_thread(_methods.drop_collection_properties)
    create_database = in_thread(_methods.create_database)
    drop_database = in_thread(_methods.drop_database)
    list_databases = in_thread(_methods.list_databases)
    describe_database = in_thread(_methods.describe_database)
    alter_database_properties = in_thread(_methods.alter_database_properties)
    drop_database_properties = in_thread(_methods.drop_database_properties)
    use_database = in_thread(_methods.use_database)
    using_database = in_thread(_methods.using_database)
    explain = in_thread(_methods.explain)
    add_collection_field = in_thread(_methods.add_collection_field)
    alter_collection_field = in_thread(_methods.alter_collection_field)
    create_index = in_thread(_methods.create_index)
    list_indexes = in_thread(_methods.list_indexes)
    describe_index = in_thread(_methods.describe_index)
    drop_index = in_thread(_methods.drop_index)
    alter_index_properties = in_thread(_methods.alter_index_properties)
    drop_index_properties = in_thread(_methods.drop_index_properties)
    load_collection = in_thread(_methods.load_collection)
    refresh_load = in_thread(_methods.refresh_load)
    release_collection = in_thread(_methods.release_collection)
    get_load_state = in_thread(_methods.get_load_state)
    create_partition = in_thread(_methods.create_partition)
    drop_partition = in_thread(_methods.drop_partition)
    has_partition = in_thread(_methods.has_partition)
    list_partitions = in_thread(_methods.list_partitions)
    load_partitions = in_thread(_methods.load_partitions)
    release_partitions = in_thread(_methods.release_partitions)
    get_partition_stats = in_thread(_methods.get_partition_stats)
    get = in_thread(_methods.get)
    query = in_thread(_methods.query)
    search = in_thread(_methods.search)
    hybrid_search = in_thread(_methods.hybrid_search)
    get_collection_stats = in_thread(_methods.get_collection_stats)
    flush = in_thread(_methods.flush)
    flush_all = in_thread(_methods.flush_all)
    get_flush_all_state = in_thread(_methods.get_flush_all_state)
    truncate_collection = in_thread(_methods.truncate_collection)
    list_segments = in_thread(_methods.list_segments)
    list_persistent_segments = in_thread(_methods.list_persistent_segments)
    list_loaded_segments = in_thread(_methods.list_loaded_segments)
    describe_replica = in_thread(_methods.describe_replica)
    compact = in_thread(_methods.compact)
    get_compaction_state = in_thread(_methods.get_compaction_state)
    optimize = in_thread(_methods.optimize)
    wait_for_files = in_thread(_methods.wait_for_files)
    insert = in_thread(_methods.insert)
    upsert = in_thread(_methods.upsert)
    delete = in_thread(_methods.delete)
    query_iterator = in_batches(_methods.query_iterator)
    search_iterator = in_batches(_methods.search_iterator)

    if not TYPE_CHECKING:  # type checkers go on to refuse names that are not there

        def __getattr__(self, name: str) -> Any:
            return missing(self, CLIENT_METHODS, name)
