"""What to search for: vectors as users give them -> as search takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from walvec.cells import shown
from walvec.segments.stored_vectors import to_float32
from walvec.vectors import BYTES, FLOAT32, all_finite, stacked
from walvec.wal.errors import ParamError
from walvec.wal.rows import Array
from walvec.wal.schema import DataType, Field


def query_vectors(data: Any, field: Field, collection_name: str) -> Array:
    """(nq, dim) float32 for a field of numbers, (nq, dim / 8) uint8 for a BINARY_VECTOR.

    C order, finite; may share memory with `data`. Takes a list of vectors, a 2-D array, or one
    vector, in any form that rows may have; they are rounded as those of rows are. Raises
    ParamError.
    """
    if type(data) is list and len(data) == 1:
        only = data[0]
        if type(only) is np.ndarray and only.ndim == 1:
            data = only
    if field.type is DataType.FLOAT_VECTOR and type(data) is np.ndarray:
        found = _as_it_is(data, field.dim)
        if found is not None:
            return found

    def refuse(row: int, wanted: str, value: Any) -> Exception:
        return ParamError(
            message=f"collection {collection_name}: field {field.name}, query vector {row}: "
            f"expected {wanted}, got {shown(value)}"
        )

    if isinstance(data, np.ndarray) and data.ndim:
        vectors: Any = data[np.newaxis] if data.ndim == 1 and data.dtype.kind != "O" else data
    elif isinstance(data, BYTES) and field.type is not DataType.FLOAT_VECTOR:
        vectors = [data]
    elif isinstance(data, list | tuple):
        vectors = [data] if data and isinstance(data[0], int | float | np.number) else data
    else:
        raise refuse(0, "a list of vectors", data)
    if not len(vectors):
        raise refuse(0, "at least one vector", data)
    items = stacked(vectors, field, refuse)
    if field.type is DataType.BINARY_VECTOR:
        return items
    return np.ascontiguousarray(to_float32(items), FLOAT32)


def _as_it_is(data: Array, dim: int) -> Array | None:
    """An array that needs no conversion, as (nq, dim); None for another."""
    if data.dtype != FLOAT32 or not data.flags.c_contiguous:
        return None
    if data.ndim == 1:
        data = data[np.newaxis]
    if data.ndim == 2 and data.shape[1] == dim and len(data) and all_finite(data):
        return data
    return None
