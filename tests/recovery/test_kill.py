"""SIGKILL at every named point and at random moments: acknowledged <= stored <= attempted."""

from __future__ import annotations

import os
import random
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lab import assert_state_is_replayed

from walvec import MilvusClient
from walvec.recovery.rebuild import rebuild
from walvec.results import LoadState
from walvec.segments.caches import wanted_paths
from walvec.wal.failpoints import POINTS

WORKLOAD = Path(__file__).with_name("workload.py")
work = runpy.run_path(str(WORKLOAD))
OFTEN = {"commit.begin", "commit.before", "commit.after", "publish.after"}
OF_REBUILD = ("sweep.before", "sweep.after", "rebuild.after-delete")
"""In the order of arrival. In the workload a sweep may find nothing."""
SEED = int(os.environ.get("WALVEC_TEST_SEED", "7"))


def start(folder: Path, seed: int, **environment: str) -> subprocess.Popen[str]:
    """A process that runs the workload and acknowledges on its standard output."""
    return subprocess.Popen(
        [sys.executable, str(WORKLOAD), str(folder), str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def contents(client: MilvusClient) -> dict[str, list[Any]]:
    """What the store holds, in the shape of the workload's model."""
    found: dict[str, list[Any]] = {}
    for name in client.list_collections():
        loaded = client.get_load_state(name)["state"] == LoadState.Loaded
        count = client.get_collection_stats(name)["row_count"]
        if not loaded:
            client.load_collection(name)
        rows = client.query(name, limit=16_000, output_fields=["*"])
        assert count == len(rows) == client.get_collection_stats(name)["row_count"]
        for row in rows:
            assert list(row["vector"]) == work["vector"](row["id"], row["version"])
        versions = {row["id"]: row["version"] for row in rows}
        assert len(versions) == len(rows)
        found[name] = [loaded, versions]
        if not loaded:
            client.release_collection(name)
    return found


def may_hold(commands: list[Any], acknowledged: int) -> list[dict[str, list[Any]]]:
    """What may be stored: all that was acknowledged, and of the next command all or nothing.

    `index` is several calls: it releases and then loads, so both flags may stand in between.
    """
    possible = [work["model_after"](commands[:acknowledged])]
    if acknowledged < len(commands):
        possible.append(work["model_after"](commands[: acknowledged + 1]))
        command = commands[acknowledged]
        if command.kind == "index":
            for flag in (True, False):
                between = work["model_after"](commands[:acknowledged])
                between[command.name][0] = flag
                possible.append(between)
    return possible


def check_recovery(folder: Path, seed: int, acknowledged: int) -> None:
    """Open the store after a kill and hold it against the model."""
    commands = work["commands_of"](seed)
    with MilvusClient(folder, segment_max_bytes=work["SEGMENT_MAX_BYTES"]) as client:
        store = client._store
        assert_state_is_replayed(store)
        assert contents(client) in may_hold(commands, acknowledged), (
            f"seed {seed}, {acknowledged} acknowledged, next {commands[acknowledged:][:1]}"
        )
        client.wait_for_files(60)
        no_leftovers(client)
        client.create_collection("after", work["DIM"])
        client.insert("after", [{"id": 1, "vector": [1.0, 2.0, 3.0, 4.0]}])
        assert_state_is_replayed(store)
    with MilvusClient(folder, segment_max_bytes=work["SEGMENT_MAX_BYTES"]) as client:
        assert client.query("after", ids=[1])[0]["id"] == 1


def no_leftovers(client: MilvusClient) -> None:
    """Beside the log, the lock and the files that the state wants, nothing is there."""
    folder = client.folder
    names = {p.name for p in folder.iterdir()}
    assert names == {"log", "segments", "writer.lock"}
    assert {p.name for p in (folder / "log").iterdir()} == {"data.mdb", "lock.mdb"}
    wanted = client._store.with_state(wanted_paths)
    found = {s.name: {p.name for p in s.iterdir()} for s in (folder / "segments").iterdir()}
    assert found == wanted


def arrivals(point: str) -> list[int]:
    if point.startswith(("create", "open")):
        return [1]
    if point in OFTEN:
        return [2, 9, 30]
    return [1] if point.startswith(("load", "release", "side")) else [1, 3]


CASES = [(p, n) for p in sorted(POINTS - set(OF_REBUILD)) for n in arrivals(p)]


@pytest.mark.parametrize(("point", "arrival"), CASES, ids=[f"{p}@{n}" for p, n in CASES])
def test_killed_at_a_point_everything_acknowledged_is_there(
    tmp_path: Path, point: str, arrival: int
) -> None:
    seed = SEED + CASES.index((point, arrival)) % 3
    print(f"seed {seed}")
    folder = tmp_path / "store"
    with start(folder, seed, WALVEC_FAILPOINTS=f"{point}=kill@{arrival}") as child:
        out, err = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, f"{point}@{arrival} was never reached\n{out}\n{err}"
    check_recovery(folder, seed, len(out.split()))


@pytest.mark.parametrize("round_number", range(4))
def test_killed_at_a_random_moment_everything_acknowledged_is_there(
    tmp_path: Path, round_number: int
) -> None:
    seed = SEED + 100 + round_number
    print(f"seed {seed}")
    rng = random.Random(seed)
    folder = tmp_path / "store"
    acknowledged = 0
    wanted = rng.randrange(1, work["COMMANDS"])
    delay = rng.random() * 2e-3
    with start(folder, seed) as child:
        assert child.stdout is not None
        for _ in child.stdout:
            acknowledged += 1
            if acknowledged == wanted:
                # Somewhere in the next command; a spin, since the moment is what is varied.
                end = os.times().elapsed + delay
                while os.times().elapsed < end:
                    continue
                os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert acknowledged >= wanted
    check_recovery(folder, seed, acknowledged)


def test_killed_in_recovery_itself_the_next_open_recovers(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with start(folder, SEED, WALVEC_FAILPOINTS="build.after-columns=kill@1") as child:
        out, _ = child.communicate(timeout=60)
    code = """
import sys
from walvec import MilvusClient
client = MilvusClient(sys.argv[1])
client.wait_for_files(60)
client.close()
"""
    for point in ("build.after-columns", "build.after-rename", "build.before-rename"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            env={**os.environ, "WALVEC_FAILPOINTS": f"{point}=kill"},
            check=False,
            timeout=60,
        )
        assert done.returncode == -signal.SIGKILL, point
    check_recovery(folder, SEED, len(out.split()))


def test_killed_in_a_rebuild_nothing_is_lost_and_files_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with start(folder, SEED) as child:
        out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    code = "import sys; from walvec.recovery.rebuild import rebuild; rebuild(sys.argv[1])"
    for point in OF_REBUILD:
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            env={**os.environ, "WALVEC_FAILPOINTS": f"{point}=kill"},
            check=False,
            timeout=60,
        )
        assert done.returncode == -signal.SIGKILL, point
    assert not rebuild(folder).failed
    check_recovery(folder, SEED, len(out.split()))


def test_the_workload_has_every_kind_of_command() -> None:
    kinds = {c.kind for s in range(SEED, SEED + 3) for c in work["commands_of"](s)}
    assert kinds == {
        *("create", "insert", "upsert", "delete", "flush", "built"),
        *("index", "load", "release", "drop"),
    }
