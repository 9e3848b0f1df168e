"""The error of a filter: what is wrong, and where, with a caret under it."""

from __future__ import annotations

from walvec.wal.errors import ExpressionException

AROUND = 60
"""So many characters of the expression are shown on either side of the place."""


class Unreadable(Exception):
    """What is wrong, and where."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at, self.what = at, what


def failure(expression: str, at: int, what: str) -> ExpressionException:
    """The exception that shows the place `at` of the expression."""
    at = min(max(at, 0), len(expression))
    start, stop = max(0, at - AROUND), at + AROUND
    before = "..." if start else ""
    after = "..." if stop < len(expression) else ""
    line = "".join(c if c.isprintable() else " " for c in expression[start:stop])
    caret = " " * (len(before) + at - start) + "^"
    return ExpressionException(message=f"filter: {what}\n  {before}{line}{after}\n  {caret}")
