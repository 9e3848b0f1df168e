"""Reading a view: rows by key, by filter, by nearness, turned into what users get."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from walvec.arguments import check_dict, check_text, check_texts
from walvec.convert import query_vectors
from walvec.filter import Filter
from walvec.python_rows import python_rows
from walvec.results import ExtraList, Hits, SearchResult
from walvec.segments.catalog import CollectionInfo
from walvec.segments.commands import IMPLICIT_INDEX
from walvec.segments.index import search_params as check_search_params
from walvec.segments.pk_index import pk_values
from walvec.segments.search import Found, Plan, search
from walvec.segments.view import Place, Predicate, SegmentView, View, selected_rows
from walvec.session import field_of
from walvec.wal.errors import FieldNotExistException, ParamError
from walvec.wal.rows import Array, Column
from walvec.wal.schema import Field


class Output(NamedTuple):
    """What of a row goes out: fields, and keys of the dynamic field (None for all of them)."""

    fields: list[Field]
    keys: list[str] | None


class Reader:
    """Reads one view of one collection, as it is after the entry `seq` of the log."""

    __slots__ = ("info", "seq", "view")

    def __init__(self, view: View, info: CollectionInfo, seq: int) -> None:
        self.view = view
        self.info = info
        self.seq = seq

    def by_pks(self, pks: Column, output_fields: Sequence[str] | None) -> ExtraList:
        """The visible rows with these keys, in their order; a key that stands twice counts once."""
        find = self.view.find
        places = [p for p in map(find, dict.fromkeys(pk_values(pks))) if p is not None]
        return self._entities(places, output_fields)

    def matching(
        self,
        compiled: Filter | None,
        output_fields: Sequence[str] | None,
        limit: int | None,
        offset: int,
    ) -> ExtraList:
        """Rows that match, in the order of their insertion."""
        pks = compiled.pks(self.info.schema) if compiled is not None else None
        end = None if limit is None else offset + limit
        if pks is not None:
            found = [p for p in map(self.view.find, dict.fromkeys(pk_values(pks))) if p is not None]
            return self._entities(found[offset:end], output_fields)
        places: list[Place] = []
        predicate = _predicate(compiled)
        for segment in self.view.segments:
            left = None if end is None else end - len(places)
            rows = selected_rows(segment, predicate)[:left].tolist()
            places.extend((segment, row) for row in rows)
            if end is not None and len(places) >= end:
                break
        return self._entities(places[offset:], output_fields)

    def count(self, compiled: Filter | None) -> ExtraList:
        """[{"count(*)": n}]"""
        predicate = _predicate(compiled)
        count = sum(len(selected_rows(s, predicate)) for s in self.view.segments)
        return self._list([{"count(*)": count}])

    def matching_pks(self, predicate: Predicate) -> Column:
        """The primary keys of the rows that match."""
        primary = self.info.schema.primary.id
        parts = [s.column(primary).take(selected_rows(s, predicate)) for s in self.view.segments]
        return Column.concatenate(parts) if parts else Column(np.empty(0, np.int64))

    def search(
        self,
        data: Any,
        anns_field: str | None,
        search_params: dict[str, Any] | None,
        compiled: Filter | None,
        limit: int,
        offset: int,
        output_fields: Sequence[str] | None,
        round_decimal: int,
    ) -> SearchResult:
        """The nearest rows to each query vector."""
        field = self._vector_field(anns_field)
        metric, index, params = self._target(field, search_params)
        queries = query_vectors(data, field, self.info.name)
        plan = Plan(field, metric, index, params, limit + offset, _predicate(compiled))
        found = search(self.view, plan, queries)
        names = check_texts("output_fields", output_fields)
        output = self._output(names) if names else None
        hits = [self._hits(one, offset, round_decimal, output) for one in found]
        return SearchResult(hits, extra={"seq": self.seq})

    def _vector_field(self, anns_field: str | None) -> Field:
        if anns_field is not None and check_text("anns_field", anns_field):
            field = field_of(self.info, anns_field)
            if not field.is_vector:
                raise ParamError(message=f"field {anns_field} of {self.info.name} is no vector")
            return field
        vectors = self.info.schema.vectors
        if len(vectors) > 1:
            names = ", ".join(f.name for f in vectors)
            raise ParamError(
                message=f"collection {self.info.name} has several vector fields ({names}): "
                "name one in anns_field"
            )
        return vectors[0]

    def _target(
        self, field: Field, params: dict[str, Any] | None
    ) -> tuple[str, Any, dict[str, Any]]:
        """Metric, index and its search parameters. A field that nobody has indexed is searched
        by any metric: by its implicit index if that has the same, else exactly."""
        index = self.info.index_of(field.id)
        assert index is not None, "every vector field has an index"
        if params is None:
            return index.metric_type, index, check_search_params(index, {})
        check_dict("search_params", params)
        metric = params.get("metric_type")
        given = "" if metric is None else check_text("metric_type", metric)
        wanted = given.upper() or index.metric_type
        if index.name.startswith(IMPLICIT_INDEX) and wanted != index.metric_type:
            if wanted not in ("L2", "IP", "COSINE"):
                raise ParamError(message=f"metric_type {wanted} is not one of L2, IP, COSINE")
            return wanted, None, {}
        return index.metric_type, index, check_search_params(index, params)

    def _hits(self, found: Found, offset: int, round_decimal: int, output: Output | None) -> Hits:
        scores, places = found.scores[offset:], found.places[offset:]
        if round_decimal >= 0:
            scores = [round(score, round_decimal) for score in scores]
        primary = self.info.schema.primary
        entities = None if output is None else self._rows(places, output)
        return Hits(self._pks_at(places), scores, primary.name, entities)

    def _pks_at(self, places: list[Place]) -> list[Any]:
        """Primary keys of rows."""
        primary = self.info.schema.primary.id
        pks: list[Any] = [None] * len(places)
        for segment, numbers, rows in _by_segment(places, len(self.view.segments)):
            column = segment.column(primary)
            values: list[Any] = pk_values(column.take(rows))
            if len(values) == len(pks):
                return values
            for number, pk in zip(numbers, values, strict=True):
                pks[number] = pk
        return pks

    def _entities(self, places: list[Place], output_fields: Sequence[str] | None) -> ExtraList:
        names = check_texts("output_fields", output_fields)
        output = self._output(names or ["*"], with_pk=True)
        return self._list(self._rows(places, output))

    def _list(self, rows: list[dict[str, Any]]) -> ExtraList:
        return ExtraList(rows, extra={"seq": self.seq})

    def _output(self, names: Sequence[str], *, with_pk: bool = False) -> Output:
        """What names stand for. Raises FieldNotExistException, ParamError."""
        schema = self.info.schema
        check_texts("output_fields", names)
        if "*" in names:
            return Output(list(schema.fields), None)
        wanted = {schema.primary.name} if with_pk else set()
        keys: list[str] = []
        for name in names:
            if name in schema.by_name:
                wanted.add(name)
            elif schema.dynamic is not None:
                wanted.add(schema.dynamic.name)
                keys.append(name)
            else:
                raise FieldNotExistException(
                    message=f"collection {self.info.name} has no field {name} to put out"
                )
        if schema.dynamic is not None and schema.dynamic.name in names:
            return Output([f for f in schema.fields if f.name in wanted], None)
        return Output([f for f in schema.fields if f.name in wanted], keys)

    def _rows(self, places: list[Place], output: Output) -> list[dict[str, Any]]:
        """The rows at these places, read segment by segment, in the order of `places`."""
        rows: list[dict[str, Any]] = [{}] * len(places)
        for segment, numbers, positions in _by_segment(places, len(self.view.segments)):
            columns = {f.id: segment.column(f.id).take(positions) for f in output.fields}
            found = python_rows(columns, output.fields, len(numbers), output.keys)
            for number, row in zip(numbers, found, strict=True):
                rows[number] = row
        return rows


def _predicate(compiled: Filter | None) -> Callable[..., Array] | None:
    return None if compiled is None else compiled.mask


def _by_segment(
    places: list[Place], segments: int
) -> Iterable[tuple[SegmentView, Sequence[int], Array]]:
    """Places grouped: (segment, which of `places`, their rows). `segments`: how many there are."""
    if not places:
        return ()
    if segments == 1:
        return ((places[0][0], range(len(places)), np.array([row for _, row in places])),)
    groups: dict[int, tuple[SegmentView, list[int], list[int]]] = {}
    for number, (segment, row) in enumerate(places):
        _, numbers, rows = groups.setdefault(id(segment), (segment, [], []))
        numbers.append(number)
        rows.append(row)
    return [(segment, numbers, np.array(rows)) for segment, numbers, rows in groups.values()]
