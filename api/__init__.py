"""walvec: an embedded, durable vector store whose write-ahead log is the database.

    from walvec import MilvusClient

    with MilvusClient("./mystore") as client:
        client.create_collection("docs", dimension=4)
        client.insert("docs", {"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]})
        client.search("docs", [[0.1, 0.2, 0.3, 0.4]], limit=1)

The names are those of pymilvus.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from walvec import db, utility
    from walvec.async_client import AsyncMilvusClient
    from walvec.client import MilvusClient
    from walvec.connection_names import connections
    from walvec.descriptions import Group, Replica, SegmentState, Shard, Status
    from walvec.exceptions import MilvusUnavailableException
    from walvec.futures import MutationFuture, SearchFuture
    from walvec.missing import PyMilvusDeprecationWarning
    from walvec.orm import Collection
    from walvec.orm_index import Index
    from walvec.orm_partition import Partition
    from walvec.params import IndexParams
    from walvec.rankers import AnnSearchRequest, RRFRanker, WeightedRanker
    from walvec.results import ConsistencyLevel, Hit, Hits, LoadState, MutationResult, SearchResult
    from walvec.schema import CollectionSchema, FieldSchema
    from walvec.utility import (
        drop_collection,
        has_collection,
        has_partition,
        hybridts_to_datetime,
        hybridts_to_unixtime,
        index_building_progress,
        list_collections,
        loading_progress,
        mkts_from_datetime,
        mkts_from_hybridts,
        mkts_from_unixtime,
        wait_for_index_building_complete,
        wait_for_loading_complete,
    )
    from walvec.wal.errors import MilvusException
    from walvec.wal.schema import DataType

    __version__: str

__all__ = [
    "AnnSearchRequest",
    "AsyncMilvusClient",
    "Collection",
    "CollectionSchema",
    "ConsistencyLevel",
    "DataType",
    "FieldSchema",
    "Group",
    "Hit",
    "Hits",
    "Index",
    "IndexParams",
    "LoadState",
    "MilvusClient",
    "MilvusException",
    "MilvusUnavailableException",
    "MutationFuture",
    "MutationResult",
    "Partition",
    "PyMilvusDeprecationWarning",
    "RRFRanker",
    "Replica",
    "SearchFuture",
    "SearchResult",
    "SegmentState",
    "Shard",
    "Status",
    "WeightedRanker",
    "connections",
    "db",
    "drop_collection",
    "has_collection",
    "has_partition",
    "hybridts_to_datetime",
    "hybridts_to_unixtime",
    "index_building_progress",
    "list_collections",
    "loading_progress",
    "mkts_from_datetime",
    "mkts_from_hybridts",
    "mkts_from_unixtime",
    "utility",
    "wait_for_index_building_complete",
    "wait_for_loading_complete",
]

_HOMES = {
    "async_client": "AsyncMilvusClient",
    "client": "MilvusClient",
    "connection_names": "connections",
    "descriptions": "Group Replica SegmentState Shard Status",
    "exceptions": "MilvusUnavailableException",
    "futures": "MutationFuture SearchFuture",
    "missing": "PyMilvusDeprecationWarning",
    "orm": "Collection",
    "orm_index": "Index",
    "orm_partition": "Partition",
    "params": "IndexParams",
    "rankers": "AnnSearchRequest RRFRanker WeightedRanker",
    "results": "ConsistencyLevel Hit Hits LoadState MutationResult SearchResult",
    "schema": "CollectionSchema FieldSchema",
    "utility": "drop_collection has_collection has_partition hybridts_to_datetime "
    "hybridts_to_unixtime index_building_progress list_collections loading_progress "
    "mkts_from_datetime mkts_from_hybridts mkts_from_unixtime "
    "wait_for_index_building_complete wait_for_loading_complete",
    "wal.errors": "MilvusException",
    "wal.schema": "DataType",
}
"""The module that each name is in: it is imported when one of them is asked for, so that who
imports a part of walvec (pytest its plugin, in every run) does not pay for the whole."""
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

if not TYPE_CHECKING:  # type checkers go on to refuse names that are not there

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            value = import_module("walvec.stores").installed_version()
        elif name in _HOME_OF:
            value = getattr(import_module(f"walvec.{_HOME_OF[name]}"), name)
        elif name.isidentifier() and name[0] != "_" and find_spec(f"walvec.{name}"):
            value = import_module(f"walvec.{name}")
        else:
            return import_module("walvec.missing").missing_name(name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, "__version__"})
