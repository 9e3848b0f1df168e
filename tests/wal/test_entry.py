"""The bytes of an entry: golden, whole, and damaged in every single byte."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from walvec.wal.entry import (
    ALIGNMENT,
    CHAINED,
    GENESIS,
    HEADER,
    NO_DIGEST,
    check_payload,
    decode_header,
    digest_of,
    encode_entry,
    payload_of,
    payload_view,
)
from walvec.wal.errors import FormatException, LogCorruptedException
from walvec.wal.events import RowsInserted, decode_body, encode_body

GOLDEN = Path(__file__).parents[1] / "golden"
PREVIOUS = bytes(range(16))
SEQ = 0x0102030405060708
EVENT = RowsInserted(9, 10, 11, 2, None, ((100, "v", "<i8", 0, 16), (101, "v", "<f4", 4, 32)))
PAYLOAD = bytes(range(48))


def rows_entry(previous: bytes = PREVIOUS) -> bytes:
    """An entry with a body and a payload."""
    value, _ = encode_entry(
        previous_chain=previous,
        kind=EVENT.TAG,
        version=EVENT.VERSION,
        more_follows=True,
        seq=SEQ,
        timestamp=1_700_000_000_123_456_789,
        collection=EVENT.collection,
        request=bytes(range(100, 116)),
        body=encode_body(EVENT),
        payload=payload_of([PAYLOAD[:16], PAYLOAD[16:]]),
    )
    return value


@pytest.mark.parametrize("version", [1, 2])
def test_a_golden_entry_with_rows_is_read_as_the_event_of_its_version(version: int) -> None:
    golden = (GOLDEN / f"entry-{version}-with-payload.bin").read_bytes()
    header, body = decode_header(SEQ, golden, PREVIOUS)
    check_payload(header, payload_view(header, golden))
    assert decode_body(header.kind, header.version, header.collection, body) == EVENT
    assert bytes(payload_view(header, golden)) == PAYLOAD
    assert (header.seq, header.more_follows) == (SEQ, True)
    assert header.timestamp == 1_700_000_000_123_456_789
    assert (header.version, header.request) == (version, bytes(range(100, 116)))


def test_the_newest_golden_entry_is_written_again_byte_for_byte() -> None:
    assert rows_entry() == (GOLDEN / "entry-2-with-payload.bin").read_bytes()


def test_the_golden_header_lies_at_the_offsets_of_the_format_table() -> None:
    golden = (GOLDEN / "entry-2-with-payload.bin").read_bytes()
    body_length = struct.unpack_from("<I", golden, 12)[0]
    assert golden[0:4] == b"WVE1"
    assert struct.unpack_from("<BBHHH", golden, 4) == (1, 1, 20, 2, 0)
    assert struct.unpack_from("<QQQ", golden, 16) == (SEQ, 1_700_000_000_123_456_789, 9)
    assert golden[40:56] == bytes(range(100, 116))
    assert struct.unpack_from("<Q", golden, 56) == (48,)
    assert golden[64:80] == digest_of(PAYLOAD)
    assert golden[80:96] == digest_of(PREVIOUS + golden[:80] + golden[96 : 96 + body_length])
    assert golden[-48:] == PAYLOAD
    assert (len(golden) - 48 - 96) % 16 == 0


def test_a_gap_of_zero_bytes_aligns_the_payload_and_no_payload_has_a_zero_digest() -> None:
    for length in range(40):
        body = b"\x91" + bytes(length)
        value, chain = encode_entry(
            previous_chain=GENESIS,
            kind=1,
            version=1,
            more_follows=False,
            seq=1,
            timestamp=0,
            collection=0,
            request=bytes(16),
            body=body,
            payload=None,
        )
        header, found = decode_header(1, value, GENESIS)
        assert found == body
        assert header.chain == chain
        assert header.payload_digest == NO_DIGEST
        assert len(value) % ALIGNMENT == 0
        assert bytes(payload_view(header, value)) == b""


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_damaged_byte_is_detected_and_named_with_seq_offset_and_kind(mask: int) -> None:
    whole = rows_entry()
    body_end = HEADER.size + len(encode_body(EVENT))
    gap_end = len(whole) - len(PAYLOAD)
    for offset in range(len(whole)):
        if body_end <= offset < gap_end:
            continue  # Padding carries nothing.
        damaged = bytearray(whole)
        damaged[offset] ^= mask
        with pytest.raises(LogCorruptedException) as caught:
            header, _ = decode_header(SEQ, bytes(damaged), PREVIOUS)
            check_payload(header, payload_view(header, bytes(damaged)))
        error = caught.value
        assert error.seq == SEQ, offset
        assert error.code == 1001
        assert f"log entry {SEQ} " in error.message
        assert re.search(r"offset \d+:", error.message), error.message
        if offset not in (6, 7):
            assert error.kind == "RowsInserted", f"offset {offset}: {error.message}"
            assert "(RowsInserted)" in error.message
        else:
            assert error.kind, offset


def test_the_offset_named_is_where_it_does_not_match() -> None:
    for offset, named in ((0, 0), (16, 16), (12, 12), (56, 12), (30, CHAINED), (100, CHAINED)):
        damaged = bytearray(rows_entry())
        damaged[offset] ^= 64
        with pytest.raises(LogCorruptedException, match=f"offset {named}:"):
            decode_header(SEQ, bytes(damaged), PREVIOUS)
    damaged = bytearray(rows_entry())
    damaged[-1] ^= 1
    header, _ = decode_header(SEQ, bytes(damaged), PREVIOUS)
    start = len(damaged) - len(PAYLOAD)
    with pytest.raises(LogCorruptedException, match=f"offset {start}: payload"):
        check_payload(header, payload_view(header, bytes(damaged)))


def test_a_cut_entry_is_detected_at_every_length() -> None:
    whole = rows_entry()
    for length in range(len(whole)):
        with pytest.raises(LogCorruptedException) as caught:
            decode_header(SEQ, whole[:length], PREVIOUS)
        assert caught.value.seq == SEQ


def test_an_entry_after_another_chain_is_refused() -> None:
    with pytest.raises(LogCorruptedException, match="chain does not match"):
        decode_header(SEQ, rows_entry(), bytes(16))


def test_an_entry_under_another_key_is_refused() -> None:
    with pytest.raises(LogCorruptedException, match=f"entry says seq {SEQ}"):
        decode_header(7, rows_entry(), PREVIOUS)


@pytest.mark.parametrize(("offset", "value"), [(4, 2), (5, 4), (10, 1)])
def test_a_newer_format_with_a_right_chain_is_not_called_damage(offset: int, value: int) -> None:
    entry = bytearray(rows_entry())
    entry[offset] = value
    body_length = struct.unpack_from("<I", entry, 12)[0]
    covered = bytes(entry[:CHAINED]) + bytes(entry[HEADER.size : HEADER.size + body_length])
    entry[CHAINED : HEADER.size] = digest_of(PREVIOUS + covered)
    with pytest.raises(FormatException, match="newer walvec"):
        decode_header(SEQ, bytes(entry), PREVIOUS)
