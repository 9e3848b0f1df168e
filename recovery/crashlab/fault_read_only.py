"""Faults of rights: folders and media that may be read only."""

from __future__ import annotations

from pathlib import Path

from walvec.crashlab import fault_store, mounts
from walvec.crashlab.fault_run import FaultFailed, FaultRun, fault, is_clear
from walvec.crashlab.fault_store import EXPECTED, opened, texts_of
from walvec.wal.errors import ReadOnlyException, StoreUnusableException


@fault(
    "read-only-folder",
    "The folder and its files may not be written: it can be read, a write is refused and says "
    "what to do, and what is acknowledged stays.",
)
def read_only_folder(lab: FaultRun) -> str:
    """Modes 0500 and 0400, for a process without root's rights."""
    folder = fault_store.copied(lab.scratch / "store")

    def look() -> str:
        mounts.give_up_rights()
        _set_modes(folder, 0o500, 0o400)
        try:
            return _read_only_service(folder)
        finally:
            _set_modes(folder, 0o700, 0o600)

    said = lab.in_child(look)
    lab.in_child(lambda: fault_store.require_full_service(folder))
    return f"{said}; full service with the old modes"


@fault(
    "read-only-while-open",
    "The folder becomes read-only under an open store: what goes into the open log works, files "
    "that cannot be made are done without, and nothing is lost.",
)
def read_only_while_open(lab: FaultRun) -> str:
    """Modes changed between two inserts."""
    folder = fault_store.copied(lab.scratch / "store")
    expected = {**EXPECTED, **texts_of([5000, 5001])}

    def work() -> None:
        mounts.give_up_rights()
        with opened(folder) as store:
            store.insert([5000])
            _set_modes(folder, 0o500, 0o400)
            store.flush()
            store.insert([5001])
            if store.texts() != expected:
                raise FaultFailed("other rows than were inserted")
            store.seek(EXPECTED)
            _set_modes(folder, 0o700, 0o600)

    lab.in_child(work)
    lab.in_child(lambda: fault_store.require_full_service(folder, expected))
    return "inserts and a flush worked; its files were made at the next open"


@fault(
    "read-only-medium",
    "The store lies on a medium that is mounted read-only: as with a read-only folder, and "
    "without LMDB's table of readers.",
)
def read_only_medium(lab: FaultRun) -> str:
    """A bind mount of this process's own."""
    folder = fault_store.copied(lab.scratch / "store")

    def look() -> str:
        mounts.mount_read_only(folder)
        return _read_only_service(folder)

    said: str = lab.in_child(look)
    return said


def _set_modes(folder: Path, folders: int, files: int) -> None:
    for path in [folder, *folder.rglob("*")] if folders & 0o200 else [*folder.rglob("*"), folder]:
        path.chmod(folders if path.is_dir() else files)


def _read_only_service(folder: Path) -> str:
    """What a store that cannot be written must do."""
    try:
        with opened(folder) as store:
            if store.texts() != EXPECTED:
                raise FaultFailed("before it is written to it holds other rows")
            store.insert([1])
        raise FaultFailed("a store that cannot be written took an insert")
    except StoreUnusableException as error:
        refusal = error.message
        if not is_clear(error) or "read_only=True" not in refusal:
            raise FaultFailed(f"the refusal does not say what to do: {refusal}") from error
    with opened(folder, read_only=True) as store:
        if store.texts() != EXPECTED:
            raise FaultFailed("read-only it holds other rows")
        store.seek(EXPECTED)
        try:
            store.insert([1])
        except ReadOnlyException:
            return f"refused ({refusal}); read-only all {len(EXPECTED)} rows are there"
    raise FaultFailed("an insert was not refused")
