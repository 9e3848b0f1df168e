"""What all client methods share: the store, names turned into collections, arguments checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from walvec import stores
from walvec.arguments import (
    check_flag,
    check_seconds,
    check_text,
    check_texts,
    check_whole,
)
from walvec.results import ConsistencyLevel
from walvec.segments.attacher import Attacher
from walvec.segments.catalog import CollectionInfo, DatabaseInfo
from walvec.segments.commands import SEGMENT_MAX_BYTES, Command
from walvec.segments.read_handle import database_of
from walvec.segments.settings import Settings
from walvec.segments.state import DEFAULT_DATABASE
from walvec.segments.store import Store
from walvec.segments.writer import Outcome
from walvec.wal.errors import (
    DatabaseNotExistException,
    FieldNotExistException,
    ParamError,
    PartitionNotExistException,
    StoreClosedException,
    TimeoutException,
)
from walvec.wal.schema import Field
from walvec.wal.shown import shown

MAX_SEGMENT_BYTES = 2**40
SERVER_OPTIONS = frozenset(
    {
        "secure",
        "server_pem_path",
        "server_name",
        "ca_pem_path",
        "client_pem_path",
        "client_key_path",
        "grpc_options",
        "keep_alive",
        "dedicated",
    }
)
"""Keywords of pymilvus' connections that have no meaning without a server."""


class Session:
    """A client's hold on a store."""

    def __init__(
        self,
        uri: str | os.PathLike[str] | None = None,
        user: str = "",
        password: str = "",
        db_name: str = "",
        token: str = "",
        timeout: float | None = None,
        *,
        read_only: bool = False,
        durability: str = "full",
        lock_timeout: float = 30.0,
        follow: bool = False,
        segment_max_bytes: int = SEGMENT_MAX_BYTES,
        checkpoint_events: int = 1000,
        checkpoint_bytes: int = 256 << 20,
        allow_network_fs: bool = False,
        **kwargs: Any,
    ) -> None:
        """Open the store in the folder `uri`, made if it is not there.

        uri: a path; without one $WALVEC_URI or ./walvec-store. user, password, token: accepted
        as in pymilvus, and without meaning: who may read the folder may read the store.
        timeout: seconds, for every call that names none. read_only: change nothing on disk.
        durability: "full", or "last-transaction" (a power cut may lose the last transaction).
        lock_timeout: seconds to wait for another process that is writing.
        db_name: the database of calls that name none; it must exist.
        follow: take over what other processes do at once, in a thread, not at the next call.
        segment_max_bytes: vectors in a growing segment before it is sealed.
        checkpoint_events, checkpoint_bytes: the state is saved after so many events, or bytes of
        rows, so that opening need not read the log from its beginning.
        kwargs: what pymilvus needs to reach a server (secure, grpc_options, ...); without meaning.

        Raises StoreUnusableException, LockTimeoutException, ParamError.
        """
        self._database = check_text("db_name", db_name) or DEFAULT_DATABASE
        check_server_options(kwargs)
        check_flag("read_only", read_only)
        check_text("durability", durability)
        check_whole("segment_max_bytes", segment_max_bytes, 1, MAX_SEGMENT_BYTES)
        check_whole("checkpoint_events", checkpoint_events, 1, MAX_SEGMENT_BYTES)
        check_whole("checkpoint_bytes", checkpoint_bytes, 1, MAX_SEGMENT_BYTES)
        self._timeout = check_timeout(timeout)
        settings = Settings(
            segment_max_bytes,
            durability,
            check_seconds("lock_timeout", lock_timeout),
            check_flag("allow_network_fs", allow_network_fs),
            checkpoint_events,
            checkpoint_bytes,
        )
        uri = stores.default_uri() if uri is None else uri
        self._open_store: Store | None = stores.acquire(
            uri, read_only, settings, check_flag("follow", follow)
        )
        try:
            self._database_info(self._database)
        except DatabaseNotExistException:
            self.close()
            raise

    def __reduce__(self) -> str:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled: hand the folder to the other process, and "
            "open it there"
        )

    @property
    def _store(self) -> Store:
        if self._open_store is None:
            raise StoreClosedException(message="this client was closed: make another one")
        return self._open_store

    def close(self) -> None:
        """Let go of the store; the last client of a process closes it. May be called again."""
        store, self._open_store = self._open_store, None
        if store is not None:
            stores.release(store)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_for_files(self, timeout: float | None = None) -> None:
        """Wait until all sealed segments have their files and indexes. Raises TimeoutException."""
        for watcher in self._store.watchers:
            if isinstance(watcher, Attacher) and not watcher.wait(self._time(timeout)):
                raise TimeoutException(message=f"indexes are still being built after {timeout} s")

    def _execute(self, command: Command, timeout: float | None) -> Outcome:
        return self._store.execute(command, self._time(timeout))

    def _time(self, timeout: float | None) -> float | None:
        return self._timeout if timeout is None else check_timeout(timeout)

    @property
    def folder(self) -> Path:
        """The store's folder."""
        return self._store.folder

    @property
    def database(self) -> str:
        """The database of calls that name none."""
        return self._database

    def info(self, collection_name: str) -> CollectionInfo:
        """What is known of a collection, by name or alias, beside its rows.

        Raises CollectionNotExistException.
        """
        if not isinstance(collection_name, str) or not collection_name:
            raise ParamError(message=f"collection_name {shown(collection_name)} is not a name")
        return self._store.info(collection_name, self._database)

    def _database_info(self, name: str) -> DatabaseInfo:
        """A database by its name, "" for that of this client. Raises DatabaseNotExistException."""
        return database_of(self._store.current(), check_text("db_name", name) or self._database)


def check_timeout(timeout: float | None) -> float | None:
    """A timeout in seconds, or None for no limit. Raises ParamError."""
    return None if timeout is None else check_seconds("timeout", timeout)


def check_server_options(options: dict[str, Any]) -> None:
    """Refuse keywords that are not those by which pymilvus reaches a server."""
    for name, value in options.items():
        if name not in SERVER_OPTIONS:
            raise ParamError(message=f"MilvusClient() does not take {name}={shown(value)}")


def partitions_of(info: CollectionInfo, names: str | Sequence[str] | None) -> frozenset[int] | None:
    """The ids of partitions by name; None where none is named.

    Raises PartitionNotExistException.
    """
    wanted = [names] if isinstance(names, str) else check_texts("partition_names", names)
    found = set()
    for name in wanted:
        if name and name not in info.partitions:
            raise PartitionNotExistException(
                message=f"collection {info.name} has no partition {name}"
            )
        if name:
            found.add(info.partitions[name])
    return frozenset(found) or None


def check_options(method: str, options: dict[str, Any], *known: str) -> None:
    """Refuse keywords that a method does not honour.

    `consistency_level` is known everywhere. Every level is served as Strong: what any process
    was acknowledged before the call is seen.
    """
    for key, value in options.items():
        if key == "consistency_level":
            consistency_level_of(value)
        elif key not in known:
            raise ParamError(message=f"{method}() does not take {key}={shown(value)}")


def consistency_level_of(value: Any) -> str:
    """The name of a consistency level given by name, number or enum. Raises ParamError."""
    try:
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise ValueError
        level = ConsistencyLevel[value] if isinstance(value, str) else ConsistencyLevel(value)
    except (KeyError, ValueError, RecursionError):
        names = ", ".join(level.name for level in ConsistencyLevel)
        raise ParamError(
            message=f"consistency_level {shown(value)} is not one of {names}"
        ) from None
    return level.name


def field_of(info: CollectionInfo, name: str) -> Field:
    """A field by its name. Raises FieldNotExistException."""
    field = info.schema.by_name.get(check_text("field name", name))
    if field is None:
        raise FieldNotExistException(message=f"collection {info.name} has no field {name}")
    return field
