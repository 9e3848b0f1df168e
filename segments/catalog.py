"""What readers see: immutable pictures of the state, replaced as a whole."""

from __future__ import annotations

from typing import NamedTuple

from walvec.segments.index import IndexSpec
from walvec.segments.state import Collection, State
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

    def index_of(self, field_id: int) -> IndexSpec | None:
        """The field's index, if it has one."""
        return next((i for i in self.indexes.values() if i.field_id == field_id), None)


class Published(NamedTuple):
    """Everything at `seq`: collections by name and id, and views of those in memory."""

    seq: int
    names: dict[str, int]
    collections: dict[int, CollectionInfo]
    views: dict[int, View]


def info_of(collection: Collection) -> CollectionInfo:
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
    )


def publish_catalog(state: State, views: dict[int, View]) -> Published:
    """A picture of the whole state."""
    collections = {i: info_of(c) for i, c in state.collections.items()}
    return Published(state.seq, dict(state.names), collections, views)
