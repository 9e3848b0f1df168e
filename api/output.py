"""What of a row goes out: fields, keys of the dynamic field, paths into JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from walvec.paths import Path, dynamic_key, path_of
from walvec.python_rows import python_rows, values_of
from walvec.segments.catalog import CollectionInfo
from walvec.segments.view import Place, SegmentView
from walvec.wal.errors import FieldNotExistException
from walvec.wal.rows import Array, Column
from walvec.wal.schema import Field

OTHER = re.compile(r"[\[(]")
"""What stands in no key that may be named: in a path that cannot be read, or an aggregate."""


class Output(NamedTuple):
    """What goes out of each row, and how.

    keys: of the dynamic field, None for all it has. timezone: an IANA name, None for UTC.
    in_hits: as a hit's entity, in which bytes of vectors stand bare, as in pymilvus.
    """

    fields: list[Field]
    keys: list[str] | None
    paths: tuple[Path, ...]
    timezone: str | None
    in_hits: bool


def hit_output(info: CollectionInfo, names: Sequence[str], timezone: str | None) -> Output | None:
    """As `output_of`, of hits, which have their keys anyway; None for nothing more."""
    return _output_of(info, names, set(), timezone, in_hits=True) if names else None


def output_of(info: CollectionInfo, names: Sequence[str], timezone: str | None) -> Output:
    """What names stand for: fields, "*" for all of them, dynamic keys, paths as `meta["a"]`; and
    the primary key.

    Raises FieldNotExistException.
    """
    return _output_of(info, names, {info.schema.primary.name}, timezone, in_hits=False)


def _output_of(
    info: CollectionInfo,
    names: Sequence[str],
    wanted: set[str],
    timezone: str | None,
    *,
    in_hits: bool,
) -> Output:
    schema = info.schema
    keys: list[str] = []
    paths: list[Path] = []
    for name in names:
        if name in schema.by_name:
            wanted.add(name)
        elif name == "*":
            wanted.update(schema.by_name)
        elif (path := path_of(name, schema)) is not None:
            key = dynamic_key(path)
            if key is None:
                paths.append(path)
            else:
                keys.append(key)
        elif schema.dynamic is not None and OTHER.search(name) is None:
            keys.append(name)
        else:
            raise FieldNotExistException(
                message=f"collection {info.name} has no field {name} to put out"
            )
    dynamic = schema.dynamic
    every_key = dynamic is not None and dynamic.name in wanted
    if keys and dynamic is not None:
        wanted.add(dynamic.name)
    fields = [f for f in schema.fields if f.name in wanted]
    return Output(fields, None if every_key else keys, tuple(paths), timezone, in_hits)


def rows_of(segment: SegmentView, positions: Array, output: Output) -> list[dict[str, Any]]:
    """The rows of a segment at `positions`, (m,) integers."""
    take = taker(positions)
    columns = {f.id: take(segment.column(f.id)) for f in output.fields}
    rows = python_rows(
        columns,
        output.fields,
        len(positions),
        output.keys,
        timezone=output.timezone,
        bytes_in_lists=not output.in_hits,
    )
    for path in output.paths:
        column = columns.get(path.field.id)
        if column is None:
            column = take(segment.column(path.field.id))
        found = path.values(values_of(column, path.field))
        for row, value in zip(rows, found, strict=True):
            row[path.text] = value
    return rows


def taker(positions: Array) -> Callable[[Column], Column]:
    """What takes the rows at `positions`, (m,) integers, of a column; without copying them where
    they lie side by side."""
    m = len(positions)
    is_run = m > 0 and positions[-1] - positions[0] == m - 1
    if is_run and (m == 1 or bool((positions[1:] - positions[:-1] == 1).all())):
        start = int(positions[0])
        return lambda column: column.slice(start, start + m)
    return lambda column: column.take(positions)


def rows_at(places: Sequence[Place], output: Output) -> list[dict[str, Any]]:
    """The rows at these places, read segment by segment, in the order of `places`."""
    rows: list[dict[str, Any]] = []
    for segment, numbers, positions in by_segment(places):
        found = rows_of(segment, positions, output)
        if len(found) == len(places):
            return found
        rows = rows or [{}] * len(places)
        for number, row in zip(numbers, found, strict=True):
            rows[number] = row
    return rows


def column_at(places: Sequence[Place], field: Field) -> Column:
    """A field's column of the rows at these places, of which there are some."""
    groups = by_segment(places)
    parts = [segment.column(field.id).take(rows) for segment, _, rows in groups]
    if len(parts) == 1:
        return parts[0]
    numbers = np.concatenate([numbers for _, numbers, _ in groups])
    return Column.concatenate(parts).take(np.argsort(numbers))


def by_segment(places: Sequence[Place]) -> Sequence[tuple[SegmentView, Sequence[int], Array]]:
    """Places grouped: (segment, which of `places`, their rows)."""
    if not places:
        return ()
    segments, all_rows = zip(*places, strict=True)
    if segments.count(segments[0]) == len(places):
        return ((segments[0], range(len(places)), np.array(all_rows)),)
    groups: dict[int, tuple[SegmentView, list[int], list[int]]] = {}
    for number, (segment, row) in enumerate(places):
        _, numbers, rows = groups.setdefault(id(segment), (segment, [], []))
        numbers.append(number)
        rows.append(row)
    return [(segment, numbers, np.array(rows)) for segment, numbers, rows in groups.values()]
