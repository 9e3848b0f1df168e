"""What the ORM tells of a collection: its indexes and its replica."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Index:
    """An index of a collection: `index.params` has index_type, metric_type and params."""

    field_name: str
    index_name: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Group:
    """The one replica of an embedded store: this process."""

    id: int
    shards: tuple[str, ...]
    group_nodes: tuple[int, ...]
    resource_group: str


@dataclass(frozen=True)
class Replica:
    """Replica groups of a loaded collection, none of another."""

    groups: list[Group]
