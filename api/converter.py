"""Rows and columns of user data -> `Rows`, for one schema."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from walvec.cells import Place, shown
from walvec.columns import column_of, given_column, is_optional, list_column
from walvec.dynamic import dynamic_column, empty_objects
from walvec.wal.errors import DataNotMatchException
from walvec.wal.rows import Column, Rows, columns_in_log_order, empty_column, filled_column
from walvec.wal.schema import META_FIELD, Field, Schema


class Converter:
    """What a schema asks of rows, worked out once. Insert and upsert differ in automatic ids."""

    def __init__(self, schema: Schema, upsert: bool) -> None:
        self.schema = schema
        self.upsert = upsert
        pk = schema.primary
        self.refused = pk.name if pk.auto_id and not upsert else None
        wanted = [f for f in schema.fields if not f.is_dynamic and f.name != self.refused]
        self.fields = tuple(wanted)
        # The primary key's column first, as in the log.
        in_log_order = sorted(wanted, key=lambda f: (not f.is_primary, f.id))
        self.plan = [(f, itemgetter(f.name)) for f in in_log_order]
        self.names = frozenset(f.name for f in wanted)

    def rows(self, data: Sequence[Any], collection: str, zone: tzinfo) -> Rows:
        """Rows of dictionaries."""
        _check_dictionaries(data, collection)
        columns = {}
        complete = True
        for field, get in self.plan:
            try:
                values = list(map(get, data))
            except KeyError:
                if not is_optional(field):
                    raise _missing(data, field, collection) from None
                complete = False
                values = [row.get(field.name) for row in data]
            columns[field.id] = list_column(values, Place(collection, field, zone))
        dynamic = self.schema.dynamic
        if not complete or set(map(len, data)) != {len(self.names)}:
            self._check_keys(data, collection)
            if dynamic is not None:
                place = Place(collection, dynamic)
                columns[dynamic.id] = dynamic_column(data, self.names, place)
        elif dynamic is not None:
            columns[dynamic.id] = empty_objects(len(data))
        return self._finished(len(data), columns, collection)

    def partial_rows(
        self, data: Sequence[Any], collection: str, zone: tzinfo
    ) -> tuple[Rows, list[int]]:
        """Rows of dictionaries that have some of the fields, all the same ones."""
        _check_dictionaries(data, collection)
        given = self.names.intersection(data[0])
        if self.schema.primary.name not in given:
            raise _missing(data, self.schema.primary, collection)
        for row, values in enumerate(data):
            if self.names.intersection(values) != given:
                raise DataNotMatchException(
                    message=f"collection {collection}: row {row}: expected values of the same "
                    f"fields as in row 0, {sorted(given)}, got {shown(values)}"
                )
        columns = {
            field.id: list_column(list(map(get, data)), Place(collection, field, zone))
            for field, get in self.plan
            if field.name in given
        }
        if set(map(len, data)) != {len(given)}:
            self._check_keys(data, collection)
            if self.schema.dynamic is not None:
                place = Place(collection, self.schema.dynamic)
                columns[place.field.id] = dynamic_column(data, self.names, place)
        return self._finished(len(data), columns, collection), list(columns)

    def columns(self, data: Any, collection: str, zone: tzinfo) -> Rows:
        """Rows of columns in the order of the fields, or of a data frame by names."""
        given = self._frame(data, collection)
        if given is None:
            given = self._sequence(data, collection)
        n, first = next(((len(c), f) for f, c in given.items() if c is not None), (0, None))
        if first is None:
            raise DataNotMatchException(
                message=f"collection {collection}: expected a column with values, got none"
            )
        for field, values in given.items():
            if values is not None and len(values) != n:
                raise DataNotMatchException(
                    message=f"collection {collection}: field {field.name}, row "
                    f"{min(n, len(values))}: the column has {len(values)} rows, that of "
                    f"{first.name} has {n}"
                )
        columns = {
            field.id: filled_column(field, n)
            if values is None
            else column_of(values, Place(collection, field, zone))
            for field, values in given.items()
        }
        if self.schema.dynamic is not None:
            columns[self.schema.dynamic.id] = empty_objects(n)
        return self._finished(n, columns_in_log_order(self.schema, columns), collection)

    def empty(self) -> Rows:
        """No rows."""
        wanted = [f for f in self.schema.fields if f.name != self.refused]
        columns = {f.id: empty_column(f) for f in wanted}
        return Rows(0, columns_in_log_order(self.schema, columns))

    def _finished(self, n: int, columns: dict[int, Column], collection: str) -> Rows:
        if self.upsert and n > 1:
            self._check_unique(columns[self.schema.primary.id], collection)
        return Rows(n, columns)

    def _check_unique(self, column: Column, collection: str) -> None:
        pks: list[Any] = column.values.tolist() if column.offsets is None else column.texts()
        if len(set(pks)) == len(pks):
            return
        first: dict[Any, int] = {}
        for row, pk in enumerate(pks):
            if first.setdefault(pk, row) != row:
                place = Place(collection, self.schema.primary)
                raise place.error(row, f"a primary key not in row {first[pk]} of the upsert", pk)

    def _check_keys(self, data: Sequence[dict[Any, Any]], collection: str) -> None:
        """Refuse keys that are no field, or that no row may have."""
        dynamic = self.schema.dynamic is not None
        others = set(chain.from_iterable(data)) - self.names
        if not others or (
            dynamic
            and others.isdisjoint((self.refused, META_FIELD))
            and set(map(type, others)) == {str}
        ):
            return
        for row, given in enumerate(data):
            for key in given.keys() - self.names:
                if key == self.refused:
                    wanted = "no value, the ids are automatic (auto_id=True)"
                elif key == META_FIELD:
                    wanted = "the dynamic keys themselves in the row, not within it"
                elif dynamic and isinstance(key, str):
                    continue
                elif dynamic:
                    wanted = "a string as the key"
                else:
                    wanted = "no such key, the schema has no such field and no dynamic field"
                raise DataNotMatchException(
                    message=f"collection {collection}: field {key!s:.80}, row {row}: "
                    f"expected {wanted}, got {shown(given[key])}"
                )

    def _frame(self, data: Any, collection: str) -> dict[Field, Any] | None:
        """The columns of a data frame (pandas, or alike), None for one that may be left out."""
        if isinstance(data, list | tuple | np.ndarray) or not hasattr(data, "columns"):
            return None
        names = list(data.columns)
        needed = {f.name for f in self.fields if not is_optional(f)}
        if not needed <= set(names) <= self.names or len(set(names)) != len(names):
            raise DataNotMatchException(
                message=f"collection {collection}: expected the columns "
                f"{sorted(self.names)}, got {sorted(map(str, names))}"
            )
        present = set(names)
        return {
            f: given_column(data[f.name], f, collection) if f.name in present else None
            for f in self.fields
        }

    def _sequence(self, data: Any, collection: str) -> dict[Field, Any]:
        """The columns of a list, None for one that is None and may be."""
        names = [f.name for f in self.fields]
        if not isinstance(data, list | tuple) or len(data) != len(names):
            count = f"{len(data)} columns" if isinstance(data, list | tuple) else shown(data)
            raise DataNotMatchException(
                message=f"collection {collection}: expected a list of {len(names)} columns, "
                f"{names}, got {count}"
            )
        return {
            f: None if c is None and is_optional(f) else given_column(c, f, collection)
            for f, c in zip(self.fields, data, strict=True)
        }


def _check_dictionaries(data: Sequence[Any], collection: str) -> None:
    if set(map(type, data)) == {dict}:
        return
    for row, given in enumerate(data):
        if not isinstance(given, dict):
            raise DataNotMatchException(
                message=f"collection {collection}: row {row}: expected a dict of fields, "
                f"got {shown(given)}"
            )


def _missing(
    data: Sequence[dict[str, Any]], field: Field, collection: str
) -> DataNotMatchException:
    row = next(i for i, given in enumerate(data) if field.name not in given)
    return DataNotMatchException(
        message=f"collection {collection}: field {field.name}, row {row}: the field is missing, "
        f"got {shown(data[row])}"
    )
