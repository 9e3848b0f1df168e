"""Client methods on rows: insert, upsert, delete, get, query, search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from walvec.arguments import check_text, check_texts, check_whole
from walvec.convert import pks_of, rows_of
from walvec.filter import compile_filter
from walvec.reading import Reader
from walvec.results import ExtraList, SearchResult
from walvec.segments import commands
from walvec.segments.batch import batch_of
from walvec.segments.catalog import CollectionInfo
from walvec.session import Session, check_options, check_partitions
from walvec.wal.errors import ParamError
from walvec.wal.rows import Column, Rows

MAX_DECIMALS = 6
MAX_LIMIT = 16_384
"""Milvus' limit for limit + offset."""


class RowCalls(Session):
    """Methods that write and read rows."""

    def insert(
        self,
        collection_name: str,
        data: dict[str, Any] | Sequence[dict[str, Any]],
        timeout: float | None = None,
        partition_name: str = "",
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Append rows; durable and searchable on return. A row with a present key replaces it.

        Returns {"insert_count": n, "ids": [...], "seq": ...}: seq is the place in the log.
        Raises DataNotMatchException naming field, row and value; nothing is stored then.
        """
        check_options("insert", kwargs)
        return self._write(collection_name, data, timeout, partition_name, upsert=False)

    def upsert(
        self,
        collection_name: str,
        data: dict[str, Any] | Sequence[dict[str, Any]],
        timeout: float | None = None,
        partition_name: str = "",
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As insert, of rows that may be present: {"upsert_count": n, "ids": [...], "seq": ...}.

        With auto ids the rows bring the keys they are to replace. A key may stand once.
        """
        check_options("upsert", kwargs)
        return self._write(collection_name, data, timeout, partition_name, upsert=True)

    def _write(
        self, name: str, data: Any, timeout: float | None, partition: str, *, upsert: bool
    ) -> dict[str, Any]:
        info = self.info(name)
        check_partitions(info, partition)
        rows = rows_of(data, info.schema, name, upsert=upsert)
        return self.write_rows(info, rows, timeout, upsert=upsert)

    def write_rows(
        self, info: CollectionInfo, rows: Rows, timeout: float | None, *, upsert: bool
    ) -> dict[str, Any]:
        """Store converted rows, as insert or upsert."""
        count = "upsert_count" if upsert else "insert_count"
        if not rows.n:
            return {count: 0, "ids": [], "seq": self._store.published.seq}
        batch = batch_of(rows)
        limit = self._store.settings.segment_max_bytes
        command = commands.insert(info.id, info.name, batch, limit, upsert=upsert)
        first_id, seq, _ = self._execute(command, timeout)
        return {count: rows.n, "ids": _ids(info, rows, first_id), "seq": seq}

    def delete(
        self,
        collection_name: str,
        ids: list[Any] | str | int | None = None,
        timeout: float | None = None,
        filter: str | None = None,
        partition_name: str | None = None,
        **kwargs: Any,
    ) -> dict[str, int]:
        """Delete rows by primary keys or by a filter; durable and effective on return.

        Returns {"delete_count": n, "seq": ...}. As in Milvus, n counts the keys given, present
        or not; with a filter, the rows that matched. A filter on anything but the key needs the
        collection loaded. kwargs: filter_params.
        """
        check_options("delete", kwargs, "filter_params")
        info = self.info(collection_name)
        check_partitions(info, partition_name)
        filter = checked_filter(filter)
        if (ids is None) == (not filter):
            raise ParamError(message="delete() needs ids or a filter, and not both")
        if ids is not None:
            pks = pks_of(ids, info.schema, collection_name)
        else:
            pks = self._matching_pks(info, filter, kwargs.get("filter_params"))
        if not len(pks):
            return {"delete_count": 0, "seq": self._store.published.seq}
        primary = info.schema.primary.id
        outcome = self._execute(commands.delete(info.id, info.name, primary, pks), timeout)
        return {"delete_count": len(pks), "seq": outcome.seq}

    def _matching_pks(self, info: CollectionInfo, text: str, params: Any) -> Column:
        compiled = compile_filter(text, info.schema, params, info.name)
        pks = compiled.pks(info.schema)
        if pks is not None:
            return pks
        return self._reader(info).matching_pks(compiled.mask)

    def _reader(self, info: CollectionInfo) -> Reader:
        # The seq first: a view has the seq of the last change to its own rows, and everything up
        # to what was published before it was taken.
        seq = self._store.published.seq
        view = self._store.view(info)
        return Reader(view, info, max(seq, view.seq))

    def get(
        self,
        collection_name: str,
        ids: list[Any] | str | int,
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        partition_names: list[str] | None = None,
        **kwargs: Any,
    ) -> ExtraList:
        """The rows with these primary keys, as dicts, in the order of `ids`; absent ones are
        left out. All fields unless `output_fields` names some. `.extra["seq"]`: served at."""
        check_options("get", kwargs)
        self._time(timeout)
        info = self.info(collection_name)
        check_partitions(info, partition_names)
        reader = self._reader(info)
        return reader.by_pks(pks_of(ids, info.schema, collection_name), output_fields)

    def query(
        self,
        collection_name: str,
        filter: str = "",
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        ids: list[Any] | str | int | None = None,
        partition_names: list[str] | None = None,
        **kwargs: Any,
    ) -> ExtraList:
        """The rows that match a filter or have these primary keys, as dicts, in the order of
        their insertion.

        output_fields: names, "*", or ["count(*)"] for [{"count(*)": n}]. kwargs: limit, offset,
        filter_params. Without filter and ids a limit is needed, as in Milvus, unless rows are
        counted. `.extra["seq"]`: served at.
        Raises CollectionNotLoadedException, ExpressionException, ParamError.
        """
        check_options("query", kwargs, "limit", "offset", "filter_params")
        filter = checked_filter(filter)
        if filter and ids is not None:
            raise ParamError(message="query() takes a filter or ids, not both")
        if ids is not None:
            return self.get(collection_name, ids, output_fields, timeout, partition_names)
        self._time(timeout)
        info = self.info(collection_name)
        check_partitions(info, partition_names)
        limit, offset = _window(kwargs.get("limit"), kwargs.get("offset", 0))
        counting = check_texts("output_fields", output_fields) == ["count(*)"]
        if not filter and limit is None and not counting:
            raise ParamError(message="query() without a filter needs a limit")
        reader = self._reader(info)
        compiled = None
        if filter:
            compiled = compile_filter(filter, info.schema, kwargs.get("filter_params"), info.name)
        if counting:
            return reader.count(compiled)
        return reader.matching(compiled, output_fields, limit, offset)

    def search(
        self,
        collection_name: str,
        data: Any = None,
        filter: str = "",
        limit: int = 10,
        output_fields: list[str] | None = None,
        search_params: dict[str, Any] | None = None,
        timeout: float | None = None,
        partition_names: list[str] | None = None,
        anns_field: str | None = None,
        **kwargs: Any,
    ) -> SearchResult:
        """The `limit` nearest rows to each query vector, best first.

        data: one vector or several, lists or float arrays (nq, dim). search_params: flat
        ({"ef": 64}) or nested ({"metric_type": "L2", "params": {...}}). `distance` in a hit is
        Milvus': squared for L2, ascending; the similarity for IP and COSINE, descending.
        kwargs: offset, filter_params, round_decimal. `.extra["seq"]`: served at.
        Raises CollectionNotLoadedException, ExpressionException, ParamError.
        """
        if kwargs:
            check_options("search", kwargs, "offset", "filter_params", "round_decimal")
        if timeout is not None:
            self._time(timeout)
        info = self.info(collection_name)
        if partition_names is not None:
            check_partitions(info, partition_names)
        offset = check_whole("offset", kwargs.get("offset", 0), 0, MAX_LIMIT)
        check_whole("limit", limit, 1, MAX_LIMIT)
        _check_window(limit, offset)
        compiled = None
        if checked_filter(filter):
            compiled = compile_filter(filter, info.schema, kwargs.get("filter_params"), info.name)
        reader = self._reader(info)
        return reader.search(
            data,
            anns_field,
            search_params,
            compiled,
            limit,
            offset,
            output_fields,
            check_whole("round_decimal", kwargs.get("round_decimal", -1), -1, MAX_DECIMALS),
        )


def _ids(info: CollectionInfo, rows: Rows, first_id: int | None) -> list[Any]:
    """The primary keys of stored rows."""
    primary = info.schema.primary
    if first_id is not None:
        ids = range(first_id, first_id + rows.n)
        return list(map(str, ids)) if primary.is_text else list(ids)
    column = rows.columns[primary.id]
    if primary.is_text:
        return list(column.texts())
    values: list[Any] = column.values.tolist()
    return values


def _window(limit: Any, offset: Any) -> tuple[int | None, int]:
    """Limit and offset, checked. Raises ParamError."""
    start = check_whole("offset", offset, 0, MAX_LIMIT)
    if limit is None:
        return None, start
    _check_window(check_whole("limit", limit, 1, MAX_LIMIT), start)
    return limit, start


def _check_window(limit: int, offset: int) -> None:
    if limit + offset > MAX_LIMIT:
        raise ParamError(message=f"limit + offset is {limit + offset}, the most is {MAX_LIMIT}")


def checked_filter(filter: Any) -> str:
    """The expression, "" for None. Raises ParamError."""
    return "" if filter is None else check_text("filter", filter)
