"""Memory that goes back to the system at once when it is freed.

Large arrays live in anonymous mappings of their own. The C library would keep freed blocks
below its (growing) threshold for later, and a release that leaves resident memory where it was
is not a release. Untouched pages of a mapping cost nothing, so capacity may be generous.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import operator
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import Any

import numpy as np

from walvec.wal.rows import Array

OWN_MAPPING_BYTES = 256 << 10
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
"""Not Python's default, which shares the mapping with forked children: both would write to it."""
POPULATE_WRITE = 23
"""MADV_POPULATE_WRITE of Linux, which Python has no name for."""
POPULATE_BYTES, POPULATE_STEP_BYTES = 8 << 20, 4 << 20
DONTNEED = getattr(mmap, "MADV_DONTNEED", None)


def allocate(shape: tuple[int, ...], dtype: Any, *, all_used: bool = False) -> Array:
    """An array of unspecified content, in a mapping of its own from 256 KiB on.

    all_used: every page of it will be, from the first to the last: a thread goes ahead and has
    the system map them, which takes as long as filling them does. Raises MemoryError.
    """
    item = np.dtype(dtype)
    size = math.prod(shape) * item.itemsize
    if size < OWN_MAPPING_BYTES:
        return np.empty(shape, item)
    try:
        mapping = mmap.mmap(-1, size, flags=PRIVATE)
    except OSError as error:
        raise MemoryError(f"no memory for {size} bytes: {error.strerror}") from error
    array = np.frombuffer(mapping, item, size // item.itemsize).reshape(shape)
    if all_used and size >= POPULATE_BYTES:
        with suppress(RuntimeError):  # no thread is left, or the interpreter ends
            Thread(target=_populate, args=(array,), name="walvec-populate", daemon=True).start()
    return array


def _populate(array: Array) -> None:
    advise = _madvise()
    for start in range(0, array.nbytes, POPULATE_STEP_BYTES):
        size = min(POPULATE_STEP_BYTES, array.nbytes - start)
        # Where the kernel is older than 5.14 it refuses, and the pages come one by one.
        if advise is None or advise(array.ctypes.data + start, size, POPULATE_WRITE):
            return


def unmap_pages(contents: Sequence[memoryview]) -> None:
    """Take the pages of a file's mapping out of this process' resident memory.

    contents: parts of one shared mapping, read one after the other. The pages stay in the
    system's cache, and come back where they are touched again. Does nothing where it cannot.
    """
    advise = _madvise()
    if advise is None or DONTNEED is None:
        return
    places = [np.frombuffer(c, np.uint8).ctypes.data for c in contents if len(c)]
    sizes = [len(c) for c in contents if len(c)]
    if not places:
        return
    first = min(places)
    span = max(map(operator.add, places, sizes)) - first
    # Entries that were written one after the other mostly lie so: one call for all of them.
    parts = [(first, span)] if span <= 2 * sum(sizes) else list(zip(places, sizes, strict=True))
    for place, size in parts:
        start = place + mmap.PAGESIZE - 1 & -mmap.PAGESIZE
        length = place + size - start & -mmap.PAGESIZE
        if length > 0:
            advise(start, length, DONTNEED)


@cache
def _madvise() -> Any:
    if sys.platform != "linux":
        return None
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is not None:
        advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return advise


def trim() -> None:
    """Give what the C library holds free back to the system. Does nothing where it cannot."""
    trim_heap = _malloc_trim()
    if trim_heap is not None:
        trim_heap(0)


@cache
def _malloc_trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
