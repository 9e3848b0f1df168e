"""Tables and progress bars for people: with rich on a terminal, plain text everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

BAR_WIDTH = 40


class Bar(Protocol):
    """A bar being drawn."""

    def __call__(self, done: int, total: int, text: str = "", /) -> None:
        """So much of a total is done; a text takes the place of the bar's label."""


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Any]], right: str = "") -> None:
    """A table on stdout. `right` names the columns to be aligned right, with spaces between."""
    numbers = {headers.index(name) for name in right.split()}
    texts = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty() and (rich := _rich_console(stderr=False)) is not None:
        _print_rich(rich, headers, texts, numbers)
    else:
        _print_plain(headers, texts, numbers)


def _print_plain(headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: set[int]) -> None:
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    for row in (headers, *rows):
        cells = [
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _rich_console(*, stderr: bool) -> Any:
    """A console of rich, or None where rich is not installed."""
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(stderr=stderr, highlight=False)


def _print_rich(
    console: Any, headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: set[int]
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(headers):
        table.add_column(name, justify="right" if i in numbers else "left", overflow="fold")
    for row in rows:
        # Text, since cells hold names of users that may look like markup.
        table.add_row(*map(Text, row))
    console.print(table)


@contextmanager
def progress_bar(label: str) -> Iterator[Bar]:
    """A progress bar on stderr, if that is a terminal: call what it gives with (done, total)."""
    if not sys.stderr.isatty():
        yield lambda done, total, text="", /: None
        return
    console = _rich_console(stderr=True)
    if console is None:
        yield lambda done, total, text="", /: _draw(text or label, done, total)
        sys.stderr.write("\n")
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with RichProgress(*columns, console=console) as bar:
        task = bar.add_task(label, total=None)

        def draw(done: int, total: int, text: str = "", /) -> None:
            bar.update(task, completed=done, total=total or None, description=text or label)

        yield draw


def _draw(label: str, done: int, total: int) -> None:
    filled = min(BAR_WIDTH, BAR_WIDTH * done // max(1, total))
    bar = "#" * filled + "-" * (BAR_WIDTH - filled)
    sys.stderr.write(f"\r{label} [{bar}] {done}/{total}")
    sys.stderr.flush()


def size_text(size: int) -> str:
    """Bytes for people: "512 B", "6.1 MB"; powers of 1000."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
