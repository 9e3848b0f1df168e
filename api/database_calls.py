"""Client methods on databases: name spaces for collections and aliases."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_texts
from walvec.names import check_name
from walvec.properties import DATABASE_PROPERTIES, check_properties, check_property_name
from walvec.segments import catalog_commands
from walvec.segments.catalog import DatabaseInfo
from walvec.session import Session, check_options
from walvec.wal.errors import ParamError


class DatabaseCalls(Session):
    """Methods on the databases of the store."""

    def create_database(
        self,
        db_name: str,
        properties: dict[str, Any] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Make an empty database. properties: `database.max.collections`, `timezone`.

        Raises ParamError, also if it is there already.
        """
        check_options("create_database", kwargs)
        check_name("database", db_name)
        texts = check_properties(db_name, properties, DATABASE_PROPERTIES)
        self._execute(catalog_commands.create_database(db_name, texts), timeout)

    def drop_database(self, db_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drop a database that has no collections left.

        Raises DatabaseNotExistException, and ParamError for one that has some, or is `default`.
        """
        check_options("drop_database", kwargs)
        database = self._named(db_name)
        self._execute(catalog_commands.drop_database(database.id), timeout)

    def list_databases(self, timeout: float | None = None, **kwargs: Any) -> list[str]:
        """The names of all databases, `default` first."""
        check_options("list_databases", kwargs)
        self._time(timeout)
        return list(self._store.current().databases)

    def describe_database(
        self, db_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """{"name": ...} with the database's properties beside it."""
        check_options("describe_database", kwargs)
        self._time(timeout)
        database = self._named(db_name)
        return {"name": database.name, **database.properties}

    def alter_database_properties(
        self,
        db_name: str,
        properties: dict[str, Any],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Set properties: `database.max.collections`, `timezone`."""
        check_options("alter_database_properties", kwargs)
        database = self._named(db_name)
        texts = check_properties(db_name, properties, DATABASE_PROPERTIES)
        self._execute(catalog_commands.alter_database(database.id, texts), timeout)

    def drop_database_properties(
        self,
        db_name: str,
        property_keys: list[str],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Take properties back to their defaults."""
        check_options("drop_database_properties", kwargs)
        database = self._named(db_name)
        keys = check_texts("property_keys", property_keys)
        for key in keys:
            check_property_name(db_name, key, DATABASE_PROPERTIES)
        command = catalog_commands.alter_database(database.id, {}, tuple(keys))
        self._execute(command, timeout)

    def use_database(self, db_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Let the calls of this client that follow mean this database.

        Raises DatabaseNotExistException.
        """
        check_options("use_database", kwargs)
        self._time(timeout)
        self._database = self._named(db_name).name

    def using_database(self, db_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """As use_database."""
        check_options("using_database", kwargs)
        self.use_database(db_name, timeout)

    def _named(self, db_name: str) -> DatabaseInfo:
        if not isinstance(db_name, str) or not db_name:
            raise ParamError(message="db_name is empty, or no name")
        return self._database_info(db_name)
