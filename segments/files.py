"""The files of sealed segments: caches, valid only if length and digest are those in the log.

    STORE/segments/SEGMENT/columns.wvc       all columns, below
    STORE/segments/SEGMENT/index-INDEX.bin   one index, as Annoy, FAISS or scalar_file writes it
    STORE/segments/SEGMENT/*.tmp, *.draft    being written

SEGMENT and INDEX are ids in hex. A file is written under a temporary name of its own and
renamed, never changed in place, deleted by unlink alone, and needs no fsync: what a power cut
takes is made again from the log. Only who has the segment's build lock (build_lock.py) writes
or deletes there; who reads needs no lock, since what is mapped outlives its name.

columns.wvc, numbers little endian:

    offset  size  field
         0     4  magic   "WVC1"
         4     4  length of the head, bytes
         8     -  head    msgpack {"n": rows, "layout": see rows.py}
         -     -  zero bytes to a multiple of 64
         -     -  column buffers, each starting at a multiple of 64 from the first one

The file carries no checksum of its own: its digest (BLAKE3 of all bytes, 16 bytes) stands in
SegmentPersisted.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import secrets
import stat
import struct
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from walvec.segments.memory import allocate
from walvec.segments.state import FileRecord
from walvec.wal import failpoints
from walvec.wal.entry import digest_of
from walvec.wal.rows import Column, Rows, decode_rows, encode_rows, filled_column
from walvec.wal.schema import Field

HEAD = struct.Struct("<4sI")
MAGIC = b"WVC1"
ALIGNMENT = 64
MAX_HEAD_BYTES = 1 << 20
MMAP_PROPERTY = "mmap.enabled"
"""The property of a collection whose sealed segments are mapped, so that all processes on a
machine have one copy: that of the page cache."""

logger = logging.getLogger("walvec")


def segment_folder(segments: Path, segment_id: int) -> Path:
    """The folder of a segment's files."""
    return segments / f"{segment_id:x}"


def write_columns(path: Path, rows: Rows) -> FileRecord:
    """Write all columns of a segment, and say how the file must be found."""
    layout, buffers = encode_rows(rows, ALIGNMENT)
    head = msgpack.packb({"n": rows.n, "layout": layout})
    gap = bytes(-(HEAD.size + len(head)) % ALIGNMENT)
    temporary = temporary_name(path)
    try:
        with open_private(temporary) as file:
            file.write(HEAD.pack(MAGIC, len(head)) + head + gap)
            for buffer in buffers:
                file.write(buffer)
        return publish_file(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """A name to write a file under that nobody else has, also not the child process of a builder
    that was killed."""
    return path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def publish_file(temporary: Path, path: Path) -> FileRecord:
    """Give a whole file its name, and say how it must be found."""
    record = record_of(temporary)
    failpoints.hit("build.before-rename")
    temporary.rename(path)
    return record


def open_private(path: Path) -> Any:
    """A new file for writing that its owner alone may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def record_of(path: Path) -> FileRecord:
    """Length and digest of a file as it is."""
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        if not length:
            return FileRecord(0, digest_of(b""))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return FileRecord(length, digest_of(content))


def is_intact(path: Path, record: FileRecord) -> bool:
    """Whether a file is there, can be read, and has the recorded length and digest."""
    try:
        return has_length(path, record.length) and record_of(path) == record
    except OSError:
        return False


def has_length(path: Path, length: int) -> bool:
    """Whether an ordinary file of this length is there: a pipe would keep its reader waiting."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == length


def identity(path: Path) -> tuple[int, ...] | None:
    """What changes when another file takes a name, or this one is written to; None where there
    is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_mapped(properties: dict[str, str]) -> bool:
    """Whether a collection with these properties maps its files."""
    return properties.get(MMAP_PROPERTY, "").lower() == "true"


def map_column(path: Path, field: Field) -> Column:
    """A field's column of columns.wvc, mapped; a field that was added since has its default.

    The caller has compared the file with its record.
    """
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    n, layout, position = _head(content)
    rows = decode_rows(n, layout, memoryview(content)[position:], ALIGNMENT)
    return rows.columns[field.id] if field.id in rows.columns else filled_column(field, n)


def read_columns(path: Path, record: FileRecord, *, mapped: bool) -> Rows | None:
    """The columns of a segment, in memory or mapped; None if the file is not as recorded."""
    if not record.length or not has_length(path, record.length):
        return None
    try:
        with path.open("rb") as file:
            content: Any
            if mapped:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            else:
                content = allocate((record.length,), np.uint8)
                if file.readinto(content.data) != record.length:
                    return None
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError(f"no memory to map {path}") from error
        # Whatever it is, the rows are in the log.
        return None
    if digest_of(content) != record.digest:
        return None
    n, layout, position = _head(content)
    return decode_rows(n, layout, memoryview(content)[position:], ALIGNMENT)


def _head(content: Any) -> tuple[int, Any, int]:
    """Rows, layout and the place of the first buffer."""
    magic, length = HEAD.unpack_from(content)
    if magic != MAGIC or length > MAX_HEAD_BYTES:
        raise ValueError(f"not a columns file: {magic!r}")
    head = msgpack.unpackb(bytes(content[HEAD.size : HEAD.size + length]), use_list=False)
    end = HEAD.size + length
    return head["n"], head["layout"], end + -end % ALIGNMENT
