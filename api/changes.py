"""What the change feed delivers: one class for every kind of event of the log.

    Change                     seq, timestamp, collection, collection_id, database
    |-- StoreCreated           store_id, walvec_version
    |-- DatabaseChange
    |   |-- DatabaseCreated    properties
    |   |-- DatabaseDropped
    |   `-- DatabaseAltered    properties, dropped
    |-- CollectionChange
    |   |-- CollectionCreated  schema, properties, consistency_level
    |   |-- CollectionDropped
    |   |-- CollectionRenamed  new_name, new_database
    |   |-- CollectionAltered  properties, dropped
    |   |-- CollectionLoaded
    |   |-- CollectionReleased
    |   |-- CollectionTruncated
    |   |-- RowsExpired        until
    |   |-- FieldAdded         field
    |   |-- FieldAltered       field
    |   |-- AliasSet           alias
    |   |-- AliasDropped       alias
    |   |-- PartitionCreated   partition
    |   |-- PartitionDropped   partition
    |   |-- PartitionsLoaded   partitions
    |   |-- PartitionsReleased partitions
    |   |-- IndexCreated       index_name, field_name, index_type, metric_type, params, implicit
    |   |-- IndexAltered       index_name, properties
    |   `-- IndexDropped       index_name
    |-- RowsChange             pks
    |   |-- RowsInserted       partition
    |   |-- RowsUpserted       partition
    |   `-- RowsDeleted
    `-- SegmentsChange
        |-- SegmentsSealed     segments, rows, cause
        |-- SegmentPersisted   segment, files
        `-- SegmentsMerged     sources, target, rows

Every entry of the log is one change: without `collection=` their seqs have no gaps. One call may
make several changes: of a large batch one for each 16 MiB, and, where its last row fills the
growing segment, SegmentsSealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """Something that happened.

    seq: its place in the log. timestamp: ns since 1970 UTC, never decreasing. collection: the name
    that its collection had before it (that it was given, where it was created), None for events
    of the store; collection_id tells two collections of one name apart. database: the name of the
    one that it belongs to, or that changed.
    """

    seq: int
    timestamp: int
    collection: str | None
    collection_id: int | None
    database: str | None


@dataclass(frozen=True)
class StoreCreated(Change):
    """The first change of every store."""

    store_id: str
    walvec_version: str


@dataclass(frozen=True)
class DatabaseChange(Change):
    """A database changed: `database` is its name."""


@dataclass(frozen=True)
class DatabaseCreated(DatabaseChange):
    """With these properties."""

    properties: dict[str, str]


@dataclass(frozen=True)
class DatabaseDropped(DatabaseChange):
    """It had no collections left."""


@dataclass(frozen=True)
class DatabaseAltered(DatabaseChange):
    """Properties that were set, and the keys of those that were dropped."""

    properties: dict[str, str]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class CollectionChange(Change):
    """A collection as a whole changed: its schema, settings, indexes, or whether it is loaded."""


@dataclass(frozen=True)
class CollectionCreated(CollectionChange):
    """`schema` has the keys fields, description, auto_id and enable_dynamic_field as
    `describe_collection` has them."""

    schema: dict[str, Any]
    properties: dict[str, str]
    consistency_level: str


@dataclass(frozen=True)
class CollectionDropped(CollectionChange):
    """With all its rows."""


@dataclass(frozen=True)
class CollectionRenamed(CollectionChange):
    """`collection` and `database` are the old names. Delivered to those who asked for either."""

    new_name: str
    new_database: str


@dataclass(frozen=True)
class CollectionAltered(CollectionChange):
    """Properties that were set, and the keys of those that were dropped."""

    properties: dict[str, str]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class CollectionLoaded(CollectionChange):
    """From here on its rows are in memory, in every process that reads them."""


@dataclass(frozen=True)
class CollectionReleased(CollectionChange):
    """Its rows are no longer in memory."""


@dataclass(frozen=True)
class CollectionTruncated(CollectionChange):
    """All its rows are gone."""


@dataclass(frozen=True)
class RowsExpired(CollectionChange):
    """Its rows of all changes up to the seq `until` are gone: their time to live has passed."""

    until: int


@dataclass(frozen=True)
class FieldAdded(CollectionChange):
    """`field` is as `describe_collection` has it. The rows before have its default, or null."""

    field: dict[str, Any]


@dataclass(frozen=True)
class FieldAltered(CollectionChange):
    """`field` is as `describe_collection` has it now."""

    field: dict[str, Any]


@dataclass(frozen=True)
class AliasSet(CollectionChange):
    """Another name of the collection, new or taken from another one."""

    alias: str


@dataclass(frozen=True)
class AliasDropped(CollectionChange):
    """The collection no longer has this other name."""

    alias: str


@dataclass(frozen=True)
class PartitionCreated(CollectionChange):
    """An empty partition."""

    partition: str


@dataclass(frozen=True)
class PartitionDropped(CollectionChange):
    """With its rows."""

    partition: str


@dataclass(frozen=True)
class PartitionsLoaded(CollectionChange):
    """From here on the rows of these partitions are in memory, too."""

    partitions: tuple[str, ...]


@dataclass(frozen=True)
class PartitionsReleased(CollectionChange):
    """The rows of these partitions are no longer in memory."""

    partitions: tuple[str, ...]


@dataclass(frozen=True)
class IndexAltered(CollectionChange):
    """`properties` are all that the index has now."""

    index_name: str
    properties: dict[str, str]


@dataclass(frozen=True)
class IndexCreated(CollectionChange):
    """`params` are complete; `implicit`: nobody asked for it, the field had none."""

    index_name: str
    field_name: str
    index_type: str
    metric_type: str
    params: dict[str, Any]
    implicit: bool


@dataclass(frozen=True)
class IndexDropped(CollectionChange):
    """With its files."""

    index_name: str


@dataclass(frozen=True)
class RowsChange(Change):
    """Rows came or went. `pks`: their primary keys, ints or strings, in the order of the call."""

    pks: list[Any]


@dataclass(frozen=True)
class RowsInserted(RowsChange):
    """A row whose key was present has replaced that one. Auto ids are resolved."""

    partition: str


@dataclass(frozen=True)
class RowsUpserted(RowsChange):
    """Rows that were added, or took the place of those of their keys; the log does not say
    which of the two."""

    partition: str


@dataclass(frozen=True)
class RowsDeleted(RowsChange):
    """The keys of a delete, present or not; of a delete by filter, those of the rows found."""


@dataclass(frozen=True)
class SegmentsChange(Change):
    """Segments became something else; the rows are the same."""


@dataclass(frozen=True)
class SegmentsSealed(SegmentsChange):
    """Growing segments take no more rows. `rows`: how many each has. `cause`: "flush" or
    "size"."""

    segments: tuple[int, ...]
    rows: tuple[int, ...]
    cause: str


@dataclass(frozen=True)
class SegmentPersisted(SegmentsChange):
    """A sealed segment got files: their sizes in bytes by name."""

    segment: int
    files: dict[str, int]


@dataclass(frozen=True)
class SegmentsMerged(SegmentsChange):
    """Sealed segments became the one `target`, of `rows` rows."""

    sources: tuple[int, ...]
    target: int
    rows: int
