"""Search 4,000 Debian packages by meaning, in a store that stays: run it twice.

The first run fills the store; the second finds it there, loaded. `walvec demo` shows more.
"""

from walvec import DataType, MilvusClient
from walvec.tools.sample import load_packages, load_queries


def fill(client: MilvusClient) -> None:
    """Make the collection and insert everything; each insert is durable when it returns."""
    packages, vectors = load_packages()
    schema = MilvusClient.create_schema()
    schema.add_field("name", DataType.VARCHAR, max_length=100, is_primary=True)
    schema.add_field("section", DataType.VARCHAR, max_length=32)
    schema.add_field("summary", DataType.VARCHAR, max_length=400)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
    index = client.prepare_index_params()
    index.add_index("vector", index_type="ANNOY", metric_type="COSINE")
    client.create_collection("packages", schema=schema, index_params=index)
    keys = ("name", "section", "summary")
    for start in range(0, len(packages), 500):
        batch = zip(packages[start : start + 500], vectors[start : start + 500], strict=True)
        client.insert("packages", [{k: p[k] for k in keys} | {"vector": v} for p, v in batch])
    client.flush("packages", wait=True)


if __name__ == "__main__":
    with MilvusClient("./debian-store") as client:
        if not client.has_collection("packages"):
            fill(client)
        print(client.get_collection_stats("packages"), client.get_load_state("packages"))
        questions, vectors = load_queries()
        for question, vector in list(zip(questions, vectors, strict=True))[:5]:
            hits = client.search("packages", [vector], limit=3, output_fields=["summary"])[0]
            print(f"\n{question}")
            for hit in hits:
                print(f"  {hit['distance']:.3f}  {hit['name']}: {hit['summary']}")
