"""A collection of the ORM by its name: making it, and what it is as a whole."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_flag
from walvec.client import MilvusClient
from walvec.connection_names import DEFAULT_ALIAS, connections
from walvec.descriptions import CompactionState, Replica, State
from walvec.futures import CallFuture, answered
from walvec.readers import timezone_of
from walvec.schema import CollectionSchema, FieldSchema, from_schema, to_schema
from walvec.segments.catalog import CollectionInfo
from walvec.session import check_options, consistency_level_of
from walvec.wal.errors import ParamError, SchemaNotReadyException
from walvec.wal.shown import shown


class CollectionHandle:
    """A collection by its name or an alias; made if a schema is given and it is not there."""

    def __init__(
        self,
        name: str,
        schema: CollectionSchema | None = None,
        using: str = DEFAULT_ALIAS,
        **kwargs: Any,
    ) -> None:
        """kwargs: timeout, consistency_level, num_shards (or shards_num), num_partitions,
        properties; for a collection that is there only the consistency level counts, and must
        be its own. Raises SchemaNotReadyException without a schema for a new collection, or with
        one that is not that of the present one.
        """
        self._name = name
        self._using = using
        self._compaction_id = 0
        timeout = kwargs.pop("timeout", None)
        if "shards_num" in kwargs:
            if "num_shards" in kwargs:
                raise ParamError(message="num_shards and shards_num are one: give one of them")
            kwargs["num_shards"] = kwargs.pop("shards_num")
        if schema is not None and not isinstance(schema, CollectionSchema):
            raise SchemaNotReadyException(
                message=f"collection {shown(name)}: schema must be a CollectionSchema, "
                f"got {shown(schema)}"
            )
        if self._client.has_collection(name, timeout):
            check_options("Collection", kwargs, "num_shards", "num_partitions", "properties")
            _check_same(self._info, schema, kwargs.get("consistency_level"))
        elif schema is None:
            raise SchemaNotReadyException(
                message=f"collection {name} does not exist: a schema is needed to make it"
            )
        else:
            self._client.create_collection(name, timeout=timeout, schema=schema, **kwargs)

    @property
    def _client(self) -> MilvusClient:
        return connections.client(self._using)

    @property
    def _info(self) -> CollectionInfo:
        return self._client.info(self._name)

    def __repr__(self) -> str:
        parts = {"name": self.name, "description": self.description, "schema": self.schema}
        lines = "".join(f"<{key}>: {value}\n" for key, value in parts.items())
        return f"<Collection>:\n-------------\n{lines}"

    @property
    def name(self) -> str:
        """The name by which it was found, which may be an alias."""
        return self._name

    @property
    def schema(self) -> CollectionSchema:
        """The collection's schema."""
        info = self._info
        return from_schema(info.schema, timezone_of(info, {}))

    @property
    def description(self) -> str:
        """The schema's description."""
        return self._info.schema.description

    @property
    def primary_field(self) -> FieldSchema:
        """The primary key's field."""
        primary = self.schema.primary_field
        assert primary is not None, "a stored schema has a primary key"
        return primary

    @property
    def aliases(self) -> list[str]:
        """The collection's other names."""
        return sorted(self._info.aliases)

    @property
    def num_entities(self) -> int:
        """Rows that are visible now, exactly."""
        return self._client.get_collection_stats(self._name)["row_count"]

    @property
    def is_empty(self) -> bool:
        """Whether there is no visible row."""
        return self.num_entities == 0

    @property
    def num_shards(self) -> int:
        """As given when the collection was made; it changes nothing."""
        return self._info.num_shards

    def describe(self, timeout: float | None = None) -> dict[str, Any]:
        """Schema and settings, in pymilvus' shape."""
        return self._client.describe_collection(self._name, timeout)

    def set_properties(
        self, properties: dict[str, Any], timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Set properties, see MilvusClient.alter_collection_properties."""
        self._client.alter_collection_properties(self._name, properties, timeout, **kwargs)

    def flush(self, timeout: float | None = None, **kwargs: Any) -> CallFuture | None:
        """Seal the growing segments, see MilvusClient.flush for what it costs. With _async=True a
        CallFuture comes back."""
        client, name = self._client, self._name
        started: CallFuture | None = answered(kwargs, lambda: client.flush(name, timeout, **kwargs))
        return started

    def load(
        self,
        partition_names: list[str] | None = None,
        replica_number: int | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Materialize the collection, or partitions of it, into memory for search. All of it is
        there on return, also with _async=True."""
        check_flag("_async", kwargs.pop("_async", False))
        options = {"replica_number": replica_number, **kwargs}
        if partition_names is None:
            self._client.load_collection(self._name, timeout, **options)
        else:
            self._client.load_partitions(self._name, partition_names, timeout, **options)

    def release(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Drop the collection's rows from memory."""
        self._client.release_collection(self._name, timeout, **kwargs)

    def drop(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Drop the collection with all its rows."""
        self._client.drop_collection(self._name, timeout, **kwargs)

    def truncate(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Take all rows away; schema, indexes and partitions stay."""
        self._client.truncate_collection(self._name, timeout, **kwargs)

    def get_replicas(self, timeout: float | None = None, **kwargs: Any) -> Replica:
        """The one replica of a loaded collection, which is this process."""
        return Replica(self._client.describe_replica(self._name, timeout, **kwargs))

    def compact(
        self, is_clustering: bool | None = False, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Merge small sealed segments, see MilvusClient.compact."""
        self._compaction_id = self._client.compact(
            self._name, is_clustering, timeout=timeout, **kwargs
        )

    def get_compaction_state(
        self, timeout: float | None = None, is_clustering: bool | None = False, **kwargs: Any
    ) -> CompactionState:
        """What became of the last `compact`: it was completed when that returned."""
        if is_clustering or not self._compaction_id:
            raise ParamError(message=f"collection {self._name}: compact() first")
        self._client.get_compaction_state(self._compaction_id, timeout, **kwargs)
        return CompactionState(self._compaction_id)

    def wait_for_compaction_completed(
        self, timeout: float | None = None, is_clustering: bool | None = False, **kwargs: Any
    ) -> bool:
        """True: the last `compact` is completed."""
        found = self.get_compaction_state(timeout, is_clustering, **kwargs)
        return found.state is State.Completed


def _check_same(info: CollectionInfo, schema: CollectionSchema | None, level: Any) -> None:
    """Raise SchemaNotReadyException unless the collection is as its maker would have it."""
    if level is not None and consistency_level_of(level) != info.consistency_level:
        raise SchemaNotReadyException(
            message=f"collection {info.name} exists with consistency level "
            f"{info.consistency_level}, not {shown(level)}: leave it out"
        )
    if schema is None:
        return
    zone = timezone_of(info, {})
    # Both as users write them: numbers of fields say in what order they were added.
    if from_schema(to_schema(schema, info.name, zone), zone) != from_schema(info.schema, zone):
        raise SchemaNotReadyException(
            message=f"collection {info.name} exists with another schema: drop it, or leave the "
            "schema out"
        )
