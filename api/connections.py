"""Named connections of the ORM, and the module-level `connections` and `utility` of pymilvus."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from walvec.arguments import check_text
from walvec.client import MilvusClient
from walvec.missing import UTILITY_FUNCTIONS, missing
from walvec.results import LoadState
from walvec.session import check_partitions, check_timeout
from walvec.stores import default_uri
from walvec.wal.errors import ConnectionNotExistException, ParamError

DEFAULT_ALIAS = "default"
DEFAULT_PORT = 19530
"""The port of Milvus; it becomes part of a folder's name."""


class Connections:
    """Connections by alias. Without any, `default` opens the default store when first used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, MilvusClient] = {}

    def connect(
        self,
        alias: str = DEFAULT_ALIAS,
        user: str = "",
        password: str = "",
        db_name: str = "default",
        token: str = "",
        *,
        uri: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Open the store in folder `uri` ($WALVEC_URI or ./walvec-store without one) as `alias`.

        kwargs: those of MilvusClient; `host`, `port` and `address` name a server, which becomes a
        folder, see MilvusClient. Raises ParamError if the alias stands for another store.
        """
        check_text("alias", alias)
        host, port, address = (kwargs.pop(name, None) for name in ("host", "port", "address"))
        if uri is None and address is not None:
            uri = f"http://{check_text('address', address)}"
        elif uri is None and host is not None:
            uri = f"http://{check_text('host', host)}:{DEFAULT_PORT if port is None else port}"
        if uri is None:
            uri = default_uri()
        client = MilvusClient(uri, user, password, db_name, token, **kwargs)
        with self._lock:
            present = self._clients.get(alias)
            if present is None:
                self._clients[alias] = client
                return
        same = present.folder == client.folder
        client.close()
        if not same:
            raise ParamError(
                message=f"connection {alias} is open on {present.folder}: disconnect() it first"
            )

    def disconnect(self, alias: str = DEFAULT_ALIAS) -> None:
        """Close a connection. Nothing if there is none."""
        with self._lock:
            client = self._clients.pop(check_text("alias", alias), None)
        if client is not None:
            client.close()

    def remove_connection(self, alias: str) -> None:
        """As disconnect."""
        self.disconnect(alias)

    def has_connection(self, alias: str = DEFAULT_ALIAS) -> bool:
        """Whether a connection of this alias is open."""
        return check_text("alias", alias) in self._clients

    def list_connections(self) -> list[tuple[str, MilvusClient]]:
        """(alias, client) of every open connection."""
        return list(self._clients.items())

    def get_connection_addr(self, alias: str) -> dict[str, str]:
        """{"uri": folder} of a connection, {} if there is none."""
        client = self._clients.get(check_text("alias", alias))
        return {} if client is None else {"uri": str(client.folder)}

    def client(self, alias: str = DEFAULT_ALIAS) -> MilvusClient:
        """The client of a connection; `default` is opened if need be.

        Raises ConnectionNotExistException.
        """
        client = self._clients.get(check_text("alias", alias))
        if client is None and alias == DEFAULT_ALIAS:
            self.connect()
            client = self._clients[alias]
        if client is None:
            raise ConnectionNotExistException(message=f"no connection {alias}: connect() first")
        return client


connections = Connections()


class Utility:
    """pymilvus' `utility`: collections by name, on a connection."""

    def has_collection(
        self, collection_name: str, using: str = DEFAULT_ALIAS, timeout: float | None = None
    ) -> bool:
        """Whether a collection has this name."""
        return connections.client(using).has_collection(collection_name, timeout)

    def list_collections(
        self, timeout: float | None = None, using: str = DEFAULT_ALIAS, **kwargs: Any
    ) -> list[str]:
        """The names of all collections."""
        return connections.client(using).list_collections(timeout=timeout, **kwargs)

    def drop_collection(
        self, collection_name: str, timeout: float | None = None, using: str = DEFAULT_ALIAS
    ) -> None:
        """Drop a collection. Nothing if there is none of this name."""
        connections.client(using).drop_collection(collection_name, timeout)

    def rename_collection(
        self,
        old_collection_name: str,
        new_collection_name: str,
        new_db_name: str = "",
        timeout: float | None = None,
        using: str = DEFAULT_ALIAS,
    ) -> None:
        """Give a collection another name."""
        connections.client(using).rename_collection(
            old_collection_name, new_collection_name, new_db_name, timeout
        )

    def load_state(
        self,
        collection_name: str,
        partition_names: list[str] | None = None,
        using: str = DEFAULT_ALIAS,
        timeout: float | None = None,
    ) -> LoadState:
        """NotExist, NotLoad or Loaded."""
        client = connections.client(using)
        state = client.get_load_state(collection_name, timeout=timeout)["state"]
        if state != LoadState.NotExist:
            check_partitions(client.info(collection_name), partition_names)
        return state

    def loading_progress(
        self,
        collection_name: str,
        partition_names: list[str] | None = None,
        using: str = DEFAULT_ALIAS,
        timeout: float | None = None,
    ) -> dict[str, str]:
        """{"loading_progress": "100%"} of a loaded collection, "0%" of another."""
        state = self.load_state(collection_name, partition_names, using, timeout)
        return {"loading_progress": "100%" if state == LoadState.Loaded else "0%"}

    def wait_for_loading_complete(
        self,
        collection_name: str,
        partition_names: list[str] | None = None,
        timeout: float | None = None,
        using: str = DEFAULT_ALIAS,
    ) -> None:
        """Return when a loaded collection is in memory. Raises CollectionNotLoadedException."""
        client = connections.client(using)
        check_partitions(client.info(collection_name), partition_names)
        client.refresh_load(collection_name, timeout)

    def index_building_progress(
        self,
        collection_name: str,
        index_name: str = "",
        using: str = DEFAULT_ALIAS,
        timeout: float | None = None,
    ) -> dict[str, int]:
        """Rows of sealed segments, and how many of them the index covers."""
        check_timeout(timeout)
        check_text("index_name", index_name)
        client = connections.client(using)
        names = [index_name] if index_name else client.list_indexes(collection_name)
        described = [client.describe_index(collection_name, name) for name in names]
        return {
            key: sum(d[key] for d in described)
            for key in ("total_rows", "indexed_rows", "pending_index_rows")
        }

    def wait_for_index_building_complete(
        self,
        collection_name: str,
        index_name: str = "",
        timeout: float | None = None,
        using: str = DEFAULT_ALIAS,
    ) -> None:
        """Wait until all sealed segments have their indexes. Raises TimeoutException."""
        client = connections.client(using)
        client.describe_collection(collection_name)
        client.wait_for_files(timeout)

    def get_server_version(self, using: str = DEFAULT_ALIAS, timeout: float | None = None) -> str:
        """walvec's own version."""
        return connections.client(using).get_server_version(timeout)

    if not TYPE_CHECKING:  # type checkers go on to refuse names that are not there

        def __getattr__(self, name: str) -> Any:
            return missing(self, UTILITY_FUNCTIONS, name)


utility = Utility()
