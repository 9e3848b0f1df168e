"""Scalar indexes of sealed segments are files like the others: built in the background, verified,
made again when damaged, put into use, dropped."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from conftest import OpenStore
from damage import FILE_DAMAGES
from lab import ID, TEXT, Table, assert_state_is_replayed, file_records, settle

from walvec.segments import catalog_commands, commands
from walvec.segments.builder import Builder, BuildFailed
from walvec.segments.lookup import Lookup, ScalarIndex
from walvec.segments.store import Store
from walvec.wal.schema import DataType, Field

N = 200
BY_ID = commands.IndexWish(ID, "id", "by_id", "STL_SORT", "", {})
BY_TEXT = commands.IndexWish(TEXT, "t", "by_text", "INVERTED", "", {})


def indexed(store: Store) -> Table:
    """A collection of one sealed segment of N rows, a growing one, and two scalar indexes."""
    table = Table(store)
    table.insert(range(N))
    table.flush()
    store.execute(commands.create_index(table.id, "c", [BY_ID, BY_TEXT]))
    settle(store)
    table.insert([N + 1])
    return table


def scalars(table: Table) -> dict[int, ScalarIndex]:
    """Those of the sealed segment."""
    segments = table.store.view(table.info).segments
    assert all(not s.scalars for s in segments if s.n == 1), "a growing segment is scanned"
    (sealed,) = [s for s in segments if s.n >= N]
    return sealed.scalars


def assert_in_use(table: Table) -> None:
    found = scalars(table)
    assert {field: index.index_type for field, index in found.items()} == {
        ID: "STL_SORT",
        TEXT: "INVERTED",
    }
    assert found[ID].positions(Lookup(ID, "range", (3, 5), (True, False))).tolist() == [3, 4]
    assert found[TEXT].positions(Lookup(TEXT, "in", (b"7/0", b"none"))).tolist() == [7]
    assert {i.id for i in table.info.indexes.values()} >= {x.index_id for x in found.values()}


def test_an_index_made_on_a_loaded_collection_is_built_and_put_into_use(store: Store) -> None:
    table = indexed(store)
    assert sorted(path.name for path in file_records(store)) == [
        "columns.wvc",
        *sorted(f"index-{i.id:x}.bin" for i in table.info.indexes.values() if i.is_scalar),
    ]
    assert_in_use(table)
    assert_state_is_replayed(store)


def test_a_collection_loaded_later_has_its_indexes_at_once(open_store_at: OpenStore) -> None:
    table = indexed(open_store_at())
    table.release()
    table.load()
    assert_in_use(table)
    table.store.close()
    assert_in_use(Table(open_store_at(read_only=True)))


def test_with_mmap_the_index_is_mapped(open_store_at: OpenStore) -> None:
    store = open_store_at()
    table = indexed(store)
    store.execute(catalog_commands.alter_collection(table.id, "c", {"mmap.enabled": "true"}))
    table.release()
    table.load()
    assert_in_use(table)
    name = next(p.name for p in file_records(store) if p.name.startswith("index"))
    assert name in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("damage", FILE_DAMAGES)
def test_a_damaged_index_is_made_again_and_not_used_meanwhile(
    open_store_at: OpenStore, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    store = open_store_at()
    table = indexed(store)
    made = file_records(store)
    (path,) = [p for p in made if p.name == f"index-{table.info.indexes['by_text'].id:x}.bin"]
    store.close()
    FILE_DAMAGES[damage](path)
    with caplog.at_level(logging.WARNING, "walvec"):
        store = open_store_at()
        table = Table(store)
        assert set(scalars(table)) >= {ID}
        settle(store)
    assert_in_use(table)
    assert file_records(store) == made
    assert [r.message for r in caplog.records if "missing or damaged" in r.message]


def test_a_dropped_index_is_gone_at_once_and_its_file_soon(store: Store) -> None:
    table = indexed(store)
    store.execute(commands.drop_index(table.id, "c", "by_text", lambda _: None))
    assert set(scalars(table)) == {ID}
    settle(store)
    assert len(list(store.segments_folder.glob("*/index-*"))) == 1
    again = BY_TEXT._replace(index_type="TRIE")
    store.execute(commands.create_index(table.id, "c", [again]))
    settle(store)
    assert scalars(table)[TEXT].index_type == "TRIE"
    assert_state_is_replayed(store)


def test_a_merged_segment_gets_indexes_of_its_own(open_store_at: OpenStore) -> None:
    store = open_store_at()
    table = indexed(store)
    for start in range(N, 9 * N, N):
        table.insert(range(start, start + N))
        table.flush()
        settle(store)
    segments = store.view(table.info).segments
    assert max(s.n for s in segments) > N, "nothing was merged"
    for segment in segments:
        ids = segment.column(ID).values
        found = segment.scalars[ID].positions(Lookup(ID, "range", (150, 950)))
        assert found.tolist() == np.flatnonzero((ids >= 150) & (ids <= 950)).tolist()
        assert segment.scalars[TEXT].count(Lookup(TEXT, "prefix", (b"",))) == segment.n


def test_a_field_added_later_is_indexed_with_its_default_in_older_segments(store: Store) -> None:
    table = indexed(store)
    field = Field(0, "n", DataType.INT64, nullable=True, default=7)
    store.execute(catalog_commands.add_field(table.id, "c", field))
    number = table.info.schema.by_name["n"].id
    wish = commands.IndexWish(number, "n", "by_n", "INVERTED", "", {})
    store.execute(commands.create_index(table.id, "c", [wish]))
    settle(store)
    assert scalars(table)[number].count(Lookup(number, "in", (7,))) == N


def test_an_index_that_cannot_be_built_is_said_once_and_filters_scan(
    open_store_at: OpenStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise BuildFailed("no memory today")

    monkeypatch.setattr(Builder, "build", fails)
    with caplog.at_level(logging.WARNING, "walvec"):
        table = indexed(open_store_at())
    said = [r.message for r in caplog.records if "by_id" in r.message]
    assert len(said) == 1
    assert "no memory today; without it searches are exact and filters scan" in said[0]
    assert scalars(table) == {}
