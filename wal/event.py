"""What every event has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Event:
    """Something that happened. `collection` is 0 where it concerns the store."""

    TAG: ClassVar[int]
    VERSION: ClassVar[int] = 1

    collection: int
