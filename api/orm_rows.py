"""The rows of a collection of the ORM: write, search, query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from walvec.arguments import check_flag, check_text
from walvec.convert import columns_of
from walvec.data_frames import is_frame, rows_of_frame
from walvec.futures import MutationFuture, SearchFuture, answered
from walvec.iterators import UNLIMITED, QueryIterator, SearchIterator
from walvec.orm_handle import CollectionHandle
from walvec.rankers import AnnSearchRequest, Ranker
from walvec.readers import timezone_of
from walvec.results import ExtraList, MutationResult, SearchResult
from walvec.session import check_options
from walvec.wal.errors import ParamError


class CollectionRows(CollectionHandle):
    """What can be done with a collection's rows.

    insert, upsert, delete, search and hybrid_search take `_async=True` and `_callback=`: the call
    goes on in a thread and a MutationFuture or SearchFuture comes back. What was given must not
    change until that is done.
    """

    def insert(
        self,
        data: Any,
        partition_name: str | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> MutationResult:
        """Append rows: a dict, a list of dicts, columns in the order of the fields, or a pandas
        DataFrame. Durable and searchable on return."""

        def call() -> MutationResult:
            return self._write(data, partition_name, timeout, kwargs, upsert=False)

        result: MutationResult = answered(kwargs, call, MutationFuture)
        return result

    def upsert(
        self,
        data: Any,
        partition_name: str | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> MutationResult:
        """As insert, of rows that may be present; a key may stand once. kwargs: partial_update,
        see MilvusClient.upsert."""

        def call() -> MutationResult:
            return self._write(data, partition_name, timeout, kwargs, upsert=True)

        result: MutationResult = answered(kwargs, call, MutationFuture)
        return result

    def _write(
        self,
        data: Any,
        partition: str | None,
        timeout: float | None,
        kwargs: dict[str, Any],
        *,
        upsert: bool,
    ) -> MutationResult:
        client = self._client
        method = client.upsert if upsert else client.insert
        partial = upsert and check_flag("partial_update", kwargs.get("partial_update", False))
        if partial and is_frame(data):  # it may leave columns out
            data = rows_of_frame(data)
        if _is_by_row(data):
            result = method(self._name, data, timeout, partition, **kwargs)
        else:
            # Columns are those of all fields, so that nothing is kept by a partial update.
            known = ("partial_update",) if upsert else ()
            check_options("upsert" if upsert else "insert", kwargs, *known)
            info = client.info(self._name)
            zone = timezone_of(info, {})
            rows = columns_of(data, info.schema, info.name, upsert=upsert, timezone=zone)
            result = client.write_rows(info, rows, timeout, partition, upsert=upsert)
        key = "upsert_count" if upsert else "insert_count"
        return MutationResult(primary_keys=result["ids"], seq=result["seq"], **{key: result[key]})

    def delete(
        self,
        expr: str,
        partition_name: str | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> MutationResult:
        """Delete the rows that match an expression. kwargs: expr_params (or filter_params)."""
        check_text("expr", expr)

        def call() -> MutationResult:
            options = _with_filter_params(kwargs)
            result = self._client.delete(self._name, None, timeout, expr, partition_name, **options)
            count, seq = result["delete_count"], result["seq"]
            return MutationResult(primary_keys=[], delete_count=count, seq=seq)

        result: MutationResult = answered(kwargs, call, MutationFuture)
        return result

    def search(
        self,
        data: Any,
        anns_field: str,
        param: dict[str, Any],
        limit: int,
        expr: str | None = None,
        partition_names: list[str] | None = None,
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        round_decimal: int = -1,
        ranker: None = None,
        function_chains: None = None,
        highlighter: None = None,
        search_aggregation: None = None,
        **kwargs: Any,
    ) -> SearchResult:
        """The `limit` nearest rows to each query vector, none to none; see MilvusClient.search."""

        def call() -> SearchResult:
            if isinstance(data, list) and not data:
                return SearchResult()
            return self._client.search(
                self._name,
                data,
                "" if expr is None else check_text("expr", expr),
                limit,
                output_fields,
                param,
                timeout,
                partition_names,
                anns_field,
                ranker,
                function_chains,
                highlighter,
                search_aggregation=search_aggregation,
                **_with_decimals(kwargs, round_decimal),
            )

        result: SearchResult = answered(kwargs, call, SearchFuture)
        return result

    def hybrid_search(
        self,
        reqs: Sequence[AnnSearchRequest],
        rerank: Ranker,
        limit: int,
        partition_names: list[str] | None = None,
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        round_decimal: int = -1,
        ranker: Ranker | None = None,
        **kwargs: Any,
    ) -> SearchResult:
        """The answers of several searches, brought together by `rerank`; `ranker`, if given,
        takes its place. See MilvusClient.hybrid_search."""

        def call() -> SearchResult:
            if isinstance(reqs, list) and not reqs:
                return SearchResult()
            return self._client.hybrid_search(
                self._name,
                reqs,
                rerank if ranker is None else ranker,
                limit,
                output_fields,
                timeout,
                partition_names,
                **_with_decimals(kwargs, round_decimal),
            )

        result: SearchResult = answered(kwargs, call, SearchFuture)
        return result

    def search_iterator(
        self,
        data: Any,
        anns_field: str,
        param: dict[str, Any],
        batch_size: int = 1000,
        limit: int | None = UNLIMITED,
        expr: str | None = None,
        partition_names: list[str] | None = None,
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        round_decimal: int = -1,
        **kwargs: Any,
    ) -> SearchIterator:
        """All rows by their nearness, batch by batch; see MilvusClient.search_iterator."""
        return self._client.search_iterator(
            self._name,
            data,
            batch_size,
            expr,
            limit,
            output_fields,
            param,
            timeout,
            partition_names,
            anns_field,
            round_decimal,
            **kwargs,
        )

    def query(
        self,
        expr: str,
        output_fields: list[str] | None = None,
        partition_names: list[str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> ExtraList:
        """The rows that match an expression, see MilvusClient.query."""
        return self._client.query(
            self._name,
            check_text("expr", expr),
            output_fields,
            timeout,
            None,
            partition_names,
            **kwargs,
        )

    def query_iterator(
        self,
        batch_size: int = 1000,
        limit: int | None = UNLIMITED,
        expr: str | None = None,
        output_fields: list[str] | None = None,
        partition_names: list[str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> QueryIterator:
        """The rows that match, batch by batch; see MilvusClient.query_iterator."""
        return self._client.query_iterator(
            self._name,
            batch_size,
            limit,
            expr,
            output_fields,
            partition_names,
            timeout,
            **kwargs,
        )


def _is_by_row(data: Any) -> bool:
    return isinstance(data, dict) or (
        isinstance(data, list | tuple) and len(data) > 0 and isinstance(data[0], dict)
    )


def _with_decimals(kwargs: dict[str, Any], round_decimal: int) -> dict[str, Any]:
    """Keywords with round_decimal, if it says something: it may stand in the search's param."""
    return kwargs if round_decimal == -1 else {**kwargs, "round_decimal": round_decimal}


def _with_filter_params(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keywords with `expr_params` by the name that the client has for it. Raises ParamError."""
    options = dict(kwargs)
    params = options.pop("expr_params", None)
    if params is None:
        return options
    if options.get("filter_params") is not None:
        raise ParamError(message="delete() takes filter_params or expr_params, not both")
    return {**options, "filter_params": params}
