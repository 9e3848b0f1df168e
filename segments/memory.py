"""Memory that goes back to the system at once when it is freed.

Large arrays live in anonymous mappings of their own. The C library would keep freed blocks
below its (growing) threshold for later, and a release that leaves resident memory where it was
is not a release. Untouched pages of a mapping cost nothing, so capacity may be generous.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import sys
from typing import Any

import numpy as np

from walvec.wal.rows import Array

OWN_MAPPING_BYTES = 256 << 10


def allocate(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array of unspecified content, in a mapping of its own from 256 KiB on.

    Raises MemoryError.
    """
    item = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * item.itemsize
    if size < OWN_MAPPING_BYTES:
        return np.empty(shape, item)
    try:
        mapping = mmap.mmap(-1, size)
    except OSError as error:
        raise MemoryError(f"no memory for {size} bytes: {error.strerror}") from error
    return np.frombuffer(mapping, item, size // item.itemsize).reshape(shape)


def trim() -> None:
    """Give what the C library holds free back to the system. Does nothing where it cannot."""
    gc.collect()
    if sys.platform == "linux":
        trim_heap = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim_heap is not None:
            trim_heap(0)
