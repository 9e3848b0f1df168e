"""Random commands through the public client, against plain dictionaries: rows and partitions,
aliases, databases, fields that are added, what is loaded.

The store is open in three processes at once: this one, and two that are driven over a pipe. Each
command is given to any of them. After every step each one's state is the one replayed from zero,
counts are those of the dictionary, and searches give what numpy computes over it.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from peer import Peer, wait_until

from walvec import DataType, MilvusClient
from walvec.results import LoadState
from walvec.segments.fold import Fold
from walvec.segments.state import digest

DIM = 3
METRICS = ("L2", "IP", "COSINE")
SEGMENT_MAX_BYTES = 10 * DIM * 4
NAMES = st.sampled_from(["a", "b"])
EXTRA = 26
"""The key of a row that a killed process may have left."""
KEYS = st.lists(st.integers(0, 25), min_size=1, max_size=6)
WHOLE = st.integers(-4, 4)
VECTORS = st.tuples(WHOLE, WHOLE, WHOLE).filter(any)

PARTITIONS = st.sampled_from(["_default", "_default", "p", "q"])
ALIASES = st.sampled_from(["x", "y"])
OLD = 7
"""What rows have in the field `n` that were there before it."""
HANDLES = st.sampled_from([0, 0, 1, 2])
"""Which handle a command is given to: 0 is this process's."""


def state_of(loaded: bool) -> LoadState:
    return LoadState.Loaded if loaded else LoadState.NotLoad


warm: list[Peer] = []
"""The other processes, which open one store after the other."""


@pytest.fixture(scope="module", autouse=True)
def other_processes() -> Iterator[None]:
    """End them after the last example."""
    yield
    while warm:
        warm.pop().end()


def scores(metric: str, vectors: np.ndarray[Any, Any], query: np.ndarray[Any, Any]) -> Any:
    """Milvus' scores in double precision."""
    if metric == "L2":
        return ((vectors - query) ** 2).sum(1)
    products = vectors @ query
    if metric == "IP":
        return products
    return products / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)


class Row(NamedTuple):
    """A row of the model."""

    vector: tuple[int, ...]
    partition: str = "_default"
    n: int = OLD


@dataclass
class Model:
    """A collection: `partitions` says which of them are loaded, `has_n` whether the field `n` was
    added."""

    metric: str
    rows: dict[int, Row] = field(default_factory=dict)
    partitions: dict[str, bool] = field(default_factory=lambda: {"_default": True})
    loads_new: bool = True
    has_n: bool = False

    @property
    def loaded(self) -> bool:
        return any(self.partitions.values())

    def visible(self) -> dict[int, Row]:
        """The rows of loaded partitions."""
        return {k: r for k, r in self.rows.items() if self.partitions[r.partition]}


class StoreMachine(RuleBasedStateMachine):
    """Three clients and the dictionaries that they are held against."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="walvec-model-"))
        self.model: dict[str, Model] = {}
        self.aliases: dict[str, str] = {}
        self.databases = {"default"}
        self.deaths = 0
        self.forks = 0
        self.steps = 0
        self.handles: list[Any] = []

    def opened(self, peer: Peer | None = None) -> Any:
        """A handle: of this process, or of the peer."""
        folder = self.folder / "store"
        if peer is None:
            return MilvusClient(folder, segment_max_bytes=SEGMENT_MAX_BYTES)
        peer.open(folder, segment_max_bytes=SEGMENT_MAX_BYTES)
        return peer

    @initialize(metric=st.sampled_from(METRICS))
    def start(self, metric: str) -> None:
        peers = [warm.pop() if warm else Peer() for _ in range(2)]
        self.handles = [self.opened(), *map(self.opened, peers)]
        self.create(self.handles[0], "a", metric)

    def teardown(self) -> None:
        for handle in self.handles:
            handle.close()
        warm.extend(self.handles[1:])
        shutil.rmtree(self.folder)

    def create(self, client: Any, name: str, metric: str) -> None:
        client.create_collection(name, DIM, metric_type=metric, enable_dynamic_field=False)
        # The index is FLAT, so that every segment answers exactly.
        client.release_collection(name)
        for index in client.list_indexes(name):
            client.drop_index(name, index)
        self.index(client, name, metric)
        client.load_collection(name)
        self.model[name] = Model(metric)

    def index(self, client: Any, name: str, metric: str) -> None:
        index = MilvusClient.prepare_index_params()
        index.add_index("vector", "FLAT", metric_type=metric)
        client.create_index(name, index)

    @rule(by=HANDLES, name=NAMES, metric=st.sampled_from(METRICS))
    def create_collection(self, by: int, name: str, metric: str) -> None:
        if name not in self.model:
            self.create(self.handles[by], name, metric)

    @rule(
        by=HANDLES,
        name=NAMES,
        how=st.sampled_from(["insert", "upsert"]),
        keys=KEYS,
        vectors=st.lists(VECTORS, min_size=6, max_size=6),
        partition=PARTITIONS,
    )
    def write(
        self,
        by: int,
        name: str,
        how: str,
        keys: list[int],
        vectors: list[tuple[int, ...]],
        partition: str,
    ) -> None:
        if name not in self.model:
            return
        model = self.model[name]
        keys = list(dict.fromkeys(keys)) if how == "upsert" else keys
        partition = partition if partition in model.partitions else "_default"
        rows, stored = [], {}
        for key, vector in zip(keys, vectors, strict=False):
            row = {"id": key, "vector": np.array(vector, np.float32)}
            n = {"n": key} if model.has_n else {}
            rows.append({**row, **n})
            stored[key] = Row(vector, partition, n.get("n", OLD))
        getattr(self.handles[by], how)(self.called(name), rows, partition_name=partition)
        model.rows.update(stored)

    def called(self, name: str) -> str:
        """The name, or an alias if there is one."""
        return next((a for a, of in self.aliases.items() if of == name), name)

    @rule(by=HANDLES, name=NAMES, keys=KEYS)
    def delete(self, by: int, name: str, keys: list[int]) -> None:
        if name in self.model:
            self.handles[by].delete(self.called(name), ids=keys)
            for key in keys:
                self.model[name].rows.pop(key, None)

    @rule(by=HANDLES, name=NAMES, keys=KEYS, partition=PARTITIONS)
    def delete_in_a_partition(self, by: int, name: str, keys: list[int], partition: str) -> None:
        if name in self.model and self.model[name].partitions.get(partition):
            rows = self.model[name].rows
            expression = f"id in {keys}"
            self.handles[by].delete(name, filter=expression, partition_name=partition)
            gone = [k for k in keys if k in rows and rows[k].partition == partition]
            for key in set(gone):
                del rows[key]

    @rule(by=HANDLES, name=NAMES, key=st.integers(0, 25), vector=VECTORS)
    def update_a_part(self, by: int, name: str, key: int, vector: tuple[int, ...]) -> None:
        if name not in self.model or not all(self.model[name].partitions.values()):
            return
        rows = self.model[name].rows
        row = {"id": key, "vector": np.array(vector, np.float32)}
        self.handles[by].upsert(name, row, partial_update=True)
        rows[key] = Row(vector, "_default", rows[key].n if key in rows else OLD)

    @rule(by=HANDLES, name=NAMES)
    def truncate(self, by: int, name: str) -> None:
        if name in self.model:
            self.handles[by].truncate_collection(self.called(name))
            self.model[name].rows = {}

    @rule(by=HANDLES, name=NAMES)
    def compact(self, by: int, name: str) -> None:
        if name in self.model:
            self.handles[by].compact(name)

    @rule(by=HANDLES, name=NAMES)
    def add_a_field(self, by: int, name: str) -> None:
        if name in self.model and not self.model[name].has_n:
            add = self.handles[by].add_collection_field
            add(name, "n", DataType.INT64, default_value=OLD)
            self.model[name].has_n = True

    @rule(by=HANDLES, name=NAMES, partition=PARTITIONS)
    def create_a_partition(self, by: int, name: str, partition: str) -> None:
        if name in self.model:
            self.handles[by].create_partition(name, partition)
            model = self.model[name]
            model.partitions.setdefault(partition, model.loads_new)

    @rule(by=HANDLES, name=NAMES, partition=PARTITIONS)
    def drop_a_partition(self, by: int, name: str, partition: str) -> None:
        if name in self.model and self.model[name].partitions.get(partition) is False:
            if partition == "_default":
                return
            model = self.model[name]
            self.handles[by].drop_partition(name, partition)
            del model.partitions[partition]
            model.rows = {k: r for k, r in model.rows.items() if r.partition != partition}

    @rule(by=HANDLES, name=NAMES, partition=PARTITIONS)
    def load_or_release_a_partition(self, by: int, name: str, partition: str) -> None:
        if name not in self.model or partition not in self.model[name].partitions:
            return
        model, client = self.model[name], self.handles[by]
        if model.partitions[partition]:
            client.release_partitions(name, [partition])
        else:
            client.load_partitions(name, [partition])
        model.partitions[partition] = not model.partitions[partition]
        model.loads_new &= model.loaded

    @rule(by=HANDLES, name=NAMES, alias=ALIASES)
    def set_or_drop_an_alias(self, by: int, name: str, alias: str) -> None:
        client = self.handles[by]
        if self.aliases.get(alias) == name:
            client.drop_alias(alias)
            del self.aliases[alias]
        elif name in self.model:
            (client.alter_alias if alias in self.aliases else client.create_alias)(name, alias)
            self.aliases[alias] = name

    @rule(by=HANDLES, name=NAMES)
    def move_to_another_database_and_back(self, by: int, name: str) -> None:
        client = self.handles[by]
        if "two" not in self.databases:
            client.create_database("two")
            self.databases.add("two")
        elif name in self.model and name not in self.aliases.values():
            client.rename_collection(name, "moved", target_db="two")
            client.use_database("two")
            client.rename_collection("moved", name, target_db="default")
            client.use_database("default")
        else:
            client.drop_database("two")
            self.databases.discard("two")

    @rule(by=HANDLES, name=NAMES)
    def flush(self, by: int, name: str) -> None:
        if name in self.model:
            self.handles[by].flush(name)

    @rule(by=HANDLES, name=NAMES)
    def flush_and_wait_for_files(self, by: int, name: str) -> None:
        if name in self.model:
            self.handles[by].flush(name, wait=True, timeout=60)

    @rule(by=HANDLES, name=NAMES, metric=st.sampled_from(METRICS))
    def index_anew(self, by: int, name: str, metric: str) -> None:
        if name in self.model and not self.model[name].loaded:
            client = self.handles[by]
            (index,) = client.list_indexes(name)
            client.drop_index(name, index)
            self.index(client, name, metric)
            self.model[name].metric = metric

    @rule(by=HANDLES, name=NAMES)
    def load(self, by: int, name: str) -> None:
        if name in self.model:
            self.handles[by].load_collection(name)
            self.flag(name, True)

    @rule(by=HANDLES, name=NAMES)
    def release(self, by: int, name: str) -> None:
        if name in self.model:
            self.handles[by].release_collection(name)
            self.flag(name, False)

    def flag(self, name: str, loaded: bool) -> None:
        """All partitions are loaded, or none, and so are those to come."""
        model = self.model[name]
        model.partitions = dict.fromkeys(model.partitions, loaded)
        model.loads_new = loaded

    @rule(by=HANDLES, name=NAMES)
    def drop(self, by: int, name: str) -> None:
        for alias in [a for a, of in self.aliases.items() if of == name]:
            self.handles[by].drop_alias(alias)
            del self.aliases[alias]
        self.handles[by].drop_collection(name)
        self.model.pop(name, None)

    @rule(by=HANDLES)
    def reopen(self, by: int) -> None:
        self.handles[by].close()
        self.handles[by] = self.opened(self.handles[by] if by else None)

    @precondition(lambda self: self.deaths < 1 and self.model)
    @rule(
        vector=VECTORS,
        point=st.sampled_from(["commit.begin", "commit.before", "commit.after", "publish.after"]),
    )
    def insert_in_a_process_that_is_killed(self, vector: tuple[int, ...], point: str) -> None:
        self.deaths += 1
        name, killed = sorted(self.model)[0], self.handles.pop()
        count = self.handles[0].get_collection_stats(name)["row_count"]
        killed.run(f"failpoints.arm_from('{point}=kill')")
        killed.send("insert", name, {"id": EXTRA, "vector": np.array(vector, np.float32)})
        assert killed.bury() == -signal.SIGKILL
        stored = self.handles[0].get_collection_stats(name)["row_count"] - count
        # It may be a commit of its background work that killed it, before the insert.
        assert stored in ((0, 1) if "after" in point else (0,))
        if stored:
            self.model[name].rows[EXTRA] = Row(vector)
        self.handles.append(self.opened(Peer()))

    @precondition(lambda self: self.forks < 2 and self.model)
    @rule(name=NAMES, key=st.integers(0, 25), vector=VECTORS)
    def insert_in_a_forked_child(self, name: str, key: int, vector: tuple[int, ...]) -> None:
        if name not in self.model:
            return
        self.forks += 1
        child = os.fork()
        if child == 0:
            code = 1
            try:
                row = {"id": key, "vector": np.array(vector, np.float32)}
                self.handles[0].insert(name, row)
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        self.model[name].rows[key] = Row(vector)

    @invariant()
    def every_state_is_the_one_replayed_from_zero(self) -> None:
        if not self.handles:
            return
        store = self.handles[0]._store
        wait_until(lambda: len(set(self.told())) == 1, "all states are the same")
        seq, found = store.with_state(lambda state: (state.seq, digest(state)))
        fold = Fold()
        assert fold.replay(store.log, seq) is None
        assert (fold.position.seq, digest(fold.state)) == (seq, found)

    def told(self) -> list[tuple[int, bytes]]:
        """Seq and digest of each handle. Background work may come in between."""
        store = self.handles[0]._store
        own = store.with_state(lambda state: (state.seq, digest(state)))
        return [own, *(peer.digest() for peer in self.handles[1:])]

    @invariant()
    def names_flags_and_counts_are_those_of_the_dictionaries(self) -> None:
        for handle in self.looked_at():
            assert handle.list_collections() == sorted(self.model)
            assert handle.list_aliases()["aliases"] == sorted(self.aliases)
            assert set(handle.list_databases()) == self.databases
            for name, wanted in self.model.items():
                assert set(handle.list_partitions(name)) == set(wanted.partitions)
                assert handle.get_load_state(name) == {"state": state_of(wanted.loaded)}
                stats = handle.get_collection_stats(name)
                assert stats == {"row_count": len(wanted.rows)}
                for partition, loaded in wanted.partitions.items():
                    assert handle.get_load_state(name, partition) == {"state": state_of(loaded)}
                    count = sum(r.partition == partition for r in wanted.rows.values())
                    stats = handle.get_partition_stats(name, partition)
                    assert stats == {"row_count": count}

    @invariant()
    def rows_and_searches_are_those_of_the_dictionaries(self) -> None:
        self.steps += 1
        for name, wanted in self.model.items():
            if wanted.loaded:
                for handle in self.looked_at():
                    self.check_rows(handle, name, wanted)
                    for query in ((1, 2, -1), (0, -3, 4)):
                        self.check_search(handle, name, wanted, np.array(query, np.float64))

    def looked_at(self) -> list[Any]:
        """The handles that are looked at in this step: this process's, and one of the others."""
        return self.handles[:1] + self.handles[1 + self.steps % 2 :][:1]

    def check_rows(self, client: Any, name: str, model: Model) -> None:
        wanted = model.visible()
        found = client.query(name, limit=100, output_fields=["*"])
        assert {r["id"]: tuple(r["vector"]) for r in found} == {
            k: r.vector for k, r in wanted.items()
        }
        assert len(found) == len(wanted)
        if model.has_n:
            assert {r["id"]: r["n"] for r in found} == {k: r.n for k, r in wanted.items()}
        by_key = client.get(name, list(range(EXTRA + 1)))
        assert [r["id"] for r in by_key] == sorted(wanted)
        for partition, loaded in model.partitions.items():
            if loaded:
                of_it = [k for k, r in wanted.items() if r.partition == partition]
                read = client.query(name, "id >= 0", partition_names=[partition], limit=100)
                assert sorted(r["id"] for r in read) == sorted(of_it)

    def check_search(
        self, client: Any, name: str, model: Model, query: np.ndarray[Any, Any]
    ) -> None:
        limit, rows, metric = 5, model.visible(), model.metric
        (hits,) = client.search(self.called(name), [query.astype(np.float32)], limit=limit)
        keys = sorted(rows)
        exact = {}
        if keys:
            vectors = np.array([rows[k].vector for k in keys], np.float64)
            exact = dict(zip(keys, scores(metric, vectors, query).tolist(), strict=True))
        best = sorted(exact.values(), reverse=metric != "L2")[:limit]
        assert len({h["id"] for h in hits}) == len(hits) == len(best)
        assert np.allclose([h["distance"] for h in hits], best, rtol=1e-5, atol=1e-5)
        # Equal ids up to ties: each hit has the score that numpy gives its own row.
        for hit in hits:
            assert abs(exact[hit["id"]] - hit["distance"]) < 1e-4


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=int(os.environ.get("WALVEC_MODEL_EXAMPLES", "20")),
    stateful_step_count=20,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
