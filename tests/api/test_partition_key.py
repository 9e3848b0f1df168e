"""A partition key: its values choose the partition, and everything else goes on as without."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import assert_state_is_replayed
from peer import Peer

from walvec import DataType, MilvusClient
from walvec.exceptions import CollectionAlreadyExistException, DataNotMatchException, ParamError
from walvec.segments.partition_keys import partition_places
from walvec.wal.rows import Column

NAME = "c"
COUNT = 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def client(folder: Path) -> Iterator[MilvusClient]:
    with MilvusClient(folder, segment_max_bytes=40 * 8) as opened:
        yield opened


def create(
    client: MilvusClient, kind: DataType = DataType.VARCHAR, *, auto_id: bool = False, **more: Any
) -> None:
    schema = client.create_schema(auto_id=auto_id)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    length = {"max_length": 20} if kind == DataType.VARCHAR else {}
    schema.add_field("tenant", kind, is_partition_key=True, **length)
    params = client.prepare_index_params()
    params.add_index("vector", "FLAT", metric_type="L2")
    options = {"num_partitions": COUNT, **more}
    client.create_collection(NAME, schema=schema, index_params=params, **options)


def rows(ids: Any, tenant: Any) -> list[dict[str, Any]]:
    return [{"id": i, "vector": [float(i), 0.0], "tenant": tenant} for i in ids]


def found(client: Any, expression: str = "id >= 0") -> dict[int, Any]:
    read = client.query(NAME, expression, limit=10_000, output_fields=["id", "tenant"])
    return {r["id"]: r["tenant"] for r in read}


def held(client: Any) -> dict[str, int]:
    """Rows by partition."""
    names = client.list_partitions(NAME)
    return {n: client.get_partition_stats(NAME, n)["row_count"] for n in names}


# The hash


@given(st.lists(st.text(max_size=12), max_size=20), st.integers(1, 1024))
def test_a_text_has_one_place_whatever_stands_beside_it(texts: list[str], n: int) -> None:
    together = partition_places(Column.of_texts(texts), n).tolist()
    alone = [int(partition_places(Column.of_texts([t]), n)[0]) for t in texts]
    assert together == alone
    sliced = partition_places(Column.of_texts(["before", *texts]).slice(1, len(texts) + 1), n)
    assert sliced.tolist() == alone
    assert all(0 <= place < n for place in together)


def test_places_are_the_same_on_every_machine_and_for_ever() -> None:
    texts = Column.of_texts(["", "a", "b", "größe", "tenant-1", "x" * 300])
    numbers = Column(np.array([0, 1, -1, 2**63 - 1, -(2**63), 42], np.int64))
    assert partition_places(texts, 64).tolist() == TEXT_PLACES
    assert partition_places(numbers, 64).tolist() == NUMBER_PLACES


TEXT_PLACES = [47, 35, 4, 5, 13, 56]
NUMBER_PLACES = [47, 1, 32, 39, 27, 21]


@pytest.mark.parametrize("kind", ["text", "number"])
def test_keys_are_spread_evenly(kind: str) -> None:
    n, parts = 64_000, 64
    if kind == "text":
        keys = Column.of_texts(f"tenant-{i}" for i in range(n))
    else:
        keys = Column(np.arange(n) * 1024)
    counts = np.bincount(partition_places(keys, parts), minlength=parts)
    assert counts.min() > 0.8 * n / parts
    assert counts.max() < 1.2 * n / parts


# The collection


@pytest.mark.parametrize(("kind", "tenants"), [(DataType.VARCHAR, "abcdef"), (DataType.INT64, 9)])
def test_rows_of_one_key_are_in_one_partition(
    client: MilvusClient, kind: DataType, tenants: Any
) -> None:
    create(client, kind)
    values = list(tenants) if isinstance(tenants, str) else list(range(tenants))
    for place, value in enumerate(values):
        before = held(client)
        client.insert(NAME, rows(range(10 * place, 10 * place + 10), value))
        grown = [n for n, count in held(client).items() if count != before[n]]
        assert len(grown) == 1
    assert sum(held(client).values()) == 10 * len(values)
    for place, value in enumerate(values):
        literal = f"'{value}'" if isinstance(value, str) else value
        wanted = dict.fromkeys(range(10 * place, 10 * place + 10), value)
        assert found(client, f"tenant == {literal}") == wanted
        (hits,) = client.search(NAME, [[0.0, 0.0]], f"tenant in [{literal}]", limit=50)
        assert sorted(hits.ids) == sorted(wanted)


def test_every_filter_on_the_key_sees_all_its_rows(client: MilvusClient) -> None:
    create(client)
    tenants = [f"t{i}" for i in range(12)]
    model = {i: tenants[i % 12] for i in range(60)}
    data = [row for i, tenant in model.items() for row in rows([i], tenant)]
    client.insert(NAME, data)
    tests: dict[str, Any] = {
        "tenant == 't3'": lambda t: t == "t3",
        "tenant in ['t1', 't2']": lambda t: t in ("t1", "t2"),
        "tenant == 't1' or tenant == 't5'": lambda t: t in ("t1", "t5"),
        "tenant == 't1' or id == 2": None,
        "tenant != 't1'": lambda t: t != "t1",
        "not (tenant == 't1')": lambda t: t != "t1",
        "tenant not in ['t1', 't2']": lambda t: t not in ("t1", "t2"),
        "tenant > 't5'": lambda t: t > "t5",
        "tenant like 't1%'": lambda t: t.startswith("t1"),
        "tenant == 't1' and tenant == 't2'": lambda _: False,
        "tenant == 'absent'": lambda _: False,
        "tenant in []": lambda _: False,
        "tenant == 't1' and (tenant == 't2' or id >= 0)": lambda t: t == "t1",
    }
    for expression, test in tests.items():
        wanted = {i: t for i, t in model.items() if test and test(t)}
        if test is None:
            wanted = {i: t for i, t in model.items() if t == "t1" or i == 2}
        assert found(client, expression) == wanted, expression
        counted = client.query(NAME, expression, output_fields=["count(*)"])
        assert counted[0]["count(*)"] == len(wanted), expression
    template = client.query(NAME, "tenant == {t}", filter_params={"t": "t3"}, limit=99)
    assert sorted(r["id"] for r in template) == [i for i, t in model.items() if t == "t3"]
    assert client.delete(NAME, filter="tenant in ['t1', 't2']")["delete_count"] == 10
    assert found(client) == {i: t for i, t in model.items() if t not in ("t1", "t2")}


def test_automatic_ids_are_returned_in_the_order_of_the_rows(
    folder: Path, client: MilvusClient
) -> None:
    create(client, auto_id=True)
    rng = random.Random(3)
    model: dict[int, str] = {}
    for _ in range(5):
        tenants = [rng.choice("abcdefgh") for _ in range(17)]
        data = [{"vector": [float(ord(t)), 0.0], "tenant": t} for t in tenants]
        ids = client.insert(NAME, data)["ids"]
        assert not set(ids) & set(model)
        model.update(zip(ids, tenants, strict=True))
    assert found(client) == model
    vectors = client.query(NAME, "id > 0", limit=1000, output_fields=["vector"])
    assert {r["id"]: chr(int(r["vector"][0])) for r in vectors} == model
    client.close()
    with MilvusClient(folder) as again:
        assert found(again) == model
        assert_state_is_replayed(again._store)


@pytest.mark.parametrize("seed", [1, 2])
def test_an_upsert_that_changes_the_key_moves_the_row(
    folder: Path, client: MilvusClient, seed: int
) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    create(client)
    peer = Peer(folder, segment_max_bytes=40 * 8)
    model: dict[int, str] = {}
    try:
        for _ in range(40):
            handle: Any = rng.choice([client, peer])
            keys = rng.sample(range(40), 8)
            data = [row for k in keys for row in rows([k], rng.choice("abcdefgh"))]
            if rng.random() < 0.2:
                handle.delete(NAME, keys)
                model = {k: t for k, t in model.items() if k not in keys}
            else:
                getattr(handle, rng.choice(["insert", "upsert"]))(NAME, data)
                model.update({row["id"]: row["tenant"] for row in data})
            if rng.random() < 0.1:
                handle.flush(NAME)
            assert sum(held(client).values()) == len(model)
        assert found(client) == found(peer) == model
        for tenant in "abcdefgh":
            wanted = {k: t for k, t in model.items() if t == tenant}
            assert found(client, f"tenant == '{tenant}'") == wanted
    finally:
        peer.end()
    client.close()
    with MilvusClient(folder) as again:
        assert found(again) == model
        assert sum(held(again).values()) == len(model)
        assert_state_is_replayed(again._store)


def test_a_partial_update_that_changes_the_key_moves_the_row(client: MilvusClient) -> None:
    create(client)
    client.insert(NAME, rows([1], "a") + rows([2], "b"))
    client.upsert(NAME, {"id": 1, "tenant": "zz"}, partial_update=True)
    client.upsert(NAME, {"id": 2, "vector": [5.0, 5.0]}, partial_update=True)
    assert found(client, "tenant == 'zz'") == {1: "zz"}
    assert found(client, "tenant == 'a'") == {}
    assert found(client, "tenant == 'b'") == {2: "b"}
    assert sum(held(client).values()) == 2


def test_an_insert_in_many_partitions_seals_all_that_are_full(client: MilvusClient) -> None:
    create(client)
    data = [row for i in range(400) for row in rows([i], f"t{i % 40}")]
    client.insert(NAME, data)
    assert len(found(client)) == 400
    sealed = [s for s in client.list_segments(NAME) if s.state_name != "Growing"]
    assert len(sealed) == sum(count >= 40 for count in held(client).values()) > 0


def test_partitions_are_fixed_and_chosen_by_the_key_alone(client: MilvusClient) -> None:
    create(client)
    names = [f"_default_{i}" for i in range(COUNT)]
    assert client.list_partitions(NAME) == names
    calls = (
        lambda: client.create_partition(NAME, "p"),
        lambda: client.drop_partition(NAME, names[0]),
        lambda: client.insert(NAME, rows([1], "a"), partition_name=names[0]),
        lambda: client.upsert(NAME, rows([1], "a"), partition_name=names[0]),
        lambda: client.search(NAME, [[0.0, 0.0]], partition_names=[names[0]]),
        lambda: client.query(NAME, "id > 0", partition_names=[names[0]]),
    )
    for call in calls:
        with pytest.raises(ParamError, match="partition key"):
            call()
    with pytest.raises(DataNotMatchException):
        client.insert(NAME, {"id": 1, "vector": [1.0, 2.0]})


@pytest.mark.parametrize("count", [0, 1025, -1, "5", True])
def test_a_number_of_partitions_that_cannot_be_is_refused(client: MilvusClient, count: Any) -> None:
    with pytest.raises(ParamError):
        create(client, num_partitions=count)


def test_sixteen_partitions_are_the_default_and_1024_the_most(client: MilvusClient) -> None:
    create(client, num_partitions=None)
    assert len(client.list_partitions(NAME)) == 16
    client.drop_collection(NAME)
    create(client, num_partitions=1024)
    client.insert(NAME, [row for i in range(300) for row in rows([i], f"t{i}")])
    assert found(client, "tenant == 't7'") == {7: "t7"}
    assert len(found(client)) == 300


def test_the_same_collection_with_another_number_of_partitions_is_refused(
    client: MilvusClient,
) -> None:
    create(client)
    create(client)
    with pytest.raises(CollectionAlreadyExistException, match="number of partitions"):
        create(client, num_partitions=COUNT + 1)


def test_num_partitions_needs_a_partition_key(client: MilvusClient) -> None:
    with pytest.raises(ParamError, match="num_partitions"):
        client.create_collection(NAME, 2, num_partitions=4)
