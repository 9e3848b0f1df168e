"""What calls give back: hits of a search, lists with extras, counts of a write, load states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

SHOWN = 10
"""At most so many results are printed."""


class LoadState(IntEnum):
    """Whether a collection is in memory."""

    NotExist = 0
    NotLoad = 1
    Loading = 2
    Loaded = 3

    def __repr__(self) -> str:
        return f"<LoadState: {self._name_}>"

    def __str__(self) -> str:
        return self._name_


class ConsistencyLevel(IntEnum):
    """Milvus' levels. All are the same here: a read sees everything that was acknowledged."""

    Strong = 0
    Session = 1
    Bounded = 2
    Eventually = 3
    Customized = 4


class Hit(dict[str, Any]):
    """One result of a search: `{pk name: pk, "distance": d, "entity": {field: value}}`.

    A key that is not there is looked up in the entity: `hit["title"]`, `hit.get("title")`,
    `hit.title` and `hit.entity.get("title")` are the same.
    """

    __slots__ = ("_pk_name",)
    _pk_name: str

    def __init__(self, *args: Any, pk_name: str = "", **kwargs: Any) -> None:
        dict.__init__(self, *args, **kwargs)
        self._pk_name = pk_name

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"hit has no field {name!r}") from None

    def __missing__(self, key: str) -> Any:
        entity = dict.get(self, "entity")
        if entity is None:
            raise KeyError(key)
        return entity[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The item of the hit, else of its entity, else the default."""
        try:
            return self[key]
        except KeyError:
            return default

    @property
    def id(self) -> Any:
        """The primary key."""
        return dict.get(self, self._pk_name)

    @property
    def pk(self) -> Any:
        """The primary key."""
        return self.id

    @property
    def distance(self) -> Any:
        """Milvus' score, see MilvusClient.search."""
        return dict.get(self, "distance")

    @property
    def score(self) -> Any:
        """As distance."""
        return self.distance

    @property
    def highlight(self) -> Any:
        """None: nothing is highlighted here."""
        return self.get("highlight")

    @property
    def entity(self) -> Hit:
        """The hit itself, as in pymilvus: it finds the entity's fields."""
        return self

    @property
    def fields(self) -> Any:
        """The entity: a dictionary of the output fields."""
        return dict.get(self, "entity")

    def to_dict(self) -> dict[str, Any]:
        """The hit itself."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _hit, (dict(self), self._pk_name)


def _hit(data: dict[str, Any], pk_name: str) -> Hit:
    return Hit(data, pk_name=pk_name)


def _shown(items: list[Any], what: str) -> str:
    more = f" ... and {len(items) - SHOWN} {what} remaining" if len(items) > SHOWN else ""
    return f"{list(items[:SHOWN])}{more}"


class Hits(list[Hit]):
    """The hits of one query, best first. `ids` and `distances` are the same as lists."""

    ids: list[Any]
    distances: list[float]

    def __init__(
        self,
        ids: list[Any],
        distances: list[float],
        pk_name: str,
        entities: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        """One hit for each id. `entities`: the output fields of each hit, kept; None for none."""
        self.ids = ids
        self.distances = distances
        rows = [{} for _ in ids] if entities is None else entities
        hits = []
        # Not Hit(...): leaving out its Python constructor makes a hit three times cheaper.
        new = Hit.__new__
        for pk, distance, entity in zip(ids, distances, rows, strict=True):
            hit = new(Hit)
            hit[pk_name] = pk
            hit["distance"] = distance
            hit["entity"] = entity
            hit._pk_name = pk_name
            hits.append(hit)
        list.__init__(self, hits)

    def materialize(self) -> None:
        """Nothing: pymilvus decodes some fields late, here all are there."""

    def __str__(self) -> str:
        return _shown(self, "entities")

    __repr__ = __str__

    def __reduce__(self) -> tuple[Any, ...]:
        pk_name = self[0]._pk_name if self else ""
        return Hits, (self.ids, self.distances, pk_name, [hit.fields for hit in self])


class SearchResult(list[Hits]):
    """One `Hits` for each query vector. `extra`: what else is known of the answer."""

    def __init__(self, hits: Iterable[Hits] = (), extra: dict[str, Any] | None = None) -> None:
        list.__init__(self, hits)
        self.extra = extra or {}
        self.recalls: list[float] | None = None
        self.agg_buckets: list[Any] = []

    def materialize(self) -> None:
        """Nothing: pymilvus decodes some fields late, here all are there."""

    def __str__(self) -> str:
        more = f" ... and {len(self) - SHOWN} results remaining" if len(self) > SHOWN else ""
        extra = f",{self.extra}" if self.extra else ""
        return f"data: {list(self[:SHOWN])}{more}{extra}"

    __repr__ = __str__


class ExtraList(list[Any]):
    """A list with `extra`: what else is known of the answer."""

    def __init__(self, items: Iterable[Any] = (), *, extra: dict[str, Any] | None = None) -> None:
        list.__init__(self, items)
        self.extra = extra or {}

    def __str__(self) -> str:
        more = " ..." if len(self) > SHOWN else ""
        known = f", extra_info: {self.extra}" if self.extra else ""
        return f"data: {[str(item) for item in self[:SHOWN]]}{more}{known}"

    __repr__ = __str__


class MutationResult:
    """What a write of the ORM did."""

    def __init__(
        self,
        primary_keys: list[Any] | None = None,
        *,
        insert_count: int = 0,
        delete_count: int = 0,
        upsert_count: int = 0,
        seq: int = 0,
    ) -> None:
        """`primary_keys` is kept. `seq`: the place in the log; also called `timestamp`, since it
        orders writes as Milvus' timestamps do."""
        self.primary_keys: list[Any] = [] if primary_keys is None else primary_keys
        self.insert_count = insert_count
        self.delete_count = delete_count
        self.upsert_count = upsert_count
        self.seq = seq

    @property
    def timestamp(self) -> int:
        """As seq."""
        return self.seq

    @property
    def succ_count(self) -> int:
        """Rows written or deleted: a write is done wholly or raises."""
        return self.upsert_count or self.insert_count or self.delete_count

    @property
    def err_count(self) -> int:
        """0: a write is done wholly or raises."""
        return 0

    @property
    def succ_index(self) -> list[int]:
        """Every row."""
        return list(range(self.succ_count))

    @property
    def err_index(self) -> list[int]:
        """No row."""
        return []

    @property
    def cost(self) -> int:
        """0: nothing is charged."""
        return 0

    def __str__(self) -> str:
        return (
            f"(insert count: {self.insert_count}, delete count: {self.delete_count}, "
            f"upsert count: {self.upsert_count}, timestamp: {self.timestamp}, "
            f"success count: {self.succ_count}, err count: {self.err_count})"
        )

    __repr__ = __str__
