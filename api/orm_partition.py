"""Partition: one partition of a collection as an object, as in pymilvus' ORM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from walvec.descriptions import Replica
from walvec.futures import CallFuture
from walvec.orm_rows import CollectionRows
from walvec.rankers import AnnSearchRequest, Ranker
from walvec.results import ExtraList, MutationResult, SearchResult
from walvec.wal.errors import ParamError
from walvec.wal.shown import shown


class Partition:
    """A partition by its name; made if it is not there."""

    def __init__(
        self,
        collection: CollectionRows | str,
        name: str,
        description: str = "",
        *,
        construct_only: bool = False,
        **kwargs: Any,
    ) -> None:
        """collection: a Collection, or the name of one on the connection `default`. description:
        of this object; it is not stored. construct_only: it is known to be there."""
        if isinstance(collection, str):
            collection = CollectionRows(collection)
        if not isinstance(collection, CollectionRows):
            raise ParamError(
                message=f"collection must be a Collection or a name, got {shown(collection)}"
            )
        self._collection = collection
        self._name = name
        self._description = description
        client = collection._client
        if not construct_only and not client.has_partition(collection.name, name):
            client.create_partition(collection.name, name, **kwargs)

    def __repr__(self) -> str:
        names = {"name": self.name, "collection_name": self._collection.name}
        return json.dumps({**names, "description": self.description}, separators=(",", ":"))

    @property
    def name(self) -> str:
        """The partition's name."""
        return self._name

    @property
    def description(self) -> str:
        """As given to this object."""
        return self._description

    @property
    def num_entities(self) -> int:
        """Rows of the partition that are visible now, exactly."""
        collection = self._collection
        return collection._client.get_partition_stats(collection.name, self._name)["row_count"]

    @property
    def is_empty(self) -> bool:
        """Whether there is no visible row."""
        return self.num_entities == 0

    def flush(self, timeout: float | None = None, **kwargs: Any) -> CallFuture | None:
        """Seal the growing segments of the collection."""
        return self._collection.flush(timeout, **kwargs)

    def drop(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Drop the partition with its rows; it must be released."""
        collection = self._collection
        collection._client.drop_partition(collection.name, self._name, timeout, **kwargs)

    def load(
        self, replica_number: int | None = None, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Materialize the partition into memory for search."""
        self._collection.load([self._name], replica_number, timeout, **kwargs)

    def release(self, timeout: float | None = None, **kwargs: Any) -> None:
        """Drop the partition's rows from memory."""
        collection = self._collection
        collection._client.release_partitions(collection.name, [self._name], timeout, **kwargs)

    def insert(self, data: Any, timeout: float | None = None, **kwargs: Any) -> MutationResult:
        """Append rows to the partition, see Collection.insert."""
        return self._collection.insert(data, self._name, timeout, **kwargs)

    def upsert(self, data: Any, timeout: float | None = None, **kwargs: Any) -> MutationResult:
        """As insert, of rows that may be present, in any partition."""
        return self._collection.upsert(data, self._name, timeout, **kwargs)

    def delete(self, expr: str, timeout: float | None = None, **kwargs: Any) -> MutationResult:
        """Delete the rows of the partition that match an expression."""
        return self._collection.delete(expr, self._name, timeout, **kwargs)

    def search(
        self,
        data: Any,
        anns_field: str,
        param: dict[str, Any],
        limit: int,
        expr: str | None = None,
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        round_decimal: int = -1,
        **kwargs: Any,
    ) -> SearchResult:
        """The nearest rows of the partition, see Collection.search."""
        return self._collection.search(
            data,
            anns_field,
            param,
            limit,
            expr,
            [self._name],
            output_fields,
            timeout,
            round_decimal,
            **kwargs,
        )

    def hybrid_search(
        self,
        reqs: Sequence[AnnSearchRequest],
        rerank: Ranker,
        limit: int,
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        round_decimal: int = -1,
        **kwargs: Any,
    ) -> SearchResult:
        """The answers of several searches of the partition, see Collection.hybrid_search."""
        return self._collection.hybrid_search(
            reqs, rerank, limit, [self._name], output_fields, timeout, round_decimal, **kwargs
        )

    def query(
        self,
        expr: str,
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> ExtraList:
        """The rows of the partition that match an expression, see Collection.query."""
        return self._collection.query(expr, output_fields, [self._name], timeout, **kwargs)

    def get_replicas(self, timeout: float | None = None, **kwargs: Any) -> Replica:
        """As Collection.get_replicas."""
        return self._collection.get_replicas(timeout, **kwargs)
