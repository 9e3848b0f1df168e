"""What is particular about an event, in a few words."""

from __future__ import annotations

from collections.abc import Iterable

from walvec.wal import events
from walvec.wal.schema import DataType, Schema


def detail(event: events.Event) -> str:
    """A line's last column."""
    return _of_rows(event) or _of_catalog(event) or _of_parts(event)


def _of_rows(event: events.Event) -> str:
    match event:
        case events.RowsInserted():
            return f"segment {event.segment:x}"
        case events.SegmentsSealed():
            return f"segment {_hex(event.segments)} by {event.cause}"
        case events.SegmentPersisted():
            return f"segment {event.segment:x}: {', '.join(name for name, *_ in event.files)}"
        case events.SegmentsMerged():
            return f"segments {_hex(event.sources)} are now {event.target:x}"
        case events.RowsExpired():
            return f"rows up to entry {event.until}"
    return ""


def _of_catalog(event: events.Event) -> str:
    match event:
        case events.StoreCreated():
            return f"store {event.store_id.hex()} by walvec {event.walvec_version}"
        case events.DatabaseCreated():
            return ", ".join([event.name, *_set(event.properties)])
        case events.DatabaseDropped():
            return f"database {event.database:x}"
        case events.DatabaseAltered():
            return ", ".join([f"database {event.database:x}", *_changes(event)])
        case events.CollectionCreated():
            names = [f.name for f in Schema.from_data(event.schema).fields]
            return f"fields {', '.join(names)}"
        case events.CollectionRenamed():
            moved = "" if event.database is None else f" in database {event.database:x}"
            return f"now {event.name}{moved}"
        case events.CollectionAltered():
            return ", ".join(_changes(event))
        case events.IndexCreated():
            index = event.index
            return f"{index['name']} on {index['field_name']}: {index['index_type']}"
        case events.IndexAltered():
            return ", ".join([event.index["name"], *_set(event.index["properties"])])
        case events.IndexDropped():
            return event.index_name
    return ""


def _of_parts(event: events.Event) -> str:
    match event:
        case events.FieldAdded() | events.FieldAltered():
            return f"{event.field['name']}: {DataType(event.field['type']).name}"
        case events.AliasSet() | events.AliasDropped():
            return event.alias
        case events.PartitionCreated():
            return f"{event.name} is {event.partition:x}"
        case events.PartitionDropped():
            return f"partition {event.partition:x}"
        case events.PartitionsLoaded() | events.PartitionsReleased():
            return f"partitions {_hex(event.partitions)}"
    return ""


def _changes(event: events.CollectionAltered | events.DatabaseAltered) -> list[str]:
    return [*_set(event.properties), *(f"without {k}" for k in event.dropped)]


def _set(properties: dict[str, str]) -> list[str]:
    return [f"{k}={v}" for k, v in properties.items()]


def _hex(ids: Iterable[int]) -> str:
    return ", ".join(f"{number:x}" for number in ids)
