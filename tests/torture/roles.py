"""What the processes of a run do, one step at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torture.batches import (
    SHARED_BATCHES,
    Batch,
    batch_of,
    content_hash,
    rows_of,
    shared_batch,
    size_drawn,
    stamp_of,
    torn,
    vector_of,
)
from torture.plan import STEADY, TOGGLED
from walvec import DataType

if TYPE_CHECKING:
    from torture.worker import Worker

LEVELS = ("Strong", "Strong", "Strong", "Bounded", "Session", "Eventually")
LIMIT = 5
ALL = 16_384


class Reading:
    """Reads of all kinds, each written down with the seq it was served at."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.known: list[tuple[int, int]] = []

    def read(self, collection: str, what: str, level: str = "Strong") -> None:
        """One read of a kind: all, count, search or get."""
        worker = self.worker
        worker.op += 1
        start = time.monotonic_ns()
        act: Callable[[str, str], tuple[Any, dict[str, Any]]] = getattr(self, what)
        told = {"op": worker.op, "at": start, "kind": what, "collection": collection}
        answer, found = worker.guarded(lambda: act(collection, level), level=level, **told)
        end = time.monotonic_ns()
        worker.record.write("read", **told, end=end, level=level, seq=answer.extra["seq"], **found)

    def all(self, collection: str, level: str) -> tuple[Any, dict[str, Any]]:
        """Every row of the collection."""
        answer = self.worker.client.query(
            collection, limit=ALL, output_fields=["stamp"], consistency_level=level
        )
        self.known = pairs = [(row["id"], row["stamp"]) for row in answer]
        self.refuse_torn(pairs)
        return answer, {"n": len(pairs), "hash": content_hash(pairs)}

    def count(self, collection: str, level: str) -> tuple[Any, dict[str, Any]]:
        """The number of rows."""
        answer = self.worker.client.query(
            collection, output_fields=["count(*)"], consistency_level=level
        )
        return answer, {"n": answer[0]["count(*)"]}

    def search(self, collection: str, level: str) -> tuple[Any, dict[str, Any]]:
        """The nearest rows to one that was seen."""
        rng = self.worker.rng
        near = rng.choice(self.known) if self.known else (1, 1)
        answer = self.worker.client.search(
            collection,
            [vector_of(*near)],
            limit=LIMIT,
            output_fields=["stamp"],
            consistency_level=level,
        )
        pairs = [(hit["id"], hit["entity"]["stamp"]) for hit in answer[0]]
        return answer, {"limit": LIMIT, "pairs": pairs}

    def get(self, collection: str, level: str) -> tuple[Any, dict[str, Any]]:
        """The rows of one batch."""
        rng = self.worker.rng
        batch = batch_of(rng.choice(self.known)[0]) if self.known else shared_batch(0)
        answer = self.worker.client.get(
            collection, batch.pks, output_fields=["stamp"], consistency_level=level
        )
        pairs = [(row["id"], row["stamp"]) for row in answer]
        self.refuse_torn(pairs)
        return answer, {"batch": batch, "pairs": pairs}

    def refuse_torn(self, pairs: list[tuple[int, int]]) -> None:
        """Write down what is wrong with rows seen at one moment."""
        for what in torn(pairs):
            self.worker.record.write("torn", op=self.worker.op, text=what)


class Reader:
    """Reads both collections, at all levels."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.reading = Reading(worker)

    def step(self) -> None:
        """One read."""
        rng = self.worker.rng
        what = rng.choice(("all", "all", "count", "search", "search", "get", "get"))
        collection = STEADY if rng.random() < 0.65 else TOGGLED
        self.reading.read(collection, what, rng.choice(LEVELS))
        self.worker.pause(0.004)


class Writer:
    """Inserts, rewrites and deletes batches of its own, and rewrites the shared ones."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.reading = Reading(worker)
        # What is there, and the stamp where this process wrote it: (collection, batch) -> stamp.
        self.live: dict[tuple[str, Batch], int] = dict.fromkeys(worker.left, 0)
        self.batches = 0

    def step(self) -> None:
        """One command."""
        rng = self.worker.rng
        kinds = ["insert"] * 8 + ["shared"] * 3 + ["upsert"] * 3 + ["delete"] * 4
        kinds += ["delete_by_filter", "read"]
        if len(self.live) > self.worker.plan.live_batches:
            kinds = ["delete", "delete", "delete_by_filter", "upsert"]
        elif len(self.live) < 3:
            kinds = ["insert", "shared"]
        getattr(self, rng.choice(kinds))()
        self.worker.pause(0.004)

    def write(self, how: str, collection: str, batch: Batch) -> None:
        """Insert or upsert all rows of a batch."""
        worker = self.worker
        stamp = stamp_of(worker.number, worker.op + 1)
        rows = rows_of(batch, stamp)
        call = getattr(worker.client, how)
        worker.attempt(
            how, lambda: call(collection, rows), collection=collection, batch=batch, stamp=stamp
        )
        if batch.owner:
            self.live[collection, batch] = stamp

    def insert(self) -> None:
        """A new batch."""
        rng = self.worker.rng
        self.batches += 1
        batch = Batch(self.worker.number, self.batches, size_drawn(rng))
        self.write("insert", STEADY if rng.random() < 0.7 else TOGGLED, batch)

    def upsert(self) -> None:
        """A batch once more, whether it is there or not: all of its rows are, after it."""
        collection, batch = self.worker.rng.choice(list(self.live))
        self.write("upsert", collection, batch)

    def shared(self) -> None:
        """A batch that all writers rewrite: the last one wins, with all rows."""
        rng = self.worker.rng
        collection = rng.choice((STEADY, TOGGLED))
        self.write(
            rng.choice(("insert", "upsert")),
            collection,
            shared_batch(rng.randrange(SHARED_BATCHES)),
        )

    def delete(self) -> None:
        """A batch, by keys."""
        collection, batch = place = self.worker.rng.choice(list(self.live))
        call = self.worker.client.delete
        self.worker.attempt(
            "delete", lambda: call(collection, ids=batch.pks), collection=collection, batch=batch
        )
        del self.live[place]

    def delete_by_filter(self) -> None:
        """A batch that this process wrote, by its stamp."""
        own = [(place, stamp) for place, stamp in self.live.items() if stamp]
        if not own:
            return
        place, stamp = self.worker.rng.choice(own)
        collection, batch = place
        call = self.worker.client.delete
        answer = self.worker.attempt(
            "delete",
            lambda: call(collection, filter=f"stamp == {stamp}"),
            collection=collection,
            batch=batch,
        )
        if answer["delete_count"] != batch.size:
            text = f"stamp == {stamp} deleted {answer['delete_count']} rows of {batch}"
            self.worker.record.write("torn", op=self.worker.op, text=text)
        del self.live[place]

    def read(self) -> None:
        """What it has just written is there."""
        collection, batch = self.worker.rng.choice(list(self.live))
        self.reading.known = [(pk, 0) for pk in batch.pks]
        self.reading.read(collection, "get", "Session")


class Loader:
    """Loads and releases a collection, for everybody."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.reading = Reading(worker)

    def step(self) -> None:
        """Load or release, and read."""
        rng, client = self.worker.rng, self.worker.client
        kind = rng.choice(("load", "load", "release"))
        call = client.load_collection if kind == "load" else client.release_collection
        self.worker.attempt(kind, lambda: call(TOGGLED), collection=TOGGLED)
        self.worker.pause(0.05)
        self.reading.read(TOGGLED, rng.choice(("all", "search")))
        self.worker.pause(0.15)


class Flusher:
    """Seals, and now and then waits until everything is built."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def step(self) -> None:
        """Flush."""
        rng, client = self.worker.rng, self.worker.client
        collection = rng.choice((STEADY, STEADY, TOGGLED))
        self.worker.attempt("flush", lambda: client.flush(collection), collection=collection)
        if rng.random() < 0.2:
            self.worker.attempt("wait", lambda: client.wait_for_files(2), collection=collection)
        self.worker.pause(0.4)


ROLES: dict[str, Any] = {
    "writer": Writer,
    "reader": Reader,
    "observer": Reader,
    "loader": Loader,
    "flusher": Flusher,
}


def prepare(client: Any) -> None:
    """The two collections of a run, with the shared batches in them."""
    for name, mapped in ((STEADY, "true"), (TOGGLED, "false")):
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=len(vector_of(0, 0)))
        schema.add_field("stamp", DataType.INT64)
        index = client.prepare_index_params()
        index.add_index("vector", "ANNOY", metric_type="L2", params={"n_trees": 2})
        client.create_collection(
            name, schema=schema, index_params=index, properties={"mmap.enabled": mapped}
        )
        for number in range(SHARED_BATCHES):
            client.insert(name, rows_of(shared_batch(number), 0))
