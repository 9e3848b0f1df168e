"""Client methods on collections: make, describe, load, release, drop."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_flag, check_text, check_texts, check_whole
from walvec.params import IndexParams
from walvec.properties import check_properties, check_property_name
from walvec.quick_schema import quick_schema
from walvec.results import ConsistencyLevel, LoadState
from walvec.schema import CollectionSchema, check_name, field_descriptions, to_schema
from walvec.segments import commands
from walvec.segments.counting import count_rows
from walvec.segments.memory import trim
from walvec.session import Session, check_options, check_partitions, consistency_level_of
from walvec.wal import failpoints
from walvec.wal.errors import (
    CollectionAlreadyExistException,
    CollectionNotExistException,
    NotSupportedException,
    ParamError,
)
from walvec.wal.schema import DataType, Schema
from walvec.wal.shown import shown
from walvec.wishes import implicit_wish, wishes_of


class CollectionCalls(Session):
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
        properties (a dict; `mmap.enabled`, `segment.max_bytes`), description.
        Raises SchemaNotReadyException, ParamError, CollectionAlreadyExistException.
        """
        quick = ("enable_dynamic_field", "max_length") if schema is None else ()
        known = (*quick, "num_shards", "properties", "description")
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
        plain = to_schema(schema, collection_name)
        self._create(collection_name, plain, index_params, kwargs, timeout)

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
        properties = check_properties(name, options.get("properties"))
        num_shards = check_whole(f"num_shards of {name}", options.get("num_shards", 1), 1, 64)
        command = commands.create_collection(
            name,
            schema,
            properties,
            asked + implicit,
            load=bool(index_params),
            consistency_level=consistency_level_of(options.get("consistency_level", "Strong")),
            num_shards=num_shards,
        )
        try:
            self._execute(command, timeout)
        except CollectionAlreadyExistException:
            info = self.info(name)
            if info.schema != schema or not properties.items() <= info.properties.items():
                raise CollectionAlreadyExistException(
                    message=f"collection {name} exists with another schema or other properties: "
                    "drop_collection() it, or choose another name"
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
        return check_text("collection_name", collection_name) in self._store.current().names

    def list_collections(self, **kwargs: Any) -> list[str]:
        """The names of all collections."""
        check_options("list_collections", kwargs, "timeout")
        return sorted(self._store.current().names)

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
            "fields": field_descriptions(info.schema),
            "functions": [],
            "aliases": [],
            "collection_id": info.id,
            "consistency_level": int(ConsistencyLevel[info.consistency_level]),
            "consistency_level_name": info.consistency_level,
            "properties": dict(info.properties),
            "num_partitions": len(info.partitions),
            "enable_dynamic_field": info.schema.dynamic is not None,
            "enable_namespace": False,
            "created_timestamp": info.created_at,
        }

    def drop_collection(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drop a collection with all its rows. Nothing if there is none of this name."""
        check_options("drop_collection", kwargs)
        try:
            info = self.info(collection_name)
            self._execute(commands.drop_collection(info.id, info.name), timeout)
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
        """Give a collection another name. Raises CollectionAlreadyExistException."""
        check_options("rename_collection", kwargs)
        if check_text("target_db", target_db) not in ("", "default"):
            raise NotSupportedException(
                message=f"target_db {shown(target_db)}: there is one database"
            )
        check_name("collection", new_name)
        info = self.info(old_name)
        self._execute(commands.rename_collection(info.id, old_name, new_name), timeout)

    def alter_collection_properties(
        self,
        collection_name: str,
        properties: dict[str, Any],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Set properties: `mmap.enabled` (from the next load on), `segment.max_bytes`."""
        check_options("alter_collection_properties", kwargs)
        info = self.info(collection_name)
        texts = check_properties(collection_name, properties)
        self._execute(commands.alter_collection(info.id, info.name, texts), timeout)

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
        command = commands.alter_collection(info.id, info.name, {}, tuple(keys))
        self._execute(command, timeout)

    def get_collection_stats(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, int]:
        """{"row_count": n}: rows that are visible now, exactly, loaded or not."""
        check_options("get_collection_stats", kwargs)
        self._time(timeout)
        return {"row_count": count_rows(self._store, self.info(collection_name))}

    def flush(
        self,
        collection_name: str,
        timeout: float | None = None,
        *,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        """Seal the growing segment; rows that follow go to a new one.

        On return the seal is durable, as the rows were before. It costs one small transaction;
        files and indexes are made in the background, and searches of a segment are exact until
        its index is there. Calling it after every insertion makes many small segments, which
        are merged by eights in the background. `wait`: return when the files are there.
        Raises TimeoutException.
        """
        check_options("flush", kwargs)
        info = self.info(collection_name)
        self._execute(commands.flush(info.id, info.name), timeout)
        if check_flag("wait", wait):
            self.wait_for_files(timeout)

    def load_collection(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Materialize a collection into memory for search. It stays loaded until released, also
        when the store is opened again.

        kwargs: replica_number (1). Raises MemoryException, LogCorruptedException.
        """
        check_options("load_collection", kwargs, "replica_number")
        replicas = kwargs.get("replica_number")
        if replicas is not None and (type(replicas) is not int or replicas != 1):
            raise NotSupportedException(
                message=f"replica_number {shown(replicas)}: one machine holds one replica"
            )
        info = self.info(collection_name)
        self._execute(commands.load(info.id, info.name), timeout)
        failpoints.hit("load.after-commit")
        self._store.view(self.info(collection_name))

    def refresh_load(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Load what came since the load. Here that is always loaded already, so this only checks.

        Raises CollectionNotLoadedException.
        """
        check_options("refresh_load", kwargs)
        self._time(timeout)
        self._store.view(self.info(collection_name))

    def release_collection(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drop a collection's rows from memory; resident memory falls back."""
        check_options("release_collection", kwargs)
        info = self.info(collection_name)
        self._execute(commands.release(info.id, info.name), timeout)
        failpoints.hit("release.after-commit")
        trim()

    def get_load_state(
        self,
        collection_name: str,
        partition_name: str = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> dict[str, LoadState]:
        """{"state": <LoadState: Loaded>}, NotLoad, or NotExist."""
        check_options("get_load_state", kwargs)
        self._time(timeout)
        try:
            info = self.info(collection_name)
        except CollectionNotExistException:
            return {"state": LoadState.NotExist}
        check_partitions(info, partition_name)
        return {"state": LoadState.Loaded if info.loaded else LoadState.NotLoad}
