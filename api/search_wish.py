"""What a search is asked for beside its queries: window, range, groups, order, rounding.

Milvus takes these as keywords of the call, in `search_params`, or in the "params" of that; what is
left of `search_params` is for the index.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from walvec.arguments import check_dict, check_flag, check_whole
from walvec.grouping import Grouping, grouping_of
from walvec.ordering import Order, orders_of
from walvec.segments.catalog import CollectionInfo
from walvec.wal.errors import NotSupportedException, ParamError
from walvec.wal.shown import shown

NOT_ROUNDED = -1
MAX_DECIMALS = 6
MAX_LIMIT = 16_384
"""Milvus' limit for limit + offset, and for query vectors."""
GROUPS = ("group_by_field", "group_by_fields", "group_size", "strict_group_size")
PAGES = ("offset", "round_decimal", "order_by_fields", "page_retain_order")
WISHES = frozenset((*GROUPS, *PAGES, "ignore_growing", "hints"))
RANGE = frozenset({"radius", "range_filter"})
KEYWORDS = ("filter_params", "expr_params", "timezone", *sorted(WISHES))
"""The keywords of search() that are no parameters of pymilvus' signature."""
HINTS = frozenset({"", "iterative_filter", "disable"})


class Wish(NamedTuple):
    """What a search is asked for. `limit` and `offset` count groups if there is a grouping."""

    limit: int
    offset: int = 0
    decimals: int = NOT_ROUNDED
    radius: float | None = None
    range_filter: float | None = None
    grouping: Grouping | None = None
    order: tuple[Order, ...] = ()
    sealed_only: bool = False
    """ignore_growing: growing segments are left out."""


def wish_of(
    method: str,
    info: CollectionInfo,
    limit: Any,
    kwargs: dict[str, Any],
    search_params: dict[str, Any] | None,
) -> tuple[Wish, dict[str, Any]]:
    """What is asked for, and the flat parameters of the index with "metric_type".

    Raises ParamError, FieldNotExistException.
    """
    check_whole("limit", limit, 1, MAX_LIMIT)
    params = flat(search_params)
    if WISHES.isdisjoint(kwargs) and WISHES.isdisjoint(params) and RANGE.isdisjoint(params):
        return Wish(limit), params
    asked = {key: kwargs[key] for key in WISHES & kwargs.keys()}
    if type(asked.get("round_decimal")) is int and asked["round_decimal"] == NOT_ROUNDED:
        del asked["round_decimal"]
    for key in WISHES & params.keys():
        if asked.get(key) is not None:
            raise ParamError(message=f"{method}(): {key} stands in the call and in search_params")
        asked[key] = params.pop(key)
    radius, range_filter = _range(method, params)
    offset = check_whole("offset", _given(asked, "offset", 0), 0, MAX_LIMIT)
    check_window(limit, offset)
    if not isinstance(hint := _given(asked, "hints", ""), str) or hint not in HINTS:
        raise ParamError(message=f"{method}(): hints {shown(hint)} are not known")
    # Pages are parts of one order here in any case.
    check_flag("page_retain_order", _given(asked, "page_retain_order", False))
    grouping = grouping_of(method, info, *(asked.get(key) for key in GROUPS))
    if grouping is not None and radius is not None:
        raise ParamError(message=f"{method}(): radius and group_by_field exclude each other")
    wish = Wish(
        limit,
        offset,
        check_whole(
            "round_decimal", _given(asked, "round_decimal", NOT_ROUNDED), NOT_ROUNDED, MAX_DECIMALS
        ),
        radius,
        range_filter,
        grouping,
        orders_of(method, asked.get("order_by_fields"), info, dynamic=True),
        check_flag("ignore_growing", _given(asked, "ignore_growing", False)),
    )
    return wish, params


def flat(search_params: dict[str, Any] | None) -> dict[str, Any]:
    """Both of Milvus' shapes, {"ef": 64} and {"params": {"ef": 64}}, as the first; a copy."""
    if search_params is None:
        return {}
    given = dict(check_dict("search_params", search_params))
    nested = given.pop("params", None)
    if nested is None:
        return given
    for name, value in check_dict("params of search_params", nested).items():
        present = given.setdefault(name, value)
        if present is not value and shown(present) != shown(value):  # == of arrays is an array
            raise ParamError(
                message=f"search_params: {name} is given twice, {shown(present)} and {shown(value)}"
            )
    return given


def _given(asked: dict[str, Any], key: str, otherwise: Any) -> Any:
    value = asked.get(key)
    return otherwise if value is None else value


def _range(method: str, params: dict[str, Any]) -> tuple[float | None, float | None]:
    """radius and range_filter, taken out of the parameters."""
    radius, range_filter = (_bound(params, name) for name in ("radius", "range_filter"))
    if radius is None and range_filter is not None:
        raise ParamError(message=f"{method}(): range_filter needs a radius")
    return radius, range_filter


def _bound(params: dict[str, Any], name: str) -> float | None:
    value = params.pop(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ParamError(message=f"{name} {shown(value)} is not a number")
    return float(value)


def check_window(limit: int, offset: int) -> None:
    """Raise ParamError if a page ends beyond what can be reached."""
    if limit + offset > MAX_LIMIT:
        raise ParamError(message=f"limit + offset is {limit + offset}, the most is {MAX_LIMIT}")


def rounded(scores: list[float], decimals: int) -> list[float]:
    """Scores with so many decimals, halves up, as Milvus rounds."""
    if decimals == NOT_ROUNDED:
        return scores
    unit = 10.0**decimals
    return [
        round(math.floor(score * unit + 0.5) / unit, decimals) if math.isfinite(score) else score
        for score in scores
    ]


def refuse_functions(method: str, *wishes: Any) -> None:
    """Raise NotSupportedException for what only a server's models and functions can do."""
    for wish in wishes:
        if wish is not None:
            raise NotSupportedException(
                message=f"{method}(): {shown(wish)} needs a server: walvec has no functions, "
                "rerank models, highlighters or search aggregations"
            )
