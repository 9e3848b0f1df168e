"""From a folder to a store: made, found again, or refused with a reason."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from conftest import OpenStore, handles_into
from lab import Table, assert_state_is_replayed, open_at, run_child, settle

from walvec.recovery.open import open_store
from walvec.segments.fold import Fold
from walvec.segments.settings import Settings
from walvec.segments.store import Store
from walvec.wal.errors import ParamError, StoreUnusableException


def test_a_new_store_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_at(tmp_path / "store")
        table = Table(store)
        table.insert([1])
        table.flush()
        settle(store)
        store.close()
    finally:
        os.umask(before)
    for path in [tmp_path / "store", *(tmp_path / "store").rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_every_name_on_the_way_to_a_store_is_synced_at_each_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real = os.fsync

    def recording(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    folder = tmp_path / "a" / "b"
    # Again too: who made the names may have been killed before it could sync them.
    for _ in range(2):
        synced.clear()
        open_at(folder).close()
        assert {folder, folder.parent, tmp_path} <= set(synced)


def test_missing_parents_are_made(open_store_at: OpenStore) -> None:
    store = open_store_at("a/b/c")
    assert (store.folder / "log" / "data.mdb").exists()


def test_a_store_has_one_identity_for_ever(open_store_at: OpenStore) -> None:
    ids = []
    for _ in range(2):
        store = open_store_at()
        ids.append(store.with_state(lambda s: s.store_id))
        store.close()
    other = open_store_at("other")
    assert ids[0] == ids[1] != other.with_state(lambda s: s.store_id)


def test_a_file_is_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("hello")
    with pytest.raises(StoreUnusableException, match="is a file"):
        open_at(tmp_path / "store")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "thesis.txt").write_text("mine")
    with pytest.raises(StoreUnusableException, match=r"not a walvec store.*thesis\.txt"):
        open_at(tmp_path / "store")
    assert [p.name for p in (tmp_path / "store").iterdir()] == ["thesis.txt"]


def test_segments_without_a_log_are_not_taken_for_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "store" / "segments" / "4").mkdir(parents=True)
    with pytest.raises(StoreUnusableException, match="the log is the database"):
        open_at(tmp_path / "store")
    assert not (tmp_path / "store" / "log").exists()


def test_reading_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusableException, match="has no log"):
        open_at(tmp_path / "store", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_durability_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamError, match=r"full, last-transaction"):
        open_store(tmp_path / "store", settings=Settings(durability="none"))
    assert list(tmp_path.iterdir()) == []


def test_the_weaker_durability_stores_too(open_store_at: OpenStore) -> None:
    store = open_store_at(durability="last-transaction")
    Table(store).insert([1, 2])
    store.close()
    assert sorted(Table(open_store_at()).texts()) == [1, 2]


def test_a_half_made_log_is_removed(tmp_path: Path, open_store_at: OpenStore) -> None:
    (tmp_path / "store" / "log.tmp").mkdir(parents=True)
    (tmp_path / "store" / "log.tmp" / "data.mdb").write_bytes(b"torn")
    store = open_store_at()
    assert sorted(p.name for p in store.folder.iterdir()) == ["log", "segments", "writer.lock"]


def test_a_store_killed_between_its_log_and_its_segments_folder_makes_files(
    tmp_path: Path, open_store_at: OpenStore
) -> None:
    open_at(tmp_path / "store").close()
    (tmp_path / "store" / "segments").rmdir()
    store = open_store_at()
    table = Table(store)
    table.insert([1])
    table.flush()
    settle(store)
    assert len(list((store.segments_folder).rglob("columns.wvc"))) == 1
    assert stat.S_IMODE(store.segments_folder.stat().st_mode) == 0o700


def test_a_second_writer_and_a_reader_work_beside_the_first(
    tmp_path: Path, open_store_at: OpenStore
) -> None:
    store = open_store_at()
    Table(store).insert([1])
    code = """
import sys
from pathlib import Path
from lab import Table, open_at
folder = Path(sys.argv[1])
writer = open_at(folder)
Table(writer).insert([2])
print(Table(writer).texts())
writer.close()
reader = open_at(folder, read_only=True)
print(Table(reader).texts())
reader.close()
"""
    done = run_child(code, store.folder)
    assert done.stdout.splitlines() == ["{1: '1/0', 2: '2/0'}"] * 2
    assert sorted(Table(store).texts()) == [1, 2]
    Table(store).insert([3])
    assert_state_is_replayed(store)


def test_a_reader_sees_what_a_writer_appends_later(
    tmp_path: Path, open_store_at: OpenStore
) -> None:
    open_store = open_store_at()
    Table(open_store).insert([1])
    open_store.close()
    reader = open_store_at(read_only=True)
    table = Table(reader)
    assert sorted(table.texts()) == [1]
    code = """
import sys
from pathlib import Path
from lab import Table, open_at, settle
store = open_at(Path(sys.argv[1]))
table = Table(store)
table.insert([2, 3])
table.delete([1])
table.flush()
settle(store)
store.close()
"""
    run_child(code, reader.folder)
    assert reader.current().seq > 5
    assert sorted(table.texts()) == [2, 3]


@pytest.mark.parametrize("content", [b"", b"x" * 20_000, None])
def test_a_refused_open_leaves_no_handle_and_no_lock(
    tmp_path: Path, open_store_at: OpenStore, content: bytes | None
) -> None:
    open_store_at().close()
    data = tmp_path / "store" / "log" / "data.mdb"
    whole = data.read_bytes()
    if content is None:
        data.unlink()
    else:
        data.write_bytes(content)
    for _ in range(3):
        with pytest.raises(StoreUnusableException, match=r"data\.mdb"):
            open_at(tmp_path / "store", lock_timeout_s=0)
    assert handles_into(tmp_path) == []
    data.write_bytes(whole)
    open_store_at()


@pytest.mark.parametrize("what", ["segments", "log.tmp"])
def test_a_file_in_the_place_of_a_folder_of_ours_is_no_obstacle(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "store"
    store = open_at(folder)
    Table(store).insert(range(5))
    store.close()
    if what == "segments":
        shutil.rmtree(folder / what)
    (folder / what).touch()
    store = open_at(folder)
    assert sorted(Table(store).texts()) == list(range(5))
    assert store.segments_folder.is_dir()
    store.close()


def test_what_is_committed_while_a_reader_opens_is_seen_by_it(tmp_path: Path) -> None:
    writer = open_at(tmp_path / "store")
    table = Table(writer)
    table.insert([1])
    # The steps of open_store, with a commit between them. One process opens LMDB once.
    fold = Fold()
    seen = writer.log.newest_txnid()
    fold.replay(writer.log)
    table.insert([2])
    reader = Store(writer.folder, writer.log, fold, Settings(), seen)
    assert sorted(Table(reader).texts()) == [1, 2]
    writer.close()
