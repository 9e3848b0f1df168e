"""What a process writes down: one JSON object a line, appended in one write, so that a kill loses
at most the line it is about to write. Times are CLOCK_MONOTONIC in ns, one clock for all processes.

    {"e": "try",  "op", "kind", "at", ...}        before a command
    {"e": "ack",  "op", "at", "seq"}              after it
    {"e": "fail", "op", "at", "error", "text"}    it raised
    {"e": "read", "op", "at", "end", "seq", ...}  what a read gave
    {"e": "arm",  "point", "at"}                  a failpoint is about to stop or kill this process
    {"e": "torn", "op", "at", "text"}             a read that contradicts itself
    {"e": "state", "at", "seq", "digest"}         the digest of the whole state at a seq
    {"e": "done", "at"}                           it ended as it was told
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Recorder:
    """Appends lines to a file of its own."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, e: str, **content: Any) -> None:
        """Write one line with the time."""
        line = {"e": e, "at": time.monotonic_ns(), **content}
        os.write(self._descriptor, json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read_record(path: Path) -> Iterator[Line]:
    """The lines of a record; a last one that was cut is left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)
