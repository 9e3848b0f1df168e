"""Building a scalar index: a column into the file that `scalar_file` describes.

Everything is sorted and counted by numpy, texts by `scalar_texts`; no row becomes a Python
object. The same column gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from walvec.segments.scalar_file import Parts, narrow, write_parts
from walvec.segments.scalar_texts import sort_texts
from walvec.wal.rows import Array, Column
from walvec.wal.schema import Field

COPY_BYTES = 16 << 20
"""How many bytes of texts are put in order at once."""


class Postings(NamedTuple):
    """All (term, row) pairs of a column, ascending: the rows, and where another term begins."""

    rows: Array
    is_new: Array
    terms: dict[str, Array]
    """The distinct terms as parts of a file."""
    repeated: Array | None
    """The term of each pair; None for texts."""


def write_scalar_index(index_type: str, field: Field, column: Column, path: Path) -> None:
    """Build the index of a column of a field into the new file `path`, mode 0600."""
    write_parts(path, index_parts(index_type, field, column))


def index_parts(index_type: str, field: Field, column: Column) -> Parts:
    """The index of a column of a field, in the layout that serves its type best."""
    n = len(column)
    rows, items = _pairs(field, column)
    found = _of_numbers(rows, items) if items.offsets is None else _of_texts(rows, items)
    firsts = np.flatnonzero(found.is_new)
    starts = narrow(np.append(firsts, len(found.rows)))
    terms_bytes = sum(part.nbytes for part in found.terms.values())
    list_bytes = found.rows.nbytes + starts.nbytes
    if found.repeated is not None:
        pairs_bytes = found.repeated.nbytes + found.rows.nbytes
        in_pairs = index_type == "INVERTED" and pairs_bytes < terms_bytes + list_bytes
        if in_pairs or index_type == "STL_SORT":
            return Parts(n, "pairs", {"values": found.repeated, "rows": found.rows})
    bits_bytes = len(firsts) * (-(-n // 8) + starts.itemsize)
    if index_type == "BITMAP" and 0 < bits_bytes < list_bytes:
        parts = {"counts": narrow(np.diff(starts)), "bits": _bits(n, found.rows, starts)}
        return Parts(n, "bits", {**found.terms, **parts})
    return Parts(n, "terms", {**found.terms, "starts": starts, "rows": found.rows})


def _pairs(field: Field, column: Column) -> tuple[Array, Column]:
    """The rows that have a value, ascending, and their values; of an ARRAY the row of each
    element, and the elements."""
    n = len(column)
    if field.is_array:
        assert column.offsets is not None
        # Null rows have no elements.
        return np.repeat(np.arange(n), np.diff(column.offsets)), column.elements()
    if column.valid is None:
        return np.arange(n), column
    return np.flatnonzero(column.valid), column


def _of_numbers(rows: Array, items: Column) -> Postings:
    values = items.values if len(items) == len(rows) else items.values[rows]
    if values.dtype.kind == "f":
        known = ~np.isnan(values)
        rows, values = rows[known], values[known]
    order = np.argsort(values, kind="stable")
    rows, values = rows[order], values[order]
    is_new: Array = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=is_new[1:])
    once = _once(rows, is_new)
    rows, values, is_new = rows[once], values[once], is_new[once]
    return Postings(narrow(rows), is_new, {"values": values[is_new]}, values)


def _of_texts(rows: Array, items: Column) -> Postings:
    assert items.offsets is not None
    starts, lengths = items.offsets[:-1], np.diff(items.offsets)
    if len(items) != len(rows):
        starts, lengths = starts[rows], lengths[rows]
    order, is_new = sort_texts(items.values, starts, lengths)
    firsts = order[is_new]
    data, ends = _in_order(items.values, starts[firsts], lengths[firsts])
    rows = rows[order]
    once = _once(rows, is_new)
    return Postings(narrow(rows[once]), is_new[once], {"bytes": data, "ends": ends}, None)


def _once(rows: Array, is_new: Array) -> Array:
    """Of elements that are in a row of an ARRAY several times, the first."""
    is_first: Array = np.append(True, rows[1:] != rows[:-1])[: len(rows)]
    return is_new | is_first


def _in_order(data: Array, starts: Array, lengths: Array) -> tuple[Array, Array]:
    """The bytes of some texts one after the other, and where each ends."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    result = np.empty(total, np.uint8)
    cuts = ends.searchsorted(np.arange(COPY_BYTES, total, COPY_BYTES), "right")
    for part in np.split(np.arange(len(ends)), cuts):
        if len(part):
            taken = np.repeat(starts[part] - (ends[part] - lengths[part]), lengths[part])
            first, last = ends[part[0]] - lengths[part[0]], ends[part[-1]]
            result[first:last] = data[taken + np.arange(first, last)]
    return result, narrow(ends)


def _bits(n: int, rows: Array, starts: Array) -> Array:
    runs = np.empty((len(starts) - 1, -(-n // 8)), np.uint8)
    for term in range(len(runs)):
        mask = np.zeros(n, np.bool_)
        mask[rows[starts[term] : starts[term + 1]]] = True
        runs[term] = np.packbits(mask, bitorder="little")
    return runs.reshape(-1)
