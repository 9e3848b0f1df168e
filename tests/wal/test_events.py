"""Events and their bodies: round trips, golden bytes, what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgpack
import pytest

from walvec.wal.errors import FormatException, MilvusException
from walvec.wal.events import (
    EVENTS,
    AliasDropped,
    AliasSet,
    CollectionAltered,
    CollectionCreated,
    CollectionDropped,
    CollectionLoaded,
    CollectionReleased,
    CollectionRenamed,
    CollectionTruncated,
    DatabaseAltered,
    DatabaseCreated,
    DatabaseDropped,
    Event,
    FieldAdded,
    FieldAltered,
    IndexAltered,
    IndexCreated,
    IndexDropped,
    PartitionCreated,
    PartitionDropped,
    PartitionsLoaded,
    PartitionsReleased,
    RowsDeleted,
    RowsExpired,
    RowsInserted,
    RowsUpserted,
    SegmentPersisted,
    SegmentsMerged,
    SegmentsSealed,
    StoreCreated,
    decode_body,
    encode_body,
    kind_name,
)

GOLDEN = Path(__file__).parents[1] / "golden"
LAYOUT = ((100, "v", "<i8", 0, 16), (101, "v", "<f4", 4, 32), (102, "o", "<i8", 0, 24))
SCHEMA = {"fields": [{"id": 100, "name": "id"}], "description": "größe"}
SAMPLES_1: list[Event] = [
    StoreCreated(0, bytes(range(16)), "0.1.0"),
    CollectionCreated(
        1, "books", {**SCHEMA, "fields": ()}, {"_default": 2}, {"a": "b"}, "Strong", 1
    ),
    CollectionDropped(1),
    CollectionRenamed(1, "Bücher"),
    CollectionAltered(1, {"mmap.enabled": "true"}, ("segment.max_bytes",)),
    RowsInserted(1, 2, 3, 2, None, LAYOUT),
    RowsInserted(1, 2, 3, 2, 1 << 62, LAYOUT),
    RowsUpserted(1, 2, 3, 2, None, LAYOUT),
    RowsDeleted(1, 2, ((100, "v", "<i8", 0, 16),)),
    SegmentsSealed(1, (3, 4), "flush"),
    SegmentPersisted(1, 3, (("columns.wvc", 1 << 40, bytes(16)),), {"numpy": "2.0"}),
    SegmentsMerged(1, (3, 4), 5),
    IndexCreated(1, {"id": 6, "name": "i", "params": {"n_trees": 8, "x": 0.5, "y": None}}),
    IndexDropped(1, "i"),
    CollectionLoaded(1),
    CollectionReleased(1),
]
"""As the first walvec wrote them."""
SAMPLES_2: list[Event] = [
    DatabaseCreated(0, 7, "zweite", {"timezone": "UTC"}),
    DatabaseDropped(0, 7),
    DatabaseAltered(0, 7, {"database.max.collections": "3"}, ("timezone",)),
    CollectionCreated(
        1, "books", {**SCHEMA, "fields": ()}, {"_default_0": 2, "_default_1": 3}, {}, "Strong", 1, 7
    ),
    CollectionRenamed(1, "Bücher"),
    CollectionRenamed(1, "Bücher", 0),
    PartitionCreated(1, 4, "neu"),
    PartitionDropped(1, 4),
    AliasSet(1, "Name"),
    AliasDropped(1, "Name"),
    FieldAdded(1, {"id": 103, "name": "f", "default": 1.5, "properties": {"a": "b"}}),
    FieldAltered(1, {"id": 103, "name": "f", "default": None}),
    RowsInserted(1, 2, 3, 2, 1 << 62, LAYOUT),
    RowsUpserted(1, 2, 3, 2, None, LAYOUT, 1 << 40),
    RowsExpired(1, 1 << 40),
    CollectionTruncated(1),
    IndexAltered(1, {"id": 6, "name": "i", "properties": {"mmap.enabled": "true"}}),
    PartitionsLoaded(1, (2, 3)),
    PartitionsReleased(1, (2,)),
]
"""What came or changed since."""
SAMPLES = SAMPLES_1 + SAMPLES_2


def identify(event: Event) -> str:
    return type(event).__name__


@pytest.mark.parametrize("event", SAMPLES, ids=identify)
def test_an_event_comes_back_from_its_body(event: Event) -> None:
    body = encode_body(event)
    assert decode_body(event.TAG, event.VERSION, event.collection, body) == event


def test_every_event_has_a_sample() -> None:
    assert {type(event) for event in SAMPLES} == set(EVENTS.values())


def golden_lines(number: int) -> list[tuple[int, int, str, bytes]]:
    """Tag, version, name and body of each golden event."""
    lines = (GOLDEN / f"event-bodies-{number}.txt").read_text().splitlines()
    parts = [line.split() for line in lines]
    return [
        (int(tag), int(version), name, bytes.fromhex(body)) for tag, version, name, body in parts
    ]


def test_the_golden_bodies_are_read_and_written_again_byte_for_byte() -> None:
    lines = golden_lines(2)
    assert len(lines) == len(SAMPLES_2)
    for (tag, version, name, body), event in zip(lines, SAMPLES_2, strict=True):
        assert (tag, version, name) == (event.TAG, event.VERSION, identify(event))
        assert encode_body(event) == body
        assert decode_body(tag, version, event.collection, body) == event


def test_the_golden_bodies_of_the_first_walvec_are_read_and_no_field_has_moved() -> None:
    lines = golden_lines(1)
    assert len(lines) == len(SAMPLES_1)
    for (tag, version, name, body), event in zip(lines, SAMPLES_1, strict=True):
        assert (tag, name) == (event.TAG, identify(event))
        assert version == 1
        assert decode_body(tag, version, event.collection, body) == event
        written, old = (msgpack.unpackb(b) for b in (encode_body(event), body))
        assert written[: len(old)] == old
        if version == event.VERSION:
            assert written == old


def test_what_the_first_walvec_wrote_is_in_the_default_database() -> None:
    read = [decode_body(tag, version, 1, body) for tag, version, _, body in golden_lines(1)]
    (created,) = (e for e in read if isinstance(e, CollectionCreated))
    (renamed,) = (e for e in read if isinstance(e, CollectionRenamed))
    assert (created.database, renamed.database) == (0, None)


def test_tags_never_change() -> None:
    assert {tag: event.__name__ for tag, event in EVENTS.items()} == {
        1: "StoreCreated",
        2: "CollectionCreated",
        3: "CollectionDropped",
        4: "CollectionRenamed",
        5: "CollectionAltered",
        6: "PartitionCreated",
        7: "PartitionDropped",
        8: "AliasSet",
        9: "AliasDropped",
        10: "DatabaseCreated",
        11: "DatabaseDropped",
        12: "DatabaseAltered",
        13: "FieldAdded",
        14: "FieldAltered",
        20: "RowsInserted",
        21: "RowsUpserted",
        22: "RowsDeleted",
        23: "SegmentsSealed",
        24: "SegmentPersisted",
        25: "SegmentsMerged",
        26: "RowsExpired",
        27: "CollectionTruncated",
        30: "IndexCreated",
        31: "IndexDropped",
        32: "IndexAltered",
        40: "CollectionLoaded",
        41: "CollectionReleased",
        42: "PartitionsLoaded",
        43: "PartitionsReleased",
    }


def test_an_event_cannot_be_changed() -> None:
    for event in SAMPLES:
        with pytest.raises(dataclasses.FrozenInstanceError):
            event.collection = 5  # type: ignore[misc]


def test_only_events_with_rows_have_a_layout() -> None:
    for event in SAMPLES:
        assert isinstance(event, RowsInserted | RowsDeleted) == hasattr(event, "layout")


@pytest.mark.parametrize("tag", [0, 15, 77, 65_535])
def test_an_unknown_event_asks_for_a_newer_walvec(tag: int) -> None:
    with pytest.raises(FormatException, match=f"kind {tag} version 1.*newer walvec"):
        decode_body(tag, 1, 0, b"\x90")
    assert kind_name(tag) == f"kind {tag}"


@pytest.mark.parametrize("event", SAMPLES, ids=identify)
def test_a_newer_version_of_an_event_asks_for_a_newer_walvec(event: Event) -> None:
    with pytest.raises(FormatException, match=f"{identify(event)} version {event.VERSION + 1}"):
        decode_body(event.TAG, event.VERSION + 1, 1, encode_body(event))


@pytest.mark.parametrize(
    "body",
    [
        msgpack.packb([msgpack.ExtType(4, b"")]),
        msgpack.packb([msgpack.ExtType(4, b"abc")]),
        msgpack.packb([msgpack.Timestamp(1, 2)]),
        msgpack.packb(["a", "too", "many", "fields"]),
        msgpack.packb([]),
        msgpack.packb(["x"]) + b"\x00",
        msgpack.packb(["x"])[:-1],
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 2000 + b"\x90",
        b"\x91\xa1\xff",
        b"\x91\x81\x01\x02",
        b"\xc0",
        b"",
    ],
)
def test_a_body_that_no_walvec_writes_is_refused_with_a_typed_error(body: bytes) -> None:
    with pytest.raises(MilvusException, match="CollectionRenamed"):
        decode_body(CollectionRenamed.TAG, 1, 1, body)
