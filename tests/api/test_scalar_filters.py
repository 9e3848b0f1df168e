"""A filter finds the same rows with scalar indexes as without, whichever index answers it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from walvec import DataType, MilvusClient
from walvec.segments.scalar_params import SCALAR_TYPES

N = 4_000
ROUNDS = 250
SCALARS: dict[str, DataType] = {
    "flag": DataType.BOOL,
    "small": DataType.INT8,
    "number": DataType.INT64,
    "float": DataType.FLOAT,
    "double": DataType.DOUBLE,
    "text": DataType.VARCHAR,
    "time": DataType.TIMESTAMPTZ,
}
ARRAYS: dict[str, DataType] = {
    "flags": DataType.BOOL,
    "numbers": DataType.INT32,
    "doubles": DataType.DOUBLE,
    "texts": DataType.VARCHAR,
}
INDEXES = {
    "STL_SORT": ["small", "number", "float", "double", "text", "time"],
    "INVERTED": ["flag", "small", "number", "float", "double", "text", *ARRAYS],
    "BITMAP": ["flag", "small", "number", "text", "flags", "numbers", "texts"],
    "TRIE": ["text"],
    "AUTOINDEX": [*SCALARS, *ARRAYS],
}


def value(kind: DataType, rng: random.Random) -> Any:
    """One of many, or one of few."""
    if kind is DataType.BOOL:
        return rng.random() < 0.05
    if kind is DataType.VARCHAR:
        return rng.choice(["", "a", "ab", "abc", "ä", "x" * 20]) + str(rng.randrange(300))
    if kind is DataType.TIMESTAMPTZ:
        return f"20{rng.randrange(10, 30)}-01-0{rng.randrange(1, 10)}T00:00:00Z"
    if kind in (DataType.FLOAT, DataType.DOUBLE):
        return rng.randrange(-500, 500) / 10
    return rng.randrange(-100, 100)


def row(number: int, rng: random.Random) -> dict[str, Any]:
    """Every field is null now and then."""
    made: dict[str, Any] = {"id": number, "v": [0.0, number]}
    for name, kind in SCALARS.items():
        made[name] = None if rng.random() < 0.1 else value(kind, rng)
    for name, kind in ARRAYS.items():
        items = [value(kind, rng) for _ in range(rng.randrange(4))]
        made[name] = None if rng.random() < 0.1 else items
    return made


def literal(kind: DataType, rng: random.Random) -> str:
    one = value(kind, rng)
    if kind is DataType.VARCHAR:
        return f'"{one}"'
    return f"ISO '{one}'" if kind is DataType.TIMESTAMPTZ else str(one).lower()


def condition(rng: random.Random) -> str:
    """A condition on one field."""
    if rng.random() < 0.3:
        name, kind = rng.choice(list(ARRAYS.items()))
        items = ", ".join(literal(kind, rng) for _ in range(rng.randrange(1, 4)))
        how = rng.choice(["any", "all", ""])
        if how:
            return f"array_contains_{how}({name}, [{items}])"
        return f"array_contains({name}, {literal(kind, rng)})"
    name, kind = rng.choice(list(SCALARS.items()))
    if rng.random() < 0.1:
        return f"{name} is {rng.choice(['', 'not '])}null"
    if kind is DataType.BOOL:
        return f"{name} == {literal(kind, rng)}"
    if kind is DataType.VARCHAR and rng.random() < 0.4:
        return f'{name} like "{value(kind, rng)}%"'
    if kind is not DataType.TIMESTAMPTZ and rng.random() < 0.4:
        items = ", ".join(literal(kind, rng) for _ in range(rng.randrange(1, 6)))
        return f"{name} {rng.choice(['in', 'not in'])} [{items}]"
    return f"{name} {rng.choice(['==', '!=', '<', '<=', '>', '>='])} {literal(kind, rng)}"


def expression(rng: random.Random, depth: int = 2) -> str:
    if depth and rng.random() < 0.6:
        joined = f" {rng.choice(['and', 'or'])} ".join(
            expression(rng, depth - 1) for _ in range(rng.randrange(2, 4))
        )
        return f"{rng.choice(['', '', 'not '])}({joined})"
    return condition(rng)


def longest(kind: DataType) -> dict[str, int]:
    return {"max_length": 64} if kind is DataType.VARCHAR else {}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusClient]:
    """A store with a collection for each kind of index and one without any, of the same rows."""
    folder: Path = tmp_path_factory.mktemp("filters") / "store"
    with MilvusClient(folder) as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
        for name, kind in SCALARS.items():
            schema.add_field(name, kind, nullable=True, **longest(kind))
        for name, kind in ARRAYS.items():
            length = longest(kind)
            schema.add_field(
                name, DataType.ARRAY, element_type=kind, max_capacity=4, nullable=True, **length
            )
        rng = random.Random(7)
        rows = [row(i, rng) for i in range(N)]
        for name, fields in {"plain": [], **INDEXES}.items():
            params = client.prepare_index_params()
            params.add_index("v", "FLAT", metric_type="L2")
            for field in fields:
                params.add_index(field, name)
            client.create_collection(name, schema=schema, index_params=params)
            client.insert(name, rows)
            client.flush(name, wait=True)
            client.delete(name, ids=list(range(0, N, 50)))
        yield client


@pytest.mark.parametrize("name", INDEXES)
def test_random_filters_find_what_a_scan_finds(client: MilvusClient, name: str) -> None:
    rng = random.Random(11)
    asked: set[str] = set()
    for _ in range(ROUNDS):
        text = expression(rng)
        plain = client.query("plain", text, output_fields=["id"])
        assert client.query(name, text, output_fields=["id"]) == plain, text
        (segment,) = client.explain(name, text).segments
        asked |= {step.path.removeprefix("index ") for step in segment.steps}
    used = asked - {"scan", "scan of candidates"}
    assert used == ({"INVERTED", "BITMAP", "STL_SORT"} if name == "AUTOINDEX" else {name})


def test_every_index_type_is_compared() -> None:
    assert set(INDEXES) == {*SCALAR_TYPES, "AUTOINDEX"}
