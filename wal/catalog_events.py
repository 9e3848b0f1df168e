"""Events of the catalog: databases, collections, their fields, partitions, aliases and indexes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from walvec.wal.event import Event


@dataclass(frozen=True)
class StoreCreated(Event):
    """The first entry of every log."""

    TAG: ClassVar[int] = 1

    store_id: bytes
    walvec_version: str


@dataclass(frozen=True)
class DatabaseCreated(Event):
    """`database` is its id."""

    TAG: ClassVar[int] = 10

    database: int
    name: str
    properties: dict[str, str]


@dataclass(frozen=True)
class DatabaseDropped(Event):
    """It had no collections left."""

    TAG: ClassVar[int] = 11

    database: int


@dataclass(frozen=True)
class DatabaseAltered(Event):
    """Properties set (new values) and dropped (keys)."""

    TAG: ClassVar[int] = 12

    database: int
    properties: dict[str, str]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class CollectionCreated(Event):
    """`schema` is Schema.to_data(), `partitions` maps names to ids; `database` is its id, 0 for
    the default one."""

    TAG: ClassVar[int] = 2
    VERSION: ClassVar[int] = 2

    name: str
    schema: dict[str, Any]
    partitions: dict[str, int]
    properties: dict[str, str]
    consistency_level: str
    num_shards: int
    database: int = 0


@dataclass(frozen=True)
class CollectionDropped(Event):
    """With all its rows."""

    TAG: ClassVar[int] = 3


@dataclass(frozen=True)
class CollectionRenamed(Event):
    """`name` is the new one, `database` the one it moved to, None where it stays."""

    TAG: ClassVar[int] = 4
    VERSION: ClassVar[int] = 2

    name: str
    database: int | None = None


@dataclass(frozen=True)
class CollectionAltered(Event):
    """Properties set (new values) and dropped (keys)."""

    TAG: ClassVar[int] = 5

    properties: dict[str, str]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class PartitionCreated(Event):
    """An empty partition; loaded at once where the whole collection is."""

    TAG: ClassVar[int] = 6

    partition: int
    name: str


@dataclass(frozen=True)
class PartitionDropped(Event):
    """With its rows. What they had replaced in other partitions stays replaced."""

    TAG: ClassVar[int] = 7

    partition: int


@dataclass(frozen=True)
class AliasSet(Event):
    """Another name of the collection, new or taken from another one."""

    TAG: ClassVar[int] = 8

    alias: str


@dataclass(frozen=True)
class AliasDropped(Event):
    """The collection no longer has this other name."""

    TAG: ClassVar[int] = 9

    alias: str


@dataclass(frozen=True)
class FieldAdded(Event):
    """`field` is Field.to_data(). Rows before it have its default, or null."""

    TAG: ClassVar[int] = 13

    field: dict[str, Any]


@dataclass(frozen=True)
class FieldAltered(Event):
    """`field` is Field.to_data(), in place of the one with its id."""

    TAG: ClassVar[int] = 14

    field: dict[str, Any]


@dataclass(frozen=True)
class IndexCreated(Event):
    """`index` is IndexSpec.to_data(): concrete type, parameters and seed."""

    TAG: ClassVar[int] = 30

    index: dict[str, Any]


@dataclass(frozen=True)
class IndexDropped(Event):
    """With its files in all segments."""

    TAG: ClassVar[int] = 31

    index_name: str


@dataclass(frozen=True)
class IndexAltered(Event):
    """`index` is IndexSpec.to_data(), in place of the one of its name; its files stay valid."""

    TAG: ClassVar[int] = 32

    index: dict[str, Any]


@dataclass(frozen=True)
class CollectionLoaded(Event):
    """From here on the rows of all its partitions, also of those to come, are to be in memory,
    also after the store is opened again."""

    TAG: ClassVar[int] = 40


@dataclass(frozen=True)
class CollectionReleased(Event):
    """Its rows are no longer to be in memory."""

    TAG: ClassVar[int] = 41


@dataclass(frozen=True)
class PartitionsLoaded(Event):
    """From here on the rows of these partitions are to be in memory, too."""

    TAG: ClassVar[int] = 42

    partitions: tuple[int, ...]


@dataclass(frozen=True)
class PartitionsReleased(Event):
    """The rows of these partitions are no longer to be in memory."""

    TAG: ClassVar[int] = 43

    partitions: tuple[int, ...]
