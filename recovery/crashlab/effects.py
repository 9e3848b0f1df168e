"""Effects: what each system call does. Here, those that open files have; and which does what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from walvec.crashlab import contents, names
from walvec.crashlab.calls import DATA_CALLS, NAME_CALLS, SYNC_CALLS, Call, unquoted
from walvec.crashlab.descriptors import Process
from walvec.crashlab.shadow import Folder
from walvec.crashlab.tape import Tape


def read(tape: Tape, call: Call) -> None:
    """read, readv: the offset moves."""
    opened = tape.opened(call, call.args)
    if opened is not None:
        opened.offset += call.result


def seek(tape: Tape, call: Call) -> None:
    """lseek: the offset is what it returns."""
    opened = tape.opened(call, call.args)
    if opened is not None:
        opened.offset = call.result


def close(tape: Tape, call: Call) -> None:
    """close: the number is free again."""
    tape.processes[call.pid].table.pop(call.descriptor, None)


def close_range(tape: Tape, call: Call) -> None:
    """close_range: so are many."""
    first, last, flags = call.fields()
    tape.processes[call.pid].close_range(int(first, 0), int(last, 0), flags)


def duplicate(tape: Tape, call: Call) -> None:
    """dup, dup2, dup3: one more number of the same open file."""
    process = tape.processes[call.pid]
    process.duplicate(call.descriptor, call.result, cloexec="O_CLOEXEC" in call.args)


def control(tape: Tape, call: Call) -> None:
    """fcntl, ioctl: one more number, whether programs get it, whether writes go to the end."""
    process = tape.processes[call.pid]
    fields = call.fields()
    command = fields[1]
    if command in ("F_DUPFD", "F_DUPFD_CLOEXEC"):
        process.duplicate(call.descriptor, call.result, cloexec=command != "F_DUPFD")
    elif command in ("F_SETFD", "FIOCLEX", "FIONCLEX"):
        process.mark(call.descriptor, cloexec="CLOEXEC" in fields[-1] or command == "FIOCLEX")
    elif command == "F_SETFL":
        if opened := tape.opened(call, call.args):
            opened.append = "O_APPEND" in fields[2]
    elif command in ("FICLONE", "FICLONERANGE"):
        opened = tape.opened(call, call.args)
        if opened is not None and opened.node is not None:
            raise tape.refuse(call, f"{opened.node.path} gets the blocks of another file")


def execute(tape: Tape, call: Call) -> None:
    """execve: another program, without the descriptors that are not for it."""
    tape.processes[call.pid] = tape.processes[call.pid].executed()


def move(tape: Tape, call: Call) -> None:
    """chdir, fchdir: relative paths begin elsewhere."""
    process: Process = tape.processes[call.pid]
    if call.name == "fchdir":
        opened = tape.opened(call, call.args)
        if opened is not None:
            node = opened.node
            process.place[0] = node if isinstance(node, Folder) else opened.path
        return
    place = tape.locate(call, "", call.args)
    if place is None:
        process.place[0] = _moved(process.place[0], unquoted(call.args))
    else:
        node = tape.shadow.get(*place)
        process.place[0] = node if isinstance(node, Folder) else tape.shadow.root


def _moved(place: Folder | str, path: str) -> str:
    """A folder that is not in the store's: where a path leads from here."""
    return str(Path(place if isinstance(place, str) else "/") / path)


Handler = Callable[[Tape, Call], None]
_GROUPS: dict[Handler, str] = {
    contents.write: "write pwrite64 writev pwritev pwritev2",
    contents.copy: "sendfile copy_file_range splice",
    contents.truncate: "truncate ftruncate",
    contents.allocate: "fallocate",
    contents.sync: "fsync fdatasync syncfs sync",
    contents.sync_map: "msync",
    contents.map_file: "mmap",
    contents.uring: "io_uring_setup",
    read: "read readv",
    seek: "lseek",
    close: "close",
    close_range: "close_range",
    duplicate: "dup dup2 dup3",
    control: "fcntl ioctl",
    execute: "execve execveat",
    move: "chdir fchdir",
    names.open_file: "open openat openat2 creat",
    names.make: "mkdir mkdirat mknod mknodat",
    names.remove: "unlink unlinkat rmdir",
    names.rename: "rename renameat renameat2",
    names.link: "link linkat",
    names.symlink: "symlink symlinkat",
}
HANDLERS = {name: handler for handler, text in _GROUPS.items() for name in text.split()}


def apply(tape: Tape, call: Call) -> None:
    """Carry out a call that returned. Raises UnknownName, RecordingError."""
    if call.result >= 0:
        HANDLERS[call.name](tape, call)
    elif call.name in NAME_CALLS:
        tape.calls[call.name] += any(tape.touches(call, *path) for path in names.paths_of(call))
    elif call.name in DATA_CALLS or call.name in SYNC_CALLS:
        opened = tape.opened(call, call.args)
        tape.calls[call.name] += opened is not None and opened.node is not None
