"""Every error that walvec raises, as one tree, split by what the caller can do about it.

    MilvusException(code, message)
    |
    |-- CallError                            fix the call
    |   |-- ParamError                       1100  an argument is wrong
    |   |-- SchemaNotReadyException           105  a schema that cannot be
    |   |-- DataNotMatchException            1804  rows that do not fit the schema
    |   |-- CollectionNotExistException       100
    |   |-- CollectionAlreadyExistException     1
    |   |-- CollectionNotLoadedException      101
    |   |-- DatabaseNotExistException         800
    |   |-- AliasNotExistException           1600
    |   |-- AliasAlreadyExistException       1602  (1601: it is a collection's name)
    |   |-- FieldNotExistException           1700
    |   |-- PartitionNotExistException        200
    |   |-- PartitionNotLoadedException       201
    |   |-- PartitionAlreadyExistException      1  of the ORM
    |   |-- IndexNotExistException            700
    |   |-- IndexNotSupportedException        701
    |   |-- IndexAlreadyExistException        702
    |   |-- AmbiguousIndexName                  1  of the ORM: several indexes, and none is named
    |   |-- ExpressionException              1100  a filter that cannot be read
    |   |-- NotSupportedException            2200  has no meaning in an embedded store
    |   |-- ReadOnlyException                   1  the store was opened for reading only
    |   |-- CannotInferSchemaException          1  of a data frame
    |   |-- ConnectionNotExistException         1
    |   `-- ConnectionConfigException           1  a connection's address is missing or another
    |-- WaitError                            try again, or wait longer
    |   |-- TimeoutException                    4
    |   `-- LockTimeoutException                4  another writer holds the lock
    |-- ReopenError                          open the store again
    |   |-- StoreClosedException                1
    |   |-- StoreBrokenException                1  a bug or a replaced file: this handle is unusable
    |   `-- CommitFailedException               1  the command is not in the log
    |-- RoomError                            make room
    |   |-- DiskFullException                   7
    |   `-- MemoryException                     3
    |-- UpgradeError                         use a newer walvec
    |   `-- FormatException                     1
    `-- RestoreError                         look at the medium, restore a copy
        |-- LogCorruptedException            1001  names seq, kind and what does not match
        `-- StoreUnusableException           1001  not a store, or one that cannot be opened

Codes are those of Milvus (its `pkg/util/merr`) where Milvus has one. Class names are those
of pymilvus' `exceptions` where pymilvus has one.
"""

from __future__ import annotations

MAX_MESSAGE = 2_000
"""Characters; of longer messages the middle is left out."""


class MilvusException(Exception):
    """Anything that went wrong. `code` is Milvus' number, `message` says what and what next."""

    default_code = 1

    def __init__(self, code: int | None = None, message: str = "") -> None:
        self.code = self.default_code if code is None else code
        if len(message) > MAX_MESSAGE:  # a name or value of megabytes helps nobody
            half = MAX_MESSAGE // 2
            message = f"{message[:half]} ... {message[-half:]}"
        self.message = message
        super().__init__(self.code, message)

    def __str__(self) -> str:
        return f"<{type(self).__name__}: (code={self.code}, message={self.message})>"


class CallError(MilvusException):
    """The call is wrong; nothing was changed."""


class ParamError(CallError):
    """An argument has a wrong name, type or value."""

    default_code = 1100


class SchemaNotReadyException(CallError):
    """A schema that cannot be made into a collection."""

    default_code = 105


class DataNotMatchException(CallError):
    """Rows do not fit the schema; the message names collection, field, row and value."""

    default_code = 1804


class CollectionNotExistException(CallError):
    """No collection has this name."""

    default_code = 100


class CollectionAlreadyExistException(CallError):
    """A collection of this name exists, with another schema or as the target of a rename."""

    default_code = 1


class CollectionNotLoadedException(CallError):
    """Search and query need `load_collection()` first."""

    default_code = 101


class DatabaseNotExistException(CallError):
    """No database has this name."""

    default_code = 800


class AliasNotExistException(CallError):
    """The database has no such alias."""

    default_code = 1600


class AliasAlreadyExistException(CallError):
    """The alias is that of another collection, or a collection's own name."""

    default_code = 1602


class FieldNotExistException(CallError):
    """The collection has no such field."""

    default_code = 1700


class PartitionNotExistException(CallError):
    """The collection has no such partition."""

    default_code = 200


class PartitionNotLoadedException(CallError):
    """The partition's rows are not in memory: `load_partitions()` first."""

    default_code = 201


class PartitionAlreadyExistException(CallError):
    """`Collection.create_partition()` makes new partitions only."""


class IndexNotExistException(CallError):
    """The field has no index, or no index has this name."""

    default_code = 700


class IndexNotSupportedException(CallError):
    """The index type is unknown, does not suit the field, or its library is not installed."""

    default_code = 701


class IndexAlreadyExistException(CallError):
    """The field has another index already."""

    default_code = 702


class AmbiguousIndexName(CallError):
    """The collection has several indexes: name one."""


class ExpressionException(CallError):
    """A filter expression cannot be read or does not suit the schema."""

    default_code = 1100


class NotSupportedException(CallError):
    """A request that has no meaning in an embedded store, or that walvec does not offer."""

    default_code = 2200


class ReadOnlyException(CallError):
    """A command was sent to a store opened for reading only."""


class ConnectionNotExistException(CallError):
    """`connections` has no connection of this alias."""


class ConnectionConfigException(CallError):
    """Nothing says where a connection is, or it is open on another store."""


class CannotInferSchemaException(CallError):
    """A data frame's columns do not tell what fields they are."""


class WaitError(MilvusException):
    """The time given for a call ran out."""

    default_code = 4


class TimeoutException(WaitError):
    """A `timeout` ran out before the work was done."""


class LockTimeoutException(WaitError):
    """Another writer kept the writer lock; the message names it."""


class ReopenError(MilvusException):
    """This handle cannot go on; opening the store again can."""


class StoreClosedException(ReopenError):
    """The client was closed."""


class StoreBrokenException(ReopenError):
    """The handle is unusable: its files were replaced underneath it, or walvec has a bug."""


class CommitFailedException(ReopenError):
    """The commit failed and the command is known not to be in the log."""


class RoomError(MilvusException):
    """Something is full."""


class DiskFullException(RoomError):
    """No space is left for the log; the command is known not to be in it."""

    default_code = 7


class MemoryException(RoomError):
    """Not enough memory to materialize rows or build an index."""

    default_code = 3


class UpgradeError(MilvusException):
    """Written by a newer walvec."""


class FormatException(UpgradeError):
    """A format version, event kind or flag that this walvec does not know."""


class RestoreError(MilvusException):
    """The medium returned something else than what was written."""

    default_code = 1001


class LogCorruptedException(RestoreError):
    """A log entry does not match its digests. Attributes: `seq`, `kind` (None if unreadable)."""

    def __init__(
        self,
        code: int | None = None,
        message: str = "",
        *,
        seq: int = 0,
        kind: str | None = None,
    ) -> None:
        super().__init__(code, message)
        self.seq = seq
        self.kind = kind


class StoreUnusableException(RestoreError):
    """The folder is not a store, is on a network file system, or cannot be opened."""
