"""Filters find the rows that a slow, obvious evaluator over dictionaries finds, three-valued."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_filter import Case, World, expressions, worlds
from slow_index import SlowIndex

from walvec.convert import rows_of
from walvec.filter import Step, compile_filter
from walvec.schema import CollectionSchema, FieldSchema, to_schema
from walvec.segments.scalar_build import index_parts
from walvec.segments.scalar_index import OpenScalarIndex
from walvec.segments.scalar_params import SCALAR_TYPES
from walvec.wal.rows import Rows
from walvec.wal.schema import DataType, Field, Schema

KEY = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("v", DataType.FLOAT_VECTOR, dim=2),
]


@st.composite
def cases(draw: Any) -> tuple[World, Case]:
    world = draw(worlds())
    return world, draw(expressions(world.fields))


def stored(world: World) -> tuple[Schema, Rows]:
    """The schema and the rows as columns."""
    schema = to_schema(CollectionSchema([*KEY, *world.fields], enable_dynamic_field=True), "c")
    rows = [{"id": n, "v": [0, 1], **row} for n, row in enumerate(world.rows)]
    return schema, rows_of(rows, schema, "c")


def source(rows: Rows, scalars: Any = None) -> Any:
    return SimpleNamespace(n=rows.n, column=rows.columns.__getitem__, scalars=scalars or {})


@settings(max_examples=300)
@given(cases())
def test_a_filter_finds_what_an_obvious_evaluator_finds(case: tuple[World, Case]) -> None:
    world, (text, test) = case
    schema, rows = stored(world)
    mask = compile_filter(text, schema).mask(source(rows))
    assert mask.dtype == np.bool_
    assert mask.shape == (rows.n,)
    wanted = [n for n, row in enumerate(world.rows) if test(row) is True]
    assert np.flatnonzero(mask).tolist() == wanted


def rarely_different(world: World, chance: random.Random) -> World:
    """Many rows of one kind and few of the others, so that an index is worth asking."""
    weights = [200, *[1] * (len(world.rows) - 1)]
    many = chance.choices(range(len(world.rows)), weights[: len(world.rows)], k=400)
    return world._replace(rows=[world.rows[i] for i in many])


def indexable(schema: Schema, chance: random.Random) -> list[Field]:
    """Most of the fields that may have an index."""
    fields = [f for f in schema.fields if not f.is_vector and f.type is not DataType.JSON]
    return [field for field in fields if chance.random() < 0.7]


@settings(max_examples=80)
@given(cases(), st.integers(0, 2**32))
def test_the_same_rows_are_found_with_an_index_without_and_explained(
    case: tuple[World, Case], seed: int
) -> None:
    world, (text, test) = case
    chance = random.Random(seed)
    world = rarely_different(world, chance)
    schema, rows = stored(world)
    fields = indexable(schema, chance)
    indexed = {field.id: SlowIndex(rows.columns[field.id]) for field in fields}
    trace: list[Step] = []
    compiled = compile_filter(text, schema)
    found = compiled.mask(source(rows, indexed), trace)
    assert found.tolist() == [test(row) is True for row in world.rows]
    assert found.tolist() == compiled.mask(source(rows)).tolist()
    asked = sum(step.path.startswith("index ") for step in trace)
    assert asked == sum(index.asked for index in indexed.values())


@settings(max_examples=80)
@given(cases(), st.integers(0, 2**32))
def test_the_indexes_of_segments_find_the_same_rows(case: tuple[World, Case], seed: int) -> None:
    world, (text, test) = case
    chance = random.Random(seed)
    world = rarely_different(world, chance)
    schema, rows = stored(world)
    indexed = {}
    for field in indexable(schema, chance):
        suiting = [name for name, types in SCALAR_TYPES.items() if field.type in types]
        if field.is_primary or field.element_type is DataType.FLOAT:
            suiting.remove("BITMAP")
        chosen = chance.choice(suiting)
        parts = index_parts(chosen, field, rows.columns[field.id])
        indexed[field.id] = OpenScalarIndex(field.id, chosen, field, parts)
    found = compile_filter(text, schema).mask(source(rows, indexed))
    assert found.tolist() == [test(row) is True for row in world.rows]
