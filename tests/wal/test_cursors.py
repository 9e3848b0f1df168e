"""Cursors: what is written is read, only forward, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from walvec.wal import cursors
from walvec.wal.creation import create_log
from walvec.wal.cursors import (
    CURSORS,
    VALUE,
    Cursor,
    all_cursors,
    decode_cursor,
    delete_cursor,
    encode_cursor,
    put_cursor,
    read_cursor,
)
from walvec.wal.entry import digest_of
from walvec.wal.errors import FormatException, LogCorruptedException, StoreBrokenException
from walvec.wal.events import StoreCreated
from walvec.wal.log import Log

CREATED = StoreCreated(0, bytes(16), "test")
GOLDEN = bytes.fromhex(
    "57565531010000000700000000000000090000000000000011111111111111111111111111111111"
)
"""Of Cursor("reader", 7, 9) before its digest."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    create_log(tmp_path / "log", CREATED, 5)
    opened = Log(tmp_path / "log")
    yield opened
    opened.close()


def put(log: Log, name: str, seq: int) -> Cursor:
    with log.begin(write=True) as txn:
        return put_cursor(log, txn, name, seq)


def read(log: Log, name: str) -> Cursor | None:
    with log.reading() as txn:
        return read_cursor(log, txn, name)


def overwrite(log: Log, name: str, value: bytes) -> None:
    with log.begin(write=True) as txn:
        txn.put(name.encode(), value, db=log.database(CURSORS))


def test_the_bytes_of_format_one_stay_what_they_are() -> None:
    value = encode_cursor(Cursor("reader", 7, 9), b"\x11" * 16)
    assert value == GOLDEN + digest_of(b"reader" + GOLDEN)
    assert decode_cursor(b"reader", value) == (Cursor("reader", 7, 9), b"\x11" * 16)


def test_a_cursor_is_read_back_after_the_log_was_opened_again(log: Log) -> None:
    assert read(log, "é") is None
    written = put(log, "é", 1)
    log.reopen()
    assert read(log, "é") == written
    assert (written.name, written.seq) == ("é", 1)
    with log.reading() as txn:
        assert all_cursors(log, txn) == [written]


def test_a_cursor_only_moves_forward(log: Log) -> None:
    first = put(log, "a", 1)
    assert put(log, "a", 0) == first
    assert put(log, "a", 1) == first
    assert read(log, "a") == first


def test_a_cursor_may_stand_before_the_first_entry(log: Log) -> None:
    written = put(log, "a", 0)
    assert read(log, "a") == written
    assert put(log, "a", 1).seq == 1


def test_a_deleted_cursor_is_gone_and_others_stay(log: Log) -> None:
    put(log, "a", 1)
    put(log, "b", 1)
    with log.begin(write=True) as txn:
        assert delete_cursor(log, txn, "a")
        assert not delete_cursor(log, txn, "a")
    with log.reading() as txn:
        assert [cursor.name for cursor in all_cursors(log, txn)] == ["b"]


def test_any_byte_that_is_not_what_was_written_is_damage(log: Log) -> None:
    put(log, "a", 1)
    with log.reading() as txn:
        value = bytes(txn.get(b"a", db=log.database(CURSORS)))
    for place in range(VALUE.size):
        changed = bytearray(value)
        changed[place] ^= 1
        with pytest.raises(LogCorruptedException, match="drop_cursor"):
            decode_cursor(b"a", bytes(changed))
    overwrite(log, "a", value[:-1])
    with pytest.raises(LogCorruptedException, match="cursor a does not match"):
        read(log, "a")
    with log.reading() as txn, pytest.raises(LogCorruptedException, match="cursor a"):
        all_cursors(log, txn)
    with pytest.raises(LogCorruptedException, match="cursor a"):
        put(log, "a", 1)
    overwrite(log, "b", value)
    with pytest.raises(LogCorruptedException, match="cursor b"):
        read(log, "b")
    with log.begin(write=True) as txn:
        assert delete_cursor(log, txn, "a")


@pytest.mark.parametrize(("seq", "chain"), [(1, bytes(16)), (2, b"\x11" * 16)])
def test_a_cursor_of_another_log_is_refused(log: Log, seq: int, chain: bytes) -> None:
    overwrite(log, "a", encode_cursor(Cursor("a", seq, 9), chain))
    with pytest.raises(LogCorruptedException, match=f"another log up to entry {seq}"):
        read(log, "a")


def test_a_newer_format_is_named(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursors, "FORMAT", 2)
    value = encode_cursor(Cursor("a", 1, 9), bytes(16))
    monkeypatch.undo()
    with pytest.raises(FormatException, match="format 2"):
        decode_cursor(b"a", value)


def test_a_store_without_the_database_has_no_cursors(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Log, "database", lambda *_: None)
    assert read(log, "a") is None
    with log.reading() as txn:
        assert all_cursors(log, txn) == []
    with log.begin(write=True) as txn:
        assert not delete_cursor(log, txn, "a")
        with pytest.raises(StoreBrokenException):
            put_cursor(log, txn, "a", 1)
