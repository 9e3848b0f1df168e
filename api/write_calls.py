"""Client methods that write rows: insert, upsert, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from walvec.arguments import check_flag, check_text
from walvec.convert import pks_of, rows_of
from walvec.filter import compile_filter
from walvec.partial_update import NOWHERE, Conflict, merged_rows
from walvec.readers import Readers, checked_filter, refuse_named_partitions, timezone_of
from walvec.reading import Reader
from walvec.segments import commands
from walvec.segments.batch import Batch, batch_of
from walvec.segments.catalog import CollectionInfo
from walvec.segments.conflicts import unchanged_until
from walvec.segments.partition_keys import partition_places
from walvec.segments.pk_index import pk_values
from walvec.segments.state import DEFAULT_PARTITION
from walvec.session import check_options, partitions_of
from walvec.wal.errors import ParamError, PartitionNotLoadedException
from walvec.wal.rows import Array, Column, Rows


class WriteCalls(Readers):
    """Methods that write rows."""

    def insert(
        self,
        collection_name: str,
        data: dict[str, Any] | Sequence[dict[str, Any]],
        timeout: float | None = None,
        partition_name: str | None = "",
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Append rows; durable and searchable on return. A row with a present key replaces it.

        partition_name: where to, `_default` without; a partition key chooses by itself.
        Returns {"insert_count": n, "ids": [...], "seq": ...}: seq is the place in the log.
        Raises DataNotMatchException naming field, row and value; nothing is stored then.
        """
        check_options("insert", kwargs)
        info = self.info(collection_name)
        rows = rows_of(data, info.schema, collection_name, timezone=timezone_of(info, {}))
        return self.write_rows(info, rows, timeout, partition_name, upsert=False)

    def upsert(
        self,
        collection_name: str,
        data: dict[str, Any] | Sequence[dict[str, Any]],
        timeout: float | None = None,
        partition_name: str | None = "",
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As insert, of rows that may be present: {"upsert_count": n, "ids": [...], "seq": ...}.

        With auto ids the rows bring the keys they are to replace. A key may stand once.
        partial_update: fields that the rows leave out keep the values they have, dynamic keys
        too, and where no partition is named rows stay in theirs; a row that is not present needs
        all fields without null or default. The collection must be loaded for that.
        """
        check_options("upsert", kwargs, "partial_update")
        info = self.info(collection_name)
        if check_flag("partial_update", kwargs.get("partial_update", False)):
            return self._update(info, data, timeout, partition_name)
        zone = timezone_of(info, {})
        rows = rows_of(data, info.schema, collection_name, upsert=True, timezone=zone)
        return self.write_rows(info, rows, timeout, partition_name, upsert=True)

    def _update(
        self, info: CollectionInfo, data: Any, timeout: float | None, partition_name: str | None
    ) -> dict[str, Any]:
        while True:
            reader = self._whole_reader(info)
            rows, homes = merged_rows(reader.view, data, info.name, timezone_of(info, {}))
            since: int | None = reader.view.seq
            while since is not None:
                try:
                    return self.write_rows(
                        info,
                        rows,
                        timeout,
                        partition_name,
                        upsert=True,
                        since=since,
                        homes=homes,
                    )
                except Conflict:
                    keys = rows.columns[info.schema.primary.id]
                    since = unchanged_until(self._store, info, keys, since)
            # These rows were written in between: what they keep has to be read again.
            info = self.info(info.name)

    def write_rows(
        self,
        info: CollectionInfo,
        rows: Rows,
        timeout: float | None,
        partition_name: str | None = None,
        *,
        upsert: bool,
        since: int | None = None,
        homes: Array | None = None,
    ) -> dict[str, Any]:
        """Store converted rows, as insert or upsert. since: see commands.insert. homes: the ids of
        the partitions to store them in where none is named, see partial_update.

        Raises Conflict where rows have changed since then.
        """
        if partition_name is not None:
            check_text("partition_name", partition_name)
        partitions = partitions_of(info, partition_name)
        refuse_named_partitions(info, partition_name)
        count = "upsert_count" if upsert else "insert_count"
        if not rows.n:
            return {count: 0, "ids": [], "seq": self._store.published.seq}
        order = None
        chosen = _chosen_partitions(info, rows, homes) if partitions is None else None
        if chosen is not None:
            batches, order = _by_partition(rows, chosen)
        else:
            batches = [batch_of(rows, None if partitions is None else next(iter(partitions)))]
        limit = self._store.settings.segment_max_bytes
        command = commands.insert(
            info.id, info.name, batches, limit, upsert=upsert, unless_written_since=since
        )
        first_id, seq, _ = self._execute(command, timeout)
        if first_id == commands.CHANGED:
            raise Conflict
        return {count: rows.n, "ids": _ids(info, rows, first_id, order), "seq": seq}

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
        or not; with a filter, the rows that matched. A filter on anything but the key, and
        `partition_name`, need the collection loaded. kwargs: filter_params.
        """
        check_options("delete", kwargs, "filter_params")
        info = self.info(collection_name)
        partitions_of(info, partition_name)
        filter = checked_filter(filter)
        if (ids is None) == (not filter):
            raise ParamError(message="delete() needs ids or a filter, and not both")
        compiled = None
        if filter:
            params = kwargs.get("filter_params")
            compiled = compile_filter(filter, info.schema, params, info.name, timezone_of(info, {}))
            pks = compiled.pks(info.schema)
        else:
            pks = pks_of(ids, info.schema, collection_name)
        if pks is not None and not partition_name:
            return self._delete(info, pks, timeout)
        while True:
            reader = self._whole_reader(info, partition_name)
            found = _within(reader, pks) if pks is not None else None
            if found is None:
                assert compiled is not None, "there are ids or a filter"
                found = reader.matching_pks(compiled.mask)
            since: int | None = reader.view.seq
            while since is not None:
                try:
                    result = self._delete(info, found, timeout, since=since)
                except Conflict:
                    since = unchanged_until(self._store, info, found, since)
                    continue
                return result if pks is None else {**result, "delete_count": len(pks)}
            info = self.info(collection_name)

    def _delete(
        self, info: CollectionInfo, pks: Column, timeout: float | None, since: int | None = None
    ) -> dict[str, int]:
        if not len(pks):
            return {"delete_count": 0, "seq": self._store.published.seq}
        primary = info.schema.primary.id
        command = commands.delete(info.id, info.name, primary, pks, unless_written_since=since)
        outcome = self._execute(command, timeout)
        if outcome.result == commands.CHANGED:
            raise Conflict
        return {"delete_count": len(pks), "seq": outcome.seq}

    def _whole_reader(self, info: CollectionInfo, partition_name: str | None = None) -> Reader:
        """A reader for what depends on every row there is."""
        while True:
            reader = self._reader(info, partition_name)
            # As it is after the rows were taken: a partition may have come.
            info = self._store.published.collections.get(info.id, info)
            every = set(info.partitions.values())
            if partition_name or every <= reader.view.partitions:
                return reader
            if not every <= info.loaded_partitions:
                raise PartitionNotLoadedException(
                    message=f"some partitions of collection {info.name} are not loaded: "
                    "load_collection() first"
                )


def _within(reader: Reader, pks: Column) -> Column:
    """Those keys whose rows the reader has."""
    keys = pk_values(pks)
    found = [i for i, key in enumerate(keys) if reader.view.find(key) is not None]
    return pks.take(np.array(found, np.int64))


def _by_partition(rows: Rows, partitions: Array) -> tuple[list[Batch], Array]:
    """A batch for each partition, given as an id for each row, and the rows' places in the order
    of the batches."""
    order = np.argsort(partitions, kind="stable")
    wanted, starts = np.unique(partitions[order], return_index=True)
    parts = np.split(order, starts[1:])
    batches = [
        batch_of(rows.take(part), partition)
        for partition, part in zip(wanted.tolist(), parts, strict=True)
    ]
    return batches, order


def _chosen_partitions(info: CollectionInfo, rows: Rows, homes: Array | None) -> Array | None:
    """The id of the partition of each row, by the partition key or by where it is; None for the
    default one."""
    key = info.schema.partition_key
    if key is not None:
        ids = np.array(list(info.partitions.values()), np.int64)
        chosen: Array = ids[partition_places(rows.columns[key.id], len(ids))]
        return chosen
    if homes is None:
        return None
    return np.where(homes == NOWHERE, info.partitions[DEFAULT_PARTITION], homes)


def _ids(info: CollectionInfo, rows: Rows, first_id: int | None, order: Array | None) -> list[Any]:
    """The primary keys of stored rows. order: in which they were stored."""
    primary = info.schema.primary
    if first_id is None:
        return pk_values(rows.columns[primary.id])
    ids = np.arange(first_id, first_id + rows.n)
    if order is not None:
        ids[order] = ids.copy()
    numbers: list[Any] = ids.tolist()
    return list(map(str, numbers)) if primary.is_text else numbers
