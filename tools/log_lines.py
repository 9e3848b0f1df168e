"""The log as lines, one an event."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from datetime import datetime, timezone
from typing import Any, NamedTuple

from walvec.tools.log_details import detail
from walvec.wal.entry import ALIGNMENT, HEADER, Header
from walvec.wal.errors import (
    CollectionNotExistException,
    FormatException,
    LogCorruptedException,
)
from walvec.wal.events import (
    EVENTS,
    CollectionCreated,
    CollectionRenamed,
    Event,
    RowsDeleted,
    RowsInserted,
)
from walvec.wal.following import Follower
from walvec.wal.log import Log, Position
from walvec.wal.tail import Tail

KINDS = {event.__name__.lower(): event.__name__ for event in EVENTS.values()}
"""The names of all events, by their names in lower case."""
LOOK_S = 0.5
"""How often a reader who waits asks whether anybody still wants the lines."""
HEADINGS = ("seq", "time", "kind", "collection", "rows", "bytes", "digest")


class Choice(NamedTuple):
    """Which events to show. `kinds` empty means all; `tail` None means all, else the last ones."""

    first: int = 1
    last: int | None = None
    collection: str | None = None
    kinds: frozenset[str] = frozenset()
    tail: int | None = None


class Line(NamedTuple):
    """One event, with the name that its collection had then ("" where it concerns none)."""

    header: Header
    event: Event
    collection: str

    @property
    def kind(self) -> str:
        return type(self.event).__name__

    @property
    def rows(self) -> int | None:
        """The rows or keys in the payload, None where there is none."""
        return self.event.n if isinstance(self.event, RowsInserted | RowsDeleted) else None

    @property
    def size(self) -> int:
        """Bytes of the whole entry."""
        body = self.header.body_length
        return HEADER.size + body + -body % ALIGNMENT + self.header.payload_length

    def to_data(self) -> dict[str, Any]:
        header = self.header
        has_payload = header.payload_length > 0
        return {
            "seq": header.seq,
            "time": time_text(header.timestamp),
            "timestamp": header.timestamp,
            "kind": self.kind,
            "collection": self.collection or None,
            "collection_id": header.collection or None,
            "rows": self.rows,
            "bytes": self.size,
            "digest": header.chain.hex(),
            "payload_digest": header.payload_digest.hex() if has_payload else None,
            "request": header.request.hex(),
            "more_follows": header.more_follows,
            "event": event_data(self.event),
        }

    def json(self) -> str:
        """One JSON object."""
        return json.dumps(self.to_data(), ensure_ascii=False, default=_plain)

    def text(self) -> str:
        """Columns of fixed width, as far as they hold what is in them."""
        rows = "-" if self.rows is None else self.rows
        columns = (
            f"{self.header.seq:>6}  {time_text(self.header.timestamp)}  {self.kind:<18}  "
            f"{self.collection or '-':<16}  {rows:>7}  {self.size:>10}  "
            f"{self.header.chain.hex()[:16]}  {detail(self.event)}"
        )
        return columns.rstrip()


def heading() -> str:
    """The line above the lines of `Line.text`."""
    seq, time, kind, collection, rows, size, digest = HEADINGS
    return f"{seq:>6}  {time:<27}  {kind:<18}  {collection:<16}  {rows:>7}  {size:>10}  {digest}"


def lines_of(log: Log, choice: Choice) -> Iterator[Line]:
    """The chosen events in order.

    A collection is chosen by any name it ever had, with all its events. Raises
    CollectionNotExistException where none ever had it, and LogCorruptedException or
    FormatException after the last event before a damaged entry.
    """
    ids = None if choice.collection is None else _ids_of(log, choice.collection, must=True)
    lines = Lines(Follower(log, Position()), choice, ids)
    return lines.present() if choice.tail is None else _last(lines.present(), choice.tail)


def lines_to_come(
    log: Log, choice: Choice, tail: Tail, wanted: Callable[[], bool]
) -> Iterator[Line]:
    """As `lines_of`, and then those of events to come, each as soon as it is committed.

    Ends with the last seq chosen, or when `wanted`, asked while nothing happens, says no. The
    collection may be one that nobody has made yet.
    """
    ids = None if choice.collection is None else _ids_of(log, choice.collection, must=False)
    follower = Follower(log, Position(), tail)
    lines = Lines(follower, choice, ids)
    yield from lines.present() if choice.tail is None else _last(lines.present(), choice.tail)
    while not lines.done:
        if follower.wait(time.monotonic() + LOOK_S):
            yield from lines.present()
        elif not wanted():
            return


class Lines:
    """The chosen lines, in one reading of the log that may be gone on with."""

    def __init__(self, follower: Follower, choice: Choice, ids: set[int] | None) -> None:
        self._follower = follower
        self._choice = choice
        self._ids = ids
        self._names = {0: ""}

    @property
    def done(self) -> bool:
        """Whether the last event to be shown was read."""
        last = self._choice.last
        return last is not None and self._follower.position.seq >= last

    def present(self) -> Iterator[Line]:
        """Those in the log by now that were not yet given."""
        while not self.done and (entry := self._follower.next()) is not None:
            line = self._line(*entry)
            if _is_chosen(line, self._choice, self._ids):
                yield line

    def _line(self, header: Header, event: Event) -> Line:
        names = self._names
        if isinstance(event, CollectionCreated):
            names[event.collection] = event.name
        name = names.get(event.collection, "?")
        if isinstance(event, CollectionRenamed):
            names[event.collection] = event.name
        if isinstance(event, CollectionCreated | CollectionRenamed):
            self._choose(event.collection, event.name)
        return Line(header, event, name)

    def _choose(self, number: int, name: str) -> None:
        if self._ids is not None and name == self._choice.collection:
            self._ids.add(number)


def _is_chosen(line: Line, choice: Choice, ids: set[int] | None) -> bool:
    return (
        line.header.seq >= choice.first
        and (ids is None or line.event.collection in ids)
        and (not choice.kinds or line.kind in choice.kinds)
    )


def _last(lines: Iterable[Line], number: int) -> Iterator[Line]:
    """The last lines; what is wrong with the log is raised after them."""
    kept: deque[Line] = deque(maxlen=number)
    try:
        kept.extend(lines)
    finally:
        yield from kept


def _ids_of(log: Log, name: str, *, must: bool) -> set[int]:
    """The collections that ever had a name, as far as the log can be read. `must`: some one."""
    ids = set()
    known = set()
    damage: Exception | None = None
    entries = log.scan(Position())
    while True:
        try:
            event = next(entries).event
        except StopIteration:
            break
        except (LogCorruptedException, FormatException) as error:
            damage = error
            break
        if isinstance(event, CollectionCreated | CollectionRenamed):
            known.add(event.name)
            if event.name == name:
                ids.add(event.collection)
    if ids or not must:
        return ids
    if damage is not None:
        raise damage
    some = ", ".join(sorted(known)[:10]) or "none at all"
    raise CollectionNotExistException(
        message=f"no collection was ever called {name}; the log knows {some}"
    )


def event_data(event: Event) -> dict[str, Any]:
    """An event's own fields, without the layout of its payload; bytes in hex."""
    names = [f.name for f in fields(event)[1:] if f.name != "layout"]
    return {name: getattr(event, name) for name in names}


def time_text(timestamp: int) -> str:
    """A log timestamp (ns) in UTC, to the microsecond."""
    moment = datetime.fromtimestamp(timestamp // 10**9, tz=timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{timestamp % 10**9 // 1000:06}Z"


def _plain(value: Any) -> str:
    assert isinstance(value, bytes), value
    return value.hex()
