"""The fold: a state and the place in the log up to which it was folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import lmdb

from walvec.segments.apply import apply
from walvec.segments.check import check
from walvec.segments.commands import Draft
from walvec.segments.state import State
from walvec.wal.errors import FormatException, LogCorruptedException, MilvusException
from walvec.wal.events import Event
from walvec.wal.log import Entry, Log, Position
from walvec.wal.rows import Rows


class Applied(NamedTuple):
    """One entry that was folded. `rows` are at hand where this process wrote them."""

    seq: int
    event: Event
    rows: Rows | None = None


Start = Callable[[Log, int | None], tuple[State, Position] | None]
"""The newest saved state of a log that is not after a seq (None: of all), and its position."""


class Fold:
    """The state after `position`. One thread at a time.

    `whole` is False where an interrupt left the state half changed: restore it.
    """

    def __init__(self, start: Start | None = None) -> None:
        self._start = start
        self._restart()

    def _restart(self) -> None:
        self.state = State()
        self.position = Position()
        self.whole = True

    def restore(self, log: Log, until: int | None = None) -> MilvusException | None:
        """The state after the entry `until`, or the last one, from the newest saved state before
        it, where there is one. As `replay`."""
        saved = None if self._start is None else self._start(log, until)
        self._restart()
        if saved is not None:
            self.state, self.position = saved
        return self.replay(log, until)

    def replay(self, log: Log, until: int | None = None) -> MilvusException | None:
        """Fold the log's entries after the position, up to seq `until`.

        Returns what is wrong with the first damaged entry, where there is one: the state is
        then that before it.
        """
        try:
            for command in _commands(log.scan(self.position)):
                if until is not None and command[0].header.seq > until:
                    break
                for entry in command:
                    self._take(entry)
        except (LogCorruptedException, FormatException) as damage:
            return damage
        return None

    def advance(self, log: Log, txn: lmdb.Transaction) -> Iterator[Applied]:
        """Fold what `txn` sees after the position, one entry at a time."""
        for command in _commands(log.scan(self.position, txn)):
            for entry in command:
                self._take(entry)
                yield Applied(entry.header.seq, entry.event)

    def _take(self, entry: Entry) -> None:
        header, event = entry
        self.whole = False
        try:
            check(self.state, event)
        except MilvusException as refusal:
            self.whole = True
            raise LogCorruptedException(
                message=f"log entry {header.seq} ({type(event).__name__}) cannot follow the ones "
                f"before it: {refusal.message}",
                seq=header.seq,
                kind=type(event).__name__,
            ) from refusal
        apply(self.state, header.seq, header.timestamp, event)
        self.position = Position(header.seq, header.chain, header.timestamp)
        self.whole = True

    def append(
        self,
        log: Log,
        txn: lmdb.Transaction,
        draft: Draft,
        *,
        timestamp: int,
        request: bytes,
        more_follows: bool,
    ) -> Applied:
        """Check, append and apply one new event. Raises its refusal, with nothing done."""
        check(self.state, draft.event)
        self.position = log.append(
            txn,
            self.position,
            draft.event,
            draft.payload,
            timestamp=timestamp,
            request=request,
            more_follows=more_follows,
        )
        apply(self.state, self.position.seq, timestamp, draft.event)
        return Applied(self.position.seq, draft.event, draft.rows)


def _commands(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The entries of one command after the other: a command counts as a whole, or not at all
    where one of its entries is damaged."""
    command: list[Entry] = []
    for entry in entries:
        command.append(entry)
        if not entry.header.more_follows:
            yield command
            command = []
