"""The bytes of a checkpoint, and which of them are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from walvec.wal.checkpoints import (
    HEADER,
    CheckpointUnusable,
    checkpoint_seqs,
    decode_checkpoint,
    encode_checkpoint,
    put_checkpoint,
    read_checkpoint,
    usable_checkpoints,
)
from walvec.wal.creation import create_log
from walvec.wal.entry import digest_of
from walvec.wal.environment import CHECKPOINTS
from walvec.wal.events import CollectionLoaded, StoreCreated
from walvec.wal.log import KEY, Log, Position

GOLDEN = Path(__file__).parents[1] / "golden"
POSITION = Position(258, bytes(range(16)), 2**60 + 1)
BODY = b"a state of the store"


def entries_of(log: Log) -> list[tuple[bytes, bytes]]:
    with log.reading() as txn, txn.cursor(db=log.env.open_db(b"entries", txn)) as cursor:
        return [(bytes(key), bytes(value)) for key, value in cursor]


def add_entries(log: Log, n: int) -> list[Position]:
    """Append entries; the positions of all in the log, from seq 1 on."""
    with log.begin(write=True) as txn:
        position = log.position_at(txn, log.last_seq(txn))
        for _ in range(n):
            position = log.append(
                txn,
                position,
                CollectionLoaded(1),
                None,
                timestamp=position.timestamp + 1,
                request=bytes(16),
                more_follows=False,
            )
    with log.reading() as txn:
        return [log.position_at(txn, seq) for seq in range(1, log.last_seq(txn) + 1)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """A log of one entry."""
    create_log(tmp_path / "log", StoreCreated(0, bytes(16), "x"), 5)
    opened = Log(tmp_path / "log")
    yield opened
    opened.close()


def put(log: Log, position: Position, body: bytes = BODY) -> bool:
    with log.begin(write=True) as txn:
        return put_checkpoint(log, txn, encode_checkpoint(position, body))


def put_raw(log: Log, seq: int, value: bytes) -> None:
    with log.begin(write=True) as txn:
        txn.put(KEY.pack(seq), value, db=log.database(CHECKPOINTS))


def stored(log: Log) -> list[int]:
    with log.reading() as txn:
        return checkpoint_seqs(log, txn)


def newest(log: Log) -> int:
    """The seq of the newest one that may be used, 0 for none."""
    with log.reading() as txn:
        found = next(usable_checkpoints(log, txn), None)
    return found.position.seq if found else 0


# The bytes


def test_a_golden_checkpoint_is_read_and_written_again_byte_for_byte() -> None:
    golden = (GOLDEN / "checkpoint-2.bin").read_bytes()
    assert encode_checkpoint(POSITION, BODY) == golden
    checkpoint, body = decode_checkpoint(258, golden)
    assert checkpoint.position == POSITION
    assert bytes(body) == BODY
    assert checkpoint.body_length == len(BODY)
    assert checkpoint.state_digest == digest_of(BODY)


def test_the_golden_checkpoint_of_an_older_format_is_refused_by_its_number() -> None:
    golden = (GOLDEN / "checkpoint-1.bin").read_bytes()
    with pytest.raises(CheckpointUnusable, match="format 1: of another walvec"):
        decode_checkpoint(258, golden)


def test_the_fields_are_where_the_table_says() -> None:
    value = encode_checkpoint(POSITION, BODY)
    assert value[:4] == b"WVK1"
    assert value[4:8] == b"\2\0\0\0"
    assert int.from_bytes(value[8:16], "little") == 258
    assert int.from_bytes(value[16:24], "little") == 2**60 + 1
    assert int.from_bytes(value[24:32], "little") == len(BODY)
    assert value[32:48] == POSITION.chain
    assert value[48:64] == digest_of(BODY)
    assert value[64:80] == digest_of(value[:64])
    assert value[80:] == BODY


def test_every_changed_byte_of_a_header_is_noticed() -> None:
    whole = encode_checkpoint(POSITION, BODY)
    for place in range(HEADER.size):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        with pytest.raises(CheckpointUnusable):
            decode_checkpoint(258, changed)


def test_every_length_but_its_own_is_refused() -> None:
    whole = encode_checkpoint(POSITION, BODY)
    for value in (whole + b"x", *(whole[:n] for n in range(len(whole)))):
        with pytest.raises(CheckpointUnusable, match=r"has \d+ bytes"):
            decode_checkpoint(258, value)


def with_header(**changes: object) -> bytes:
    """A checkpoint with other header fields and a right header digest."""
    fields = dict(
        zip(
            ["magic", "format", "reserved", "seq", "time", "length"],
            HEADER.unpack(encode_checkpoint(POSITION, BODY)[: HEADER.size])[:6],
            strict=True,
        )
    )
    head = HEADER.pack(*{**fields, **changes}.values(), POSITION.chain, digest_of(BODY), b"")[:64]
    return head + digest_of(head) + BODY


@pytest.mark.parametrize(
    "change", [{"magic": b"WVK2"}, {"format": 1}, {"format": 3}, {"reserved": 1}]
)
def test_another_format_is_not_read(change: dict[str, object]) -> None:
    assert with_header() == encode_checkpoint(POSITION, BODY)
    with pytest.raises(CheckpointUnusable, match="another walvec"):
        decode_checkpoint(258, with_header(**change))


def test_one_under_the_wrong_key_is_refused() -> None:
    with pytest.raises(CheckpointUnusable, match="says seq 258"):
        decode_checkpoint(257, encode_checkpoint(POSITION, BODY))


# In the log


def test_one_that_is_stored_is_found_and_the_entries_are_as_they_were(log: Log) -> None:
    positions = add_entries(log, 3)
    before = entries_of(log)
    assert put(log, positions[-1])
    with log.reading() as txn:
        checkpoint, body = read_checkpoint(log, txn, 4)
        assert (checkpoint.position, bytes(body)) == (positions[-1], BODY)
    assert entries_of(log) == before


def test_the_two_newest_are_kept(log: Log) -> None:
    positions = add_entries(log, 9)
    for seq in (2, 5, 6, 10):
        assert put(log, positions[seq - 1])
    assert stored(log) == [10, 6]
    assert newest(log) == 10


def test_an_older_one_is_not_stored_after_a_newer_one(log: Log) -> None:
    positions = add_entries(log, 5)
    assert put(log, positions[4])
    assert not put(log, positions[2])
    assert put(log, positions[4])
    assert stored(log) == [5]


def test_a_state_of_another_log_is_not_stored(log: Log) -> None:
    positions = add_entries(log, 3)
    assert not put(log, positions[3]._replace(chain=bytes(16)))
    assert not put(log, positions[3]._replace(timestamp=99))
    assert not put(log, positions[3]._replace(seq=5))
    assert not put(log, Position())
    assert stored(log) == []


def test_one_beyond_the_logs_end_is_not_used_and_makes_room(log: Log) -> None:
    positions = add_entries(log, 3)
    put(log, positions[1])
    put_raw(log, 9, encode_checkpoint(Position(9, bytes(16), 1), BODY))
    assert newest(log) == 2
    with log.reading() as txn, pytest.raises(CheckpointUnusable, match="ends before it"):
        read_checkpoint(log, txn, 9)
    assert put(log, positions[3])
    assert stored(log) == [4, 2]


def test_a_damaged_one_is_passed_over_and_replaced(log: Log) -> None:
    positions = add_entries(log, 5)
    put(log, positions[1])
    value = bytearray(encode_checkpoint(positions[3], BODY))
    value[-1] ^= 1
    put_raw(log, 4, bytes(value))
    assert newest(log) == 2
    with log.reading() as txn, pytest.raises(CheckpointUnusable, match="body does not match"):
        read_checkpoint(log, txn, 4)
    assert put(log, positions[3])
    assert newest(log) == 4


def test_one_with_a_damaged_header_does_not_keep_an_older_one_out(log: Log) -> None:
    positions = add_entries(log, 5)
    put(log, positions[1])
    put_raw(log, 5, b"x" * 200)
    assert put(log, positions[3])
    assert stored(log) == [4, 2]


def test_keys_of_another_length_are_no_checkpoints(log: Log) -> None:
    with log.begin(write=True) as txn:
        txn.put(b"what", b"is this", db=log.database(CHECKPOINTS))
    assert stored(log) == []
    assert newest(log) == 0


def test_a_store_without_the_database_has_none(tmp_path: Path, log: Log) -> None:
    add_entries(log, 2)
    log.close()
    with lmdb.open(str(tmp_path / "log"), max_dbs=4) as env:
        database = env.open_db(CHECKPOINTS)
        with env.begin(write=True) as txn:
            txn.drop(database)
    older = Log(tmp_path / "log", read_only=True)
    try:
        assert older.database(CHECKPOINTS) is None
        assert newest(older) == 0
    finally:
        older.close()
