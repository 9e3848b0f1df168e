"""Commands on the catalog: databases, collections, fields, partitions and aliases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from walvec.segments.commands import Command, Decision, Draft, IndexWish, collection_of
from walvec.segments.index import IndexSpec
from walvec.segments.state import DEFAULT_PARTITION, Collection, State
from walvec.wal.errors import AliasAlreadyExistException, PartitionNotExistException
from walvec.wal.events import (
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
    Event,
    FieldAdded,
    FieldAltered,
    IndexAltered,
    IndexCreated,
    PartitionCreated,
    PartitionDropped,
    PartitionsLoaded,
    PartitionsReleased,
)
from walvec.wal.schema import Field, Schema


def create_database(name: str, properties: dict[str, str]) -> Command:
    """An empty database. The result is its id."""

    def decide(state: State) -> Decision:
        event = DatabaseCreated(0, state.next_id, name, properties)
        return Decision([Draft(event)], state.next_id)

    return decide


def drop_database(database: int) -> Command:
    """Drop a database that has no collections."""
    return lambda _: Decision([Draft(DatabaseDropped(0, database))])


def alter_database(
    database: int, properties: dict[str, str], dropped: tuple[str, ...] = ()
) -> Command:
    """Set and drop properties."""
    return lambda _: Decision([Draft(DatabaseAltered(0, database, properties, dropped))])


def create_collection(
    name: str,
    schema: Schema,
    properties: dict[str, str],
    indexes: Sequence[IndexWish],
    *,
    load: bool,
    consistency_level: str = "Strong",
    num_shards: int = 1,
    database: int = 0,
    partitions: Sequence[str] = (DEFAULT_PARTITION,),
) -> Command:
    """A collection, an index for every vector field and, with `load`, its load: one transaction."""

    def decide(state: State) -> Decision:
        collection_id = state.next_id
        ids = {partition: collection_id + i for i, partition in enumerate(partitions, 1)}
        created = CollectionCreated(
            collection_id,
            name,
            schema.to_data(),
            ids,
            properties,
            consistency_level,
            num_shards,
            database,
        )
        drafts = [Draft(created)]
        for number, wish in enumerate(indexes, collection_id + 1 + len(ids)):
            drafts.append(Draft(IndexCreated(collection_id, wish.with_id(number).to_data())))
        if load:
            drafts.append(Draft(CollectionLoaded(collection_id)))
        return Decision(drafts, collection_id)

    return decide


def drop_collection(collection_id: int, name: str) -> Command:
    """Drop a collection with all its rows."""
    return _single(collection_id, name, CollectionDropped(collection_id))


def rename_collection(
    collection_id: int, name: str, new_name: str, database: int | None = None
) -> Command:
    """Give a collection another name, and with `database`, an id, another place."""
    return _single(collection_id, name, CollectionRenamed(collection_id, new_name, database))


def alter_collection(
    collection_id: int, name: str, properties: dict[str, str], dropped: tuple[str, ...] = ()
) -> Command:
    """Set and drop properties."""
    return _single(collection_id, name, CollectionAltered(collection_id, properties, dropped))


def add_field(
    collection_id: int, name: str, field: Field, index: IndexWish | None = None
) -> Command:
    """A field more, with an index of it if there is a wish for one; rows that are there have its
    default, or null. Nothing for a dynamic field that is there already.

    Its id is the next one: others may have added fields since it was asked for.
    """

    def decide(state: State) -> Decision:
        schema = collection_of(state, collection_id, name).schema
        if field.is_dynamic and schema.dynamic is not None:
            return Decision([])
        added = replace(field, id=max(schema.by_id) + 1)
        drafts = [Draft(FieldAdded(collection_id, added.to_data()))]
        if index is not None:
            spec = index._replace(field_id=added.id).with_id(state.next_id)
            drafts.append(Draft(IndexCreated(collection_id, spec.to_data())))
        return Decision(drafts)

    return decide


def alter_field(
    collection_id: int, name: str, field_id: int, change: Callable[[Field], Field]
) -> Command:
    """Put what `change` makes of a field in its place. It may refuse by raising a CallError."""

    def decide(state: State) -> Decision:
        field = collection_of(state, collection_id, name).schema.by_id[field_id]
        return Decision([Draft(FieldAltered(collection_id, change(field).to_data()))])

    return decide


def alter_index(collection_id: int, name: str, index: IndexSpec) -> Command:
    """Put an index in the place of the one of its name; its files stay."""
    return _single(collection_id, name, IndexAltered(collection_id, index.to_data()))


def set_alias(collection_id: int, name: str, alias: str, *, take: bool) -> Command:
    """Give a collection another name; `take`: also if it is that of another collection.

    Raises AliasAlreadyExistException.
    """

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        present = state.databases[collection.database].aliases.get(alias)
        if present == collection_id:
            return Decision([])
        if present is not None and not take:
            raise AliasAlreadyExistException(
                message=f"{alias} is an alias of collection {state.collections[present].name}: "
                "alter_alias() it, or choose another name"
            )
        return Decision([Draft(AliasSet(collection_id, alias))])

    return decide


def drop_alias(collection_id: int, name: str, alias: str) -> Command:
    """Take another name away. Nothing if the collection does not have it."""

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        has_it = state.databases[collection.database].aliases.get(alias) == collection_id
        return Decision([Draft(AliasDropped(collection_id, alias))] if has_it else [])

    return decide


def create_partition(collection_id: int, name: str, partition: str) -> Command:
    """An empty partition. Nothing if it is there already."""

    def decide(state: State) -> Decision:
        if partition in collection_of(state, collection_id, name).partitions:
            return Decision([])
        return Decision([Draft(PartitionCreated(collection_id, state.next_id, partition))])

    return decide


def drop_partition(collection_id: int, name: str, partition: str) -> Command:
    """Drop a partition with its rows. Nothing if there is none of this name."""

    def decide(state: State) -> Decision:
        number = collection_of(state, collection_id, name).partitions.get(partition)
        return Decision([] if number is None else [Draft(PartitionDropped(collection_id, number))])

    return decide


def load(collection_id: int, name: str) -> Command:
    """Load all partitions, and those to come. Nothing if they are loaded already."""

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        every = set(collection.partitions.values())
        if collection.loads_new and collection.loaded_partitions == every:
            return Decision([])
        return Decision([Draft(CollectionLoaded(collection_id))])

    return decide


def release(collection_id: int, name: str) -> Command:
    """Nothing if the collection is not loaded."""

    def decide(state: State) -> Decision:
        loaded = collection_of(state, collection_id, name).loaded
        return Decision([Draft(CollectionReleased(collection_id))] if loaded else [])

    return decide


def load_partitions(collection_id: int, name: str, partitions: Sequence[str]) -> Command:
    """Load these partitions; nothing if they are loaded already."""

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        wanted = partition_ids(collection, partitions)
        new = tuple(sorted(wanted - collection.loaded_partitions))
        return Decision([Draft(PartitionsLoaded(collection_id, new))] if new else [])

    return decide


def release_partitions(collection_id: int, name: str, partitions: Sequence[str]) -> Command:
    """Release these partitions; nothing if they are not loaded."""

    def decide(state: State) -> Decision:
        collection = collection_of(state, collection_id, name)
        wanted = partition_ids(collection, partitions)
        gone = tuple(sorted(wanted & collection.loaded_partitions))
        return Decision([Draft(PartitionsReleased(collection_id, gone))] if gone else [])

    return decide


def partition_ids(collection: Collection, names: Sequence[str]) -> set[int]:
    """The ids of partitions. Raises PartitionNotExistException."""
    for name in names:
        if name not in collection.partitions:
            raise PartitionNotExistException(
                message=f"collection {collection.name} has no partition {name}"
            )
    return {collection.partitions[name] for name in names}


def _single(collection_id: int, name: str, event: Event) -> Command:
    def decide(state: State) -> Decision:
        collection_of(state, collection_id, name)
        return Decision([Draft(event)])

    return decide
