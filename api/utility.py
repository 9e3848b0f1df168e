"""Collections by name, on a connection: pymilvus' `utility`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from walvec.arguments import check_text
from walvec.connection_names import DEFAULT_ALIAS, connections
from walvec.descriptions import QuerySegmentInfo
from walvec.futures import CallFuture, answered
from walvec.hybrid_timestamps import (
    hybridts_to_datetime,
    hybridts_to_unixtime,
    mkts_from_datetime,
    mkts_from_hybridts,
    mkts_from_unixtime,
)
from walvec.missing import UTILITY_FUNCTIONS, missing
from walvec.orm_index import only_index
from walvec.readers import partitions_to_read
from walvec.results import LoadState
from walvec.session import partitions_of

__all__ = [
    "alter_alias",
    "create_alias",
    "drop_alias",
    "drop_collection",
    "flush_all",
    "get_query_segment_info",
    "get_server_type",
    "get_server_version",
    "has_collection",
    "has_partition",
    "hybridts_to_datetime",
    "hybridts_to_unixtime",
    "index_building_progress",
    "list_aliases",
    "list_collections",
    "list_indexes",
    "load_state",
    "loading_progress",
    "mkts_from_datetime",
    "mkts_from_hybridts",
    "mkts_from_unixtime",
    "rename_collection",
    "truncate_collection",
    "wait_for_index_building_complete",
    "wait_for_loading_complete",
]


def has_collection(
    collection_name: str, using: str = DEFAULT_ALIAS, timeout: float | None = None
) -> bool:
    """Whether a collection or an alias has this name."""
    return connections.client(using).has_collection(collection_name, timeout)


def has_partition(
    collection_name: str,
    partition_name: str,
    using: str = DEFAULT_ALIAS,
    timeout: float | None = None,
) -> bool:
    """Whether a collection has a partition of this name."""
    return connections.client(using).has_partition(collection_name, partition_name, timeout)


def list_collections(
    timeout: float | None = None, using: str = DEFAULT_ALIAS, **kwargs: Any
) -> list[str]:
    """The names of all collections of the database."""
    return connections.client(using).list_collections(timeout=timeout, **kwargs)


def drop_collection(
    collection_name: str, timeout: float | None = None, using: str = DEFAULT_ALIAS
) -> None:
    """Drop a collection. Nothing if there is none of this name."""
    connections.client(using).drop_collection(collection_name, timeout)


def truncate_collection(
    collection_name: str, timeout: float | None = None, using: str = DEFAULT_ALIAS
) -> None:
    """Take all rows of a collection away."""
    connections.client(using).truncate_collection(collection_name, timeout)


def rename_collection(
    old_collection_name: str,
    new_collection_name: str,
    new_db_name: str = "",
    timeout: float | None = None,
    using: str = DEFAULT_ALIAS,
) -> None:
    """Give a collection another name, and with `new_db_name` another database."""
    connections.client(using).rename_collection(
        old_collection_name, new_collection_name, new_db_name, timeout
    )


def create_alias(
    collection_name: str, alias: str, timeout: float | None = None, using: str = DEFAULT_ALIAS
) -> None:
    """Give a collection another name beside its own."""
    connections.client(using).create_alias(collection_name, alias, timeout)


def drop_alias(alias: str, timeout: float | None = None, using: str = DEFAULT_ALIAS) -> None:
    """Take an alias away. Nothing if there is none of this name."""
    connections.client(using).drop_alias(alias, timeout)


def alter_alias(
    collection_name: str, alias: str, timeout: float | None = None, using: str = DEFAULT_ALIAS
) -> None:
    """Let an alias name this collection from now on. Raises AliasNotExistException."""
    connections.client(using).alter_alias(collection_name, alias, timeout)


def list_aliases(
    collection_name: str, timeout: float | None = None, using: str = DEFAULT_ALIAS
) -> list[str]:
    """The aliases of a collection."""
    found = connections.client(using).list_aliases(collection_name, timeout)
    return list(found["aliases"])


def list_indexes(
    collection_name: str,
    using: str = DEFAULT_ALIAS,
    timeout: float | None = None,
    **kwargs: Any,
) -> list[str]:
    """The names of the indexes that were asked for. kwargs: field_name, for those of one field."""
    if kwargs.get("field_name", "") is None:
        del kwargs["field_name"]
    return connections.client(using).list_indexes(collection_name, timeout=timeout, **kwargs)


def load_state(
    collection_name: str,
    partition_names: list[str] | None = None,
    using: str = DEFAULT_ALIAS,
    timeout: float | None = None,
) -> LoadState:
    """NotExist, NotLoad or Loaded: of a collection, or of partitions, all of which are loaded."""
    client = connections.client(using)
    state = client.get_load_state(collection_name, timeout=timeout)["state"]
    if state == LoadState.NotExist or not partition_names:
        return state
    info = client.info(collection_name)
    wanted = partitions_of(info, partition_names) or frozenset()
    return LoadState.Loaded if wanted <= info.loaded_partitions else LoadState.NotLoad


def loading_progress(
    collection_name: str,
    partition_names: list[str] | None = None,
    using: str = DEFAULT_ALIAS,
    timeout: float | None = None,
) -> dict[str, str]:
    """{"loading_progress": "100%"} of a loaded collection, "0%" of another; of partitions, how
    many of them are loaded. Raises CollectionNotExistException."""
    client = connections.client(using)
    info = client.info(collection_name)
    wanted = partitions_of(info, partition_names)
    if wanted:
        share = len(wanted & info.loaded_partitions) / len(wanted)
    else:
        share = float(load_state(collection_name, None, using, timeout) == LoadState.Loaded)
    return {"loading_progress": f"{100 * share:.0f}%"}


def wait_for_loading_complete(
    collection_name: str,
    partition_names: list[str] | None = None,
    timeout: float | None = None,
    using: str = DEFAULT_ALIAS,
) -> None:
    """Return when a loaded collection is in memory.

    Raises CollectionNotLoadedException, PartitionNotLoadedException.
    """
    client = connections.client(using)
    client.refresh_load(collection_name, timeout)
    partitions_to_read(client.info(collection_name), partition_names, None)


def index_building_progress(
    collection_name: str,
    index_name: str = "",
    using: str = DEFAULT_ALIAS,
    timeout: float | None = None,
) -> dict[str, Any]:
    """Rows of sealed segments, and how many of them the index covers: {"total_rows": ...,
    "indexed_rows": ..., "pending_index_rows": ..., "state": "Finished"}.

    Raises IndexNotExistException, and without a name AmbiguousIndexName.
    """
    client = connections.client(using)
    name = only_index(client, collection_name, index_name)
    described = client.describe_index(collection_name, name, timeout)
    keys = ("total_rows", "indexed_rows", "pending_index_rows", "state")
    return {key: described[key] for key in keys}


def wait_for_index_building_complete(
    collection_name: str,
    index_name: str = "",
    timeout: float | None = None,
    using: str = DEFAULT_ALIAS,
) -> bool:
    """Wait until all sealed segments have their indexes; True then.

    Raises IndexNotExistException for a name that is none, TimeoutException.
    """
    client = connections.client(using)
    client.info(collection_name)
    if check_text("index_name", index_name):
        client.describe_index(collection_name, index_name)
    client.wait_for_files(timeout)
    return True


def flush_all(
    using: str = DEFAULT_ALIAS, timeout: float | None = None, **kwargs: Any
) -> CallFuture | None:
    """Seal the growing segments of all collections of the database. kwargs: those of
    MilvusClient.flush_all; with _async=True a CallFuture comes back."""
    client = connections.client(using)
    started: CallFuture | None = answered(kwargs, lambda: client.flush_all(timeout, **kwargs))
    return started


def get_query_segment_info(
    collection_name: str, timeout: float | None = None, using: str = DEFAULT_ALIAS
) -> list[QuerySegmentInfo]:
    """The segments of a collection that are in memory."""
    found = connections.client(using).list_loaded_segments(collection_name, timeout)
    return [QuerySegmentInfo.of(segment) for segment in found]


def get_server_version(using: str = DEFAULT_ALIAS, timeout: float | None = None) -> str:
    """walvec's own version."""
    return str(connections.client(using).get_server_version(timeout))


def get_server_type(using: str = DEFAULT_ALIAS) -> str:
    """As MilvusClient.get_server_type."""
    return connections.client(using).get_server_type()


if not TYPE_CHECKING:  # type checkers go on to refuse names that are not there

    def __getattr__(name: str) -> Any:
        return missing("utility", UTILITY_FUNCTIONS, name)
