"""Checkpoints: saved states beside the entries, in the LMDB database `checkpoints`.

The key is the seq of the entry after which the state was (8 bytes, big endian). Numbers in the
value are little endian.

    offset  size  field
         0     4  magic            "WVK1"
         4     2  format           2; 1 had a state without databases, and is not read
         6     2  reserved         0
         8     8  seq              equals the key
        16     8  timestamp        of the entry `seq`
        24     8  body length      bytes
        32    16  chain            of the entry `seq`: pins the log that the state was folded from
        48    16  state digest     BLAKE3 of the body, 16 bytes
        64    16  header digest    BLAKE3 of header[0:64], 16 bytes
        80     -  body             the state, see segments/state.py

A checkpoint may be used if and only if magic, format and reserved are known, seq equals the
key, the length is that of the value, both digests match, and the log has an entry `seq` with
this chain and timestamp. It is a cache: without it the log is replayed from its first entry.
The two newest are kept.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import lmdb

from walvec.wal.entry import DIGEST_SIZE, digest_of
from walvec.wal.environment import CHECKPOINTS
from walvec.wal.errors import FormatException, LogCorruptedException
from walvec.wal.log import KEY, Log, Position

HEADER = struct.Struct("<4sHHQQQ16s16s16s")
COVERED = 64
MAGIC = b"WVK1"
FORMAT = 2
KEPT = 2

assert HEADER.size == 80
assert HEADER.size - COVERED == DIGEST_SIZE


class CheckpointUnusable(Exception):
    """A checkpoint does not match its digests, its key or the log; the message says what."""


class Checkpoint(NamedTuple):
    """What a checkpoint's header says. `state_digest` is that of the state, and of the body."""

    position: Position
    state_digest: bytes
    body_length: int


def encode_checkpoint(position: Position, body: bytes) -> bytes:
    """The value of a checkpoint. Hashes the body."""
    seq, chain, timestamp = position
    fields = (MAGIC, FORMAT, 0, seq, timestamp, len(body), chain, digest_of(body))
    covered = HEADER.pack(*fields, bytes(DIGEST_SIZE))[:COVERED]
    return b"".join((covered, digest_of(covered), body))


def decode_checkpoint(seq: int, value: Any) -> tuple[Checkpoint, memoryview]:
    """Header and body, which is a view of the value. The body's digest is not checked.

    Raises CheckpointUnusable.
    """
    if len(value) < HEADER.size:
        raise CheckpointUnusable(f"it has {len(value)} bytes, a header has {HEADER.size}")
    fields = HEADER.unpack_from(value)
    magic, form, reserved, own_seq, timestamp, length, chain, state_digest, header_digest = fields
    if digest_of(value[:COVERED]) != header_digest:
        raise CheckpointUnusable("its header does not match its digest")
    if magic != MAGIC or form != FORMAT or reserved:
        raise CheckpointUnusable(f"it has format {form}: of another walvec")
    if own_seq != seq:
        raise CheckpointUnusable(f"it says seq {own_seq}")
    if length != len(value) - HEADER.size:
        raise CheckpointUnusable(f"its body has {len(value) - HEADER.size} bytes, not {length}")
    position = Position(seq, chain, timestamp)
    return Checkpoint(position, state_digest, length), memoryview(value)[HEADER.size :]


def checkpoint_seqs(log: Log, txn: lmdb.Transaction) -> list[int]:
    """The seqs of all checkpoints, newest first. Raises CheckpointUnusable for damaged pages."""
    database = log.database(CHECKPOINTS)
    if database is None:  # a store of an older walvec
        return []
    try:
        with txn.cursor(db=database) as cursor:
            keys = [bytes(key) for key in cursor.iternext(values=False)]
    except lmdb.Error as error:
        raise CheckpointUnusable(f"a page of the checkpoints is damaged: {error}") from error
    return [KEY.unpack(key)[0] for key in reversed(keys) if len(key) == KEY.size]


def read_checkpoint(
    log: Log, txn: lmdb.Transaction, seq: int, *, verify_body: bool = True
) -> tuple[Checkpoint, memoryview]:
    """A checkpoint whose header matches the log, and its body, a view that ends with `txn`.

    Raises CheckpointUnusable.
    """
    try:
        value = txn.get(KEY.pack(seq), db=log.database(CHECKPOINTS))
    except lmdb.Error as error:
        raise CheckpointUnusable(f"its page is damaged: {error}") from error
    if value is None:
        raise CheckpointUnusable("it is gone")
    checkpoint, body = decode_checkpoint(seq, value)
    _compare_with_log(log, txn, checkpoint.position)
    if verify_body and digest_of(body) != checkpoint.state_digest:
        raise CheckpointUnusable("its body does not match its digest")
    return checkpoint, body


def _compare_with_log(log: Log, txn: lmdb.Transaction, position: Position) -> None:
    last = log.last_seq(txn)
    if not 0 < position.seq <= last:
        raise CheckpointUnusable(f"the log ends before it, with entry {last}")
    try:
        logged = log.position_at(txn, position.seq)
    except (LogCorruptedException, FormatException) as error:
        raise CheckpointUnusable(error.message) from error
    if logged != position:
        raise CheckpointUnusable(f"its chain or time is not that of log entry {position.seq}")


def usable_checkpoints(
    log: Log, txn: lmdb.Transaction, *, verify_body: bool = True
) -> Iterator[Checkpoint]:
    """The checkpoints that may be used, newest first; the others are passed over."""
    try:
        seqs = checkpoint_seqs(log, txn)
    except CheckpointUnusable:
        return
    for seq in seqs:
        try:
            yield read_checkpoint(log, txn, seq, verify_body=verify_body)[0]
        except CheckpointUnusable:
            continue


def put_checkpoint(log: Log, txn: lmdb.Transaction, value: bytes) -> bool:
    """Store what `encode_checkpoint` gave, in one write transaction, and delete all others but
    the newest before it.

    False, with nothing changed, where a newer one is there, or where the log is not the one
    that the state was folded from.
    """
    position = decode_checkpoint(HEADER.unpack_from(value)[3], value)[0].position
    database = log.database(CHECKPOINTS)
    if database is None:
        return False
    try:
        _compare_with_log(log, txn, position)
        seqs = checkpoint_seqs(log, txn)
    except CheckpointUnusable:
        return False
    usable = [c.position.seq for c in usable_checkpoints(log, txn, verify_body=False)]
    if usable and usable[0] > position.seq:
        return False
    kept = [seq for seq in usable if seq != position.seq][: KEPT - 1]
    for seq in seqs:
        if seq not in kept:
            txn.delete(KEY.pack(seq), db=database)
    txn.put(KEY.pack(position.seq), value, db=database)
    return True
