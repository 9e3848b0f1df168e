"""Faults of the disk: full, failing, read-only; and too many open files."""

from __future__ import annotations

import itertools
import os
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path

from walvec.crashlab import mounts
from walvec.crashlab.adapter import Op, workload
from walvec.crashlab.fault_run import (
    FaultFailed,
    FaultRun,
    Striven,
    counted,
    fault,
)
from walvec.crashlab.injection import each_call_failing

OPS = workload(["insert", "built", "upsert", "checkpoint"])
MANY_OPS = workload([*["insert"] * 12, "delete", "built", "upsert", "flush", "checkpoint"])
PAGES = 5 * 4096
"""What a relief gives: more than an operation of the workload writes."""
SMALL_DISK_BYTES = 1 << 20
DESCRIPTORS = 12
"""More than an open store has."""


def sound(striven: Striven, where: str, refused: bool = True) -> list[str]:
    """The errors that a workload was told. Raises FaultFailed if something was wrong, or if
    nothing was refused where something must be."""
    if striven.wrong:
        raise FaultFailed(f"{where}: {'; '.join(striven.wrong)}")
    if refused and not striven.refusals:
        raise FaultFailed(f"{where}: nothing was refused, the fault did not come to pass")
    return [refusal.split(": ")[1] for refusal in striven.refusals]


def _inject(lab: FaultRun, error: str, calls: tuple[str, ...], ops: tuple[Op, ...] = OPS) -> str:
    """Let each of these calls fail once, each time in another run of the workload."""
    lab.know(ops)
    outcomes = []
    for call in calls:

        def strive(number: int, call: str = call) -> Striven:
            return lab.strive(lab.scratch / f"{call}-{number}", ops)

        turns = each_call_failing(lab, call, error, strive)
        refusals: list[str] = []
        for turn in turns:
            if turn.ended.signal or turn.ended.error:
                raise FaultFailed(f"{turn.call}: {turn.ended.words}")
            refusals += sound(turn.ended.value, turn.call or f"no {call} failing", refused=False)

        def judge(count: int = len(turns), call: str = call) -> None:
            for number in range(1, count + 1):
                lab.require(lab.scratch / f"{call}-{number}", ops)

        lab.in_child(judge)
        outcomes.append(f"{len(turns) - 1} calls of {call}: {counted(refusals)}")
        if len(turns) == 1:
            raise FaultFailed(f"the workload makes no call of {call}: nothing was tried")
    return "; ".join(outcomes)


@fault(
    "enospc-injected",
    "Each call that writes fails once with ENOSPC: the operation is refused or not disturbed, "
    "reads go on, it works when tried again, and nothing acknowledged is lost.",
)
def enospc_injected(lab: FaultRun) -> str:
    """Every write, every file made larger, every folder made."""
    return _inject(lab, "ENOSPC", ("pwrite64", "write", "ftruncate", "mkdir"))


@fault(
    "eio-on-write",
    "Each call that writes or renames fails once with EIO: as with ENOSPC, and after the meta "
    "page's, which makes LMDB refuse all transactions, the store goes on by itself.",
)
def eio_on_write(lab: FaultRun) -> str:
    """Every write and rename."""
    return _inject(lab, "EIO", ("pwrite64", "write", "rename"))


@fault(
    "eio-on-sync",
    "Each sync fails once with EIO: the operation is not acknowledged, what became of it is read "
    "from the log, and no sync is tried again on the same handle.",
)
def eio_on_sync(lab: FaultRun) -> str:
    """Every sync of data and of names."""
    return _inject(lab, "EIO", ("fdatasync", "fsync"))


@fault(
    "emfile-injected",
    "Each call that opens a file fails once with EMFILE: a clear error, no harm to the log, and "
    "opened again it serves everything.",
)
def emfile_injected(lab: FaultRun) -> str:
    """Every open."""
    return _inject(lab, "EMFILE", ("openat",))


@fault(
    "emfile-descriptor-limit",
    "The process may open so few files that some do not fit: clear errors, and full service once "
    "the limit is raised.",
)
def emfile_descriptor_limit(lab: FaultRun) -> str:
    """RLIMIT_NOFILE, with room for 0, 1, 2, ... more files."""
    lab.know(OPS)

    def strive(room: int) -> Striven:
        taken = {int(link.name) for link in Path("/proc/self/fd").iterdir()}
        free = (number for number in itertools.count() if number not in taken)
        limit = next(itertools.islice(free, room, None))
        relief = _limited(resource.RLIMIT_NOFILE, limit, 1000)
        return lab.strive(lab.scratch / f"room-{room}", OPS, relief=relief)

    def judge() -> None:
        for room in range(DESCRIPTORS):
            lab.require(lab.scratch / f"room-{room}", OPS)

    refusals = []
    for room in range(DESCRIPTORS):
        striven = lab.in_child(partial(strive, room))
        refusals += sound(striven, f"room for {room} files", refused=room < 1)
    lab.in_child(judge)
    return f"room for 0 to {DESCRIPTORS - 1} files: {counted(refusals)}; all works with more"


def _limited(kind: int, first: int, step: int) -> Callable[[], None]:
    """Set a limit of this process; the relief, which is returned, raises it by so much."""
    hard = resource.getrlimit(kind)[1]
    now = [first]

    def set_limit() -> None:
        value = now[0] if hard == resource.RLIM_INFINITY else min(now[0], hard)
        resource.setrlimit(kind, (value, hard))

    def relief() -> None:
        now[0] += step
        set_limit()

    set_limit()
    return relief


@fault(
    "enospc-file-size-limit",
    "Files may not grow (RLIMIT_FSIZE, the write is a short one): inserts are refused as by a full "
    "disk, reads go on, and the same insert works when there is room.",
)
def enospc_file_size_limit(lab: FaultRun) -> str:
    """A limit at the log's size, raised a little whenever something is refused."""
    lab.know(MANY_OPS)
    folder = lab.folder()

    def strive() -> Striven:
        lab.make_here(folder, MANY_OPS[:2])
        size = (folder / "log" / "data.mdb").stat().st_size
        relief = _limited(resource.RLIMIT_FSIZE, size, PAGES)
        return lab.strive(folder, MANY_OPS, done=2, relief=relief)

    refusals = sound(lab.in_child(strive), "a limit of the file size")
    lab.in_child(lambda: lab.require(folder, MANY_OPS))
    return f"refused with {counted(refusals)}; each worked with more room, and all is there"


@fault(
    "enospc-full-file-system",
    "The file system, of 1 MB, is really full: refused as by a full disk, reads go on, and it "
    "works on when something else there was deleted.",
)
def enospc_full_file_system(lab: FaultRun) -> str:
    """A tmpfs of this process's own, filled by another file that shrinks."""
    lab.know(MANY_OPS)
    disk = lab.folder("disk")

    def strive() -> Striven:
        mounts.mount_small(disk, SMALL_DISK_BYTES)
        lab.make_here(disk / "store", MANY_OPS[:2])
        other = disk / "other"
        with other.open("wb", buffering=0) as file:
            while _written(file.fileno(), bytes(4096)):
                continue

        def relief() -> None:
            size = other.stat().st_size
            os.truncate(other, max(0, size - PAGES))

        striven = lab.strive(disk / "store", MANY_OPS, done=2, relief=relief)
        # The file system goes with this process, so it is judged here.
        lab.require(disk / "store", MANY_OPS[: striven.done])
        return striven

    refusals = sound(lab.in_child(strive), "a full file system")
    return f"refused with {counted(refusals)}; each worked with more room, and all is there"


def _written(descriptor: int, data: bytes) -> bool:
    try:
        return os.write(descriptor, data) == len(data)
    except OSError:
        return False
