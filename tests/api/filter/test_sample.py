"""random_sample: a share of the rows, the same ones whenever the same state is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from walvec import DataType, MilvusClient

N = 1000


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MilvusClient]:
    client = MilvusClient(str(tmp_path / "sample.db"))
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    index = client.prepare_index_params("v", index_type="FLAT", metric_type="L2")
    client.create_collection("c", schema=schema, index_params=index)
    client.insert("c", [{"id": n, "v": [0, n]} for n in range(N)])
    yield client
    client.close()


def ids(client: MilvusClient, text: str) -> list[int]:
    rows = client.query("c", filter=text, output_fields=["id"], limit=N)
    return sorted(row["id"] for row in rows)


def test_a_sample_has_its_share_of_the_rows(client: MilvusClient) -> None:
    assert len(ids(client, "random_sample(0.1)")) == 100
    assert len(ids(client, "RANDOM_SAMPLE(0.001)")) == 1
    assert len(ids(client, "random_sample(0.0001)")) == 1
    assert len(ids(client, "random_sample(0.999)")) == 999


def test_a_sample_is_one_of_what_the_rest_finds(client: MilvusClient) -> None:
    found = ids(client, "id < 500 and id >= 100 and random_sample(0.05)")
    assert len(found) == 20
    assert all(100 <= row < 500 for row in found)
    assert ids(client, "id < 0 and random_sample(0.5)") == []


def test_the_same_state_gives_the_same_sample_and_a_write_another(client: MilvusClient) -> None:
    first = ids(client, "random_sample(0.05)")
    assert first == ids(client, "random_sample(0.05)")
    assert set(first) < set(ids(client, "random_sample(0.1)"))
    client.delete("c", ids=[next(row for row in range(N) if row not in first)])
    assert ids(client, "random_sample(0.05)") != first


def test_a_sample_is_spread_over_the_rows(client: MilvusClient) -> None:
    found = ids(client, "random_sample(0.2)")
    assert all(20 < sum(a <= row < a + 250 for row in found) < 80 for a in range(0, N, 250))
