"""The feed: the log's commands in order, each told in the light of the state it happened in.

A feed folds the log itself, from the newest saved state before its beginning on: what a
collection was called, and what its rows looked like, is known even when it is gone since.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from walvec.segments.fold import Fold, Start
from walvec.segments.state import Collection
from walvec.wal.errors import FormatException, LogCorruptedException, MilvusException
from walvec.wal.events import (
    CollectionCreated,
    CollectionRenamed,
    DatabaseAltered,
    DatabaseCreated,
    DatabaseDropped,
    Event,
)
from walvec.wal.following import Follower
from walvec.wal.log import Entry, Log
from walvec.wal.tail import Tail


class Scene(NamedTuple):
    """An entry, and the collection it concerns: its name before the event (that it is given,
    where it is created) and what is known of it, None for events of the store and of databases.

    `database`: the name of the one that the event, or its collection, belongs to; `moved_to`: of
    that where a renamed collection is now. `partitions`: names by id, of a dropped one too.
    """

    entry: Entry
    name: str | None
    collection: Collection | None
    database: str | None
    moved_to: str | None
    partitions: dict[int, str]


T = TypeVar("T")
Tell = Callable[[Scene], T | None]
"""What is delivered for an entry; None for nothing. Raises LogCorruptedException."""


class FeedFold(Fold):
    """A fold that is moved on entry by entry."""

    def begin(self, log: Log, since: int) -> None:
        """Take the newest saved state that is not after entry `since`, else that before all."""
        saved = None if self._start is None else self._start(log, since)
        self._restart()
        if saved is not None:
            self.state, self.position = saved

    def take(self, entry: Entry) -> Scene:
        """Fold one entry. Raises LogCorruptedException where it cannot follow."""
        number = entry.event.collection
        before = self.state.collections.get(number)
        name = None if before is None else before.name
        database = self._database(entry.event)
        partitions = _partitions(before)
        self._take(entry)
        after = self.state.collections.get(number)
        moved_to = None if after is None else self.state.databases[after.database].name
        if isinstance(entry.event, CollectionCreated):
            name, database = entry.event.name, moved_to
        collection = before if after is None else after
        partitions.update(_partitions(after))
        return Scene(entry, name, collection, database, moved_to, partitions)

    def _database(self, event: Event) -> str | None:
        """The name of the database that an event is about to concern."""
        if isinstance(event, DatabaseCreated):
            return event.name
        number = getattr(event, "database", None)
        if not isinstance(event, DatabaseDropped | DatabaseAltered):
            collection = self.state.collections.get(event.collection)
            number = None if collection is None else collection.database
        database = None if number is None else self.state.databases.get(number)
        return None if database is None else database.name


def _partitions(collection: Collection | None) -> dict[int, str]:
    return {} if collection is None else {i: name for name, i in collection.partitions.items()}


class Feed(Generic[T]):
    """What `tell` makes of the entries after `since`, command by command. One thread at a time.

    `seq`: everything up to it was delivered, or is not to be. A command of several entries is
    delivered whole, or not at all where one of them is damaged.
    """

    def __init__(
        self,
        log: Log,
        since: int,
        tell: Tell[T],
        start: Start | None = None,
        tail: Tail | None = None,
    ) -> None:
        """start: where a fold may start. tail: to wait with; it stays the caller's."""
        self.seq = since
        self._log = log
        self._tell = tell
        self._tail = tail
        self._fold = FeedFold(start)
        self._damage: MilvusException | None = None
        self._begin()

    def _begin(self) -> None:
        """Read on after `seq`, from the newest saved state before it."""
        self._whole = False
        self._fold.begin(self._log, self.seq)
        self._follower = Follower(self._log, self._fold.position, self._tail)
        self._command: list[tuple[int, T]] = []
        self._ready: deque[tuple[int, T]] = deque()
        self._whole = True

    def next(self, deadline: float | None = None) -> T | None:
        """The next one, waited for until the deadline (time.monotonic; None for none) if there
        is a tail; None where there is none.

        Raises LogCorruptedException, FormatException (again when called again),
        StoreClosedException.
        """
        if not self._whole and self._damage is None:
            self._begin()  # an interrupt has left the fold and what was read of the log apart
        self._whole = False
        found = self._next(deadline)
        self._whole = True
        return found

    def _next(self, deadline: float | None) -> T | None:
        while not self._ready:
            if self._damage is not None:
                raise self._damage
            try:
                entry = self._follower.next()
                if entry is not None:
                    self._take(entry)
            except (LogCorruptedException, FormatException) as damage:
                self._damage = damage
            else:
                if entry is None and not self._follower.wait(deadline):
                    return None
        seq, found = self._ready.popleft()
        # The rest of the command may have nothing that is to be delivered.
        self.seq = seq if self._ready else max(seq, self._fold.position.seq)
        return found

    def _take(self, entry: Entry) -> None:
        scene = self._fold.take(entry)
        seq = entry.header.seq
        if seq > self.seq and (told := self._tell(scene)) is not None:
            self._command.append((seq, told))
        if entry.header.more_follows:
            return
        if self._command:
            self._ready.extend(self._command)
            self._command.clear()
        else:
            self.seq = max(self.seq, seq)


def names_of(scene: Scene) -> list[tuple[str | None, str | None]]:
    """The names, each (database, collection), by which a scene's collection goes: two where it is
    renamed."""
    event = scene.entry.event
    names = [(scene.database, scene.name)]
    if isinstance(event, CollectionRenamed):
        names.append((scene.moved_to, event.name))
    return names
