"""Three processes that reorganise one collection at the same time, without any order between them:
whatever came out of it, all of them see the same, and so do a replay and verify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab import assert_state_is_replayed
from peer import Peer, wait_until

from walvec import LoadState, MilvusClient
from walvec.recovery.verify import verify

NAME = "c"
STEPS = 60
WORK = """
import random
from walvec import DataType
from walvec.exceptions import MilvusException

rng = random.Random(seed)
refused = []

def rows(n):
    keys = rng.sample(range(40), n)
    return [{'id': k, 'vector': [float(k), float(seed)], 'by': seed} for k in keys]

def step(number):
    part = rng.choice(['_default', 'p', 'q'])
    kind = rng.choice(['insert'] * 4 + ['upsert', 'delete', 'filter', 'partial', 'flush', 'compact',
                       'create', 'drop', 'load', 'release', 'whole', 'truncate', 'field', 'alias',
                       'query'])
    if kind == 'insert': client.insert('c', rows(4), partition_name=part)
    if kind == 'upsert': client.upsert('c', rows(3), partition_name=part)
    if kind == 'delete': client.delete('c', rng.sample(range(40), 3))
    if kind == 'filter': client.delete('c', filter=f'by == {rng.randrange(3)} and id < 10')
    if kind == 'partial': client.upsert('c', rows(2), partial_update=True)
    if kind == 'flush': client.flush('c')
    if kind == 'compact': client.compact('c')
    if kind == 'create': client.create_partition('c', part)
    if kind == 'drop':
        client.release_partitions('c', part)
        client.drop_partition('c', part)
    if kind == 'load': client.load_partitions('c', part)
    if kind == 'release': client.release_partitions('c', part)
    if kind == 'whole': rng.choice([client.load_collection, client.release_collection])('c')
    if kind == 'truncate' and rng.random() < 0.2: client.truncate_collection('c')
    if kind == 'field' and rng.random() < 0.2:
        client.add_collection_field('c', f'f{seed}_{number}', DataType.INT64, default_value=seed)
    if kind == 'alias':
        rng.choice([lambda: client.create_alias('c', 'a'), lambda: client.drop_alias('a')])()
    if kind == 'query':
        found = [r['id'] for r in client.query('c', 'id >= 0', limit=100)]
        assert len(found) == len(set(found)), found

def work():
    for number in range(steps):
        try:
            step(number)
        except MilvusException as error:
            refused.append(str(error))
"""


def told(client: Any) -> dict[str, Any]:
    """What a client sees of the collection."""
    partitions = client.list_partitions(NAME)
    counts = {p: client.get_partition_stats(NAME, p)["row_count"] for p in partitions}
    assert client.get_collection_stats(NAME)["row_count"] == sum(counts.values())
    found: dict[str, Any] = {"counts": counts, "described": client.describe_collection(NAME)}
    for partition in partitions:
        if client.get_load_state(NAME, partition)["state"] == LoadState.Loaded:
            read = client.query(
                NAME, "id >= 0", output_fields=["*"], limit=100, partition_names=[partition]
            )
            assert len(read) == counts[partition]
            found[partition] = sorted((r["id"], r["vector"], r["by"]) for r in read)
    return found


@pytest.mark.parametrize("seed", [0, 10])
def test_processes_that_reorganise_at_once_agree(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    folder = tmp_path / "store"
    with MilvusClient(folder) as client:
        client.create_collection(NAME, 2, metric_type="L2")
        peers = [Peer(folder, segment_max_bytes=200, checkpoint_events=50) for _ in range(3)]
        for number, peer in enumerate(peers):
            peer.run(WORK, seed=seed + number, steps=STEPS)
        for peer in peers:
            peer.send("run", "work()", {})
        for peer in peers:
            peer.receive()
            # Refused are calls that came too late for what another process did: no more.
            refused = peer.do("refused")
            assert not [r for r in refused if "code=" not in r]
            grave = ("StoreBroken", "LogCorrupted", "CommitFailed", "StoreClosed")
            assert not [r for r in refused if any(name in r for name in grave)]
        for peer in peers:
            peer.wait_for_files(60)
        wait_until(lambda: len({peer.digest() for peer in peers}) == 1, "all states are the same")
        wanted = told(client)
        assert all(told(peer) == wanted for peer in peers)
        client.load_collection(NAME)
        whole = told(client)
        assert whole["counts"] == wanted["counts"]
        for peer in peers:
            assert told(peer) == whole
            peer.end()
        assert_state_is_replayed(client._store)
    with MilvusClient(folder) as again:
        assert told(again) == whole
    assert verify(folder).ok
