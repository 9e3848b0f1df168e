"""Client methods on aliases: other names of collections, usable wherever a name is."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_text
from walvec.names import check_name
from walvec.segments import catalog_commands
from walvec.segments.catalog import CollectionInfo
from walvec.segments.read_handle import database_of
from walvec.session import Session, check_options
from walvec.wal.errors import AliasNotExistException


class AliasCalls(Session):
    """Methods on the aliases of a database."""

    def create_alias(
        self, collection_name: str, alias: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Give a collection another name. Nothing if it has it already.

        Raises AliasAlreadyExistException if it is that of another collection.
        """
        check_options("create_alias", kwargs)
        self._set_alias(collection_name, alias, timeout, take=False)

    def alter_alias(
        self, collection_name: str, alias: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Let an alias name this collection from now on. Raises AliasNotExistException."""
        check_options("alter_alias", kwargs)
        self._described(alias)
        self._set_alias(collection_name, alias, timeout, take=True)

    def _set_alias(self, name: str, alias: str, timeout: float | None, *, take: bool) -> None:
        check_name("alias", alias)
        info = self.info(name)
        command = catalog_commands.set_alias(info.id, info.name, alias, take=take)
        self._execute(command, timeout)

    def drop_alias(self, alias: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Take a name away. Nothing if there is no such alias."""
        check_options("drop_alias", kwargs)
        info = self._collection_of(alias)
        if info is not None:
            self._execute(catalog_commands.drop_alias(info.id, info.name, alias), timeout)

    def describe_alias(
        self, alias: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, str]:
        """{"alias": ..., "collection_name": ..., "db_name": ...}. Raises AliasNotExistException."""
        check_options("describe_alias", kwargs)
        self._time(timeout)
        name = self._described(alias)
        return {"alias": alias, "collection_name": name, "db_name": self._database}

    def _described(self, alias: str) -> str:
        """The collection of an alias."""
        info = self._collection_of(alias)
        if info is None:
            raise AliasNotExistException(message=f"alias {alias} does not exist")
        return info.name

    def _collection_of(self, alias: str) -> CollectionInfo | None:
        """The collection that has this other name, if one has."""
        published = self._store.current()
        aliases = database_of(published, self._database).aliases
        number = aliases.get(check_text("alias", alias))
        return None if number is None else published.collections[number]

    def list_aliases(
        self, collection_name: str = "", timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """{"aliases": [...], "collection_name": ..., "db_name": ...} of a collection, or, without
        a name, of the database."""
        check_options("list_aliases", kwargs)
        self._time(timeout)
        if not check_text("collection_name", collection_name):
            return {"aliases": sorted(self._database_info("").aliases), "db_name": self._database}
        info = self.info(collection_name)
        return {
            "aliases": sorted(info.aliases),
            "collection_name": info.name,
            "db_name": self._database,
        }
