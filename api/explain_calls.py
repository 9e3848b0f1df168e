"""The client method that says how a query or a search finds its rows."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_dict, check_whole
from walvec.explaining import explained_query, explained_search
from walvec.explanation import Explanation
from walvec.query_vectors import query_vectors
from walvec.readers import Readers, compiled_filter
from walvec.search_wish import MAX_LIMIT, wish_of
from walvec.searching import plan_of, stored_vectors, vector_field
from walvec.session import check_options
from walvec.wal.errors import ParamError

SEARCH_LIMIT = 10


class ExplainCalls(Readers):
    """The method that explains."""

    def explain(
        self,
        collection_name: str,
        filter: str = "",
        data: Any = None,
        anns_field: str | None = None,
        limit: int | None = None,
        search_params: dict[str, Any] | None = None,
        filter_params: dict[str, Any] | None = None,
        partition_names: list[str] | None = None,
        ids: list[Any] | str | int | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Explanation:
        """Run a query, or with `data` or `ids` a search, and say how each segment found its rows:
        which conditions an index answered and which were scanned, how many rows were left, how
        they were searched, and what each took.

        limit: of a search, 10 by default; of a query the rows after which segments are not read
        any more, None for all. ids: entities whose vectors are searched for. kwargs:
        ignore_growing.
        Raises what `query` and `search` raise.
        """
        check_options("explain", kwargs, "ignore_growing")
        self._time(timeout)
        searches = data is not None or ids is not None
        if data is not None and ids is not None:
            raise ParamError(message="explain() takes data or ids, not both")
        if not searches and (search_params is not None or anns_field is not None):
            raise ParamError(
                message="explain() of a query takes no search_params and no anns_field: give "
                "data or ids to explain a search"
            )
        info = self.info(collection_name)
        if limit is not None:
            check_whole("limit", limit, 1, MAX_LIMIT)
        wish, params = wish_of("explain", info, limit or SEARCH_LIMIT, kwargs, search_params)
        if wish.grouping is not None or wish.order:
            raise ParamError(message="explain() neither groups nor orders hits: leave that out")
        params_given = {"filter_params": check_dict("filter_params", filter_params)}
        compiled = compiled_filter("explain", info, filter, params_given)
        reader = self._reader(info, partition_names, compiled)
        if not searches:
            read = reader.sealed_only() if wish.sealed_only else reader
            return explained_query(read, compiled, limit)
        field = vector_field(info, anns_field)
        plan = plan_of(info, field, params, wish, None)
        if ids is None:
            queries = query_vectors(data, field, collection_name)
        else:
            queries = stored_vectors(reader, field, ids)
        read = reader.sealed_only() if wish.sealed_only else reader
        return explained_search(read, compiled, plan, wish.offset, queries)
