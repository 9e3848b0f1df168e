"""The level power: what of a run may be lost is tried, also while it recovers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from walvec.crashlab.adapter import Adapter, Op, workload
from walvec.crashlab.image import Image
from walvec.crashlab.judge import Judge
from walvec.crashlab.plain_adapter import PlainAdapter
from walvec.crashlab.power import PowerLevel, Shot
from walvec.crashlab.run import generalized
from walvec.crashlab.stage import frozen_chance
from walvec.crashlab.walvec_adapter import WalvecAdapter

SEED = 5


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where the level may put what it likes."""
    return tmp_path


def shots_of(adapter: Adapter, names: str, scratch: Path, **more: Any) -> Iterator[Shot]:
    """All images of a workload."""
    level = PowerLevel(adapter, SEED, **more)
    try:
        yield from level.shots(workload(names.split(",")), scratch)
    finally:
        level.close()


def judged(adapter: Adapter, image: Image, shot: Shot, scratch: Path) -> Any:
    """The verdict on an image."""
    folder = scratch / "judged"
    folder.mkdir()
    image.lay(folder)
    with frozen_chance(2):
        verdict = Judge(adapter).judge(folder, shot.crash.expectation)
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    return verdict


def test_images_of_recoveries_and_of_recoveries_of_these_are_among_them(scratch: Path) -> None:
    shots = list(shots_of(WalvecAdapter(), "create,insert", scratch, models=["ext4"]))
    depths = {shot.crash.cut.count(">") for shot in shots}
    assert depths == {0, 1, 2}
    for shot in shots:
        assert (shot.crash.during == "recovery") == (">" in shot.crash.cut)
        assert not shot.crash.wrong


def test_a_crash_before_an_acknowledgement_expects_less_than_one_after_it(scratch: Path) -> None:
    shots = list(shots_of(PlainAdapter(), "put,put", scratch, models=["kill"]))
    got = {(s.crash.expectation.acked, s.crash.expectation.tried) for s in shots}
    assert got == {(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)}
    assert {s.crash.during for s in shots} >= {"opening", "put", "between"}


def test_what_a_workload_has_in_common_with_another_is_tried_once(scratch: Path) -> None:
    level = PowerLevel(PlainAdapter(), SEED, ["ext4"])
    try:
        first = list(level.shots(workload(["put"]), scratch, anew=False))
        longer = list(level.shots(workload(["put", "put"]), scratch, anew=False))
    finally:
        level.close()
    assert {s.crash.expectation.tried for s in first if ">" not in s.crash.cut} == {0, 1}
    assert {s.crash.expectation.tried for s in longer if ">" not in s.crash.cut} == {2}


def test_a_cut_is_repeated_with_the_same_image(scratch: Path) -> None:
    adapter = WalvecAdapter()
    level = PowerLevel(adapter, SEED, ["posix"])
    ops = workload(["create", "insert"])
    try:
        shots = [s for s in level.shots(ops, scratch) if ">" not in s.crash.cut]
        run = level.record(ops, scratch)
        for shot in Random(SEED).sample(shots, 20):
            again = level.repeat(run, "posix", shot.crash.cut)
            assert again.image.digest == shot.image.digest
            assert again.crash == shot.crash
        with pytest.raises(ValueError, match="the run has"):
            level.repeat(run, "posix", "99999.w0.n0")
    finally:
        level.close()


class Crowd(Adapter):
    """A folder of files that two threads and a child process write and sync."""

    commands = ("write",)

    def open(self, folder: Path) -> Path:
        return folder

    def apply(self, handle: Path, op: Op) -> None:
        code = "import os,sys; f=open(sys.argv[1],'wb'); f.write(b'child'); f.flush(); "
        code += "os.fsync(f.fileno()); d=os.open(sys.argv[2],os.O_RDONLY); os.fsync(d)"
        arguments = [str(handle / f"c{op.number}"), str(handle)]
        threads = [
            threading.Thread(target=_write, args=(handle, f"{name}{op.number}")) for name in "ab"
        ]
        for thread in threads:
            thread.start()
        subprocess.run([sys.executable, "-S", "-c", code, *arguments], check=True)
        for thread in threads:
            thread.join()

    def state(self, handle: Path) -> Any:
        return {path.name: path.read_bytes() for path in sorted(handle.iterdir())}

    def close(self, handle: Path) -> None:
        """Nothing is open."""


def _write(folder: Path, name: str) -> None:
    with (folder / name).open("wb") as file:
        file.write(name.encode() * 300)


def test_threads_and_child_processes_are_recorded_and_what_they_do_not_sync_is_lost(
    scratch: Path,
) -> None:
    crowd = Crowd()
    seen: dict[str, set[bytes | None]] = {"a1": set(), "b1": set(), "c1": set()}
    for shot in shots_of(crowd, "write", scratch, models=["posix"]):
        if shot.crash.expectation.acked:
            for name, contents in seen.items():
                contents.add(shot.image.files.get(name))
    assert seen["c1"] == {b"child"}
    # The child syncs the folder, and so the names.
    assert {b"", b"a1" * 300} <= seen["a1"]
    assert {b"", b"b1" * 300} <= seen["b1"]


def test_the_lock_file_of_lmdb_which_no_recording_sees_whole_does_not_matter(
    scratch: Path,
) -> None:
    """It is written through a map. Whatever is in it after a power cut, the store opens."""
    adapter, random = WalvecAdapter(), Random(SEED)
    shots = shots_of(adapter, "create,insert,delete", scratch, models=["ext4"])
    with_lock = [s for s in shots if "log/lock.mdb" in s.image.files]
    live = next(len(s.image.files["log/lock.mdb"]) for s in with_lock)
    for number, shot in enumerate(random.sample(with_lock, 24)):
        files = dict(shot.image.files)
        lock = [None, b"", bytes(live), random.randbytes(live), random.randbytes(live // 2)]
        content = lock[number % len(lock)]
        del files["log/lock.mdb"]
        if content is not None:
            files["log/lock.mdb"] = content
        verdict = judged(adapter, shot.image._replace(files=files), shot, scratch)
        assert verdict.ok, (shot.crash, content and len(content), verdict)


def test_paths_are_told_without_their_numbers() -> None:
    assert generalized("segments/1f/columns.wvc") == "segments/*/columns.wvc"
    assert generalized("segments/a0/index-1b.bin") == "segments/*/index-*.bin"
    assert generalized("log/data.mdb") == "log/data.mdb"
    assert generalized("decade/face") == "decade/face"
