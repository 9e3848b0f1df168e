"""Searching a view: a wish and queries become a plan, what it finds becomes hits."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from walvec.arguments import check_text
from walvec.convert import pks_of
from walvec.grouping import Group, flattened, group_keys, grouped
from walvec.ordering import order_keys, sorted_places
from walvec.output import Output, column_at, rows_at
from walvec.reading import Reader
from walvec.results import Hits
from walvec.search_wish import MAX_LIMIT, Wish, rounded
from walvec.segments.catalog import CollectionInfo
from walvec.segments.commands import IMPLICIT_INDEX
from walvec.segments.index import search_params as index_params
from walvec.segments.index_params import metrics_of
from walvec.segments.metrics import DISTANCES
from walvec.segments.pk_index import pk_values
from walvec.segments.search import Found, Plan, search
from walvec.segments.stored_vectors import to_float32
from walvec.segments.view import Predicate
from walvec.session import field_of
from walvec.wal.errors import ParamError
from walvec.wal.rows import Array
from walvec.wal.schema import DataType, Field


def vector_field(info: CollectionInfo, name: str | None) -> Field:
    """The vector field of a name, or the only one. Raises ParamError, FieldNotExistException."""
    if name is not None and check_text("anns_field", name):
        field = field_of(info, name)
        if not field.is_vector:
            raise ParamError(message=f"field {name} of {info.name} is no vector")
        return field
    vectors = info.schema.vectors
    if len(vectors) > 1:
        names = ", ".join(f.name for f in vectors)
        raise ParamError(
            message=f"collection {info.name} has several vector fields ({names}): "
            "name one in anns_field"
        )
    return vectors[0]


def plan_of(
    info: CollectionInfo,
    field: Field,
    params: dict[str, Any],
    wish: Wish,
    predicate: Predicate | None,
) -> Plan:
    """How to find limit + offset rows. params: flat, with or without "metric_type".

    Raises ParamError.
    """
    metric, index, params = _target(info, field, params)
    inner, outer = wish.range_filter, wish.radius
    if metric not in DISTANCES:
        inner, outer = outer, inner
    if inner is not None and outer is not None and inner >= outer:
        sign = "less" if metric in DISTANCES else "greater"
        raise ParamError(
            message=f"range_filter {wish.range_filter} must be {sign} than radius {wish.radius} "
            f"for {metric}"
        )
    k = wish.limit + wish.offset
    return Plan(field, metric, index, params, k, predicate, wish.radius, wish.range_filter)


def _target(
    info: CollectionInfo, field: Field, params: dict[str, Any]
) -> tuple[str, Any, dict[str, Any]]:
    """Metric, index and its search parameters. A field that nobody has indexed is searched
    by any metric: by its implicit index if that has the same, else exactly."""
    index = info.index_of(field.id)
    assert index is not None, "every vector field has an index"
    given = params.get("metric_type")
    if given is not None:
        wanted = check_text("metric_type", given).upper() or index.metric_type
        if index.name.startswith(IMPLICIT_INDEX) and wanted != index.metric_type:
            if wanted not in metrics_of(field):
                metrics = ", ".join(metrics_of(field))
                raise ParamError(message=f"metric_type {wanted} is not one of {metrics}")
            # The index is not asked, but what it would refuse is refused.
            index_params(index, {**params, "metric_type": index.metric_type})
            return wanted, None, {}
    return index.metric_type, index, index_params(index, params)


def stored_vectors(reader: Reader, field: Field, ids: Any) -> Array:
    """The vectors of the entities with these keys, as queries. Raises ParamError."""
    info = reader.info
    pks = pks_of(ids, info.schema, info.name)
    if not 1 <= len(pks) <= MAX_LIMIT:
        raise ParamError(message=f"search() takes 1 to {MAX_LIMIT} ids, got {len(pks)}")
    found: dict[Any, Array] = {}
    keys = pk_values(pks)
    for key in keys:
        place = reader.view.find(key)
        if place is None:
            raise ParamError(message=f"collection {info.name} has no entity {key} to search by")
        column = place[0].column(field.id)
        if column.valid is not None and not column.valid[place[1]]:
            raise ParamError(message=f"entity {key} of {info.name}: {field.name} is null")
        found[key] = column.values[place[1]]
    rows = np.stack([found[key] for key in keys])
    if field.type is DataType.BINARY_VECTOR:
        return rows
    return np.ascontiguousarray(to_float32(rows), np.float32)


def found_of(reader: Reader, plan: Plan, queries: Array, wish: Wish) -> list[Found]:
    """What goes out for each query, in its order."""
    if wish.grouping is not None:
        pages = [
            flattened(groups[wish.offset :]) for groups in groups_found(reader, plan, queries, wish)
        ]
    else:
        pages = search(reader.view, plan, queries)
        if wish.offset:
            pages = [Found(p.scores[wish.offset :], p.places[wish.offset :]) for p in pages]
    if wish.order:
        pages = [_ordered(page, wish) for page in pages]
    return pages


def groups_found(reader: Reader, plan: Plan, queries: Array, wish: Wish) -> list[list[Group]]:
    """The limit + offset best groups for each query."""
    assert wish.grouping is not None, "a search by groups"
    rows = sum(segment.n for segment in reader.view.segments)

    def nearest(numbers: list[int], k: int) -> list[Found]:
        # An index is no help for a large part of its rows, and is asked for 16,384 at most.
        spec = plan.spec if k <= MAX_LIMIT else None
        params = plan.params if k <= MAX_LIMIT else {}
        return search(reader.view, plan._replace(k=k, spec=spec, params=params), queries[numbers])

    return grouped(nearest, len(queries), rows, wish.grouping, wish.limit + wish.offset)


def _ordered(page: Found, wish: Wish) -> Found:
    """The page in the order that was asked for: its groups by their best rows, if it has some."""
    if not page.places:
        return page
    keys = order_keys(wish.order, partial(column_at, page.places))
    if wish.grouping is None:
        places = sorted_places(wish.order, keys).tolist()
    else:
        members: dict[tuple[Any, ...], list[int]] = {}
        for number, key in enumerate(group_keys(page.places, wish.grouping)):
            members.setdefault(key, []).append(number)
        groups = list(members.values())
        first = np.array([group[0] for group in groups])
        heads = [(codes[first], None if v is None else v[first]) for codes, v in keys]
        places = [n for g in sorted_places(wish.order, heads).tolist() for n in groups[g]]
    return Found([page.scores[i] for i in places], [page.places[i] for i in places])


def hits_of(reader: Reader, page: Found, decimals: int, output: Output | None) -> Hits:
    """The hits of one query."""
    entities = None if output is None else rows_at(page.places, output)
    scores = rounded(page.scores, decimals)
    return Hits(reader.pks_at(page.places), scores, reader.info.schema.primary.name, entities)
