"""Client methods that load collections into memory and release them."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_flag, check_text
from walvec.missing import ONE_MACHINE
from walvec.results import LoadState
from walvec.segments import catalog_commands
from walvec.segments.memory import trim
from walvec.session import Session, check_options, partitions_of
from walvec.wal import failpoints
from walvec.wal.errors import CollectionNotExistException, NotSupportedException
from walvec.wal.shown import shown

WHOLE_ROWS = "all fields are loaded; with the property mmap.enabled they stay on disk"
NOT_LOADED_SO = {
    "resource_groups": ONE_MACHINE,
    "priority": "a load is done at once, whatever its priority",
    "load_fields": WHOLE_ROWS,
    "skip_load_dynamic_field": WHOLE_ROWS,
}


class LoadCalls(Session):
    """Methods on what is in memory."""

    def load_collection(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Materialize a collection into memory for search. It stays loaded until released, also
        when the store is opened again.

        kwargs: replica_number (1), refresh (True or False; everything is loaded in any case).
        Raises MemoryException, LogCorruptedException.
        """
        check_load_options("load_collection", kwargs)
        info = self.info(collection_name)
        self._execute(catalog_commands.load(info.id, info.name), timeout)
        failpoints.hit("load.after-commit")
        self._store.view(self.info(collection_name))

    def refresh_load(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Load what came since the load. Here that is always loaded already, so this only checks.

        Raises CollectionNotLoadedException.
        """
        check_options("refresh_load", kwargs)
        self._time(timeout)
        self._store.view(self.info(collection_name))

    def release_collection(
        self, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drop a collection's rows from memory; resident memory falls back."""
        check_options("release_collection", kwargs)
        info = self.info(collection_name)
        self._execute(catalog_commands.release(info.id, info.name), timeout)
        failpoints.hit("release.after-commit")
        trim()

    def get_load_state(
        self,
        collection_name: str,
        partition_name: str = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> dict[str, LoadState]:
        """{"state": <LoadState: Loaded>}, NotLoad, or NotExist: of a collection, some partition of
        which is loaded, or of one partition."""
        check_options("get_load_state", kwargs)
        self._time(timeout)
        try:
            info = self.info(collection_name)
        except CollectionNotExistException:
            return {"state": LoadState.NotExist}
        name = "" if partition_name is None else check_text("partition_name", partition_name)
        named = partitions_of(info, name)
        loaded = info.loaded if named is None else named <= info.loaded_partitions
        return {"state": LoadState.Loaded if loaded else LoadState.NotLoad}


def check_load_options(method: str, options: dict[str, Any]) -> None:
    """Refuse keywords of a load that mean more than one machine, or parts of rows.

    Raises NotSupportedException, and ParamError for those that Milvus does not know either.
    """
    # Milvus knows each of them with an underscore before it, too.
    given = {k if k == "_async" else k.removeprefix("_"): v for k, v in options.items()}
    check_options(method, given, "replica_number", "refresh", *NOT_LOADED_SO)
    number = given.get("replica_number")
    if number is not None and (type(number) is not int or number != 1):
        raise NotSupportedException(
            message=f"replica_number {shown(number)}: one machine holds one replica"
        )
    check_flag("refresh", given.get("refresh", False))
    for name, reason in NOT_LOADED_SO.items():
        value = given.get(name)
        if value is not None and value is not False:
            raise NotSupportedException(message=f"{method}({name}=...): {reason}")
