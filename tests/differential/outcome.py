"""What a case came to on one side: a value as plain data, or an error."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

NEVER_COMPARED = frozenset({"seq", "cost"})
"""Keys that one side adds to every answer, or that tell time: left out of values."""

UNIMPLEMENTED = -1
"""The code of a call that milvus-lite's server does not know."""


@dataclass(frozen=True)
class Answer:
    """The case returned."""

    value: Any

    def __str__(self) -> str:
        return f"answered {self.value!r}"


@dataclass(frozen=True)
class Refused:
    """The case raised. `code` is None where the error is Python's own."""

    code: int | None
    kind: str = ""
    message: str = ""

    def __str__(self) -> str:
        code = {None: "no code", UNIMPLEMENTED: "unimplemented"}.get(self.code, f"code {self.code}")
        return f"refused, {code}: {self.kind}: {self.message[:300]}"


Outcome = Answer | Refused


def plain(value: Any) -> Any:
    """A value as None, bool, int, float, str, bytes, list and dict. Raises TypeError for others."""
    if isinstance(value, enum.Enum):
        return f"<{value.name}>"
    if isinstance(value, numpy.generic | numpy.ndarray):
        return value.tolist()
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, Mapping):
        return {plain(k): plain(v) for k, v in value.items() if k not in NEVER_COMPARED}
    if isinstance(value, set | frozenset):
        return sorted((plain(v) for v in value), key=repr)
    if isinstance(value, Sequence):
        return [plain(v) for v in value]
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):
        return {key: plain(value[key]) for key in value.keys()}  # noqa: SIM118
    if type(value).__name__ == "ValueField":  # pymilvus' message of one value, of many kinds
        return plain(getattr(value, value.WhichOneof("data")))
    raise TypeError(f"a case returned a {type(value).__name__}: turn it into plain data first")


def memory_folder() -> str | None:
    """Where temporary folders are made: in memory where there is such a place, since neither the
    syncing of walvec nor that of milvus-lite is what is compared."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def refusal(error: Exception) -> Refused:
    """An error of either side, or of Python."""
    code = getattr(error, "code", None)
    if callable(code):  # grpc's errors, which pymilvus lets through
        code = UNIMPLEMENTED if "UNIMPLEMENTED" in str(code()) else None
    message = getattr(error, "message", None)
    text = message if isinstance(message, str) else str(error)
    return Refused(None if code is None else int(code), type(error).__name__, text)
