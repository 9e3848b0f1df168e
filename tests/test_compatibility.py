"""api/COMPATIBILITY.md is what the code of both and the differential cases say."""

from __future__ import annotations

import compatibility
from compatibility_notes import ABSENT, INTERNAL, NOTES


def test_whatever_pymilvus_has_is_here_or_refused_with_a_reason() -> None:
    assert not compatibility.lacking(), "add it, or name it in api/missing.py"


def test_notes_are_on_names_that_there_are() -> None:
    ours = {
        f"{surface.title}.{name}"
        for surface in compatibility.SURFACES
        for name in ["__init__", *dir(surface.ours)]
    }
    assert NOTES.keys() | INTERNAL <= ours
    assert not ABSENT.keys() & ours


def test_the_page_is_up_to_date() -> None:
    page = compatibility.page()
    assert compatibility.PAGE.read_text() == page, "run python tests/compatibility.py"
