"""The indexes of a collection of the ORM."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_dict, check_text
from walvec.client import MilvusClient
from walvec.descriptions import Status
from walvec.futures import answered
from walvec.orm_handle import CollectionHandle
from walvec.params import IndexParams
from walvec.session import check_options, check_timeout, field_of
from walvec.wal.errors import AmbiguousIndexName, IndexNotExistException, ParamError
from walvec.wal.shown import shown


def only_index(client: MilvusClient, collection_name: str, index_name: str) -> str:
    """The name given, or that of the only index.

    Raises AmbiguousIndexName where there are several, IndexNotExistException where there are none.
    """
    names = client.list_indexes(collection_name)
    if not check_text("index_name", index_name):
        if len(names) > 1:
            raise AmbiguousIndexName(
                message=f"collection {collection_name} has the indexes {', '.join(names)}: name one"
            )
        index_name = names[0] if names else ""
    if index_name not in names:
        raise IndexNotExistException(
            message=f"collection {collection_name} has no index {index_name}".rstrip()
        )
    return index_name


class Index:
    """An index of a collection: `index.params` has index_type, metric_type and params."""

    def __init__(
        self,
        collection: CollectionHandle,
        field_name: str,
        index_params: dict[str, Any],
        *,
        index_name: str = "",
        construct_only: bool = False,
        **kwargs: Any,
    ) -> None:
        """Index a field, as Collection.create_index does. construct_only: it is there already."""
        if not isinstance(collection, CollectionHandle):
            raise ParamError(message=f"collection must be a Collection, got {shown(collection)}")
        self._collection = collection
        self._field_name = field_name
        self._params = dict(check_dict("index_params", index_params))
        if not construct_only:
            create_index(collection, field_name, index_params, None, index_name, kwargs)
        else:
            check_options("Index", kwargs)
        self._index_name = index_name or field_name

    @property
    def params(self) -> dict[str, Any]:
        """index_type, metric_type and the type's own params: a copy."""
        return {k: dict(v) if isinstance(v, dict) else v for k, v in self._params.items()}

    @property
    def collection_name(self) -> str:
        """The collection's name."""
        return self._collection.name

    @property
    def field_name(self) -> str:
        """The field's name."""
        return self._field_name

    @property
    def index_name(self) -> str:
        """The index's name, that of the field where none was given."""
        return self._index_name

    def to_dict(self) -> dict[str, Any]:
        """Names and parameters, with pymilvus' keys."""
        return {
            "collection": self.collection_name,
            "field": self.field_name,
            "index_name": self.index_name,
            "index_param": self.params,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Index) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Index({self.to_dict()})"

    def drop(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Drop the index, see MilvusClient.drop_index."""
        client = self._collection._client
        client.drop_index(self.collection_name, self.index_name, timeout, **kwargs)


def create_index(
    collection: CollectionHandle,
    field_name: str,
    index_params: dict[str, Any] | None,
    timeout: float | None,
    index_name: str,
    kwargs: dict[str, Any],
) -> Any:
    """Index a field of a collection."""
    given = dict(check_dict("index_params", index_params))
    params = IndexParams()
    params.add_index(field_name, **{**given, "index_name": index_name or given.get("index_name")})

    def call() -> Status:
        collection._client.create_index(collection.name, params, timeout, **kwargs)
        return Status()

    return answered(kwargs, call)


class CollectionIndexes(CollectionHandle):
    """What can be done with a collection's indexes."""

    @property
    def indexes(self) -> list[Index]:
        """The indexes that were asked for."""
        return [self._index(name) for name in self._client.list_indexes(self._name)]

    def _index(self, name: str) -> Index:
        index = self._info.indexes[name]
        params: dict[str, Any] = {"index_type": index.index_type, "params": dict(index.params)}
        if index.metric_type:
            params["metric_type"] = index.metric_type
        params |= index.properties
        return Index(self, index.field_name, params, index_name=index.name, construct_only=True)

    def index(self, *, index_name: str = "", **kwargs: Any) -> Index:
        """The index of this name, or the only one.

        Raises IndexNotExistException, AmbiguousIndexName.
        """
        check_options("index", kwargs)
        return self._index(only_index(self._client, self._name, index_name))

    def has_index(
        self, timeout: float | None = None, *, index_name: str = "", **kwargs: Any
    ) -> bool:
        """Whether there is an index (of this name). Raises AmbiguousIndexName."""
        check_options("has_index", kwargs)
        check_timeout(timeout)
        try:
            only_index(self._client, self._name, index_name)
        except IndexNotExistException:
            return False
        return True

    def create_index(
        self,
        field_name: str,
        index_params: dict[str, Any] | None = None,
        timeout: float | None = None,
        *,
        index_name: str = "",
        **kwargs: Any,
    ) -> Status:
        """Index a field: {"index_type": ..., "metric_type": ..., "params": {...}}; AUTOINDEX
        without parameters. kwargs: sync, see MilvusClient.create_index. With _async=True a
        CallFuture comes back."""
        field_of(self._info, field_name)
        result: Status = create_index(self, field_name, index_params, timeout, index_name, kwargs)
        return result

    def alter_index(
        self,
        index_name: str,
        extra_params: dict[str, Any],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Set properties of an index, see MilvusClient.alter_index_properties."""
        self._client.alter_index_properties(self._name, index_name, extra_params, timeout, **kwargs)

    def drop_index(
        self, timeout: float | None = None, *, index_name: str = "", **kwargs: Any
    ) -> None:
        """Drop the index of this name, or the only one. Nothing if there is none.

        Raises AmbiguousIndexName, ParamError where the collection is loaded.
        """
        check_options("drop_index", kwargs)
        if self.has_index(timeout, index_name=index_name):
            name = only_index(self._client, self._name, index_name)
            self._client.drop_index(self._name, name, timeout)
