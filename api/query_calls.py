"""Client methods that read rows by key or filter: get, query, query_iterator."""

from __future__ import annotations

from typing import Any

from walvec.aggregates import Aggregates, aggregate, aggregates_of
from walvec.arguments import check_flag, check_texts, check_whole
from walvec.convert import pks_of
from walvec.iterators import MAX_ROWS, UNLIMITED, QueryIterator
from walvec.ordering import orders_of
from walvec.output import output_of, rows_at
from walvec.querying import Page, by_places, query
from walvec.readers import Readers, checked_filter, compiled_filter, timezone_of
from walvec.results import ExtraList
from walvec.search_wish import (
    MAX_LIMIT,
    check_window,
)
from walvec.segments.catalog import CollectionInfo
from walvec.session import check_options
from walvec.wal.errors import NotSupportedException, ParamError
from walvec.wal.schema import Field

QUERY_OPTIONS = (
    "limit",
    "offset",
    "order_by",
    "order_by_fields",
    "group_by_fields",
    "filter_params",
    "expr_params",
    "timezone",
    "ignore_growing",
)


class QueryCalls(Readers):
    """Methods that read rows by key or filter."""

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
        if kwargs:
            check_options("get", kwargs, "timezone")
        self._time(timeout)
        info = self.info(collection_name)
        reader = self._reader(info, partition_names)
        names = check_texts("output_fields", output_fields) or ["*"]
        places = reader.places(pks_of(ids, info.schema, collection_name))
        return reader.answer(rows_at(places, output_of(info, names, timezone_of(info, kwargs))))

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

        output_fields: names, "*", keys of the dynamic field, paths as `meta["a"]`; or aggregates:
        "count(*)", "count(f)", "sum(f)", "avg(f)", "min(f)", "max(f)", of all rows or, with
        group_by_fields=["g"], of each group. kwargs: limit, offset, order_by (["price:desc",
        "id"], needs a limit), group_by_fields, filter_params, timezone, ignore_growing. Without
        filter and ids a limit is needed, as in Milvus, unless there are aggregates.
        `.extra["seq"]`: served at.
        Raises CollectionNotLoadedException, ExpressionException, ParamError,
        FieldNotExistException.
        """
        if kwargs:
            check_options("query", kwargs, *QUERY_OPTIONS)
        if timeout is not None:
            self._time(timeout)
        if checked_filter(filter) and ids is not None:
            raise ParamError(message="query() takes a filter or ids, not both")
        info = self.info(collection_name)
        timezone = timezone_of(info, kwargs)
        names = check_texts("output_fields", output_fields) or ["*"]
        groups = check_texts("group_by_fields", kwargs.get("group_by_fields"))
        wish = aggregates_of(info, names, groups, timezone)
        page = _page(info, kwargs, wish)
        output = None if wish is not None else output_of(info, names, timezone)
        computes = wish is not None and wish.computes
        if not filter and ids is None and page.limit is None and not computes:
            raise ParamError(message="query() without a filter needs a limit")
        compiled = compiled_filter("query", info, filter, kwargs)
        reader = self._reader(info, partition_names, compiled)
        if check_flag("ignore_growing", kwargs.get("ignore_growing", False)):
            reader = reader.sealed_only()
        places = None
        if ids is not None:
            places = reader.places(pks_of(ids, info.schema, collection_name))
        if output is not None:
            if places is None:
                return reader.answer(query(reader, compiled, output, page))
            return reader.answer(by_places(places, output, page))
        assert wish is not None, "rows or aggregates"
        if places is None and wish.is_count:
            return reader.answer([{wish.items[0].name: reader.count(compiled)}])
        pieces = list(reader.pieces(compiled)) if places is None else reader.pieces_at(places)
        return reader.answer(aggregate(wish, pieces, page))

    def query_iterator(
        self,
        collection_name: str,
        batch_size: int = 1000,
        limit: int | None = UNLIMITED,
        filter: str | None = "",
        output_fields: list[str] | None = None,
        partition_names: list[str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> QueryIterator:
        """All rows that match, batch by batch, by rising primary key.

        `next()` gives a list of dicts, empty at the end; `close()` ends it. What is written after
        this call is not seen by the iterator. limit: -1 for all. kwargs: offset, filter_params,
        timezone, ignore_growing.
        Raises CollectionNotLoadedException, ExpressionException, ParamError.
        """
        if "iterator_cp_file" in kwargs:
            raise NotSupportedException(
                message="query_iterator(iterator_cp_file=...): an iterator reads one view, which "
                "ends with its process; go on by a filter on the primary key"
            )
        known = ("offset", "filter_params", "expr_params", "timezone", "reduce_stop_for_best")
        check_options("query_iterator", kwargs, *known, "ignore_growing")
        check_flag("reduce_stop_for_best", kwargs.get("reduce_stop_for_best", True))
        self._time(timeout)
        info = self.info(collection_name)
        timezone = timezone_of(info, kwargs)
        names = check_texts("output_fields", output_fields) or ["*"]
        output = output_of(info, names, timezone)
        offset = check_whole("offset", kwargs.get("offset", 0), 0, MAX_ROWS)
        compiled = compiled_filter("query_iterator", info, filter, kwargs)
        reader = self._reader(info, partition_names, compiled)
        if check_flag("ignore_growing", kwargs.get("ignore_growing", False)):
            reader = reader.sealed_only()
        return QueryIterator(
            reader, compiled, output, batch_size=batch_size, limit=limit, offset=offset
        )


def _page(info: CollectionInfo, kwargs: dict[str, Any], wish: Aggregates | None) -> Page:
    """Limit, offset and order, checked. Raises ParamError."""
    limit, offset = kwargs.get("limit"), kwargs.get("offset")
    start = 0 if offset is None else check_whole("offset", offset, 0, MAX_LIMIT)
    if limit is not None:
        check_window(check_whole("limit", limit, 1, MAX_LIMIT), start)
    by, by_fields = kwargs.get("order_by"), kwargs.get("order_by_fields")
    if by is not None and by_fields is not None:
        raise ParamError(message="query() takes order_by or order_by_fields, not both")
    order = orders_of("query", by_fields if by is None else by, info, dynamic=False)
    if wish is not None:
        if wish.counts_all and limit is not None:
            raise ParamError(message="query(): count(*) of all rows is one number: leave out limit")
        for one in order:
            if one.by not in wish.groups:
                assert isinstance(one.by, Field)
                raise ParamError(
                    message=f"query(): aggregates are ordered by group_by_fields alone, not by "
                    f"{one.by.name}"
                )
    elif order and limit is None:
        raise ParamError(message="query() with order_by needs a limit")
    return Page(limit, start, order)
