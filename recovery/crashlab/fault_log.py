"""Faults of the log's own files: flipped bits, cut and zeroed pages, missing and exchanged files.

The log is the truth and cannot be made again. What must hold: damage is detected and named, what
is before it can be read, nothing is ever silently wrong. Two things nobody can tell from the file
itself, and they are counted: LMDB's newest meta page damaged, or an older copy of the file put
back, is the store as it was at an earlier commit. And LMDB, reading some damaged pages, ends its
process, which nothing in that process can prevent: what is damaged so is looked at by `verify`,
in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import lmdb

from walvec.crashlab import fault_store
from walvec.crashlab.fault_run import Ended, FaultFailed, FaultRun, counted, fault
from walvec.crashlab.fault_store import (
    BATCH_ROWS,
    DELETED,
    EXPECTED,
    FURTHER,
    NAME,
    REST,
    SEGMENTS,
    FaultStore,
    opened,
    texts_of,
)
from walvec.recovery.verify import verify
from walvec.wal.entry import HEADER, MAGIC
from walvec.wal.environment import CHECKPOINTS, MAX_DATABASES
from walvec.wal.errors import (
    CommitFailedException,
    LogCorruptedException,
    MilvusException,
    ReadOnlyException,
    StoreUnusableException,
)
from walvec.wal.events import RowsDeleted, RowsInserted
from walvec.wal.log import Position

PAGE = 4096
META_BYTES = 152
"""So much of a meta page means something."""
BATCH = 8
"""Damages that one process looks at: fewer when it dies."""
LOOK_S = 20
WHOLE, EARLIER = "all there", "an earlier commit"
LIMITS = "LMDB ends the process: "

History = dict[int, dict[int, str]]
"""The rows after each entry of the log."""
Damage = Callable[[bytearray], object]


class Trial(NamedTuple):
    """A damage to data.mdb and what it is called."""

    name: str
    do: Damage


def flipped(offset: int, bit: int) -> Trial:
    """One bit of the file changed."""

    def flip(data: bytearray) -> None:
        data[offset] ^= 1 << bit

    return Trial(f"bit {bit} of byte {offset} flipped", flip)


def cut(length: int) -> Trial:
    """The file cut to a length, or made longer by zero bytes."""

    def change(data: bytearray) -> None:
        data[length:] = bytes(max(0, length - len(data)))

    return Trial(f"cut to {length} bytes", change)


def zeroed(page: int) -> Trial:
    """A page of the file zeroed."""

    def zero(data: bytearray) -> None:
        data[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)

    return Trial(f"page {page} zeroed", zero)


@fault(
    "log-bit-flips",
    "Single bits of data.mdb are flipped (meta pages, tree pages, entries' headers, bodies and "
    "rows, checkpoints): it makes no difference, or is named; what is before it is right.",
)
def log_bit_flips(lab: FaultRun) -> str:
    """A sample by the seed: of a store that opens from its checkpoint, of one that has none."""
    whole = _store_without_caches(lab)
    bare = fault_store.copy_store(whole, lab.scratch / "bare")
    lab.in_child(lambda: _forget_checkpoints(bare))
    return "; ".join(
        f"{name}: {_try_all(lab, folder, _flips(lab.random, _data(folder).read_bytes()))}"
        for name, folder in (("with a checkpoint", whole), ("without", bare))
    )


def _flips(chance: Random, data: bytes) -> list[Trial]:
    pages = range(2, len(data) // PAGE)
    entries = [i for i in range(len(data)) if data.startswith(MAGIC, i)]
    places = [chance.randrange(2) * PAGE + chance.randrange(META_BYTES) for _ in range(8)]
    places += [chance.choice(pages) * PAGE + chance.randrange(48) for _ in range(12)]
    places += [chance.choice(entries) + chance.randrange(HEADER.size) for _ in range(12)]
    places += [chance.choice(entries) + HEADER.size + chance.randrange(64) for _ in range(8)]
    places += [chance.randrange(2 * PAGE, len(data)) for _ in range(10)]
    return [flipped(place, chance.randrange(8)) for place in places]


def _forget_checkpoints(folder: Path) -> None:
    """Take the checkpoints out of a store that nobody has open."""
    with lmdb.open(str(folder / "log"), max_dbs=MAX_DATABASES) as env:
        checkpoints = env.open_db(CHECKPOINTS)
        with env.begin(write=True) as txn:
            txn.drop(checkpoints, delete=False)


@fault(
    "log-cut",
    "data.mdb is cut, or has become longer: refused by name where pages are missing, else served.",
)
def log_cut(lab: FaultRun) -> str:
    """Nothing, parts of the meta pages, whole pages, odd lengths."""
    whole = _store_without_caches(lab)
    size = _data(whole).stat().st_size
    chance = lab.random
    lengths = [0, 1, 100, PAGE, PAGE + 100, 2 * PAGE, size // 2, size - PAGE, size - 1]
    lengths += [chance.randrange(size) for _ in range(6)]
    lengths += [chance.randrange(size // PAGE) * PAGE for _ in range(4)]
    lengths += [size + 1, size + PAGE, size + 100 * PAGE]
    return _try_all(lab, whole, [cut(length) for length in lengths])


@fault(
    "log-zeroed-pages",
    "Pages of data.mdb read as zeroes: named, or of no consequence, and `verify` finds it.",
)
def log_zeroed_pages(lab: FaultRun) -> str:
    """Every second page, by the seed."""
    whole = _store_without_caches(lab)
    pages = range(_data(whole).stat().st_size // PAGE)
    some = sorted(lab.random.sample(pages, len(pages) // 2))
    return _try_all(lab, whole, [zeroed(page) for page in some])


def _store_without_caches(lab: FaultRun) -> Path:
    """A store whose rows are all read from its log."""
    folder = fault_store.copied(lab.scratch / "whole")
    shutil.rmtree(folder / "segments")
    return folder


def _data(folder: Path) -> Path:
    return folder / "log" / "data.mdb"


def _try_all(lab: FaultRun, whole: Path, trials: Sequence[Trial]) -> str:
    """Try damages, each on a copy of the store of its own; what came of them."""
    history = lab.in_child(lambda: _history(whole))
    outcomes: list[str] = []
    deadly: list[Trial] = []
    for first in range(0, len(trials), BATCH):
        batch = trials[first : first + BATCH]
        ended = lab.ended(partial(_look_at_all, whole, batch, history), LOOK_S)
        if not ended.signal:
            outcomes += _taken(ended)
            continue
        for trial in batch:
            one = lab.ended(partial(_look_at_all, whole, [trial], history), LOOK_S)
            if one.signal:
                deadly.append(trial)
                outcomes.append(LIMITS + signal.Signals(one.signal).name)
            else:
                outcomes += _taken(one)
    for trial in deadly:
        lab.in_child(partial(_require_named_by_verify, whole, trial))
    return f"{len(trials)} damages: {counted(sorted(outcomes))}"


def _taken(ended: Ended) -> list[str]:
    if ended.error:
        raise FaultFailed(ended.error)
    outcomes: list[str] = ended.value
    return outcomes


def _history(folder: Path) -> History:
    """The rows after every entry of a store as `fill` makes it."""
    inserted = iter([range(n * BATCH_ROWS, (n + 1) * BATCH_ROWS) for n in range(SEGMENTS)] + [REST])
    rows: dict[int, str] = {}
    history = {0: rows}
    with opened(folder, read_only=True, background=False) as store:
        for header, event in store.store.log.scan(Position()):
            if isinstance(event, RowsInserted):
                rows = {**rows, **texts_of(next(inserted))}
            elif isinstance(event, RowsDeleted):
                rows = {n: text for n, text in rows.items() if n not in DELETED}
            history[header.seq] = rows
    assert rows == EXPECTED
    return history


def _damaged(whole: Path, trial: Trial) -> Path:
    """A copy of the store with a damage."""
    folder = whole.with_name(f"damaged-{os.getpid()}")
    shutil.rmtree(folder, ignore_errors=True)
    fault_store.copy_store(whole, folder)
    data = bytearray(_data(folder).read_bytes())
    trial.do(data)
    _data(folder).write_bytes(data)
    return folder


def _look_at_all(whole: Path, trials: Sequence[Trial], history: History) -> list[str]:
    return [_look(trial.name, _damaged(whole, trial), history) for trial in trials]


def _look(name: str, folder: Path, history: History) -> str:
    """What a store with a damaged log does, in a few words. Raises FaultFailed for what it must
    not do."""
    before = _data(folder).read_bytes()
    try:
        with opened(folder, background=False) as store:
            return _look_inside(name, store, history, before)
    except MilvusException as error:
        if not isinstance(error, StoreUnusableException | LogCorruptedException):
            raise FaultFailed(f"{name}: {error!r}") from error
        return f"refused with {type(error).__name__}"


def _look_inside(name: str, store: FaultStore, history: History, before: bytes) -> str:
    seq = store.store.current().seq
    damage = store.store.damage
    try:
        found = store.texts()
    except LogCorruptedException as error:
        return f"reading rows of a damaged entry refused with {type(error).__name__}"
    if found != history[seq]:
        raise FaultFailed(f"{name}: other rows than those after entry {seq}")
    if damage is not None:
        try:
            store.store.refuse_unless_writable()
        except ReadOnlyException:
            if _data(store.store.folder).read_bytes() != before:
                raise FaultFailed(f"{name}: the damaged log was changed") from damage
            return "read-only up to the damaged entry"
        raise FaultFailed(f"{name}: a damaged log may be written")
    outcome = WHOLE if found == EXPECTED else EARLIER
    if NAME not in store.store.current().names:
        return f"{EARLIER}, before there were rows"
    try:
        store.insert([FURTHER])
        wanted = {**found, **texts_of([FURTHER])}
    except (StoreUnusableException, CommitFailedException):
        outcome, wanted = "all there, a write refused for the damage", found
    if store.texts() != wanted:
        raise FaultFailed(f"{name}: other rows after an insert")
    return outcome


def _require_named_by_verify(whole: Path, trial: Trial) -> None:
    try:
        findings = verify(_damaged(whole, trial)).findings
    except StoreUnusableException:
        return
    if not findings:
        raise FaultFailed(f"{trial.name}: opening it ends the process, and verify finds nothing")
