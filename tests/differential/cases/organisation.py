"""Partitions, partition keys, aliases and databases."""

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
from differential.cases.rows import count_of
from differential.outcome import UNIMPLEMENTED

V = [1.0, 2.0, 3.0, 4.0]


def parted(at: Place) -> str:
    """Partitions p and q beside the default one, with two rows each."""
    at.create(("a", "INT64"))
    for number, partition in enumerate(("_default", "p", "q")):
        if number:
            at.client.create_partition(at.name, partition)
        rows = [{"pk": 10 * number + i, "a": i, "v": [number, i, 0, 1]} for i in range(2)]
        at.client.insert(at.name, rows, partition_name=partition)
    return at.name


def keys(rows: Any) -> list[Any]:
    return sorted(row["pk"] for row in rows)


PARTITION: dict[str, Any] = {
    "create": lambda c, n: (c.create_partition(n, "r"), c.list_partitions(n)),
    "create a present one": lambda c, n: c.create_partition(n, "p"),
    "create with an empty name": lambda c, n: c.create_partition(n, ""),
    "create with a bad name": lambda c, n: c.create_partition(n, "a b"),
    "list": lambda c, n: c.list_partitions(n),
    "has": lambda c, n: (c.has_partition(n, "p"), c.has_partition(n, "nope")),
    "drop a loaded one": lambda c, n: c.drop_partition(n, "p"),
    "drop": lambda c, n: (
        c.release_collection(n),
        c.drop_partition(n, "p"),
        c.list_partitions(n),
        c.load_collection(n),
        keys(c.query(n, "a >= 0")),
    ),
    "drop the default": lambda c, n: (c.release_collection(n), c.drop_partition(n, "_default")),
    "drop an unknown one": lambda c, n: (c.release_collection(n), c.drop_partition(n, "nope")),
    "stats": lambda c, n: (c.flush(n), c.get_partition_stats(n, "p")),
    "stats of an unknown one": lambda c, n: c.get_partition_stats(n, "nope"),
    "load state": lambda c, n: c.get_load_state(n, "p"),
    "load state of an unknown one": lambda c, n: c.get_load_state(n, "nope"),
    "described": lambda c, n: c.describe_collection(n)["num_partitions"],
    "query one": lambda c, n: keys(c.query(n, "a >= 0", partition_names=["p"])),
    "query two": lambda c, n: keys(c.query(n, "a >= 0", partition_names=["p", "_default"])),
    "query an unknown one": lambda c, n: c.query(n, "a >= 0", partition_names=["nope"]),
    "query none": lambda c, n: keys(c.query(n, "a >= 0", partition_names=[])),
    "count one": lambda c, n: c.query(n, output_fields=["count(*)"], partition_names=["q"]),
    "get in one": lambda c, n: keys(c.get(n, [1, 10, 20], partition_names=["p"])),
    "search one": lambda c, n: keys(c.search(n, [V], partition_names=["q"])[0]),
    "search an unknown one": lambda c, n: c.search(n, [V], partition_names=["nope"]),
    "insert into an unknown one": lambda c, n: c.insert(
        n, [{"pk": 5, "a": 1, "v": V}], partition_name="nope"
    ),
    "upsert into one": lambda c, n: (
        c.upsert(n, [{"pk": 10, "a": 9, "v": V}], partition_name="p"),
        c.query(n, "a == 9", output_fields=["pk"], partition_names=["p"]),
    ),
    "delete ids in one": lambda c, n: (
        count_of(c.delete(n, ids=[0, 10], partition_name="p")),
        keys(c.query(n, "a >= 0")),
    ),
    "delete by filter in one": lambda c, n: (
        count_of(c.delete(n, filter="a == 0", partition_name="p")),
        keys(c.query(n, "a >= 0")),
    ),
    "delete in an unknown one": lambda c, n: c.delete(n, ids=[1], partition_name="nope"),
    "load one": lambda c, n: (
        c.release_collection(n),
        c.load_partitions(n, ["p"]),
        keys(c.query(n, "a >= 0", partition_names=["p"])),
    ),
    "release one": lambda c, n: (
        c.release_partitions(n, ["p"]),
        keys(c.query(n, "a >= 0", partition_names=["q"])),
    ),
}


@cases(
    PARTITION,
    differs=lite_refuses(
        "a partition that is there is not made again",
        documents.CREATE_PARTITION,
        {"create a present one": None},
        code=1,
    )
    | lite_refuses(
        "a partition that is not there need not be dropped",
        documents.DROP_PARTITION,
        {"drop an unknown one": [None, None]},
        code=200,
    )
    | lite_answers(
        "names have letters, digits and underscores, and the first is no digit",
        documents.LIMITS,
        *("create with an empty name", "create with a bad name"),
    )
    | lite_answers("a partition is released first", documents.PARTITIONS, "drop a loaded one")
    | lite_answers(
        "a partition that there is not",
        documents.ERRORS,
        *("load state of an unknown one", "query an unknown one", "search an unknown one"),
        code=200,
    )
    | lite_differs(
        "milvus-lite counts and deletes in all partitions, whichever is named",
        documents.PARTITIONS,
        {
            "count one": ([{"count(*)": 6}], [{"count(*)": 2}]),
            "delete ids in one": ([2, [1, 11, 20, 21]], [2, [0, 1, 11, 20, 21]]),
            "delete by filter in one": ([3, [1, 11, 21]], [1, [0, 1, 11, 20, 21]]),
        },
    )
    | lite_refuses(
        "milvus-lite loads whole collections only",
        documents.LOAD,
        {"load one": [None, None, [10, 11]], "release one": [None, [20, 21]]},
        code=UNIMPLEMENTED,
    ),
)
def partition(at: Place, call: Any) -> Any:
    return call(at.client, parted(at))


def keyed(at: Place, **options: Any) -> str:
    """A partition key."""
    at.create(("k", "VARCHAR", {"max_length": 9, "is_partition_key": True}), options=options)
    at.client.insert(at.name, [{"pk": i, "k": f"k{i % 3}", "v": [i, 0, 0, 1]} for i in range(9)])
    return at.name


KEYED: dict[str, Any] = {
    "query": lambda c, n: keys(c.query(n, "k == 'k1'")),
    "query of several": lambda c, n: keys(c.query(n, "k in ['k1', 'k2']")),
    "search": lambda c, n: keys(c.search(n, [V], filter="k == 'k1'")[0]),
    "partitions": lambda c, n: c.describe_collection(n)["num_partitions"],
    "names": lambda c, n: len(c.list_partitions(n)),
    "insert with a partition": lambda c, n: c.insert(
        n, [{"pk": 50, "k": "a", "v": V}], partition_name="_default_0"
    ),
    "create a partition": lambda c, n: c.create_partition(n, "p"),
    "query with a partition": lambda c, n: c.query(n, "k == 'k1'", partition_names=["_default_0"]),
    "upsert": lambda c, n: (
        c.upsert(n, [{"pk": 1, "k": "k0", "v": V}]),
        keys(c.query(n, "k == 'k0'")),
    ),
}


@cases(
    KEYED,
    differs=lite_differs(
        "milvus-lite makes 16 partitions, whatever num_partitions says, beside the default one",
        documents.PARTITION_KEY,
        {"partitions": (17, 4), "names": (17, 4)},
    )
    | lite_answers(
        "the key chooses the partition, no call names one",
        documents.PARTITION_KEY,
        *("insert with a partition", "query with a partition"),
    ),
)
def partition_key(at: Place, call: Any) -> Any:
    return call(at.client, keyed(at, num_partitions=4))


@case(
    differs=Differs(
        17, 16, "milvus-lite counts a default partition beside the 16", documents.PARTITION_KEY
    )
)
def partition_key_has_sixteen_partitions(at: Place) -> Any:
    return at.client.describe_collection(keyed(at))["num_partitions"]


def aliased(at: Place) -> tuple[str, str]:
    """A collection with one row, and an alias for it."""
    at.create(("a", "INT64"))
    at.client.insert(at.name, [{"pk": 1, "a": 7, "v": V}])
    alias = f"{at.name}_alias"
    at.client.create_alias(at.name, alias)
    at.after.callback(at.client.drop_alias, alias)
    return at.name, alias


ALIAS: dict[str, Any] = {
    "query": lambda c, n, a: c.query(a, "a > 0"),
    "search": lambda c, n, a: keys(c.search(a, [V])[0]),
    "get": lambda c, n, a: c.get(a, [1]),
    "insert": lambda c, n, a: c.insert(a, [{"pk": 2, "a": 1, "v": V}]),
    "delete": lambda c, n, a: count_of(c.delete(a, ids=[1])),
    "has_collection": lambda c, n, a: c.has_collection(a),
    "list_collections": lambda c, n, a: a in c.list_collections(),
    "describe_collection": lambda c, n, a: (
        c.describe_collection(a)["collection_name"] in (n, a),
        c.describe_collection(n)["aliases"] == [a],
    ),
    "flush": lambda c, n, a: c.flush(a),
    "load and release": lambda c, n, a: (c.release_collection(a), c.load_collection(a)),
    "drop by alias": lambda c, n, a: c.drop_collection(a),
    "drop with an alias": lambda c, n, a: c.drop_collection(n),
    "create again": lambda c, n, a: c.create_alias(n, a),
    "create as a collection": lambda c, n, a: c.create_alias(n, n),
    "bad name": lambda c, n, a: c.create_alias(n, "a b"),
    "collection of its name": lambda c, n, a: c.create_collection(a, dimension=4),
    "rename to it": lambda c, n, a: c.rename_collection(n, a),
    "rename by it": lambda c, n, a: c.rename_collection(a, n + "y"),
    "drop unknown": lambda c, n, a: c.drop_alias("no_such_alias"),
    "alter unknown": lambda c, n, a: c.alter_alias(n, "no_such_alias"),
    "alter to an unknown collection": lambda c, n, a: c.alter_alias("nope", a),
    "describe unknown": lambda c, n, a: c.describe_alias("no_such_alias"),
    "describe": lambda c, n, a: {
        key: value == {"alias": a, "collection_name": n}.get(key, "default")
        for key, value in c.describe_alias(a).items()
    },
    "list": lambda c, n, a: {
        key: value == {"aliases": [a], "collection_name": n}.get(key, "default")
        for key, value in c.list_aliases(n).items()
    },
    "list all": lambda c, n, a: a in c.list_aliases()["aliases"],
    "list of an unknown collection": lambda c, n, a: c.list_aliases("nope"),
}


@cases(
    ALIAS,
    differs=lite_differs(
        "milvus-lite does not tell a collection's aliases",
        documents.ALIASES,
        {"describe_collection": ([True, False], [True, True])},
    )
    | lite_answers(
        "a collection is dropped by its own name, and without aliases",
        documents.META_TABLE,
        *("drop by alias", "drop with an alias"),
    )
    | lite_answers("a collection is renamed by its own name", documents.META_TABLE, "rename by it")
    | lite_refuses(
        "the same alias for the same collection is fine",
        documents.META_TABLE,
        {"create again": None},
        code=1,
    )
    | lite_answers(
        "names have letters, digits and underscores, and the first is no digit",
        documents.LIMITS,
        "bad name",
    )
    | {
        name: Differs(Refused(100), Refused(1600), "AliasNotFound is 1600", documents.ERRORS)
        for name in ("alter unknown", "describe unknown")
    }
    | lite_differs(
        "milvus-lite leaves the database out",
        documents.ALIASES,
        {
            "describe": (
                {"alias": True, "collection_name": True},
                {"alias": True, "collection_name": True, "db_name": True},
            ),
            "list": (
                {"aliases": True, "collection_name": True},
                {"aliases": True, "collection_name": True, "db_name": True},
            ),
        },
    )
    | lite_answers(
        "a collection that there is not",
        documents.ERRORS,
        "list of an unknown collection",
        code=100,
    ),
)
def alias(at: Place, call: Any) -> Any:
    return call(at.client, *aliased(at))


@case
def altered_alias_points_elsewhere(at: Place) -> Any:
    _, alias = aliased(at)
    other = at.create(("a", "INT64"), name=at.name + "o")
    at.client.alter_alias(other, alias)
    return at.client.query(alias, "a > 0"), at.client.describe_alias(alias)[
        "collection_name"
    ] == other


@case
def dropped_alias_is_gone(at: Place) -> Any:
    at.create()
    at.client.create_alias(at.name, "gone_alias")
    at.client.drop_alias("gone_alias")
    at.client.query("gone_alias", "pk > 0")


def database(at: Place) -> Any:
    """A client in a database of its own, with a collection of one row."""
    name = f"db_{at.name}"
    at.client.create_database(name)
    at.after.callback(at.client.drop_database, name)
    client, cleaner = (at.mv.MilvusClient(at.uri, db_name=name) for _ in range(2))
    at.after.callback(client.close)
    at.after.callback(cleaner.close)
    at.after.callback(cleaner.drop_collection, at.name)
    client.create_collection(at.name, schema=at.schema())
    client.create_index(at.name, at.index_params(v=("FLAT", "L2")), sync=False)
    client.load_collection(at.name)
    client.insert(at.name, [{"pk": 1, "v": V}])
    return client


DATABASE: dict[str, Any] = {
    "list_databases": lambda c, own, n: f"db_{n}" in c.list_databases(),
    "default": lambda c, own, n: "default" in c.list_databases(),
    "rows": lambda c, own, n: own.query(n, "pk > 0", output_fields=["pk"]),
    "hidden from another": lambda c, own, n: c.has_collection(n),
    "own collections": lambda c, own, n: own.list_collections() == [n],
    "create a present one": lambda c, own, n: c.create_database(f"db_{n}"),
    "bad name": lambda c, own, n: c.create_database("a b"),
    "drop with collections": lambda c, own, n: c.drop_database(f"db_{n}"),
    "drop unknown": lambda c, own, n: c.drop_database("nope"),
    "drop default": lambda c, own, n: c.drop_database("default"),
    "use unknown": lambda c, own, n: own.use_database("nope"),
    "use": lambda c, own, n: (own.use_database("default"), own.has_collection(n)),
    "describe unknown": lambda c, own, n: c.describe_database("nope"),
    "describe": lambda c, own, n: c.describe_database(f"db_{n}")["name"] == f"db_{n}",
    "properties": lambda c, own, n: (
        c.alter_database_properties(f"db_{n}", {"database.max.collections": 10}),
        c.describe_database(f"db_{n}").get("database.max.collections"),
    ),
}


@cases(
    DATABASE,
    differs=lite_answers(
        "names have letters, digits and underscores, and the first is no digit",
        documents.LIMITS,
        "bad name",
    ),
)
def in_a_database(at: Place, call: Any) -> Any:
    own = database(at)
    return call(at.client, own, at.name)


@case
def client_of_an_unknown_database_is_refused(at: Place) -> Any:
    at.mv.MilvusClient(at.uri, db_name="no_such_db").list_collections()
