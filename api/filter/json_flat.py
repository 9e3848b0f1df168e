"""Values of one key in flat JSON objects, read from the bytes without decoding the documents.

The text of a document is compact UTF-8 as walvec writes it. A quote within a string is escaped, so
that the bytes `"key":` behind a brace or comma are always a key, and one of the document itself
if it holds no other object.
A row is left to the decoder if its text has a second brace, or if the value is a list, a string
with an escape, or a number of more than 18 characters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from walvec.wal.rows import Array

Mask = npt.NDArray[np.bool_]
LONGEST_NUMBER = 18
"""Characters: so many digits are an integer of 64 bits."""
QUOTE, BACKSLASH, COMMA, MINUS, DOT = b'"\\,-.'
BRACE, END = b"{}"


class Values(NamedTuple):
    """Of each row where its value starts and stops in the data, and of which kind it is."""

    starts: Array
    stops: Array
    texts: Mask
    numbers: Mask
    bools: Mask
    nulls: Mask


def values_of(data: Array, starts: Array, stops: Array, places: Array) -> Values:
    """The values that start at `places` (n,) in the documents data[starts[i]:stops[i]]. A row of
    no kind must be decoded; the bounds of a text are those between its quotes."""
    braces = np.flatnonzero(data == BRACE)
    flat = np.searchsorted(braces, stops) - np.searchsorted(braces, starts) == 1
    flat &= data[starts] == BRACE
    first = data[places]
    texts = first == QUOTE
    quotes = np.flatnonzero(data == QUOTE)
    ends = quotes[np.minimum(np.searchsorted(quotes, places + 1), max(0, len(quotes) - 1))]
    delimiters = np.flatnonzero((data == COMMA) | (data == END))
    value_ends = delimiters[np.searchsorted(delimiters, places).clip(max=len(delimiters) - 1)]
    backslashes = np.flatnonzero(data == BACKSLASH)
    if len(backslashes):
        plain = np.searchsorted(backslashes, places) == np.searchsorted(backslashes, ends)
    else:
        plain = np.ones(len(places), np.bool_)
    numbers = (first == MINUS) | ((first >= ord("0")) & (first <= ord("9")))
    short = value_ends - places <= LONGEST_NUMBER
    return Values(
        np.where(texts, places + 1, places),
        np.where(texts, ends, value_ends),
        flat & texts & plain,
        flat & numbers & short,
        flat & ((first == ord("t")) | (first == ord("f"))),
        flat & (first == ord("n")),
    )


def parsed(data: Array, starts: Array, stops: Array) -> tuple[Array, Array, Mask]:
    """Numbers of at most 18 characters as int64 and as float64, and which are integers."""
    lengths = stops - starts
    width = int(lengths.max(initial=1))
    columns = np.arange(width)
    inside = columns < lengths[:, np.newaxis]
    places = np.minimum(starts[:, np.newaxis] + columns, len(data) - 1)
    characters = np.where(inside, data[places], 0).astype(np.uint8)
    digits = (characters >= ord("0")) & (characters <= ord("9"))
    whole = (digits | ~inside | (characters == MINUS)).all(axis=1)
    integers: Array = np.zeros(len(starts), np.int64)
    for column in range(width):
        here = digits[:, column]
        integers = np.where(here, integers * 10 + (characters[:, column] - ord("0")), integers)
    integers = np.where(whole, np.where(characters[:, 0] == MINUS, -integers, integers), 0)
    floats = integers.astype(np.float64)
    if not whole.all():
        others = np.ascontiguousarray(characters[~whole]).view(f"S{width}").reshape(-1)
        floats[~whole] = others.astype(np.float64)
    return integers, floats, whole
