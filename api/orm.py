"""Collection: one collection as an object, as in pymilvus' ORM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from walvec.arguments import check_text
from walvec.connection_names import DEFAULT_ALIAS, connections
from walvec.data_frames import schema_of_frame, without_null_keys
from walvec.missing import COLLECTION_METHODS, missing
from walvec.orm_index import CollectionIndexes
from walvec.orm_partition import Partition
from walvec.orm_rows import CollectionRows
from walvec.results import MutationResult
from walvec.wal.errors import PartitionAlreadyExistException


class Collection(CollectionRows, CollectionIndexes):
    """A collection by its name or an alias: rows, indexes, partitions, what is in memory."""

    @classmethod
    def construct_from_dataframe(
        cls, name: str, dataframe: Any, **kwargs: Any
    ) -> tuple[Collection, MutationResult]:
        """A collection with the fields and rows of a pandas DataFrame, and what the insertion
        did. One that is there only gets the rows.

        kwargs: primary_field, the name of a column; auto_id, that column is empty then; others
        as for Collection. A field's type is that of its column, a column of Python objects is
        told by its first row. Raises SchemaNotReadyException, CannotInferSchemaException.
        """
        primary = kwargs.pop("primary_field", None)
        auto_id = kwargs.pop("auto_id", False)
        dataframe = without_null_keys(dataframe, primary, auto_id)
        using = check_text("using", kwargs.get("using", DEFAULT_ALIAS))
        schema = None
        if not connections.client(using).has_collection(name):
            schema = schema_of_frame(dataframe, primary, auto_id)
        collection = cls(name, schema, **kwargs)
        return collection, collection.insert(dataframe)

    @property
    def partitions(self) -> list[Partition]:
        """The collection's partitions, in the order in which they were made."""
        names = self._client.list_partitions(self._name)
        return [Partition(self, name, construct_only=True) for name in names]

    def partition(self, partition_name: str, **kwargs: Any) -> Partition | None:
        """The partition of this name, None if there is none."""
        if not self.has_partition(partition_name, **kwargs):
            return None
        return Partition(self, partition_name, construct_only=True)

    def has_partition(
        self, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> bool:
        """Whether there is a partition of this name."""
        return self._client.has_partition(self._name, partition_name, timeout, **kwargs)

    def create_partition(
        self, partition_name: str, description: str = "", **kwargs: Any
    ) -> Partition:
        """Make an empty partition. kwargs: timeout. Raises PartitionAlreadyExistException."""
        if self.has_partition(partition_name):
            raise PartitionAlreadyExistException(
                message=f"collection {self._name} has a partition {partition_name} already"
            )
        return Partition(self, partition_name, description, **kwargs)

    def drop_partition(
        self, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drop a partition with its rows; it must be released."""
        self._client.drop_partition(self._name, partition_name, timeout, **kwargs)

    if not TYPE_CHECKING:  # type checkers go on to refuse names that are not there

        def __getattr__(self, name: str) -> Any:
            return missing(self, COLLECTION_METHODS, name)
