"""The log on a real disk: made whole or not at all, mapped only if whole, never replaced."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest
from lab import run_child

from walvec.wal.creation import create_log
from walvec.wal.entry import payload_of
from walvec.wal.environment import MIN_MAP_SIZE_BYTES
from walvec.wal.errors import (
    LogCorruptedException,
    MemoryException,
    StoreBrokenException,
    StoreUnusableException,
)
from walvec.wal.events import CollectionRenamed, RowsDeleted, StoreCreated
from walvec.wal.found import PAGE_DAMAGE, damaged_page, lost_tail
from walvec.wal.log import KEY, Log, Position

CREATED = StoreCreated(0, bytes(16), "test")

MAKE = """
import sys
from pathlib import Path
from walvec.wal.events import StoreCreated
from walvec.wal.creation import create_log
from walvec.wal.log import Log
create_log(Path(sys.argv[1]), StoreCreated(0, bytes(16), "test"), 5)
"""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    create_log(tmp_path / "log", CREATED, 5)
    opened = Log(tmp_path / "log")
    yield opened
    opened.close()


def last(log: Log) -> Position:
    """The position after the newest entry."""
    header = list(log.scan(Position()))[-1].header
    return Position(header.seq, header.chain, header.timestamp)


def append(log: Log, *, count: int = 1, size: int = 0) -> Position:
    """Append events, each with a payload of `size` bytes, in one transaction."""
    position = last(log)
    payload = payload_of([os.urandom(size)]) if size else None
    with log.begin(write=True) as txn:
        for _ in range(count):
            position = log.append(
                txn,
                position,
                RowsDeleted(1, 1, ()),
                payload,
                timestamp=6,
                request=bytes(16),
                more_follows=False,
            )
    return position


def test_a_new_log_has_one_entry(log: Log) -> None:
    (entry,) = log.scan(Position())
    assert entry.event == CREATED
    assert (entry.header.seq, entry.header.timestamp) == (1, 5)
    with log.begin() as txn:
        assert log.last_seq(txn) == 1


def test_nobody_else_may_read_the_folder_and_the_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_log(tmp_path / "log", CREATED, 5)
        log = Log(tmp_path / "log")
        append(log)
        log.close()
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "log").iterdir()}
    assert modes == {"data.mdb": 0o600, "lock.mdb": 0o600}
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700


def test_a_creation_killed_before_its_rename_leaves_no_log_and_can_be_repeated(
    tmp_path: Path,
) -> None:
    point = "create.before-rename=kill"
    done = run_child(MAKE, tmp_path / "log", check=False, WALVEC_FAILPOINTS=point)
    assert done.returncode == -signal.SIGKILL
    assert [p.name for p in tmp_path.iterdir()] == ["log.tmp"]
    run_child(MAKE, tmp_path / "log")
    assert [p.name for p in tmp_path.iterdir()] == ["log"]
    log = Log(tmp_path / "log")
    assert len(list(log.scan(Position()))) == 1
    log.close()


def test_a_creation_killed_after_its_rename_leaves_a_whole_log(tmp_path: Path) -> None:
    point = "create.after-rename=kill"
    done = run_child(MAKE, tmp_path / "log", check=False, WALVEC_FAILPOINTS=point)
    assert done.returncode == -signal.SIGKILL
    assert [p.name for p in tmp_path.iterdir()] == ["log"]
    log = Log(tmp_path / "log")
    assert [entry.event for entry in log.scan(Position())] == [CREATED]
    append(log)
    log.close()


def test_a_log_cut_at_any_page_is_refused_before_it_is_mapped(tmp_path: Path) -> None:
    create_log(tmp_path / "log", CREATED, 5)
    log = Log(tmp_path / "log")
    append(log, count=3, size=20_000)
    log.close()
    whole = (tmp_path / "log" / "data.mdb").read_bytes()
    assert len(whole) // 4096 > 10
    code = """
import shutil, sys
from pathlib import Path
from walvec.wal.errors import StoreUnusableException
from walvec.wal.creation import create_log
from walvec.wal.log import Log, Position
folder, size = Path(sys.argv[1]), int(sys.argv[2])
data = folder / "data.mdb"
whole = data.read_bytes()
for length in [*range(0, size, 4096), size - 1]:
    data.write_bytes(whole[:length])
    try:
        Log(folder)
    except StoreUnusableException as error:
        assert "restore the log from a copy" in error.message, error
    else:
        raise SystemExit(f"opened with {length} bytes")
data.write_bytes(whole)
log = Log(folder)
print(len(list(log.scan(Position()))))
log.close()
"""
    done = run_child(code, tmp_path / "log", len(whole))
    assert done.stdout.strip() == "4"


@pytest.mark.parametrize("content", [None, b"", b"hello" * 2000, bytes(20_000)])
def test_a_missing_or_foreign_data_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    create_log(tmp_path / "log", CREATED, 5)
    data = tmp_path / "log" / "data.mdb"
    data.unlink()
    if content is not None:
        data.write_bytes(content)
    with pytest.raises(StoreUnusableException, match=r"data\.mdb"):
        Log(tmp_path / "log")


@pytest.mark.parametrize("name", ["lock.mdb", "data.mdb"])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_deleted_or_replaced_file_is_noticed(log: Log, name: str, how: str) -> None:
    path = log.folder / name
    log.refuse_replaced_files()
    if how == "replaced":
        shutil.copy(path, path.with_name("copy")) if name == "data.mdb" else None
        path.with_name("copy").touch()
        path.with_name("copy").rename(path)
    else:
        path.unlink()
    with pytest.raises(StoreBrokenException, match="deleted or replaced"):
        log.refuse_replaced_files()


def test_an_entry_with_a_seq_that_is_taken_is_refused(log: Log) -> None:
    before = last(log)
    append(log)
    with log.begin(write=True) as txn, pytest.raises(StoreBrokenException, match="2 exists"):
        log.append(
            txn,
            before,
            CollectionRenamed(1, "x"),
            None,
            timestamp=9,
            request=bytes(16),
            more_follows=False,
        )


def test_the_map_grows_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("walvec.wal.environment.MAP_SIZE_BYTES", 1 << 20)
    create_log(tmp_path / "log", CREATED, 5)
    log = Log(tmp_path / "log")
    with pytest.raises(lmdb.MapFullError):
        append(log, size=2 << 20)
    before = log.env.info()["map_size"]
    while log.env.info()["map_size"] < 8 << 20:
        log.grow()
    assert append(log, size=2 << 20).seq == 2
    assert log.env.info()["map_size"] > before
    log.close()


def test_a_map_that_another_process_grew_is_adopted(tmp_path: Path) -> None:
    create_log(tmp_path / "log", CREATED, 5)
    other = """
import sys
from pathlib import Path
from walvec.wal import environment
environment.MAP_SIZE_BYTES = 1 << 20
from walvec.wal.creation import create_log
from walvec.wal.log import Log, Position
log = Log(Path(sys.argv[1]))
assert log.env.info()["map_size"] == 1 << 20
assert len(list(log.scan(Position()))) == 1
print("open", flush=True)
sys.stdin.readline()
entries = list(log.scan(Position()))
assert log.env.info()["map_size"] > 1 << 20
with log.begin(write=True) as txn:
    print(log.last_seq(txn), len(entries), flush=True)
log.close()
"""
    with subprocess.Popen(
        [sys.executable, "-c", other, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        log = Log(tmp_path / "log")
        append(log, size=3 << 20)
        log.close()
        child.stdin.write("go on\n")
        child.stdin.flush()
        assert child.stdout.readline() == "2 2\n"
        assert child.wait() == 0


def test_under_a_limit_of_address_space_the_map_is_smaller_and_the_log_works(
    tmp_path: Path,
) -> None:
    code = """
import resource, sys
from pathlib import Path
from walvec.wal.events import StoreCreated
from walvec.wal.creation import create_log
from walvec.wal.log import Log, Position
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
create_log(Path(sys.argv[1]), StoreCreated(0, bytes(16), "test"), 5)
log = Log(Path(sys.argv[1]))
print(log.env.info()["map_size"], len(list(log.scan(Position()))))
log.close()
"""
    size, entries = run_child(code, tmp_path / "log").stdout.split()
    assert MIN_MAP_SIZE_BYTES <= int(size) <= 1 << 30
    assert entries == "1"


def test_a_scan_goes_on_where_a_position_left_off(log: Log) -> None:
    append(log, count=10)
    entries = list(log.scan(Position()))
    for entry in entries:
        header = entry.header
        position = Position(header.seq, header.chain, header.timestamp)
        rest = [e.header.seq for e in log.scan(position)]
        assert rest == list(range(header.seq + 1, 12))
        with log.begin() as txn:
            assert [e.header.seq for e in log.scan(position, txn)] == rest


def test_a_scan_of_several_chunks_reads_every_entry_once(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, count=20)
    for chunk in (1, 2, 7, 20, 21, 22):
        monkeypatch.setattr("walvec.wal.log.SCAN_CHUNK", chunk)
        assert [e.header.seq for e in log.scan(Position())] == list(range(1, 22))


def rewrite(log: Log, seq: int, value: bytes | None) -> None:
    """Change the log as no walvec does."""
    with log.begin(write=True) as txn:
        database = log.env.open_db(b"entries", txn, create=False)
        if value is None:
            txn.delete(KEY.pack(seq), db=database)
        else:
            txn.put(KEY.pack(seq), value, db=database)


def test_a_scan_yields_what_is_before_the_damage_and_then_names_it(log: Log) -> None:
    append(log, count=4)
    with log.begin() as txn:
        value = bytearray(txn.get(KEY.pack(3), db=log.env.open_db(b"entries", txn, create=False)))
    value[30] ^= 1
    rewrite(log, 3, bytes(value))
    seqs = []
    entries = log.scan(Position())
    seqs.append(next(entries).header.seq)
    seqs.append(next(entries).header.seq)
    with pytest.raises(
        LogCorruptedException, match=r"log entry 3 \(RowsDeleted\), offset 80"
    ) as caught:
        next(entries)
    assert seqs == [1, 2]
    assert caught.value.seq == 3


def test_a_missing_entry_is_named(log: Log) -> None:
    append(log, count=4)
    rewrite(log, 3, None)
    with pytest.raises(LogCorruptedException, match="log entry 3 is missing, the next key is 4"):
        list(log.scan(Position()))
    with log.begin() as txn, pytest.raises(LogCorruptedException, match="entry 3 is missing"):
        log.read(txn, 3)


def test_time_that_runs_backwards_is_named(log: Log) -> None:
    position = last(log)
    with log.begin(write=True) as txn:
        log.append(
            txn,
            position,
            CollectionRenamed(1, "x"),
            None,
            timestamp=4,
            request=bytes(16),
            more_follows=False,
        )
    with pytest.raises(LogCorruptedException, match="entry 2, offset 24: timestamp 4 is before"):
        list(log.scan(Position()))


def test_readers_go_on_while_a_writer_is_at_work(log: Log) -> None:
    with log.begin(write=True):
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.extend([len(list(log.scan(Position())))]))
        thread.start()
        thread.join(30)
        assert found == [1]


def test_a_log_opened_for_reading_refuses_to_write(log: Log) -> None:
    folder = log.folder
    log.close()
    reader = Log(folder, read_only=True)
    with pytest.raises(lmdb.ReadonlyError):
        reader.begin(write=True)
    assert len(list(reader.scan(Position()))) == 1
    reader.close()


def test_a_reopened_log_has_everything(log: Log) -> None:
    append(log, count=2)
    log.reopen()
    assert last(log).seq == 3
    append(log)
    assert last(log).seq == 4


def test_a_map_that_cannot_grow_is_an_error_and_the_log_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walvec.wal.environment.MAP_SIZE_BYTES", 1 << 20)
    create_log(tmp_path / "log", CREATED, 5)
    log = Log(tmp_path / "log")
    _, limit = resource.getrlimit(resource.RLIMIT_AS)
    status = Path("/proc/self/statm").read_text().split()
    used = int(status[0]) * resource.getpagesize()
    with monkeypatch.context() as context:
        # Of 4 TiB there is no double in 1 GiB more than now.
        context.setattr("walvec.wal.environment.MAP_SIZE_BYTES", 4 << 40)
        log.reopen()
        used += 4 << 40
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), limit))
    try:
        with pytest.raises(MemoryException, match="cannot map"):
            log.grow()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    assert [entry.header.seq for entry in log.scan(Position())] == [1]
    log.close()


@pytest.mark.parametrize("error", PAGE_DAMAGE)
def test_a_damaged_page_is_damage_of_the_entry_that_cannot_be_reached(
    error: type[Exception],
) -> None:
    damage = damaged_page(7, error("wrong type"))
    assert damage.seq == 7
    assert "log entry 7" in damage.message


def test_entries_that_lmdb_counts_and_nobody_finds_are_missing() -> None:
    assert lost_tail(5, 5) is None
    damage = lost_tail(5, 6)
    assert damage is not None
    assert damage.seq == 6
