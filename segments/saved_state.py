"""A state from its bytes. Strict: keys and types that `encode_state` does not write are refused.

Dictionaries come back in the order in which a replay fills them: by ids, which grow; a
collection's segments by their first entry, since a merged one takes the place of its first
source.
"""

from __future__ import annotations

from operator import attrgetter, itemgetter
from typing import Any

import msgpack

from walvec.segments.extents import Extents
from walvec.segments.index import IndexSpec
from walvec.segments.state import Collection, Database, FileRecord, Segment, State
from walvec.wal.entry import DIGEST_SIZE
from walvec.wal.schema import Field, Schema

Kinds = dict[str, type]

STATE: Kinds = {"store_id": bytes, "seq": int, "timestamp": int, "next_id": int}
STATE |= {"collections": list, "databases": list}
DATABASE: Kinds = {"id": int, "name": str, "created_at": int, "properties": dict}
DATABASE |= {"names": dict, "aliases": dict}
COLLECTION: Kinds = {"id": int, "name": str, "schema": dict, "partitions": dict, "properties": dict}
COLLECTION |= {"consistency_level": str, "num_shards": int, "created_at": int, "database": int}
COLLECTION |= {"loaded": bool, "loads_new": bool, "loaded_partitions": list, "expired": int}
COLLECTION |= {"next_auto_id": int, "written": int, "segments": list, "growing": list}
COLLECTION |= {"indexes": list, "deletes": bytes}
SEGMENT: Kinds = {"id": int, "partition": int, "rows": int, "sealed": int, "extents": bytes}
SEGMENT |= {"files": dict}
SCHEMA: Kinds = {"fields": list, "description": str}
FIELD: Kinds = {
    "id": int,
    "name": str,
    "type": int,
    "dim": int,
    "max_length": int,
    "is_primary": bool,
}
FIELD |= {"auto_id": bool, "is_dynamic": bool, "description": str, "nullable": bool}
FIELD |= {"default": object, "element_type": int, "max_capacity": int}
FIELD |= {"is_partition_key": bool, "properties": dict}
INDEX: Kinds = {"id": int, "field_id": int, "field_name": str, "name": str, "index_type": str}
INDEX |= {"metric_type": str, "params": dict, "seed": int, "properties": dict}

_id, _first_extent, _second = attrgetter("id"), lambda s: s.extents[0], itemgetter(1)


def decode_state(data: bytes | memoryview) -> State:
    """The state of these bytes, equal to the one that was encoded.

    Raises ValueError, naming what is wrong.
    """
    limit = len(data)
    try:
        plain = msgpack.unpackb(
            data,
            ext_hook=_refuse_extension,
            max_str_len=limit,
            max_bin_len=limit,
            max_array_len=limit,
            max_map_len=limit,
            max_ext_len=0,
        )
        return _state(plain)
    # StackError of msgpack, for bytes that nest too deeply, is a ValueError.
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"these bytes are not a state: {error!r}") from error


def _refuse_extension(code: int, _data: bytes) -> Any:
    raise ValueError(f"msgpack extension type {code} in a state")


def _checked(plain: Any, kinds: Kinds, what: str) -> dict[str, Any]:
    """A dictionary with exactly these keys, in this order, and values of exactly these types."""
    if type(plain) is not dict or list(plain) != list(kinds):
        raise ValueError(f"{what} has not the keys {', '.join(kinds)}")
    wrong = (k for k, kind in kinds.items() if kind not in (object, type(plain[k])))
    if next(wrong, None) is not None:
        raise ValueError(f"{what} has other types than {', '.join(map(str, kinds.values()))}")
    return plain


def _texts_to(kind: type, plain: dict[Any, Any], what: str) -> dict[str, Any]:
    if any(type(k) is not str or type(v) is not kind for k, v in plain.items()):
        raise ValueError(f"{what} does not map texts to {kind.__name__}")
    return plain


def _state(plain: Any) -> State:
    data = _checked(plain, STATE, "the state")
    collections = [_collection(c) for c in data["collections"]]
    data["collections"] = {c.id: c for c in collections}
    data["databases"] = {d.id: d for d in map(_database, data["databases"])}
    return State(**data)


def _database(plain: Any) -> Database:
    data = _checked(plain, DATABASE, "a database")
    data["properties"] = _texts_to(str, data["properties"], "properties")
    for part in ("names", "aliases"):
        data[part] = dict(sorted(_texts_to(int, data[part], part).items(), key=_second))
    return Database(**data)


def _collection(plain: Any) -> Collection:
    data = _checked(plain, COLLECTION, "a collection")
    partitions = _texts_to(int, data["partitions"], "partitions")
    segments = sorted(map(_segment, data["segments"]), key=_first_extent)
    growing = [(partition, segment) for partition, segment in data["growing"]]
    if any(type(number) is not int for pair in growing for number in pair):
        raise ValueError("growing does not map partitions to segments")
    if any(type(number) is not int for number in data["loaded_partitions"]):
        raise ValueError("loaded_partitions is not a list of ids")
    data["loaded_partitions"] = set(data["loaded_partitions"])
    indexes = sorted(map(_index, data["indexes"]), key=_id)
    data["schema"] = _schema(data["schema"])
    data["partitions"] = dict(sorted(partitions.items(), key=_second))
    data["properties"] = _texts_to(str, data["properties"], "properties")
    data["segments"] = {s.id: s for s in segments}
    data["growing"] = dict(sorted(growing, key=_second))
    data["indexes"] = {i.name: i for i in indexes}
    data["deletes"] = Extents.from_bytes(data["deletes"])
    return Collection(**data)


def _segment(plain: Any) -> Segment:
    data = _checked(plain, SEGMENT, "a segment")
    data["extents"] = Extents.from_bytes(data["extents"])
    data["files"] = {name: _file(record) for name, record in data["files"].items()}
    return Segment(**data)


def _file(plain: Any) -> FileRecord:
    record = FileRecord(*plain)
    if type(record.length) is not int or type(record.digest) is not bytes:
        raise ValueError("a file is not a length and a digest")
    if len(record.digest) != DIGEST_SIZE:
        raise ValueError(f"the digest of a file has {len(record.digest)} bytes")
    return record


def _schema(plain: Any) -> Schema:
    data = _checked(plain, SCHEMA, "a schema")
    fields = tuple(Field.from_data(_checked(f, FIELD, "a field")) for f in data["fields"])
    return Schema(fields, data["description"])


def _index(plain: Any) -> IndexSpec:
    return IndexSpec.from_data(_checked(plain, INDEX, "an index"))
