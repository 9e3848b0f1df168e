"""The model of walvec: what operations leave in a store, in plain dictionaries and lists.

It shares no code with the store. There is one collection at a time. What an operation writes
depends on its name and number: the keys of several overlap, and every value of a row is made of
its key and of the operation's number.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DEFAULT = "default"
"""The database that is always there."""
DATABASE = "d"
"""The one that is made and dropped."""
NAMES = ("c", "r")
"""Of the collection: renamed, it has the other one."""
ALIAS = "x"
DEFAULT_PARTITION, PARTITION = "_default", "p"
FIELDS = ("id", "v", "t", "n")
ADDED, ADDED_DEFAULT = "m", 7
INDEXES = ("by_n", "by_v")
ADDED_INDEX = "by_t"
CURSORS = ("u", "w")
"""Of two readers of the change feed."""
QUERY = (2.0, 1.0, 1.0, 2.0)
LOW, HIGH = 20, 60
"""The range of `n` that is looked for."""
FILL_ROWS = 24
THREADS = 4
EXPIRES_AFTER = 2
"""So many operations later a row has expired."""


class Row(NamedTuple):
    """A row but for its key. `m` is None where the collection has no such field."""

    partition: str
    v: tuple[float, ...]
    t: str
    n: int
    m: int | None = None


def keys_written(name: str, number: int) -> list[list[int]]:
    """The keys that an operation writes or deletes, those of each part for itself."""
    if name == "insert":
        return [[number, number + 1, number + 2, number + 3]]
    if name == "upsert":
        return [[number - 1, number + 1, 50 + number]]
    if name == "delete":
        return [[number - 1, number + 1]]
    if name == "insert_partition":
        return [[number, 60 + number]]
    if name == "fill":
        return [list(range(100, 100 + FILL_ROWS))]
    if name == "batch":
        return [[number, 200], [number + 1, 201], [number + 2, 202, 203]]
    if name == "threads":
        return [[300 + THREADS * number + i, 500 + i] for i in range(THREADS)]
    if name == "process":
        return [[number, 400 + number]]
    raise ValueError(f"operation {name} writes no rows")


def vector(key: int, number: int) -> tuple[float, ...]:
    """The vector of a row: small whole numbers."""
    return (float(key), float(number), float(key % 3), float(number % 5))


def text(key: int, number: int) -> str:
    """The text of a row."""
    return f"{key}/{number}"


def whole_number(key: int, number: int) -> int:
    """The field `n` of a row."""
    return 10 * key + number


def added_value(key: int, number: int) -> int:
    """The field that is added, of a row written after that."""
    return key + 1000 * number


@dataclass
class Table:
    """The collection. `partitions` says which are loaded, `loads_new` whether those to come are.

    `rows` are by key; `written` says by which operation each was.
    """

    name: str = NAMES[0]
    database: str = DEFAULT
    aliases: set[str] = field(default_factory=set)
    partitions: dict[str, bool] = field(default_factory=lambda: {DEFAULT_PARTITION: True})
    loads_new: bool = True
    added: bool = False
    indexes: set[str] = field(default_factory=lambda: set(INDEXES))
    properties: dict[str, str] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    written: dict[int, int] = field(default_factory=dict)

    def write(self, keys: Iterable[int], number: int, partition: str = DEFAULT_PARTITION) -> None:
        """Rows of these keys, in place of those that were there."""
        for key in keys:
            m = added_value(key, number) if self.added else None
            made = text(key, number), whole_number(key, number)
            self.rows[key] = Row(partition, vector(key, number), *made, m)
            self.written[key] = number

    def keep(self, wanted: Callable[[int, Row], bool]) -> None:
        """Take all other rows away."""
        self.rows = {key: row for key, row in self.rows.items() if wanted(key, row)}

    def add_field(self) -> None:
        """One field more; rows that are there have its default."""
        self.added = True
        self.rows = {key: row._replace(m=ADDED_DEFAULT) for key, row in self.rows.items()}

    def load(self, loaded: bool) -> None:
        """Load or release all partitions, and those to come."""
        self.loads_new = loaded
        self.partitions = dict.fromkeys(self.partitions, loaded)

    def load_partition(self, name: str, loaded: bool) -> None:
        """Load or release one."""
        self.partitions[name] = loaded
        self.loads_new = self.loads_new and any(self.partitions.values())

    def to_data(self) -> dict[str, Any]:
        """What is compared with the store."""
        rows = dict(sorted(self.rows.items()))
        seen = {key: row for key, row in rows.items() if self.partitions[row.partition]}
        nearest = sorted((_distance(row.v), key) for key, row in seen.items())
        within = [key for key, row in seen.items() if LOW <= row.n <= HIGH]
        loaded = any(self.partitions.values())
        return {
            "aliases": sorted(self.aliases),
            "partitions": dict(sorted(self.partitions.items())),
            "loads_new": self.loads_new,
            "fields": [*FIELDS, ADDED] if self.added else list(FIELDS),
            "indexes": sorted(self.indexes),
            "properties": dict(sorted(self.properties.items())),
            "count": len(rows),
            "rows": {key: tuple(row) for key, row in rows.items()},
            "nearest": nearest if loaded else None,
            "within": within if loaded else None,
        }


def _distance(found: tuple[float, ...]) -> float:
    return sum((a - b) ** 2 for a, b in zip(found, QUERY, strict=True))


@dataclass
class Model:
    """Everything in a store."""

    databases: set[str] = field(default_factory=lambda: {DEFAULT})
    cursors: set[str] = field(default_factory=set)
    table: Table | None = None

    def copy(self) -> Model:
        """Another that is equal and shares nothing that changes."""
        return copy.deepcopy(self)

    @property
    def there(self) -> Table:
        """The collection, which is there."""
        assert self.table is not None, "there is no collection"
        return self.table

    def to_data(self) -> dict[str, Any]:
        """What is compared with the store."""
        table = self.table
        collections = {}
        if table is not None:
            collections[f"{table.database}.{table.name}"] = table.to_data()
        return {
            "databases": sorted(self.databases),
            "cursors": sorted(self.cursors),
            "collections": collections,
        }
