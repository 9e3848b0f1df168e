"""From entries of the log to the changes that users get."""

from __future__ import annotations

from typing import Any, NamedTuple

from walvec import changes
from walvec.schema import field_descriptions
from walvec.segments.commands import IMPLICIT_INDEX
from walvec.segments.feed import Scene
from walvec.segments.index import IndexSpec
from walvec.segments.log_rows import read_rows
from walvec.segments.pk_index import pk_values
from walvec.segments.state import Collection
from walvec.wal import events
from walvec.wal.log import Log
from walvec.wal.schema import Field, Schema


class Place(NamedTuple):
    """What all changes have, see Change."""

    seq: int
    timestamp: int
    collection: str | None
    collection_id: int | None
    database: str | None


def change_of(log: Log, scene: Scene) -> changes.Change:
    """The change that an entry is. Raises LogCorruptedException where its payload is damaged."""
    header, event = scene.entry
    number = header.collection or None
    place = Place(header.seq, header.timestamp, scene.name, number, scene.database)
    if isinstance(event, events.StoreCreated):
        return changes.StoreCreated(*place, event.store_id.hex(), event.walvec_version)
    if isinstance(event, events.DatabaseCreated):
        return changes.DatabaseCreated(*place, dict(event.properties))
    if isinstance(event, events.DatabaseDropped):
        return changes.DatabaseDropped(*place)
    if isinstance(event, events.DatabaseAltered):
        return changes.DatabaseAltered(*place, dict(event.properties), tuple(event.dropped))
    collection = scene.collection
    assert collection is not None, f"the fold has accepted entry {header.seq} without a collection"
    if isinstance(event, events.RowsInserted | events.RowsDeleted):
        return _rows(log, place, event, collection)
    told = _segments(place, event, collection) or _parts(place, event, scene)
    return told or _collection(place, event, scene)


def _rows(log: Log, place: Place, event: events.Event, collection: Collection) -> changes.Change:
    # Copied out in a transaction of its own, which ends before the user's code goes on.
    with log.reading() as txn:
        rows = read_rows(log, txn, place.seq, collection.schema)
        pks = pk_values(rows.columns[collection.schema.primary.id])
        del rows
    if not isinstance(event, events.RowsInserted):
        return changes.RowsDeleted(*place, pks)
    names = {number: name for name, number in collection.partitions.items()}
    upserted = isinstance(event, events.RowsUpserted)
    kind = changes.RowsUpserted if upserted else changes.RowsInserted
    return kind(*place, pks, names[event.partition])


def _segments(place: Place, event: events.Event, collection: Collection) -> changes.Change | None:
    segments = collection.segments
    match event:
        case events.SegmentsSealed():
            rows = tuple(segments[number].rows for number in event.segments)
            return changes.SegmentsSealed(*place, tuple(event.segments), rows, event.cause)
        case events.SegmentPersisted():
            files = {name: size for name, size, _ in event.files}
            return changes.SegmentPersisted(*place, event.segment, files)
        case events.SegmentsMerged():
            rows_merged = segments[event.target].rows
            return changes.SegmentsMerged(*place, tuple(event.sources), event.target, rows_merged)
    return None


def _parts(place: Place, event: events.Event, scene: Scene) -> changes.Change | None:
    """Fields, partitions, aliases, and rows that are gone."""
    match event:
        case events.FieldAdded():
            return changes.FieldAdded(*place, _field(event.field))
        case events.FieldAltered():
            return changes.FieldAltered(*place, _field(event.field))
        case events.AliasSet():
            return changes.AliasSet(*place, event.alias)
        case events.AliasDropped():
            return changes.AliasDropped(*place, event.alias)
        case events.PartitionCreated():
            return changes.PartitionCreated(*place, event.name)
        case events.PartitionDropped():
            return changes.PartitionDropped(*place, scene.partitions[event.partition])
        case events.PartitionsLoaded():
            names = tuple(scene.partitions[number] for number in event.partitions)
            return changes.PartitionsLoaded(*place, names)
        case events.PartitionsReleased():
            names = tuple(scene.partitions[number] for number in event.partitions)
            return changes.PartitionsReleased(*place, names)
        case events.RowsExpired():
            return changes.RowsExpired(*place, event.until)
        case events.CollectionTruncated():
            return changes.CollectionTruncated(*place)
    return None


def _field(data: dict[str, Any]) -> dict[str, Any]:
    field = Field.from_data(data)
    if field.is_dynamic:
        return {"field_id": field.id, "name": field.name, "type": field.type, "is_dynamic": True}
    return field_descriptions(Schema((field,)))[0]


def _collection(place: Place, event: events.Event, scene: Scene) -> changes.Change:
    match event:
        case events.CollectionCreated():
            schema = _schema(Schema.from_data(event.schema))
            properties = dict(event.properties)
            level = event.consistency_level
            return changes.CollectionCreated(*place, schema, properties, level)
        case events.CollectionDropped():
            return changes.CollectionDropped(*place)
        case events.CollectionRenamed():
            assert scene.moved_to is not None, "a renamed collection is in some database"
            return changes.CollectionRenamed(*place, event.name, scene.moved_to)
        case events.CollectionAltered():
            dropped = tuple(event.dropped)
            return changes.CollectionAltered(*place, dict(event.properties), dropped)
        case events.CollectionLoaded():
            return changes.CollectionLoaded(*place)
        case events.CollectionReleased():
            return changes.CollectionReleased(*place)
        case events.IndexCreated():
            return _index(place, IndexSpec.from_data(event.index))
        case events.IndexAltered():
            index = IndexSpec.from_data(event.index)
            return changes.IndexAltered(*place, index.name, dict(index.properties))
        case events.IndexDropped():
            return changes.IndexDropped(*place, event.index_name)
    raise AssertionError(f"event {type(event).__name__} has no change")


def _schema(schema: Schema) -> dict[str, Any]:
    return {
        "auto_id": schema.primary.auto_id,
        "description": schema.description,
        "fields": field_descriptions(schema),
        "enable_dynamic_field": schema.dynamic is not None,
    }


def _index(place: Place, index: IndexSpec) -> changes.Change:
    return changes.IndexCreated(
        *place,
        index.name,
        index.field_name,
        index.index_type,
        index.metric_type,
        dict(index.params),
        index.name.startswith(IMPLICIT_INDEX),
    )
