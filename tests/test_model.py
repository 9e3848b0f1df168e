"""Random commands through the public client, against a plain dictionary.

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
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from peer import Peer, wait_until

from walvec import MilvusClient
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

HANDLES = st.sampled_from([0, 0, 1, 2])
"""Which handle a command is given to: 0 is this process's."""

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


class StoreMachine(RuleBasedStateMachine):
    """Three clients and the dictionary that they are held against."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="walvec-model-"))
        # name -> {"metric", "loaded", "rows": {id: vector}}
        self.model: dict[str, dict[str, Any]] = {}
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
        self.model[name] = {"metric": metric, "loaded": True, "rows": {}}

    def index(self, client: Any, name: str, metric: str) -> None:
        index = MilvusClient.prepare_index_params()
        index.add_index("vector", "FLAT", metric_type=metric)
        client.create_index(name, index)

    @rule(by=HANDLES, name=NAMES, metric=st.sampled_from(METRICS))
    def create_collection(self, by: int, name: str, metric: str) -> None:
        if name not in self.model:
            self.create(self.handles[by], name, metric)

    @rule(by=HANDLES, name=NAMES, keys=KEYS, vectors=st.lists(VECTORS, min_size=6, max_size=6))
    def insert(self, by: int, name: str, keys: list[int], vectors: list[tuple[int, ...]]) -> None:
        if name in self.model:
            self.write(self.handles[by], "insert", name, keys, vectors)

    @rule(by=HANDLES, name=NAMES, keys=KEYS, vectors=st.lists(VECTORS, min_size=6, max_size=6))
    def upsert(self, by: int, name: str, keys: list[int], vectors: list[tuple[int, ...]]) -> None:
        if name in self.model:
            self.write(self.handles[by], "upsert", name, list(dict.fromkeys(keys)), vectors)

    def write(self, client: Any, how: str, name: str, keys: list[int], vectors: list[Any]) -> None:
        pairs = list(zip(keys, vectors, strict=False))
        rows = [{"id": k, "vector": np.array(v, np.float32)} for k, v in pairs]
        getattr(client, how)(name, rows)
        self.model[name]["rows"].update(pairs)

    @rule(by=HANDLES, name=NAMES, keys=KEYS)
    def delete(self, by: int, name: str, keys: list[int]) -> None:
        if name in self.model:
            self.handles[by].delete(name, ids=keys)
            for key in keys:
                self.model[name]["rows"].pop(key, None)

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
        if name in self.model and not self.model[name]["loaded"]:
            client = self.handles[by]
            (index,) = client.list_indexes(name)
            client.drop_index(name, index)
            self.index(client, name, metric)
            self.model[name]["metric"] = metric

    @rule(by=HANDLES, name=NAMES)
    def load(self, by: int, name: str) -> None:
        if name in self.model:
            self.handles[by].load_collection(name)
            self.model[name]["loaded"] = True

    @rule(by=HANDLES, name=NAMES)
    def release(self, by: int, name: str) -> None:
        if name in self.model:
            self.handles[by].release_collection(name)
            self.model[name]["loaded"] = False

    @rule(by=HANDLES, name=NAMES)
    def drop(self, by: int, name: str) -> None:
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
            self.model[name]["rows"][EXTRA] = vector
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
        self.model[name]["rows"][key] = vector

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
    def names_flags_and_counts_are_those_of_the_dictionary(self) -> None:
        for handle in self.looked_at():
            assert handle.list_collections() == sorted(self.model)
            for name, wanted in self.model.items():
                state = LoadState.Loaded if wanted["loaded"] else LoadState.NotLoad
                assert handle.get_load_state(name) == {"state": state}
                stats = handle.get_collection_stats(name)
                assert stats == {"row_count": len(wanted["rows"])}

    @invariant()
    def rows_and_searches_are_those_of_the_dictionary(self) -> None:
        self.steps += 1
        for name, wanted in self.model.items():
            if wanted["loaded"]:
                for handle in self.looked_at():
                    self.check_rows(handle, name, wanted["rows"])
                    for query in ((1, 2, -1), (0, -3, 4)):
                        self.check_search(handle, name, wanted, np.array(query, np.float64))

    def looked_at(self) -> list[Any]:
        """The handles that are looked at in this step: this process's, and one of the others."""
        return self.handles[:1] + self.handles[1 + self.steps % 2 :][:1]

    def check_rows(self, client: Any, name: str, wanted: dict[int, Any]) -> None:
        found = client.query(name, limit=100, output_fields=["*"])
        assert {r["id"]: tuple(r["vector"]) for r in found} == wanted
        assert len(found) == len(wanted)
        by_key = client.get(name, list(range(EXTRA + 1)))
        assert [r["id"] for r in by_key] == sorted(wanted)

    def check_search(
        self, client: Any, name: str, model: dict[str, Any], query: np.ndarray[Any, Any]
    ) -> None:
        limit, rows, metric = 5, model["rows"], model["metric"]
        (hits,) = client.search(name, [query.astype(np.float32)], limit=limit)
        keys = sorted(rows)
        exact = {}
        if keys:
            vectors = np.array([rows[k] for k in keys], np.float64)
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
