"""What the log says in the end: the commands in their order, and what each did to which rows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture.batches import MASK
from walvec.segments.fold import Fold
from walvec.segments.log_rows import read_rows
from walvec.segments.state import State, digest
from walvec.wal.events import (
    CollectionCreated,
    CollectionLoaded,
    CollectionReleased,
    RowsDeleted,
    RowsInserted,
    RowsUpserted,
)
from walvec.wal.log import Log, Position


@dataclass
class Stored:
    """One command in the log: entries first to last, of one transaction."""

    first: int
    last: int
    kind: str
    collection: str
    pks: list[int] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)


class Content:
    """The rows of one collection while the commands go by."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.hash = 0

    def apply(self, command: Stored) -> None:
        """Let a command change the rows."""
        if command.kind == "delete":
            for pk in command.pks:
                self._take(pk)
        for pk, stamp in zip(command.pks, command.stamps, strict=False):
            self._take(pk)
            self.rows[pk] = stamp
            self.hash = (self.hash + hash((pk, stamp))) & MASK

    def _take(self, pk: int) -> None:
        if pk in self.rows:
            self.hash = (self.hash - hash((pk, self.rows.pop(pk)))) & MASK


@dataclass
class History:
    """All commands of a log in order; `loads` are (seq, whether it loaded) by collection."""

    commands: list[Stored]
    last_seq: int = 0
    seqs_missing: list[int] = field(default_factory=list)

    def ending_at(self, seq: int) -> Stored | None:
        """The command whose last entry has this seq."""
        place = bisect_left(self.commands, seq, key=lambda c: c.last)
        if place < len(self.commands) and self.commands[place].last == seq:
            return self.commands[place]
        return None

    def contents(self, seqs: Iterable[int]) -> Iterator[tuple[int, dict[str, Content]]]:
        """For each seq, rising: the rows of every collection after the last command that ended at
        or before it. The contents are the same objects each time."""
        contents: dict[str, Content] = defaultdict(Content)
        place = 0
        for seq in sorted(set(seqs)):
            while place < len(self.commands) and self.commands[place].last <= seq:
                contents[self.commands[place].collection].apply(self.commands[place])
                place += 1
            yield seq, contents

    def within_a_command(self, seq: int) -> Stored | None:
        """The command that a seq cuts in two, if it cuts one."""
        place = bisect_right(self.commands, seq, key=lambda c: c.first) - 1
        if place >= 0 and self.commands[place].first <= seq < self.commands[place].last:
            return self.commands[place]
        return None


KINDS = (
    (RowsDeleted, "delete"),
    (RowsUpserted, "upsert"),
    (RowsInserted, "insert"),
    (CollectionLoaded, "load"),
    (CollectionReleased, "release"),
)


def read_history(store: Path) -> History:
    """The history of a store that nobody has open in this process."""
    log = Log(store / "log", read_only=True)
    try:
        state = _state(log)
        commands: list[Stored] = []
        missing: list[int] = []
        before, open_command = 0, False
        for header, event in log.scan(Position()):
            seq = header.seq
            missing.extend(range(before + 1, seq))
            before = seq
            if not open_command:
                commands.append(Stored(seq, seq, "other", _name(state, event)))
            command = commands[-1]
            command.last = seq
            for kind, name in KINDS:
                if isinstance(event, kind):
                    command.kind = name
                    break
            if isinstance(event, RowsDeleted | RowsInserted):
                _take_rows(log, state, seq, event, command)
            open_command = header.more_follows
        return History(commands, before, missing)
    finally:
        log.close()


def _state(log: Log) -> State:
    fold = Fold()
    damage = fold.replay(log)
    if damage is not None:
        raise damage
    return fold.state


def _name(state: State, event: Any) -> str:
    if isinstance(event, CollectionCreated):
        return event.name
    collection = state.collections.get(event.collection)
    return collection.name if collection else ""


def _take_rows(log: Log, state: State, seq: int, event: Any, command: Stored) -> None:
    schema = state.collections[event.collection].schema
    with log.reading() as txn:
        columns = read_rows(log, txn, seq, schema).columns
        command.pks += columns[schema.primary.id].values.tolist()
        if isinstance(event, RowsInserted):
            command.stamps += columns[schema.by_name["stamp"].id].values.tolist()


def replayed_digests(store: Path, seqs: Sequence[int]) -> dict[int, str]:
    """The digest of the state at each seq, replayed from zero; no entry for a seq in a command."""
    log = Log(store / "log", read_only=True)
    found: dict[int, str] = {}
    fold = Fold()
    try:
        for seq in sorted(set(seqs)):
            damage = fold.replay(log, seq)
            if damage is not None:
                raise damage
            if fold.position.seq == seq:
                found[seq] = digest(fold.state).hex()
    finally:
        log.close()
    return found
