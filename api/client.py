"""MilvusClient: a store with pymilvus' methods."""

from __future__ import annotations

from walvec.collection_calls import CollectionCalls
from walvec.index_calls import IndexCalls
from walvec.row_calls import RowCalls
from walvec.stores import installed_version


class MilvusClient(RowCalls, CollectionCalls, IndexCalls):
    """A client of the store in a folder: `MilvusClient("./mystore")`.

    Every method that changes something is durable on return. Threads may share a client.
    Clients of one process share one store, which the last `close()` closes; a client is a
    context manager.
    """

    def get_server_version(self) -> str:
        """walvec's own version."""
        return f"walvec {installed_version()}"
