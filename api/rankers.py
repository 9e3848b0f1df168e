"""What hybrid_search() takes: requests, and the rankers that bring their answers together."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_flag, check_text
from walvec.wal.errors import ParamError
from walvec.wal.shown import shown

MAX_RRF = 16_384


class Ranker:
    """How the answers of several requests become one; see RRFRanker and WeightedRanker."""

    def dict(self) -> dict[str, Any]:
        """Strategy and parameters, as Milvus has them."""
        return {}

    def __str__(self) -> str:
        return str(self.dict())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dict().get('params', {})})"


class RRFRanker(Ranker):
    """Reciprocal rank fusion: the sum of 1 / (k + rank) over the requests that found a row."""

    def __init__(self, k: float = 60) -> None:
        """k: above 0 and below 16,384; the greater, the less the first ranks count."""
        if isinstance(k, bool) or not isinstance(k, int | float) or not 0 < k < MAX_RRF:
            raise ParamError(message=f"k of RRFRanker {shown(k)} is not a number in (0, {MAX_RRF})")
        self.k = k

    def dict(self) -> dict[str, Any]:
        """See Ranker."""
        return {"strategy": "rrf", "params": {"k": self.k}}


class WeightedRanker(Ranker):
    """The weighted sum of the scores, one weight for each request."""

    def __init__(self, *nums: float, norm_score: bool = True) -> None:
        """nums: weights in [0, 1]. norm_score: bring every score into [0, 1], the better the
        greater: (1 + s) / 2 for COSINE, 1/2 + atan(s) / pi for IP, 1 - 2 atan(d) / pi for
        distances."""
        for weight in nums:
            number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not number or not 0 <= weight <= 1:
                raise ParamError(
                    message=f"weight {shown(weight)} of WeightedRanker is not a number in [0, 1]"
                )
        self.weights = list(nums)
        self.norm_score = check_flag("norm_score", norm_score)

    def dict(self) -> dict[str, Any]:
        """See Ranker."""
        params = {"weights": self.weights, "norm_score": self.norm_score}
        return {"strategy": "weighted", "params": params}


class AnnSearchRequest:
    """One search of a hybrid_search(). `expr` and `filter` are two names of the same."""

    def __init__(
        self,
        data: Any,
        anns_field: str,
        param: dict[str, Any],
        limit: int,
        expr: str | None = None,
        expr_params: dict[str, Any] | None = None,
        filter: str | None = None,
    ) -> None:
        """param: as search_params of search(). expr_params: values of the filter's templates."""
        if expr is not None and filter is not None:
            raise ParamError(message="AnnSearchRequest() takes expr or filter, not both")
        expression = filter if filter is not None else expr
        self.data = data
        self.anns_field = anns_field
        self.param = param
        self.limit = limit
        self.expr = None if expression is None else check_text("filter", expression)
        self.expr_params = expr_params

    @property
    def filter(self) -> str | None:
        """As expr."""
        return self.expr

    def __str__(self) -> str:
        shown_parts = ("anns_field", "param", "limit", "expr")
        return str({name: getattr(self, name) for name in shown_parts})
