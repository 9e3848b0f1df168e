"""Client methods on collections: make, describe, load, release, drop."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_dict, check_text, check_texts, check_whole
from walvec.hybrid_timestamps import hybrid_of_ns
from walvec.load_calls import LoadCalls
from walvec.params import IndexParams
from walvec.properties import (
    DYNAMIC_PROPERTY,
    TIMEZONE_PROPERTY,
    check_properties,
    check_property_name,
)
from walvec.quick_schema import quick_schema
from walvec.results import ConsistencyLevel
from walvec.schema import CollectionSchema, check_name, field_descriptions, to_schema
from walvec.segments import catalog_commands, commands
from walvec.segments.catalog import CollectionInfo
from walvec.segments.catalog_check import MAX_PARTITIONS
from walvec.segments.memory import trim
from walvec.segments.state import DEFAULT_PARTITION
from walvec.session import check_options, consistency_level_of
from walvec.wal.errors import (
    CollectionAlreadyExistException,
    CollectionNotExistException,
    ParamError,
)
from walvec.wal.schema import META_FIELD, DataType, Field, Schema
from walvec.wal.shown import shown
from walvec.wishes import implicit_wish, wishes_of

DEFAULT_KEY_PARTITIONS = 16


class CollectionCalls(LoadCalls):
    """Methods that take a collection as a whole."""

    def create_collection(
        self,
        collection_name: str,
        dimension: int | None = None,
        primary_field_name: str = "id",
        id_type: str | DataType = "int",
        vector_field_name: str = "vector",
        metric_type: str = "COSINE",
        auto_id: bool = False,
        timeout: float | None = None,
        schema: CollectionSchema | None = None,
        index_params: IndexParams | None = None,
        **kwargs: Any,
    ) -> None:
        """Make a collection: of a schema, or the quick form of a `dimension`.

        The quick form has a primary key, a vector and a dynamic field, an index (AUTOINDEX) and
        is loaded. With `schema` and `index_params` it is indexed and loaded too. All of it is
        one transaction. If the same collection is there already, it is only indexed and loaded.

        kwargs: enable_dynamic_field, max_length (quick form); consistency_level, num_shards,
        num_partitions (of a partition key, 16), properties (a dict; `mmap.enabled`,
        `segment.max_bytes`, `collection.ttl.seconds`, `timezone`), description.
        Raises SchemaNotReadyException, ParamError, CollectionAlreadyExistException.
        """
        quick = ("enable_dynamic_field", "max_length") if schema is None else ()
        known = (*quick, "num_shards", "num_partitions", "properties", "description")
        check_options("create_collection", kwargs, *known)
        check_name("collection", collection_name)
        if schema is None:
            schema = quick_schema(
                dimension, primary_field_name, id_type, vector_field_name, auto_id, kwargs
            )
            if index_params is None:
                index_params = IndexParams()
                index_params.add_index(vector_field_name, "AUTOINDEX", metric_type=metric_type)
        elif not isinstance(schema, CollectionSchema):
            raise ParamError(message=f"schema {shown(schema)} is no CollectionSchema")
        if index_params is not None and not isinstance(index_params, IndexParams):
            raise ParamError(
                message=f"index_params of {collection_name} must be IndexParams "
                f"(prepare_index_params()), got {shown(index_params)}"
            )
        properties = check_properties(collection_name, kwargs.get("properties"))
        # What the database says is logged with the collection, which keeps it.
        zone = self._database_info("").properties.get(TIMEZONE_PROPERTY)
        if zone is not None:
            properties.setdefault(TIMEZONE_PROPERTY, zone)
        zone = properties.get(TIMEZONE_PROPERTY)
        plain = to_schema(schema, collection_name, zone)
        self._create(
            collection_name, plain, index_params, {**kwargs, "properties": properties}, timeout
        )

    def _create(
        self,
        name: str,
        schema: Schema,
        index_params: IndexParams | None,
        options: dict[str, Any],
        timeout: float | None,
    ) -> None:
        asked = wishes_of(index_params or [], schema, name)
        indexed = {wish.field_id for wish in asked}
        implicit = [implicit_wish(f, name) for f in schema.vectors if f.id not in indexed]
        properties: dict[str, str] = options["properties"]
        num_shards = check_whole(f"num_shards of {name}", options.get("num_shards", 1), 1, 64)
        command = catalog_commands.create_collection(
            name,
            schema,
            properties,
            asked + implicit,
            load=bool(index_params),
            consistency_level=consistency_level_of(options.get("consistency_level", "Strong")),
            num_shards=num_shards,
            database=self._database_info("").id,
            partitions=_partition_names(schema, options.get("num_partitions")),
        )
        try:
            self._execute(command, timeout)
        except CollectionAlreadyExistException:
            if name not in self._database_info("").names:
                raise  # it is an alias
            info = self.info(name)
            wanted = options.get("num_partitions")
            others = wanted is not None and wanted != len(info.partitions)
            if info.schema != schema or not properties.items() <= info.properties.items() or others:
                raise CollectionAlreadyExistException(
                    message=f"collection {name} exists with another schema, other properties or "
                    "another number of partitions: drop_collection() it, or choose another name"
                ) from None
            if asked:
                self._execute(commands.create_index(info.id, name, asked), timeout)
                self.load_collection(name, timeout)

    def has_collection(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> bool:
        """Whether a collection has this name."""
        check_options("has_collection", kwargs)
        self._time(timeout)
        database = self._database_info("")
        name = check_text("collection_name", collection_name)
        return name in database.names or name in database.aliases

    def list_collections(self, **kwargs: Any) -> list[str]:
        """The names of all collections of the database."""
        check_options("list_collections", kwargs, "timeout")
        return sorted(self._database_info("").names)

    def describe_collection(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """A collection's schema and settings, in pymilvus' shape."""
        check_options("describe_collection", kwargs)
        self._time(timeout)
        info = self.info(collection_name)
        return {
            "collection_name": info.name,
            "auto_id": info.schema.primary.auto_id,
            "num_shards": info.num_shards,
            "description": info.schema.description,
            "fields": field_descriptions(info.schema, info.properties.get(TIMEZONE_PROPERTY)),
            "functions": [],
            "aliases": sorted(info.aliases),
            "collection_id": info.id,
            "consistency_level": int(ConsistencyLevel[info.consistency_level]),
            "consistency_level_name": info.consistency_level,
            "properties": dict(info.properties),
            "num_partitions": len(info.partitions),
            "enable_dynamic_field": info.schema.dynamic is not None,
            "enable_namespace": False,
            "created_timestamp": hybrid_of_ns(info.created_at),
        }

    def drop_collection(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drop a collection with all its rows. Nothing if there is none of this name.

        Raises ParamError where it has aliases, or is named by one.
        """
        check_options("drop_collection", kwargs)
        try:
            info = self.info(collection_name)
            _refuse_alias(info, collection_name)
            self._execute(catalog_commands.drop_collection(info.id, info.name), timeout)
        except CollectionNotExistException:
            return
        trim()

    def rename_collection(
        self,
        old_name: str,
        new_name: str,
        target_db: str = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Give a collection another name, and with `target_db` another database.

        Raises CollectionAlreadyExistException, DatabaseNotExistException, and ParamError where
        the old name is an alias.
        """
        check_options("rename_collection", kwargs)
        check_name("collection", new_name)
        info = self.info(old_name)
        _refuse_alias(info, old_name)
        target = self._database_info(target_db).id
        command = catalog_commands.rename_collection(
            info.id, info.name, new_name, None if target == info.database else target
        )
        self._execute(command, timeout)

    def alter_collection_properties(
        self,
        collection_name: str,
        properties: dict[str, Any],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Set properties: `mmap.enabled` (from the next load on), `segment.max_bytes`,
        `collection.ttl.seconds`, `timezone`; `dynamicfield.enabled` adds the dynamic field."""
        check_options("alter_collection_properties", kwargs)
        info = self.info(collection_name)
        given = dict(check_dict(f"properties of {collection_name}", properties))
        dynamic = given.pop(DYNAMIC_PROPERTY, None)
        texts = check_properties(collection_name, given)
        if dynamic is not None:
            self._enable_dynamic(info, dynamic, timeout)
        if not texts:
            return
        self._execute(catalog_commands.alter_collection(info.id, info.name, texts), timeout)

    def _enable_dynamic(self, info: CollectionInfo, wanted: Any, timeout: float | None) -> None:
        if shown(wanted).lower().strip("'") != "true":
            raise ParamError(
                message=f"{DYNAMIC_PROPERTY} of {info.name} is {shown(wanted)}: a dynamic field "
                "can be added (true), and not be taken away"
            )
        if info.schema.dynamic is None:
            number = max(info.schema.by_id) + 1
            field = Field(number, META_FIELD, DataType.JSON, is_dynamic=True)
            self._execute(catalog_commands.add_field(info.id, info.name, field), timeout)

    def drop_collection_properties(
        self,
        collection_name: str,
        property_keys: list[str],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Take properties back to their defaults."""
        check_options("drop_collection_properties", kwargs)
        info = self.info(collection_name)
        keys = check_texts("property_keys", property_keys)
        for key in keys:
            check_property_name(collection_name, key)
        command = catalog_commands.alter_collection(info.id, info.name, {}, tuple(keys))
        self._execute(command, timeout)


def _refuse_alias(info: CollectionInfo, name: str) -> None:
    if info.name != name:
        raise ParamError(
            message=f"{name} is an alias of collection {info.name}: drop_alias() it, or call the "
            "collection by its own name"
        )


def _partition_names(schema: Schema, wanted: Any) -> list[str]:
    """The partitions of a new collection."""
    if schema.partition_key is None:
        if wanted is not None:
            raise ParamError(message="num_partitions is for collections with a partition key")
        return [DEFAULT_PARTITION]
    default = DEFAULT_KEY_PARTITIONS if wanted is None else wanted
    count = check_whole("num_partitions", default, 1, MAX_PARTITIONS)
    return [f"{DEFAULT_PARTITION}_{i}" for i in range(count)]
