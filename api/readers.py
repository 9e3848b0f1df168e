"""Readers: how a call gets the rows it reads, as they are at one seq."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from walvec.arguments import check_text
from walvec.filter import Filter, compile_filter
from walvec.properties import TIMEZONE_PROPERTY
from walvec.reading import Reader
from walvec.segments.catalog import CollectionInfo
from walvec.segments.expiry import TTL_PROPERTY, expire_rows
from walvec.segments.partition_keys import partition_places
from walvec.session import Session, partitions_of
from walvec.timestamps import zone_of
from walvec.wal.errors import ParamError, PartitionNotLoadedException


class Readers(Session):
    """A session that reads rows."""

    def _reader(
        self,
        info: CollectionInfo,
        partition_names: str | Sequence[str] | None = None,
        compiled: Filter | None = None,
    ) -> Reader:
        """A reader of the collection as it is now: of these partitions if any are named, and only
        of those that can have rows that match the filter.

        Raises CollectionNotLoadedException, PartitionNotExistException,
        PartitionNotLoadedException.
        """
        store = self._store
        if TTL_PROPERTY in info.properties:
            expire_rows(store, info)
        # The seq first: a view has the seq of the last change to its own rows, and everything up
        # to what was published before it was taken.
        seq = store.published.seq
        view = store.view(info)
        if partition_names is not None or info.schema.partition_key is not None:
            # Those of the view: a partition may have been released since `info` was taken.
            of_view = info._replace(loaded=True, loaded_partitions=view.partitions)
            partitions = partitions_to_read(of_view, partition_names, compiled)
            if partitions is not None:
                view = view.within(partitions)
        return Reader(view, info, max(seq, view.seq))


def partitions_to_read(
    info: CollectionInfo, names: str | Sequence[str] | None, compiled: Filter | None
) -> frozenset[int] | None:
    """The partitions that are named, or may have rows that match the filter; None for all."""
    named = partitions_of(info, names)
    key = info.schema.partition_key
    if key is not None:
        refuse_named_partitions(info, names)
        values = None if compiled is None else compiled.key_values(key)
        if values is None:
            return None
        ids = list(info.partitions.values())
        return frozenset(ids[i] for i in partition_places(values, len(ids)).tolist())
    for name in [names] if isinstance(names, str) else names or ():
        if name and info.loaded and info.partitions[name] not in info.loaded_partitions:
            raise PartitionNotLoadedException(
                message=f"partition {name} of collection {info.name} is not loaded: "
                "load_partitions() first"
            )
    return named


def refuse_named_partitions(info: CollectionInfo, names: str | Sequence[str] | None) -> None:
    """Raise ParamError if partitions are named where a partition key chooses them."""
    if names and info.schema.partition_key is not None:
        raise ParamError(
            message=f"collection {info.name} has the partition key "
            f"{info.schema.partition_key.name}, which chooses the partitions: name none"
        )


def checked_filter(filter: Any) -> str:
    """The expression, "" for None. Raises ParamError."""
    return "" if filter is None else check_text("filter", filter)


def compiled_filter(
    method: str, info: CollectionInfo, expression: Any, kwargs: dict[str, Any]
) -> Filter | None:
    """The filter of an expression, None for one that is empty; its templates are filled by the
    keyword filter_params, or expr_params as the ORM calls it.

    Raises ExpressionException, ParamError.
    """
    text = checked_filter(expression)
    params, others = kwargs.get("filter_params"), kwargs.get("expr_params")
    if params is not None and others is not None:
        raise ParamError(message=f"{method}() takes filter_params or expr_params, not both")
    if not text:
        return None
    given = others if params is None else params
    return compile_filter(text, info.schema, given, info.name, timezone_of(info, kwargs))


def timezone_of(info: CollectionInfo, kwargs: dict[str, Any]) -> str | None:
    """The zone in which times are told: the keyword `timezone`, or the collection's; None is UTC.

    Raises ParamError.
    """
    name: str | None = kwargs.get("timezone")
    if name is None:
        return info.properties.get(TIMEZONE_PROPERTY)
    zone_of(check_text("timezone", name))
    return name
