"""The file of a scalar index, `index-<id>.bin`: a handful of numpy buffers, in memory or mapped.

Numbers little endian:

    offset  size  field
         0     4  magic   "WVS1"
         4     4  length of the head, bytes
         8     -  head    msgpack {"n": rows of the segment, "layout": name,
                                   "parts": [(name, dtype, number of items), ...]}
         -     -  zero bytes to a multiple of 64
         -     -  buffers, one a part, each starting at a multiple of 64 from the first one

A term is a distinct value of the field, or of the elements of an ARRAY; null and NaN are none,
as no condition finds them. `values` are numbers in ascending order, `bytes` the UTF-8 of texts
in ascending order, one after the other, text i being bytes[ends[i - 1]:ends[i]].

    layout   parts            content
    "pairs"  values, rows     value i is in row rows[i]; equal values by row
    "terms"  values, starts,  term i is in the rows rows[starts[i]:starts[i + 1]], ascending
      or     bytes, ends,     (`starts` has one more item than there are terms)
             starts, rows
    "bits"   values, counts,  term i is in counts[i] rows, whose bits are set in the i-th run of
      or     bytes, ends,     ceil(n / 8) bytes of `bits`, the first row in the lowest bit
             counts, bits

Rows, counts, ends and starts are 4 bytes each where that is enough, else 8. STL_SORT on numbers
is "pairs"; INVERTED on numbers the smaller of "pairs" and "terms"; BITMAP the smaller of "bits"
and "terms": with more than some thirty terms bits take more room than row numbers, and they are
no faster. All others are "terms".

The file carries no checksum of its own: its digest stands in SegmentPersisted, as that of
columns.wvc does.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import numpy as np

from walvec.segments.files import open_private
from walvec.segments.memory import allocate
from walvec.wal.rows import Array

HEAD = struct.Struct("<4sI")
MAGIC = b"WVS1"
ALIGNMENT = 64
MAX_HEAD_BYTES = 1 << 16
DTYPES = frozenset({"|b1", "|u1", "|i1", "<i2", "<i4", "<i8", "<u4", "<f4", "<f8"})


class Parts(NamedTuple):
    """What stands in a file: the rows of the segment, the layout, and its buffers by name."""

    n: int
    layout: str
    arrays: dict[str, Array]

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers."""
        return sum(array.nbytes for array in self.arrays.values())


def narrow(numbers: Array) -> Array:
    """The same numbers, which are not negative and ascending or counts, in as few bytes as the
    format has for them."""
    top = int(numbers.max(initial=0))
    return numbers.astype("<u4" if top < 2**32 else "<i8", copy=False)


def write_parts(path: Path, parts: Parts) -> None:
    """Write an index to a new file that its owner alone may read."""
    listed = [(name, array.dtype.str, array.size) for name, array in parts.arrays.items()]
    head = msgpack.packb({"n": parts.n, "layout": parts.layout, "parts": listed})
    assert all(dtype in DTYPES for _, dtype, _ in listed), listed
    with open_private(path) as file:
        file.write(HEAD.pack(MAGIC, len(head)) + head)
        file.write(bytes(-(HEAD.size + len(head)) % ALIGNMENT))
        for array in parts.arrays.values():
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            file.write(bytes(-array.nbytes % ALIGNMENT))


def read_parts(path: Path, *, mapped: bool) -> Parts:
    """The index in a file whose length and digest were compared with the log before.

    Raises OSError, ValueError where it is no such file, MemoryError.
    """
    with path.open("rb") as file:
        content: Any
        if mapped:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        else:
            length = path.stat().st_size
            content = allocate((length,), np.uint8)
            if file.readinto(content.data) != length:
                raise ValueError("cut while it was read")
    return _decoded(memoryview(content))


def _decoded(content: memoryview) -> Parts:
    if len(content) < HEAD.size:
        raise ValueError(f"{len(content)} bytes are no scalar index")
    magic, length = HEAD.unpack_from(content)
    if magic != MAGIC or length > MAX_HEAD_BYTES:
        raise ValueError(f"not a scalar index: {magic!r}")
    end = HEAD.size + length
    head = msgpack.unpackb(content[HEAD.size : end], use_list=False)
    position = end + -end % ALIGNMENT
    arrays = {}
    for name, dtype, size in head["parts"]:
        if dtype not in DTYPES:
            raise ValueError(f"part {name} of unknown type {dtype}")
        item = np.dtype(dtype)
        arrays[name] = np.frombuffer(content, item, size, position) if size else np.empty(0, item)
        position += arrays[name].nbytes + -arrays[name].nbytes % ALIGNMENT
    if position != len(content):
        raise ValueError(f"its parts cover {position} bytes of {len(content)}")
    return Parts(head["n"], head["layout"], arrays)
