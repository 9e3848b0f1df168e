"""The builder's child: what it builds, how it dies, and that it never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from walvec.segments.builder import Builder, BuildFailed
from walvec.segments.files import write_columns
from walvec.segments.index import IndexSpec, build_index, open_index
from walvec.wal.rows import Column, Rows
from walvec.wal.schema import DataType, Field

DIM = 8
FIELD = Field(101, "v", DataType.FLOAT_VECTOR, dim=DIM, nullable=True)
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
    """ROWS rows, also in the columns file "many"; the first five of them in "few"."""
    rows = np.random.default_rng(1).standard_normal((ROWS, DIM)).astype(np.float32)
    write(tmp_path / "many", rows)
    write(tmp_path / "few", rows[:5])
    return rows


def write(path: Path, vectors: Any, valid: Any = None) -> None:
    write_columns(path, Rows(len(vectors), {FIELD.id: Column(vectors, None, valid)}))


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
    assert builder.build(ANNOY, FIELD, tmp_path / "many", tmp_path / "out") == {"n_trees": 4}
    build_index(ANNOY, vectors, tmp_path / "here")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "here").read_bytes()
    found, _ = open_index(ANNOY, tmp_path / "out", FIELD, ROWS).search(vectors[:1], 1, {}, 1)
    assert found.tolist() == [[0]]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_only_rows_that_are_not_null_are_indexed(
    builder: Builder, tmp_path: Path, share: float
) -> None:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((300, DIM)).astype(np.float32)
    valid = rng.random(300) < share
    write(tmp_path / "columns", rows, valid)
    builder.build(ANNOY, FIELD, tmp_path / "columns", tmp_path / "out")
    build_index(ANNOY, np.ascontiguousarray(rows[valid]), tmp_path / "here")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "here").read_bytes()


def test_a_field_that_the_file_does_not_have_yet_is_null_in_all_rows(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    added = replace(FIELD, id=102, name="added")
    builder.build(replace(ANNOY, field_id=102), added, tmp_path / "few", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b""


def test_one_child_serves_many_builds_at_low_priority(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    pids = set()
    for n in (0, 1, 50):
        write(tmp_path / "columns", vectors[:n])
        builder.build(ANNOY, FIELD, tmp_path / "columns", tmp_path / "out")
        pids.add(child_of(builder))
    assert len(pids) == 1
    pid = pids.pop()
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, own + 10)


def test_an_error_in_the_child_is_reported_and_the_child_lives_on(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    with pytest.raises(BuildFailed, match=r"FileNotFoundError.*absent"):
        builder.build(ANNOY, FIELD, tmp_path / "absent", tmp_path / "out")
    pid = child_of(builder)
    builder.build(ANNOY, FIELD, tmp_path / "few", tmp_path / "out")
    assert child_of(builder) == pid


def test_a_file_of_other_bytes_is_an_error(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "columns").write_bytes(b"x" * 100)
    with pytest.raises(BuildFailed, match="not a columns file"):
        builder.build(ANNOY, FIELD, tmp_path / "columns", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_idle_child_that_was_killed_fails_one_build_and_is_replaced(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    builder.build(ANNOY, FIELD, tmp_path / "few", tmp_path / "out")
    pid = child_of(builder)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(BuildFailed, match="SIGKILL"):
        builder.build(ANNOY, FIELD, tmp_path / "few", tmp_path / "out")
    builder.build(ANNOY, FIELD, tmp_path / "few", tmp_path / "out")
    assert child_of(builder) != pid


def test_a_rest_ends_the_child_and_the_next_build_starts_another(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    builder.rest()
    builder.build(ANNOY, FIELD, tmp_path / "few", tmp_path / "out")
    pid = child_of(builder)
    builder.rest()
    assert not is_running(pid)
    builder.build(ANNOY, FIELD, tmp_path / "few", tmp_path / "out")
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
            builder.build(ENDLESS, FIELD, folder / "many", folder / "out")
        except BuildFailed as failure:
            errors.append(str(failure))

    thread = threading.Thread(target=build)
    thread.start()
    return thread, errors


def burns_processor(pid: int) -> bool:
    """Whether the child has used more processor than its start takes: it is building."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    mapped = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return "/many" in mapped and "libfaiss" in mapped and int(fields[11]) > 0


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
        builder.build(ANNOY, FIELD, tmp_path / "few", tmp_path / "out")


PARENT = """
import sys, threading
from walvec.segments.builder import Builder
from walvec.segments.index import IndexSpec
from walvec.wal.schema import DataType, Field

folder = sys.argv[1]
builder = Builder()
annoy = IndexSpec(3, 101, "v", "by_v", "ANNOY", "L2", {"n_trees": 4}, 3)
field = Field(101, "v", DataType.FLOAT_VECTOR, dim=8)
builder.build(annoy, field, folder + "/few", folder + "/first")
if sys.argv[2] == "building":
    slow = IndexSpec(4, 101, "v", "slow", "HNSW", "L2", {"M": 512, "efConstruction": 50000}, 4)
    work = (slow, field, folder + "/many", folder + "/out")
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
        builder.build(ANNOY, FIELD, tmp_path / "few", tmp_path / "out")
    links = [fd.readlink() for fd in Path(f"/proc/{child_of(builder)}/fd").iterdir()]
    assert "secret" not in [link.name for link in links]


def test_a_forked_process_starts_a_child_of_its_own(
    builder: Builder, vectors: Any, tmp_path: Path
) -> None:
    builder.build(ANNOY, FIELD, tmp_path / "few", tmp_path / "out")
    parents = child_of(builder)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            builder.build(ANNOY, FIELD, tmp_path / "few", tmp_path / "forked")
            code = 0 if child_of(builder) != parents else 2
            builder.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (tmp_path / "forked").read_bytes() == (tmp_path / "out").read_bytes()
    builder.build(ANNOY, FIELD, tmp_path / "few", tmp_path / "out")
    assert child_of(builder) == parents
