"""Client methods that search by vectors: search, hybrid_search, search_iterator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from walvec.arguments import check_text, check_texts
from walvec.grouping import Grouping
from walvec.hybrid import SCORERS, Answer, fused, group_page_of, page_of, ranker_of
from walvec.iterators import UNLIMITED, ExternalFilter, SearchIterator
from walvec.output import hit_output
from walvec.query_vectors import query_vectors
from walvec.rankers import AnnSearchRequest, Ranker
from walvec.readers import Readers, compiled_filter, timezone_of
from walvec.reading import Reader
from walvec.results import SearchResult
from walvec.search_wish import (
    GROUPS,
    KEYWORDS,
    MAX_LIMIT,
    Wish,
    refuse_functions,
    wish_of,
)
from walvec.searching import found_of, hits_of, plan_of, stored_vectors, vector_field
from walvec.session import check_options
from walvec.wal.errors import ParamError
from walvec.wal.shown import shown

MAX_REQUESTS = 1024
"""Milvus' limit for the requests of a hybrid search."""


class SearchCalls(Readers):
    """Methods that search by vectors."""

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
        ranker: None = None,
        function_chains: None = None,
        highlighter: None = None,
        ids: list[Any] | str | int | None = None,
        search_aggregation: None = None,
        **kwargs: Any,
    ) -> SearchResult:
        """The `limit` nearest rows to each query vector, best first.

        data: one vector or several, lists or arrays (nq, dim); or instead `ids`: the keys of
        entities whose vectors are the queries. search_params: flat ({"ef": 64}) or nested
        ({"metric_type": "L2", "params": {...}}); with "radius" and "range_filter" only rows
        between them. `distance` in a hit is Milvus': squared for L2, ascending; the similarity
        for IP and COSINE, descending.
        kwargs, some of which may stand in search_params too: offset, round_decimal,
        group_by_field, group_size, strict_group_size, order_by_fields, filter_params, timezone,
        ignore_growing. ranker, function_chains, highlighter, search_aggregation: None; they need
        a server. `.extra["seq"]`: served at.
        Raises CollectionNotLoadedException, ExpressionException, ParamError.
        """
        if kwargs:
            check_options("search", kwargs, *KEYWORDS)
        refuse_functions("search", ranker, function_chains, highlighter, search_aggregation)
        if timeout is not None:
            self._time(timeout)
        if (data is None) == (ids is None):
            raise ParamError(message="search() takes data or ids: one of them")
        info = self.info(collection_name)
        wish, params = wish_of("search", info, limit, kwargs, search_params)
        names = check_texts("output_fields", output_fields)
        output = hit_output(info, names, timezone_of(info, kwargs))
        field = vector_field(info, anns_field)
        compiled = compiled_filter("search", info, filter, kwargs)
        plan = plan_of(info, field, params, wish, None if compiled is None else compiled.mask)
        reader = self._reader(info, partition_names, compiled)
        if ids is None:
            queries = query_vectors(data, field, collection_name)
            check_queries("search", len(queries))
        else:
            queries = stored_vectors(reader, field, ids)
        if wish.sealed_only:
            reader = reader.sealed_only()
        pages = found_of(reader, plan, queries, wish)
        hits = [hits_of(reader, page, wish.decimals, output) for page in pages]
        return SearchResult(hits, extra={"seq": reader.seq})

    def hybrid_search(
        self,
        collection_name: str,
        reqs: Sequence[AnnSearchRequest],
        ranker: Ranker | None,
        limit: int = 10,
        output_fields: list[str] | None = None,
        timeout: float | None = None,
        partition_names: list[str] | None = None,
        **kwargs: Any,
    ) -> SearchResult:
        """The answers of several searches on one view, brought together by RRFRanker or
        WeightedRanker; `distance` in a hit is the ranker's score.

        A request finds its own `limit` rows; the best `limit` of all go out. kwargs: offset,
        round_decimal, group_by_field, group_size, strict_group_size, rank_group_scorer ("max",
        "sum" or "avg": a group's score by those of its rows), timezone. `.extra["seq"]`: served
        at.
        Raises CollectionNotLoadedException, ExpressionException, ParamError,
        NotSupportedException.
        """
        known = ("offset", "round_decimal", "rank_group_scorer", "timezone", *GROUPS)
        check_options("hybrid_search", kwargs, *known, "ignore_growing")
        self._time(timeout)
        if not isinstance(reqs, list | tuple) or not 1 <= len(reqs) <= MAX_REQUESTS:
            raise ParamError(
                message=f"hybrid_search() takes 1 to {MAX_REQUESTS} requests, got {shown(reqs)}"
            )
        chosen = ranker_of(ranker, len(reqs))
        info = self.info(collection_name)
        scorer = check_text("rank_group_scorer", kwargs.pop("rank_group_scorer", "max"))
        if scorer not in SCORERS:
            raise ParamError(message=f"rank_group_scorer {shown(scorer)} is not {list(SCORERS)}")
        wish, _ = wish_of("hybrid_search", info, limit, kwargs, None)
        names = check_texts("output_fields", output_fields)
        output = hit_output(info, names, timezone_of(info, kwargs))
        reader = self._reader(info, partition_names)
        if wish.sealed_only:
            reader = reader.sealed_only()
        zone = {"timezone": kwargs.get("timezone")}
        answers = [_answers(reader, request, wish.grouping, zone) for request in reqs]
        if len({len(one) for one in answers}) > 1:
            raise ParamError(
                message="hybrid_search(): every request must have as many query vectors as the "
                f"others, got {[len(one) for one in answers]}"
            )
        hits = []
        for each in zip(*answers, strict=True):
            ranked = fused(reader, chosen, each)
            if wish.grouping is None:
                page = page_of(ranked, wish.limit, wish.offset)
            else:
                page = group_page_of(ranked, wish.grouping, scorer, wish.limit, wish.offset)
            hits.append(hits_of(reader, page, wish.decimals, output))
        return SearchResult(hits, extra={"seq": reader.seq})

    def search_iterator(
        self,
        collection_name: str,
        data: Any,
        batch_size: int = 1000,
        filter: str | None = None,
        limit: int | None = UNLIMITED,
        output_fields: list[str] | None = None,
        search_params: dict[str, Any] | None = None,
        timeout: float | None = None,
        partition_names: list[str] | None = None,
        anns_field: str | None = None,
        round_decimal: int = -1,
        *,
        external_filter_func: ExternalFilter | None = None,
        **kwargs: Any,
    ) -> SearchIterator:
        """All rows by their nearness to one query vector, batch by batch, exactly.

        `next()` gives a page of hits (a list with `ids()` and `distances()`), empty at the end;
        `close()` ends it. What is written after this call is not seen by the iterator. limit:
        -1 for all. external_filter_func: called with the hits of a batch, returns those to keep.
        kwargs: filter_params, timezone, ignore_growing.
        Raises CollectionNotLoadedException, ExpressionException, ParamError.
        """
        known = ("offset", "filter_params", "expr_params", "timezone", "ignore_growing")
        check_options("search_iterator", kwargs, *known)
        self._time(timeout)
        info = self.info(collection_name)
        options = {**kwargs, "round_decimal": round_decimal}
        wish, params = wish_of("search_iterator", info, 1, options, search_params)
        if wish.offset or wish.grouping is not None or wish.order:
            raise ParamError(
                message="search_iterator() takes no offset, group_by_field or order_by_fields"
            )
        names = check_texts("output_fields", output_fields)
        output = hit_output(info, names, timezone_of(info, kwargs))
        field = vector_field(info, anns_field)
        compiled = compiled_filter("search_iterator", info, filter, kwargs)
        plan = plan_of(info, field, params, wish, None if compiled is None else compiled.mask)
        queries = query_vectors(data, field, collection_name)
        if len(queries) != 1:
            raise ParamError(message=f"search_iterator() takes one vector, got {len(queries)}")
        if external_filter_func is not None and not callable(external_filter_func):
            raise ParamError(message="external_filter_func must be callable")
        reader = self._reader(info, partition_names, compiled)
        return SearchIterator(
            reader.sealed_only() if wish.sealed_only else reader,
            plan,
            queries.copy(),
            output,
            batch_size=batch_size,
            limit=limit,
            decimals=wish.decimals,
            external_filter=external_filter_func,
        )


def check_queries(method: str, count: int) -> None:
    """Raise ParamError for more query vectors than Milvus takes."""
    if count > MAX_LIMIT:
        raise ParamError(message=f"{method}() takes {MAX_LIMIT} query vectors, got {count}")


def _answers(
    reader: Reader, request: Any, grouping: Grouping | None, zone: dict[str, Any]
) -> list[Answer]:
    """What one request finds for each of its queries."""
    if not isinstance(request, AnnSearchRequest):
        raise ParamError(message=f"reqs must be of AnnSearchRequest, got {shown(request)}")
    info = reader.info
    wish, params = wish_of("AnnSearchRequest", info, request.limit, {}, request.param)
    if wish != Wish(wish.limit, radius=wish.radius, range_filter=wish.range_filter):
        raise ParamError(
            message="AnnSearchRequest: of param only radius, range_filter and parameters of the "
            "index count: give all else to hybrid_search()"
        )
    field = vector_field(info, request.anns_field)
    options = {"expr_params": request.expr_params, **zone}
    compiled = compiled_filter("AnnSearchRequest", info, request.filter, options)
    plan = plan_of(info, field, params, wish, None if compiled is None else compiled.mask)
    queries = query_vectors(request.data, field, info.name)
    check_queries("AnnSearchRequest", len(queries))
    wish = wish._replace(grouping=grouping)
    return [Answer(plan.metric_type, found) for found in found_of(reader, plan, queries, wish)]
