"""Fields that are added to a collection with rows: what old rows have, and who notices when."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lab import assert_state_is_replayed, settle
from peer import Peer

from walvec import DataType, MilvusClient
from walvec.exceptions import DataNotMatchException, FieldNotExistException, ParamError
from walvec.recovery.rebuild import rebuild
from walvec.recovery.verify import verify

DIM = 2
NAME = "c"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def client(folder: Path) -> Iterator[MilvusClient]:
    """A client with a collection of three sealed rows and one that grows."""
    with MilvusClient(folder) as opened:
        create(opened)
        yield opened


def create(client: MilvusClient, **properties: str) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    params = client.prepare_index_params()
    params.add_index("vector", "ANNOY", metric_type="L2", params={"n_trees": 2})
    client.create_collection(NAME, schema=schema, index_params=params, properties=properties)
    client.insert(NAME, rows(1, 2, 3))
    client.flush(NAME, wait=True, timeout=60)
    client.insert(NAME, rows(4))


def rows(*ids: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": i, "vector": [float(i), 1.0], **more} for i in ids]


def values(client: Any, *fields: str) -> dict[int, Any]:
    """id -> the field's value, or a tuple of several."""
    found = client.query(NAME, "id >= 0", limit=1000, output_fields=["id", *fields])
    if len(fields) == 1:
        return {r["id"]: r[fields[0]] for r in found}
    return {r["id"]: tuple(r[f] for f in fields) for r in found}


ADDED: list[tuple[str, DataType, dict[str, Any], Any, Any]] = [
    ("flag", DataType.BOOL, {"default_value": True}, True, False),
    ("i8", DataType.INT8, {"nullable": True}, None, -5),
    ("i64", DataType.INT64, {"default_value": 7}, 7, 1 << 60),
    ("both", DataType.INT32, {"nullable": True, "default_value": 3}, 3, None),
    ("f", DataType.FLOAT, {"default_value": 0.5}, 0.5, 0.25),
    ("d", DataType.DOUBLE, {"nullable": True}, None, 0.1),
    ("s", DataType.VARCHAR, {"max_length": 20, "default_value": "größe"}, "größe", ""),
    ("t", DataType.VARCHAR, {"max_length": 20, "nullable": True}, None, "text"),
    ("j", DataType.JSON, {"nullable": True}, None, {"a": [1, None]}),
    (
        "a",
        DataType.ARRAY,
        {"element_type": DataType.INT16, "max_capacity": 4, "nullable": True},
        None,
        [1, 2],
    ),
    (
        "texts",
        DataType.ARRAY,
        {
            "element_type": DataType.VARCHAR,
            "max_capacity": 4,
            "max_length": 9,
            "nullable": True,
        },
        None,
        ["x", "", "ö"],
    ),
]


def test_old_rows_have_the_default_or_null_everywhere_and_for_ever(
    folder: Path, client: MilvusClient
) -> None:
    peer = Peer(folder)
    names = [name for name, *_ in ADDED]
    try:
        assert set(values(peer, "id")) == {1, 2, 3, 4}
        for name, kind, options, _, _ in ADDED:
            client.add_collection_field(NAME, name, kind, **options)
        new = {name: value for name, *_, value in ADDED}
        peer.insert(NAME, rows(5, **new))
        client.insert(NAME, rows(6))
        old = tuple(before for *_, before, _ in ADDED)
        # A null that is given for a field with a default is the default, as in Milvus.
        given = tuple(3 if name == "both" else value for name, value in new.items())
        wanted = {**dict.fromkeys((1, 2, 3, 4, 6), old), 5: given}
        assert values(client, *names) == wanted
        assert values(peer, *names) == wanted
        described = client.describe_collection(NAME)["fields"]
        assert [f["name"] for f in described] == ["id", "vector", *names]
        client.release_collection(NAME)
        client.load_collection(NAME)
        assert values(client, *names) == wanted
        client.flush(NAME, wait=True, timeout=60)
        client.compact(NAME)
        assert values(client, *names) == values(peer, *names) == wanted
        client.wait_for_files(60)
    finally:
        peer.end()
    client.close()
    assert verify(folder).findings == []
    with MilvusClient(folder, read_only=True) as reader:
        assert values(reader, *names) == wanted
    assert not rebuild(folder).failed
    with MilvusClient(folder) as again:
        assert values(again, *names) == wanted
        assert_state_is_replayed(again._store)


def test_filters_see_the_added_field(client: MilvusClient) -> None:
    client.add_collection_field(NAME, "n", DataType.INT64, default_value=5)
    client.add_collection_field(NAME, "s", DataType.VARCHAR, max_length=9, nullable=True)
    client.insert(NAME, rows(5, n=1, s="x"))
    for expression, wanted in (
        ("n == 5", [1, 2, 3, 4]),
        ("n < 5", [5]),
        ("s is null", [1, 2, 3, 4]),
        ("s == 'x'", [5]),
        ("s is not null or n == 5 and id > 2", [3, 4, 5]),
    ):
        assert [r["id"] for r in client.query(NAME, expression)] == wanted, expression
        (hits,) = client.search(NAME, [[0.0, 1.0]], expression, limit=9)
        assert hits.ids == wanted, expression
    assert client.delete(NAME, filter="n == 5 and id < 3")["delete_count"] == 2
    assert sorted(values(client, "n")) == [3, 4, 5]


def test_a_scalar_index_of_an_added_field_serves_old_segments(client: MilvusClient) -> None:
    client.add_collection_field(NAME, "n", DataType.INT64, nullable=True)
    params = client.prepare_index_params()
    params.add_index("n", "STL_SORT")
    client.create_index(NAME, params)
    client.insert(NAME, rows(5, n=9))
    client.flush(NAME, wait=True, timeout=60)
    settle(client._store)
    assert [r["id"] for r in client.query(NAME, "n == 9")] == [5]
    assert [r["id"] for r in client.query(NAME, "n is null")] == [1, 2, 3, 4]


@pytest.mark.parametrize("mapped", ["false", "true"])
@pytest.mark.parametrize(
    ("kind", "metric", "index", "value"),
    [
        (DataType.FLOAT_VECTOR, "L2", "ANNOY", [1.0, 2.0]),
        (DataType.FLOAT16_VECTOR, "L2", "FLAT", [1.0, 2.0]),
        (DataType.INT8_VECTOR, "L2", "HNSW", [1, 2]),
    ],
)
def test_an_added_vector_field_is_indexed_and_searched(
    tmp_path: Path, mapped: str, kind: DataType, metric: str, index: str, value: list[Any]
) -> None:
    with MilvusClient(tmp_path / "s") as client:
        create(client, **{"mmap.enabled": mapped})
        client.add_collection_field(NAME, "w", kind, dim=2, nullable=True)
        assert client.list_indexes(NAME) == ["vector"], "the implicit one is not listed"
        (hits,) = client.search(NAME, [value], anns_field="w", limit=5)
        assert hits.ids == [], "all rows are null"
        client.insert(NAME, rows(5, 6, w=value) + rows(7))
        (hits,) = client.search(NAME, [value], anns_field="w", limit=5)
        assert sorted(hits.ids) == [5, 6]
        client.release_collection(NAME)
        params = client.prepare_index_params()
        params.add_index("w", index, metric_type=metric)
        client.create_index(NAME, params)
        client.load_collection(NAME)
        client.flush(NAME, wait=True, timeout=60)
        for _ in range(2):
            (hits,) = client.search(NAME, [value], anns_field="w", limit=5)
            assert sorted(hits.ids) == [5, 6]
            assert [h["distance"] for h in hits] == [0, 0]
            (hits,) = client.search(NAME, [[4.0, 1.0]], anns_field="vector", limit=3)
            assert hits.ids[0] == 4
            client.release_collection(NAME)
            client.load_collection(NAME)
        client.compact(NAME)
        client.wait_for_files(60)
        (hits,) = client.search(NAME, [value], anns_field="w", limit=5)
        assert sorted(hits.ids) == [5, 6]
        assert client.query(NAME, "id == 1", output_fields=["w"])[0]["w"] is None
        assert_state_is_replayed(client._store)


def test_a_field_is_added_while_the_rows_are_mapped(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "s") as client:
        create(client, **{"mmap.enabled": "true"})
        client.add_collection_field(NAME, "n", DataType.INT64, default_value=5)
        client.flush(NAME, wait=True, timeout=60)
        settle(client._store)
        assert values(client, "n") == dict.fromkeys((1, 2, 3, 4), 5)
        client.release_collection(NAME)
        client.load_collection(NAME)
        settle(client._store)
        assert values(client, "n") == dict.fromkeys((1, 2, 3, 4), 5)


def test_what_another_process_knew_before_is_completed_when_it_is_stored(
    folder: Path, client: MilvusClient
) -> None:
    peer = Peer(folder)
    try:
        # The rows are converted by the old schema, and stored after the new field.
        peer.run(
            "from walvec.convert import rows_of\n"
            "info = client.info('c')\n"
            "batch = rows_of([{'id': 9, 'vector': [1.0, 2.0]}], info.schema, 'c')\n"
        )
        client.add_collection_field(NAME, "n", DataType.INT64, default_value=5)
        client.add_collection_field(NAME, "s", DataType.VARCHAR, max_length=9, nullable=True)
        peer.run("client.write_rows(info, batch, None, upsert=False)")
        for handle in (client, peer):
            assert values(handle, "n", "s")[9] == (5, None)
    finally:
        peer.end()
    client.close()
    assert verify(folder).findings == []
    with MilvusClient(folder) as again:
        assert values(again, "n", "s")[9] == (5, None)


def test_fields_are_added_while_threads_insert(folder: Path, client: MilvusClient) -> None:
    done = threading.Event()

    def write(worker: int) -> int:
        number = 0
        while not done.is_set() or not number:
            client.insert(NAME, rows(1000 * worker + number))
            number += 1
        return number

    with ThreadPoolExecutor(2) as threads:
        writers = [threads.submit(write, w) for w in (1, 2)]
        try:
            for number in range(6):
                client.add_collection_field(NAME, f"n{number}", DataType.INT64, default_value=1)
        finally:
            done.set()
        counts = [w.result(60) for w in writers]
    fields = [f"n{i}" for i in range(6)]
    found = values(client, *fields)
    assert len(found) == 4 + sum(counts) == client.get_collection_stats(NAME)["row_count"]
    assert set(found.values()) == {(1,) * 6}
    assert_state_is_replayed(client._store)
    client.close()
    assert verify(folder).findings == []
    with MilvusClient(folder) as again:
        assert values(again, *fields) == found


def test_two_threads_add_fields_at_once(client: MilvusClient) -> None:
    started = threading.Barrier(8)

    def add(number: int) -> None:
        started.wait(30)
        client.add_collection_field(NAME, f"n{number}", DataType.INT64, nullable=True)

    with ThreadPoolExecutor(8) as threads:
        for future in [threads.submit(add, n) for n in range(8)]:
            future.result(60)
    schema = client.info(NAME).schema
    assert {f"n{i}" for i in range(8)} <= set(schema.by_name)
    assert len({f.id for f in schema.fields}) == len(schema.fields)


def test_the_dynamic_field_is_added_last_and_once(folder: Path, client: MilvusClient) -> None:
    with pytest.raises(DataNotMatchException):
        client.insert(NAME, rows(8, color="red"))
    client.alter_collection_properties(NAME, {"dynamicfield.enabled": True})
    client.alter_collection_properties(NAME, {"dynamicfield.enabled": "true"})
    client.insert(NAME, rows(8, color="red"))
    client.add_collection_field(NAME, "n", DataType.INT64, nullable=True)
    for _ in range(2):
        assert client.describe_collection(NAME)["enable_dynamic_field"] is True
        assert [r["id"] for r in client.query(NAME, "color == 'red'")] == [8]
        assert [r["id"] for r in client.query(NAME, "not (exists color)")] == [1, 2, 3, 4]
        assert client.info(NAME).schema.fields[-1].is_dynamic
        client.close()
        client = MilvusClient(folder)
    client.close()
    with MilvusClient(folder) as again, pytest.raises(ParamError, match="not be taken away"):
        again.alter_collection_properties(NAME, {"dynamicfield.enabled": False})


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("n", DataType.INT64, {}),
        ("n", DataType.FLOAT_VECTOR, {"dim": 2}),
        ("n", DataType.INT64, {"nullable": True, "is_primary": True}),
        ("n", DataType.INT64, {"default_value": 1, "is_partition_key": True}),
        ("n", DataType.INT8, {"default_value": 300}),
        ("n", DataType.VARCHAR, {"nullable": True}),
        ("vector", DataType.INT64, {"nullable": True}),
        ("1n", DataType.INT64, {"nullable": True}),
        ("n", DataType.INT64, {"nullable": True, "unknown": 1}),
    ],
)
def test_a_field_that_old_rows_cannot_have_is_refused(
    client: MilvusClient, name: str, kind: DataType, options: dict[str, Any]
) -> None:
    before = client._store.current().seq
    with pytest.raises(ParamError):
        client.add_collection_field(NAME, name, kind, **options)
    assert client._store.current().seq == before


def test_a_field_is_altered(folder: Path, client: MilvusClient) -> None:
    client.add_collection_field(NAME, "s", DataType.VARCHAR, max_length=3, nullable=True)
    with pytest.raises(DataNotMatchException):
        client.insert(NAME, rows(5, s="four"))
    client.alter_collection_field(NAME, "s", {"max_length": 4, "mmap.enabled": True})
    client.insert(NAME, rows(5, s="four"))
    client.close()
    with MilvusClient(folder) as again:
        (field,) = (f for f in again.describe_collection(NAME)["fields"] if f["name"] == "s")
        assert field["params"]["max_length"] == 4
        with pytest.raises(DataNotMatchException):
            again.insert(NAME, rows(6, s="fives"))
        for name, params in (
            ("s", {}),
            ("s", {"max_length": 0}),
            ("s", {"max_capacity": 4}),
            ("vector", {"dim": 4}),
            ("s", {"mmap.enabled": "maybe"}),
        ):
            with pytest.raises(ParamError):
                again.alter_collection_field(NAME, name, params)
        with pytest.raises(FieldNotExistException):
            again.alter_collection_field(NAME, "absent", {"max_length": 4})


def test_a_partial_update_keeps_an_added_field(client: MilvusClient) -> None:
    client.add_collection_field(NAME, "n", DataType.INT64, nullable=True)
    client.upsert(NAME, {"id": 1, "n": 9}, partial_update=True)
    client.upsert(NAME, {"id": 1, "vector": [5.0, 5.0]}, partial_update=True)
    assert values(client, "n") == {1: 9, 2: None, 3: None, 4: None}


def test_a_length_below_that_of_the_default_is_refused(client: MilvusClient) -> None:
    client.add_collection_field(
        NAME, "kind", DataType.VARCHAR, max_length=10, default_value="normal"
    )
    with pytest.raises(ParamError, match="less than the bytes of its default"):
        client.alter_collection_field(NAME, "kind", {"max_length": 3})
    client.alter_collection_field(NAME, "kind", {"max_length": 6, "mmap.enabled": True})
