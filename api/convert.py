"""User data -> rows as columns: the border where data of users is checked, once.

What is wrong raises DataNotMatchException, which names collection, field, row and value,
and nothing of the batch is converted. The caller's objects are read, never kept or changed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from walvec.cells import CONVERTERS, Place, column_of, shown
from walvec.python_rows import python_rows, value_at, values_of
from walvec.vectors import FLOAT32, Vectors, all_finite, stacked
from walvec.wal.errors import DataNotMatchException, ParamError
from walvec.wal.rows import OFFSETS, Column, Rows, columns_in_log_order, empty_column
from walvec.wal.schema import META_FIELD, Field, Schema

__all__ = [
    "columns_of",
    "pks_of",
    "python_rows",
    "query_vectors",
    "rows_of",
    "value_at",
    "values_of",
]

MAX_CONVERTERS = 256
EMPTY_OBJECT = np.frombuffer(b"{}", np.uint8)


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
        self.plan = [(f, itemgetter(f.name), CONVERTERS[f.type]) for f in in_log_order]
        self.names = frozenset(f.name for f in wanted)

    def rows(self, data: Sequence[Any], collection: str) -> Rows:
        """Rows of dictionaries."""
        n = len(data)
        if set(map(type, data)) != {dict}:
            _check_dictionaries(data, collection)
        columns = {}
        for field, get, convert in self.plan:
            try:
                values = list(map(get, data))
            except KeyError:
                raise _missing(data, field, collection) from None
            columns[field.id] = convert(values, Place(collection, field))
        if set(map(len, data)) != {len(self.names)}:
            self._check_keys(data, collection)
            if self.schema.dynamic is not None:
                columns[self.schema.dynamic.id] = self._meta(data, collection)
        elif self.schema.dynamic is not None:
            columns[self.schema.dynamic.id] = _empty_objects(n)
        return self._finished(n, columns, collection)

    def columns(self, data: Any, collection: str) -> Rows:
        """Rows of columns in the order of the fields, or of a data frame by names."""
        given = self._frame(data, collection)
        if given is None:
            given = self._sequence(data, collection)
        n = len(given[0])
        for field, values in zip(self.fields, given, strict=True):
            if len(values) != n:
                raise DataNotMatchException(
                    message=f"collection {collection}: field {field.name}, row "
                    f"{min(n, len(values))}: the column has {len(values)} rows, that of "
                    f"{self.fields[0].name} has {n}"
                )
        columns = {
            field.id: column_of(values, Place(collection, field))
            for field, values in zip(self.fields, given, strict=True)
        }
        if self.schema.dynamic is not None:
            columns[self.schema.dynamic.id] = _empty_objects(n)
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

    def _meta(self, data: Sequence[dict[str, Any]], collection: str) -> Column:
        assert self.schema.dynamic is not None
        names = self.names
        extra = [{k: v for k, v in row.items() if k not in names} for row in data]
        return column_of(extra, Place(collection, self.schema.dynamic))

    def _frame(self, data: Any, collection: str) -> list[Any] | None:
        """The columns of a data frame (pandas, or alike), in the order of the fields."""
        if isinstance(data, list | tuple | np.ndarray) or not hasattr(data, "columns"):
            return None
        names = list(data.columns)
        if set(names) != self.names or len(names) != len(self.names):
            raise DataNotMatchException(
                message=f"collection {collection}: expected the columns "
                f"{sorted(self.names)}, got {sorted(map(str, names))}"
            )
        return [np.asarray(data[f.name]) for f in self.fields]

    def _sequence(self, data: Any, collection: str) -> list[Any]:
        names = [f.name for f in self.fields]
        if not isinstance(data, list | tuple) or len(data) != len(names):
            count = f"{len(data)} columns" if isinstance(data, list | tuple) else shown(data)
            raise DataNotMatchException(
                message=f"collection {collection}: expected a list of {len(names)} columns, "
                f"{names}, got {count}"
            )
        return [_values(c, Place(collection, f)) for c, f in zip(data, self.fields, strict=True)]


def _values(column: Any, place: Place) -> Any:
    """A column as list, tuple or array; a series becomes an array."""
    if isinstance(column, np.ndarray) and column.ndim:
        return column
    if isinstance(column, list | tuple):
        return column
    if hasattr(column, "to_numpy"):
        return column.to_numpy()
    raise DataNotMatchException(
        message=f"collection {place.collection}: field {place.field.name}, row 0: expected a "
        f"column (list, tuple or array), got {shown(column)}"
    )


def _check_dictionaries(data: Sequence[Any], collection: str) -> None:
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


def _empty_objects(n: int) -> Column:
    return Column(np.tile(EMPTY_OBJECT, n), np.arange(0, 2 * n + 1, 2).astype(OFFSETS))


_converters: dict[tuple[int, bool], Converter] = {}
_adding = threading.Lock()


def converter(schema: Schema, upsert: bool) -> Converter:
    """The converter of a schema, made once for each schema object."""
    # By identity, because hashing a schema takes longer than converting a row. The converter
    # keeps the schema, so that no other can come to have its id.
    key = (id(schema), upsert)
    found = _converters.get(key)
    if found is None:
        found = Converter(schema, upsert)
        with _adding:
            if len(_converters) >= MAX_CONVERTERS:
                _converters.pop(next(iter(_converters)))
            _converters[key] = found
    return found


def rows_of(data: Any, schema: Schema, collection_name: str, *, upsert: bool = False) -> Rows:
    """Row-based data, a dict or a list of dicts, as columns; an empty list gives no rows.

    Raises DataNotMatchException.
    """
    plan = converter(schema, upsert)
    if isinstance(data, dict):
        return plan.rows((data,), collection_name)
    if not isinstance(data, list | tuple):
        raise DataNotMatchException(
            message=f"collection {collection_name}: expected a dict or a list of dicts, "
            f"got {shown(data)}"
        )
    return plan.rows(data, collection_name) if data else plan.empty()


def columns_of(data: Any, schema: Schema, collection_name: str, *, upsert: bool = False) -> Rows:
    """Column-based data in the order of the fields (without automatic ids), or a data frame.

    Each column is a list, tuple or array; vectors may be one 2-D array. Raises
    DataNotMatchException.
    """
    plan = converter(schema, upsert)
    if isinstance(data, list | tuple) and not data:
        return plan.empty()
    return plan.columns(data, collection_name)


def query_vectors(data: Any, field: Field, collection_name: str) -> Vectors:
    """What to search for as (nq, dim) float32, C order, finite. May share memory with `data`.

    Takes a list of vectors, a 2-D array, or one vector. Raises ParamError.
    """
    dim = field.dim
    if type(data) is list and len(data) == 1:
        only = data[0]
        if type(only) is np.ndarray and only.ndim == 1:
            data = only
    if type(data) is np.ndarray and data.dtype == FLOAT32 and data.flags.c_contiguous:
        if data.ndim == 1:
            data = data[np.newaxis]
        if data.ndim == 2 and data.shape[1] == dim and len(data) and all_finite(data):
            found: Vectors = data
            return found

    def refuse(row: int, wanted: str, value: Any) -> Exception:
        return ParamError(
            message=f"collection {collection_name}: field {field.name}, query vector {row}: "
            f"expected {wanted}, got {shown(value)}"
        )

    if isinstance(data, np.ndarray) and data.ndim:
        vectors: Any = data[np.newaxis] if data.ndim == 1 and data.dtype.kind != "O" else data
    elif isinstance(data, list | tuple):
        vectors = [data] if data and isinstance(data[0], int | float | np.number) else data
    else:
        raise refuse(0, "a list of vectors", data)
    if not len(vectors):
        raise refuse(0, "at least one vector", data)
    return stacked(vectors, dim, refuse)


def pks_of(ids: Any, schema: Schema, collection_name: str) -> Column:
    """Primary keys to get or delete, one or a list, in the order given. Raises ParamError."""
    place = Place(collection_name, schema.primary)
    if isinstance(ids, set | frozenset | range):
        ids = list(ids)
    elif isinstance(ids, np.ndarray) and not ids.ndim:
        ids = [ids.item()]
    elif not isinstance(ids, list | tuple | np.ndarray):
        ids = [ids]
    try:
        return column_of(ids, place)
    except DataNotMatchException as error:
        raise ParamError(message=error.message.replace(", row ", ", id ", 1)) from None
