"""Tables and progress bars: plain without a terminal, and without rich."""

from __future__ import annotations

import io
import sys

import pytest

from walvec.tools.tables import print_table, progress_bar, size_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_plain_table_is_aligned_and_has_no_trailing_spaces(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("name", "rows"), [("a", 5), ("long", 12345)], "rows")
    assert capsys.readouterr().out == "name   rows\na         5\nlong  12345\n"


def test_a_terminal_without_rich_gets_the_plain_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    print_table(("name",), [("a",)])
    assert terminal.getvalue() == "name\na\n"


def test_a_terminal_with_rich_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_table(("name",), [("[red]a[/red]",)])
    assert "[red]a[/red]" in terminal.getvalue()


def test_a_progress_bar_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("files") as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_without_rich_gets_a_plain_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with progress_bar("files") as progress:
        progress(1, 2)
        progress(2, 2)
    assert terminal.getvalue().endswith(f"\rfiles [{'#' * 40}] 2/2\n")


def test_a_terminal_with_rich_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("files") as progress:
        progress(2, 2)
    assert "2/2" in terminal.getvalue()


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (6_539_008, "6.5 MB"), (5 * 10**12, "5.0 TB")],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert size_text(size) == text
