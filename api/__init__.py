"""walvec: an embedded, durable vector store whose write-ahead log is the database.

    from walvec import MilvusClient

    with MilvusClient("./mystore") as client:
        client.create_collection("docs", dimension=4)
        client.insert("docs", {"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]})
        client.search("docs", [[0.1, 0.2, 0.3, 0.4]], limit=1)

The names are those of pymilvus.
"""

from walvec.client import MilvusClient
from walvec.connections import connections, utility
from walvec.orm import Collection
from walvec.params import IndexParams
from walvec.results import ConsistencyLevel, Hit, Hits, LoadState, MutationResult, SearchResult
from walvec.schema import CollectionSchema, FieldSchema
from walvec.stores import installed_version
from walvec.wal.errors import MilvusException
from walvec.wal.schema import DataType

__version__ = installed_version()

__all__ = [
    "Collection",
    "CollectionSchema",
    "ConsistencyLevel",
    "DataType",
    "FieldSchema",
    "Hit",
    "Hits",
    "IndexParams",
    "LoadState",
    "MilvusClient",
    "MilvusException",
    "MutationResult",
    "SearchResult",
    "connections",
    "utility",
]
