"""What `walvec info` says of a store."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from pathlib import Path
from stat import S_ISREG
from typing import Any

from walvec.recovery.file_inspection import paths_below
from walvec.recovery.open import open_store
from walvec.segments.catalog_check import aliases_of
from walvec.segments.counting import count_rows
from walvec.segments.index import needs_file
from walvec.segments.state import (
    DEFAULT_DATABASE,
    Collection,
    Segment,
    State,
    digest,
    index_file,
)
from walvec.segments.store import Store
from walvec.tools.log_lines import Line, time_text
from walvec.tools.tables import print_table, size_text
from walvec.wal.checkpoints import usable_checkpoints
from walvec.wal.errors import FormatException, LogCorruptedException, MilvusException
from walvec.wal.log import Log, Position


def store_info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Everything about a store as plain data. Nothing on disk is changed.

    Raises StoreUnusableException. A damaged entry is named in "damage". The rest is the store
    before it, or the whole store where a checkpoint after it can be used.
    """
    store = open_store(path, read_only=True)
    try:
        info = store.with_state(_catalog)
        chain = store.with_fold(lambda fold: fold.position.chain)
        log_bytes, damage = _walk(store, info["last_seq"])
        if store.damage is not None:
            damage = store.damage.message
        for data in info["collections"]:
            data["rows"] = _rows(store, data["database"], data["name"])
            data["log_bytes"] = log_bytes[data["id"]]
            data["file_bytes"] = sum(
                _folder_bytes(store.segments_folder / s["folder"]) for s in data["segments"]
            )
        return {
            "path": str(path),
            **info,
            "chain": chain.hex(),
            "log_bytes": (store.log.folder / "data.mdb").stat().st_size,
            "segments_bytes": _folder_bytes(store.segments_folder),
            "checkpoints": _checkpoints(store.log),
            "damage": damage,
        }
    finally:
        store.close()


def _catalog(state: State) -> dict[str, Any]:
    return {
        "store_id": state.store_id.hex(),
        "last_seq": state.seq,
        "last_time": time_text(state.timestamp),
        "state_digest": digest(state).hex(),
        "databases": [d.to_data() for d in state.databases.values()],
        "collections": [_collection(state, c) for _, c in sorted(state.collections.items())],
    }


def _collection(state: State, collection: Collection) -> dict[str, Any]:
    segments = list(collection.segments.values())
    return {
        "name": collection.name,
        "id": collection.id,
        "database": state.databases[collection.database].name,
        "aliases": aliases_of(state, collection),
        "partitions": _partitions(collection),
        "rows": None,
        "loaded": collection.loaded,
        "load_state": "Loaded" if collection.loaded else "NotLoad",
        "growing": sum(not s.sealed for s in segments),
        "sealed": sum(s.sealed > 0 for s in segments),
        "vector_bytes": sum(s.rows for s in segments) * collection.schema.vector_bytes,
        "properties": dict(collection.properties),
        "indexes": _indexes(collection),
        "segments": [_segment(s) for s in segments],
    }


def _partitions(collection: Collection) -> list[dict[str, Any]]:
    return [
        {"name": name, "id": number, "loaded": number in collection.loaded_partitions}
        for name, number in collection.partitions.items()
    ]


def _indexes(collection: Collection) -> list[dict[str, Any]]:
    sealed = [s for s in collection.segments.values() if s.sealed]
    return [
        {
            "name": index.name,
            "field": index.field_name,
            "index_type": index.index_type,
            "metric_type": index.metric_type,
            "params": dict(index.params),
            "built": sum(not needs_file(index) or index_file(index) in s.files for s in sealed),
            "of": len(sealed),
        }
        for index in collection.indexes.values()
    ]


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "id": segment.id,
        "folder": f"{segment.id:x}",
        "partition": segment.partition,
        "state": "sealed" if segment.sealed else "growing",
        "rows": segment.rows,
        "files": {name: record.length for name, record in segment.files.items()},
    }


def _walk(store: Store, last_seq: int) -> tuple[Counter[int], str | None]:
    """The bytes of each collection's entries up to a seq, and what is wrong with the first of
    them that is damaged."""
    sizes: Counter[int] = Counter()
    try:
        for header, event in store.log.scan(Position()):
            sizes[event.collection] += Line(header, event, "").size
            if header.seq == last_seq:
                break
    except (LogCorruptedException, FormatException) as damage:
        return sizes, damage.message
    return sizes, None


def _checkpoints(log: Log) -> list[dict[str, Any]]:
    """The checkpoints that an open may begin with, newest first."""
    with log.reading() as txn:
        return [
            {
                "seq": found.position.seq,
                "time": time_text(found.position.timestamp),
                "bytes": found.body_length,
            }
            for found in usable_checkpoints(log, txn)
        ]


def _rows(store: Store, database: str, name: str) -> int | None:
    """Visible rows; None where the log does not give them."""
    try:
        return count_rows(store, store.info(name, database))
    except MilvusException:
        return None


def _folder_bytes(folder: Path) -> int:
    size = 0
    for path in paths_below(folder):
        with contextlib.suppress(FileNotFoundError):  # A writer took it away meanwhile.
            stat = path.lstat()
            size += stat.st_size if S_ISREG(stat.st_mode) else 0
    return size


def print_info(info: dict[str, Any]) -> None:
    """The same for people."""
    print(f"store         {info['path']}")
    print(f"store id      {info['store_id']}")
    print(f"last seq      {info['last_seq']}, {info['last_time']}")
    print(f"chain         {info['chain']}")
    print(f"state digest  {info['state_digest']}")
    print(f"log           {size_text(info['log_bytes'])}")
    print(f"segments      {size_text(info['segments_bytes'])}")
    saved = [f"at {c['seq']} ({size_text(c['bytes'])})" for c in info["checkpoints"]]
    print(f"checkpoints   {', '.join(saved) or 'none'}")
    if info["damage"]:
        print(f"DAMAGE        {info['damage']}")
    print()
    if not info["collections"]:
        print("no collections")
        return
    headings = ("collection", "rows", "growing", "sealed", "log", "files", "load state", "indexes")
    print_table(headings, [_row(data) for data in info["collections"]], "rows growing sealed")


def _row(data: dict[str, Any]) -> list[Any]:
    indexes = [
        f"{i['field']}: {' '.join(filter(None, (i['index_type'], i['metric_type'])))} "
        f"{i['built']}/{i['of']}"
        for i in data["indexes"]
    ]
    rows = "?" if data["rows"] is None else data["rows"]
    sizes = (size_text(data["log_bytes"]), size_text(data["file_bytes"]))
    counts = (data["growing"], data["sealed"])
    name = data["name"]
    if data["database"] != DEFAULT_DATABASE:
        name = f"{data['database']}.{name}"
    return [name, rows, *counts, *sizes, data["load_state"], ", ".join(indexes)]
