"""What the three models of a disk keep, and what they may lose."""

from __future__ import annotations

from walvec.crashlab.disk import EXT4, KILL, MODELS, POSIX, Disk
from walvec.crashlab.operation import Operation, Recording

EMPTY = Recording({}, (), {}, ())


def create(begun: int, file: int, path: str) -> Operation:
    return Operation("create", begun, file=file, path=path)


def write(begun: int, file: int, data: bytes, offset: int = 0, **more: bool) -> Operation:
    return Operation("write", begun, file=file, data=data, offset=offset, **more)


def sync(begun: int, file: int, kind: str = "sync") -> Operation:
    return Operation(kind, begun, file=file)


def after(model: str, *operations: Operation, start: Recording = EMPTY) -> Disk:
    disk = Disk.before(start, model)
    for done in operations:
        disk.advance(done)
    return disk


def durable(disk: Disk) -> dict[str, bytes]:
    """What is there if everything that may be lost is."""
    files, _ = disk.tree([])
    return {path: bytes(disk.contents.get(file, b"")) for path, file in files.items()}


def test_after_a_kill_everything_that_returned_is_there() -> None:
    disk = after(KILL, create(0, 2, "a"), write(1, 2, b"one"))
    assert durable(disk) == {"a": b"one"}
    assert (disk.writes, disk.namings) == ([], [])


def test_an_unsynced_file_may_lose_name_and_bytes() -> None:
    for model in (EXT4, POSIX):
        disk = after(model, create(0, 2, "a"), write(1, 2, b"one"))
        assert durable(disk) == {}
        assert (len(disk.writes), len(disk.namings)) == (1, 1)


def test_fsync_of_a_file_makes_its_name_durable_under_ext4_and_not_under_posix() -> None:
    operations = (create(0, 2, "a"), write(1, 2, b"one"), sync(2, 2))
    assert durable(after(EXT4, *operations)) == {"a": b"one"}
    disk = after(POSIX, *operations)
    assert durable(disk) == {}
    assert disk.writes == []
    disk.advance(sync(3, 1))
    assert durable(disk) == {"a": b"one"}
    assert disk.durable_at == {1: 4, 2: 3}


def test_a_sync_covers_what_had_returned_before_it_was_called() -> None:
    disk = after(EXT4, create(0, 2, "a"), write(1, 2, b"one"), write(1, 2, b"two", 3), sync(2, 2))
    assert durable(disk) == {"a": b"one"}
    assert [w.step for w in disk.writes] == [3]


def test_a_datasync_commits_the_journal_up_to_the_growth_of_its_file() -> None:
    disk = after(
        EXT4,
        create(0, 2, "a"),
        write(1, 2, b"one"),
        create(2, 3, "b"),
        sync(3, 2, "datasync"),
    )
    assert durable(disk) == {"a": b"one"}
    assert len(disk.namings) == 1
    # Nor does a sync of a file that has not changed since: its change may be committed long ago.
    disk.advance(sync(4, 2))
    assert len(disk.namings) == 1
    disk.advance(sync(5, 3))
    assert durable(disk) == {"a": b"one", "b": b""}


def test_a_durable_write_takes_along_what_lies_in_its_pages_alone() -> None:
    start = Recording({"a": bytes(9000)}, (), {"a": 2}, ())
    disk = after(
        POSIX,
        write(0, 2, b"far", 8192),
        write(1, 2, b"near", 100),
        write(2, 2, b"meta", 200, durable=True),
        start=start,
    )
    content = durable(disk)["a"]
    assert content[200:204] == b"meta"
    assert content[100:104] == b"near"
    assert content[8192:8195] == bytes(3)


def test_a_rename_is_lost_until_its_folder_is_synced_under_posix() -> None:
    start = Recording({"a.tmp": b"x", "a": b"old"}, (), {"a.tmp": 2, "a": 3}, ())
    renamed = Operation("rename", 0, file=2, path="a.tmp", target="a")
    disk = after(POSIX, renamed, sync(1, 2), start=start)
    assert durable(disk) == {"a.tmp": b"x", "a": b"old"}
    disk.advance(sync(2, 1))
    assert durable(disk) == {"a": b"x"}


def test_a_folder_that_is_renamed_keeps_what_is_in_it() -> None:
    disk = after(
        KILL,
        Operation("mkdir", 0, file=2, path="log.tmp"),
        create(1, 3, "log.tmp/data"),
        write(2, 3, b"x"),
        Operation("rename", 3, file=2, path="log.tmp", target="log"),
        create(4, 4, "log/lock"),
    )
    assert durable(disk) == {"log/data": b"x", "log/lock": b""}


def test_an_unlinked_name_may_come_back_and_a_link_may_be_lost() -> None:
    start = Recording({"a": b"x"}, (), {"a": 2}, ())
    linked = Operation("link", 0, file=2, path="a", target="b")
    gone = Operation("unlink", 1, file=2, path="a")
    disk = after(POSIX, linked, gone, start=start)
    assert durable(disk) == {"a": b"x"}
    assert disk.tree(disk.namings)[0] == {"b": 2}
    assert disk.tree(disk.namings[1:])[0] == {}


def test_a_truncation_and_a_write_after_it_may_be_lost_one_by_one() -> None:
    start = Recording({"a": b"long content"}, (), {"a": 2}, ())
    cut = Operation("truncate", 0, file=2, offset=0)
    disk = after(EXT4, cut, write(1, 2, b"new"), start=start)
    assert durable(disk) == {"a": b"long content"}
    assert len(disk.writes) == 2
    disk.advance(sync(2, 2))
    assert durable(disk) == {"a": b"new"}


def test_a_write_beyond_the_end_leaves_zeros() -> None:
    assert durable(after(KILL, create(0, 2, "a"), write(1, 2, b"x", 3))) == {"a": b"\0\0\0x"}


def test_a_sync_of_everything_leaves_nothing_to_lose() -> None:
    for model in MODELS:
        disk = after(model, create(0, 2, "a"), write(1, 2, b"x"), Operation("sync-all", 2))
        assert durable(disk) == {"a": b"x"}


def test_a_clean_file_s_sync_commits_no_rename_and_that_of_the_folder_does() -> None:
    operations = (create(0, 2, "lock"), create(1, 3, "a"), sync(2, 2), sync(3, 3))
    rename = Operation("rename", 4, file=3, path="a", target="b")
    disk = after(EXT4, *operations, rename, sync(5, 2))
    assert durable(disk) == {"lock": b"", "a": b""}
    for file in (1, 3):
        assert durable(after(EXT4, *operations, rename, sync(5, file))) == {"lock": b"", "b": b""}


def test_what_was_cut_off_before_a_durable_write_does_not_come_back() -> None:
    old = Recording({"a": b"old" * 4000}, (), {"a": 2}, ())
    cut = Operation("truncate", 1, file=2)
    for model in (EXT4, POSIX):
        disk = after(model, write(0, 2, b"late", 9000), cut, start=old)
        disk.advance(write(2, 2, b"new", durable=True))
        assert durable(disk) == {"a": b"new"}
        assert disk.writes == []


def test_a_durable_write_leaves_of_another_what_lies_in_other_pages_to_be_lost() -> None:
    first, wide = write(0, 2, b"1" * 10), write(1, 2, b"2" * 8192)
    old = Recording({"a": b"0" * 8192}, (), {"a": 2}, ())
    disk = after(EXT4, first, wide, write(2, 2, b"3", 5000, durable=True), start=old)
    assert durable(disk)["a"] == b"0" * 4096 + b"2" * 904 + b"3" + b"2" * 3191
    assert [(w.step, w.operation.offset, len(w.operation.data)) for w in disk.writes] == [
        (1, 0, 10),
        (2, 0, 4096),
    ]
    assert disk.durable_at == {3: 3}
