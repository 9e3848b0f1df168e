"""Patterns of `like`: % stands for any text, _ for one character, a backslash for neither.

A pattern is cut at its % into parts of fixed length. The first must be the start of the
text, the last its end, and the others are each found at the first place after the one
before, so that matching never goes back: linear in the pattern's parts, not exponential.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from walvec.filter import texts
from walvec.filter.reader import Evaluate

Part = list[str | None]
"""Characters one by one, None for any."""


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
    return parts


def _text(part: Part) -> str | None:
    """The part as text, if it has no _."""
    characters = [c for c in part if c is not None]
    return "".join(characters) if len(characters) == len(part) else None


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a text matches. Raises ValueError as `parts_of`."""
    parts = parts_of(pattern)
    compiled = [
        re.compile("".join("." if c is None else re.escape(c) for c in part), re.DOTALL)
        for part in parts
    ]
    if len(parts) == 1:
        whole = compiled[0]
        return lambda text: whole.fullmatch(text) is not None
    first, *middle, last = compiled
    last_size = len(parts[-1])

    def matches(text: str) -> bool:
        found = first.match(text)
        if found is None:
            return False
        at = found.end()
        for part in middle:
            found = part.search(text, at)
            if found is None:
                return False
            at = found.end()
        end = len(text) - last_size
        return end >= at and last.match(text, end) is not None

    return matches


def like_field(field_id: int, pattern: str) -> Evaluate:
    """`field like pattern` for a VARCHAR field. Raises ValueError as `parts_of`."""
    fixed = [_text(part) for part in parts_of(pattern)]
    match fixed:
        case [str(whole)]:
            return texts.equal(field_id, whole)
        case [str(start), ""]:
            return texts.prefix(field_id, start)
        case ["", str(end)]:
            return texts.suffix(field_id, end)
        case ["", str(inner), ""] if inner:
            return texts.infix(field_id, inner)
    return texts.each(field_id, matcher(pattern))
