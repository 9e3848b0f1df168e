"""What can happen: one frozen dataclass an event, each with a fixed tag and a version.

The body of an entry is a msgpack array of the event's fields in order, without the
collection, which stands in the header. A field added later goes to the end, with a default,
and raises VERSION; tags are never used twice.

Rows are not fields of an event: they are the payload of its entry, `layout` says how.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Any

import msgpack

from walvec.wal.catalog_events import (
    AliasDropped,
    AliasSet,
    CollectionAltered,
    CollectionCreated,
    CollectionDropped,
    CollectionLoaded,
    CollectionReleased,
    CollectionRenamed,
    DatabaseAltered,
    DatabaseCreated,
    DatabaseDropped,
    FieldAdded,
    FieldAltered,
    IndexAltered,
    IndexCreated,
    IndexDropped,
    PartitionCreated,
    PartitionDropped,
    PartitionsLoaded,
    PartitionsReleased,
    StoreCreated,
)
from walvec.wal.errors import FormatException
from walvec.wal.event import Event
from walvec.wal.row_events import (
    CollectionTruncated,
    RowsDeleted,
    RowsExpired,
    RowsInserted,
    RowsUpserted,
    SegmentPersisted,
    SegmentsMerged,
    SegmentsSealed,
)

__all__ = [
    "EVENTS",
    "AliasDropped",
    "AliasSet",
    "CollectionAltered",
    "CollectionCreated",
    "CollectionDropped",
    "CollectionLoaded",
    "CollectionReleased",
    "CollectionRenamed",
    "CollectionTruncated",
    "DatabaseAltered",
    "DatabaseCreated",
    "DatabaseDropped",
    "Event",
    "FieldAdded",
    "FieldAltered",
    "IndexAltered",
    "IndexCreated",
    "IndexDropped",
    "PartitionCreated",
    "PartitionDropped",
    "PartitionsLoaded",
    "PartitionsReleased",
    "RowsDeleted",
    "RowsExpired",
    "RowsInserted",
    "RowsUpserted",
    "SegmentPersisted",
    "SegmentsMerged",
    "SegmentsSealed",
    "StoreCreated",
    "decode_body",
    "encode_body",
    "kind_name",
]

MAX_ITEMS = 1 << 20

EVENTS: dict[int, type[Event]] = {
    event.TAG: event
    for event in (
        *(StoreCreated, DatabaseCreated, DatabaseDropped),
        *(DatabaseAltered, CollectionCreated, CollectionDropped),
        *(CollectionRenamed, CollectionAltered, PartitionCreated),
        *(PartitionDropped, AliasSet, AliasDropped),
        *(FieldAdded, FieldAltered, IndexCreated),
        *(IndexDropped, IndexAltered, CollectionLoaded),
        *(CollectionReleased, PartitionsLoaded, PartitionsReleased),
        *(RowsInserted, RowsUpserted, RowsDeleted),
        *(SegmentsSealed, SegmentPersisted, SegmentsMerged),
        *(RowsExpired, CollectionTruncated),
    )
}


def _getter(event: type[Event]) -> Any:
    names = [f.name for f in fields(event)[1:]]
    if not names:
        return lambda _: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda e: (get(e),)


_VALUES = {event: _getter(event) for event in EVENTS.values()}


def kind_name(tag: int) -> str:
    """The event's class name, or "kind 77" for an unknown tag."""
    return EVENTS[tag].__name__ if tag in EVENTS else f"kind {tag}"


def encode_body(event: Event) -> bytes:
    """The msgpack body of an event."""
    body: bytes = msgpack.packb(_VALUES[type(event)](event))
    return body


def decode_body(tag: int, version: int, collection: int, body: bytes) -> Event:
    """The event of an entry. Raises FormatException for what this walvec would not write."""
    kind = EVENTS.get(tag)
    if kind is None or version > kind.VERSION:
        raise FormatException(
            message=f"the log has an event {kind_name(tag)} version {version}, "
            "which this walvec does not know: use a newer walvec"
        )
    try:
        return kind(collection, *_unpack(body))
    except (ValueError, TypeError) as error:
        raise FormatException(
            message=f"the body of an event {kind_name(tag)} cannot be read ({error}), though its "
            "digest is right: use the walvec that wrote it"
        ) from error


def _unpack(body: bytes) -> tuple[Any, ...]:
    values: tuple[Any, ...] = msgpack.unpackb(
        body,
        use_list=False,
        ext_hook=_refuse_extension,
        max_array_len=MAX_ITEMS,
        max_map_len=MAX_ITEMS,
        max_ext_len=0,
    )
    return values


def _refuse_extension(code: int, _data: bytes) -> Any:
    raise ValueError(f"msgpack extension type {code} in an event")
