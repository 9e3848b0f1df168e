"""walvec as a store of the laboratory, by its own means below the API."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from zlib import crc32

from walvec.crashlab.adapter import Adapter, Op, workload
from walvec.crashlab.walvec_commands import COMMANDS, CORE
from walvec.crashlab.walvec_hand import Hand
from walvec.crashlab.walvec_model import Model
from walvec.crashlab.walvec_reading import data_of
from walvec.recovery.log_inspection import LogInspection
from walvec.recovery.open import LOCK
from walvec.recovery.report import NOTE, Finding, Pin
from walvec.segments.caches import recorded_files
from walvec.segments.files import is_intact, segment_folder
from walvec.segments.state import digest
from walvec.segments.store import Store
from walvec.wal.errors import ReopenError
from walvec.wal.failpoints import POINTS

OUT_OF_REACH = ("load.after-commit", "release.after-commit", "rebuild.after-delete")
"""Failpoints of the API and of `rebuild`."""
SLOW = ("threads", "process", "built", "merge", "fill")
KNOWN = 1 << 14
"""What is found of so many workloads is kept."""
NAMES = {"full": "walvec", "last-transaction": "walvec-last-transaction"}


class WalvecAdapter(Adapter):
    """walvec. With `background` it works as for its users, with threads and child processes of
    its own; else the same run writes the same bytes."""

    volatile = frozenset({LOCK, "log/lock.mdb", "log.tmp/lock.mdb"})
    failpoints = frozenset(POINTS.difference(OUT_OF_REACH))
    reopen_errors = (ReopenError,)

    def __init__(
        self,
        commands: Sequence[str] = CORE,
        *,
        durability: str = "full",
        background: bool = False,
    ) -> None:
        """commands: those of which workloads are made; `all_commands` has all that there are."""
        self.commands = tuple(commands)
        if unknown := set(self.commands) - COMMANDS.keys():
            raise ValueError(
                f"walvec has no command {min(unknown)}; there are: {', '.join(COMMANDS)}"
            )
        self.name = NAMES[durability] + "-background" * background
        self.may_lose = int(durability != "full")
        self._durability = durability
        self._background = background

    @property
    def all_commands(self) -> tuple[str, ...]:
        """Every command that is registered."""
        return tuple(COMMANDS)

    def open(self, folder: Path) -> Hand:
        """Open the store, or make it."""
        return Hand(folder, self._durability, self._background)

    def apply(self, handle: Hand, op: Op) -> None:
        """Do an operation. It is durable on return."""
        before = handle.store.log.newest_txnid()
        for step in COMMANDS[op.name].steps:
            step.do(handle, op.number)
        if self.may_lose and handle.store.log.newest_txnid() == before:
            # What may be lost is a transaction. This operation, a load of what is loaded, say,
            # had none, so that the one before it would be lost as well.
            handle.commit_something()

    def state(self, handle: Hand) -> Any:
        """Everything in the store, as `Model.to_data` has it."""
        return data_of(handle.store)

    def close(self, handle: Hand) -> None:
        """Close the store."""
        handle.close()

    def settle(self, handle: Hand) -> None:
        """Do what is done in the background after an open: sweep, mend files, put them into use."""
        handle.settle()

    def may_follow(self, names: Sequence[str], name: str) -> bool:
        """Whether what an operation is done to is there."""
        return _may_follow(tuple(names), name)

    def model(self, ops: Sequence[Op]) -> Any:
        """The state after these operations."""
        return _model_after(tuple(ops)).to_data()

    def between(self, ops: Sequence[Op]) -> list[Any]:
        """The states between the transactions of the last operation."""
        return _between(tuple(ops))

    def further(self, names: Sequence[str]) -> str:
        """As for every store, but for what takes long: it is done for every state judged."""
        return _further(self.all_commands, tuple(names))

    def fingerprint(self, handle: Hand) -> tuple[str, str]:
        """The store's id and newest entry, and the digest of the state after it."""
        return handle.store.with_state(
            lambda state: (f"{state.store_id.hex()}@{state.seq}", digest(state).hex())
        )

    def check(self, handle: Hand) -> list[str]:
        """What is wrong with the log: chain, payloads, the state against a replay from the first
        entry, checkpoints; and with files that cannot be mended."""
        store = handle.store
        if store.damage is not None:
            return [f"the log is damaged: {store.damage.message}"]
        seq, state_digest = store.with_state(lambda state: (state.seq, digest(state)))
        found: list[Finding] = []
        inspection = LogInspection(
            store.log, [Pin(seq, state_digest)], found.append, lambda _done, _total: None
        )
        inspection.run()
        inspection.finish()
        wrong = [f"{f.severity}: {f.subject}: {f.what}" for f in found if f.severity != NOTE]
        return wrong + self._check_files(handle)

    def _check_files(self, handle: Hand) -> list[str]:
        """Files that are missing or damaged are made again; wrong is what then is not whole."""
        damaged = _damaged_files(handle.store)
        if damaged:
            handle.mend(damaged)
            damaged = _damaged_files(handle.store)
        return [
            f"file {name} of segment {segment_id:x} is not as recorded, and was not made again"
            for segment_id, name in damaged
        ]


def _damaged_files(store: Store) -> list[tuple[int, str]]:
    return [
        (segment_id, name)
        for segment_id, name, record in store.with_state(recorded_files)
        if not is_intact(segment_folder(store.segments_folder, segment_id) / name, record)
    ]


def _may_follow(names: tuple[str, ...], name: str) -> bool:
    return COMMANDS[name].follows(_model_after(workload(names)))


@lru_cache(maxsize=KNOWN)
def _further(commands: tuple[str, ...], names: tuple[str, ...]) -> str:
    quick = [name for name in commands if name not in SLOW and _may_follow(names, name)]
    return quick[crc32(",".join(names).encode()) % len(quick)]


@lru_cache(maxsize=KNOWN)
def _between(ops: tuple[Op, ...]) -> list[Any]:
    model, last = _model_after(ops[:-1]).copy(), ops[-1]
    states = []
    for step in COMMANDS[last.name].steps[:-1]:
        step.change(model, last.number)
        states.append(model.to_data())
    return states


@lru_cache(maxsize=KNOWN)
def _model_after(ops: tuple[Op, ...]) -> Model:
    """The model after these operations, not to be changed."""
    if not ops:
        return Model()
    model = _model_after(ops[:-1]).copy()
    for step in COMMANDS[ops[-1].name].steps:
        step.change(model, ops[-1].number)
    return model
