"""AsyncMilvusClient: MilvusClient's methods as coroutines, and what cancelling one means."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import pickle
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from walvec import AsyncMilvusClient, DataType, MilvusClient, MilvusException
from walvec.wal.errors import (
    CollectionNotExistException,
    NotSupportedException,
    ParamError,
    StoreClosedException,
)

V = [1.0, 2.0, 3.0, 4.0]
NOT_CALLS = {"info", "write_rows", "database", "folder"}
"""What MilvusClient shows to the rest of walvec."""


def run(
    folder: Path, use: Callable[[AsyncMilvusClient], Coroutine[Any, Any, Any]], **options: Any
) -> Any:
    """What `use` returns, of a client in an event loop of its own, which is closed at the end."""

    async def main() -> Any:
        async with AsyncMilvusClient(folder / "store", **options) as client:
            return await use(client)

    return asyncio.run(main())


async def made(client: AsyncMilvusClient, rows: int = 0) -> None:
    await client.create_collection("c", dimension=4)
    if rows:
        await client.insert("c", [{"id": i, "vector": V, "x": i} for i in range(rows)])


class Gate:
    """Holds up the calls of a thread until it is opened, and tells when the first has come."""

    def __init__(self, client: AsyncMilvusClient) -> None:
        self.come, self.open, self.made = threading.Event(), threading.Event(), 0
        self._pool = client._threads

    def __call__(self) -> int:
        self.come.set()
        assert self.open.wait(30)
        self.made += 1
        return self.made

    def call(self) -> asyncio.Task[int]:
        return asyncio.ensure_future(self._pool.run(self))

    async def until_come(self) -> None:
        await asyncio.to_thread(self.come.wait, 30)


def test_every_method_of_the_client_is_there_with_its_signature() -> None:
    for name in dir(MilvusClient):
        if name.startswith("_") or name in NOT_CALLS:
            continue
        ours, theirs = getattr(AsyncMilvusClient, name), getattr(MilvusClient, name)
        assert list(inspect.signature(ours).parameters) == list(
            inspect.signature(theirs).parameters
        ), name
        assert ours.__doc__, name


def test_all_methods_are_coroutines_but_those_that_are_none_in_pymilvus() -> None:
    plain = {
        name
        for name in vars(AsyncMilvusClient)
        if not name.startswith("_")
        and not inspect.iscoroutinefunction(getattr(AsyncMilvusClient, name))
    }
    assert plain == {
        "create_schema",
        "create_field_schema",
        "prepare_index_params",
        "get_server_type",
    }


def test_a_schema_rows_and_a_search_work_as_with_the_client(tmp_path: Path) -> None:
    async def use(client: AsyncMilvusClient) -> None:
        schema = AsyncMilvusClient.create_schema()
        schema.add_field("pk", DataType.INT64, is_primary=True)
        schema.add_field("v", DataType.FLOAT_VECTOR, dim=4)
        params = client.prepare_index_params("v", index_type="FLAT", metric_type="L2")
        await client.create_collection("c", schema=schema, index_params=params)
        done = await client.insert("c", [{"pk": i, "v": [i, 0, 0, 0]} for i in range(5)])
        assert done["insert_count"] == 5
        hits = await client.search("c", [[3, 0, 0, 0]], limit=2)
        assert hits[0][0].id == 3
        assert await client.query("c", "pk < 2", output_fields=["pk"]) == [{"pk": 0}, {"pk": 1}]

    run(tmp_path, use)
    with MilvusClient(tmp_path / "store") as client:
        assert client.get_collection_stats("c") == {"row_count": 5}


def test_errors_are_those_of_the_client(tmp_path: Path) -> None:
    async def use(client: AsyncMilvusClient) -> None:
        with pytest.raises(CollectionNotExistException):
            await client.query("nope", "id > 0")
        with pytest.raises(ParamError, match="nonsense"):
            await client.list_collections(nonsense=1)  # type: ignore[call-arg]
        with pytest.raises(NotSupportedException):
            await client.list_users()  # type: ignore[attr-defined]
        with pytest.raises(AttributeError):
            client.no_such_method()  # type: ignore[attr-defined]

    run(tmp_path, use)


def test_calls_of_many_tasks_run_at_the_same_time_and_all_count(tmp_path: Path) -> None:
    async def use(client: AsyncMilvusClient) -> None:
        await made(client)
        await asyncio.gather(
            *(client.insert("c", {"id": i, "vector": V}) for i in range(100)),
            *(client.search("c", [V], limit=1) for _ in range(100)),
        )
        assert await client.get_collection_stats("c") == {"row_count": 100}

    run(tmp_path, use)


def test_no_more_threads_than_asked_for(tmp_path: Path) -> None:
    async def use(client: AsyncMilvusClient) -> None:
        await made(client)
        await asyncio.gather(*(client.query("c", "id > 0") for _ in range(50)))
        names = [t.name for t in threading.enumerate() if t.name.startswith("walvec-call")]
        assert 1 <= len(names) <= 2

    run(tmp_path, use, max_workers=2)


def test_the_loop_goes_on_while_a_call_waits(tmp_path: Path) -> None:
    async def use(client: AsyncMilvusClient) -> None:
        gate = Gate(client)
        waiting = gate.call()
        await gate.until_come()
        await made(client)
        assert not waiting.done()
        gate.open.set()
        assert await waiting == 1

    run(tmp_path, use)


def test_a_cancelled_write_that_was_begun_is_durable(tmp_path: Path) -> None:
    async def use(client: AsyncMilvusClient) -> None:
        await made(client)
        begun = threading.Event()
        insert = MilvusClient.insert

        def insert_and_tell(*arguments: Any) -> Any:
            begun.set()
            return insert(client._client(), *arguments)

        task = asyncio.ensure_future(
            client._threads.run(lambda: insert_and_tell("c", {"id": 1, "vector": V}))
        )
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(tmp_path, use)
    with MilvusClient(tmp_path / "store") as client:
        assert client.query("c", "id == 1", output_fields=["id"]) == [{"id": 1}]


def test_a_call_that_is_cancelled_before_it_was_begun_is_not_made(tmp_path: Path) -> None:
    async def use(client: AsyncMilvusClient) -> None:
        await made(client)
        gate = Gate(client)
        waiting = gate.call()
        await gate.until_come()
        insert = asyncio.ensure_future(client.insert("c", {"id": 1, "vector": V}))
        await asyncio.sleep(0)
        insert.cancel()
        with pytest.raises(asyncio.CancelledError):
            await insert
        gate.open.set()
        await waiting
        assert await client.get_collection_stats("c") == {"row_count": 0}

    run(tmp_path, use, max_workers=1)


def test_close_waits_for_what_is_under_way_and_refuses_what_follows(tmp_path: Path) -> None:
    async def main() -> None:
        client = AsyncMilvusClient(tmp_path / "store")
        await made(client)
        gate = Gate(client)
        waiting = gate.call()
        await gate.until_come()
        closing = [asyncio.ensure_future(client.close()) for _ in range(2)]
        insert = asyncio.ensure_future(client.insert("c", {"id": 1, "vector": V}))
        await asyncio.wait([insert], timeout=30)
        assert not any(task.done() for task in closing)
        gate.open.set()
        await asyncio.gather(*closing)
        assert waiting.done() and gate.made == 1
        with pytest.raises(StoreClosedException):
            await client.list_collections()
        await client.close()
        if (error := insert.exception()) is not None:  # it may have come before the closing
            assert isinstance(error, StoreClosedException)

    asyncio.run(main())


def test_a_client_that_was_never_used_opens_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        client = AsyncMilvusClient(tmp_path / "store")
        await client.close()

    asyncio.run(main())
    assert not (tmp_path / "store").exists()


def test_wrong_arguments_are_told_by_the_first_call(tmp_path: Path) -> None:
    async def main() -> None:
        client = AsyncMilvusClient(tmp_path / "store", nonsense=1)
        with pytest.raises(ParamError, match="nonsense"):
            await client.list_collections()
        with pytest.raises(ParamError, match="max_workers"):
            AsyncMilvusClient(tmp_path / "store", max_workers=0)
        await client.close()

    asyncio.run(main())


def test_one_client_serves_several_loops_one_after_the_other_and_at_once(tmp_path: Path) -> None:
    client = AsyncMilvusClient(tmp_path / "store")
    asyncio.run(made(client))
    errors: list[BaseException] = []

    async def insert(first: int) -> None:
        await asyncio.gather(
            *(client.insert("c", {"id": first + i, "vector": V}) for i in range(20))
        )

    def work(first: int) -> None:
        try:
            asyncio.run(insert(first))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert asyncio.run(client.get_collection_stats("c")) == {"row_count": 60}
    asyncio.run(client.close())


def test_calls_see_the_contextvars_of_their_task(tmp_path: Path) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var")

    async def use(client: AsyncMilvusClient) -> None:
        var.set("of the task")
        assert await client._threads.run(var.get) == "of the task"

    run(tmp_path, use)


def test_it_cannot_be_pickled(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="AsyncMilvusClient cannot be pickled"):
        pickle.dumps(AsyncMilvusClient(tmp_path / "store"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_forked_child_goes_on_with_threads_of_its_own(tmp_path: Path) -> None:
    client = AsyncMilvusClient(tmp_path / "store")
    asyncio.run(made(client, rows=1))
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(client.insert("c", {"id": 7, "vector": V}))
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert asyncio.run(client.get_collection_stats("c")) == {"row_count": 2}
    asyncio.run(client.close())


def test_rows_come_in_batches(tmp_path: Path) -> None:
    async def use(client: AsyncMilvusClient) -> None:
        await made(client, rows=10)
        async with await client.query_iterator("c", batch_size=4, output_fields=["id"]) as batches:
            assert [len(batch) async for batch in batches] == [4, 4, 2]
            assert await batches.next() == []
        with pytest.raises(ParamError, match="closed"):
            await batches.next()
        hits = await client.search_iterator("c", [V], batch_size=6)
        assert [len(page) async for page in hits] == [6, 4]
        await hits.close()
        await hits.close()

    run(tmp_path, use)


def test_a_batch_whose_task_was_cancelled_comes_to_the_next(tmp_path: Path) -> None:
    async def use(client: AsyncMilvusClient) -> None:
        await made(client, rows=4)
        batches = await client.query_iterator("c", batch_size=2, output_fields=["id"])
        gate = Gate(client)
        waiting = gate.call()
        await gate.until_come()
        first = asyncio.ensure_future(batches.next())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.open.set()
        await waiting
        found = [[row["id"] for row in batch] async for batch in batches]
        assert found == [[0, 1], [2, 3]]
        await batches.close()

    run(tmp_path, use, max_workers=1)


def test_changes_are_followed_while_calls_go_on(tmp_path: Path) -> None:
    async def use(client: AsyncMilvusClient) -> None:
        await made(client)
        changes = await client.changes(collection="c", cursor="mine", follow=True)
        seen = []

        async def follow() -> None:
            async for change in changes:
                seen.append(type(change).__name__)
                if seen[-1] == "RowsInserted":
                    break

        following = asyncio.ensure_future(follow())
        await client.insert("c", {"id": 1, "vector": V})
        await asyncio.wait_for(following, 30)
        assert await changes.ack() == changes.seq
        await changes.close()

    run(tmp_path, use, max_workers=1)


def test_a_change_that_no_task_got_is_not_acknowledged(tmp_path: Path) -> None:
    async def use(client: AsyncMilvusClient) -> None:
        await made(client)
        last = (await client.insert("c", {"id": 1, "vector": V}))["seq"]
        changes = await client.changes(since=last, collection="c", cursor="mine", follow=True)
        waiting = asyncio.ensure_future(changes.__anext__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        seq = (await client.insert("c", {"id": 2, "vector": V}))["seq"]
        assert await changes.ack() == last
        with pytest.raises(ParamError, match="delivered"):
            await changes.ack(seq)
        change = await asyncio.wait_for(changes.__anext__(), 30)
        assert change.seq == seq and await changes.ack() == seq
        await changes.close()

    run(tmp_path, use)


def test_closing_the_client_ends_what_follows_changes(tmp_path: Path) -> None:
    async def main() -> None:
        client = AsyncMilvusClient(tmp_path / "store")
        await made(client)
        changes = await client.changes(follow=True)

        async def follow() -> None:
            async for _ in changes:
                continue

        following = asyncio.ensure_future(follow())
        await client.insert("c", {"id": 1, "vector": V})
        await client.close()
        with pytest.raises(MilvusException, match="closed"):
            await asyncio.wait_for(following, 30)
        await changes.close()

    asyncio.run(main())
