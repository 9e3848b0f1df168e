"""Bytes of the log that changed under it: read-only up to them, named, and nothing cut."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import OpenStore
from damage import forget_checkpoints
from lab import ID, Table, assert_state_is_replayed, rows

from walvec import MilvusClient
from walvec.segments.conflicts import unchanged_until
from walvec.segments.counting import count_rows, visible_rows
from walvec.segments.state import digest
from walvec.segments.store import Store
from walvec.wal.entry import HEADER
from walvec.wal.errors import LogCorruptedException, ReadOnlyException
from walvec.wal.log import KEY, Log


@pytest.fixture
def folder(tmp_path: Path, open_store_at: OpenStore) -> Path:
    """A store of seven entries: created, collection, index, loaded, and three inserts. Without
    a checkpoint, so that all of them are read at an open."""
    store = open_store_at()
    table = Table(store)
    for number in range(3):
        table.insert(range(number * 200, number * 200 + 200))
    assert store.current().seq == 7
    store.close()
    forget_checkpoints(tmp_path / "store")
    return tmp_path / "store"


def place_of(folder: Path, seq: int) -> tuple[int, bytes]:
    """Where in data.mdb an entry lies, and its bytes."""
    log = Log(folder / "log")
    with log.begin() as txn:
        value = bytes(txn.get(KEY.pack(seq), db=log.env.open_db(b"entries", txn, create=False)))
    log.close()
    data = (folder / "log" / "data.mdb").read_bytes()
    assert data.count(value) == 1
    return data.index(value), value


def flip(folder: Path, offset: int) -> str:
    """Change one byte of data.mdb; returns the digest of the damaged file."""
    path = folder / "log" / "data.mdb"
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def file_digest(folder: Path) -> str:
    return hashlib.sha256((folder / "log" / "data.mdb").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("where", "named"),
    [(0, 0), (13, 12), (17, 16), (25, 80), (45, 80), (70, 80), (85, 80), (HEADER.size + 2, 80)],
)
def test_a_damaged_header_or_body_opens_read_only_up_to_it(
    folder: Path, open_store_at: OpenStore, where: int, named: int
) -> None:
    start, _ = place_of(folder, 6)
    damaged = flip(folder, start + where)
    store = open_store_at()
    assert isinstance(store.damage, LogCorruptedException)
    assert (store.damage.seq, store.damage.kind) == (6, "RowsInserted")
    assert f"log entry 6 (RowsInserted), offset {named}:" in store.damage.message
    assert "nothing was cut" in store.damage.message
    assert store.current().seq == 5
    table = Table(store)
    assert sorted(table.texts()) == list(range(200))
    for write in (lambda: table.insert([1]), table.flush, lambda: table.delete([1])):
        with pytest.raises(ReadOnlyException, match="log entry 6"):
            write()
    store.close()
    assert file_digest(folder) == damaged
    reader = open_store_at(read_only=True)
    assert sorted(Table(reader).texts()) == list(range(200))
    reader.close()
    assert file_digest(folder) == damaged


def test_what_is_before_the_damage_has_the_digest_it_always_had(
    folder: Path, open_store_at: OpenStore
) -> None:
    start, _ = place_of(folder, 7)
    store = open_store_at("other")
    store.close()
    flip(folder, start + 30)
    store = open_store_at()
    before = store.with_state(digest)
    store.close()
    flip(folder, start + 30)
    whole = open_store_at()
    assert whole.damage is None
    assert_state_is_replayed(whole)
    assert whole.with_state(digest) != before
    assert sorted(Table(whole).texts()) == list(range(600))


def test_a_damaged_payload_is_named_when_its_rows_are_read(
    folder: Path, open_store_at: OpenStore
) -> None:
    start, value = place_of(folder, 6)
    damaged = flip(folder, start + len(value) - 9)
    store = open_store_at(read_only=True)
    table = Table(store)
    with pytest.raises(LogCorruptedException, match=r"log entry 6 \(RowsInserted\).*payload") as e:
        table.texts()
    assert (e.value.seq, e.value.kind) == (6, "RowsInserted")
    assert "offset" in e.value.message
    store.close()
    assert file_digest(folder) == damaged


def test_a_damaged_delete_is_named_and_no_other_row_dies_for_it(
    folder: Path, open_store_at: OpenStore
) -> None:
    store = open_store_at()
    Table(store).delete([5])
    store.close()
    log = Log(folder / "log")
    with log.begin() as txn:
        entries = log.env.open_db(b"entries", txn, create=False)
        value = bytes(txn.get(KEY.pack(8), db=entries))
    log.close()
    path = folder / "log" / "data.mdb"
    key, other = (number.to_bytes(8, "little") for number in (5, 7))
    damaged = value[: HEADER.size] + value[HEADER.size :].replace(key, other)
    # Older copies of a small entry lie about, as in the test after these.
    path.write_bytes(path.read_bytes().replace(value, damaged))
    store = open_store_at(read_only=True)
    with pytest.raises(LogCorruptedException, match=r"log entry 8 \(RowsDeleted\).*payload") as e:
        Table(store).texts()
    assert (e.value.seq, e.value.kind) == (8, "RowsDeleted")


def test_damaged_flags_before_the_entry_that_is_read_are_damage_not_a_newer_format(
    open_store_at: OpenStore, tmp_path: Path
) -> None:
    store = open_store_at()
    table = Table(store)
    table.insert(range(200))
    table.insert(range(200, 400))
    store.close()
    start, _ = place_of(tmp_path / "store", 5)
    flip(tmp_path / "store", start + 5)  # it is read from the checkpoint after it
    store = open_store_at(read_only=True)
    assert store.damage is None
    with pytest.raises(LogCorruptedException, match=r"log entry 5 \(RowsInserted\)"):
        Table(store).texts()
    with store.log.reading() as txn, pytest.raises(LogCorruptedException, match="log entry 5 "):
        store.log.read(txn, 6)


def test_of_many_damaged_entries_in_a_row_the_first_is_named(
    open_store_at: OpenStore, tmp_path: Path
) -> None:
    store = open_store_at()
    table = Table(store)
    last = 0
    for number in range(1200):
        last = table.insert([number])
    table.flush()
    store.close()
    path = tmp_path / "store" / "log" / "data.mdb"
    # All inserts, by their kind.
    path.write_bytes(re.sub(rb"WVE1(?=..\x14\0)", b"WVE2", path.read_bytes(), flags=re.DOTALL))
    store = open_store_at(read_only=True)
    assert store.damage is None, "it is read from the checkpoint after them"
    with store.log.reading() as txn, pytest.raises(LogCorruptedException, match="magic") as found:
        store.log.read(txn, last)
    assert found.value.seq == 5


@pytest.mark.parametrize("bit", [0, 5])
def test_a_flipped_bit_in_a_key_of_a_row_is_named_where_rows_are_counted_or_compared(
    open_store_at: OpenStore, tmp_path: Path, bit: int
) -> None:
    store = open_store_at()
    table = Table(store)
    table.insert(range(200))
    table.release()
    table.insert(range(200, 400))
    info, since = table.info, 6
    store.close()
    start, value = place_of(tmp_path / "store", 7)
    at = start + value.index(np.arange(200, 400).tobytes()) + 8 * 7
    data = bytearray((tmp_path / "store" / "log" / "data.mdb").read_bytes())
    data[at] ^= 1 << bit
    (tmp_path / "store" / "log" / "data.mdb").write_bytes(data)
    with MilvusClient(tmp_path / "store", read_only=True) as client:
        store = client._store
        assert store.damage is None
        for read in (
            lambda: client.get_collection_stats("c"),
            lambda: unchanged_until(store, info, rows([207]).columns[ID], since),
            lambda: visible_rows(store.log, store.with_state(lambda s: s.collections[info.id])),
        ):
            with pytest.raises(LogCorruptedException, match=r"log entry 7 \(Rows.*payload"):
                read()


def test_what_was_checked_once_is_not_read_whole_again(store: Store) -> None:
    table = Table(store)
    table.insert(range(200))
    table.release()
    assert count_rows(store, table.info) == 200
    assert [seq for seq in range(store.current().seq + 9) if seq in store.log.sound] == [5]
    table.insert(range(200, 300))
    assert count_rows(store, table.info) == 300
    store.log.reopen()  # after an error of the medium nothing is taken on trust
    assert 5 not in store.log.sound


def test_a_damaged_log_is_told_through_the_client_and_can_be_read(folder: Path) -> None:
    start, _ = place_of(folder, 6)
    damaged = flip(folder, start + 40)
    with MilvusClient(folder) as client:
        assert client.get_collection_stats("c") == {"row_count": 200}
        (hits,) = client.search("c", [[7.0] * 4], limit=1)
        assert hits[0]["id"] == 7
        with pytest.raises(ReadOnlyException, match=r"log entry 6 \(RowsInserted\), offset 80"):
            client.delete("c", ids=[1])
    assert file_digest(folder) == damaged


def test_a_command_damaged_in_its_middle_counts_as_not_there_at_all(
    folder: Path, open_store_at: OpenStore
) -> None:
    log = Log(folder / "log")
    with log.reading() as txn:
        entry, _ = log.read(txn, 3)
        value = bytes(txn.get(KEY.pack(3), db=log.env.open_db(b"entries", txn, create=False)))
    log.close()
    assert entry.header.more_follows, "entries 2, 3 and 4 are one command"
    path = folder / "log" / "data.mdb"
    damaged = value[: HEADER.size] + bytes([value[HEADER.size] ^ 1]) + value[HEADER.size + 1 :]
    # LMDB copies a page when it changes: older copies of a small entry lie about.
    path.write_bytes(path.read_bytes().replace(value, damaged))
    store = open_store_at()
    assert isinstance(store.damage, LogCorruptedException)
    assert store.damage.seq == 3
    assert store.current().seq == 1
    assert store.current().names == {}, "not a collection without its index"
