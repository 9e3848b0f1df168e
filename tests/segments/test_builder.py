"""The builder's child: what it builds, how it dies, and that it never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from walvec.segments.builder import Builder, BuildFailed
from walvec.segments.index import IndexSpec, build_index, open_index

DIM = 8
ANNOY = IndexSpec(3, 101, "v", "by_v", "ANNOY", "L2", {"n_trees": 4}, 3)
ENDLESS = IndexSpec(4, 101, "v", "slow", "HNSW", "L2", {"M": 512, "efConstruction": 50_000}, 4)
"""An index whose build of ROWS rows takes minutes."""
ROWS = 20_000


@pytest.fixture
def builder() -> Iterator[Builder]:
    builder = Builder()
    yield builder
    builder.close()


@pytest.fixture
def vectors(tmp_path: Path) -> Any:
    """ROWS rows, also in the file "vectors" from byte 16 on."""
    rows = np.random.default_rng(1).standard_normal((ROWS, DIM)).astype(np.float32)
    (tmp_path / "vectors").write_bytes(b"x" * 16 + rows.tobytes())
    return rows


def child_of(builder: Builder) -> int:
    assert builder._child is not None
    return builder._child.pid


def wait_until(true: Any) -> None:
    """Poll until it holds; a minute is for ever."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.005)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_child_builds_what_build_index_builds(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    assert builder.build(ANNOY, tmp_path / "vectors", 16, 500, DIM, tmp_path / "out") == {
        "n_trees": 4
    }
    build_index(ANNOY, vectors[:500], tmp_path / "here")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "here").read_bytes()
    found, _ = open_index(ANNOY, tmp_path / "out", 500, DIM).search(vectors[:1], 1, {})
    assert found.tolist() == [[0]]


def test_one_child_serves_many_builds_at_low_priority(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    pids = set()
    for n in (0, 1, 50):
        builder.build(ANNOY, tmp_path / "vectors", 16, n, DIM, tmp_path / "out")
        pids.add(child_of(builder))
    assert len(pids) == 1
    pid = pids.pop()
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, own + 10)


def test_an_error_in_the_child_is_reported_and_the_child_lives_on(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    with pytest.raises(BuildFailed, match=r"FileNotFoundError.*absent"):
        builder.build(ANNOY, tmp_path / "absent", 0, 5, DIM, tmp_path / "out")
    pid = child_of(builder)
    builder.build(ANNOY, tmp_path / "vectors", 16, 5, DIM, tmp_path / "out")
    assert child_of(builder) == pid


def test_vectors_beyond_the_end_of_the_file_are_an_error(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    with pytest.raises(BuildFailed, match="mmap length"):
        builder.build(ANNOY, tmp_path / "vectors", 16, ROWS + 1, DIM, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_idle_child_that_was_killed_fails_one_build_and_is_replaced(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    builder.build(ANNOY, tmp_path / "vectors", 16, 5, DIM, tmp_path / "out")
    pid = child_of(builder)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(BuildFailed, match="SIGKILL"):
        builder.build(ANNOY, tmp_path / "vectors", 16, 5, DIM, tmp_path / "out")
    builder.build(ANNOY, tmp_path / "vectors", 16, 5, DIM, tmp_path / "out")
    assert child_of(builder) != pid


def test_a_rest_ends_the_child_and_the_next_build_starts_another(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    builder.rest()
    builder.build(ANNOY, tmp_path / "vectors", 16, 5, DIM, tmp_path / "out")
    pid = child_of(builder)
    builder.rest()
    assert not is_running(pid)
    builder.build(ANNOY, tmp_path / "vectors", 16, 5, DIM, tmp_path / "out")
    assert child_of(builder) != pid


def test_a_rest_leaves_a_build_under_way_alone(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    thread, errors = started_endless(builder, tmp_path)
    wait_until(lambda: builder._child is not None and burns_processor(child_of(builder)))
    builder.rest()
    assert is_running(child_of(builder))
    builder.close()
    thread.join(60)
    assert errors == ["the builder was closed during the build"]


def started_endless(builder: Builder, folder: Path) -> tuple[threading.Thread, list[str]]:
    """A thread in the middle of a build that takes minutes, and the errors it will leave."""
    errors: list[str] = []

    def build() -> None:
        try:
            builder.build(ENDLESS, folder / "vectors", 16, ROWS, DIM, folder / "out")
        except BuildFailed as failure:
            errors.append(str(failure))

    thread = threading.Thread(target=build)
    thread.start()
    return thread, errors


def burns_processor(pid: int) -> bool:
    """Whether the child has used more processor than its start takes: it is building."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    mapped = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return "/vectors" in mapped and "libfaiss" in mapped and int(fields[11]) > 0


def test_a_child_killed_in_the_middle_fails_the_build_and_leaves_no_index(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    thread, errors = started_endless(builder, tmp_path)
    wait_until(lambda: builder._child is not None and burns_processor(child_of(builder)))
    os.kill(child_of(builder), signal.SIGKILL)
    thread.join(60)
    assert len(errors) == 1
    assert errors[0] == "the building process died (SIGKILL, often for want of memory)"
    assert not (tmp_path / "out").exists()


def test_close_ends_a_build_under_way_and_refuses_others(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    thread, errors = started_endless(builder, tmp_path)
    wait_until(lambda: builder._child is not None and burns_processor(child_of(builder)))
    pid = child_of(builder)
    builder.close()
    thread.join(60)
    assert errors == ["the builder was closed during the build"]
    assert not is_running(pid)
    with pytest.raises(BuildFailed, match="closed"):
        builder.build(ANNOY, tmp_path / "vectors", 16, 5, DIM, tmp_path / "out")


PARENT = """
import sys, threading
from walvec.segments.builder import Builder
from walvec.segments.index import IndexSpec

folder = sys.argv[1]
builder = Builder()
annoy = IndexSpec(3, 101, "v", "by_v", "ANNOY", "L2", {"n_trees": 4}, 3)
builder.build(annoy, folder + "/vectors", 16, 10, 8, folder + "/first")
if sys.argv[2] == "building":
    slow = IndexSpec(4, 101, "v", "slow", "HNSW", "L2", {"M": 512, "efConstruction": 50000}, 4)
    work = (slow, folder + "/vectors", 16, 20000, 8, folder + "/out")
    threading.Thread(target=builder.build, args=work).start()
print(builder._child.pid, flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("state", ["idle", "building"])
def test_the_child_ends_when_its_parent_is_killed(state: str, vectors: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), state]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        if state == "building":
            wait_until(lambda: burns_processor(child))
        assert is_running(child)
        parent.kill()
    wait_until(lambda: not is_running(child))


def test_the_child_inherits_no_files_of_its_parent(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        builder.build(ANNOY, tmp_path / "vectors", 16, 5, DIM, tmp_path / "out")
    links = [fd.readlink() for fd in Path(f"/proc/{child_of(builder)}/fd").iterdir()]
    assert "secret" not in [link.name for link in links]


def test_a_forked_process_starts_a_child_of_its_own(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    builder.build(ANNOY, tmp_path / "vectors", 16, 5, DIM, tmp_path / "out")
    parents = child_of(builder)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            builder.build(ANNOY, tmp_path / "vectors", 16, 5, DIM, tmp_path / "forked")
            code = 0 if child_of(builder) != parents else 2
            builder.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (tmp_path / "forked").read_bytes() == (tmp_path / "out").read_bytes()
    builder.build(ANNOY, tmp_path / "vectors", 16, 5, DIM, tmp_path / "out")
    assert child_of(builder) == parents
