"""Databases of a connection: pymilvus' `db`."""

from __future__ import annotations

from typing import Any

from walvec.connection_names import DEFAULT_ALIAS, connections


def using_database(db_name: str, using: str = DEFAULT_ALIAS) -> None:
    """Let what follows on this connection mean this database.

    Raises DatabaseNotExistException.
    """
    connections.client(using).use_database(db_name)


def create_database(
    db_name: str, using: str = DEFAULT_ALIAS, timeout: float | None = None, **kwargs: Any
) -> None:
    """Make an empty database. kwargs: properties, see MilvusClient.create_database."""
    connections.client(using).create_database(db_name, timeout=timeout, **kwargs)


def drop_database(db_name: str, using: str = DEFAULT_ALIAS, timeout: float | None = None) -> None:
    """Drop a database that has no collections left."""
    connections.client(using).drop_database(db_name, timeout)


def list_database(using: str = DEFAULT_ALIAS, timeout: float | None = None) -> list[str]:
    """The names of all databases, `default` first."""
    return connections.client(using).list_databases(timeout)


def set_properties(
    db_name: str,
    properties: dict[str, Any],
    using: str = DEFAULT_ALIAS,
    timeout: float | None = None,
) -> None:
    """Set properties, see MilvusClient.alter_database_properties."""
    connections.client(using).alter_database_properties(db_name, properties, timeout)


def describe_database(
    db_name: str, using: str = DEFAULT_ALIAS, timeout: float | None = None
) -> dict[str, Any]:
    """{"name": ...} with the database's properties beside it."""
    return connections.client(using).describe_database(db_name, timeout)
