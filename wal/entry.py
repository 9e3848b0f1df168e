"""The bytes of one event in the log.

An entry is the value of the key `seq` (8 bytes, big endian) in the LMDB database `entries`.
Numbers are little endian.

    offset  size  field
         0     4  magic            "WVE1"
         4     1  format           1
         5     1  flags            bit 0: more entries of the same command follow
         6     2  kind             tag of the event
         8     2  version          version of the event's body
        10     2  reserved         0
        12     4  body length      bytes
        16     8  seq              place in the log, from 1, no gaps; equals the key
        24     8  timestamp        ns since 1970 UTC, never decreasing along the log
        32     8  collection       id, 0 where the event concerns none
        40    16  request          id of the command; equal in all entries of one command
        56     8  payload length   bytes, 0 for none
        64    16  payload digest   BLAKE3 of the payload, 16 bytes; zero bytes for none
        80    16  chain            BLAKE3 of (previous chain, header[0:80], body), 16 bytes
        96     -  body             msgpack array, see events.py
         -     -  zero bytes to a multiple of 16
         -     -  payload          column buffers, see rows.py

The previous chain of seq 1 is 16 zero bytes. An entry is valid if and only if magic, format,
flags and reserved are known, seq equals the key, the lengths add up to the length of the
value, the timestamp is not below the previous one, the chain matches, and (where the payload
is read) the payload digest matches. The chain covers the payload by its digest, so the chain
of the last entry pins the whole log.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from blake3 import blake3

from walvec.wal.errors import FormatException, LogCorruptedException
from walvec.wal.events import kind_name

HEADER = struct.Struct("<4sBBHHHIQQQ16sQ16s16s")
CHAINED = 80
MAGIC = b"WVE1"
FORMAT = 1
MORE_FOLLOWS = 1
DIGEST_SIZE = 16
GENESIS = bytes(DIGEST_SIZE)
NO_DIGEST = bytes(DIGEST_SIZE)
ALIGNMENT = 16
MAX_BODY_BYTES = 16 << 20
MAX_PAYLOAD_BYTES = 1 << 30
JOINED_BYTES = 1 << 14
"""Below this, hashing the parts one by one costs more than joining them."""

assert HEADER.size == 96
assert HEADER.size - CHAINED == DIGEST_SIZE


class Header(NamedTuple):
    """The fixed part of an entry."""

    kind: int
    version: int
    more_follows: bool
    seq: int
    timestamp: int
    collection: int
    request: bytes
    body_length: int
    payload_length: int
    payload_digest: bytes
    chain: bytes


class Payload(NamedTuple):
    """Buffers to be written one after the other, hashed before the write lock is taken."""

    buffers: Sequence[Any]
    length: int
    digest: bytes


def payload_of(buffers: Sequence[Any]) -> Payload:
    """A payload of buffers of bytes (len() is their size), kept, or copied where they are small."""
    length = sum(map(len, buffers))
    if length < JOINED_BYTES:
        joined = b"".join(buffers)
        return Payload((joined,), length, digest_of(joined) if length else NO_DIGEST)
    hasher = blake3()
    for buffer in buffers:
        hasher.update(buffer)
    return Payload(buffers, length, hasher.digest(DIGEST_SIZE))


def digest_of(data: Any) -> bytes:
    """BLAKE3 of bytes-like data, 16 bytes."""
    return blake3(data).digest(DIGEST_SIZE)


def encode_entry(
    *,
    previous_chain: bytes,
    kind: int,
    version: int,
    more_follows: bool,
    seq: int,
    timestamp: int,
    collection: int,
    request: bytes,
    body: bytes,
    payload: Payload | None,
) -> tuple[bytes, bytes]:
    """The entry's bytes and its chain."""
    assert len(body) <= MAX_BODY_BYTES, "event body over its limit"
    length, digest = (payload.length, payload.digest) if payload else (0, NO_DIGEST)
    assert length <= MAX_PAYLOAD_BYTES, "payload over its limit"
    flags = MORE_FOLLOWS if more_follows else 0
    fields = (
        *(MAGIC, FORMAT, flags, kind, version, 0, len(body)),
        *(seq, timestamp, collection, request, length, digest),
    )
    header = HEADER.pack(*fields, GENESIS)[:CHAINED]
    chain = blake3(previous_chain + header + body).digest(DIGEST_SIZE)
    if not length:
        return b"".join((header, chain, body, bytes(-len(body) % ALIGNMENT))), chain
    assert payload is not None
    gap = bytes(-len(body) % ALIGNMENT)
    return b"".join((header, chain, body, gap, *payload.buffers)), chain


def decode_header(seq: int, value: Any, previous_chain: bytes | None) -> tuple[Header, bytes]:
    """Header and body of an entry; the payload's bytes are not touched.

    Without `previous_chain` the chain is not checked. Raises LogCorruptedException naming seq,
    offset and what does not match, FormatException where the entry is of a newer format.
    """
    if len(value) < HEADER.size:
        raise _corrupted(seq, 0, f"entry has {len(value)} bytes, a header has {HEADER.size}")
    fields = HEADER.unpack_from(value)
    magic, form, flags, kind, version, reserved, body_length, own_seq = fields[:8]
    timestamp, collection, request, payload_length, payload_digest, chain = fields[8:]
    if magic != MAGIC:
        raise _corrupted(seq, 0, f"magic is {magic!r}", kind)
    if own_seq != seq:
        raise _corrupted(seq, 16, f"entry says seq {own_seq}", kind)
    end = HEADER.size + body_length
    whole = end + -body_length % ALIGNMENT + payload_length
    if whole != len(value):
        what = f"lengths add up to {whole}, the entry has {len(value)} bytes"
        raise _corrupted(seq, 12, what, kind)
    body = bytes(value[HEADER.size : end])
    if previous_chain is not None:
        chained = blake3(previous_chain + bytes(value[:CHAINED]) + body).digest(DIGEST_SIZE)
        if chained != chain:
            raise _corrupted(seq, CHAINED, "chain does not match header and body", kind)
    # Only after the chain: a damaged version byte is damage, not a newer format.
    if form != FORMAT or flags & ~MORE_FOLLOWS or reserved:
        raise FormatException(message=f"entry {seq} has format {form}, flags {flags}: newer walvec")
    header = Header(
        kind,
        version,
        bool(flags & MORE_FOLLOWS),
        own_seq,
        timestamp,
        collection,
        request,
        body_length,
        payload_length,
        payload_digest,
        chain,
    )
    return header, body


def payload_view(header: Header, value: Any) -> memoryview:
    """The payload's bytes in an entry, not copied, not verified."""
    return memoryview(value)[len(value) - header.payload_length :]


def check_payload(header: Header, payload: Any) -> None:
    """Raise LogCorruptedException unless `payload` matches the digest in the header."""
    if header.payload_length and digest_of(payload) != header.payload_digest:
        offset = HEADER.size + header.body_length + -header.body_length % ALIGNMENT
        raise _corrupted(header.seq, offset, "payload does not match its digest", header.kind)


def _corrupted(seq: int, offset: int, what: str, kind: int | None = None) -> LogCorruptedException:
    name = None if kind is None else kind_name(kind)
    return LogCorruptedException(
        message=f"log entry {seq} ({name or 'unknown kind'}), offset {offset}: {what}; "
        "everything before it can be read, nothing was cut: restore the log from a copy",
        seq=seq,
        kind=name,
    )
