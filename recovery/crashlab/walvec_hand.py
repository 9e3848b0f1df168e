"""A hand on a store of walvec: what the laboratory does to one, below the API.

What walvec does in the background is done here at once, in the calling thread, so that the same
operations write the same bytes; unless the store was opened with its background.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lmdb

from walvec.crashlab.walvec_model import (
    ADDED,
    ADDED_DEFAULT,
    ADDED_INDEX,
    ALIAS,
    CURSORS,
    DATABASE,
    FIELDS,
    FILL_ROWS,
    INDEXES,
    NAMES,
    PARTITION,
)
from walvec.crashlab.walvec_reading import ID, NUMBER, TEXT, VECTOR
from walvec.recovery.checkpointer import Checkpointer
from walvec.recovery.open import open_store
from walvec.segments import catalog_commands, commands
from walvec.segments.builder import Builder, answer
from walvec.segments.catalog import CollectionInfo
from walvec.segments.commands import Command, IndexWish
from walvec.segments.file_maker import FileMaker
from walvec.segments.memory import trim
from walvec.segments.merging import forced_merges
from walvec.segments.settings import Settings
from walvec.wal.cursors import delete_cursor, put_cursor
from walvec.wal.schema import DataType, Field, Schema

DIM = 4
SEGMENT_MAX_BYTES = FILL_ROWS * DIM * 4
"""What fills a segment at once, and some inserts together."""
PATIENCE_S = 60.0
MERGED_BYTES = 1 << 20
MARK = "crashlab"
SCHEMA = Schema(
    (
        Field(ID, FIELDS[0], DataType.INT64, is_primary=True),
        Field(VECTOR, FIELDS[1], DataType.FLOAT_VECTOR, dim=DIM),
        Field(TEXT, FIELDS[2], DataType.VARCHAR, max_length=100),
        Field(NUMBER, FIELDS[3], DataType.INT64),
    )
)
WISHES = (
    IndexWish(NUMBER, FIELDS[3], INDEXES[0], "STL_SORT", "", {}),
    IndexWish(VECTOR, FIELDS[1], INDEXES[1], "ANNOY", "L2", {"n_trees": 2}),
)
ADDED_WISH = IndexWish(TEXT, FIELDS[2], ADDED_INDEX, "INVERTED", "", {})


class _BuilderHere(Builder):
    """Builds in the calling thread: a child process takes a third of a second to start."""

    def _ask(self, request: str) -> dict[str, Any]:
        return answer(json.loads(request))


class Hand:
    """An open store and those who work behind it."""

    def __init__(self, folder: Path, durability: str, background: bool) -> None:
        self.folder = folder
        self._background = background
        # Which file system this is need not be found out at each of many thousand opens.
        self._settings = Settings(SEGMENT_MAX_BYTES, durability, allow_network_fs=True)
        self.store = open_store(folder, settings=self._settings, background=background)
        if not background and self.store.damage is None:
            self.store.add_watcher(Checkpointer(self.store))
            self.store.add_watcher(FileMaker(self.store, _BuilderHere()))

    def of_another_process(self) -> Hand:
        """A hand of a forked child, which has closed this one's store."""
        return Hand(self.folder, self._settings.durability, False)

    def close(self) -> None:
        """Close the store, which saves its state."""
        self.store.close()

    @property
    def info(self) -> CollectionInfo:
        """The collection."""
        (found,) = self.store.current().collections.values()
        return found

    @property
    def maker(self) -> FileMaker:
        """Who makes the files of segments."""
        return next(w for w in self.store.watchers if isinstance(w, FileMaker))

    def execute(self, command: Command) -> Any:
        """Do a command; its result."""
        return self.store.execute(command).result

    # The collection

    def create(self) -> None:
        """Make the collection with its indexes, loaded, unless it is there."""
        if not self.store.current().collections:
            made = catalog_commands.create_collection(NAMES[0], SCHEMA, {}, WISHES, load=True)
            self.execute(made)

    def drop(self) -> None:
        """Drop it."""
        self.execute(catalog_commands.drop_collection(self.info.id, self.info.name))
        trim()

    def rename(self) -> None:
        """Give it its other name."""
        info = self.info
        other = NAMES[NAMES.index(info.name) - 1]
        self.execute(catalog_commands.rename_collection(info.id, info.name, other))

    def move(self) -> None:
        """Move it to the other database."""
        info = self.info
        number = next(
            d.id for d in self.store.current().databases.values() if d.id != info.database
        )
        moved = catalog_commands.rename_collection(info.id, info.name, info.name, number)
        self.execute(moved)

    def set_alias(self) -> None:
        """Give it another name beside its own."""
        info = self.info
        self.execute(catalog_commands.set_alias(info.id, info.name, ALIAS, take=False))

    def drop_alias(self) -> None:
        """Take that away."""
        info = self.info
        self.execute(catalog_commands.drop_alias(info.id, info.name, ALIAS))

    def create_database(self) -> None:
        """Make a second database."""
        self.execute(catalog_commands.create_database(DATABASE, {}))

    def drop_database(self) -> None:
        """Drop it."""
        number = self.store.current().databases[DATABASE].id
        self.execute(catalog_commands.drop_database(number))

    def add_field(self) -> None:
        """Add a field with a default."""
        info = self.info
        added = Field(0, ADDED, DataType.INT64, default=ADDED_DEFAULT)
        self.execute(catalog_commands.add_field(info.id, info.name, added))

    def alter(self, number: int) -> None:
        """Set a property."""
        info = self.info
        properties = {f"p{number % 3}": str(number)}
        self.execute(catalog_commands.alter_collection(info.id, info.name, properties))

    def create_index(self) -> None:
        """Make a third index."""
        info = self.info
        self.execute(commands.create_index(info.id, info.name, [ADDED_WISH]))

    def drop_index(self) -> None:
        """Drop it."""
        info = self.info
        self.execute(commands.drop_index(info.id, info.name, ADDED_INDEX, lambda _: None))

    # Partitions, and what is loaded

    def create_partition(self) -> None:
        """Make a second partition."""
        info = self.info
        self.execute(catalog_commands.create_partition(info.id, info.name, PARTITION))

    def drop_partition(self) -> None:
        """Drop it with its rows."""
        info = self.info
        self.execute(catalog_commands.drop_partition(info.id, info.name, PARTITION))

    def load(self) -> None:
        """Load all partitions."""
        info = self.info
        self.execute(catalog_commands.load(info.id, info.name))
        self.store.view(self.info)

    def release(self) -> None:
        """Release all of them."""
        self.execute(catalog_commands.release(self.info.id, self.info.name))
        trim()

    def load_partition(self) -> None:
        """Load the second one."""
        info = self.info
        self.execute(catalog_commands.load_partitions(info.id, info.name, [PARTITION]))
        self.store.view(self.info)

    def release_partition(self) -> None:
        """Release the second one."""
        info = self.info
        self.execute(catalog_commands.release_partitions(info.id, info.name, [PARTITION]))

    # What is behind the rows

    def flush(self) -> None:
        """Seal what grows."""
        self.execute(commands.flush(self.info.id, self.info.name))

    def build(self) -> None:
        """Seal what grows, and make the files of all sealed segments."""
        self.flush()
        self.settle()

    def settle(self) -> None:
        """Make all files that are to be there, remove all others, and put them into use."""
        if self.store.damage is not None:
            return  # Nothing is made for a store that is read-only.
        if not self._background:
            self.maker.work_now()
        elif not self.maker.wait(PATIENCE_S):
            raise TimeoutError(f"files of {self.folder} are still made after {PATIENCE_S:.0f} s")

    def mend(self, files: Iterable[tuple[int, str]]) -> None:
        """Make these files again, each (segment id, name)."""
        self.maker.make_again(files)
        self.settle()

    def merge(self) -> None:
        """Make one segment of those that are sealed, in each partition."""
        info = self.info
        for sources in self.store.with_state(
            lambda state: forced_merges(state, info.id, MERGED_BYTES)
        ):
            self.execute(commands.merge_segments(info.id, sources))

    def move_cursor(self, number: int) -> None:
        """A reader of the change feed has seen everything so far."""
        name, log = CURSORS[number % 2], self.store.log
        self.store.side_write(lambda txn: put_cursor(log, txn, name, log.last_seq(txn)))

    def commit_something(self) -> None:
        """A transaction that changes nothing that counts: a mark is moved."""
        log = self.store.log

        def move(txn: lmdb.Transaction) -> None:
            delete_cursor(log, txn, MARK)
            put_cursor(log, txn, MARK, log.last_seq(txn))

        self.store.side_write(move)

    def checkpoint(self) -> None:
        """Save the state."""
        next(w for w in self.store.watchers if isinstance(w, Checkpointer)).save_now()
