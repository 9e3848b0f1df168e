"""A collection of goods that the tests of search and query share, in three segments.

Row i has the vector (i, 0), so that its squared distance from (q, 0) is (i - q)^2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from walvec import DataType, MilvusClient

N = 60
KINDS = ("hat", "map", "cup", "pen")


def item(i: int) -> dict[str, Any]:
    """Row i."""
    return {
        "id": i,
        "vector": [float(i), 0.0],
        "turned": [1.0, float(i)],
        "kind": KINDS[i * 7 % 4],
        "price": i * 37 % 11,
        "weight": i / 4,
        "stock": None if i % 5 == 0 else i % 3,
        "info": {"a": {"b": [i, i + 1]}, "odd": i % 2 == 1},
        "shade": f"s{i % 6}",
        "rank": {"of": i % 4},
    }


ITEMS = [item(i) for i in range(N)]


def make_shelf(client: MilvusClient, name: str = "shelf", *, index: str = "FLAT") -> None:
    """Make and fill it: two sealed segments and a growing one."""
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("turned", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("kind", DataType.VARCHAR, max_length=8)
    schema.add_field("price", DataType.INT32)
    schema.add_field("weight", DataType.DOUBLE)
    schema.add_field("stock", DataType.INT8, nullable=True)
    schema.add_field("info", DataType.JSON)
    params = client.prepare_index_params()
    params.add_index("vector", index, metric_type="L2")
    params.add_index("turned", index, metric_type="COSINE")
    client.create_collection(name, schema=schema, index_params=params)
    for start in range(0, N, N // 3):
        if start:
            client.flush(name, wait=True)
        client.insert(name, ITEMS[start : start + N // 3])


def nearest(q: float, rows: list[dict[str, Any]] = ITEMS) -> list[dict[str, Any]]:
    """Rows by their distance from (q, 0); of equal ones the earlier first."""
    return sorted(rows, key=lambda row: (row["id"] - q) ** 2)


def vector(q: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The query of `nearest(q)`."""
    return np.array([q, 0.0], np.float32)
