"""The recorder: real programs under strace; what is recorded makes what is in the folder."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
import pytest

from walvec import DataType, MilvusClient
from walvec.crashlab.operation import Operation, Recording
from walvec.crashlab.recorder import Recorder, replayed
from walvec.crashlab.shadow import RecordingError, Snapshot, snapshot
from walvec.crashlab.stage import Marks, Told
from walvec.crashlab.trace import read_trace
from walvec.crashlab.tracing import TracingUnavailable

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


class Take(NamedTuple):
    """One recording."""

    recording: Recording
    told: Told
    code: int
    folder: Path

    @property
    def operations(self) -> list[Operation]:
        """Without the marks."""
        return [o for o in self.recording.operations if o.kind not in ("try", "ack")]

    def brief(self) -> list[tuple[Any, ...]]:
        """Kind, path, and what matters of the rest."""
        return [
            (o.kind, o.path, *([o.target] if o.target else []), *([o.data] if o.data else []))
            for o in self.operations
        ]


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


@pytest.fixture
def record(recorder: Recorder, tmp_path: Path) -> Callable[[Callable[[Path], object]], Take]:
    """Record a function of the folder. Its operations make what is then in the folder."""
    folder = tmp_path / "store"
    folder.mkdir()

    def take(run: Callable[[Path], object]) -> Take:
        recording, told, code = recorder.record(lambda marks: (run(folder), None)[1], folder)
        assert recording.error == "", recording.error
        found = snapshot(folder).files
        made = replayed(recording)
        for path in recording.mapped:
            found.pop(path, None)
            made.pop(path, None)
        assert made == found
        return Take(recording, told, code, folder)

    return take


Record = Callable[[Callable[[Path], object]], Take]


# Files


@pytest.mark.parametrize("mode", ["w", "a", "r+", "w+", "a+", "x"])
@pytest.mark.parametrize("buffering", [0, -1])
def test_python_files_of_every_mode_are_recorded(record: Record, mode: str, buffering: int) -> None:
    def run(folder: Path) -> None:
        path = folder / "f"
        if mode != "x":
            path.write_bytes(b"0123456789" * 3)
        with path.open(f"{mode}b", buffering=buffering) as file:
            file.write(b"abc")
            file.seek(1)
            if "+" in mode:
                file.read(2)
            file.write(b"def")
            file.seek(0, os.SEEK_END)
            file.write(b"ghi")
            file.seek(40)
            file.write(b"beyond")

    record(run)


def test_every_call_that_writes_puts_its_bytes_where_the_kernel_does(record: Record) -> None:
    def run(folder: Path) -> None:
        fd = os.open(folder / "f", os.O_RDWR | os.O_CREAT)
        os.write(fd, b"hello world")
        os.lseek(fd, 2, os.SEEK_SET)
        os.read(fd, 2)
        os.write(fd, b"L")  # Where the read has left the offset.
        os.readv(fd, [bytearray(1), bytearray(1)])
        os.writev(fd, [b"a", b"", b"b"])
        os.pwrite(fd, b"P", 30)
        os.pwritev(fd, [b"v", b"w"], 20)
        os.pwritev(fd, [b"D"], 1, os.RWF_DSYNC)
        os.write(fd, b"!")  # A pwrite has not moved it.
        os.ftruncate(fd, 25)
        os.truncate(folder / "f", 40)
        os.posix_fallocate(fd, 30, 30)
        os.close(fd)

    take = record(run)
    assert [o.durable for o in take.operations if o.kind == "write"] == [False] * 5 + [True, False]
    assert [o.offset for o in take.operations if o.kind == "truncate"] == [25, 40, 60]
    assert take.recording.calls == {
        "openat": 1,
        "write": 3,
        "writev": 1,
        "pwrite64": 1,
        "pwritev2": 2,
        "ftruncate": 1,
        "truncate": 1,
        "fallocate": 1,
    }


def test_appends_go_to_the_end_whoever_has_written_there(record: Record) -> None:
    def run(folder: Path) -> None:
        one = os.open(folder / "f", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        two = os.open(folder / "f", os.O_WRONLY)
        os.write(two, b"12345")
        os.write(one, b"abc")
        os.write(two, b"6")  # Overwrites the a.
        os.pwrite(one, b"x", 0)  # Linux appends that as well.
        fcntl.fcntl(two, fcntl.F_SETFL, os.O_APPEND)
        os.write(two, b"!")

    record(run)


def test_a_file_opened_for_synced_writes_has_durable_writes(record: Record) -> None:
    def run(folder: Path) -> None:
        for number, flag in enumerate((0, os.O_DSYNC, os.O_SYNC)):
            fd = os.open(folder / f"f{number}", os.O_WRONLY | os.O_CREAT | flag)
            os.write(fd, b"x")
            os.pwrite(fd, b"y", 1)

    take = record(run)
    durable = [o.durable for o in take.operations if o.kind == "write"]
    assert durable == [False, False, True, True, True, True]


def test_copies_that_show_no_data_are_recorded_with_it(record: Record, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(os.urandom(100_000))

    def run(folder: Path) -> None:
        shutil.copy(outside, folder / "a")  # sendfile
        shutil.copy(folder / "a", folder / "b")
        a, b, c = (os.open(path, os.O_RDWR) for path in (folder / "a", folder / "b", outside))
        os.read(a, 10)
        os.read(c, 5)
        for source in (a, c):
            with contextlib.suppress(OSError):  # Not on every file system.
                os.copy_file_range(source, b, 100)
                os.copy_file_range(source, b, 50, 7, 200_000)
        os.sendfile(b, a, None, 3)
        os.write(b, b"here")

    take = record(run)
    assert "sendfile" in take.recording.calls
    assert not [o for o in take.operations if o.kind == "write" and not o.data]


def test_a_file_emptied_as_it_is_opened_is_truncated_and_an_empty_one_is_not(
    record: Record,
) -> None:
    def run(folder: Path) -> None:
        for data in (b"", b"", b"x", b"y"):
            (folder / "f").write_bytes(data)

    assert record(run).brief() == [
        ("create", "f"),
        ("write", "f", b"x"),
        ("truncate", "f"),
        ("write", "f", b"y"),
    ]


def test_a_file_without_a_name_is_still_written_and_may_get_one(record: Record) -> None:
    def run(folder: Path) -> None:
        gone = os.open(folder / "gone", os.O_RDWR | os.O_CREAT)
        os.write(gone, b"1")
        (folder / "gone").unlink()
        os.write(gone, b"2")
        os.fsync(gone)
        (folder / "gone").write_bytes(b"another")
        late = os.open(folder, os.O_TMPFILE | os.O_WRONLY)
        os.write(late, b"was there before its name")
        os.fsync(late)
        os.link(f"/proc/self/fd/{late}", folder / "late", src_dir_fd=late)

    take = record(run)
    assert [o.file for o in take.operations if o.path == "gone"] == [2, 2, 2, 2, 2, 3, 3]


def test_holes_that_are_made_are_zeros(record: Record) -> None:
    def run(folder: Path) -> None:
        path = folder / "f"
        path.write_bytes(b"x" * 20_000)
        subprocess.run(["fallocate", "-p", "-o", "4096", "-l", "4096", path], check=True)
        subprocess.run(["fallocate", "-n", "-o", "0", "-l", "90000", path], check=True)

    record(run)


# Names


def test_names_are_followed_through_folders_that_are_renamed(record: Record) -> None:
    def run(folder: Path) -> None:
        (folder / "d" / "e").mkdir(parents=True)
        file = os.open(folder / "d" / "e" / "f", os.O_RDWR | os.O_CREAT)
        place = os.open(folder / "d", os.O_RDONLY)
        (folder / "d").rename(folder / "new")
        os.write(file, b"x")
        os.fsync(place)
        os.rename("e", "g", src_dir_fd=place, dst_dir_fd=place)
        os.write(os.open("h", os.O_WRONLY | os.O_CREAT, dir_fd=place), b"y")
        os.chdir(folder / "new" / "g")
        Path("../../i").write_bytes(b"z")
        os.fchdir(place)
        Path("k").write_bytes(b"w")
        Path("k").replace("g/f")
        os.link("g/f", "l")
        os.chdir("/")
        os.fsync(os.open(folder, os.O_RDONLY))

    take = record(run)
    assert take.brief() == [
        ("mkdir", "d"),
        ("mkdir", "d/e"),
        ("create", "d/e/f"),
        ("rename", "d", "new"),
        ("write", "new/e/f", b"x"),
        ("sync", "new"),
        ("rename", "new/e", "new/g"),
        ("create", "new/h"),
        ("write", "new/h", b"y"),
        ("create", "i"),
        ("write", "i", b"z"),
        ("create", "new/k"),
        ("write", "new/k", b"w"),
        ("rename", "new/k", "new/g/f"),
        ("link", "new/g/f", "new/l"),
        ("sync", ""),
    ]
    assert take.operations[5].file == 2 and take.operations[-1].file == 1


def test_a_tree_that_is_removed_is_removed_name_by_name(record: Record) -> None:
    def run(folder: Path) -> None:
        (folder / "d" / "e").mkdir(parents=True)
        (folder / "d" / "f").touch()
        shutil.rmtree(folder / "d")

    *_, one, another, last = record(run).brief()
    assert {one, another} == {("rmdir", "d/e"), ("unlink", "d/f")}
    assert last == ("rmdir", "d")


def test_what_was_there_before_is_the_start(recorder: Recorder, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    (folder / "d").mkdir(parents=True)
    (folder / "d" / "a").write_bytes(b"a")
    os.link(folder / "d" / "a", folder / "b")

    def run(marks: Marks) -> None:
        marks.attempt(0)
        (folder / "b").write_bytes(b"new")
        marks.ack(0)

    recording, told, code = recorder.record(run, folder)
    assert (recording.start, recording.folders) == ({"d/a": b"a", "b": b"a"}, ("d",))
    assert recording.files["b"] == recording.files["d/a"]
    assert [o.kind for o in recording.operations] == ["try", "truncate", "write", "ack"]
    assert replayed(recording) == {"b": b"new", "d/a": b"new"}
    assert (told.under_way, code) == ("", 0)
    assert read_trace(recorder.last_trace, str(folder), Snapshot(*recording[:3])) == recording


def test_a_folder_is_known_by_every_path_to_it(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    folder = tmp_path / "link"

    def run(marks: Marks) -> None:
        (folder / "a").write_bytes(b"1")
        (tmp_path / "real" / "a").write_bytes(b"2")
        (tmp_path / "real" / ".." / "real" / "b").write_bytes(b"3")
        (folder / "b").rename(tmp_path / "real" / "c")

    recording, _, _ = recorder.record(run, folder)
    assert recording.error == ""
    assert replayed(recording) == {"a": b"2", "c": b"3"}


# Threads and processes


def test_threads_and_processes_are_recorded_in_the_order_of_their_returns(record: Record) -> None:
    def write_some(folder: Path, who: int) -> None:
        fd = os.open(folder / "f", os.O_RDWR | os.O_CREAT)
        for i in range(20):
            os.pwrite(fd, b"%d %02d\n" % (who, i), (who * 20 + i) * 5)
            os.fdatasync(fd)
        os.close(fd)

    def run(folder: Path) -> None:
        threads = [threading.Thread(target=write_some, args=(folder, n)) for n in range(3)]
        for thread in threads:
            thread.start()
        children = []
        for n in range(3, 6):
            children.append(os.fork())
            if children[-1] == 0:
                write_some(folder, n)
                os._exit(0)
        for child in children:
            os.waitpid(child, 0)
        for thread in threads:
            thread.join()

    take = record(run)
    assert take.recording.calls["pwrite64"] == take.recording.calls["fdatasync"] == 120
    assert len({o.pid for o in take.operations}) == 6
    overlapped = [i - o.begun for i, o in enumerate(take.recording.operations)]
    assert min(overlapped) == 0 < max(overlapped)


def test_programs_have_the_descriptors_that_they_inherit(record: Record) -> None:
    def run(folder: Path) -> None:
        fd = os.open(folder / "f", os.O_WRONLY | os.O_CREAT)
        closed = os.open(folder / "closed", os.O_WRONLY | os.O_CREAT)
        os.set_inheritable(closed, True)
        os.set_inheritable(closed, False)
        os.write(fd, b"parent ")
        program = f"import os; os.write({fd}, b'child '); open('g', 'w').write('by name')"
        subprocess.run([sys.executable, "-S", "-c", program], pass_fds=[fd], cwd=folder, check=True)
        subprocess.run(["sh", "-c", "echo shell; echo more >> f"], stdout=fd, cwd=folder)
        copy = os.dup(fd)
        os.dup2(fd, 50)
        fcntl.fcntl(fd, fcntl.F_DUPFD, 60)
        os.close(fd)
        os.write(copy, b"copy ")
        os.write(50, b"end")

    take = record(run)
    assert (take.folder / "f").read_bytes().startswith(b"parent child shell\n")


def test_a_run_that_dies_says_so_and_what_it_did_is_kept(
    recorder: Recorder, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    folder.mkdir()

    def die(marks: Marks) -> None:
        marks.attempt(0)
        (folder / "f").write_bytes(b"x")
        os.kill(os.getpid(), signal.SIGKILL)

    recording, told, code = recorder.record(die, folder)
    assert (recording.error, code, told.under_way) == ("ended by SIGKILL", -9, "opening")
    assert replayed(recording) == {"f": b"x"}

    def fail(marks: Marks) -> None:
        raise ValueError("no")

    recording, told, code = recorder.record(fail, folder)
    assert "ValueError: no" in recording.error and code == 1 and told.error == recording.error


def test_a_run_that_does_not_end_is_killed_with_all_it_started(tmp_path: Path) -> None:
    reader, writer = os.pipe()

    def run(marks: Marks) -> None:
        os.write(writer, b"%d\n" % os.getpid())
        if os.fork() == 0:
            os.write(writer, b"%d\n" % os.getpid())
        signal.pause()

    with Recorder(timeout_s=1.0) as recorder:
        recording, told, _ = recorder.record(run, tmp_path)
    assert "did not end within 1 s and was killed" in recording.error == told.error
    os.close(writer)
    with os.fdopen(reader) as pids:
        assert len(list(pids)) == 2  # And an end: nobody has the pipe any more.


def test_a_write_through_a_map_is_named_and_its_sync_is_recorded(
    recorder: Recorder, tmp_path: Path
) -> None:
    def run(marks: Marks) -> None:
        with (tmp_path / "m").open("w+b") as file:
            file.write(b"x" * 10_000)
            file.flush()
            with mmap.mmap(file.fileno(), 10_000) as view:
                view[:5] = b"hello"
                view.flush()
                view.flush(4096, 4096)
        (tmp_path / "m").rename(tmp_path / "n")

    recording, _, _ = recorder.record(run, tmp_path)
    assert recording.mapped == ("n",)
    assert [o.kind for o in recording.operations] == ["create", "write", "datasync", "rename"]
    assert recording.calls["msync"] == 2


# Where nothing can be recorded


def test_tracing_that_is_forbidden_is_said_with_a_cure(recorder: Recorder, tmp_path: Path) -> None:
    """A process that is traced already cannot be traced once more."""
    folder = tmp_path / "s"
    folder.mkdir()

    def run(marks: Marks) -> None:
        with Recorder() as inner:
            inner.record(lambda marks: None, folder)

    recording, _, code = recorder.record(run, folder)
    assert code == 1
    assert "strace cannot trace process" in recording.error
    assert "Operation not permitted" in recording.error
    assert "it takes the capability SYS_PTRACE" in recording.error


def test_a_missing_strace_is_said_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TracingUnavailable, match=r"strace is missing.*apt install strace"):
        Recorder()


def test_another_system_is_told_that_recording_needs_linux(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(TracingUnavailable, match="this system is darwin, and tracing needs Linux"):
        Recorder()


def test_what_another_process_has_written_meanwhile_is_noticed(
    recorder: Recorder, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        theirs.recv(1)
        (folder / "stranger").write_bytes(b"x")
        theirs.send(b"x")
        os._exit(0)

    def run(marks: Marks) -> None:
        ours.send(b"x")
        ours.recv(1)

    with pytest.raises(RecordingError, match="not make what is in the folder: stranger"):
        recorder.record(run, folder)
    os.waitpid(child, 0)
    ours.close()
    theirs.close()


def test_a_symbolic_link_in_the_folder_is_an_error(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "l").symlink_to("x")
    with pytest.raises(RecordingError, match="l is a symbolic link"):
        recorder.record(lambda marks: None, tmp_path)


# Stores


@pytest.mark.parametrize("journal", ["DELETE", "TRUNCATE", "PERSIST", "WAL"])
def test_sqlite_is_recorded(record: Record, journal: str) -> None:
    def run(folder: Path) -> None:
        store = sqlite3.connect(folder / "db", isolation_level=None)
        store.execute(f"pragma journal_mode={journal}")
        store.execute("create table t (a primary key, b)")
        for i in range(5):
            store.execute("insert into t values (?, ?)", (i, "x" * 3000))
        store.execute("begin")
        store.execute("delete from t where a < 3")
        store.execute("rollback")
        store.execute("update t set b = 'new' where a = 4")
        if journal != "WAL":
            store.execute("vacuum")
        os._exit(0)  # The journals stay as they are.

    take = record(run)
    assert take.recording.mapped == (("db-shm",) if journal == "WAL" else ())
    assert [o for o in take.operations if o.kind in ("sync", "datasync")]


def test_lmdb_is_recorded_also_by_two_processes(record: Record) -> None:
    def run(folder: Path) -> None:
        def fill(first: int) -> None:
            with lmdb.open(str(folder), map_size=1 << 24) as store:
                for i in range(first, first + 10):
                    with store.begin(write=True) as writing:
                        writing.put(b"%d" % i, os.urandom(3000))

        child = os.fork()
        if child == 0:
            fill(100)
            os._exit(0)
        fill(0)
        os.waitpid(child, 0)

    take = record(run)
    assert take.recording.mapped == ("lock.mdb",)
    assert any(o.durable for o in take.operations)


def test_a_walvec_store_is_recorded_with_its_threads_and_its_building_child(
    record: Record,
) -> None:
    def run(folder: Path) -> None:
        client = MilvusClient(str(folder / "store"))
        schema = client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("v", DataType.FLOAT_VECTOR, dim=4)
        indexes = client.prepare_index_params()
        indexes.add_index("v", index_type="ANNOY", metric_type="L2", params={"n_trees": 4})
        client.create_collection("c", schema=schema, index_params=indexes)

        def insert(first: int) -> None:
            rows = [{"id": i, "v": [i, 0, 0, 1]} for i in range(first, first + 400)]
            client.insert("c", rows)

        threads = [threading.Thread(target=insert, args=(n * 400,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.flush("c", wait=True)
        client.delete("c", ids=[1, 2, 3])
        client.search("c", [[5, 0, 0, 1]], limit=3)
        client.close()

    take = record(run)
    assert set(take.recording.mapped) == {"store/log/lock.mdb"}
    assert len({o.pid for o in take.operations}) > 2
    renamed = [o for o in take.operations if o.kind == "rename" and "/index-" in o.target]
    assert len({o.pid for o in renamed}) == 2, "the child gives its draft a name, then the store"
