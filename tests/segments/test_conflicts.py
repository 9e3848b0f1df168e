"""Conflicts: what was written to a row counts, and what was written beside it does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from lab import Table, settle

from walvec.segments import catalog_commands, commands
from walvec.segments.conflicts import unchanged_until
from walvec.segments.store import Store
from walvec.wal.rows import Column

KEYS = Column(np.array([1, 2], np.int64))


@pytest.fixture
def table(store: Store) -> Table:
    """The rows 1 to 4 in a sealed segment, and the partition p."""
    made = Table(store)
    store.execute(catalog_commands.create_partition(made.id, "c", "p"))
    made.insert([1, 2, 3, 4])
    made.flush()
    return made


BESIDE: dict[str, Callable[[Table], object]] = {
    "nothing": lambda _: None,
    "insert": lambda t: t.insert([5, 6]),
    "upsert": lambda t: t.insert([3], upsert=True),
    "delete": lambda t: t.delete([4, 99]),
    "flush": lambda t: t.flush(),
    "release": lambda t: t.release(),
    "expire": lambda t: t.store.execute(commands.expire(t.id, "c", t.store.current().seq)),
    "partition": lambda t: t.store.execute(catalog_commands.create_partition(t.id, "c", "q")),
}
WITHIN: dict[str, Callable[[Table], object]] = {
    "insert": lambda t: t.insert([7, 2]),
    "upsert": lambda t: t.insert([1], upsert=True),
    "delete": lambda t: t.delete([2]),
    "truncate": lambda t: t.store.execute(commands.truncate(t.id, "c")),
    "partition": lambda t: t.store.execute(catalog_commands.drop_partition(t.id, "c", "p")),
}


@pytest.mark.parametrize("what", BESIDE)
def test_what_is_written_beside_the_rows_is_no_conflict(table: Table, what: str) -> None:
    info, since = table.info, table.store.current().seq
    BESIDE[what](table)
    until = unchanged_until(table.store, info, KEYS, since)
    written = table.store.with_state(lambda state: state.collections[table.id].written)
    assert until == written
    command = commands.delete(table.id, "c", 100, KEYS, unless_written_since=until)
    assert table.store.execute(command).result == 2


@pytest.mark.parametrize("what", WITHIN)
def test_what_is_written_to_the_rows_is_a_conflict(table: Table, what: str) -> None:
    store = table.store
    store.execute(catalog_commands.release_partitions(table.id, "c", ["p"]))
    info, since = table.info, store.current().seq
    WITHIN[what](table)
    assert unchanged_until(store, info, KEYS, since) is None


def test_a_command_that_depends_on_rows_does_nothing_once_any_have_changed(table: Table) -> None:
    store = table.store
    since = store.current().seq
    table.insert([9])
    settle(store)  # What is recorded in the background is an entry, too.
    before = store.current().seq
    command = commands.delete(table.id, "c", 100, KEYS, unless_written_since=since)
    assert store.execute(command).result == commands.CHANGED
    assert store.current().seq == before
