"""MilvusClient: a store with pymilvus' methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from walvec.alias_calls import AliasCalls
from walvec.arguments import check_flag
from walvec.change_calls import ChangeCalls
from walvec.collection_calls import CollectionCalls
from walvec.database_calls import DatabaseCalls
from walvec.explain_calls import ExplainCalls
from walvec.field_calls import FieldCalls
from walvec.index_property_calls import IndexPropertyCalls
from walvec.missing import CLIENT_METHODS, missing
from walvec.partition_calls import PartitionCalls
from walvec.query_calls import QueryCalls
from walvec.search_calls import SearchCalls
from walvec.segment_calls import SegmentCalls
from walvec.segments.caches import library_versions
from walvec.session import check_options, check_timeout
from walvec.stores import installed_version
from walvec.write_calls import WriteCalls


class MilvusClient(
    ChangeCalls,
    QueryCalls,
    SearchCalls,
    ExplainCalls,
    WriteCalls,
    CollectionCalls,
    FieldCalls,
    SegmentCalls,
    PartitionCalls,
    AliasCalls,
    DatabaseCalls,
    IndexPropertyCalls,
):
    """A client of the store in a folder: `MilvusClient("./mystore")`.

    Every method that changes something is durable on return. Threads may share a client.
    Clients of one process share one store, which the last `close()` closes; a client is a
    context manager.
    """

    def get_server_version(
        self, timeout: float | None = None, detail: bool = False, **kwargs: Any
    ) -> str | dict[str, Any]:
        """walvec's own version. detail: a dictionary of it and what it runs on."""
        check_options("get_server_version", kwargs)
        check_timeout(timeout)
        version = f"walvec {installed_version()}"
        if not check_flag("detail", detail):
            return version
        return {"version": version, "deploy_mode": "EMBEDDED", **library_versions()}

    def get_server_type(self) -> str:
        """ "walvec": what pymilvus asks of a server."""
        return "walvec"

    if not TYPE_CHECKING:  # type checkers go on to refuse names that are not there

        def __getattr__(self, name: str) -> Any:
            return missing(self, CLIENT_METHODS, name)
