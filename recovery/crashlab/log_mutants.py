"""Faults planted in the log and in what goes into it: what is durable, when, and in which order."""

from __future__ import annotations

import os
import weakref
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import lmdb

from walvec.crashlab.mutant import mutant, replaced
from walvec.recovery import open as opening
from walvec.segments.catalog import Published
from walvec.segments.commands import Command, Decision, Draft
from walvec.segments.read_handle import ReadHandle
from walvec.segments.state import State, freeze
from walvec.segments.store import Store
from walvec.segments.writer import Outcome
from walvec.wal import creation, environment
from walvec.wal.events import SegmentsSealed


@mutant("log-sync-false", "the log is opened with sync=False: a commit waits for no disk")
def _log_sync_false() -> AbstractContextManager[None]:
    return _opened_with(sync=False)


@mutant("log-metasync-false", "the log is opened without metasync, and the level is called full")
def _log_metasync_false() -> AbstractContextManager[None]:
    return _opened_with(metasync=False)


def _opened_with(**settings: Any) -> AbstractContextManager[None]:
    mapped = environment._mapped

    def open_so(folder: Path, **others: Any) -> Any:
        return mapped(folder, **{**others, **settings})

    return replaced((environment, "_mapped", open_so))


@mutant("creation-in-place", "a log is made under its own name, and no folder is synced")
def _creation_in_place() -> AbstractContextManager[None]:
    def create(folder: Path, key: bytes, value: bytes) -> None:
        folder.mkdir(mode=0o700)
        env = lmdb.open(
            str(folder), map_size=environment.MIN_MAP_SIZE_BYTES, max_dbs=environment.MAX_DATABASES
        )
        entries = env.open_db(environment.ENTRIES)
        environment.make_missing(env, {})
        with env.begin(write=True) as txn:
            txn.put(key, value, db=entries)
        env.close()

    return replaced(
        (creation, "_create_environment", create),
        (opening, "sync_names", lambda folder: None),
    )


@mutant("acknowledged-early", "a command returns before it is executed, at the store's next use")
def _acknowledged_early() -> AbstractContextManager[None]:
    execute, current, close = Store.execute, Store.current, Store.close

    def promise(self: Store, command: Command, timeout: float | None = None) -> Outcome:
        drafts, result = command(self.with_state(freeze))
        seq, _, timestamp = self.with_fold(lambda fold: fold.position)
        _PROMISED.setdefault(self, []).append((os.getpid(), command))
        return Outcome(result, seq + len(drafts), timestamp)

    def keep(self: Store) -> None:
        for pid, command in _PROMISED.pop(self, []):
            if pid == os.getpid():  # In a child it is the parent's.
                execute(self, command)

    def current_after(self: Store) -> Published:
        keep(self)
        return current(self)

    def close_after(self: Store) -> None:
        keep(self)
        close(self)

    return replaced(
        (Store, "execute", promise),
        (ReadHandle, "current", current_after),
        (Store, "close", close_after),
    )


_PROMISED: weakref.WeakKeyDictionary[Store, list[tuple[int, Command]]] = weakref.WeakKeyDictionary()


@mutant("seal-before-rows", "the event that seals a segment is logged before the rows that fill it")
def _seal_before_rows() -> AbstractContextManager[None]:
    execute = Store.execute

    def execute_sealing_first(
        self: Store, command: Command, timeout: float | None = None
    ) -> Outcome:
        def decide(state: State) -> Decision:
            drafts, result = command(state)
            return Decision(sorted(drafts, key=_is_no_seal), result)

        return execute(self, decide, timeout)

    return replaced((Store, "execute", execute_sealing_first))


def _is_no_seal(draft: Draft) -> bool:
    return not isinstance(draft.event, SegmentsSealed)


@mutant("torn-command", "the events of one command are committed one by one")
def _torn_command() -> AbstractContextManager[None]:
    execute = Store.execute

    def execute_torn(self: Store, command: Command, timeout: float | None = None) -> Outcome:
        rest: list[Draft] = []

        def decide(state: State) -> Decision:
            drafts, result = command(state)
            rest[:] = drafts[1:]
            return Decision(drafts[:1], result)

        outcome = execute(self, decide, timeout)
        for draft in list(rest):
            _, seq, timestamp = execute(self, _alone(draft), timeout)
            outcome = outcome._replace(seq=seq, timestamp=timestamp)
        return outcome

    return replaced((Store, "execute", execute_torn))


def _alone(draft: Draft) -> Command:
    return lambda state: Decision([draft])
