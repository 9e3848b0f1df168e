"""The state: what the log has made true, as plain data. No vectors, no handles, no clocks.

Rows are addressed by (seq, offset): a segment lists the log entries its rows come from. Only
apply.py changes a state.

A state has one encoding, which is what a checkpoint saves: the msgpack of `to_data()`, with
dictionaries sorted and extents as bytes (saved_state.py reads it). The state's digest is that
of its encoding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgpack

from walvec.segments.extents import Extents
from walvec.segments.index import IndexSpec
from walvec.wal.entry import digest_of
from walvec.wal.schema import Schema

DEFAULT_DATABASE = "default"
DEFAULT_PARTITION = "_default"
COLUMNS_FILE = "columns.wvc"


class FileRecord(NamedTuple):
    """A segment file as it must be: valid if and only if length and digest match."""

    length: int
    digest: bytes


@dataclass(slots=True)
class Segment:
    """Rows in order: `extents` are (seq of an entry, rows). `sealed` is its seal's seq, or 0."""

    id: int
    partition: int
    rows: int = 0
    sealed: int = 0
    extents: Extents = field(default_factory=Extents)
    files: dict[str, FileRecord] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "partition": self.partition,
            "rows": self.rows,
            "sealed": self.sealed,
            "extents": self.extents,
            "files": dict(sorted(self.files.items())),
        }

    def copy(self) -> Segment:
        """Another that is equal and shares nothing that changes."""
        return Segment(
            self.id, self.partition, self.rows, self.sealed, self.extents.copy(), dict(self.files)
        )


@dataclass(slots=True)
class Database:
    """A database: its collections by name, and by their other names."""

    id: int
    name: str
    created_at: int
    properties: dict[str, str] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "created_at": self.created_at,
            "properties": dict(sorted(self.properties.items())),
            "names": dict(sorted(self.names.items())),
            "aliases": dict(sorted(self.aliases.items())),
        }

    def copy(self) -> Database:
        """Another that is equal and shares nothing that changes."""
        maps = (dict(self.properties), dict(self.names), dict(self.aliases))
        return Database(self.id, self.name, self.created_at, *maps)


@dataclass(slots=True)
class Collection:
    """A collection. `deletes` are (seq of the entry, primary keys in it); `written` is the seq of
    the newest change to its rows; `growing` maps a partition's id to its growing segment's.

    `loaded`: some partition is, those in `loaded_partitions`; `loads_new`: so are those to come.
    Rows of entries up to the seq `expired` are gone.
    """

    id: int
    name: str
    schema: Schema
    partitions: dict[str, int]
    properties: dict[str, str]
    consistency_level: str
    num_shards: int
    created_at: int
    database: int = 0
    loaded: bool = False
    loads_new: bool = False
    loaded_partitions: set[int] = field(default_factory=set)
    expired: int = 0
    next_auto_id: int = 1
    written: int = 0
    segments: dict[int, Segment] = field(default_factory=dict)
    growing: dict[int, int] = field(default_factory=dict)
    indexes: dict[str, IndexSpec] = field(default_factory=dict)
    deletes: Extents = field(default_factory=Extents)

    def index_of(self, field_id: int) -> IndexSpec | None:
        """The field's index, if it has one."""
        return next((i for i in self.indexes.values() if i.field_id == field_id), None)

    def to_data(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "schema": self.schema.to_data(),
            "partitions": dict(sorted(self.partitions.items())),
            "properties": dict(sorted(self.properties.items())),
            "consistency_level": self.consistency_level,
            "num_shards": self.num_shards,
            "created_at": self.created_at,
            "database": self.database,
            "loaded": self.loaded,
            "loads_new": self.loads_new,
            "loaded_partitions": sorted(self.loaded_partitions),
            "expired": self.expired,
            "next_auto_id": self.next_auto_id,
            "written": self.written,
            "segments": [s.to_data() for _, s in sorted(self.segments.items())],
            "growing": sorted(self.growing.items()),
            "indexes": [i.to_data() for _, i in sorted(self.indexes.items())],
            "deletes": self.deletes,
        }

    def copy(self) -> Collection:
        """Another that is equal and shares nothing that changes."""
        # Not by dataclasses.replace, which takes as long again: the store waits for it.
        return Collection(
            self.id,
            self.name,
            self.schema,
            dict(self.partitions),
            dict(self.properties),
            self.consistency_level,
            self.num_shards,
            self.created_at,
            self.database,
            self.loaded,
            self.loads_new,
            set(self.loaded_partitions),
            self.expired,
            self.next_auto_id,
            self.written,
            {i: s.copy() for i, s in self.segments.items()},
            dict(self.growing),
            dict(self.indexes),
            self.deletes.copy(),
        )


@dataclass(slots=True)
class State:
    """Everything after the entry `seq`. `next_id` is the next id of a database, collection,
    partition, segment or index; ids are never used twice. The default database has the id 0."""

    store_id: bytes = b""
    seq: int = 0
    timestamp: int = 0
    next_id: int = 1
    collections: dict[int, Collection] = field(default_factory=dict)
    databases: dict[int, Database] = field(
        default_factory=lambda: {0: Database(0, DEFAULT_DATABASE, 0)}
    )

    def to_data(self) -> dict[str, Any]:
        return {
            "store_id": self.store_id,
            "seq": self.seq,
            "timestamp": self.timestamp,
            "next_id": self.next_id,
            "collections": [c.to_data() for _, c in sorted(self.collections.items())],
            "databases": [d.to_data() for _, d in sorted(self.databases.items())],
        }


def encode_state(state: State) -> bytes:
    """The state as bytes, equal for equal states."""
    data: bytes = msgpack.packb(state.to_data(), default=Extents.to_bytes)
    return data


def digest(state: State) -> bytes:
    """16 bytes that are equal for equal states: BLAKE3 of `encode_state`."""
    return digest_of(encode_state(state))


def freeze(state: State) -> State:
    """A copy that nothing changes, to be encoded while the state goes on."""
    return replace(
        state,
        collections={i: c.copy() for i, c in state.collections.items()},
        databases={i: d.copy() for i, d in state.databases.items()},
    )


def altered(
    properties: dict[str, str], new: dict[str, str], dropped: tuple[str, ...]
) -> dict[str, str]:
    """Properties with new values, and without those that are dropped."""
    # Sorted, as a saved state has them: what a user sees does not depend on how it was opened.
    kept = {**properties, **new}
    return {key: kept[key] for key in sorted(kept) if key not in dropped}


def index_file(index: IndexSpec) -> str:
    """The name of an index's file in a segment's folder."""
    return f"index-{index.id:x}.bin"
