"""Values of users in messages: short whatever they are, and never an error of their own."""

from __future__ import annotations

from reprlib import Repr
from typing import Any

MAX_CHARACTERS = 80
MAX_BITS = 256
"""Longer integers are not written out: Python refuses those of more than 4,300 digits."""


class _Short(Repr):
    """Python's own, which knows about depth, length and objects without a working repr."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 6
        self.maxlist = self.maxtuple = self.maxset = self.maxdict = self.maxfrozenset = 40
        self.maxstring = self.maxother = self.maxlong = 4 * MAX_CHARACTERS

    def repr_int(self, x: int, level: int) -> str:
        bits = x.bit_length()
        return f"an integer of {bits} bits" if bits > MAX_BITS else super().repr_int(x, level)


_short = _Short()


def shown(value: Any) -> str:
    """The value's repr, at most 80 characters of it."""
    text = _short.repr(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 3]}..."
