"""Contents: what the system calls do that write, cut, copy, map and sync a file."""

from __future__ import annotations

from pathlib import Path

from walvec.crashlab import operation
from walvec.crashlab.calls import Call, descriptor
from walvec.crashlab.descriptors import Mapping, Opened
from walvec.crashlab.shadow import File
from walvec.crashlab.stage import MARK
from walvec.crashlab.tape import Tape

_MARK = "".join(f"\\x{byte:02x}" for byte in MARK)
_KEEP_SIZE, _UNSHARE = "FALLOC_FL_KEEP_SIZE", "FALLOC_FL_UNSHARE_RANGE"
_ZEROES = frozenset({"FALLOC_FL_PUNCH_HOLE", "FALLOC_FL_ZERO_RANGE"})


def write(tape: Tape, call: Call) -> None:
    """write, pwrite64, writev, pwritev, pwritev2: bytes; or a mark, in a pipe."""
    opened = tape.opened(call, call.args)
    if opened is None:
        if call.name == "write" and _MARK in call.args:
            _mark(tape, call)
        return
    if opened.node is None:
        opened.offset += call.result if call.name in ("write", "writev") else 0
        return
    data, behind = call.data()
    flags = behind[-1] if call.name == "pwritev2" else ""
    offset = opened.offset
    moves = True
    if call.name.startswith("pwrite"):
        at = int(behind[-2] if call.name == "pwritev2" else behind[-1])
        moves = at == -1
        offset = offset if moves else at
    if opened.append or "RWF_APPEND" in flags:
        offset = len(opened.node.data)  # For pwrite, too: that is what Linux does.
    durable = opened.durable or "SYNC" in flags
    _put(tape, call, opened.node, offset, data, durable=durable)
    if moves:
        opened.offset = offset + call.result


def _put(
    tape: Tape, call: Call, node: File, offset: int, data: bytes, *, durable: bool = False
) -> None:
    """Bytes are in a file."""
    tape.calls[call.name] += 1
    if data:
        path = node.path
        tape.note(call, operation.WRITE, node, path, offset=offset, data=data, durable=durable)


def _mark(tape: Tape, call: Call) -> None:
    """What a run says of itself is an operation where it says what it tries or has done."""
    text, _ = call.data()
    words = text.split()
    if len(words) == 3 and words[0] == MARK and words[1] in (b"try", b"ack"):
        tape.operations.append(
            operation.Operation(words[1].decode(), call.begun, call.pid, number=int(words[2]))
        )


def copy(tape: Tape, call: Call) -> None:
    """sendfile, copy_file_range, splice: bytes of another file, which are not printed."""
    fields = call.fields()
    if call.name == "sendfile":
        source, source_at, target, target_at = fields[1], fields[2], fields[0], "NULL"
    else:
        source, source_at, target, target_at = fields[:4]
    origin, opened = tape.opened(call, source), tape.opened(call, target)
    node = opened.node if opened else None
    at = origin.offset if origin and source_at == "NULL" else _pointed(source_at)
    data = b""
    if node is not None and call.result:
        if origin is None:
            raise tape.refuse(call, f"{node.path} gets what comes out of a pipe or a socket")
        data = _read(tape, call, origin, at)
    if origin and source_at == "NULL":
        origin.offset += call.result
    if opened is None:
        return
    offset = opened.offset if target_at == "NULL" else _pointed(target_at)
    if node is not None:
        offset = len(node.data) if opened.append else offset
        _put(tape, call, node, offset, data, durable=opened.durable)
    if target_at == "NULL":
        opened.offset = offset + call.result


def _pointed(text: str) -> int:
    """A number as in `[17]` or `[17] => [20]`: what it was before the call."""
    return int(text[1 : text.index("]")]) if text.startswith("[") else 0


def _read(tape: Tape, call: Call, origin: Opened, at: int) -> bytes:
    """What a call has copied from a file: as recorded, or as it is now if it is another's."""
    if origin.node is not None:
        return bytes(origin.node.data[at : at + call.result])
    data = b""
    if Path(origin.path).is_file():
        with Path(origin.path).open("rb") as file:
            file.seek(at)
            data = file.read(call.result)
    if len(data) != call.result:
        raise tape.refuse(call, f"bytes are copied from {origin.path}, which is gone")
    return data


def truncate(tape: Tape, call: Call) -> None:
    """truncate, ftruncate: a file has this length."""
    fields = call.fields()
    node: File | None = None
    if call.name == "ftruncate":
        opened = tape.opened(call, fields[0])
        node = opened.node if opened else None
    else:
        place = tape.locate(call, "", fields[0])
        node = tape.shadow.get(*place) if place else None
    if node is not None:
        tape.calls[call.name] += 1
        tape.note(call, operation.TRUNCATE, node, node.path, offset=int(fields[1]))


def allocate(tape: Tape, call: Call) -> None:
    """fallocate: a file is longer, or a part of it is zero."""
    fields = call.fields()
    opened = tape.opened(call, fields[0])
    if opened is None or opened.node is None:
        return
    node, offset, length = opened.node, int(fields[2]), int(fields[3])
    flags = set(fields[1].split("|"))
    if flags - {"0", _KEEP_SIZE, _UNSHARE, *_ZEROES}:
        raise tape.refuse(call, f"{node.path} is changed by {fields[1]}")
    zeros = min(length, len(node.data) - offset) if _KEEP_SIZE in flags else length
    if flags & _ZEROES:
        if zeros > 0:
            _put(tape, call, node, offset, bytes(zeros), durable=opened.durable)
        return
    tape.calls[call.name] += 1
    if _KEEP_SIZE not in flags and offset + length > len(node.data):
        tape.note(call, operation.TRUNCATE, node, node.path, offset=offset + length)


def sync(tape: Tape, call: Call) -> None:
    """fsync, fdatasync, syncfs, sync: what was written before is durable."""
    if call.name == "sync":
        tape.note(call, operation.SYNC_ALL, tape.shadow.root)
        return
    opened = tape.opened(call, call.args)
    if opened is None or opened.node is None:
        return
    tape.calls[call.name] += 1
    kinds = {"fsync": operation.SYNC, "fdatasync": operation.DATASYNC}
    kind = kinds.get(call.name, operation.SYNC_ALL)
    tape.note(call, kind, opened.node, opened.node.path)


def sync_map(tape: Tape, call: Call) -> None:
    """msync: a datasync, if it is of the whole file; of a part nothing is claimed."""
    fields = call.fields()
    address, length = int(fields[0], 0), int(fields[1], 0)
    mapping = tape.processes[call.pid].mapped_at(address)
    if mapping is None or "MS_SYNC" not in fields[2]:
        return
    tape.calls[call.name] += 1
    first = mapping.offset + address - mapping.address
    if first == 0 and length >= len(mapping.node.data):
        tape.note(call, operation.DATASYNC, mapping.node, mapping.node.path)


def map_file(tape: Tape, call: Call) -> None:
    """mmap: a file may be written where no call is seen."""
    if "MAP_SHARED" not in call.args:
        return
    fields = call.fields()
    opened = tape.opened(call, fields[4]) if descriptor(fields[4]) >= 0 else None
    if opened is None or opened.node is None:
        return
    node = opened.node
    if "PROT_WRITE" in fields[2]:
        tape.mapped.add(node)
    mapping = Mapping(call.result, int(fields[1], 0), node, int(fields[5], 0))
    tape.processes[call.pid].maps.append(mapping)


def uring(tape: Tape, call: Call) -> None:
    """io_uring_setup: calls that are not seen may follow."""
    raise tape.refuse(call, "files may be written through a ring of requests")
