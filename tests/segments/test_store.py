"""The store below the API: what is visible, how many, all or nothing, from many threads."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import OpenStore
from lab import DIM, ID, Table, assert_state_is_replayed, file_maker, rows, settle, state_data

from walvec.segments import catalog_commands, commands
from walvec.segments.batch import batch_of
from walvec.segments.commands import Command, Decision, Draft
from walvec.segments.counting import count_rows
from walvec.segments.state import State
from walvec.segments.store import Store
from walvec.segments.view import View
from walvec.wal import failpoints
from walvec.wal.errors import (
    CollectionNotExistException,
    CollectionNotLoadedException,
    ParamError,
    ReadOnlyException,
    StoreBrokenException,
    StoreClosedException,
)
from walvec.wal.events import CollectionAltered, RowsInserted, SegmentsSealed
from walvec.wal.log import Position

ROW = DIM * 4


def wait_until(holds: Callable[[], bool]) -> None:
    """Until something holds, 20 s at most."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        threading.Event().wait(0.001)


def counts(table: Table) -> int:
    """The count of the loaded view, which must be that of the log."""
    loaded = table.store.view(table.info).row_count()
    table.release()
    table.store.counts.clear()
    assert count_rows(table.store, table.info) == loaded
    table.load()
    assert table.store.view(table.info).row_count() == loaded
    return loaded


def test_rows_are_visible_on_return(store: Store) -> None:
    table = Table(store)
    seq = table.insert([3, 1, 2])
    view = store.view(table.info)
    assert view.seq == store.current().seq == seq
    assert table.texts() == {3: "3/0", 1: "1/0", 2: "2/0"}


def test_the_newest_row_of_a_key_wins_at_once(store: Store) -> None:
    table = Table(store)
    table.insert([1, 2, 3])
    table.insert([2, 4], version=1)
    assert table.texts() == {1: "1/0", 2: "2/1", 3: "3/0", 4: "4/1"}
    table.flush()
    table.insert([1], version=2, upsert=True)
    assert table.texts() == {1: "1/2", 2: "2/1", 3: "3/0", 4: "4/1"}
    assert counts(table) == 4


def test_the_last_row_of_a_key_within_one_insert_wins(store: Store) -> None:
    table = Table(store)
    batch = rows([7, 8, 7, 7])
    batch.columns[102] = type(batch.columns[102]).of_texts(["a", "b", "c", "d"])
    store.execute(commands.insert(table.id, "c", [batch_of(batch)], 1 << 20))
    assert table.texts() == {7: "d", 8: "b"}
    assert counts(table) == 2
    assert table.texts() == {7: "d", 8: "b"}


def test_a_deleted_key_is_gone_until_it_is_inserted_again(store: Store) -> None:
    table = Table(store)
    table.insert(range(6))
    table.flush()
    table.insert(range(6, 10))
    table.delete([2, 8, 77, 2])
    assert sorted(table.texts()) == [0, 1, 3, 4, 5, 6, 7, 9]
    table.insert([2], version=1)
    assert table.texts()[2] == "2/1"
    assert counts(table) == 9


def test_a_view_does_not_change_under_its_reader(store: Store) -> None:
    table = Table(store)
    table.insert(range(300))
    view = store.view(table.info)
    table.insert(range(100, 900), version=1)
    table.delete([5, 250])
    table.flush()
    assert (view.row_count(), store.view(table.info).row_count()) == (300, 898)
    assert [pk for pk in range(310) if view.find(pk) is not None] == list(range(300))
    (segment,) = view.segments
    assert segment.alive() is None or bool(segment.alive().all())  # type: ignore[union-attr]
    assert segment.column(ID).values.tolist() == list(range(300))


def test_counts_are_exact_loaded_and_not_loaded(store: Store) -> None:
    seed = 20
    print(f"seed {seed}")
    rng = random.Random(seed)
    table = Table(store)
    model: set[int] = set()
    for _ in range(35):
        keys = [rng.randrange(40) for _ in range(rng.randrange(1, 6))]
        if rng.random() < 0.3:
            table.delete(keys)
            model -= set(keys)
        else:
            table.insert(keys)
            model |= set(keys)
        if rng.random() < 0.2:
            table.flush()
        assert counts(table) == len(model)
    settle(store)
    assert counts(table) == len(model)
    assert_state_is_replayed(store)


def test_the_insert_that_reaches_the_limit_seals_its_segment_in_the_same_transaction(
    open_store_at: OpenStore,
) -> None:
    store = open_store_at(segment_max_bytes=10 * ROW)
    table = Table(store)
    table.insert(range(9))
    assert [s["sealed"] for s in state_data(store)["collections"][0]["segments"]] == [0]
    seq = table.insert([9])
    file_maker(store).close()
    (segment,) = state_data(store)["collections"][0]["segments"]
    assert (segment["sealed"], segment["rows"]) == (seq, 10)
    entries = {e.header.seq: e for e in store.log.scan(Position())}
    assert isinstance(entries[seq - 1].event, RowsInserted)
    assert entries[seq].event == SegmentsSealed(table.id, (segment["id"],), "size")
    assert entries[seq].header.request == entries[seq - 1].header.request
    assert entries[seq - 1].header.more_follows
    assert not entries[seq].header.more_follows
    table.insert([10])
    assert len(state_data(store)["collections"][0]["segments"]) == 2


def half(table: Table) -> Command:
    """A command whose third event is refused after two were appended."""

    def decide(state: State) -> Decision:
        insert = commands.insert(table.id, table.name, [batch_of(rows([500]))], 1 << 20)
        good = insert(state).drafts
        sealed = state.collections[table.id].segments
        wrong = SegmentsSealed(table.id, (min(sealed),), "flush")
        return Decision([*good, Draft(CollectionAltered(table.id, {"a": "1"}, ())), Draft(wrong)])

    return decide


def test_a_command_that_fails_half_way_leaves_nothing(store: Store) -> None:
    table = Table(store)
    table.insert(range(5))
    table.flush()
    settle(store)
    before = state_data(store)
    with pytest.raises(ParamError, match="does not grow"):
        store.execute(half(table))
    assert state_data(store) == before
    assert_state_is_replayed(store)
    assert sorted(table.texts()) == list(range(5))
    table.insert([5])
    assert sorted(table.texts()) == list(range(6))


def test_a_command_that_fails_half_way_does_not_harm_those_of_its_group(store: Store) -> None:
    table = Table(store)
    table.insert([1000])
    table.flush()
    settle(store)
    started = threading.Barrier(17)

    def insert(number: int) -> object:
        started.wait(30)
        return table.insert([number])

    def fail(_: int) -> None:
        started.wait(30)
        with pytest.raises(ParamError):
            store.execute(half(table))

    with ThreadPoolExecutor(17) as threads:
        futures = [threads.submit(insert if n % 4 else fail, n) for n in range(17)]
        for future in futures:
            future.result(60)
    assert sorted(table.texts()) == [n for n in range(17) if n % 4] + [1000]
    assert_state_is_replayed(store)


def test_two_threads_that_write_and_two_that_read_see_whole_batches(store: Store) -> None:
    table = Table(store)
    batches, size = 40, 5
    done = threading.Event()

    def write(worker: int) -> None:
        for number in range(batches):
            first = (worker * batches + number) * size
            table.insert(range(first, first + size))
            if number % 10 == 9:
                table.flush()

    def read() -> int:
        looks = 0
        while not done.is_set() or not looks:
            view: View = store.view(table.info)
            keys = [k for s in view.segments for k in s.column(ID).values.tolist()]
            assert view.row_count() == len(keys) == len(set(keys))
            whole = {k // size for k in keys}
            assert len(keys) == size * len(whole)
            looks += 1
        return looks

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(read) for _ in range(2)]
        for writer in [threads.submit(write, w) for w in range(2)]:
            writer.result(60)
        done.set()
        assert all(r.result(60) for r in readers)
    assert sorted(table.texts()) == list(range(2 * batches * size))
    assert_state_is_replayed(store)


def test_many_threads_share_transactions(store: Store) -> None:
    table = Table(store)
    settle(store)
    before = store.log.newest_txnid()
    workers, each = 16, 20

    def write(worker: int) -> None:
        for number in range(each):
            table.insert([worker * each + number])

    with ThreadPoolExecutor(workers) as threads:
        for future in [threads.submit(write, w) for w in range(workers)]:
            future.result(60)
    transactions = store.log.newest_txnid() - before
    assert transactions < workers * each // 2
    assert sorted(table.texts()) == list(range(workers * each))


def test_a_collection_that_is_not_loaded_has_no_view(store: Store) -> None:
    table = Table(store, load=False)
    table.insert([1])
    with pytest.raises(CollectionNotLoadedException, match="load_collection"):
        store.view(table.info)
    table.load()
    assert table.texts() == {1: "1/0"}
    table.release()
    with pytest.raises(CollectionNotLoadedException):
        store.view(table.info)


def test_a_dropped_collection_is_unknown_and_its_name_is_free(store: Store) -> None:
    table = Table(store)
    table.insert([1])
    info = table.info
    store.execute(catalog_commands.drop_collection(table.id, "c"))
    for call in (lambda: store.info("c"), lambda: store.view(info), lambda: table.insert([2])):
        with pytest.raises(CollectionNotExistException):
            call()
    again = Table(store)
    assert (again.id != info.id, again.texts()) == (True, {})


def test_a_reopened_store_is_as_it_was(open_store_at: OpenStore) -> None:
    store = open_store_at()
    table = Table(store)
    table.insert(range(50))
    table.flush()
    table.insert(range(40, 60), version=1)
    table.delete([3, 55])
    Table(store, "released", load=False).insert([1])
    settle(store)
    data, texts = state_data(store), table.texts()
    store.close()
    again = open_store_at()
    assert state_data(again) == data
    assert Table(again).texts() == texts
    assert not again.info("released").loaded
    assert_state_is_replayed(again)


def test_a_closed_store_says_so(open_store_at: OpenStore) -> None:
    store = open_store_at()
    table = Table(store)
    info = table.info
    store.close()
    store.close()
    for call in (store.current, lambda: table.insert([1]), lambda: store.info("c")):
        with pytest.raises(StoreClosedException, match="open it again"):
            call()
    with pytest.raises((StoreClosedException, CollectionNotLoadedException)):
        store.view(info)


def test_a_store_opened_for_reading_reads_and_refuses_to_write(open_store_at: OpenStore) -> None:
    store = open_store_at()
    table = Table(store)
    table.insert([1, 2])
    store.close()
    reader = open_store_at(read_only=True)
    assert sorted(Table(reader).texts()) == [1, 2]
    with pytest.raises(ReadOnlyException, match="opened read-only"):
        Table(reader).insert([3])


def test_an_error_after_the_commit_leaves_a_handle_that_says_reopen(
    open_store_at: OpenStore,
) -> None:
    store = open_store_at()
    table = Table(store)
    with (
        failpoints.arm("publish.after"),
        pytest.raises(StoreBrokenException, match="open it again"),
    ):
        table.insert([1])
    with pytest.raises(StoreBrokenException):
        table.insert([2])
    store.close()
    assert Table(open_store_at()).texts() == {1: "1/0"}


def test_vectors_come_back_bit_for_bit(store: Store) -> None:
    rng = np.random.default_rng(4)
    table = Table(store)
    batch = rows(range(100))
    vectors = rng.standard_normal((100, DIM)).astype(np.float32)
    batch.columns[101] = type(batch.columns[101])(vectors)
    store.execute(commands.insert(table.id, "c", [batch_of(batch)], 1 << 20))
    for _ in range(2):
        (segment,) = store.view(table.info).segments
        assert segment.column(101).values.tobytes() == vectors.tobytes()
        table.flush()
        settle(store)
        table.release()
        table.load()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_writer_lock_that_is_gone_is_made_again(store: Store, replaced: bool) -> None:
    table = Table(store)
    table.insert([1])
    path = store.folder / "writer.lock"
    path.unlink()
    if replaced:
        path.touch(mode=0o600)
    table.insert([2])
    assert sorted(table.texts()) == [1, 2]
    assert f'"pid": {os.getpid()}' in path.read_text()


def test_a_write_that_comes_after_close_opens_nothing_again(open_store_at: OpenStore) -> None:
    store = open_store_at()
    table = Table(store)
    lock = store._writer_lock
    assert lock is not None
    with lock.held(), ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(table.insert, [1])
        wait_until(lambda: bool(store._commits._queue))
        closing = threads.submit(store.close)
        wait_until(lambda: store._closed)
        lock.leave()
        closing.result(20)
        with pytest.raises(StoreClosedException):
            waiting.result(20)
