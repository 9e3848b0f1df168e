"""Milvus' data model in one process: typed columns, partitions, filters, several vectors."""

from walvec import AnnSearchRequest, DataType, MilvusClient, RRFRanker

PACKAGES = [
    ("gnuchess", "games", ["chess", "board"], 4.1, [0.9, 0.1], [1.0, 0.0]),
    ("stockfish", "games", ["chess", "engine"], None, [0.8, 0.3], [0.9, 0.2]),
    ("borgbackup", "admin", ["backup", "dedup"], 1.2, [0.1, 0.9], [0.2, 0.9]),
    ("restic", "admin", ["backup"], 20.5, [0.2, 0.8], [0.1, 1.0]),
]

with MilvusClient("./mystore") as client:
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("name", DataType.VARCHAR, max_length=100, is_primary=True)
    schema.add_field("section", DataType.VARCHAR, max_length=40, is_partition_key=True)
    schema.add_field(
        "tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=8, max_length=40
    )
    schema.add_field("megabytes", DataType.FLOAT, nullable=True)
    schema.add_field("title", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("text", DataType.FLOAT_VECTOR, dim=2)
    index = client.prepare_index_params()
    index.add_index("title", index_type="FLAT", metric_type="COSINE")
    index.add_index("text", index_type="FLAT", metric_type="L2")
    index.add_index("section", index_type="INVERTED")
    client.create_collection("packages", schema=schema, index_params=index)

    names = ("name", "section", "tags", "megabytes", "title", "text")
    client.insert("packages", [dict(zip(names, row, strict=True)) for row in PACKAGES])

    small = "section in ['games', 'admin'] and megabytes < 10 and array_contains(tags, 'chess')"
    print([row["name"] for row in client.query("packages", small, output_fields=["name"])])
    unknown = client.query("packages", "megabytes is null", output_fields=["name"])
    print([row["name"] for row in unknown])

    client.upsert("packages", [{"name": "restic", "megabytes": 21.0}], partial_update=True)
    client.add_collection_field("packages", "stars", DataType.INT64, nullable=True)
    print(client.get("packages", ["restic"], output_fields=["megabytes", "tags", "stars"]))

    both = client.hybrid_search(
        "packages",
        [
            AnnSearchRequest([[0.9, 0.2]], "title", {}, limit=3),
            AnnSearchRequest([[0.9, 0.1]], "text", {}, limit=3, expr="section == 'games'"),
        ],
        ranker=RRFRanker(),
        limit=2,
    )
    print(both[0].ids)
    print(client.explain("packages", filter="section == 'games' and megabytes > 1"))
