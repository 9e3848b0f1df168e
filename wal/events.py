"""What can happen: one frozen dataclass an event, each with a fixed tag and a version.

The body of an entry is a msgpack array of the event's fields in order, without the
collection, which stands in the header. A field added later goes to the end, with a default,
and raises VERSION; tags are never used twice. Reserved for events to come: 6 PartitionCreated,
7 PartitionDropped, 8 AliasSet, 9 AliasDropped, 10 DatabaseCreated, 11 DatabaseDropped,
42 PartitionsLoaded, 43 PartitionsReleased.

Rows are not fields of an event: they are the payload of its entry, `layout` says how.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, ClassVar

import msgpack

from walvec.wal.errors import FormatException
from walvec.wal.rows import Layout

MAX_ITEMS = 1 << 20


@dataclass(frozen=True)
class Event:
    """Something that happened. `collection` is 0 where it concerns the store."""

    TAG: ClassVar[int]
    VERSION: ClassVar[int] = 1

    collection: int


@dataclass(frozen=True)
class StoreCreated(Event):
    """The first entry of every log."""

    TAG: ClassVar[int] = 1

    store_id: bytes
    walvec_version: str


@dataclass(frozen=True)
class CollectionCreated(Event):
    """`schema` is Schema.to_data(), `partitions` maps names to ids."""

    TAG: ClassVar[int] = 2

    name: str
    schema: dict[str, Any]
    partitions: dict[str, int]
    properties: dict[str, str]
    consistency_level: str
    num_shards: int


@dataclass(frozen=True)
class CollectionDropped(Event):
    """With all its rows."""

    TAG: ClassVar[int] = 3


@dataclass(frozen=True)
class CollectionRenamed(Event):
    """`name` is the new one."""

    TAG: ClassVar[int] = 4

    name: str


@dataclass(frozen=True)
class CollectionAltered(Event):
    """Properties set (new values) and dropped (keys)."""

    TAG: ClassVar[int] = 5

    properties: dict[str, str]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class RowsInserted(Event):
    """n rows, appended to one segment. `first_id` is the first of n auto ids, None without."""

    TAG: ClassVar[int] = 20

    partition: int
    segment: int
    n: int
    first_id: int | None
    layout: Layout


@dataclass(frozen=True)
class RowsUpserted(RowsInserted):
    """As RowsInserted; the rows of these primary keys before it are gone."""

    TAG: ClassVar[int] = 21


@dataclass(frozen=True)
class RowsDeleted(Event):
    """n primary keys, the only column of the payload."""

    TAG: ClassVar[int] = 22

    n: int
    layout: Layout


@dataclass(frozen=True)
class SegmentsSealed(Event):
    """`cause` is "flush" or "size"."""

    TAG: ClassVar[int] = 23

    segments: tuple[int, ...]
    cause: str


@dataclass(frozen=True)
class SegmentPersisted(Event):
    """Files of a sealed segment: (name, bytes, digest) each, and the versions that built them."""

    TAG: ClassVar[int] = 24

    segment: int
    files: tuple[tuple[str, int, bytes], ...]
    versions: dict[str, str]


@dataclass(frozen=True)
class SegmentsMerged(Event):
    """Sealed segments became one, their rows in the order of `sources`."""

    TAG: ClassVar[int] = 25

    sources: tuple[int, ...]
    target: int


@dataclass(frozen=True)
class IndexCreated(Event):
    """`index` is IndexSpec.to_data(): concrete type, parameters and seed."""

    TAG: ClassVar[int] = 30

    index: dict[str, Any]


@dataclass(frozen=True)
class IndexDropped(Event):
    """With its files in all segments."""

    TAG: ClassVar[int] = 31

    index_name: str


@dataclass(frozen=True)
class CollectionLoaded(Event):
    """From here on its rows are to be in memory, also after the store is opened again."""

    TAG: ClassVar[int] = 40


@dataclass(frozen=True)
class CollectionReleased(Event):
    """Its rows are no longer to be in memory."""

    TAG: ClassVar[int] = 41


EVENTS: dict[int, type[Event]] = {
    event.TAG: event
    for event in (
        *(StoreCreated, CollectionCreated, CollectionDropped, CollectionRenamed),
        *(CollectionAltered, RowsInserted, RowsUpserted, RowsDeleted, SegmentsSealed),
        *(SegmentPersisted, SegmentsMerged, IndexCreated, IndexDropped),
        *(CollectionLoaded, CollectionReleased),
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
