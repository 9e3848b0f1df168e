"""Named connections of the ORM: pymilvus' `connections`."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

from walvec.arguments import check_dict, check_text
from walvec.client import MilvusClient
from walvec.stores import URI_VARIABLE, default_uri, folder_of
from walvec.wal.errors import ConnectionConfigException, ConnectionNotExistException
from walvec.wal.shown import shown

DEFAULT_ALIAS = "default"
DEFAULT_HOST = "localhost"
DEFAULT_PORT = 19530
"""The port of Milvus; it becomes part of a folder's name."""
ADDRESS = ("address", "uri", "host", "port")
"""The keywords that say where a store is, the first of them that is given counts."""

Uri = str | os.PathLike[str]


class Connections:
    """Connections by alias. `default` needs no connect(): it is opened when first used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, MilvusClient] = {}
        self._configs: dict[str, dict[str, Any]] = {}

    def _forked(self) -> None:
        """In a child: a thread that is not there may have held the lock."""
        self._lock = threading.Lock()

    def add_connection(self, **kwargs: Any) -> None:
        """Say where connections are, to be opened by `connect(alias)`: an alias each, with a
        dictionary of `uri`, `address`, or `host` and `port`, and `user`.

        Raises ConnectionConfigException for one that is open elsewhere.
        """
        for alias, given in kwargs.items():
            config = dict(check_dict(f"connection {alias}", given))
            uri = _uri_of({key: config.pop(key, None) for key in ADDRESS})
            user = check_text("user", config.pop("user", ""))
            if config:
                raise ConnectionConfigException(
                    message=f"connection {alias} does not take {', '.join(sorted(config))}"
                )
            uri = default_uri() if uri is None else uri
            with self._lock:
                present = self._clients.get(alias)
                if present is not None and present.folder != folder_of(uri).resolve():
                    raise _elsewhere(alias, present)
                self._configs[alias] = {"uri": uri, "user": user}

    def connect(
        self,
        alias: str = DEFAULT_ALIAS,
        user: str = "",
        password: str = "",
        db_name: str = "default",
        token: str = "",
        **kwargs: Any,
    ) -> None:
        """Open the store in the folder `uri` as `alias`; without a `uri` that which was given for
        the alias before, else $WALVEC_URI, and for `default` else ./walvec-store.

        kwargs: uri and others of MilvusClient; `address`, or `host` and `port`, name a server,
        which becomes a folder, see MilvusClient.
        Raises ConnectionConfigException if the alias is open on another store, or nothing says
        where it is; DatabaseNotExistException.
        """
        check_text("alias", alias)
        uri = _uri_of({key: kwargs.pop(key, None) for key in ADDRESS})
        with self._lock:
            self._connect(alias, uri, user, password, db_name, token, kwargs)

    def _connect(
        self,
        alias: str,
        uri: Uri | None,
        user: str | None,
        password: str,
        db_name: str,
        token: str,
        kwargs: dict[str, Any],
    ) -> MilvusClient:
        """Open a connection. The lock is held."""
        given = self._uri(alias) if uri is None else uri
        present = self._clients.get(alias)
        client = MilvusClient(given, user or "", password, db_name, token, **kwargs)
        if present is not None and present.folder != client.folder:
            client.close()
            raise _elsewhere(alias, present)
        self._clients[alias] = client
        if uri is not None or alias in self._configs:
            # By its resolved name: the process may change its working directory.
            self._configs[alias] = {"uri": client.folder, "user": user or ""}
        if present is not None:
            present.close()
        return client

    def _uri(self, alias: str) -> Uri:
        """Where the connection of an alias is, if connect() does not say. Raises
        ConnectionConfigException."""
        if alias in self._clients:
            return self._clients[alias].folder
        if alias in self._configs:
            uri: Uri = self._configs[alias]["uri"]
            return uri
        if alias == DEFAULT_ALIAS or os.environ.get(URI_VARIABLE):
            return default_uri()
        raise ConnectionConfigException(
            message=f"nothing says where connection {alias} is: connect({alias!r}, uri=...)"
        )

    def disconnect(self, alias: str) -> None:
        """Close a connection; connect(alias) opens it again. Nothing if there is none."""
        with self._lock:
            client = self._clients.pop(check_text("alias", alias), None)
        if client is not None:
            client.close()

    def remove_connection(self, alias: str) -> None:
        """Close a connection, and forget where it is."""
        self.disconnect(alias)
        self._configs.pop(alias, None)

    async def async_disconnect(self, alias: str) -> None:
        """As disconnect, in a thread."""
        await asyncio.to_thread(self.disconnect, alias)

    async def async_remove_connection(self, alias: str) -> None:
        """As remove_connection, in a thread."""
        await asyncio.to_thread(self.remove_connection, alias)

    def has_connection(self, alias: str) -> bool:
        """Whether a connection of this alias is open."""
        return check_text("alias", alias) in self._clients

    def list_connections(self) -> list[tuple[str, MilvusClient | None]]:
        """(alias, client) of every connection that is known, None for one that is not open."""
        with self._lock:
            known = dict.fromkeys((DEFAULT_ALIAS, *self._configs, *self._clients))
            return [(alias, self._clients.get(alias)) for alias in known]

    def get_connection_addr(self, alias: str) -> dict[str, str]:
        """{"address": folder, "user": ...} of a connection, with "db_name" if it is open; {} if
        none is known."""
        with self._lock:
            client = self._clients.get(check_text("alias", alias))
            config = self._configs.get(alias, {})
        user = str(config.get("user", ""))
        if client is not None:
            return {"address": str(client.folder), "user": user, "db_name": client.database}
        return {"address": str(config["uri"]), "user": user} if config else {}

    def client(self, alias: str = DEFAULT_ALIAS) -> MilvusClient:
        """The client of a connection; `default` is opened if need be.

        Raises ConnectionNotExistException.
        """
        client = self._clients.get(check_text("alias", alias))
        if client is not None:
            return client
        if alias != DEFAULT_ALIAS:
            raise ConnectionNotExistException(
                message=f"no connection {alias} is open: connect() first"
            )
        with self._lock:  # one of several threads opens it
            client = self._clients.get(alias)
            return client or self._connect(alias, None, "", "", "", "", {})


def _uri_of(given: dict[str, Any]) -> Uri | None:
    """What a connection's keywords say; None if they say nothing."""
    # "" is nothing, as in pymilvus.
    address, uri, host, port = (
        None if isinstance(value, str) and not value else value for value in given.values()
    )
    if address is not None:
        return f"http://{check_text('address', address)}"
    if uri is not None:
        found: Uri = uri
        return found
    if host is None and port is None:
        return None
    name = DEFAULT_HOST if host is None else check_text("host", host)
    number = DEFAULT_PORT if port is None else port
    if isinstance(number, bool) or not isinstance(number, str | int) or not str(number).isdecimal():
        raise ConnectionConfigException(message=f"port {shown(number)} is not a number")
    return f"http://{name}:{number}"


def _elsewhere(alias: str, present: MilvusClient) -> ConnectionConfigException:
    return ConnectionConfigException(
        message=f"connection {alias} is open on {present.folder}: disconnect() it first"
    )


connections = Connections()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=connections._forked)
