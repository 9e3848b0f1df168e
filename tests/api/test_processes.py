"""Several processes on one store: both write, both see; waits that end; forks; copies; closing."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lab
import numpy as np
import pytest
from conftest import handles_into
from peer import Peer, wait_until

from walvec import LoadState, MilvusClient
from walvec.exceptions import (
    CollectionNotLoadedException,
    CommitFailedException,
    LockTimeoutException,
    MilvusException,
    ReadOnlyException,
    StoreBrokenException,
    StoreUnusableException,
)
from walvec.recovery.verify import verify
from walvec.segments.state import digest
from walvec.wal import failpoints

DIM = 3
POINTS = ("commit.begin", "commit.before", "commit.after", "publish.after")


def row(number: int) -> dict[str, Any]:
    """A row whose vector says its id."""
    return {"id": number, "vector": np.full(DIM, number, np.float32)}


def ids(client: Any, **options: Any) -> list[int]:
    """The ids of all rows."""
    return sorted(found["id"] for found in client.query("c", limit=10_000, **options))


def state(client: MilvusClient) -> tuple[int, bytes]:
    """Seq and digest of the state."""
    return client._store.with_state(lambda s: (s.seq, digest(s)))


def agree(client: MilvusClient, peer: Peer) -> None:
    """Both come to the same state; files that are being made may come in between."""
    wait_until(lambda: state(client) == peer.digest(), "both states are the same", 10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with the collection c and row 1, closed."""
    with MilvusClient(tmp_path / "store") as client:
        client.create_collection("c", DIM, metric_type="L2")
        client.insert("c", row(1))
    return tmp_path / "store"


@pytest.fixture(scope="module")
def warm() -> Iterator[list[Peer]]:
    """Processes for all tests of this file; one that was killed is replaced."""
    peers: list[Peer] = []
    yield peers
    for peer in peers:
        peer.end()


@contextmanager
def peer_on(warm: list[Peer], folder: Path, **settings: Any) -> Iterator[Peer]:
    """Another process that has the store open."""
    peer = warm.pop() if warm else Peer()
    try:
        peer.open(folder, **settings)
        yield peer
        peer.go_on()
        peer.close()
    except BaseException:
        peer.process.kill()
        peer.bury()
        raise
    warm.append(peer)


# Two that write


def test_two_processes_write_and_see_each_other_at_once(folder: Path, warm: list[Peer]) -> None:
    with MilvusClient(folder) as client, peer_on(warm, folder) as peer:
        for number in range(10, 30, 2):
            client.insert("c", row(number))
            assert ids(peer)[-1] == number
            assert peer.get("c", [number]) != []
            peer.insert("c", row(number + 1))
            assert ids(client)[-1] == number + 1
            assert client.search("c", [[number + 1.0] * DIM], limit=1)[0].ids == [number + 1]
        peer.delete("c", ids=[10])
        assert client.get("c", [10]) == []
        assert client.get_collection_stats("c") == peer.get_collection_stats("c")
        agree(client, peer)
        lab.assert_state_is_replayed(client._store)
    assert verify(folder).findings == []


def test_a_side_write_that_stores_nothing_hides_no_commit_of_another_process(
    folder: Path, warm: list[Peer]
) -> None:
    with MilvusClient(folder) as client, peer_on(warm, folder) as peer:
        for number in (2, 4):
            client.drop_cursor("none of this name")
            peer.insert("c", row(number))
            assert ids(client)[-1] == number
            client.drop_cursor("none of this name")
            peer.insert("c", row(number))
            client.insert("c", row(number + 1))
            assert ids(peer)[-1] == number + 1
        lab.assert_state_is_replayed(client._store)


def test_schema_changes_of_one_process_are_those_of_the_other(
    folder: Path, warm: list[Peer]
) -> None:
    with MilvusClient(folder) as client, peer_on(warm, folder) as peer:
        peer.create_collection("d", DIM)
        assert client.list_collections() == ["c", "d"]
        client.rename_collection("d", "e")
        assert peer.has_collection("e") and not peer.has_collection("d")
        peer.drop_collection("e")
        assert client.list_collections() == ["c"]
        client.flush("c", wait=True, timeout=60)
        assert ids(peer) == [1]
        agree(client, peer)


def test_auto_ids_of_two_processes_never_collide(tmp_path: Path, warm: list[Peer]) -> None:
    with MilvusClient(tmp_path / "store") as client, peer_on(warm, client.folder) as peer:
        client.create_collection("c", DIM, auto_id=True)
        given: list[int] = []
        for _ in range(5):
            for writer in (client, peer):
                given += writer.insert("c", [{"vector": [1.0] * DIM}] * 3)["ids"]
        assert len(set(given)) == 30
        assert ids(client) == ids(peer) == sorted(given)


def test_load_and_release_are_shared(folder: Path, warm: list[Peer]) -> None:
    with MilvusClient(folder) as client, peer_on(warm, folder) as peer:
        assert ids(peer) == [1]
        client.release_collection("c")
        assert peer.get_load_state("c") == {"state": LoadState.NotLoad}
        with pytest.raises(CollectionNotLoadedException):
            peer.query("c", limit=1)
        peer.insert("c", row(2))
        peer.load_collection("c")
        number = client.info("c").id
        assert client.get_load_state("c") == {"state": LoadState.Loaded}
        assert number not in client._store.published.views, "nothing is read before a search"
        assert client.search("c", [[2.0] * DIM], limit=2)[0].ids == [2, 1]
        assert number in client._store.published.views


def test_the_next_call_frees_what_another_process_released(folder: Path, warm: list[Peer]) -> None:
    with MilvusClient(folder) as client, peer_on(warm, folder) as peer:
        assert ids(client) == [1]
        peer.release_collection("c")
        client.list_collections()
        assert not client._store.published.views


def test_with_follow_what_another_process_released_is_freed_without_a_call(
    folder: Path, warm: list[Peer]
) -> None:
    with MilvusClient(folder, follow=True) as client, peer_on(warm, folder) as peer:
        store = client._store
        assert ids(client) == [1]
        assert store.published.views
        peer.release_collection("c")
        wait_until(lambda: not store.published.views, "the rows are let go", 10)
        peer.load_collection("c")
        peer.insert("c", row(2))
        seq, _ = peer.digest()
        wait_until(lambda: store.published.seq == seq, "the log is followed", 10)
        assert ids(client) == [1, 2]
    assert not [t.name for t in threading.enumerate() if "walvec" in t.name]


def test_a_read_sees_what_another_process_wrote_after_an_own_commit_failed(
    folder: Path, warm: list[Peer]
) -> None:
    with MilvusClient(folder) as client, peer_on(warm, folder) as peer:
        assert ids(client) == [1]
        with failpoints.arm("commit.before"), pytest.raises(CommitFailedException):
            client.insert("c", row(2))
        # Its transaction now gets the id that the failed one was to have.
        peer.insert("c", row(3))
        assert ids(client) == [1, 3]
        with failpoints.arm("commit.begin"), pytest.raises(MilvusException):
            client.insert("c", row(4))
    with MilvusClient(folder) as client:
        assert ids(client) == [1, 3]


def test_a_read_sees_what_was_acknowledged_while_other_threads_catch_up(
    folder: Path, warm: list[Peer]
) -> None:
    """Another thread may be in the midst of taking it over: then one waits for that."""
    with MilvusClient(folder) as client, peer_on(warm, folder) as peer:
        ids(client)
        finished = threading.Event()

        def look() -> None:
            while not finished.is_set():
                client.has_collection("c")

        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        missed = []
        try:
            for number in range(10, 110):
                peer.insert("c", row(number))
                if not client.get("c", [number]):
                    missed.append(number)
        finally:
            finished.set()
            for thread in threads:
                thread.join()
        assert missed == []


# Waits that end


def names_the_holder(error: LockTimeoutException, peer: Peer) -> bool:
    """The message says pid, host, since when and what to do."""
    said = f"process {peer.pid} on {socket.gethostname()}, for "
    assert said in error.message, error.message
    held_s = float(error.message.split(said)[1].split(" s")[0])
    return 0.3 <= held_s < 30


@pytest.mark.parametrize("point", ["commit.begin", "commit.before"])
def test_a_writer_stopped_in_a_commit_is_waited_for_as_long_as_lock_timeout_says(
    folder: Path, warm: list[Peer], point: str
) -> None:
    with (
        MilvusClient(folder, lock_timeout=0.5) as client,
        peer_on(warm, folder) as peer,
        peer_on(warm, folder, read_only=True) as observer,
    ):
        peer.run(f"failpoints.arm_from('{point}=stop')")
        peer.send("insert", "c", row(2))
        peer.wait_until_stopped()
        with pytest.raises(LockTimeoutException) as caught:
            client.insert("c", row(3))
        assert names_the_holder(caught.value, peer)
        with pytest.raises(LockTimeoutException):
            client.release_collection("c")
        # Readers go on, and see nothing of it.
        assert ids(client) == ids(observer) == [1]
        assert client.search("c", [[1.0] * DIM], limit=3)[0].ids == [1]
        peer.go_on()
        assert peer.receive()["insert_count"] == 1
        assert ids(client) == ids(observer) == [1, 2]
        client.insert("c", row(3))
        assert ids(peer) == [1, 2, 3]
        agree(client, peer)


def test_the_timeout_of_a_call_ends_a_wait_too(folder: Path, warm: list[Peer]) -> None:
    with MilvusClient(folder) as client, peer_on(warm, folder) as peer:
        peer.run("failpoints.arm_from('commit.before=stop')")
        peer.send("insert", "c", row(2))
        peer.wait_until_stopped()
        assert client._store.settings.lock_timeout_s == 30
        with pytest.raises(MilvusException) as caught:
            client.insert("c", row(3), timeout=0.3)
        assert caught.value.code == 4
        peer.go_on()
        peer.receive()
        assert ids(client) == [1, 2]


def test_a_store_can_be_opened_while_a_writer_stands_still(folder: Path, warm: list[Peer]) -> None:
    opener = Peer()  # in a process of its own: it must not wait for ever
    with peer_on(warm, folder) as peer:
        peer.run("failpoints.arm_from('commit.before=stop')")
        peer.send("insert", "c", row(2))
        peer.wait_until_stopped()
        try:
            for settings in ({"read_only": True}, {"lock_timeout": 0.5}):
                opener.send("open", folder, **settings)
                opener.receive(20)
                assert ids(opener) == [1]
                opener.close()
        finally:
            peer.go_on()
            peer.receive()
            opener.end()


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_killed_in_a_commit_is_replaced_at_once(folder: Path, point: str) -> None:
    peer = Peer(folder)
    with MilvusClient(folder, lock_timeout=5) as client:
        peer.run(f"failpoints.arm_from('{point}=kill')")
        peer.send("insert", "c", row(2))
        assert peer.bury() == -signal.SIGKILL
        client.insert("c", row(3), timeout=1)
        stored = [2] if point in ("commit.after", "publish.after") else []
        assert ids(client) == [1, *stored, 3]
        lab.assert_state_is_replayed(client._store)
    assert verify(folder).findings == []


def test_a_writer_that_stood_still_and_was_killed_is_replaced_at_once(folder: Path) -> None:
    peer = Peer(folder)
    with MilvusClient(folder, lock_timeout=30) as client:
        peer.run("failpoints.arm_from('commit.before=stop')")
        peer.send("insert", "c", row(2))
        peer.wait_until_stopped()
        waiting = threading.Thread(target=client.insert, args=("c", row(3)))
        waiting.start()
        peer.kill()
        waiting.join(10)
        assert not waiting.is_alive()
        assert ids(client) == [1, 3]


# Forks


def in_child(act: Callable[[], object], *, leave: Callable[[int], None] = os._exit) -> str:
    """What `act` gives in a forked child, as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a child that waits for ever ends, and says nothing
        try:
            said = repr(act())
        except BaseException as error:
            said = f"raised {error!r}"
        os.write(writing, said.encode())
        leave(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    os.waitpid(child, 0)
    return text


def write_and_read(client: MilvusClient, number: int) -> list[int]:
    """Insert a row and give all ids."""
    client.insert("c", row(number))
    assert client.search("c", [[float(number)] * DIM], limit=1)[0].ids == [number]
    return ids(client)


@pytest.mark.parametrize("follow", [False, True])
def test_a_forked_child_goes_on_with_the_client_that_it_inherits(
    folder: Path, follow: bool
) -> None:
    with MilvusClient(folder, follow=follow) as client:
        assert ids(client) == [1]
        assert in_child(lambda: write_and_read(client, 2)) == "[1, 2]"
        assert ids(client) == [1, 2]
        client.insert("c", row(3))
        nested = in_child(lambda: in_child(lambda: write_and_read(client, 4)))
        assert nested == repr("[1, 2, 3, 4]")
        assert ids(client) == [1, 2, 3, 4]
        lab.assert_state_is_replayed(client._store)
    assert verify(folder).findings == []


def test_a_forked_child_reads_on_with_an_observer(folder: Path, warm: list[Peer]) -> None:
    with MilvusClient(folder, read_only=True) as client, peer_on(warm, folder) as peer:
        assert ids(client) == [1]
        assert in_child(lambda: ids(client)) == "[1]"
        peer.insert("c", row(2))
        assert in_child(lambda: ids(client)) == "[1, 2]"
        assert ids(client) == [1, 2]
        assert "ReadOnlyException" in in_child(lambda: client.insert("c", row(3)))


def test_parent_and_forked_child_write_side_by_side(folder: Path) -> None:
    with MilvusClient(folder) as client:
        parent_reads, child_writes = os.pipe()
        child_reads, parent_writes = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for number in range(10, 20):
                    client.insert("c", row(number))
                    os.write(child_writes, b"x")
                    os.read(child_reads, 1)
                    assert ids(client)[-1] == number + 100
                code = 0
            finally:
                os._exit(code)
        for number in range(10, 20):
            os.read(parent_reads, 1)
            assert number in ids(client)
            client.insert("c", row(number + 100))
            os.write(parent_writes, b"x")
        assert os.waitpid(child, 0)[1] == 0
        for descriptor in (parent_reads, child_writes, child_reads, parent_writes):
            os.close(descriptor)
        assert len(ids(client)) == 21
        lab.assert_state_is_replayed(client._store)


@pytest.mark.parametrize("leave", [os._exit, sys.exit], ids=["_exit", "exit"])
@pytest.mark.parametrize("used", [False, True])
def test_a_child_that_only_exits_does_no_harm(
    folder: Path, leave: Callable[[int], None], used: bool
) -> None:
    script = f"""
import os, sys
from walvec import MilvusClient
client = MilvusClient(sys.argv[1])
client.query("c", limit=1)
child = os.fork()
if not child:
    {"client.query('c', limit=1)" if used else "pass"}
    {"os._exit(0)" if leave is os._exit else "sys.exit(0)"}
assert os.waitpid(child, 0)[1] == 0
client.insert("c", [{{"id": 2, "vector": [2.0, 2.0, 2.0]}}])
assert len(client.query("c", limit=10)) == 2
client.close()
print("done")
"""
    # Python 3.12 and later warn of any fork of a process with threads.
    done = lab.run_child(script, folder, PYTHONWARNINGS="ignore::DeprecationWarning")
    assert done.stdout.split() == ["done"]
    assert not done.stderr, done.stderr
    with MilvusClient(folder) as client:
        assert ids(client) == [1, 2]


def test_a_child_may_close_the_client_and_the_parent_keeps_its_own(folder: Path) -> None:
    with MilvusClient(folder) as client:
        assert in_child(client.close) == "None"
        assert in_child(lambda: (write_and_read(client, 2), client.close())) == "([1, 2], None)"
        assert write_and_read(client, 3) == [1, 2, 3]


def test_after_200_forks_the_parent_has_its_reader_slots_and_descriptors(folder: Path) -> None:
    with MilvusClient(folder) as client:
        client.insert("c", row(2))
        stored = len(ids(client))
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for number in range(200):
            if number % 20 == 0:
                client.insert("c", row(1000 + number))
                stored += 1
            assert in_child(lambda: len(ids(client))) == str(stored)
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
        client._store.log.env.reader_check()
        readers = str(client._store.log.env.readers())
        assert len(re.findall(rf"\b{os.getpid()}\b", readers)) <= 3, readers
        assert len(readers.splitlines()) < 10, readers


def test_forks_while_other_threads_write(folder: Path) -> None:
    """Each child sees at least what was acknowledged before the fork, writes, and is seen."""
    with MilvusClient(folder) as client:
        finished = threading.Event()
        acknowledged: list[int] = []
        trouble: list[BaseException] = []

        def write(first: int) -> None:
            number = first
            try:
                while not finished.is_set():
                    client.insert("c", row(number))
                    acknowledged.append(number)
                    number += 1
            except BaseException as error:
                trouble.append(error)

        threads = [threading.Thread(target=write, args=(10_000 * n,)) for n in (1, 2, 3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(100, 115):
                before = list(acknowledged)

                def act(number: int = number, before: list[int] = before) -> list[int]:
                    client.insert("c", row(number))
                    found = client.query("c", limit=16_000)
                    return sorted(set(before) - {r["id"] for r in found})

                assert in_child(act) == "[]"
                assert client.get("c", [number])
        finally:
            finished.set()
            for thread in threads:
                thread.join()
        assert not trouble
        found = client.query("c", limit=16_000)
        assert len(found) == len({r["id"] for r in found}) == 1 + 15 + len(acknowledged)
        lab.assert_state_is_replayed(client._store)
    assert verify(folder).findings == []


MULTIPROCESSING = """
import multiprocessing, sys
from walvec import MilvusClient

def work(client, number):
    client.insert("c", [{"id": number, "vector": [1.0, 2.0, 3.0]}])
    return len(client.query("c", limit=100))

def inherited(number):
    return work(client, number)

def opened(number):
    with MilvusClient(sys.argv[1]) as own:
        return work(own, number)

if __name__ == "__main__":
    method = sys.argv[2]
    client = MilvusClient(sys.argv[1])
    client.query("c", limit=10)
    with multiprocessing.get_context(method).Pool(2) as pool:
        counts = pool.map(inherited if method == "fork" else opened, range(10, 22), chunksize=1)
    assert len(counts) == 12 and all(2 <= n <= 13 for n in counts), counts
    client.insert("c", [{"id": 99, "vector": [1.0, 2.0, 3.0]}])
    print(len(client.query("c", limit=100)))
    client.close()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_each_start_method_works_beside_its_parent(
    folder: Path, tmp_path: Path, method: str
) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    script = tmp_path / "pool.py"
    script.write_text(MULTIPROCESSING)
    done = subprocess.run(
        [sys.executable, str(script), str(folder), method],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["14"]
    assert verify(folder).findings == []


# Reading only


def test_an_observer_reads_while_others_write(folder: Path, warm: list[Peer]) -> None:
    with MilvusClient(folder, read_only=True) as client, peer_on(warm, folder) as peer:
        for number in range(2, 12):
            peer.insert("c", row(number))
            assert ids(client)[-1] == number
        peer.flush("c", wait=True, timeout=60)
        peer.insert("c", row(12))
        assert ids(client) == list(range(1, 13))
        agree(client, peer)
        with pytest.raises(ReadOnlyException):
            client.insert("c", row(13))
        peer.release_collection("c")
        with pytest.raises(CollectionNotLoadedException):
            client.query("c", limit=1)


def test_an_observer_takes_no_writer_lock_and_writes_nothing(folder: Path) -> None:
    (folder / "writer.lock").unlink()
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.name != "lock.mdb"}
    with MilvusClient(folder, read_only=True) as client:
        assert ids(client) == [1]
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.name != "lock.mdb"} == before


def test_a_store_on_a_read_only_file_system_can_be_read(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    # A mount namespace of its own: nothing is left behind, whatever happens.
    shell = 'mount --bind "$0" "$1" && mount -o remount,ro,bind "$1" && exec "${@:2}"'
    code = """
import sys
from walvec import MilvusClient
from walvec.exceptions import MilvusException
try:
    with MilvusClient(sys.argv[1]) as client:
        client.insert("c", {"id": 2, "vector": [1.0, 2.0, 3.0]})
except MilvusException as error:
    print(type(error).__name__, "read_only=True" in error.message)
with MilvusClient(sys.argv[1], read_only=True) as client:
    print(len(client.query("c", limit=10)))
"""
    command = [sys.executable, "-c", code, str(place)]
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", shell, str(folder), str(place), *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode and "walvec" not in done.stderr:
        pytest.skip(f"no mount namespace can be made here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["StoreUnusableException", "True", "1"]


def test_a_store_whose_file_system_becomes_writable_is_written_by_who_has_it_open(
    folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    shell = 'mount --bind "$0" "$1" && mount -o remount,ro,bind "$1" && exec "${@:2}"'
    code = """
import subprocess, sys
from pathlib import Path
from walvec import MilvusClient
from walvec.wal import failpoints, reader_lock
from walvec.wal.errors import LockTimeoutException
from walvec.wal.writer_lock import WriterLock
folder, elsewhere = sys.argv[1:]
with MilvusClient(folder) as client:
    print(len(client.query("c", limit=10)))
    reader_lock.TIMEOUT_S = 0.1
    try:
        with WriterLock(Path(elsewhere) / "writer.lock", 1).held(), client._store.log.reading():
            print("beside a commit")
    except LockTimeoutException:
        print("waits")
    subprocess.run(["mount", "-o", "remount,rw,bind", folder], check=True)
    # It reads what became of the commit, and has the writer lock meanwhile.
    with failpoints.arm("commit.after"):
        client.insert("c", {"id": 2, "vector": [1.0, 2.0, 3.0]})
    print(len(client.query("c", limit=10)))
"""
    command = [sys.executable, "-c", code, str(place), str(folder)]
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", shell, str(folder), str(place), *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode and "walvec" not in done.stderr:
        pytest.skip(f"no mount namespace can be made here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "waits", "2"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to everything")
def test_a_folder_without_write_permission_can_be_read(folder: Path) -> None:
    paths = [folder, *folder.rglob("*")]
    modes = {p: p.stat().st_mode for p in paths}
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        with pytest.raises(StoreUnusableException, match="read_only=True"):
            MilvusClient(folder)
        with MilvusClient(folder, read_only=True) as client:
            assert ids(client) == [1]
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


# The end


@pytest.mark.parametrize("settings", [{}, {"follow": True}, {"read_only": True}], ids=str)
def test_close_gives_every_descriptor_mapping_and_thread_back(
    folder: Path, warm: list[Peer], settings: dict[str, Any]
) -> None:
    with peer_on(warm, folder) as peer:
        for number in range(2, 40):
            peer.insert("c", row(number))
        peer.alter_collection_properties("c", {"mmap.enabled": "true"})
        peer.flush("c", wait=True, timeout=60)
    MilvusClient(folder, **settings).close()  # what is opened once and stays is opened
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    threads = set(threading.enumerate())
    for _ in range(2):
        client = MilvusClient(folder, **settings)
        assert len(ids(client)) == 39
        if not settings.get("read_only"):
            client.insert("c", row(100))
            client.delete("c", ids=[100])
            client.flush("c", wait=True, timeout=60)
        client.close()
        assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
        assert set(threading.enumerate()) == threads
        assert handles_into(folder) == []
    shutil.rmtree(folder)
    assert not folder.exists()


def test_close_ends_the_processes_that_build(folder: Path) -> None:
    def children() -> set[str]:
        tasks = Path("/proc/self/task").iterdir()
        return {pid for task in tasks for pid in (task / "children").read_text().split()}

    before = children()
    with MilvusClient(folder) as client:
        client.flush("c", wait=True, timeout=60)
    assert children() <= before


def test_a_process_that_closes_leaves_the_store_to_the_other(
    folder: Path, warm: list[Peer]
) -> None:
    with peer_on(warm, folder) as peer:
        with MilvusClient(folder) as client:
            client.insert("c", row(2))
        peer.insert("c", row(3))
        with MilvusClient(folder) as client:
            assert ids(client) == ids(peer) == [1, 2, 3]


# Levels


@pytest.mark.parametrize("level", ["Strong", "Bounded", "Session", "Eventually"])
def test_every_consistency_level_is_accepted_and_strong_sees_everything(
    tmp_path: Path, warm: list[Peer], level: str
) -> None:
    with MilvusClient(tmp_path / "store") as client, peer_on(warm, client.folder) as peer:
        client.create_collection("c", DIM, metric_type="L2", consistency_level=level)
        assert peer.describe_collection("c")["consistency_level_name"] == level
        for number in range(1, 6):
            peer.insert("c", row(number))
            assert ids(client, consistency_level="Strong") == list(range(1, number + 1))
            client.insert("c", row(100 + number))
            # What a session wrote it sees, at every level.
            answers = [
                {r["id"] for r in client.query("c", limit=100, consistency_level=level)},
                {r["id"] for r in client.get("c", [100 + number], consistency_level=level)},
                set(
                    client.search("c", [[100.0 + number] * DIM], limit=1, consistency_level=level)[
                        0
                    ].ids
                ),
            ]
            assert all(100 + number in answer for answer in answers), answers
            client.delete("c", ids=[100 + number])
        assert ids(client, consistency_level="Strong") == ids(peer, consistency_level="Strong")


# Files that go, come, or are copied


def test_writer_lock_deleted_while_two_processes_write_loses_nothing(
    folder: Path, warm: list[Peer]
) -> None:
    with MilvusClient(folder) as client, peer_on(warm, folder) as peer:
        client.insert("c", row(2))
        peer.insert("c", row(3))
        for number in range(10, 40, 2):
            if number % 6 == 4:
                (folder / "writer.lock").unlink()
            elif number % 6 == 2:
                (folder / "other").touch(mode=0o600)
                (folder / "other").rename(folder / "writer.lock")
            peer.send("insert", "c", row(number))
            client.insert("c", row(number + 1))
            peer.receive()
        assert ids(client) == ids(peer) == [1, 2, 3, *range(10, 40)]
        agree(client, peer)
        lab.assert_state_is_replayed(client._store)
    assert verify(folder).findings == []


def test_lock_mdb_deleted_is_said_and_nothing_is_lost(folder: Path, warm: list[Peer]) -> None:
    with MilvusClient(folder) as client:
        with peer_on(warm, folder) as peer:
            client.insert("c", row(2))
            peer.insert("c", row(3))
            (folder / "log" / "lock.mdb").unlink()
            for writer in (client, peer):
                with pytest.raises(StoreBrokenException, match="deleted or replaced"):
                    writer.insert("c", row(4))
        with pytest.raises(StoreBrokenException, match="open it again"):
            client.insert("c", row(5))
    with MilvusClient(folder) as client, peer_on(warm, folder) as peer:
        client.insert("c", row(6))
        assert ids(client) == ids(peer) == [1, 2, 3, 6]
    assert verify(folder).findings == []


def copy_in_a_process(source: Path, target: Path) -> None:
    """`cp -a`, by another process: this one may have the store open."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


@pytest.mark.parametrize("when", ["closed", "open"])
def test_a_copied_store_is_a_store_of_its_own(
    folder: Path, tmp_path: Path, warm: list[Peer], when: str
) -> None:
    copy = tmp_path / "copy"
    with MilvusClient(folder) as client:
        client.insert("c", row(2))
        client.flush("c", wait=True, timeout=60)
        if when == "open":
            copy_in_a_process(folder, copy)
    if when == "closed":
        copy_in_a_process(folder, copy)
    with (
        MilvusClient(folder) as client,
        MilvusClient(copy) as other,
        peer_on(warm, folder) as peer,
        peer_on(warm, copy) as other_peer,
    ):
        for number in range(10, 20, 2):
            client.insert("c", row(number))
            other_peer.insert("c", row(number + 100))
            peer.insert("c", row(number + 1))
            other.insert("c", row(number + 101))
        assert ids(client) == ids(peer) == [1, 2, *range(10, 20)]
        assert ids(other) == ids(other_peer) == [1, 2, *range(110, 120)]
    assert verify(folder).findings == verify(copy).findings == []


def test_a_folder_renamed_while_open_says_so(folder: Path, tmp_path: Path) -> None:
    client = MilvusClient(folder)
    folder.rename(tmp_path / "elsewhere")
    try:
        with pytest.raises(MilvusException, match=r"deleted or replaced|cannot open"):
            client.insert("c", row(2))
    finally:
        client.close()
    with MilvusClient(tmp_path / "elsewhere") as client:
        assert ids(client) == [1]


NAMESPACED = """
import os, sys
from walvec import MilvusClient
from walvec.exceptions import MilvusException
folder, first = sys.argv[1], int(sys.argv[2])
print("pid", os.getpid(), flush=True)
try:
    with MilvusClient(folder) as client:
        print("open", flush=True)
        sys.stdin.readline()
        for number in range(first, first + 50):
            client.insert("c", [{"id": number, "vector": [1.0, 2.0, 3.0]}])
            client.query("c", limit=1)
            print("ack", number, flush=True)
        print("written", flush=True)
        sys.stdin.readline()
        print("sees", len(client.query("c", limit=1000)), flush=True)
except MilvusException as error:
    print("explained", error.message, flush=True)
"""


def test_two_containers_with_equal_pids_lose_nothing(folder: Path) -> None:
    command = ["unshare", "-pf", "--mount-proc", sys.executable, "-c", NAMESPACED, str(folder)]
    probe = subprocess.run([*command[:3], "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no pid namespace can be made here: {probe.stderr.strip()}")
    pair = [
        subprocess.Popen(
            [*command, str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for first in (1000, 2000)
    ]
    told: list[list[str]] = [[], []]

    def hear(until: tuple[str, ...]) -> None:
        for process, lines in zip(pair, told, strict=True):
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.strip())
                if line.split()[0] in until:
                    break

    def go() -> None:
        for process in pair:
            assert process.stdin is not None
            if process.poll() is None:
                try:
                    process.stdin.write("go\n")
                    process.stdin.flush()
                except BrokenPipeError:
                    continue

    hear(("open", "explained"))
    go()
    hear(("written", "explained"))
    go()
    hear(("sees", "explained"))
    for process in pair:
        process.communicate(timeout=30)
    assert told[0][0] == told[1][0], "the pids are not equal"
    acknowledged = {int(x.split()[1]) for lines in told for x in lines if x.startswith("ack")}
    for lines in told:
        refused = [line for line in lines if line.startswith("explained")]
        if refused:
            assert re.search("pid|process|container", refused[0]), refused
        else:
            assert lines[-1] == f"sees {1 + len(acknowledged)}"
    with MilvusClient(folder) as client:
        assert set(ids(client)) == {1} | acknowledged
    assert verify(folder).findings == []
