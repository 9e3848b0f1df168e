"""A store with every kind of file in it, and what it must hold and find.

One collection: a key, two vector fields with an index each of Annoy and FAISS (where it can be
imported), a text and a number with an index each; a few sealed segments, and rows that grow.
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import numpy as np

from walvec.crashlab.fault_run import FaultFailed
from walvec.recovery.open import open_store
from walvec.segments import catalog_commands, commands
from walvec.segments.batch import batch_of
from walvec.segments.catalog import CollectionInfo
from walvec.segments.file_maker import FileMaker
from walvec.segments.files import is_intact, segment_folder
from walvec.segments.fold import Fold
from walvec.segments.lookup import Lookup
from walvec.segments.search import Plan, search
from walvec.segments.settings import Settings
from walvec.segments.state import FileRecord, State, digest
from walvec.segments.store import Store
from walvec.wal.rows import Column, Rows
from walvec.wal.schema import DataType, Field, Schema

NAME = "c"
DIM = 8
PRIME = 1_000_003
MULTIPLIERS = np.array([7919 * k * k for k in range(1, DIM + 1)])
"""Vectors are scattered by them, and differ from id to id."""
ID, LEFT, RIGHT, TEXT, NUMBER = range(100, 105)
SETTLE_S = 50
SEEK_EVERY = 9
HAS_FAISS = importlib.util.find_spec("faiss") is not None

SCHEMA = Schema(
    (
        Field(ID, "id", DataType.INT64, is_primary=True),
        Field(LEFT, "left", DataType.FLOAT_VECTOR, dim=DIM),
        Field(RIGHT, "right", DataType.FLOAT_VECTOR, dim=DIM),
        Field(TEXT, "text", DataType.VARCHAR, max_length=100),
        Field(NUMBER, "number", DataType.INT64),
    )
)
_GRAPH = ("HNSW", {"M": 8, "efConstruction": 40}) if HAS_FAISS else ("FLAT", {})
WISHES = [
    commands.IndexWish(LEFT, "left", "left", "ANNOY", "L2", {"n_trees": 4}),
    commands.IndexWish(RIGHT, "right", "right", _GRAPH[0], "L2", _GRAPH[1]),
    commands.IndexWish(TEXT, "text", "text", "INVERTED", "", {}),
    commands.IndexWish(NUMBER, "number", "number", "STL_SORT", "", {}),
]


def rows(ids: Iterable[int], version: int) -> Rows:
    """Rows whose values all depend on the id, and whose text says the version too."""
    numbers = np.array(list(ids), np.int64)
    mixed = (numbers[:, None] + 1) * MULTIPLIERS % PRIME
    left = (mixed / PRIME).astype(np.float32)
    columns = {
        ID: Column(numbers),
        LEFT: Column(left),
        RIGHT: Column(-left),
        TEXT: Column.of_texts(texts_of(numbers.tolist(), version).values()),
        NUMBER: Column(numbers * 7),
    }
    return Rows(len(numbers), columns)


def texts_of(ids: Iterable[int], version: int = 0) -> dict[int, str]:
    """The texts of rows as they must be found."""
    return {n: f"row {n}, version {version}" for n in ids}


class FaultStore:
    """An open store, driven below the API."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def create(self) -> None:
        """Make the collection, loaded."""
        self.store.execute(catalog_commands.create_collection(NAME, SCHEMA, {}, WISHES, load=True))

    @property
    def info(self) -> CollectionInfo:
        """What the catalog says now."""
        return self.store.info(NAME)

    def insert(self, ids: Iterable[int], version: int = 0) -> int:
        """Insert rows; the seq after it."""
        limit = self.store.settings.segment_max_bytes
        batch = batch_of(rows(ids, version))
        return self.store.execute(commands.insert(self.info.id, NAME, [batch], limit)).seq

    def delete(self, ids: Iterable[int]) -> int:
        """Delete rows; the seq after it."""
        pks = Column(np.array(list(ids), np.int64))
        return self.store.execute(commands.delete(self.info.id, NAME, ID, pks)).seq

    def flush(self) -> None:
        """Seal what grows."""
        self.store.execute(commands.flush(self.info.id, NAME))

    def release(self) -> None:
        """Let the rows go."""
        self.store.execute(catalog_commands.release(self.info.id, NAME))

    def load(self) -> None:
        """Read the rows."""
        self.store.execute(catalog_commands.load(self.info.id, NAME))
        self.texts()

    def settle(self) -> None:
        """Wait until the files of all segments are made. Raises FaultFailed where they are not."""
        maker = next(w for w in self.store.watchers if isinstance(w, FileMaker))
        if not maker.wait(SETTLE_S):
            raise FaultFailed(f"files are still being made after {SETTLE_S} s")

    def texts(self) -> dict[int, str]:
        """The visible rows, id -> text. Raises FaultFailed if their other columns differ."""
        found: dict[int, str] = {}
        if NAME not in self.store.current().names:
            return found
        for segment in self.store.view(self.info).segments:
            alive = segment.alive()
            keys = segment.column(ID).values
            wanted = rows(keys.tolist(), 0) if len(keys) else None
            for field in (LEFT, RIGHT, NUMBER):
                if wanted and not np.array_equal(
                    segment.column(field).values, wanted.columns[field].values
                ):
                    raise FaultFailed(f"wrong values in field {field} of a segment")
            texts = segment.column(TEXT).texts()
            for row, (key, text) in enumerate(zip(keys.tolist(), texts, strict=True)):
                if alive is None or alive[row]:
                    if key in found:
                        raise FaultFailed(f"two visible rows of key {key}")
                    found[key] = text
        return found

    def seek(self, ids: Iterable[int]) -> None:
        """Search for rows that are there, by both vectors. Raises FaultFailed where a row is not
        the one nearest to itself."""
        ids = list(ids)
        wanted = rows(ids, 0)
        view = self.store.view(self.info)
        for number, field in ((LEFT, SCHEMA.fields[1]), (RIGHT, SCHEMA.fields[2])):
            spec = next(i for i in self.info.indexes.values() if i.field_id == number)
            plan = Plan(field, "L2", spec, {}, 1)
            answers = search(view, plan, wanted.columns[number].values)
            for key, answer in zip(ids, answers, strict=True):
                if not answer.places or answer.scores[0] > 1e-6:
                    raise FaultFailed(f"a search for row {key} by {field.name} found {answer}")

    def require_indexes(self) -> None:
        """Raise FaultFailed unless every sealed segment is served by all of its indexes, and the
        scalar ones find what is there."""
        for used in self.store.view(self.info).segments:
            if not used.segment.sealed:
                continue
            count = len(used.indexes)
            if count < 1 + HAS_FAISS or set(used.scalars) != {TEXT, NUMBER}:
                raise FaultFailed(f"segment {used.segment.id:x} is searched without its indexes")
            keys = used.column(ID).values.tolist()
            texts = used.column(TEXT).texts()
            for row in (0, len(keys) - 1):
                asked = (
                    (NUMBER, Lookup(NUMBER, "in", (keys[row] * 7,))),
                    (TEXT, Lookup(TEXT, "in", (texts[row].encode(),))),
                )
                for field, lookup in asked:
                    if row not in used.scalars[field].positions(lookup).tolist():
                        raise FaultFailed(f"the index of field {field} does not find {lookup}")

    def records(self) -> dict[Path, FileRecord]:
        """How the files of segments must be found, as the log has it."""

        def read(state: State) -> dict[Path, FileRecord]:
            return {
                segment_folder(self.store.segments_folder, segment.id) / name: record
                for collection in state.collections.values()
                for segment in collection.segments.values()
                for name, record in segment.files.items()
            }

        return self.store.with_state(read)


@contextmanager
def opened(folder: Path, *, read_only: bool = False, **settings: Any) -> Iterator[FaultStore]:
    """The store in a folder, closed at the end of the block."""
    background = settings.pop("background", True)
    store = open_store(
        folder, read_only=read_only, settings=Settings(**settings), background=background
    )
    try:
        yield FaultStore(store)
    finally:
        store.close()


SEGMENTS = 6
BATCH_ROWS = 60
REST = range(SEGMENTS * BATCH_ROWS, SEGMENTS * BATCH_ROWS + 20)
"""The ids that grow."""
DELETED = (3, BATCH_ROWS + 3, REST[3])
FURTHER, SEEDED = 9_999, 10_000
EXPECTED = texts_of(n for n in range(REST.stop) if n not in DELETED)
"""What `fill` leaves."""


def fill(folder: Path, *, seed: int = 0) -> None:
    """Make the store: some sealed segments with all their files, rows that grow, deletes. With
    another seed it has one more row first, in a segment of its own."""
    with opened(folder) as store:
        store.create()
        for _ in range(seed):
            store.insert([SEEDED])
            store.flush()
        for number in range(SEGMENTS):
            store.insert(range(number * BATCH_ROWS, (number + 1) * BATCH_ROWS))
            store.flush()
        store.insert(REST)
        store.delete(DELETED)
        store.settle()
        store.require_indexes()


def copied(folder: Path, *, seed: int = 0) -> Path:
    """A new folder with a store as `fill` makes it."""
    return copy_store(_filled(seed), folder)


def copy_store(source: Path, folder: Path) -> Path:
    """Copy a store that nobody has open."""
    shutil.copytree(source, folder, copy_function=shutil.copy)
    return folder


@functools.cache
def _filled(seed: int) -> Path:
    """A store that is made once in a process, and goes with it."""
    place = tempfile.mkdtemp(prefix="walvec-faults-")
    # Not atexit, which the workers of a pool do without; nor a TemporaryDirectory, which is
    # removed by a forked child that forgets it.
    Finalize(None, shutil.rmtree, (place,), {"ignore_errors": True}, exitpriority=0)
    folder = Path(place) / "store"
    fill(folder, seed=seed)
    return folder


def require_full_service(folder: Path, expected: dict[int, str] | None = EXPECTED) -> None:
    """Open a store: its rows are there at once, are found by search, it takes another row, all
    files are made again as they were recorded, and a replay of the log gives the same state.
    Raises FaultFailed.

    Without `expected` the rows may be any, as long as they stay.
    """
    with opened(folder) as store:
        if store.store.damage is not None:
            raise FaultFailed(f"the log is damaged: {store.store.damage.message}")
        wanted = store.texts() if expected is None else expected
        _require_rows(store, wanted, "at once")
        store.settle()
        _require_rows(store, wanted, "with all files")
        store.require_indexes()
        for path, record in store.records().items():
            if not is_intact(path, record):
                raise FaultFailed(f"{path} is not as it was recorded")
        store.insert([FURTHER])
        _require_rows(store, {**wanted, **texts_of([FURTHER])}, "after an insert")
        replayed = Fold()
        damage = replayed.replay(store.store.log)
        if damage is not None or digest(replayed.state) != store.store.with_state(digest):
            raise FaultFailed(f"a replay gives another state ({damage})")


def _require_rows(store: FaultStore, expected: dict[int, str], when: str) -> None:
    found = store.texts()
    if found != expected:
        lost, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
        raise FaultFailed(f"{when}: lost {lost[:5]}, extra {extra[:5]}, or wrong texts")
    # In segments as small as theirs an index finds every row.
    store.seek(sorted(EXPECTED.keys() & found.keys())[::SEEK_EVERY])
