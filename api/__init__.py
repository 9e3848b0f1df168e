"""walvec: an embedded, durable vector store whose write-ahead log is the database.

    from walvec import MilvusClient

    with MilvusClient("./mystore") as client:
        client.create_collection("docs", dimension=4)
        client.insert("docs", {"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]})
        client.search("docs", [[0.1, 0.2, 0.3, 0.4]], limit=1)

The names are those of pymilvus.
"""

from typing import TYPE_CHECKING, Any

from walvec import db, utility
from walvec.async_client import AsyncMilvusClient
from walvec.client import MilvusClient
from walvec.connections import connections
from walvec.descriptions import Group, Replica, SegmentState, Shard, Status
from walvec.exceptions import MilvusUnavailableException
from walvec.futures import MutationFuture, SearchFuture
from walvec.missing import PyMilvusDeprecationWarning, missing_name
from walvec.orm import Collection
from walvec.orm_index import Index
from walvec.orm_partition import Partition
from walvec.params import IndexParams
from walvec.rankers import AnnSearchRequest, RRFRanker, WeightedRanker
from walvec.results import ConsistencyLevel, Hit, Hits, LoadState, MutationResult, SearchResult
from walvec.schema import CollectionSchema, FieldSchema
from walvec.stores import installed_version
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

__version__ = installed_version()

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

if not TYPE_CHECKING:  # type checkers go on to refuse names that are not there

    def __getattr__(name: str) -> Any:
        return missing_name(name)
