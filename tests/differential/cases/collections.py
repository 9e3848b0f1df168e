"""Collections: made, described, listed, renamed, loaded, dropped, and refused."""

from __future__ import annotations

from typing import Any

from differential import documents
from differential.case import (
    ANYTHING,
    Differs,
    Place,
    Refused,
    case,
    cases,
    lite_answers,
    lite_differs,
    lite_refuses,
)
from differential.outcome import UNIMPLEMENTED

SHAPE = ("field_id", "collection_id", "created_timestamp", "update_timestamp", "schema_version")
"""Keys of a description that milvus-lite leaves at 0, or whose value is a counter."""


def described(at: Place, name: str | None = None) -> dict[str, Any]:
    """describe_collection without numbers that the two count differently."""
    found = dict(at.client.describe_collection(name or at.name))
    fields = [{k: v for k, v in f.items() if k not in SHAPE} for f in found.pop("fields")]
    return {k: v for k, v in found.items() if k not in SHAPE} | {"fields": fields}


def _field(kind: str = "INT64", params: Any = None, **more: Any) -> dict[str, Any]:
    """The description of a field called f."""
    return {"name": "f", "description": "", "type": f"<{kind}>", "params": params or {}, **more}


@cases(
    {
        "plain": {},
        "string key": {"id_type": "string", "max_length": 20},
        "auto id": {"auto_id": True},
        "names": {"primary_field_name": "key", "vector_field_name": "emb"},
        "L2": {"metric_type": "L2"},
        "IP": {"metric_type": "IP"},
        "no dynamic": {"enable_dynamic_field": False},
    }
)
def quick_form_is_described(at: Place, options: dict[str, Any]) -> Any:
    at.client.create_collection(at.name, dimension=4, **options)
    found = described(at)
    found.pop("collection_name")
    return found


@case(
    differs=Differs(
        "Strong", "Bounded", "milvus-lite does not keep the consistency level", documents.CREATE
    )
)
def consistency_level_is_described(at: Place) -> Any:
    at.quick(consistency_level="Bounded")
    return described(at)["consistency_level_name"]


@cases(
    {
        "BOOL": ("BOOL", {}),
        "INT8": ("INT8", {}),
        "INT16": ("INT16", {}),
        "INT32": ("INT32", {}),
        "INT64": ("INT64", {}),
        "FLOAT": ("FLOAT", {}),
        "DOUBLE": ("DOUBLE", {}),
        "VARCHAR": ("VARCHAR", {"max_length": 10}),
        "JSON": ("JSON", {}),
        "described": ("INT64", {"description": "how many"}),
        "ARRAY": ("ARRAY", {"element_type": "INT64", "max_capacity": 5}),
        "ARRAY of text": ("ARRAY", {"element_type": "VARCHAR", "max_capacity": 5, "max_length": 9}),
        "nullable": ("INT64", {"nullable": True}),
        "default": ("INT64", {"default_value": 7}),
        "text default": ("VARCHAR", {"max_length": 10, "default_value": "x"}),
        "partition key": ("INT64", {"is_partition_key": True}),
        "FLOAT16_VECTOR": ("FLOAT16_VECTOR", {"dim": 4}),
        "BFLOAT16_VECTOR": ("BFLOAT16_VECTOR", {"dim": 4}),
        "INT8_VECTOR": ("INT8_VECTOR", {"dim": 4}),
        "BINARY_VECTOR": ("BINARY_VECTOR", {"dim": 16}),
    },
    differs=lite_differs(
        "milvus-lite does not keep the field's description",
        documents.SCHEMA,
        {"described": ([_field()], [_field(description="how many")])},
    )
    | lite_differs(
        "milvus-lite does not keep the length of an array's texts",
        documents.ARRAY_FIELD,
        {
            "ARRAY of text": (
                [_field("ARRAY", {"max_capacity": 5}, element_type="<VARCHAR>")],
                [_field("ARRAY", {"max_capacity": 5, "max_length": 9}, element_type="<VARCHAR>")],
            )
        },
    )
    | lite_refuses(
        "milvus-lite has FLOAT_VECTOR and SPARSE_FLOAT_VECTOR only",
        documents.VECTORS,
        {
            name: [_field(name, {"dim": 16 if name == "BINARY_VECTOR" else 4})]
            for name in ("FLOAT16_VECTOR", "BFLOAT16_VECTOR", "INT8_VECTOR", "BINARY_VECTOR")
        },
    ),
)
def field_is_described(at: Place, field: tuple[str, dict[str, Any]]) -> Any:
    at.create(("f", *field), load=False)
    return [f for f in described(at)["fields"] if f["name"] == "f"]


@case
def schema_form_is_described(at: Place) -> Any:
    at.create(("a", "INT64"), enable_dynamic_field=True)
    found = described(at)
    found.pop("collection_name")
    return found


@case(
    differs=Differs("", "two fields", "milvus-lite does not keep the description", documents.SCHEMA)
)
def description_is_described(at: Place) -> Any:
    at.create(("a", "INT64"), description="two fields")
    return described(at)["description"]


@case
def auto_id_key_is_described(at: Place) -> Any:
    at.create(("pk", "INT64", {"is_primary": True, "auto_id": True}))
    return described(at)["fields"][0], described(at)["auto_id"]


@case
def collections_are_listed_and_known(at: Place) -> Any:
    at.create()
    return at.name in at.client.list_collections(), at.client.has_collection(at.name)


@case
def unknown_collection_is_not_known(at: Place) -> Any:
    return at.client.has_collection(at.name), at.client.get_load_state(at.name)


@case
def dropped_collection_is_gone(at: Place) -> Any:
    at.create()
    dropped = at.client.drop_collection(at.name)
    return dropped, at.client.has_collection(at.name), at.client.drop_collection(at.name)


@case(
    differs=Differs(
        Refused(101),
        [None, False, [{"id": 1}]],
        "a rename changes the name and nothing else; milvus-lite releases the collection",
        documents.MODIFY,
    )
)
def renamed_collection_keeps_its_rows(at: Place) -> Any:
    at.quick()
    at.client.insert(at.name, {"id": 1, "vector": [1, 2, 3, 4]})
    renamed = at.client.rename_collection(at.name, at.name + "x")
    rows = at.client.query(at.name + "x", "id >= 0", output_fields=["id"])
    return renamed, at.client.has_collection(at.name), rows


@case
def renaming_to_a_taken_name_is_refused(at: Place) -> Any:
    at.create()
    at.create(name=at.name + "x")
    at.client.rename_collection(at.name, at.name + "x")


@case
def making_another_of_the_same_name_is_refused(at: Place) -> Any:
    at.create(("a", "INT64"))
    at.create(("b", "INT64"))


@case(
    differs=Differs(
        ["<Loaded>", "<Loaded>", "<NotLoad>"],
        ["<NotLoad>", "<Loaded>", "<NotLoad>"],
        "milvus-lite counts a collection as loaded before it is",
        documents.LOAD,
    )
)
def load_states(at: Place) -> Any:
    at.create(load=False)
    at.client.create_index(at.name, at.index_params(v=("FLAT", "L2")), sync=False)
    states = [at.client.get_load_state(at.name)["state"]]
    at.client.load_collection(at.name)
    states.append(at.client.get_load_state(at.name)["state"])
    at.client.release_collection(at.name)
    return [*states, at.client.get_load_state(at.name)["state"]]


@case
def loading_twice_and_releasing_twice_is_fine(at: Place) -> Any:
    at.create()
    done = [at.client.load_collection(at.name), at.client.release_collection(at.name)]
    return [*done, at.client.release_collection(at.name)]


@case
def stats_count_visible_rows(at: Place) -> Any:
    at.create()
    empty = at.client.get_collection_stats(at.name)
    at.client.insert(at.name, [{"pk": i, "v": [i, 0, 0, 1]} for i in range(5)])
    at.client.flush(at.name)
    return empty, at.client.get_collection_stats(at.name)


@cases(
    {"mmap": {"mmap.enabled": True}, "ttl": {"collection.ttl.seconds": 3600}},
    differs=lite_differs(
        "pymilvus writes truths as Python does, Milvus' documents and walvec in lower case",
        documents.MODIFY,
        {"mmap": ([None, {"mmap.enabled": "True"}, {}], [None, {"mmap.enabled": "true"}, {}])},
    ),
)
def properties_are_set_and_dropped(at: Place, properties: dict[str, Any]) -> Any:
    at.create()
    at.client.release_collection(at.name)
    done = at.client.alter_collection_properties(at.name, properties)
    properties = described(at)["properties"]
    at.client.drop_collection_properties(at.name, list(properties))
    return done, properties, described(at)["properties"]


CALLS: dict[str, Any] = {
    "describe_collection": lambda c, n: c.describe_collection(n),
    "get_collection_stats": lambda c, n: c.get_collection_stats(n),
    "load_collection": lambda c, n: c.load_collection(n),
    "release_collection": lambda c, n: c.release_collection(n),
    "refresh_load": lambda c, n: c.refresh_load(n),
    "rename_collection": lambda c, n: c.rename_collection(n, "other"),
    "flush": lambda c, n: c.flush(n),
    "insert": lambda c, n: c.insert(n, [{"id": 1, "vector": [1, 2, 3, 4]}]),
    "upsert": lambda c, n: c.upsert(n, [{"id": 1, "vector": [1, 2, 3, 4]}]),
    "delete by ids": lambda c, n: c.delete(n, ids=[1]),
    "delete by filter": lambda c, n: c.delete(n, filter="id > 0"),
    "get": lambda c, n: c.get(n, [1]),
    "query": lambda c, n: c.query(n, "id > 0"),
    "search": lambda c, n: c.search(n, [[1, 2, 3, 4]]),
    "list_indexes": lambda c, n: c.list_indexes(n),
    "describe_index": lambda c, n: c.describe_index(n, "vector"),
    "drop_index": lambda c, n: c.drop_index(n, "vector"),
    "create_partition": lambda c, n: c.create_partition(n, "p"),
    "has_partition": lambda c, n: c.has_partition(n, "p"),
    "list_partitions": lambda c, n: c.list_partitions(n),
    "drop_partition": lambda c, n: c.drop_partition(n, "p"),
    "get_partition_stats": lambda c, n: c.get_partition_stats(n, "p"),
    "create_alias": lambda c, n: c.create_alias(n, "an_alias"),
    "alter_properties": lambda c, n: c.alter_collection_properties(n, {"mmap.enabled": True}),
    "truncate_collection": lambda c, n: c.truncate_collection(n),
}
"""Calls on a collection, by name."""


@cases(
    CALLS,
    differs=lite_answers("a flush names a collection", documents.ERRORS, "flush", code=100),
)
def unknown_collection_is_refused(at: Place, call: Any) -> Any:
    return call(at.client, at.name)


NEEDS_LOAD = ("get", "query", "search")


@cases({name: CALLS[name] for name in NEEDS_LOAD}, code=101)
def call_on_a_released_collection_is_refused(at: Place, call: Any) -> Any:
    at.create(("id", "INT64", {"is_primary": True}))
    at.client.release_collection(at.name)
    return call(at.client, at.name)


@cases(
    {
        "empty": "",
        "digit first": "1abc",
        "space": "a b",
        "dash": "a-b",
        "dot": "a.b",
        "256 letters": "a" * 256,
        "accent": "é",
        "number": 7,
        "none": None,
    },
    differs=lite_answers(
        "names have letters, digits and underscores, and the first is no digit",
        documents.LIMITS,
        *("digit first", "space", "dash", "dot", "accent"),
    ),
)
def bad_collection_name_is_refused(at: Place, name: Any) -> Any:
    return at.client.create_collection(name, schema=at.schema())


@cases({"underscore": "_a", "255 letters": "b" * 255, "digits inside": "a1_2"})
def good_collection_name_is_taken(at: Place, name: str) -> Any:
    at.client.create_collection(name, schema=at.schema())
    return at.client.has_collection(name)


LACKING: dict[str, Any] = {
    "flush_all": lambda c, n: c.flush_all(),
    "list_persistent_segments": lambda c, n: c.list_persistent_segments(n),
    "list_loaded_segments": lambda c, n: c.list_loaded_segments(n),
    "describe_replica": lambda c, n: c.describe_replica(n),
    "alter_collection_field": lambda c, n: c.alter_collection_field(n, "s", {"max_length": 20}),
    "alter_index_properties": lambda c, n: c.alter_index_properties(n, "v", {"mmap.enabled": True}),
    "drop_index_properties": lambda c, n: c.drop_index_properties(n, "v", ["mmap.enabled"]),
}


@cases(
    LACKING,
    differs={
        name: Differs(
            Refused(UNIMPLEMENTED), ANYTHING, "milvus-lite has no such call", documents.PYMILVUS
        )
        for name in LACKING
    },
)
def call_of_milvus(at: Place, call: Any) -> Any:
    at.create(("s", "VARCHAR", {"max_length": 9}))
    at.client.release_collection(at.name)
    return str(call(at.client, at.name))
