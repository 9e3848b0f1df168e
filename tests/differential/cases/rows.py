"""Rows: written, read back, replaced, deleted, counted, and refused."""

from __future__ import annotations

from typing import Any

from differential import documents
from differential.case import (
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

V = [0.1, 0.2, 0.3, 0.4]
KEYS_HAVE_THEIR_TYPE = (
    "keys of another type than the primary field's raise; pymilvus writes keys into an expression"
)

FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "BOOL": ("BOOL", {}),
    "INT8": ("INT8", {}),
    "INT16": ("INT16", {}),
    "INT32": ("INT32", {}),
    "INT64": ("INT64", {}),
    "FLOAT": ("FLOAT", {}),
    "DOUBLE": ("DOUBLE", {}),
    "VARCHAR": ("VARCHAR", {"max_length": 5}),
    "JSON": ("JSON", {}),
    "ARRAY INT8": ("ARRAY", {"element_type": "INT8", "max_capacity": 3}),
    "ARRAY INT64": ("ARRAY", {"element_type": "INT64", "max_capacity": 3}),
    "ARRAY FLOAT": ("ARRAY", {"element_type": "FLOAT", "max_capacity": 3}),
    "ARRAY BOOL": ("ARRAY", {"element_type": "BOOL", "max_capacity": 3}),
    "ARRAY VARCHAR": ("ARRAY", {"element_type": "VARCHAR", "max_capacity": 3, "max_length": 5}),
}
GOOD: dict[str, list[Any]] = {
    "BOOL": [True, False],
    "INT8": [-128, 127],
    "INT16": [-32768, 32767],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "FLOAT": [0.5, 1, 1e30, 0.1],
    "DOUBLE": [0.1, 2, 1e300],
    "VARCHAR": ["", "abcde", "ééx", "a\nb"],
    "JSON": [{}, {"a": [1, {"b": None}]}, [1, "x"], 5, "text", True, 1.5, {"é": "ü"}],
    "ARRAY INT8": [[], [1, -128]],
    "ARRAY INT64": [[], [1, 2**40], [7, 7, 7]],
    "ARRAY FLOAT": [[0.5, 1]],
    "ARRAY BOOL": [[True, False]],
    "ARRAY VARCHAR": [["", "abcde"], []],
}
BAD: dict[str, dict[str, Any]] = {
    "BOOL": {"number": 1, "text": "true", "None": None},
    "INT8": {"too large": 128, "too small": -129, "float": 1.5, "text": "1", "None": None},
    "INT16": {"too large": 32768},
    "INT32": {"too large": 2**31},
    "INT64": {"too large": 2**63, "text": "7", "float": 1.5, "list": [1], "truth": True},
    "FLOAT": {"text": "1.5", "too large": 1e39, "nan": float("nan"), "None": None},
    "DOUBLE": {"text": "x", "infinite": float("inf")},
    "VARCHAR": {"too long": "abcdef", "bytes too long": "éééx", "number": 5, "None": None},
    "JSON": {"set": {1}, "None": None, "object": object()},
    "ARRAY INT8": {"too large": [1, 300]},
    "ARRAY INT64": {"too many": [1, 2, 3, 4], "text": ["x"], "scalar": 5, "None": None},
    "ARRAY VARCHAR": {"too long": ["abcdef"], "number": [5], "text": "ab"},
}


@cases({kind: kind for kind in FIELDS})
def values_come_back(at: Place, kind: str) -> Any:
    at.create(("f", *FIELDS[kind]))
    at.client.insert(at.name, [{"pk": i, "f": f, "v": V} for i, f in enumerate(GOOD[kind])])
    fresh = at.client.query(at.name, "pk >= 0", output_fields=["f"])
    at.client.flush(at.name)
    return fresh, at.client.query(at.name, "pk >= 0", output_fields=["f"])


@cases(
    {f"{kind} {what}": (kind, value) for kind in BAD for what, value in BAD[kind].items()},
    differs=lite_answers(
        "a BOOL is true or false; protobuf takes 1 for it",
        documents.NUMBERS,
        "BOOL number",
        code=1804,
    )
    | lite_answers(
        "numbers are finite and within the range of their type",
        documents.VALIDATION,
        *("FLOAT too large", "FLOAT nan", "DOUBLE infinite"),
        code=1804,
    )
    | lite_answers(
        "max_length counts bytes, of texts in arrays too; a text is no array",
        documents.STRINGS,
        *("VARCHAR bytes too long", "ARRAY VARCHAR too long", "ARRAY VARCHAR text"),
        code=1804,
    ),
)
def wrong_value_is_refused(at: Place, given: tuple[str, Any]) -> Any:
    kind, value = given
    at.create(("f", *FIELDS[kind]))
    return at.client.insert(at.name, [{"pk": 1, "f": value, "v": V}])


@cases({kind: kind for kind in FIELDS})
def null_comes_back(at: Place, kind: str) -> Any:
    name, options = FIELDS[kind]
    at.create(("f", name, {**options, "nullable": True}))
    rows = [{"pk": 1, "f": GOOD[kind][-1], "v": V}, {"pk": 2, "f": None, "v": V}]
    at.client.insert(at.name, [*rows, {"pk": 3, "v": V}])
    fresh = at.client.query(at.name, "pk >= 0", output_fields=["f"])
    at.client.flush(at.name)
    return fresh, at.client.query(at.name, "pk >= 0", output_fields=["f"])


@cases(
    {
        "BOOL": ("BOOL", {"default_value": True}),
        "INT8": ("INT8", {"default_value": -7}),
        "INT64": ("INT64", {"default_value": 2**40}),
        "FLOAT": ("FLOAT", {"default_value": 0.5}),
        "DOUBLE": ("DOUBLE", {"default_value": 0.1}),
        "VARCHAR": ("VARCHAR", {"default_value": "x", "max_length": 5}),
        "nullable": ("INT64", {"default_value": 3, "nullable": True}),
    }
)
def default_stands_in_for_what_is_missing(at: Place, field: tuple[str, dict[str, Any]]) -> Any:
    at.create(("f", *field))
    at.client.insert(at.name, [{"pk": 1, "v": V}, {"pk": 2, "v": V, "f": None}])
    return at.client.query(at.name, "pk >= 0", output_fields=["f"])


@cases(
    {
        "missing field": [{"pk": 1, "v": V}],
        "missing vector": [{"pk": 1, "a": 1}],
        "missing key": [{"a": 1, "v": V}],
        "unknown field": [{"pk": 1, "a": 1, "v": V, "more": 1}],
        "text as key": [{"pk": "x", "a": 1, "v": V}],
        "null as key": [{"pk": None, "a": 1, "v": V}],
        "short vector": [{"pk": 1, "a": 1, "v": V[:3]}],
        "long vector": [{"pk": 1, "a": 1, "v": [*V, 0.5]}],
        "empty vector": [{"pk": 1, "a": 1, "v": []}],
        "texts in a vector": [{"pk": 1, "a": 1, "v": ["a", "b", "c", "d"]}],
        "nan in a vector": [{"pk": 1, "a": 1, "v": [float("nan"), 0, 0, 0]}],
        "null vector": [{"pk": 1, "a": 1, "v": None}],
        "one bad row of two": [{"pk": 1, "a": 1, "v": V}, {"pk": 2, "a": 1, "v": [1]}],
        "not a row": [[1, 2]],
        "a number": 5,
        "a text": "abc",
        "None": None,
    },
    differs=lite_answers(
        "numbers are finite and within the range of their type",
        documents.VALIDATION,
        "nan in a vector",
        code=1804,
    ),
)
def wrong_row_is_refused_and_nothing_is_stored(at: Place, rows: Any) -> Any:
    at.create(("a", "INT64"))
    refused: Exception | None = None
    try:
        at.client.insert(at.name, rows)
    except Exception as error:
        refused = error
    stored = at.client.query(at.name, output_fields=["count(*)"])[0]["count(*)"]
    if refused is not None and not stored:
        raise refused
    return stored


@case
def no_rows_are_inserted(at: Place) -> Any:
    at.create()
    return at.client.insert(at.name, [])


@case
def one_row_as_a_dict(at: Place) -> Any:
    at.create()
    return at.client.insert(at.name, {"pk": 5, "v": V})


@case
def insert_answers_its_keys(at: Place) -> Any:
    at.create(("pk", "VARCHAR", {"is_primary": True, "max_length": 8}))
    return at.client.insert(at.name, [{"pk": "b", "v": V}, {"pk": "a", "v": V}])


@case
def upsert_answers_its_keys(at: Place) -> Any:
    at.create()
    at.client.insert(at.name, [{"pk": 1, "v": V}])
    return at.client.upsert(at.name, [{"pk": 1, "v": V}, {"pk": 2, "v": V}])


@case
def upsert_replaces(at: Place) -> Any:
    at.create(("a", "INT64"))
    at.client.insert(at.name, [{"pk": i, "a": i, "v": V} for i in range(4)])
    at.client.flush(at.name)
    at.client.upsert(at.name, [{"pk": 1, "a": 10, "v": V}, {"pk": 9, "a": 90, "v": V}])
    rows = at.client.query(at.name, "pk >= 0", output_fields=["a"])
    return sorted((row["pk"], row["a"]) for row in rows)


@case
def auto_ids_are_given(at: Place) -> Any:
    at.create(("pk", "INT64", {"is_primary": True, "auto_id": True}))
    done = at.client.insert(at.name, [{"v": V}, {"v": V}])
    found = at.client.get(at.name, list(done["ids"]))
    return done["insert_count"], len(set(done["ids"])), len(found), type(done["ids"][0]).__name__


@case(
    differs=Differs(None, Refused(1804), "with autoID rows bring no primary key", documents.PRIMARY)
)
def auto_ids_refuse_a_given_key(at: Place) -> Any:
    at.create(("pk", "INT64", {"is_primary": True, "auto_id": True}))
    at.client.insert(at.name, [{"pk": 1, "v": V}])


@case
def dynamic_values_come_back(at: Place) -> Any:
    at.create(enable_dynamic_field=True)
    values = {"n": 1, "x": [1, "a", {"k": None}], "t": "é", "f": 0.5, "b": True, "none": None}
    at.client.insert(at.name, [{"pk": 1, "v": V, **values}, {"pk": 2, "v": V}])
    return [
        at.client.query(at.name, "pk > 0", output_fields=fields)
        for fields in (["*"], ["n"], ["n", "nope"], ["$meta"], None, ["x", "pk"])
    ]


ROWS = [{"pk": i, "a": 10 * i, "s": f"t{i}", "v": [i, 0, 0, 1]} for i in range(6)]


def filled(at: Place) -> str:
    at.create(("a", "INT64"), ("s", "VARCHAR", {"max_length": 9}))
    at.client.insert(at.name, ROWS[:3])
    at.client.flush(at.name)
    at.client.insert(at.name, ROWS[3:])
    return at.name


READS: dict[str, Any] = {
    "get": lambda c, n: c.get(n, [1, 4]),
    "get of one": lambda c, n: c.get(n, 3),
    "get of none": lambda c, n: c.get(n, []),
    "get of an absent key": lambda c, n: c.get(n, [99]),
    "get with fields": lambda c, n: c.get(n, [2], output_fields=["a"]),
    "get with a vector": lambda c, n: c.get(n, [2], output_fields=["v"]),
    "get by a text": lambda c, n: c.get(n, ["2"]),
    "get of unknown fields": lambda c, n: c.get(n, [2], output_fields=["nope"]),
    "query": lambda c, n: c.query(n, "a > 20"),
    "query of all fields": lambda c, n: c.query(n, "a > 20", output_fields=["*"]),
    "query of the key": lambda c, n: c.query(n, "a > 20", output_fields=["pk"]),
    "query of a field": lambda c, n: c.query(n, "a > 20", output_fields=["s"]),
    "query of a field twice": lambda c, n: c.query(n, "a > 40", output_fields=["s", "s"]),
    "query of an unknown field": lambda c, n: c.query(n, "a > 20", output_fields=["nope"]),
    "query by ids": lambda c, n: c.query(n, ids=[1, 2], output_fields=["a"]),
    "query by ids and filter": lambda c, n: c.query(n, "a > 0", ids=[1, 2]),
    "query with limit": lambda c, n: c.query(n, "a >= 0", output_fields=["pk"], limit=2),
    "query with offset": lambda c, n: c.query(n, "a >= 0", ["pk"], limit=2, offset=3),
    "query without filter": lambda c, n: c.query(n, "", ["pk"], limit=2),
    "query of nothing": lambda c, n: c.query(n),
    "query limit 0": lambda c, n: c.query(n, "a >= 0", limit=0),
    "query limit -1": lambda c, n: c.query(n, "a >= 0", limit=-1),
    "query limit 16385": lambda c, n: c.query(n, "a >= 0", limit=16385),
    "query offset -1": lambda c, n: c.query(n, "a >= 0", limit=1, offset=-1),
    "query limit and offset too large": lambda c, n: c.query(n, "a >= 0", limit=16384, offset=1),
    "query limit as text": lambda c, n: c.query(n, "a >= 0", limit="5"),
    "count": lambda c, n: c.query(n, output_fields=["count(*)"]),
    "count with filter": lambda c, n: c.query(n, "a > 20", output_fields=["count(*)"]),
    "count of none": lambda c, n: c.query(n, "a > 2000", output_fields=["count(*)"]),
    "count with limit": lambda c, n: c.query(n, "a > 20", output_fields=["count(*)"], limit=1),
    "count and a field": lambda c, n: c.query(n, "a > 20", output_fields=["count(*)", "a"]),
    "order by": lambda c, n: c.query(n, "a >= 0", ["a"], order_by=["a:desc"], limit=3),
    "iterator": lambda c, n: _all(c.query_iterator(n, filter="a >= 0", batch_size=2)),
    "iterator with limit": lambda c, n: _all(c.query_iterator(n, batch_size=2, limit=3)),
}


def _all(iterator: Any) -> Any:
    batches = []
    while batch := iterator.next():
        batches.append(sorted(row["pk"] for row in batch))
    iterator.close()
    return batches


@cases(
    READS,
    differs=lite_answers(
        "a field that there is not",
        documents.QUERY,
        "get of unknown fields",
        "query of an unknown field",
        code=1700,
    )
    | lite_answers("without a filter a limit is needed", documents.QUERY, "query of nothing")
    | lite_answers(
        "limit is 1 to 16,384, together with an offset from 0 on",
        documents.LIMITS,
        *("query limit 0", "query limit -1", "query limit 16385", "query offset -1"),
        *("query limit and offset too large", "query limit as text"),
    )
    | lite_answers(
        "a count is one number, alone and without a limit",
        documents.QUERY,
        *("count with limit", "count and a field"),
    )
    | lite_answers(
        KEYS_HAVE_THEIR_TYPE,
        documents.OURS,
        "get by a text",
    )
    | lite_differs(
        "milvus-lite passes over order_by",
        documents.QUERY,
        {
            "order by": (
                [{"pk": i, "a": 10 * i} for i in (0, 1, 2)],
                [{"pk": i, "a": 10 * i} for i in (5, 4, 3)],
            )
        },
    ),
)
def read(at: Place, call: Any) -> Any:
    return call(at.client, filled(at))


DELETES: dict[str, Any] = {
    "ids": {"ids": [1, 4]},
    "one id": {"ids": 1},
    "absent id": {"ids": [99]},
    "same id twice": {"ids": [1, 1]},
    "no ids": {"ids": []},
    "text as id": {"ids": ["1"]},
    "filter on the key": {"filter": "pk in [1, 4]"},
    "filter on the key, absent": {"filter": "pk in [1, 99]"},
    "filter on the key, range": {"filter": "pk > 3"},
    "filter": {"filter": "a > 20"},
    "filter that matches nothing": {"filter": "a > 2000"},
    "filter with text": {"filter": "s == 't3'"},
    "bad filter": {"filter": "a >"},
    "empty filter": {"filter": ""},
    "neither": {},
    "both": {"ids": [1], "filter": "a > 20"},
}


def count_of(deleted: Any) -> int:
    """milvus-lite answers with keys, as Milvus before 2.3.2; pymilvus hands them on."""
    return len(deleted) if isinstance(deleted, list) else int(deleted["delete_count"])


@cases(
    DELETES,
    differs=lite_refuses(
        "`delete(ids=[])` deletes nothing; pymilvus raises",
        documents.OURS,
        {"no ids": [0, [0, 1, 2, 3, 4, 5]]},
        code=1,
    )
    | lite_answers(
        KEYS_HAVE_THEIR_TYPE,
        documents.OURS,
        "text as id",
    ),
)
def delete(at: Place, options: dict[str, Any]) -> Any:
    filled(at)
    done = count_of(at.client.delete(at.name, **options))
    left = at.client.query(at.name, "a >= 0", output_fields=["pk"])
    return done, sorted(row["pk"] for row in left)


@case(
    differs=Differs(
        [1],
        {"delete_count": 1},
        "Milvus answers with a count since 2.3.2, milvus-lite with the keys as before",
        documents.DELETE,
    )
)
def delete_answers_a_count(at: Place) -> Any:
    return at.client.delete(filled(at), ids=[1])


@case
def deleted_row_is_found_by_nothing(at: Place) -> Any:
    filled(at)
    at.client.delete(at.name, ids=[0, 3])
    hits = at.client.search(at.name, [[0, 0, 0, 1]], limit=10)[0]
    count = at.client.query(at.name, output_fields=["count(*)"])
    return [hit["pk"] for hit in hits], count, at.client.get(at.name, [0, 3])


@case
def deleted_key_is_inserted_again(at: Place) -> Any:
    filled(at)
    at.client.delete(at.name, ids=[1])
    at.client.insert(at.name, [{"pk": 1, "a": 5, "s": "again", "v": V}])
    return at.client.get(at.name, [1], output_fields=["s"])


@case
def counts_follow_every_write(at: Place) -> Any:
    filled(at)
    counts = []

    def count() -> None:
        counts.append(at.client.query(at.name, output_fields=["count(*)"])[0]["count(*)"])

    count()
    at.client.upsert(at.name, [{**ROWS[0], "a": 7}, {**ROWS[4], "a": 8}])
    count()
    at.client.delete(at.name, filter="a in [7, 8]")
    count()
    at.client.upsert(at.name, [{**ROWS[0], "a": 9}])
    count()
    at.client.flush(at.name)
    count()
    return counts


@cases(
    {
        "one field": {"pk": 1, "a": 77},
        "the vector": {"pk": 1, "v": [9, 9, 9, 9]},
        "a new key": {"pk": 50, "a": 1},
        "whole new row": {"pk": 50, "a": 1, "s": "new", "v": V},
        "no key": {"a": 1},
    }
)
def partial_update(at: Place, row: dict[str, Any]) -> Any:
    filled(at)
    done = at.client.upsert(at.name, [row], partial_update=True)
    return done, at.client.get(at.name, [row["pk"]], output_fields=["a", "s", "v"])


@case
def truncated_collection_is_empty_and_usable(at: Place) -> Any:
    filled(at)
    done = at.client.truncate_collection(at.name)
    empty = at.client.query(at.name, output_fields=["count(*)"])
    at.client.insert(at.name, ROWS[:2])
    return done, empty, at.client.query(at.name, "a >= 0", output_fields=["a"])


@case
def loaded_rows_are_there_after_release_and_load(at: Place) -> Any:
    filled(at)
    at.client.release_collection(at.name)
    at.client.load_collection(at.name)
    return at.client.query(at.name, "a >= 0", output_fields=["a"])


@cases(
    {
        "insert": lambda c, n: c.insert(n, ROWS, nonsense=1),
        "query": lambda c, n: c.query(n, "a > 0", nonsense=1),
        "search": lambda c, n: c.search(n, [V], nonsense=1),
        "create_collection": lambda c, n: c.create_collection(n, dimension=4, nonsense=1),
    },
    differs=lite_answers(
        "keywords that mean nothing raise; pymilvus passes over most",
        documents.OURS,
        "insert",
        "query",
        "search",
    ),
)
def unknown_keyword(at: Place, call: Any) -> Any:
    return bool(call(at.client, filled(at)))


ADDED: dict[str, Any] = {
    "nullable": {"data_type": "INT64", "nullable": True},
    "default": {"data_type": "INT64", "nullable": True, "default_value": 7},
    "text": {"data_type": "VARCHAR", "nullable": True, "max_length": 9, "default_value": "x"},
    "neither": {"data_type": "INT64"},
    "present name": {"data_type": "INT64", "nullable": True, "field_name": "a"},
    "vector": {"data_type": "FLOAT_VECTOR", "dim": 4, "nullable": True},
}


@cases(
    ADDED,
    differs=lite_refuses(
        "milvus-lite cannot add fields",
        documents.ADD_FIELD,
        {
            name: [{"pk": 1, "new": value}, {"pk": 60, "new": value}]
            for name, value in {"nullable": None, "default": 7, "text": "x", "vector": None}.items()
        },
        code=UNIMPLEMENTED,
    ),
)
def added_field_is_read_in_old_and_new_rows(at: Place, options: dict[str, Any]) -> Any:
    filled(at)
    options = dict(options)
    name = options.pop("field_name", "new")
    kind = getattr(at.mv.DataType, options.pop("data_type"))
    at.client.add_collection_field(at.name, name, kind, **options)
    at.client.insert(at.name, [{**ROWS[0], "pk": 60}])
    return at.client.query(at.name, "pk in [1, 60]", output_fields=["new"])


TEXT_KEYS: dict[str, Any] = {
    "get": lambda c, n: c.get(n, ["b", "a'b"], output_fields=["pk"]),
    "get of one": lambda c, n: c.get(n, "b", output_fields=["pk"]),
    "get of an absent key": lambda c, n: c.get(n, ["z"], output_fields=["pk"]),
    "get of a number": lambda c, n: c.get(n, [5], output_fields=["pk"]),
    "delete": lambda c, n: (count_of(c.delete(n, ids=["b", "z"])), _keys(c, n)),
    "delete by filter": lambda c, n: (count_of(c.delete(n, filter="pk in ['b']")), _keys(c, n)),
    "upsert": lambda c, n: (c.upsert(n, [{"pk": "b", "v": V}, {"pk": "n", "v": V}]), _keys(c, n)),
    "empty key": lambda c, n: (c.insert(n, [{"pk": "", "v": V}])["ids"], _keys(c, n)),
    "long key": lambda c, n: c.insert(n, [{"pk": "x" * 9, "v": V}]),
    "prefix": lambda c, n: c.query(n, "pk like 'a%'", output_fields=["pk"]),
    "range": lambda c, n: c.query(n, "pk > 'a' and pk < 'c'", output_fields=["pk"]),
}


def _keys(client: Any, name: str) -> list[str]:
    return sorted(r["pk"] for r in client.query(name, "pk >= ''", output_fields=["pk"]))


@cases(
    TEXT_KEYS,
    differs=lite_refuses(
        "keys may have quotes in them; pymilvus writes keys into an expression as they are",
        documents.OURS,
        {"get": [{"pk": "b"}, {"pk": "a'b"}]},
    )
    | lite_answers(KEYS_HAVE_THEIR_TYPE, documents.OURS, "get of a number"),
)
def with_text_keys(at: Place, call: Any) -> Any:
    at.create(("pk", "VARCHAR", {"is_primary": True, "max_length": 8}))
    at.client.insert(at.name, [{"pk": key, "v": V} for key in ("a", "b", "a'b", "é", 'q"q')])
    return call(at.client, at.name)
