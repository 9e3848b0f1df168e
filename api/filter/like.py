r"""Patterns of `like`: % stands for any text, _ for one character, a backslash for neither.

A pattern is cut at its % into parts of fixed length. The first must be the start of the
text, the last its end, and the others are each found at the first place after the one
before, so that matching never goes back. All rows take a step at a time: the places of a part
in the whole column are found once, and each row takes the first that lies behind its last one.
The time is linear in the length of the column times the number of different parts, and, where
texts repeat themselves, the length of a part: at most LONG bytes, unless it has a _.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from walvec.filter import texts as on_bytes
from walvec.filter.reader import Mask, Rows, Texts
from walvec.wal.rows import Array

Part = list[str | None]
"""Characters one by one, None for any."""
LONG = 64
"""A part of more bytes is looked for row by row, by Python's own search, whose time is linear also
where the text and the part repeat themselves. The rows are as long as the part, at least."""
SPREAD = 4
"""Texts that are less than one part in so many of the bytes around them are copied together."""


def parts_of(pattern: str) -> list[Part]:
    """The parts between the %. Raises ValueError for a backslash at the end."""
    parts: list[Part] = [[]]
    characters = iter(pattern)
    for c in characters:
        if c == "%":
            parts.append([])
        elif c == "_":
            parts[-1].append(None)
        elif c == "\\":
            escaped = next(characters, None)
            if escaped is None:
                raise ValueError("the pattern ends in a backslash that escapes nothing")
            parts[-1].append(escaped)
        else:
            parts[-1].append(c)
    # "%%" is "%": an empty part in the middle is found anywhere.
    return [parts[0], *(part for part in parts[1:-1] if part), *parts[1:][-1:]]


def prefix_of(pattern: str) -> bytes | None:
    """The text that a pattern such as "abc%" asks the beginning for; None for others."""
    parts = parts_of(pattern)
    if len(parts) == 2 and not parts[1] and None not in parts[0]:
        return _bytes(parts[0])
    return None


def _bytes(part: Part) -> bytes:
    return "".join(c or "" for c in part).encode()


def matcher(pattern: str) -> Callable[[Texts], Mask]:
    """What finds the texts that match. Raises ValueError as `parts_of`."""
    parts = parts_of(pattern)
    if any(None in part for part in parts):
        return lambda texts: _match_characters(texts, parts)
    first, last = _bytes(parts[0]), _bytes(parts[-1])
    if len(parts) == 1:
        return lambda texts: on_bytes.equal(texts, first)
    if len(parts) == 2 and not last:
        return lambda texts: on_bytes.prefix(texts, first)
    if len(parts) == 2 and not first:
        return lambda texts: on_bytes.suffix(texts, last)
    numbers = [[*_bytes(part)] for part in parts]
    return lambda texts: _match(_packed(texts), numbers)


def _packed(texts: Texts) -> Texts:
    """The same texts without many other bytes in between."""
    lengths = texts.stops - texts.starts
    total = int(lengths.sum())
    if total * SPREAD >= len(texts.data):
        return texts
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    source = np.arange(total) + np.repeat(texts.starts - offsets[:-1], lengths)
    return Texts(texts.data[source], offsets[:-1], offsets[1:])


def _match_characters(texts: Texts, parts: list[Part]) -> Mask:
    """As `_match`, for parts with a _, which stands for a character and not for a byte."""
    texts = _packed(texts)
    numbers = [[None if c is None else ord(c) for c in part] for part in parts]
    if (texts.data < 128).all():
        return _match(texts, numbers)
    # Character i of the column begins at the i-th byte that continues no other.
    begins = (texts.data & 0xC0) != 0x80
    before = np.zeros(len(begins) + 1, np.int64)
    np.cumsum(begins, out=before[1:])
    characters = np.frombuffer(
        texts.data.tobytes().decode("utf-8", "replace").encode("utf-32-le"), "<u4"
    )
    return _match(Texts(characters, before[texts.starts], before[texts.stops]), numbers)


def _match(texts: Texts, parts: list[list[int | None]]) -> Mask:
    first, *middle, last = parts if len(parts) > 1 else [parts[0], []]
    sizes = texts.stops - texts.starts
    least = sum(map(len, parts))
    rows = np.flatnonzero(sizes == least if len(parts) == 1 else sizes >= least)
    rows = rows[_stands_at(texts.data, texts.starts[rows], first)]
    rows = rows[_stands_at(texts.data, texts.stops[rows] - len(last), last)]
    at, ends = texts.starts[rows] + len(first), texts.stops[rows] - len(last)
    places: dict[tuple[int | None, ...], Array | None] = {}
    for part in middle:
        if len(part) > LONG and texts.data.dtype == np.uint8 and None not in part:
            at = _first_in_each(texts.data, at, ends, part)
            fits = at >= 0
            rows, at, ends = rows[fits], at[fits] + len(part), ends[fits]
            continue
        key = tuple(part)
        if key not in places:
            places[key] = occurrences(texts.data, part)
        found = places[key]
        if found is not None:
            if not len(found):
                return np.zeros(len(sizes), np.bool_)
            following = np.searchsorted(found, at)
            at = found[np.minimum(following, len(found) - 1)]
            fits = (following < len(found)) & (at + len(part) <= ends)
        else:
            fits = at + len(part) <= ends
        rows, at, ends = rows[fits], at[fits] + len(part), ends[fits]
    mask = np.zeros(len(sizes), np.bool_)
    mask[rows] = True
    return mask


def _first_in_each(data: Array, starts: Rows, stops: Rows, part: list[int | None]) -> Rows:
    """Where a part first stands between the bounds of each row, -1 where it does not."""
    text, wanted = data.tobytes(), bytes(byte for byte in part if byte is not None)
    bounds = zip(starts.tolist(), stops.tolist(), strict=True)
    return np.fromiter((text.find(wanted, a, b) for a, b in bounds), np.int64, len(starts))


def _stands_at(data: Array, at: Array, part: list[int | None]) -> Rows:
    """Which of some places in the data, all with room for it, have a part."""
    keep = np.arange(len(at))
    for offset, wanted in enumerate(part):
        if wanted is not None and len(keep):
            keep = keep[data[at[keep] + offset] == wanted]
    return keep


def occurrences(data: Array, part: list[int | None]) -> Array | None:
    """All places of a part in the data, ascending; None if it stands anywhere."""
    fixed = [(offset, wanted) for offset, wanted in enumerate(part) if wanted is not None]
    if not fixed:
        return None
    room = len(data) - len(part) + 1
    if room <= 0:
        return np.zeros(0, np.int64)
    if len(fixed) == 1:
        (offset, wanted), *rest = fixed
        places = np.flatnonzero(data[offset : offset + room] == wanted)
    else:
        # Two at once leave few places for the others.
        (offset, wanted), (second, other), *rest = fixed
        found = data[offset : offset + room] == wanted
        found &= data[second : second + room] == other
        places = np.flatnonzero(found)
    for offset, wanted in rest:
        places = places[data[places + offset] == wanted]
    return places
