"""Files of sealed segments are caches: made in the background, and again if they are damaged."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import OpenStore
from damage import FILE_DAMAGES
from lab import (
    DIM,
    VECTOR,
    Table,
    annoy_wish,
    assert_state_is_replayed,
    file_records,
    rows,
    settle,
    state_data,
)

from walvec.segments import catalog_commands, commands
from walvec.segments.batch import batch_of
from walvec.segments.builder import Builder, BuildFailed
from walvec.segments.files import is_intact
from walvec.segments.search import Plan, search
from walvec.segments.store import Store

N = 300


def filled(store: Store) -> Table:
    """A collection of one sealed segment with its columns and an Annoy index, and a growing one."""
    table = Table(store, wish=annoy_wish())
    rng = np.random.default_rng(3)
    batch = rows(range(N))
    batch.columns[VECTOR] = type(batch.columns[VECTOR])(
        rng.standard_normal((N, DIM)).astype(np.float32)
    )
    store.execute(commands.insert(table.id, "c", [batch_of(batch)], 1 << 20))
    table.flush()
    settle(store)
    table.insert([N + 1])
    return table


def assert_exact(table: Table) -> None:
    """A search gives what numpy gives."""
    view = table.store.view(table.info)
    (segment,) = [s for s in view.segments if s.n == N]
    vectors = segment.column(VECTOR).values
    query = np.full((1, DIM), 0.3, np.float32)
    plan = Plan(table.info.schema.vectors[0], "L2", None, {}, 10, None)
    (found,) = search(view, plan, query)
    near = [row for place, row in found.places if place.n == N]
    order = np.argsort(((vectors - query) ** 2).sum(1), kind="stable")[:10]
    assert near == order.tolist()


def test_a_sealed_segment_gets_its_columns_and_its_index(store: Store) -> None:
    table = filled(store)
    made = file_records(store)
    assert sorted(path.name for path in made) == ["columns.wvc", "index-3.bin"]
    assert all(is_intact(path, record) for path, record in made.items())
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in made)
    assert all(path.parent.stat().st_mode & 0o777 == 0o700 for path in made)
    (segment,) = [s for s in store.view(table.info).segments if s.n == N]
    assert list(segment.indexes) == [3]
    assert_exact(table)
    assert_state_is_replayed(store)


@pytest.mark.parametrize("name", ["columns.wvc", "index-3.bin"])
@pytest.mark.parametrize("damage", FILE_DAMAGES)
def test_a_damaged_file_is_made_again_with_one_warning(
    open_store_at: OpenStore, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    store = open_store_at()
    table = filled(store)
    texts, made = table.texts(), file_records(store)
    store.close()
    (path,) = [p for p in made if p.name == name]
    FILE_DAMAGES[damage](path)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "walvec"):
        store = open_store_at()
        table = Table(store)
        assert table.texts() == texts
        assert_exact(table)
        settle(store)
        table.release()
        table.load()
        settle(store)
    (warning,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert f"file {name} of segment {path.parent.name} is missing or damaged" in warning.message
    assert table.texts() == texts
    assert_exact(table)
    assert file_records(store) == made
    assert all(is_intact(p, record) for p, record in made.items())
    (segment,) = [s for s in store.view(table.info).segments if s.n == N]
    assert list(segment.indexes) == [3]
    assert_state_is_replayed(store)


def test_all_files_may_be_deleted(open_store_at: OpenStore) -> None:
    store = open_store_at()
    table = filled(store)
    texts, made = table.texts(), file_records(store)
    store.close()
    shutil.rmtree(store.segments_folder)
    store = open_store_at()
    table = Table(store)
    assert table.texts() == texts
    settle(store)
    assert all(is_intact(p, record) for p, record in made.items())


def test_the_folder_of_all_files_may_be_deleted_while_the_store_is_open(store: Store) -> None:
    table = filled(store)
    shutil.rmtree(store.segments_folder)
    table.insert([900])
    table.flush()
    settle(store)
    (segment,) = [s for s in state_data(store)["collections"][0]["segments"] if s["rows"] == 2]
    assert sorted(segment["files"]) == ["columns.wvc", "index-3.bin"]


def test_half_made_and_unknown_files_and_folders_are_removed_at_open(
    open_store_at: OpenStore,
) -> None:
    store = open_store_at()
    filled(store)
    made = file_records(store)
    store.close()
    (folder,) = {path.parent for path in made}
    (folder / "columns.wvc.tmp").write_bytes(b"half")
    (folder / "index-3.bin.77.draft").write_bytes(b"half")
    (folder / "index-99.bin").write_bytes(b"of a dropped index")
    (store.segments_folder / "ff").mkdir()
    (store.segments_folder / "ff" / "columns.wvc").write_bytes(b"of a dropped segment")
    store = open_store_at()
    settle(store)
    assert {p for p in store.segments_folder.rglob("*") if p.is_file()} == set(made)
    assert list(store.segments_folder.iterdir()) == [folder]


def test_files_of_a_dropped_index_and_a_dropped_collection_are_removed(store: Store) -> None:
    table = filled(store)
    store.execute(commands.drop_index(table.id, "c", "annoy", lambda _: None))
    settle(store)
    assert [p.name for p in store.segments_folder.rglob("*.*")] == ["columns.wvc"]
    store.execute(catalog_commands.drop_collection(table.id, "c"))
    settle(store)
    assert list(store.segments_folder.iterdir()) == []


def test_a_builder_that_is_killed_is_replaced(store: Store) -> None:
    table = filled(store)
    children = psutil.Process().children()
    assert children
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
    table.insert(range(1000, 1200))
    table.flush()
    settle(store)
    table.flush()
    settle(store)
    for segment in state_data(store)["collections"][0]["segments"]:
        assert sorted(segment["files"]) == ["columns.wvc", "index-3.bin"]


def test_an_index_that_cannot_be_built_is_said_once_for_all_segments_and_searches_are_exact(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def without_the_library(*_: object) -> None:
        raise BuildFailed("No module named 'annoy'")

    monkeypatch.setattr(Builder, "build", without_the_library)
    table = filled(store)
    for pk in range(N + 2, N + 5):
        table.insert([pk])
        table.flush()
        settle(store)
    said = [r.getMessage() for r in caplog.records if "cannot be built" in r.getMessage()]
    assert len(said) == 1
    assert "No module named 'annoy'; without it searches are exact" in said[0]
    assert_exact(table)


def test_a_store_opened_for_reading_makes_and_removes_nothing(open_store_at: OpenStore) -> None:
    store = open_store_at()
    texts = filled(store).texts()
    store.close()
    for path in files_on_disk(store):
        if path.name == "columns.wvc":
            path.unlink()
    (store.segments_folder / "ff").mkdir()
    before = files_on_disk(store)
    reader = open_store_at(read_only=True)
    assert Table(reader).texts() == texts
    reader.close()
    assert files_on_disk(store) == before
    assert (store.segments_folder / "ff").is_dir()


def files_on_disk(store: Store) -> set[Path]:
    return {p for p in store.segments_folder.rglob("*") if p.is_file()}
