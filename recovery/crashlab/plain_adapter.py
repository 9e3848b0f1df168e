"""A plain file that every operation appends to: as most people write it, and mended.

`PlainAdapter` is the example that fails: it outlives a process that is killed, since the kernel
has what was written, and loses what it has acknowledged when the power goes. The three things
that it lacks are what `SyncedFileAdapter` adds:

    offset  size  field of a record
         0     4  length of the text, little endian, never 0: a tail of zeros is no record
         4     4  CRC-32 of the text
         8     -  text

- the record says how long it is and what it must be, so that a torn one is known, and dropped;
- the file is synced after every record, and after a torn one was cut off;
- the folder is synced after the file was made: a file whose name is lost is lost.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

from walvec.crashlab.adapter import Op
from walvec.crashlab.row_adapter import RowAdapter, change, changes_of

FILE = "rows.log"
HEAD = struct.Struct("<II")


class PlainAdapter(RowAdapter):
    """One line of JSON an operation, appended and left to the kernel."""

    name = "plain"

    def open(self, folder: Path) -> int:
        """Open the file, or make it."""
        return os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def apply(self, handle: int, op: Op) -> None:
        """Append what changes."""
        os.write(handle, json.dumps(changes_of(op)).encode() + b"\n")

    def state(self, handle: int) -> dict[int, str]:
        """The rows that the file makes."""
        return _rows_of(_content(handle).splitlines())

    def close(self, handle: int) -> None:
        """Close the file."""
        os.close(handle)


class SyncedFileAdapter(RowAdapter):
    """One record an operation, each of which tells whether it is whole, and is synced."""

    name = "plain-fsync"

    def open(self, folder: Path) -> int:
        """Open the file, or make it."""
        handle = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        _, whole = _records(_content(handle))
        os.ftruncate(handle, whole)
        os.fsync(handle)
        parent = os.open(folder, os.O_RDONLY)
        os.fsync(parent)
        os.close(parent)
        return handle

    def apply(self, handle: int, op: Op) -> None:
        """Append what changes."""
        text = json.dumps(changes_of(op)).encode()
        os.write(handle, HEAD.pack(len(text), zlib.crc32(text)) + text)
        os.fsync(handle)

    def state(self, handle: int) -> dict[int, str]:
        """The rows that the file makes."""
        return _rows_of(_records(_content(handle))[0])

    def close(self, handle: int) -> None:
        """Close the file."""
        os.close(handle)


def _content(handle: int) -> bytes:
    return os.pread(handle, os.fstat(handle).st_size, 0)


def _records(content: bytes) -> tuple[list[bytes], int]:
    """The texts of the records up to the first that is not whole, and where that begins."""
    texts: list[bytes] = []
    at = 0
    while at + HEAD.size <= len(content):
        length, checksum = HEAD.unpack_from(content, at)
        text = content[at + HEAD.size : at + HEAD.size + length]
        if not length or len(text) < length or zlib.crc32(text) != checksum:
            break
        texts.append(text)
        at += HEAD.size + length
    return texts, at


def _rows_of(texts: list[bytes]) -> dict[int, str]:
    rows: dict[int, str] = {}
    for text in texts:
        changes: dict[str, Any] = json.loads(text)
        change(rows, {int(number): value for number, value in changes.items()})
    return rows
