"""Collection: one collection as an object, as in pymilvus' ORM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from walvec.arguments import check_dict, check_text
from walvec.client import MilvusClient
from walvec.connections import DEFAULT_ALIAS, connections
from walvec.convert import columns_of, rows_of
from walvec.descriptions import Group, Index, Replica
from walvec.missing import COLLECTION_METHODS, missing
from walvec.params import IndexParams
from walvec.results import ExtraList, MutationResult, SearchResult
from walvec.schema import CollectionSchema, FieldSchema, from_schema
from walvec.session import check_options, check_partitions, check_timeout
from walvec.wal.errors import (
    CollectionAlreadyExistException,
    IndexNotExistException,
    SchemaNotReadyException,
)
from walvec.wal.shown import shown


class Collection:
    """A collection by its name; made if a schema is given and it is not there."""

    def __init__(
        self,
        name: str,
        schema: CollectionSchema | None = None,
        using: str = DEFAULT_ALIAS,
        **kwargs: Any,
    ) -> None:
        """kwargs: those of MilvusClient.create_collection (consistency_level, num_shards,
        properties). Raises SchemaNotReadyException without a schema for a new collection, or
        with one that is not that of the present one."""
        self._name = name
        self._using = using
        client = self._client
        if schema is not None and not isinstance(schema, CollectionSchema):
            raise SchemaNotReadyException(
                message=f"collection {shown(name)}: schema must be a CollectionSchema, "
                f"got {shown(schema)}"
            )
        if schema is None:
            if not client.has_collection(name):
                raise SchemaNotReadyException(
                    message=f"collection {name} does not exist: a schema is needed to make it"
                )
            check_options("Collection", kwargs)
            return
        try:
            client.create_collection(name, schema=schema, **kwargs)
        except CollectionAlreadyExistException:
            raise SchemaNotReadyException(
                message=f"collection {name} exists with another schema: drop it, or leave the "
                "schema out"
            ) from None

    @property
    def _client(self) -> MilvusClient:
        return connections.client(self._using)

    def __repr__(self) -> str:
        lines = (f"<name>: {self.name}", f"<description>: {self.description}")
        return "\n".join(("<Collection>:", *lines, f"<schema>: {self.schema}"))

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._name

    @property
    def schema(self) -> CollectionSchema:
        """The collection's schema."""
        return from_schema(self._client.info(self._name).schema)

    @property
    def description(self) -> str:
        """The schema's description."""
        return self._client.info(self._name).schema.description

    @property
    def primary_field(self) -> FieldSchema:
        """The primary key's field."""
        primary = self.schema.primary_field
        assert primary is not None, "a stored schema has a primary key"
        return primary

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
        return self._client.info(self._name).num_shards

    @property
    def indexes(self) -> list[Index]:
        """The indexes that were asked for."""
        return [self._index(name) for name in self._client.list_indexes(self._name)]

    def _index(self, name: str) -> Index:
        index = self._client.info(self._name).indexes[name]
        params = {"index_type": index.index_type, "params": dict(index.params)}
        if index.metric_type:
            params["metric_type"] = index.metric_type
        return Index(index.field_name, index.name, params)

    def index(self, *, index_name: str = "", **kwargs: Any) -> Index:
        """The index of this name, or the only one. Raises IndexNotExistException."""
        check_options("index", kwargs)
        check_text("index_name", index_name)
        found = [i for i in self.indexes if index_name in ("", i.index_name)]
        if len(found) != 1:
            raise IndexNotExistException(
                message=f"collection {self._name} has {len(found)} indexes {index_name}".rstrip()
            )
        return found[0]

    def has_index(
        self, timeout: float | None = None, *, index_name: str = "", **kwargs: Any
    ) -> bool:
        """Whether there is an index (of this name)."""
        check_options("has_index", kwargs)
        check_text("index_name", index_name)
        check_timeout(timeout)
        return any(index_name in ("", name) for name in self._client.list_indexes(self._name))

    def describe(self, timeout: float | None = None) -> dict[str, Any]:
        """Schema and settings, in pymilvus' shape."""
        return self._client.describe_collection(self._name, timeout)

    def insert(
        self,
        data: Any,
        partition_name: str | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> MutationResult:
        """Append rows: a dict, a list of dicts, columns in the order of the fields, or a pandas
        DataFrame. Durable and searchable on return."""
        check_options("insert", kwargs)
        return self._write(data, partition_name, timeout, upsert=False)

    def upsert(
        self,
        data: Any,
        partition_name: str | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> MutationResult:
        """As insert, of rows that may be present; a key may stand once."""
        check_options("upsert", kwargs)
        return self._write(data, partition_name, timeout, upsert=True)

    def _write(
        self, data: Any, partition: str | None, timeout: float | None, *, upsert: bool
    ) -> MutationResult:
        client = self._client
        info = client.info(self._name)
        check_partitions(info, partition)
        by_row = isinstance(data, dict) or (
            isinstance(data, list | tuple) and len(data) > 0 and isinstance(data[0], dict)
        )
        convert = rows_of if by_row else columns_of
        rows = convert(data, info.schema, info.name, upsert=upsert)
        result = client.write_rows(info, rows, timeout, upsert=upsert)
        key = "upsert_count" if upsert else "insert_count"
        return MutationResult(primary_keys=result["ids"], seq=result["seq"], **{key: result[key]})

    def delete(
        self,
        expr: str,
        partition_name: str | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> MutationResult:
        """Delete the rows that match an expression."""
        result = self._client.delete(
            self._name, filter=expr, partition_name=partition_name, timeout=timeout, **kwargs
        )
        return MutationResult(
            delete_count=result["delete_count"], seq=result["seq"], primary_keys=[]
        )

    def flush(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Seal the growing segment, see MilvusClient.flush for what it costs."""
        self._client.flush(self._name, timeout, **kwargs)

    def create_index(
        self,
        field_name: str,
        index_params: dict[str, Any] | None = None,
        timeout: float | None = None,
        *,
        index_name: str = "",
        **kwargs: Any,
    ) -> None:
        """Index a field: {"index_type": ..., "metric_type": ..., "params": {...}}."""
        params = IndexParams()
        given = check_dict("index_params", index_params)
        params.add_index(field_name, **{"index_name": index_name, **given})
        self._client.create_index(self._name, params, timeout, **kwargs)

    def drop_index(
        self, timeout: float | None = None, *, index_name: str = "", **kwargs: Any
    ) -> None:
        """Drop the index of this name, or the only one."""
        check_options("drop_index", kwargs)
        self._client.drop_index(self._name, self.index(index_name=index_name).index_name, timeout)

    def load(
        self,
        partition_names: list[str] | None = None,
        replica_number: int | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Materialize the collection into memory for search."""
        check_partitions(self._client.info(self._name), partition_names)
        self._client.load_collection(self._name, timeout, replica_number=replica_number, **kwargs)

    def release(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Drop the collection's rows from memory."""
        self._client.release_collection(self._name, timeout, **kwargs)

    def drop(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Drop the collection with all its rows."""
        self._client.drop_collection(self._name, timeout, **kwargs)

    def set_properties(
        self, properties: dict[str, Any], timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Set properties: `mmap.enabled`, `segment.max_bytes`."""
        self._client.alter_collection_properties(self._name, properties, timeout, **kwargs)

    def get_replicas(self, timeout: float | None = None, **kwargs: Any) -> Replica:
        """The one replica of a loaded collection, which is this process."""
        check_options("get_replicas", kwargs)
        info = self._client.info(self._name)
        group = Group(info.id, (f"{info.name}_shard0",), (1,), "__default_resource_group")
        return Replica([group] if info.loaded else [])

    def query(
        self,
        expr: str = "",
        output_fields: list[str] | None = None,
        partition_names: list[str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> ExtraList:
        """The rows that match an expression, see MilvusClient.query."""
        return self._client.query(
            self._name, expr, output_fields, timeout, partition_names=partition_names, **kwargs
        )

    def search(
        self,
        data: Any,
        anns_field: str,
        param: dict[str, Any],
        limit: int,
        expr: str | None = None,
        partition_names: list[str] | None = None,
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        round_decimal: int = -1,
        **kwargs: Any,
    ) -> SearchResult:
        """The `limit` nearest rows to each query vector, see MilvusClient.search."""
        return self._client.search(
            self._name,
            data,
            "" if expr is None else expr,
            limit,
            output_fields,
            param,
            timeout,
            partition_names,
            anns_field,
            round_decimal=round_decimal,
            **kwargs,
        )

    if not TYPE_CHECKING:  # type checkers go on to refuse names that are not there

        def __getattr__(self, name: str) -> Any:
            return missing(self, COLLECTION_METHODS, name)
