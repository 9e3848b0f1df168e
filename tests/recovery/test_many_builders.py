"""Several processes on one store: each file is made by one of them, and used by all."""

from __future__ import annotations

import logging
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from lab import assert_state_is_replayed, file_maker, state_data
from peer import Peer, wait_until

from walvec import DataType, MilvusClient
from walvec.exceptions import TimeoutException
from walvec.recovery.rebuild import rebuild
from walvec.recovery.verify import verify
from walvec.segments import commands
from walvec.segments.files import segment_folder
from walvec.segments.loaded_segment import LoadedSegment
from walvec.wal.events import SegmentPersisted, SegmentsMerged
from walvec.wal.log import Position

DIM = 8
N = 400
COUNT_BUILDS = """
from walvec.segments.builder import Builder
builds = []
def counted(self, spec, *rest, build=Builder.build):
    builds.append(str(rest[-1]))
    return build(self, spec, *rest)
Builder.build = counted
"""


def rows(first: int, n: int = N) -> list[dict[str, Any]]:
    """Rows whose vectors are random, but always the same for an id."""
    vectors = np.random.default_rng(first).standard_normal((n, DIM)).astype(np.float32)
    return [{"id": first + i, "vector": vectors[i]} for i in range(n)]


def make(client: Any, index_type: str = "ANNOY", **properties: str) -> None:
    """The loaded collection c, without rows."""
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type, metric_type="L2")
    options = {"properties": properties} if properties else {}
    client.create_collection("c", schema=schema, index_params=index, **options)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MilvusClient]:
    with MilvusClient(tmp_path / "store") as client:
        make(client)
        yield client


@pytest.fixture
def peer(client: MilvusClient) -> Iterator[Peer]:
    """Another process that has the store open."""
    peer = Peer(client.folder)
    yield peer
    if peer.process.poll() is None:
        peer.end()


def events(client: MilvusClient, kind: type) -> list[Any]:
    """All events of a kind in the log."""
    scanned = client._store.log.scan(Position())
    return [entry.event for entry in scanned if isinstance(entry.event, kind)]


def segments(client: MilvusClient) -> list[LoadedSegment]:
    """The segments in memory, each with its indexes in use."""
    info = client.info("c")
    return [s.segment for s in client._store.view(info).segments]


def files(client: MilvusClient) -> list[str]:
    """What is on disk, as SEGMENT/NAME."""
    folder = client._store.segments_folder
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def recorded(client: MilvusClient) -> list[str]:
    """What the log says should be there."""
    return sorted(
        f"{segment['id']:x}/{name}"
        for collection in state_data(client._store)["collections"]
        for segment in collection["segments"]
        for name in segment["files"]
    )


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_each_file_is_made_and_recorded_once(client: MilvusClient, peer: Peer) -> None:
    # One process counts its builds here, the other there.
    peer.run(COUNT_BUILDS)
    here: dict[str, Any] = {}
    exec(COUNT_BUILDS, here)
    try:
        for first in range(0, 8 * N, 2 * N):
            client.insert("c", rows(first))
            client.flush("c")
            peer.insert("c", rows(first + N))
            peer.flush("c")
        client.wait_for_files(60)
        peer.wait_for_files(60)
    finally:
        here["Builder"].build = here["counted"].__kwdefaults__["build"]
    made = Counter(
        (e.segment, name) for e in events(client, SegmentPersisted) for name, *_ in e.files
    )
    assert set(made.values()) == {1}
    builds = [Path(b).name.split(".bin")[0] for b in (*here["builds"], *peer.do("builds"))]
    indexes = [name for _, name in made if name.startswith("index")]
    # A merge may come in the way of a build, whose result is then not recorded.
    merged = {i for e in events(client, SegmentsMerged) for i in e.sources}
    assert len(indexes) <= len(builds) <= len(indexes) + len(merged)
    assert files(client) == recorded(client)
    assert len(files(client)) == 2 * len(segments(client))
    assert_state_is_replayed(client._store)


def test_a_builder_that_is_slow_is_waited_for_and_one_that_was_killed_is_replaced(
    client: MilvusClient, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    client.wait_for_files(60)  # it hears of the seal with its next call, not before
    peer.run(
        "import threading\n"
        "from types import SimpleNamespace\n"
        "from walvec.segments import files\n"
        "files.failpoints = SimpleNamespace(hit=lambda name: threading.Event().wait())"
    )
    peer.insert("c", rows(0))
    peer.flush("c")
    # In the middle of the columns, with the lock.
    wait_until(lambda: suffixes(client) == ["tmp"], "the other process is at work")
    with pytest.raises(TimeoutException):
        client.wait_for_files(1.5)
    assert suffixes(client) == ["tmp"], "swept while being made"
    assert recorded(client) == []
    client.insert("c", rows(N))
    assert len(client.search("c", [rows(5)[0]["vector"]], limit=3)[0]) == 3
    peer.kill()
    client.wait_for_files(60)
    assert files(client) == recorded(client)
    assert len(files(client)) == 2
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    "point", ["build.before-rename", "build.after-columns", "build.after-rename"]
)
def test_a_builder_killed_at_any_point_is_replaced(
    client: MilvusClient, peer: Peer, point: str, caplog: pytest.LogCaptureFixture
) -> None:
    client.wait_for_files(60)
    peer.run(f"failpoints.arm_from('{point}=kill')")
    peer.insert("c", rows(0))
    peer.send("flush", "c")
    assert peer.bury() == -signal.SIGKILL
    assert suffixes(client), "it was killed in the middle"
    client.wait_for_files(60)
    assert files(client) == recorded(client)
    assert len(files(client)) == 2
    assert client.search("c", [rows(0)[7]["vector"]], limit=1)[0].ids == [7]
    assert warnings(caplog) == []


def suffixes(client: MilvusClient) -> list[str]:
    """How the names of the files on disk end."""
    return sorted(name.split(".")[-1] for name in files(client))


def test_the_building_child_of_a_killed_process_ends_with_it(
    client: MilvusClient, peer: Peer
) -> None:
    file_maker(client._store).close()  # so that it is the other that builds
    peer.insert("c", rows(0))
    peer.flush("c", wait=True, timeout=60)
    (builder,) = psutil.Process(peer.pid).children()
    peer.kill()
    wait_until(lambda: not builder.is_running(), "the builder is gone", 20)


USED = "[len(s.indexes) for s in store().view(client.info('c')).segments]"
"""Indexes in use in another process, by segment."""


@pytest.mark.parametrize("read_only", [True, False])
def test_a_process_uses_what_another_has_made(
    client: MilvusClient, peer: Peer, read_only: bool
) -> None:
    client.insert("c", rows(0))
    peer.close()
    peer.open(client.folder, read_only=read_only)
    if not read_only:
        peer.run("lab.file_maker(store())._make_alone = lambda segment_id: False")
    assert peer.search("c", [rows(0)[7]["vector"]], limit=1)[0].ids == [7]
    for number in (1, 2):
        client.flush("c", wait=True, timeout=60)
        assert all(s.indexes for s in segments(client))
        wait_until(lambda n=number: peer.do(USED) == [1] * n, "the other uses them, too")
        assert peer.search("c", [rows(0)[7]["vector"]], limit=1)[0].ids == [7]
        client.insert("c", rows(number * N))
        client.search("c", [rows(0)[7]["vector"]], limit=1)
        if number == 1:
            assert peer.do(USED) in ([1], [1, 0])


@pytest.mark.parametrize("index_type", ["ANNOY", "HNSW"])
def test_with_mmap_rows_that_were_followed_are_mapped_once_their_file_is_there(
    tmp_path: Path, index_type: str
) -> None:
    if index_type == "HNSW":
        pytest.importorskip("faiss")
    with MilvusClient(tmp_path / "store") as client:
        make(client, index_type, **{"mmap.enabled": "true"})
        client.insert("c", rows(0))
        before = client._store.view(client.info("c"))  # of the segment as it grows
        client.insert("c", rows(N))
        found = client.query("c", limit=3 * N)
        client.flush("c", wait=True, timeout=60)
        (segment,) = segments(client)
        assert segment.columns.mapped
        maps = Path("/proc/self/maps").read_text(encoding="utf-8")
        path = segment_folder(client._store.segments_folder, segment.id)
        assert str(path / "columns.wvc") in maps
        assert str(path / "index") in maps
        assert client.query("c", limit=3 * N) == found
        assert client.search("c", [rows(N)[9]["vector"]], limit=1)[0].ids == [N + 9]
        client.delete("c", [N + 9])
        assert client.search("c", [rows(N)[9]["vector"]], limit=1)[0].ids != [N + 9]
        (old,) = before.segments
        assert old.column(client.info("c").schema.primary.id).values.tolist() == list(range(N))
        assert before.find(N + 1) is None
        assert before.find(3) is not None


def test_merges_of_two_processes_keep_every_row_once(client: MilvusClient, peer: Peer) -> None:
    each, n = 12, 10
    for number in range(each):
        first = 2 * number * n
        client.insert("c", rows(first, n))
        client.flush("c")
        peer.insert("c", rows(first + n, n))
        peer.flush("c")
    client.wait_for_files(60)
    peer.wait_for_files(60)
    sources = [i for e in events(client, SegmentsMerged) for i in e.sources]
    assert sources
    assert len(set(sources)) == len(sources)
    expected = list(range(2 * each * n))
    assert [row["id"] for row in client.query("c", limit=1000)] == expected
    assert [row["id"] for row in peer.query("c", limit=1000)] == expected
    client.wait_for_files(60)
    assert files(client) == recorded(client)
    assert_state_is_replayed(client._store)
    assert verify(client.folder).findings == []


def test_the_file_of_an_index_that_was_dropped_during_its_build_is_not_recorded(
    client: MilvusClient,
) -> None:
    client.insert("c", rows(0))
    client.flush("c", wait=True, timeout=60)
    (segment,) = segments(client)
    info, before = client.info("c"), recorded(client)
    files_of_two = (("columns.wvc", 5, bytes(16)), ("index-77.bin", 5, bytes(16)))
    for files_made, kept in ((files_of_two[1:], 0), (files_of_two, 1)):
        command = commands.persist_segment(info.id, segment.id, files_made, {})
        events_before = len(events(client, SegmentPersisted))
        client._store.execute(command)
        assert len(events(client, SegmentPersisted)) - events_before == kept
    assert recorded(client) == before


def test_files_of_a_segment_that_is_no_more_are_not_called_missing(
    client: MilvusClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.insert("c", rows(0))
    client.flush("c", wait=True, timeout=60)
    (segment,) = segments(client)
    client.drop_collection("c")
    maker = file_maker(client._store)
    # As by a process that has read the state before and looks for the file after.
    maker.damaged(0, segment.id, "columns.wvc")
    assert maker.wait(60)
    assert warnings(caplog) == []
    assert files(client) == []


def test_a_store_is_rebuilt_while_another_process_uses_it(client: MilvusClient, peer: Peer) -> None:
    client.insert("c", rows(0))
    client.flush("c", wait=True, timeout=60)
    assert peer.search("c", [rows(0)[7]["vector"]], limit=1)[0].ids == [7]
    before = files(client)
    folder = client.folder
    client.close()
    assert rebuild(folder).failed == []
    assert peer.search("c", [rows(0)[8]["vector"]], limit=1)[0].ids == [8]
    with MilvusClient(folder) as again:
        assert files(again) == recorded(again) == before


def test_a_forked_child_builds_by_itself_and_leaves_its_parents_builder_alone(
    client: MilvusClient,
) -> None:
    others = psutil.Process().children()  # of tests before this one
    client.insert("c", rows(0))
    client.flush("c", wait=True, timeout=60)
    (builder,) = set(psutil.Process().children()).difference(others)
    pid = os.fork()
    if not pid:
        try:
            client.insert("c", rows(N))
            client.flush("c", wait=True, timeout=60)
            done = len(segments(client)) == 2 and all(s.indexes for s in segments(client))
            client.close()
            os._exit(0 if done else 1)
        except BaseException:
            logging.exception("in the child")
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    assert builder.is_running() and builder.status() != psutil.STATUS_ZOMBIE
    assert len(segments(client)[0].indexes) == 1
    client.insert("c", rows(2 * N))
    client.flush("c", wait=True, timeout=60)
    assert [len(s.indexes) for s in segments(client)] == [1, 1, 1]
    assert files(client) == recorded(client)


def test_a_forked_child_does_not_keep_the_builder_of_a_killed_parent(
    client: MilvusClient, peer: Peer
) -> None:
    file_maker(client._store).close()
    peer.insert("c", rows(0))
    peer.flush("c", wait=True, timeout=60)
    (builder,) = psutil.Process(peer.pid).children()
    peer.run("child = os.fork()\nif not child:\n    import time\n    time.sleep(600)")
    child = peer.do("child")
    try:
        peer.kill()
        wait_until(lambda: not builder.is_running(), "the builder is gone", 20)
    finally:
        os.kill(child, signal.SIGKILL)
