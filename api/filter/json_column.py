"""What stands at a path in each row of a JSON column.

Rows whose text does not even contain a key of the path are not decoded, and what is asked of one
key of flat objects is read from the bytes (json_flat). What was extracted for all rows is
kept for as long as the column itself (json_kept).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from walvec.filter import json_flat
from walvec.filter.json_kept import kept, known
from walvec.filter.json_path import Keys, value_at
from walvec.filter.json_values import (
    BOOL,
    FLOAT,
    INTEGER,
    TEXT,
    JsonColumn,
    Part,
    Positions,
    gathered,
    merged,
    typed,
)
from walvec.wal.rows import Array, Column

BLOCK_BYTES = 4 << 20
SPREAD = 4
"""Documents that are less than one byte in so many of those around them are copied together."""
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_encode = json.JSONEncoder(ensure_ascii=False).encode


def extracted(column: Column, keys: Keys, positions: Array | None) -> JsonColumn:
    """The values at a path in some rows of a JSON column, None for all."""
    if positions is None:
        return kept(column, keys, lambda first, n: _extracted(column, keys, np.arange(first, n)))
    found = known(column, keys)
    return _extracted(column, keys, positions) if found is None else found.take(positions)


def _extracted(column: Column, keys: Keys, rows: Positions) -> JsonColumn:
    asked: Array = np.arange(len(rows))
    if column.valid is not None:
        asked = np.flatnonzero(column.valid[rows])
    assert column.offsets is not None
    # Blocks of about so many bytes, which bound the memory that reading them takes.
    sizes = np.cumsum((column.offsets[1:] - column.offsets[:-1])[rows[asked]])
    cuts = np.flatnonzero(np.diff(sizes // BLOCK_BYTES)) + 1
    parts = [_block(column, keys, rows[block], block) for block in np.split(asked, cuts)]
    return merged(len(rows), list(chain(*parts)))


def _block(column: Column, keys: Keys, rows: Positions, numbers: Positions) -> list[Part]:
    """The values at a path in some rows, which are `numbers` of all that are asked for."""
    column, rows = _packed(column, rows)
    held, places = _holding(column, rows, keys)
    rows, numbers = rows[held], numbers[held]
    parts: list[Part] = []
    if len(keys) == 1 and places is not None and len(rows):
        found, left = _flat(column, rows, places)
        parts.append((numbers, found))
        rows, numbers = rows[left], numbers[left]
    parts.append((numbers, typed(_values(column, rows, keys))))
    return parts


def _packed(column: Column, rows: Positions) -> tuple[Column, Positions]:
    """The rows without many others in between."""
    assert column.offsets is not None
    if not len(rows):
        return column, rows
    size = int((column.offsets[rows + 1] - column.offsets[rows]).sum())
    if size * SPREAD >= column.offsets[rows[-1] + 1] - column.offsets[rows[0]]:
        return column, rows
    return column.take(rows), np.arange(len(rows))


def _flat(column: Column, rows: Positions, places: Array) -> tuple[JsonColumn, Positions]:
    """The values at some places of the bytes, and which rows must be decoded instead."""
    assert column.offsets is not None
    starts, stops = column.offsets[rows], column.offsets[rows + 1]
    low, data = starts[0], column.values[starts[0] : stops[-1]]
    found = json_flat.values_of(data, starts - low, stops - low, places - low)
    n = len(rows)
    kinds, integers, floats = np.zeros(n, np.uint8), np.zeros(n, np.int64), np.zeros(n)
    kinds[found.texts], kinds[found.bools] = TEXT, BOOL
    integers[found.bools] = data[found.starts[found.bools]] == ord("t")
    numbers = np.flatnonzero(found.numbers)
    if len(numbers):
        values = json_flat.parsed(data, found.starts[numbers], found.stops[numbers])
        integers[numbers], floats[numbers], whole = values
        kinds[numbers] = np.where(whole, INTEGER, FLOAT)
    empty = ~found.texts
    texts = gathered(data, np.where(empty, 0, found.starts), np.where(empty, 0, found.stops))
    done = found.texts | found.numbers | found.bools | found.nulls
    return JsonColumn(kinds, integers, floats, texts, {}), np.flatnonzero(~done)


def _holding(column: Column, rows: Positions, keys: Keys) -> tuple[Positions, Array | None]:
    """Which of the rows have a key of the path in their text, and where in the bytes the value of
    that key starts; None where no key can be looked for."""
    names = [key for key in keys if isinstance(key, str) and _can_be_looked_for(key)]
    if not names or not len(rows):
        return np.arange(len(rows)), None
    assert column.offsets is not None
    needle = (_encode(max(names, key=len)) + ":").encode()
    starts, stops = column.offsets[rows], column.offsets[rows + 1]
    low, high = int(starts[0]), int(stops[-1])
    places = places_of(column.values[low:high], needle) + low
    if not len(places):
        return np.zeros(0, np.intp), places
    first = np.searchsorted(places, starts)
    place = places[np.minimum(first, len(places) - 1)]
    held = np.flatnonzero((first < len(places)) & (place < stops))
    return held, place[held] + len(needle)


def _can_be_looked_for(key: str) -> bool:
    """Whether the key between quotes, and a colon, can only be that key. What follows a string
    stands between quotes, too: `"x,":":"` has `":":` behind a comma. Digits may be an index."""
    return not key.isdigit() and not key.startswith((":", ",", "]", "}"))


def places_of(data: Array, wanted: bytes) -> Array:
    """Where a key, with its quotes and its colon, stands in some documents, ascending."""
    room = len(data) - len(wanted) + 1
    if room <= 1:
        return np.zeros(0, np.int64)
    # The first character after the quote is rarer than the quote.
    found = data[1 : room + 1] == wanted[1]
    found &= data[:room] == wanted[0]
    places = np.flatnonzero(found)
    for offset in range(2, len(wanted)):
        places = places[data[places + offset] == wanted[offset]]
    # A quote within a string has a backslash before it.
    before = data[places - 1]
    keys: Array = places[(before == ord("{")) | (before == ord(","))]
    return keys


def _values(column: Column, rows: Positions, keys: Keys) -> list[Any]:
    """The decoded values at a path, None where nothing stands."""
    if len(keys) == 1 and isinstance(keys[0], str) and not keys[0].isdigit():
        key = keys[0]
        return [d.get(key) if type(d) is dict else None for d in _documents(column, rows)]
    return [value_at(document, keys) for document in _documents(column, rows)]


def _documents(column: Column, rows: Positions) -> Iterator[Any]:
    """Rows decoded, ascending."""
    if not len(rows):
        return
    assert column.offsets is not None
    starts, stops = column.offsets[rows], column.offsets[rows + 1]
    low, high = int(starts[0]), int(stops[-1])
    data = column.values[low:high]
    text = data.tobytes().decode()
    starts, stops = starts - low, stops - low
    numbers = (data[starts] <= ord("9")) & (data[starts] != ord('"'))
    if len(text) < len(data):
        # Character i of the text begins at the i-th byte that continues no other.
        before = np.zeros(len(data) + 1, np.int64)
        np.cumsum((data & 0xC0) != 0x80, out=before[1:])
        starts, stops = before[starts], before[stops]
    bounds = zip(starts.tolist(), stops.tolist(), numbers.tolist(), strict=True)
    for start, stop, is_number in bounds:
        # All documents but numbers end where they end, whatever follows.
        yield json.loads(text[start:stop]) if is_number else _scan(text, start)[0]
