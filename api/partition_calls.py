"""Client methods on partitions."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_text, check_texts
from walvec.load_calls import check_load_options
from walvec.names import check_name
from walvec.segments import catalog_commands
from walvec.segments.catalog import CollectionInfo
from walvec.segments.counting import count_rows
from walvec.segments.expiry import expire_rows
from walvec.segments.memory import trim
from walvec.session import Session, check_options, partitions_of
from walvec.wal.errors import ParamError


class PartitionCalls(Session):
    """Methods that take partitions of a collection."""

    def create_partition(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Make an empty partition, loaded if the collection was loaded whole. Nothing if it is
        there already. Raises ParamError where a partition key makes the partitions."""
        check_options("create_partition", kwargs)
        check_name("partition", partition_name)
        info = self.info(collection_name)
        _refuse_partition_key(info)
        command = catalog_commands.create_partition(info.id, info.name, partition_name)
        self._execute(command, timeout)

    def drop_partition(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drop a released partition with its rows. Nothing if there is none of this name.

        What its rows had replaced in other partitions does not come back. Raises ParamError for
        one that is loaded, and for `_default`.
        """
        check_options("drop_partition", kwargs)
        check_text("partition_name", partition_name)
        info = self.info(collection_name)
        _refuse_partition_key(info)
        command = catalog_commands.drop_partition(info.id, info.name, partition_name)
        self._execute(command, timeout)

    def has_partition(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> bool:
        """Whether a collection has a partition of this name."""
        check_options("has_partition", kwargs)
        self._time(timeout)
        return check_text("partition_name", partition_name) in self.info(collection_name).partitions

    def list_partitions(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> list[str]:
        """The names of all partitions, in the order in which they were made."""
        check_options("list_partitions", kwargs)
        self._time(timeout)
        return list(self.info(collection_name).partitions)

    def load_partitions(
        self,
        collection_name: str,
        partition_names: str | list[str],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Materialize partitions into memory, beside those that are. They stay loaded until they
        are released, also when the store is opened again. kwargs: those of load_collection.

        Raises MemoryException.
        """
        check_load_options("load_partitions", kwargs)
        info = self.info(collection_name)
        names = _names(info, partition_names)
        self._execute(catalog_commands.load_partitions(info.id, info.name, names), timeout)
        self._store.view(self.info(collection_name))

    def release_partitions(
        self,
        collection_name: str,
        partition_names: str | list[str],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Drop the rows of partitions from memory."""
        check_options("release_partitions", kwargs)
        info = self.info(collection_name)
        names = _names(info, partition_names)
        self._execute(catalog_commands.release_partitions(info.id, info.name, names), timeout)
        trim()

    def get_partition_stats(
        self, collection_name: str, partition_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, int]:
        """{"row_count": n}: rows that are visible now, exactly, loaded or not."""
        check_options("get_partition_stats", kwargs)
        self._time(timeout)
        info = self.info(collection_name)
        (name,) = _names(info, check_text("partition_name", partition_name))
        expire_rows(self._store, info)
        return {"row_count": count_rows(self._store, info, info.partitions[name])}


def _names(info: CollectionInfo, names: str | list[str]) -> list[str]:
    """Names of partitions, one at least. Raises ParamError, PartitionNotExistException."""
    wanted = [names] if isinstance(names, str) else check_texts("partition_names", names)
    if not wanted or "" in wanted:
        raise ParamError(message=f"collection {info.name}: name a partition, one at least")
    partitions_of(info, wanted)
    return wanted


def _refuse_partition_key(info: CollectionInfo) -> None:
    if info.schema.partition_key is not None:
        raise ParamError(
            message=f"collection {info.name} has the partition key "
            f"{info.schema.partition_key.name}: its partitions are fixed"
        )
