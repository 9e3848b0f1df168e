"""Index parameters as users write them: pymilvus' `IndexParams` and `IndexParam`."""

from __future__ import annotations

from typing import Any

from walvec.arguments import check_dict, check_text
from walvec.wal.errors import ParamError
from walvec.wal.shown import shown


class IndexParam:
    """One index: field, index type, name, metric, and the parameters of its type.

    `params={...}` and flat keywords are the same thing and are merged; a keyword given in
    both with different values is refused.
    """

    def __init__(
        self, field_name: str, index_type: str = "", index_name: str = "", **kwargs: Any
    ) -> None:
        self._field_name = check_text("index: field_name", field_name)
        self._index_type = _text("index_type", index_type)
        self._index_name = _text("index_name", index_name)
        params = check_dict(f"index on {field_name}: params", kwargs.pop("params", None))
        for name in params.keys() & kwargs.keys():
            if shown(params[name]) != shown(kwargs[name]):  # == of arrays is an array
                raise ParamError(
                    message=f"index on {field_name}: {name} is {shown(kwargs[name])} and, in "
                    f"params, {shown(params[name])}"
                )
        self._configs: dict[str, Any] = {**params, **kwargs}
        _text("metric_type", self._configs.get("metric_type"))

    @property
    def field_name(self) -> str:
        """The field to index."""
        return self._field_name

    @property
    def index_type(self) -> str:
        """As given, empty where none was."""
        return self._index_type

    @property
    def index_name(self) -> str:
        """As given, empty where none was."""
        return self._index_name

    @property
    def metric_type(self) -> str:
        """As given; "" where none was."""
        return self._configs.get("metric_type") or ""

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of the index type, without metric_type: a copy."""
        return {k: v for k, v in self._configs.items() if k != "metric_type"}

    def get_index_configs(self) -> dict[str, Any]:
        """metric_type and parameters, and index_type if there is one, in one dictionary."""
        kind = {"index_type": self._index_type} if self._index_type else {}
        return {**self._configs, **kind}

    def to_dict(self) -> dict[str, Any]:
        """Everything in one dictionary."""
        return {
            "field_name": self._field_name,
            "index_type": self._index_type,
            "index_name": self._index_name,
            **self._configs,
        }

    def __eq__(self, other: object) -> bool:
        if isinstance(other, IndexParam):
            return self.to_dict() == other.to_dict()
        return self.to_dict() == other if isinstance(other, dict) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return str(self.to_dict())


def _text(name: str, value: Any) -> str:
    return "" if value is None else check_text(f"index: {name}", value)


class IndexParams(list[IndexParam]):
    """The indexes to create, as a list."""

    def add_index(
        self, field_name: str, index_type: str = "", index_name: str = "", **kwargs: Any
    ) -> None:
        """Append one; arguments as for `IndexParam`."""
        self.append(IndexParam(field_name, index_type, index_name, **kwargs))
