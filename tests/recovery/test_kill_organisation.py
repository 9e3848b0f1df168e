"""A process killed within a command on the organisation of a store: all of it, or nothing."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from lab import assert_state_is_replayed
from peer import Peer

from walvec import DataType, MilvusClient
from walvec.recovery.verify import verify

NAME = "c"
KEYED = "keyed"
COMMANDS: dict[str, str] = {
    "drop_partition": "client.drop_partition('c', 'p')",
    "release_partitions": "client.release_partitions('c', ['q'])",
    "load_partitions": "client.load_partitions('c', ['p'])",
    "alter_alias": "client.alter_alias('keyed', 'other')",
    "rename": "client.rename_collection('keyed', 'moved', target_db='second')",
    "truncate": "client.truncate_collection('c')",
    "add_field": "client.add_collection_field('c', 'n', DataType.INT64, default_value=3)",
    "add_vector": "client.add_collection_field('c', 'w', DataType.FLOAT_VECTOR, dim=2, "
    "nullable=True)",
    "keyed_insert": "client.insert('keyed', [{'id': i, 'vector': [1.0, i], 'tenant': i} "
    "for i in range(100, 150)])",
    "partial_update": "client.upsert('keyed', {'id': 1, 'tenant': 77}, partial_update=True)",
    "moving_upsert": "client.upsert('c', {'id': 2, 'vector': [9.0, 9.0]}, partition_name='q')",
    "delete_in_partition": "client.delete('c', [1, 2, 4], partition_name='q')",
    "compact": "client.compact('c')",
}


def make(folder: Path) -> None:
    """A store with a collection of three partitions, one of them released, and one with a key."""
    with MilvusClient(folder, segment_max_bytes=64) as client:
        client.create_collection(NAME, 2, metric_type="L2")
        for partition in ("p", "q"):
            client.create_partition(NAME, partition)
        insert(client, NAME, "", 1, 2, 3)
        insert(client, NAME, "p", 2)
        client.flush(NAME)
        insert(client, NAME, "q", 4, 5)
        client.flush(NAME)
        insert(client, NAME, "q", 6)
        client.flush(NAME)
        client.release_partitions(NAME, ["p"])
        client.create_alias(NAME, "other")
        client.create_database("second")
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        schema.add_field("tenant", DataType.INT64, is_partition_key=True)
        params = client.prepare_index_params()
        params.add_index("vector", "FLAT", metric_type="L2")
        client.create_collection(KEYED, schema=schema, index_params=params, num_partitions=7)
        data = [{"id": i, "vector": [1.0, i], "tenant": i} for i in range(20)]
        client.insert(KEYED, data)
        client.wait_for_files(60)


def insert(client: Any, name: str, partition: str, *ids: int) -> None:
    data = [{"id": i, "vector": [float(i), 1.0]} for i in ids]
    client.insert(name, data, partition_name=partition)


def told(client: MilvusClient) -> dict[str, Any]:
    """What users see of the store, all of it."""
    found: dict[str, Any] = {"databases": client.list_databases()}
    for database in client.list_databases():
        client.use_database(database)
        found[f"{database} aliases"] = client.list_aliases()
        for name in client.list_collections():
            read = client.query(name, "id >= 0", limit=1000, output_fields=["*"])
            indexes = sorted(i.name for i in client.info(name).indexes.values())
            partitions = {
                p: (client.get_partition_stats(name, p), client.get_load_state(name, p))
                for p in client.list_partitions(name)
            }
            found[f"{database}.{name}"] = (
                *(client.describe_collection(name), indexes, partitions),
                *({r["id"]: r for r in read}, client.get_collection_stats(name)),
                sorted((s.num_rows, s.partition_id) for s in client.list_segments(name)),
            )
    client.use_database("default")
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_killed_happened_or_did_not(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "store"
    make(folder)
    with MilvusClient(folder, segment_max_bytes=64) as client:
        before = told(client)
        for point in ("commit.before", "commit.after"):
            peer = Peer(folder, segment_max_bytes=64)
            peer.run("from walvec import DataType")
            # Nothing else is to arrive at the point: no file is left to be made.
            for handle in (client, peer):
                handle.wait_for_files(60)
            peer.run(f"failpoints.arm_from('{point}=kill')")
            peer.send("run", COMMANDS[command], {})
            assert peer.bury() == -signal.SIGKILL
            after = told(client)
            assert (after == before) == (point == "commit.before")
            assert_state_is_replayed(client._store)
    with MilvusClient(folder, segment_max_bytes=64) as again:
        assert told(again) == after
        assert_state_is_replayed(again._store)
        insert(again, NAME, "", 50)
        assert {r["id"] for r in again.query(NAME, "id == 50")} == {50}
    assert verify(folder).ok
