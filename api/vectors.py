"""Vectors as users give them -> (n, dim) float32, finite, C order.

A vector is a list or tuple of numbers, a 1-D numpy array of numbers (float16, float32,
float64, integers), or anything that numpy makes one of (`__array__`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from walvec.wal.shown import shown

FLOAT32 = np.dtype("<f4")
NUMBERS = "fiu"
"""Kinds of numpy types that are taken as components of vectors."""

WITH_GIL = 500
"""Below so many items numpy's element-wise functions keep the GIL. Letting go of it for a
microsecond costs two searching threads more than it gives them."""

Vectors = npt.NDArray[np.float32]
Refuse = Callable[[int, str, Any], Exception]
"""(row, what was expected, value) -> the exception to raise."""


def all_finite(array: npt.NDArray[Any]) -> bool:
    """Whether no component is NaN or infinite."""
    flat = array.reshape(-1)
    if len(flat) < WITH_GIL:
        return bool(np.isfinite(flat).all())
    # One pass of BLAS, no temporary. A sum that overflows is looked at again.
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.dot(flat, flat)
    return math.isfinite(total) or bool(np.isfinite(flat).all())


def stacked(values: Any, dim: int, refuse: Refuse) -> Vectors:
    """The vectors one below the other, copied once. Raises what `refuse` makes."""
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind in NUMBERS:
        if values.shape[1] != dim:
            raise refuse(0, f"a vector of {dim} components, not {values.shape[1]}", values[0:1])
        return _checked(values, dim, refuse, values)
    if set(map(type, values)) == {np.ndarray}:
        joined = _joined(values, dim)
        if joined is not None:
            return _checked(joined, dim, refuse, values)
    if not len(values):
        return np.empty((0, dim), FLOAT32)
    rows = [one_vector(v, dim, i, refuse) for i, v in enumerate(values)]
    return _checked(np.concatenate(rows), dim, refuse, values)


def _joined(values: Sequence[npt.NDArray[Any]], dim: int) -> npt.NDArray[Any] | None:
    """All arrays as one, if each is a vector of `dim` numbers; else None."""
    try:
        if set(map(len, values)) != {dim}:
            return None
        # Arrays of one rank alone can be joined, so that rank 1 of the result means vectors.
        # np.stack takes six times as long.
        joined = np.concatenate(values)
    except (TypeError, ValueError):
        return None
    return joined if joined.ndim == 1 and joined.dtype.kind in NUMBERS else None


def one_vector(value: Any, dim: int, row: int, refuse: Refuse) -> npt.NDArray[Any]:
    """One vector as a 1-D array of some type of numbers."""
    if isinstance(value, list | tuple):
        try:
            array = np.array(value)
        except (ValueError, OverflowError):
            array = np.empty(0, object)
        if array.dtype.kind == "O":
            array = _from_objects(value, array)
    elif isinstance(value, np.ndarray) or (
        hasattr(value, "__array__") and not isinstance(value, np.generic)
    ):
        array = np.asarray(value)
    else:
        raise refuse(row, f"a vector of {dim} numbers", value)
    if array.ndim != 1 or (array.dtype.kind not in NUMBERS and len(array)):
        raise refuse(row, f"a vector of {dim} numbers", value)
    if len(array) != dim:
        raise refuse(row, f"a vector of {dim} components, not {len(array)}", value)
    return array


def _from_objects(value: Sequence[Any], array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Integers beyond 64 bits are numbers too; anything else stays as it is, to be refused."""
    if array.ndim == 1 and all(type(v) in (int, float) for v in value):
        try:
            return np.array([float(v) for v in value])
        except OverflowError:
            return np.array([math.inf] * len(value))
    return np.empty((1, 1), object)


def _checked(array: npt.NDArray[Any], dim: int, refuse: Refuse, values: Any) -> Vectors:
    """As (n, dim) float32. Copies an array of a user, not one just made here."""
    if array.dtype != FLOAT32 or array is values:
        with np.errstate(over="ignore"):
            array = np.array(array, FLOAT32, order="C")
    array = array.reshape(-1, dim)
    if not all_finite(array):
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        place = int(np.flatnonzero(~np.isfinite(array[row]))[0])
        found = np.asarray(values[row]).tolist()[place]
        wanted = f"finite numbers within the range of float32, component {place} is {shown(found)}"
        raise refuse(row, wanted, values[row])
    return array
