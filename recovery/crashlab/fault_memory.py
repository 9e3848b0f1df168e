"""Faults of memory: an address space that is too small, for every kind of work."""

from __future__ import annotations

import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from walvec.crashlab import fault_store
from walvec.crashlab.fault_run import FaultFailed, FaultRun, counted, fault, is_clear
from walvec.crashlab.fault_store import EXPECTED, FaultStore, opened, texts_of
from walvec.recovery.open import open_store
from walvec.segments.settings import Settings
from walvec.wal.errors import StoreBrokenException

OPENING_MB = (0, 64, 68)
"""What the address space may grow by from before the opening; the log's map takes 64 MB of it."""
WORKING_MB = (0, 1, 4)
"""From after the opening."""
ROWS = 10_000
FIRST = 20_000


class Work(NamedTuple):
    """Something to be done with little memory. `changes`: the rows that it adds."""

    do: Callable[[FaultStore], Any]
    adds: range = range(0)


WORKS = {
    "read": Work(lambda store: _require(store.texts() == EXPECTED)),
    "search": Work(lambda store: store.seek(EXPECTED)),
    "insert": Work(
        lambda store: store.insert(range(FIRST, FIRST + ROWS)), range(FIRST, FIRST + ROWS)
    ),
    "release": Work(lambda store: store.release()),
    "load": Work(lambda store: store.load()),
    "seal": Work(lambda store: store.flush()),
    "build": Work(lambda store: store.settle()),
}


def _require(holds: bool) -> None:
    if not holds:
        raise FaultFailed("it holds other rows")


@fault(
    "memory-limit",
    "The address space is too small, by more or less, to open, read, search, insert, load or "
    "build: clear errors, nothing half done, and full service with more memory.",
)
def memory_limit(lab: FaultRun) -> str:
    """RLIMIT_AS in a process of its own, for a range of sizes."""
    refusals: list[str] = []
    rooms = [(mb, True) for mb in OPENING_MB] + [(mb, False) for mb in WORKING_MB]
    for room, opening in lab.random.sample(rooms, len(rooms)):
        folder = fault_store.copied(lab.scratch / f"{'opening' * opening}{room}")
        told: list[str] = lab.in_child(partial(_with_room, folder, room, opening))
        refusals += told
    lab.in_child(lambda: fault_store.require_full_service(folder, None))
    if not refusals:
        raise FaultFailed("nothing was refused, the fault did not come to pass")
    return f"{len(rooms)} sizes: {counted(sorted(refusals))}; all works with more"


def _with_room(folder: Path, room: float, opening: bool) -> list[str]:
    """Do all kinds of work with so many MB, perhaps also the opening; then with as many as there
    are."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    refusals = []
    if opening:
        _leave(room, limits)
    added: list[int] = []
    try:
        store = FaultStore(open_store(folder, settings=Settings()))
    except (Exception, MemoryError) as error:
        refusals.append(_refusal("open", error))
    else:
        if not opening:
            _leave(room, limits)
        for name, work in WORKS.items():
            try:
                work.do(store)
                added += work.adds
            except (Exception, MemoryError) as error:
                refusals.append(_refusal(name, error))
        resource.setrlimit(resource.RLIMIT_AS, limits)
        try:
            store.load()
            _require(store.texts() == _expected(added))
        except StoreBrokenException as error:
            # It could not map the log for writing, and asks to be opened anew.
            refusals.append(_refusal("go on", error))
        store.store.close()
    resource.setrlimit(resource.RLIMIT_AS, limits)
    with opened(folder, background=False) as again:
        _require(again.texts() == _expected(added))
    return refusals


def _leave(room: float, limits: tuple[int, int]) -> None:
    """Let the address space grow by so many MB and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(room * (1 << 20))
    resource.setrlimit(resource.RLIMIT_AS, (limit, limits[1]))


def _refusal(name: str, error: BaseException) -> str:
    if isinstance(error, FaultFailed) or not is_clear(error):
        raise FaultFailed(f"{name} with little memory: {error!r}") from error
    return f"{name}: {type(error).__name__}"


def _expected(added: list[int]) -> dict[int, str]:
    return {**EXPECTED, **texts_of(added)}
