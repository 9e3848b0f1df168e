"""What readers see: immutable pictures of the state, replaced as a whole."""

from __future__ import annotations

from typing import NamedTuple

from walvec.segments.index import IndexSpec
from walvec.segments.state import DEFAULT_DATABASE, Collection, State
from walvec.segments.view import View
from walvec.wal.schema import Schema


class CollectionInfo(NamedTuple):
    """A collection without its rows and segments."""

    id: int
    name: str
    schema: Schema
    partitions: dict[str, int]
    properties: dict[str, str]
    consistency_level: str
    num_shards: int
    created_at: int
    loaded: bool
    indexes: dict[str, IndexSpec]
    database: int
    aliases: tuple[str, ...]
    loaded_partitions: frozenset[int]

    def index_of(self, field_id: int) -> IndexSpec | None:
        """The field's index, if it has one."""
        return next((i for i in self.indexes.values() if i.field_id == field_id), None)


class DatabaseInfo(NamedTuple):
    """A database: ids of collections by name, and by alias."""

    id: int
    name: str
    created_at: int
    properties: dict[str, str]
    names: dict[str, int]
    aliases: dict[str, int]


class Published(NamedTuple):
    """Everything at `seq`: databases by name, collections by id, views of those in memory."""

    seq: int
    databases: dict[str, DatabaseInfo]
    collections: dict[int, CollectionInfo]
    views: dict[int, View]

    @property
    def names(self) -> dict[str, int]:
        """The collections of the default database, ids by name."""
        return self.databases[DEFAULT_DATABASE].names


def info_of(collection: Collection, aliases: tuple[str, ...]) -> CollectionInfo:
    """A picture of a collection as it is now."""
    return CollectionInfo(
        id=collection.id,
        name=collection.name,
        schema=collection.schema,
        partitions=dict(collection.partitions),
        properties=dict(collection.properties),
        consistency_level=collection.consistency_level,
        num_shards=collection.num_shards,
        created_at=collection.created_at,
        loaded=collection.loaded,
        indexes=dict(collection.indexes),
        database=collection.database,
        aliases=aliases,
        loaded_partitions=frozenset(collection.loaded_partitions),
    )


def publish_catalog(state: State, views: dict[int, View]) -> Published:
    """A picture of the whole state."""
    databases = {}
    aliases: dict[int, tuple[str, ...]] = {}
    for one in state.databases.values():
        parts = (dict(one.properties), dict(one.names), dict(one.aliases))
        databases[one.name] = DatabaseInfo(one.id, one.name, one.created_at, *parts)
        for alias, number in one.aliases.items():
            aliases[number] = (*aliases.get(number, ()), alias)
    collections = {i: info_of(c, aliases.get(i, ())) for i, c in state.collections.items()}
    return Published(state.seq, databases, collections, views)
