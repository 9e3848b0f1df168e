"""What the tests of the log, the segments and recovery share: stores, rows, child processes."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from walvec.recovery.open import open_store
from walvec.segments import catalog_commands, commands
from walvec.segments.batch import batch_of
from walvec.segments.catalog import CollectionInfo
from walvec.segments.file_maker import FileMaker
from walvec.segments.fold import Fold
from walvec.segments.index import IndexSpec
from walvec.segments.memory import trim
from walvec.segments.settings import Settings
from walvec.segments.state import FileRecord, State, digest
from walvec.segments.store import Store
from walvec.wal.log import Log
from walvec.wal.rows import Column, Rows
from walvec.wal.schema import DataType, Field, Schema

TESTS = Path(__file__).parent
DIM = 4
ID, VECTOR, TEXT = 100, 101, 102


def schema(dim: int = DIM, *, pk: DataType = DataType.INT64, auto_id: bool = False) -> Schema:
    """A primary key, a vector, a text."""
    length = 100 if pk == DataType.VARCHAR else 0
    return Schema(
        (
            Field(ID, "id", pk, is_primary=True, auto_id=auto_id, max_length=length),
            Field(VECTOR, "v", DataType.FLOAT_VECTOR, dim=dim),
            Field(TEXT, "t", DataType.VARCHAR, max_length=100),
        )
    )


def rows(ids: Iterable[int], *, version: int = 0, dim: int = DIM) -> Rows:
    """Rows whose vectors say their id and whose text says id and version."""
    numbers = np.array(list(ids), np.int64)
    vectors = np.repeat(numbers[:, None], dim, 1).astype(np.float32)
    texts = Column.of_texts(f"{i}/{version}" for i in numbers.tolist())
    return Rows(len(numbers), {ID: Column(numbers), VECTOR: Column(vectors), TEXT: texts})


def flat_wish(name: str = "flat") -> commands.IndexWish:
    """An index that needs no file."""
    return commands.IndexWish(VECTOR, "v", name, "FLAT", "L2", {})


def annoy_wish(name: str = "annoy") -> commands.IndexWish:
    """An index that needs a file."""
    return commands.IndexWish(VECTOR, "v", name, "ANNOY", "L2", {"n_trees": 4})


def flat_spec(number: int, name: str = "flat") -> IndexSpec:
    """The index of `flat_wish` with its id."""
    return flat_wish(name).with_id(number)


class Table:
    """One collection of a store, driven below the API."""

    def __init__(
        self,
        store: Store,
        name: str = "c",
        *,
        layout: Schema | None = None,
        load: bool = True,
        wish: commands.IndexWish | None = None,
    ) -> None:
        """The collection of this name; made if there is none."""
        self.store = store
        self.name = name
        if name not in store.current().names:
            command = catalog_commands.create_collection(
                name,
                layout or schema(),
                {},
                [wish or flat_wish()],
                load=load,
                consistency_level="Strong",
                num_shards=1,
            )
            store.execute(command)
        self.id = self.info.id

    @property
    def info(self) -> CollectionInfo:
        """What the catalog says now."""
        return self.store.info(self.name)

    def insert(self, ids: Iterable[int], *, version: int = 0, upsert: bool = False) -> int:
        """Insert rows; returns the seq after it."""
        batch = batch_of(rows(ids, version=version))
        limit = self.store.settings.segment_max_bytes
        command = commands.insert(self.id, self.name, [batch], limit, upsert=upsert)
        return self.store.execute(command).seq

    def delete(self, ids: Sequence[int]) -> int:
        """Delete rows; returns the seq after it."""
        pks = Column(np.array(ids, np.int64))
        return self.store.execute(commands.delete(self.id, self.name, ID, pks)).seq

    def flush(self) -> None:
        """Seal what grows."""
        self.store.execute(commands.flush(self.id, self.name))

    def load(self) -> None:
        """Flag as loaded and read the rows."""
        self.store.execute(catalog_commands.load(self.id, self.name))
        self.store.view(self.info)

    def release(self) -> None:
        """Let the rows go."""
        self.store.execute(catalog_commands.release(self.id, self.name))
        trim()

    def texts(self) -> dict[int, str]:
        """The visible rows as id -> text."""
        found: dict[int, str] = {}
        for segment in self.store.view(self.info).segments:
            alive = segment.alive()
            keys = segment.column(ID).values.tolist()
            texts = segment.column(TEXT).texts()
            for row, (key, text) in enumerate(zip(keys, texts, strict=True)):
                if alive is None or alive[row]:
                    assert key not in found, f"two visible rows of key {key}"
                    found[key] = text
        return found


def replayed(log: Log, until: int | None = None) -> State:
    """The state of a second fold, from the first entry on."""
    fold = Fold()
    damage = fold.replay(log, until)
    assert damage is None, damage
    return fold.state


def assert_state_is_replayed(store: Store) -> None:
    """The live state is the one that a replay from zero gives."""
    # Copied at once, and replayed as far: background work may go on meanwhile.
    seq, live, data = store.with_state(
        lambda state: (state.seq, digest(state), copy.deepcopy(state.to_data()))
    )
    second = replayed(store.log, seq)
    assert data == second.to_data()
    assert live == digest(second)


def settle(store: Store) -> None:
    """Wait until the background worker has nothing left to make."""
    assert file_maker(store).wait(60), "files are still being made"


def file_maker(store: Store) -> FileMaker:
    """The worker that makes the segment files of a store that writes."""
    return next(w for w in store.watchers if isinstance(w, FileMaker))


def state_data(store: Store) -> dict[str, Any]:
    """The whole state as plain data."""
    return store.with_state(lambda state: copy.deepcopy(state.to_data()))


def file_records(store: Store) -> dict[Path, FileRecord]:
    """How the files of segments must be found, as the log has it."""
    return {
        store.segments_folder / f"{segment['id']:x}" / name: FileRecord(*record)
        for collection in state_data(store)["collections"]
        for segment in collection["segments"]
        for name, record in segment["files"].items()
    }


def run_child(
    code: str, *arguments: object, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own; it may import this module."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def open_at(folder: Path, *, read_only: bool = False, **settings: Any) -> Store:
    """Open a store with some settings."""
    return open_store(folder, read_only=read_only, settings=Settings(**settings))
