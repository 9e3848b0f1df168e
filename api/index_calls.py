"""Client methods on indexes."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_flag, check_text
from walvec.params import IndexParams
from walvec.schema import CollectionSchema, FieldSchema
from walvec.segments import commands
from walvec.segments.catalog import CollectionInfo
from walvec.segments.commands import IMPLICIT_INDEX, IndexWish
from walvec.segments.index import IndexSpec, needs_file
from walvec.segments.state import State, index_file
from walvec.session import Session, check_options, field_of
from walvec.wal.errors import IndexNotExistException, ParamError
from walvec.wal.schema import DataType
from walvec.wal.shown import shown
from walvec.wishes import implicit_wish, wishes_of


class IndexCalls(Session):
    """Methods that make, describe and drop indexes."""

    @staticmethod
    def create_schema(**kwargs: Any) -> CollectionSchema:
        """An empty schema. kwargs: auto_id, enable_dynamic_field, description, ..."""
        return CollectionSchema([], **{**kwargs, "check_fields": False})

    @staticmethod
    def create_field_schema(
        name: str, data_type: DataType, desc: str = "", **kwargs: Any
    ) -> FieldSchema:
        """A field for a schema."""
        return FieldSchema(name, data_type, desc, **kwargs)

    @staticmethod
    def prepare_index_params(field_name: str = "", **kwargs: Any) -> IndexParams:
        """Index parameters, with a first one if a field is named."""
        params = IndexParams()
        if check_text("field_name", field_name):
            params.add_index(field_name, **kwargs)
        elif kwargs:
            raise ParamError(
                message=f"prepare_index_params() got {sorted(kwargs)}, but no field_name"
            )
        return params

    def create_index(
        self,
        collection_name: str,
        index_params: IndexParams,
        timeout: float | None = None,
        *,
        sync: bool = False,
        **kwargs: Any,
    ) -> None:
        """Index fields. Durable on return; built for sealed segments in the background, searches
        are exact until then. `sync`: return when they are built.

        Raises IndexNotSupportedException, IndexAlreadyExistException, ParamError by name.
        """
        check_options("create_index", kwargs)
        if not isinstance(index_params, IndexParams) or not index_params:
            raise ParamError(
                message=f"index_params of {shown(collection_name)} is empty or no IndexParams: "
                f"prepare_index_params() and add_index() first, got {shown(index_params)}"
            )
        info = self.info(collection_name)
        wishes = wishes_of(index_params, info.schema, info.name)
        self._execute(commands.create_index(info.id, info.name, wishes), timeout)
        if check_flag("sync", sync):
            self.wait_for_files(timeout)

    def list_indexes(self, collection_name: str, field_name: str = "", **kwargs: Any) -> list[str]:
        """Names of the indexes that were asked for, of one field or of all."""
        check_options("list_indexes", kwargs, "timeout")
        check_text("field_name", field_name)
        info = self.info(collection_name)
        return [
            index.name
            for index in info.indexes.values()
            if _is_explicit(index) and field_name in ("", index.field_name)
        ]

    def describe_index(
        self, collection_name: str, index_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """An index's type, metric, parameters and how many rows it covers, in pymilvus' shape.

        Raises IndexNotExistException.
        """
        check_options("describe_index", kwargs)
        self._time(timeout)
        info = self.info(collection_name)
        index = index_of(info, index_name)
        total, indexed = self._store.with_state(lambda state: _coverage(state, info.id, index))
        return {
            **index.params,
            **index.properties,
            "index_type": index.index_type,
            **({"metric_type": index.metric_type} if index.metric_type else {}),
            "field_name": index.field_name,
            "index_name": index.name,
            "total_rows": total,
            "indexed_rows": indexed,
            "pending_index_rows": total - indexed,
            "state": "Finished" if total == indexed else "InProgress",
        }

    def drop_index(
        self, collection_name: str, index_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drop an index; the filters of a scalar field scan from now on. That of a vector field
        only while the collection is released: the default index takes its place.

        Raises IndexNotExistException, ParamError where the collection is loaded.
        """
        check_options("drop_index", kwargs)
        info = self.info(collection_name)
        index = index_of(info, index_name)
        field = info.schema.by_id[index.field_id]
        if info.loaded and field.is_vector:
            raise ParamError(
                message=f"index {index_name}: collection {info.name} is loaded, release it first"
            )

        def implicit(_: int) -> IndexWish | None:
            return implicit_wish(field, info.name) if field.is_vector else None

        self._execute(commands.drop_index(info.id, info.name, index.name, implicit), timeout)


def _is_explicit(index: IndexSpec) -> bool:
    return not index.name.startswith(IMPLICIT_INDEX)


def index_of(info: CollectionInfo, name: str) -> IndexSpec:
    """An index by its name, or by its field's."""
    found = info.indexes.get(check_text("index_name", name))
    if found is None and name in info.schema.by_name:
        found = info.index_of(field_of(info, name).id)
    if found is None or not _is_explicit(found):
        raise IndexNotExistException(message=f"collection {info.name} has no index {name}")
    return found


def _coverage(state: State, collection_id: int, index: IndexSpec) -> tuple[int, int]:
    """(rows of sealed segments, those of them that the index covers)."""
    collection = state.collections[collection_id]
    sealed = [s for s in collection.segments.values() if s.sealed]
    total = sum(s.rows for s in sealed)
    if not needs_file(index):
        return total, total
    return total, sum(s.rows for s in sealed if index_file(index) in s.files)
