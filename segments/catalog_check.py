"""Checks of events of the catalog: databases, collections, fields, partitions, aliases, indexes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from walvec.segments.state import DEFAULT_PARTITION, Collection, Database, State
from walvec.wal import events
from walvec.wal.errors import (
    AliasAlreadyExistException,
    AliasNotExistException,
    CollectionAlreadyExistException,
    DatabaseNotExistException,
    FieldNotExistException,
    IndexAlreadyExistException,
    IndexNotExistException,
    ParamError,
    PartitionNotExistException,
)

MAX_COLLECTIONS = 65_536
MAX_COLLECTIONS_PROPERTY = "database.max.collections"
MAX_DATABASES = 64
MAX_PARTITIONS = 1024
ALIAS_IS_COLLECTION = 1601


def _database(state: State, number: int) -> Database:
    database = state.databases.get(number)
    if database is None:
        raise DatabaseNotExistException(
            message=f"database with id {number} does not exist, or was dropped"
        )
    return database


def database_created(state: State, event: events.DatabaseCreated) -> None:
    """Refuse a name or id that was used, and one database too many."""
    id_is_new(state, event.database)
    if any(d.name == event.name for d in state.databases.values()):
        raise ParamError(message=f"database {event.name} exists already")
    if len(state.databases) >= MAX_DATABASES:
        raise ParamError(message=f"the store has {MAX_DATABASES} databases, the most it may")


def database_changed(state: State, event: events.DatabaseDropped | events.DatabaseAltered) -> None:
    """Refuse a database that is not there; to drop one that has collections."""
    database = _database(state, event.database)
    if isinstance(event, events.DatabaseAltered):
        return
    if not event.database:
        raise ParamError(message=f"database {database.name} cannot be dropped")
    if database.names:
        raise ParamError(
            message=f"database {database.name} has {len(database.names)} collections: drop them "
            "first"
        )


def collection_created(state: State, event: events.CollectionCreated) -> None:
    """Refuse a name or id that was used, and one collection too many."""
    id_is_new(state, event.collection)
    database = _database(state, event.database)
    _name_is_free(database, event.name)
    most = int(database.properties.get(MAX_COLLECTIONS_PROPERTY, MAX_COLLECTIONS))
    if len(database.names) >= most:
        raise ParamError(
            message=f"database {database.name} has {most} collections, the most it may"
        )


def _collection_dropped(state: State, collection: Collection, _: events.CollectionDropped) -> None:
    if aliases := aliases_of(state, collection):
        raise ParamError(
            message=f"collection {collection.name} has the aliases {', '.join(aliases)}: drop "
            "them first"
        )


def aliases_of(state: State, collection: Collection) -> list[str]:
    """The other names of a collection."""
    aliases = state.databases[collection.database].aliases
    return [alias for alias, number in aliases.items() if number == collection.id]


def _collection_renamed(
    state: State, collection: Collection, event: events.CollectionRenamed
) -> None:
    number = collection.database if event.database is None else event.database
    _name_is_free(_database(state, number), event.name)
    if number != collection.database and (aliases := aliases_of(state, collection)):
        raise ParamError(
            message=f"collection {collection.name} has the aliases {', '.join(aliases)}, which "
            "cannot move to another database: drop them first"
        )


def _name_is_free(database: Database, name: str) -> None:
    if name in database.names:
        raise CollectionAlreadyExistException(message=f"collection {name} exists already")
    if name in database.aliases:
        raise CollectionAlreadyExistException(
            message=f"{name} is an alias already: drop_alias() it, or choose another name"
        )


def _alias_set(state: State, collection: Collection, event: events.AliasSet) -> None:
    if event.alias in state.databases[collection.database].names:
        raise AliasAlreadyExistException(
            code=ALIAS_IS_COLLECTION,
            message=f"{event.alias} is the name of a collection: choose another alias",
        )


def _alias_dropped(state: State, collection: Collection, event: events.AliasDropped) -> None:
    if state.databases[collection.database].aliases.get(event.alias) != collection.id:
        raise AliasNotExistException(
            message=f"collection {collection.name} has no alias {event.alias}"
        )


def _field_added(_: State, collection: Collection, event: events.FieldAdded) -> None:
    name, number = event.field["name"], event.field["id"]
    if name in collection.schema.by_name:
        raise ParamError(message=f"collection {collection.name} has a field {name} already")
    if number <= max(collection.schema.by_id):
        raise ParamError(message=f"field id {number} of {collection.name} was used before")


def _field_altered(_: State, collection: Collection, event: events.FieldAltered) -> None:
    present = collection.schema.by_id.get(event.field["id"])
    if present is None or present.name != event.field["name"]:
        raise FieldNotExistException(
            message=f"collection {collection.name} has no field {event.field['name']}"
        )


def id_is_new(state: State, number: int) -> None:
    """Refuse an id that was used before."""
    if number < state.next_id:
        raise ParamError(message=f"id {number} was used before, the next is {state.next_id}")


def _partition_created(
    state: State, collection: Collection, event: events.PartitionCreated
) -> None:
    id_is_new(state, event.partition)
    if event.name in collection.partitions:
        raise ParamError(message=f"collection {collection.name} has a partition {event.name}")
    if len(collection.partitions) >= MAX_PARTITIONS:
        raise ParamError(
            message=f"collection {collection.name} has {MAX_PARTITIONS} partitions, the most it may"
        )


def _partition_dropped(_: State, collection: Collection, event: events.PartitionDropped) -> None:
    has_partitions(collection, (event.partition,))
    name = next(n for n, i in collection.partitions.items() if i == event.partition)
    if name == DEFAULT_PARTITION:
        raise ParamError(message=f"the default partition of {collection.name} cannot be dropped")
    if event.partition in collection.loaded_partitions:
        raise ParamError(
            message=f"partition {name} of {collection.name} is loaded: release_partitions() first"
        )


def has_partitions(collection: Collection, wanted: tuple[int, ...]) -> None:
    """Refuse ids of partitions that are not there."""
    for number in wanted:
        if number not in collection.partitions.values():
            raise PartitionNotExistException(
                message=f"collection {collection.name} has no partition with id {number}"
            )


def _partitions_changed(
    _: State, collection: Collection, event: events.PartitionsLoaded | events.PartitionsReleased
) -> None:
    has_partitions(collection, event.partitions)


def _index_created(state: State, collection: Collection, event: events.IndexCreated) -> None:
    id_is_new(state, event.index["id"])
    name, field_id = event.index["name"], event.index["field_id"]
    if name in collection.indexes:
        raise IndexAlreadyExistException(
            message=f"collection {collection.name} has an index named {name} already: drop it first"
        )
    if (other := collection.index_of(field_id)) is not None:
        raise IndexAlreadyExistException(
            message=f"field {other.field_name} of {collection.name} has the index {other.name} "
            "already, at most one is allowed: drop it first"
        )


def _index_dropped(_: State, collection: Collection, event: events.IndexDropped) -> None:
    if event.index_name not in collection.indexes:
        raise IndexNotExistException(
            message=f"collection {collection.name} has no index named {event.index_name}"
        )


def _index_altered(_: State, collection: Collection, event: events.IndexAltered) -> None:
    present = collection.indexes.get(event.index["name"])
    if present is None or present.id != event.index["id"]:
        raise IndexNotExistException(
            message=f"collection {collection.name} has no index named {event.index['name']}"
        )


CATALOG: dict[type[events.Event], Callable[[State, Collection, Any], None]] = {
    events.CollectionDropped: _collection_dropped,
    events.CollectionRenamed: _collection_renamed,
    events.FieldAdded: _field_added,
    events.FieldAltered: _field_altered,
    events.AliasSet: _alias_set,
    events.AliasDropped: _alias_dropped,
    events.PartitionCreated: _partition_created,
    events.PartitionDropped: _partition_dropped,
    events.PartitionsLoaded: _partitions_changed,
    events.PartitionsReleased: _partitions_changed,
    events.IndexCreated: _index_created,
    events.IndexDropped: _index_dropped,
    events.IndexAltered: _index_altered,
}
"""The check of each event that concerns a collection."""
