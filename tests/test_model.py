"""Random commands through the public client, against a plain dictionary.

After every step the live state is the one replayed from zero, counts are those of the
dictionary, and searches give what numpy computes over it.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import lab
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from walvec import MilvusClient
from walvec.results import LoadState

DIM = 3
METRICS = ("L2", "IP", "COSINE")
SEGMENT_MAX_BYTES = 10 * DIM * 4
NAMES = st.sampled_from(["a", "b"])
KEYS = st.lists(st.integers(0, 25), min_size=1, max_size=6)
WHOLE = st.integers(-4, 4)
VECTORS = st.tuples(WHOLE, WHOLE, WHOLE).filter(any)

WRITE_AND_DIE = """
import os, signal, sys
from walvec import MilvusClient
client = MilvusClient(sys.argv[1], segment_max_bytes=int(sys.argv[2]))
client.insert(sys.argv[3], [{"id": int(sys.argv[4]), "vector": eval(sys.argv[5])}])
os.kill(os.getpid(), signal.SIGKILL)
"""


def scores(metric: str, vectors: np.ndarray[Any, Any], query: np.ndarray[Any, Any]) -> Any:
    """Milvus' scores in double precision."""
    if metric == "L2":
        return ((vectors - query) ** 2).sum(1)
    products = vectors @ query
    if metric == "IP":
        return products
    return products / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)


class StoreMachine(RuleBasedStateMachine):
    """A client and the dictionary that it is held against."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="walvec-model-"))
        # name -> {"metric", "loaded", "rows": {id: vector}}
        self.model: dict[str, dict[str, Any]] = {}
        self.deaths = 0

    def connect(self) -> None:
        self.client = MilvusClient(self.folder / "store", segment_max_bytes=SEGMENT_MAX_BYTES)

    @initialize(metric=st.sampled_from(METRICS))
    def start(self, metric: str) -> None:
        self.connect()
        self.create("a", metric)

    def teardown(self) -> None:
        if hasattr(self, "client"):
            self.client.close()
        shutil.rmtree(self.folder)

    def create(self, name: str, metric: str) -> None:
        self.client.create_collection(name, DIM, metric_type=metric, enable_dynamic_field=False)
        # The index is FLAT, so that every segment answers exactly.
        self.client.release_collection(name)
        for index in self.client.list_indexes(name):
            self.client.drop_index(name, index)
        self.index(name, metric)
        self.client.load_collection(name)
        self.model[name] = {"metric": metric, "loaded": True, "rows": {}}

    def index(self, name: str, metric: str) -> None:
        index = self.client.prepare_index_params()
        index.add_index("vector", "FLAT", metric_type=metric)
        self.client.create_index(name, index)

    @rule(name=NAMES, metric=st.sampled_from(METRICS))
    def create_collection(self, name: str, metric: str) -> None:
        if name not in self.model:
            self.create(name, metric)

    @rule(name=NAMES, keys=KEYS, vectors=st.lists(VECTORS, min_size=6, max_size=6))
    def insert(self, name: str, keys: list[int], vectors: list[tuple[int, ...]]) -> None:
        if name in self.model:
            self.write("insert", name, keys, vectors)

    @rule(name=NAMES, keys=KEYS, vectors=st.lists(VECTORS, min_size=6, max_size=6))
    def upsert(self, name: str, keys: list[int], vectors: list[tuple[int, ...]]) -> None:
        if name in self.model:
            self.write("upsert", name, list(dict.fromkeys(keys)), vectors)

    def write(self, how: str, name: str, keys: list[int], vectors: list[Any]) -> None:
        pairs = list(zip(keys, vectors, strict=False))
        rows = [{"id": k, "vector": np.array(v, np.float32)} for k, v in pairs]
        getattr(self.client, how)(name, rows)
        self.model[name]["rows"].update(pairs)

    @rule(name=NAMES, keys=KEYS)
    def delete(self, name: str, keys: list[int]) -> None:
        if name in self.model:
            self.client.delete(name, ids=keys)
            for key in keys:
                self.model[name]["rows"].pop(key, None)

    @rule(name=NAMES)
    def flush(self, name: str) -> None:
        if name in self.model:
            self.client.flush(name)

    @rule(name=NAMES)
    def flush_and_wait_for_files(self, name: str) -> None:
        if name in self.model:
            self.client.flush(name, wait=True, timeout=60)

    @rule(name=NAMES, metric=st.sampled_from(METRICS))
    def index_anew(self, name: str, metric: str) -> None:
        if name in self.model and not self.model[name]["loaded"]:
            (index,) = self.client.list_indexes(name)
            self.client.drop_index(name, index)
            self.index(name, metric)
            self.model[name]["metric"] = metric

    @rule(name=NAMES)
    def load(self, name: str) -> None:
        if name in self.model:
            self.client.load_collection(name)
            self.model[name]["loaded"] = True

    @rule(name=NAMES)
    def release(self, name: str) -> None:
        if name in self.model:
            self.client.release_collection(name)
            self.model[name]["loaded"] = False

    @rule(name=NAMES)
    def drop(self, name: str) -> None:
        self.client.drop_collection(name)
        self.model.pop(name, None)

    @rule()
    def reopen(self) -> None:
        self.client.close()
        self.connect()

    @precondition(lambda self: self.deaths < 1 and self.model)
    @rule(key=st.integers(0, 25), vector=VECTORS)
    def insert_in_a_process_that_is_killed(self, key: int, vector: tuple[int, ...]) -> None:
        name = sorted(self.model)[0]
        self.deaths += 1
        self.client.close()
        arguments = (self.folder / "store", SEGMENT_MAX_BYTES, name, key, list(vector))
        done = lab.run_child(WRITE_AND_DIE, *arguments, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        self.model[name]["rows"][key] = vector
        self.connect()

    @invariant()
    def the_live_state_is_the_one_replayed_from_zero(self) -> None:
        if hasattr(self, "client"):
            lab.assert_state_is_replayed(self.client._store)

    @invariant()
    def names_flags_and_counts_are_those_of_the_dictionary(self) -> None:
        if not hasattr(self, "client"):
            return
        assert self.client.list_collections() == sorted(self.model)
        for name, wanted in self.model.items():
            state = LoadState.Loaded if wanted["loaded"] else LoadState.NotLoad
            assert self.client.get_load_state(name) == {"state": state}
            stats = self.client.get_collection_stats(name)
            assert stats == {"row_count": len(wanted["rows"])}

    @invariant()
    def rows_and_searches_are_those_of_the_dictionary(self) -> None:
        for name, wanted in self.model.items():
            if wanted["loaded"]:
                self.check_rows(name, wanted["rows"])
                for query in ((1, 2, -1), (0, -3, 4)):
                    self.check_search(name, wanted, np.array(query, np.float64))

    def check_rows(self, name: str, wanted: dict[int, Any]) -> None:
        found = self.client.query(name, limit=100, output_fields=["*"])
        assert {r["id"]: tuple(r["vector"]) for r in found} == wanted
        assert len(found) == len(wanted)
        by_key = self.client.get(name, list(range(26)))
        assert [r["id"] for r in by_key] == sorted(wanted)

    def check_search(self, name: str, model: dict[str, Any], query: np.ndarray[Any, Any]) -> None:
        limit, rows, metric = 5, model["rows"], model["metric"]
        (hits,) = self.client.search(name, [query.astype(np.float32)], limit=limit)
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
