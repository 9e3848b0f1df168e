"""The trace as text: lines of strace, made here, turned into operations."""

from __future__ import annotations

import pytest

from walvec.crashlab.operation import Operation, Recording
from walvec.crashlab.shadow import RecordingError, Snapshot
from walvec.crashlab.trace import read_trace

STORE = "/store"
EMPTY = Snapshot({}, (), {})
ONE = Snapshot({"a": b"0123456789"}, (), {"a": 2})


def hexed(text: str | bytes) -> str:
    """A string as strace -xx prints it."""
    raw = text.encode() if isinstance(text, str) else text
    return '"' + "".join(f"\\x{byte:02x}" for byte in raw) + '"'


def opening(pid: int, name: str, flags: str, fd: int) -> str:
    """A line that opens a file of the store."""
    path = f"{STORE}/{name}"
    shown = hexed(path).strip('"')
    return f"{pid}  openat(AT_FDCWD</>, {hexed(path)}, {flags}, 0666) = {fd}<{shown}>"


def writing(pid: int, fd: int, data: str) -> str:
    """A line that writes."""
    return f"{pid}  write({fd}</x>, {hexed(data)}, {len(data)}) = {len(data)}"


def read(*lines: str, start: Snapshot = EMPTY) -> Recording:
    """The recording of these lines."""
    return read_trace("\n".join([*lines, ""]), STORE, start)


def brief(recording: Recording) -> list[tuple[str, int, str, int, bytes]]:
    """What was done, without the rest."""
    return [(o.kind, o.begun, o.path, o.offset, o.data) for o in recording.operations]


def test_an_operation_stands_where_it_returns_and_knows_what_it_came_after() -> None:
    found = read(
        opening(1, "a", "O_RDWR", 3),
        "1  clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD, exit_signal=0}, 88) = 2",
        f"1  pwrite64(3</x>, {hexed('ab')}, 2, 0 <unfinished ...>",
        f"2  pwrite64(3</x>, {hexed('cd')}, 2, 4) = 2",
        "2  fdatasync(3</x> <unfinished ...>",
        "1  <... pwrite64 resumed>)            = 2",
        "2  <... fdatasync resumed>)           = 0",
        start=ONE,
    )
    assert brief(found) == [
        ("write", 0, "a", 4, b"cd"),
        ("write", 0, "a", 0, b"ab"),
        ("datasync", 1, "a", 0, b""),
    ]
    assert [o.pid for o in found.operations] == [2, 1, 2]


def test_a_call_that_failed_changes_nothing_and_is_counted() -> None:
    path = hexed(f"{STORE}/b")
    found = read(
        f"1  unlink({path}) = -1 ENOENT (No such file or directory)",
        f"1  unlink({hexed(STORE + '/no/b')}) = -1 ENOENT (No such file or directory)",
        f"1  unlink({hexed('/elsewhere/b')}) = -1 ENOENT (No such file or directory)",
        opening(1, "a", "O_RDWR", 3),
        f"1  write(3</x>, {hexed('abc')}, 3) = -1 ENOSPC (No space left on device)",
        "1  write(3</x>, 0x7f00, 3) = -1 EFAULT (Bad address)",
        f"1  write(3</x>, {hexed('abc')}, 3) = ? ERESTARTSYS (To be restarted)",
        start=ONE,
    )
    assert found.operations == ()
    assert found.calls == {"unlink": 2, "write": 2}


def test_of_a_short_write_only_what_was_written_counts() -> None:
    found = read(
        opening(1, "a", "O_WRONLY", 3),
        f"1  write(3</x>, {hexed('abcdef')}, 6) = 2",
        f"1  writev(3</x>, [{{iov_base={hexed('gh')}, iov_len=2}}, "
        f"{{iov_base={hexed('ij')}, iov_len=2}}], 2) = 3",
        start=ONE,
    )
    assert brief(found) == [("write", 0, "a", 0, b"ab"), ("write", 1, "a", 2, b"ghi")]


def test_a_string_that_strace_has_cut_is_refused() -> None:
    with pytest.raises(RecordingError, match=r"left out bytes of a write of 9 bytes"):
        read(
            opening(1, "a", "O_WRONLY", 3),
            f"1  write(3</x>, {hexed('abc')}..., 9) = 9",
            start=ONE,
        )
    with pytest.raises(RecordingError, match="left out bytes"):
        read(opening(1, "a", "O_WRONLY", 3), "1  write(3</x>, 0x7f00, 9) = 9", start=ONE)


def test_a_new_process_is_known_before_the_call_that_makes_it_returns() -> None:
    found = read(
        opening(1, "a", "O_WRONLY|O_CLOEXEC", 3),
        opening(1, "b", "O_WRONLY|O_CREAT", 4),
        "1  vfork( <unfinished ...>",
        writing(2, 3, "xy"),
        "2  close(4</x>) = 0",
        f"2  execve({hexed('/bin/true')}, [], 0x7ffd /* 1 var */ <unfinished ...>",
        "1  <... vfork resumed>)              = 2",
        writing(1, 3, "z"),
        "2  <... execve resumed>)             = 0",
        "2  +++ exited with 0 +++",
        writing(1, 4, "b"),
        start=ONE,
    )
    assert brief(found) == [
        ("create", 0, "b", 0, b""),
        ("write", 1, "a", 0, b"xy"),
        ("write", 2, "a", 2, b"z"),  # They share the offset.
        ("write", 3, "b", 0, b"b"),
    ]


def test_of_two_parents_that_fork_at_once_each_gets_its_own_child() -> None:
    found = read(
        "1  clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 2",
        opening(1, "a", "O_WRONLY", 3),
        opening(2, "b", "O_WRONLY|O_CREAT", 3),
        "1  clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD <unfinished ...>",
        "2  clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD <unfinished ...>",
        writing(4, 3, "of 2"),
        writing(3, 3, "of 1"),
        "1  <... clone resumed>, child_tidptr=0x7f) = 3",
        "2  <... clone resumed>, child_tidptr=0x7f) = 4",
        start=ONE,
    )
    assert [(o.path, o.data) for o in found.operations[1:]] == [("b", b"of 2"), ("a", b"of 1")]


def test_a_thread_that_runs_another_program_becomes_the_process() -> None:
    found = read(
        opening(1, "a", "O_WRONLY|O_CLOEXEC", 3),
        opening(1, "a", "O_WRONLY", 4),
        "1  clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD}, 88) = 2",
        f"2  execve({hexed('/bin/x')}, [], 0x7ffd /* 1 var */ <unfinished ...>",
        "1  +++ superseded by execve in pid 2 +++",
        "1  <... execve resumed>)             = 0",
        "1  write(3<pipe:[1]>, 0x1, 4) = 4",
        writing(1, 4, "new"),
        start=ONE,
    )
    assert brief(found) == [("write", 0, "a", 0, b"new")]


def test_what_returned_first_waits_for_what_it_needed() -> None:
    found = read(
        opening(1, "a", "O_WRONLY", 3),
        "1  clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD}, 88) = 2",
        f"1  rename({hexed(STORE + '/a')}, {hexed(STORE + '/b')} <unfinished ...>",
        opening(2, "b", "O_WRONLY|O_TRUNC", 4),
        writing(2, 4, "x"),
        "1  <... rename resumed>)             = 0",
        writing(2, 4, "y"),
        start=ONE,
    )
    done = [(o.kind, o.path, o.offset) for o in found.operations]
    assert done == [("rename", "a", 0), ("truncate", "b", 0), ("write", "b", 0), ("write", "b", 1)]


def test_a_file_that_nothing_recorded_has_made_is_an_error() -> None:
    with pytest.raises(RecordingError, match="b was there, and nothing that is recorded made it"):
        read(opening(1, "b", "O_RDONLY", 3))


def test_a_descriptor_from_elsewhere_is_an_error() -> None:
    path = hexed(f"{STORE}/a").strip('"')
    with pytest.raises(RecordingError, match="/store/a was opened before the recording began"):
        read(f"1  write(9<{path}>, {hexed('x')}, 1) = 1", start=ONE)


def test_marks_are_operations_and_fingerprints_are_none() -> None:
    lines = [b"try 0", b"ack 0", b"fingerprint 7 abcdef", b"try 1", b"ack 1", b"error 'no'"]
    text = [b"walvec-crashlab " + line + b"\n" for line in lines]
    written = [f"1  write(5<pipe:[7]>, {hexed(t)}, {len(t)}) = {len(t)}" for t in text]
    found = read(*written)
    marks = [
        Operation(kind, i, 1, number=n)
        for i, (kind, n) in enumerate([("try", 0), ("ack", 0), ("try", 1), ("ack", 1)])
    ]
    assert list(found.operations) == marks


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            f"renameat2(AT_FDCWD, {hexed('/store/a')}, AT_FDCWD, {hexed('/store/a')}, "
            "RENAME_EXCHANGE) = 0",
            "a is exchanged with a",
        ),
        (f"rename({hexed('/tmp/x')}, {hexed('/store/b')}) = 0", "b is moved in from outside"),
        (f"rename({hexed('/store')}, {hexed('/new')}) = 0", "own folder"),
        (f"rmdir({hexed('/store')}) = 0", "the store's own folder is removed"),
        (f"symlink({hexed('x')}, {hexed('/store/l')}) = 0", "l becomes a symbolic link"),
        (f"link({hexed('/tmp/x')}, {hexed('/store/l')}) = 0", "l is a link to a file outside"),
        ("io_uring_setup(8, {flags=0}) = 3", "a ring of requests"),
    ],
)
def test_what_a_recording_cannot_hold_is_an_error_that_names_it(line: str, said: str) -> None:
    with pytest.raises(RecordingError, match=said):
        read(f"1  {line}", start=ONE)


def test_a_number_of_a_file_is_never_used_twice_and_names_of_one_file_share_it() -> None:
    a, b = hexed(f"{STORE}/a"), hexed(f"{STORE}/b")
    found = read(
        f"1  link({a}, {b}) = 0",
        f"1  unlink({a}) = 0",
        opening(1, "a", "O_WRONLY|O_CREAT|O_EXCL", 3),
        f"1  rename({a}, {b}) = 0",
        opening(1, "a", "O_WRONLY|O_CREAT", 4),
        start=ONE,
    )
    assert [(o.kind, o.file) for o in found.operations] == [
        ("link", 2),
        ("unlink", 2),
        ("create", 3),
        ("rename", 3),
        ("create", 4),
    ]
