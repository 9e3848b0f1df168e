"""Events of rows and of the segments that they are in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from walvec.wal.event import Event
from walvec.wal.rows import Layout


@dataclass(frozen=True)
class RowsInserted(Event):
    """n rows, appended to one segment. `first_id` is the first of n auto ids, None without;
    `last_key` the largest key that rows bring to a collection with auto ids, which go on after
    it, 0 for none."""

    TAG: ClassVar[int] = 20
    VERSION: ClassVar[int] = 2

    partition: int
    segment: int
    n: int
    first_id: int | None
    layout: Layout
    last_key: int = 0


@dataclass(frozen=True)
class RowsUpserted(RowsInserted):
    """As RowsInserted; the rows of these primary keys before it are gone."""

    TAG: ClassVar[int] = 21


@dataclass(frozen=True)
class RowsDeleted(Event):
    """n primary keys, the only column of the payload."""

    TAG: ClassVar[int] = 22

    n: int
    layout: Layout


@dataclass(frozen=True)
class SegmentsSealed(Event):
    """`cause` is "flush" or "size"."""

    TAG: ClassVar[int] = 23

    segments: tuple[int, ...]
    cause: str


@dataclass(frozen=True)
class SegmentPersisted(Event):
    """Files of a sealed segment: (name, bytes, digest) each, and the versions that built them."""

    TAG: ClassVar[int] = 24

    segment: int
    files: tuple[tuple[str, int, bytes], ...]
    versions: dict[str, str]


@dataclass(frozen=True)
class SegmentsMerged(Event):
    """Sealed segments became one, their rows in the order of `sources`."""

    TAG: ClassVar[int] = 25

    sources: tuple[int, ...]
    target: int


@dataclass(frozen=True)
class RowsExpired(Event):
    """The rows of all entries up to the seq `until` are gone: their time to live has passed."""

    TAG: ClassVar[int] = 26

    until: int


@dataclass(frozen=True)
class CollectionTruncated(Event):
    """All rows before it are gone."""

    TAG: ClassVar[int] = 27
