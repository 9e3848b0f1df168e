"""Eight threads of mixed commands on one client: what one process does with itself.

The invariants are those of the torture test, and so are the judges.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torture import invariants
from torture.batches import (
    SHARED_BATCHES,
    Batch,
    content_hash,
    rows_of,
    shared_batch,
    stamp_of,
    torn,
    vector_of,
)
from torture.history import read_history
from torture.plan import STEADY, TOGGLED, Plan
from torture.roles import prepare
from torture.testimony import Account, Attempt, Read, Refusal

from walvec import MilvusClient
from walvec.exceptions import CollectionNotLoadedException, StoreClosedException
from walvec.recovery.verify import verify

SEED = int(os.environ.get("WALVEC_TEST_SEED", "7"))
SECONDS = 4.0
WRITERS, READERS = 4, 2
LIMIT = 5


class Hand:
    """One thread: what it does with the client, written down as a process of the torture does."""

    def __init__(self, client: MilvusClient, number: int, seed: int) -> None:
        self.client = client
        self.number = number
        self.name = f"thread-{number}"
        self.rng = random.Random(f"{seed}/{number}")
        self.account = Account()
        self.live: list[tuple[str, Batch]] = []
        self.batches = 0
        self.op = 0

    def attempt(self, kind: str, collection: str, call: Callable[[], Any], **what: Any) -> None:
        """Change something."""
        self.op += 1
        start = time.monotonic_ns()
        attempt = Attempt(self.name, self.op, kind, collection, start, **what)
        self.account.attempts.append(attempt)
        answer = call()
        attempt.end = time.monotonic_ns()
        attempt.seq = answer["seq"] if isinstance(answer, dict) else None

    def write(self) -> None:
        """Insert, upsert or delete a batch, of this thread or of all."""
        kinds = ["insert"] * 5 + ["shared"] * 2
        kinds += ["upsert", "delete", "delete"] if self.live else []
        kind = "delete" if len(self.live) > 20 else self.rng.choice(kinds)
        collection = STEADY if self.rng.random() < 0.7 else TOGGLED
        if kind == "insert":
            self.batches += 1
            batch = Batch(self.number, self.batches, self.rng.randint(2, 15))
            self.live.append((collection, batch))
        elif kind == "shared":
            kind, batch = "upsert", shared_batch(self.rng.randrange(SHARED_BATCHES))
        else:
            collection, batch = self.rng.choice(self.live)
        client = self.client
        if kind == "delete":
            self.live.remove((collection, batch))
            pks = batch.pks
            self.attempt(kind, collection, lambda: client.delete(collection, ids=pks), batch=batch)
            return
        stamp = stamp_of(self.number, self.op + 1)
        rows = rows_of(batch, stamp)
        self.attempt(
            kind,
            collection,
            lambda: getattr(client, kind)(collection, rows),
            batch=batch,
            stamp=stamp,
        )

    def read(self) -> None:
        """Search, or read all rows."""
        self.op += 1
        collection = self.rng.choice((STEADY, STEADY, TOGGLED))
        kind = self.rng.choice(("all", "search", "search"))
        start = time.monotonic_ns()
        told = (self.name, self.op, kind, collection, start)
        try:
            seq, what = getattr(self, kind)(collection)
        except CollectionNotLoadedException as error:
            name = type(error).__name__
            refusal = Refusal(*told, time.monotonic_ns(), name, error.message)
            self.account.refusals.append(refusal)
            return
        self.account.reads.append(Read(*told, time.monotonic_ns(), seq, what=what))

    def all(self, collection: str) -> tuple[int, dict[str, Any]]:
        """Every row."""
        answer = self.client.query(collection, limit=16_000, output_fields=["stamp"])
        pairs = [(row["id"], row["stamp"]) for row in answer]
        self.account.complaints += torn(pairs)
        return answer.extra["seq"], {"n": len(pairs), "hash": content_hash(pairs)}

    def search(self, collection: str) -> tuple[int, dict[str, Any]]:
        """The nearest rows to a random place."""
        near = vector_of(1, self.op)
        answer = self.client.search(collection, [near], limit=LIMIT, output_fields=["stamp"])
        pairs = [(hit["id"], hit["entity"]["stamp"]) for hit in answer[0]]
        return answer.extra["seq"], {"limit": LIMIT, "pairs": pairs}

    def toggle(self) -> None:
        """Load or release, for all."""
        kind = self.rng.choice(("load", "load", "release"))
        client = self.client
        call = client.load_collection if kind == "load" else client.release_collection
        try:
            self.attempt(kind, TOGGLED, lambda: call(TOGGLED))
        except CollectionNotLoadedException:
            return  # released by another thread before it was read into memory

    def flush(self) -> None:
        """Seal."""
        self.attempt("flush", STEADY, lambda: self.client.flush(STEADY))
        time.sleep(self.rng.uniform(0.01, 0.1))


def run(hands: list[Hand], acts: list[str]) -> list[BaseException]:
    """Each hand does its act over and over; what was raised."""
    raised: list[BaseException] = []
    end = time.monotonic() + SECONDS

    def work(hand: Hand, act: str) -> None:
        try:
            while time.monotonic() < end and not raised:
                getattr(hand, act)()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(hands, acts, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 60)
        assert not thread.is_alive(), "a thread waits for ever"
    return raised


def test_eight_threads_of_mixed_commands_keep_all_invariants(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    client = MilvusClient(tmp_path / "store", segment_max_bytes=400 * 16)
    prepare(client)
    hands = [Hand(client, number, SEED) for number in range(1, WRITERS + READERS + 3)]
    raised = run(hands, ["write"] * WRITERS + ["read"] * READERS + ["toggle", "flush"])
    assert not raised, raised
    client.wait_for_files(60)
    client.close()
    account = Account()
    for hand in hands:
        account.attempts += hand.account.attempts
        account.reads += hand.account.reads
        account.refusals += hand.account.refusals
        account.complaints += hand.account.complaints
    assert len(account.attempts) > 100 and len(account.reads) > 20
    history = read_history(tmp_path / "store")
    violations = [
        *account.complaints,
        *invariants.seqs_have_no_gaps(history),
        *invariants.acknowledged_is_stored(account.attempts, history),
        *invariants.stored_is_attempted(account.attempts, history),
        *invariants.reads_are_states(account.reads, history),
        *invariants.reads_are_fresh(account.reads, account.attempts),
        *invariants.no_reader_goes_back(account.reads),
        *invariants.loads_hold_for_all(account, history),
        *invariants.timeouts_are_explained(account.refusals, [], Plan()),
        *(str(finding) for finding in verify(tmp_path / "store").findings),
    ]
    assert not violations, "\n".join(violations[:20])


def test_threads_that_open_and_close_clients_share_one_store(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with MilvusClient(folder) as client:
        client.create_collection("c", 2)
    raised: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                with MilvusClient(folder) as own:
                    pk = 100 * number + turn
                    own.insert("c", {"id": pk, "vector": [1.0, 2.0]})
                    assert own.get("c", [pk])
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not raised, raised
    with MilvusClient(folder) as client:
        assert client.get_collection_stats("c") == {"row_count": 80}
    assert verify(folder).findings == []


@pytest.mark.parametrize("how", ["insert", "search"])
def test_closing_a_client_while_threads_use_it_ends_them_with_its_error(
    tmp_path: Path, how: str
) -> None:
    client = MilvusClient(tmp_path / "store")
    client.create_collection("c", 2)
    client.insert("c", {"id": 1, "vector": [1.0, 2.0]})
    begun = threading.Barrier(5)
    ends: list[BaseException] = []

    def work(number: int) -> None:
        calls = {
            "insert": lambda: client.insert("c", {"id": number, "vector": [1.0, 2.0]}),
            "search": lambda: client.search("c", [[1.0, 2.0]], limit=1),
        }
        try:
            calls[how]()
            begun.wait(30)
            while True:
                calls[how]()
        except BaseException as error:
            ends.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    begun.wait(30)
    client.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert [type(end) for end in ends] == [StoreClosedException] * 4, ends
    assert verify(tmp_path / "store").findings == []
