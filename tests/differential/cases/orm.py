"""The ORM: connections, Collection, Partition, utility, db."""

from __future__ import annotations

from typing import Any

from differential import documents
from differential.case import Place, cases, lite_answers

V = [1.0, 2.0, 3.0, 4.0]


def collection(at: Place) -> Any:
    """A loaded Collection with three rows."""
    at.mv.connections.connect("cases", uri=at.uri)
    at.after.callback(at.mv.connections.disconnect, "cases")
    fields = [
        at.mv.FieldSchema("pk", at.mv.DataType.INT64, is_primary=True),
        at.mv.FieldSchema("a", at.mv.DataType.INT64),
        at.mv.FieldSchema("v", at.mv.DataType.FLOAT_VECTOR, dim=4),
    ]
    schema = at.mv.CollectionSchema(fields, description="rows")
    made = at.mv.Collection(at.name, schema, using="cases")
    index = {"index_type": "FLAT", "metric_type": "L2", "params": {}}
    made.create_index("v", index, sync=False)
    made.load()
    made.insert([[1, 2, 3], [10, 20, 30], [[1, 0, 0, 0], [2, 0, 0, 0], [3, 0, 0, 0]]])
    return made


def _batches(iterator: Any) -> Any:
    while batch := iterator.next():
        yield batch
    iterator.close()


COLLECTION: dict[str, Any] = {
    "insert columns": lambda c: c.insert([[4], [40], [V]]).insert_count,
    "insert rows": lambda c: list(c.insert([{"pk": 5, "a": 1, "v": V}]).primary_keys),
    "insert too few columns": lambda c: c.insert([[4], [40]]),
    "insert uneven columns": lambda c: c.insert([[4], [40, 41], [V]]),
    "upsert": lambda c: c.upsert([[1], [11], [V]]).upsert_count,
    "delete": lambda c: c.delete("pk in [1, 2]").delete_count,
    "num_entities": lambda c: (c.flush(), c.num_entities),
    "is_empty": lambda c: (c.flush(), c.is_empty),
    "query": lambda c: c.query("a > 10", output_fields=["a"]),
    "query limit": lambda c: c.query("a > 0", output_fields=["a"], limit=2),
    "query by nothing": lambda c: c.query(""),
    "count": lambda c: c.query("", output_fields=["count(*)"]),
    "search": lambda c: [
        (hit.id, hit.distance, hit.entity.get("a"))
        for hit in c.search([V], "v", {"metric_type": "L2"}, limit=2, output_fields=["a"])[0]
    ],
    "search with expr": lambda c: c.search([V], "v", {}, limit=5, expr="a > 10")[0].ids,
    "search of a wrong field": lambda c: c.search([V], "nope", {}, limit=5),
    "name": lambda c: (c.name.startswith("c"), c.description, c.primary_field.name),
    "schema": lambda c: [(f.name, f.dtype, f.is_primary) for f in c.schema.fields],
    "indexes": lambda c: [(i.field_name, i.params["index_type"]) for i in c.indexes],
    "index": lambda c: c.index().params["metric_type"],
    "has_index": lambda c: c.has_index(),
    "drop_index": lambda c: (c.release(), c.drop_index(), c.has_index()),
    "release": lambda c: (c.release(), c.query("a > 0")),
    "drop": lambda c: c.drop(),
    "describe": lambda c: {"auto_id", "num_shards", "fields", "properties"} <= c.describe().keys(),
    "flush": lambda c: c.flush(),
    "partitions": lambda c: [p.name for p in c.partitions],
    "create_partition": lambda c: (c.create_partition("p").name, c.has_partition("p")),
    "partition": lambda c: c.partition("_default").name,
    "unknown partition": lambda c: c.partition("nope"),
    "drop_partition": lambda c: (
        c.create_partition("p"),
        c.release(),
        c.drop_partition("p"),
        c.has_partition("p"),
    )[1:],
    "insert into a partition": lambda c: (
        c.create_partition("p").insert([[4], [40], [V]]).insert_count,
        len(c.query("a > 0", partition_names=["p"])),
    ),
    "num_shards": lambda c: c.num_shards,
    "aliases": lambda c: list(c.aliases),
    "hybrid_search": lambda c: c.hybrid_search([], None, 3),
    "query_iterator": lambda c: [len(b) for b in _batches(c.query_iterator(batch_size=2))],
    "search_iterator": lambda c: [
        len(b) for b in _batches(c.search_iterator([V], "v", {"metric_type": "L2"}, batch_size=2))
    ],
    "truncate": lambda c: (c.truncate(), c.query("a > 0")),
    "set_properties": lambda c: (c.release(), c.set_properties({"collection.ttl.seconds": 9}))[1],
}


@cases(
    COLLECTION,
    differs=lite_answers("without a filter a limit is needed", documents.QUERY, "query by nothing"),
)
def orm_collection(at: Place, call: Any) -> Any:
    return call(collection(at))


@cases(
    {
        "unknown without schema": lambda at: at.mv.Collection("nope", using="cases"),
        "another schema": lambda at: at.mv.Collection(
            at.name,
            at.mv.CollectionSchema(
                [
                    at.mv.FieldSchema("other", at.mv.DataType.INT64, is_primary=True),
                    at.mv.FieldSchema("v", at.mv.DataType.FLOAT_VECTOR, dim=4),
                ]
            ),
            using="cases",
        ),
        "again": lambda at: at.mv.Collection(at.name, using="cases").name == at.name,
        "unknown connection": lambda at: at.mv.Collection(at.name, using="nope"),
        "no key": lambda at: at.mv.CollectionSchema(
            [at.mv.FieldSchema("v", at.mv.DataType.FLOAT_VECTOR, dim=4)]
        ),
        "schema of another kind": lambda at: at.mv.Collection("x", schema=5, using="cases"),
    }
)
def orm_construction(at: Place, call: Any) -> Any:
    collection(at)
    return bool(call(at))


UTILITY: dict[str, Any] = {
    "has_collection": lambda u, n: u.has_collection(n, using="cases"),
    "has_collection unknown": lambda u, n: u.has_collection("nope", using="cases"),
    "list_collections": lambda u, n: n in u.list_collections(using="cases"),
    "drop_collection": lambda u, n: u.drop_collection(n, using="cases"),
    "rename_collection": lambda u, n: u.rename_collection(n, n + "z", using="cases"),
    "load_state": lambda u, n: u.load_state(n, using="cases"),
    "loading_progress": lambda u, n: u.loading_progress(n, using="cases"),
    "wait_for_loading_complete": lambda u, n: u.wait_for_loading_complete(n, using="cases"),
    "index_building_progress": lambda u, n: sorted(u.index_building_progress(n, using="cases")),
    "has_partition": lambda u, n: u.has_partition(n, "_default", using="cases"),
    "create_alias": lambda u, n: (
        u.create_alias(n, "an_alias", using="cases"),
        u.list_aliases(n, using="cases"),
        u.drop_alias("an_alias", using="cases"),
    ),
    "list_indexes": lambda u, n: u.list_indexes(n, using="cases"),
    "truncate_collection": lambda u, n: u.truncate_collection(n, using="cases"),
    "hybridts_to_unixtime": lambda u, n: u.hybridts_to_unixtime(u.mkts_from_unixtime(1e9)),
    "hybridts_to_datetime": lambda u, n: str(u.hybridts_to_datetime(u.mkts_from_unixtime(1e9))),
    "mkts_from_hybridts": lambda u, n: u.mkts_from_hybridts(
        u.mkts_from_unixtime(5), milliseconds=7.0
    ),
    "wait_for_index_building_complete": lambda u, n: u.wait_for_index_building_complete(
        n, using="cases"
    ),
    "load_state unknown": lambda u, n: u.load_state("nope", using="cases"),
    "unknown connection": lambda u, n: u.has_collection(n, using="nope"),
}


@cases(UTILITY)
def orm_utility(at: Place, call: Any) -> Any:
    collection(at)
    return call(at.mv.utility, at.name)


CONNECTIONS: dict[str, Any] = {
    "has": lambda c, uri: (c.has_connection("cases"), c.has_connection("nope")),
    "list": lambda c, uri: "cases" in [alias for alias, _ in c.list_connections()],
    "disconnect unknown": lambda c, uri: c.disconnect("nope"),
    "address of unknown": lambda c, uri: c.get_connection_addr("nope"),
    "remove": lambda c, uri: (c.connect("other", uri=uri), c.remove_connection("other"))[1],
    "connect again": lambda c, uri: c.connect("cases", uri=uri),
    "alias as number": lambda c, uri: c.connect(5, uri=uri),
}


@cases(CONNECTIONS)
def orm_connections(at: Place, call: Any) -> Any:
    collection(at)
    return call(at.mv.connections, at.uri)


DB: dict[str, Any] = {
    "list_database": lambda d, n: "default" in d.list_database(using="cases"),
    "describe_database": lambda d, n: d.describe_database("default", using="cases")["name"],
    "create and drop": lambda d, n: (
        d.create_database(f"db_{n}", using="cases"),
        f"db_{n}" in d.list_database(using="cases"),
        d.drop_database(f"db_{n}", using="cases"),
        f"db_{n}" in d.list_database(using="cases"),
    ),
    "drop unknown": lambda d, n: d.drop_database("nope", using="cases"),
    "use unknown": lambda d, n: d.using_database("nope", using="cases"),
}


@cases(
    DB,
    differs=lite_answers(
        "`db.using_database` of an unknown database raises; pymilvus says so at the next call",
        documents.OURS,
        "use unknown",
        code=800,
    ),
)
def orm_db(at: Place, call: Any) -> Any:
    collection(at)
    return call(at.mv.db, at.name)
