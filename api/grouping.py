"""Search by groups: the best rows of each value of a field, the groups in the order of their
best row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from walvec.arguments import check_flag, check_text, check_texts, check_whole
from walvec.output import column_at
from walvec.python_rows import values_of
from walvec.segments.catalog import CollectionInfo
from walvec.segments.search import Found
from walvec.segments.view import Place
from walvec.wal.errors import FieldNotExistException, ParamError
from walvec.wal.schema import INTEGERS, DataType, Field

GROUPABLE = INTEGERS | {DataType.BOOL, DataType.VARCHAR, DataType.TIMESTAMPTZ}
MAX_GROUP_SIZE = 16_384
GROWTH = 8
"""Each round looks at so many times more rows than the one before."""

Nearest = Callable[[list[int], int], list[Found]]
"""(which queries, k) -> the k best rows of each."""


class Grouping(NamedTuple):
    """Rows with the same values of the fields are a group, of which `size` go out.

    Of groups that are not `strict` only those go out that were met on the way to the last
    group; for those that are, the search goes on until they are full or no rows are left.
    """

    fields: tuple[Field, ...]
    size: int
    strict: bool


class Group(NamedTuple):
    """Members of one group, best first."""

    scores: list[float]
    places: list[Place]


def grouping_of(
    method: str, info: CollectionInfo, one: Any, several: Any, size: Any, strict: Any
) -> Grouping | None:
    """What group_by_field, group_by_fields, group_size and strict_group_size ask for.

    Raises ParamError, FieldNotExistException.
    """
    is_strict = strict is not None and check_flag("strict_group_size", strict)
    names = check_texts("group_by_fields", several)
    if one is not None and check_text("group_by_field", one):
        if names:
            raise ParamError(message=f"{method}() takes group_by_field or group_by_fields")
        names = [one]
    if not names:
        if size is not None or is_strict:
            raise ParamError(message=f"{method}(): group_size needs a group_by_field")
        return None
    return Grouping(
        tuple(group_field(method, info, name) for name in names),
        1 if size is None else check_whole("group_size", size, 1, MAX_GROUP_SIZE),
        is_strict,
    )


def group_field(method: str, info: CollectionInfo, name: str) -> Field:
    """A field that rows can be grouped by. Raises ParamError, FieldNotExistException."""
    field = info.schema.by_name.get(name)
    if field is None:
        raise FieldNotExistException(
            message=f"{method}(): collection {info.name} has no field {name} to group by"
        )
    if field.type not in GROUPABLE:
        raise ParamError(
            message=f"{method}(): rows cannot be grouped by field {name} of the type "
            f"{field.type.name}"
        )
    return field


def group_keys(places: list[Place], grouping: Grouping) -> list[tuple[Any, ...]]:
    """The group of each row."""
    if not places:
        return []
    columns = [values_of(column_at(places, field), field) for field in grouping.fields]
    return list(zip(*columns, strict=True))


def groups_of(found: Found, grouping: Grouping) -> list[Group]:
    """The groups of what was found, in the order of their best rows."""
    keys = group_keys(found.places, grouping)
    groups: dict[tuple[Any, ...], Group] = {}
    for key, score, place in zip(keys, found.scores, found.places, strict=True):
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group([], [])
        if len(group.places) < grouping.size:
            group.scores.append(score)
            group.places.append(place)
    return list(groups.values())


def grouped(
    nearest: Nearest, queries: int, rows: int, grouping: Grouping, wanted: int
) -> list[list[Group]]:
    """The `wanted` best groups for each of so many queries, of a view of so many rows."""
    answers: list[list[Group]] = [[] for _ in range(queries)]
    open_queries = list(range(queries))
    k = min(rows, wanted * grouping.size * 2)
    while open_queries and k:
        left = []
        for query, found in zip(open_queries, nearest(open_queries, k), strict=True):
            groups = groups_of(found, grouping)[:wanted]
            answers[query] = groups
            if k < rows and len(found.places) == k and not _suffice(groups, grouping, wanted):
                left.append(query)
        open_queries = left
        k = min(rows, k * GROWTH)
    return answers


def _suffice(groups: Sequence[Group], grouping: Grouping, wanted: int) -> bool:
    if len(groups) < wanted:
        return False
    return not grouping.strict or all(len(g.places) == grouping.size for g in groups)


def flattened(groups: Sequence[Group]) -> Found:
    """The members of the groups, group after group."""
    return Found(
        [score for group in groups for score in group.scores],
        [place for group in groups for place in group.places],
    )
