"""MilvusClient: a store with pymilvus' methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from walvec.arguments import check_flag
from walvec.change_calls import ChangeCalls
from walvec.collection_calls import CollectionCalls
from walvec.index_calls import IndexCalls
from walvec.missing import CLIENT_METHODS, missing
from walvec.row_calls import RowCalls
from walvec.session import check_options, check_timeout
from walvec.stores import installed_version
from walvec.wal.errors import NotSupportedException


class MilvusClient(ChangeCalls, RowCalls, CollectionCalls, IndexCalls):
    """A client of the store in a folder: `MilvusClient("./mystore")`.

    Every method that changes something is durable on return. Threads may share a client.
    Clients of one process share one store, which the last `close()` closes; a client is a
    context manager.
    """

    def get_server_version(
        self, timeout: float | None = None, detail: bool = False, **kwargs: Any
    ) -> str:
        """walvec's own version."""
        check_options("get_server_version", kwargs)
        check_timeout(timeout)
        if check_flag("detail", detail):
            raise NotSupportedException(message="get_server_version(detail=True): no server here")
        return f"walvec {installed_version()}"

    if not TYPE_CHECKING:  # type checkers go on to refuse names that are not there

        def __getattr__(self, name: str) -> Any:
            return missing(self, CLIENT_METHODS, name)
