"""The ten lines of the README."""

from walvec import MilvusClient

with MilvusClient("./mystore") as client:
    client.create_collection("docs", dimension=4)
    client.insert("docs", [
        {"id": 1, "vector": [0.1, 0.9, 0.0, 0.2], "title": "chess"},
        {"id": 2, "vector": [0.8, 0.1, 0.3, 0.0], "title": "backup"},
    ])  # fmt: skip
    for hit in client.search("docs", [[0.2, 0.8, 0.1, 0.1]], limit=1, output_fields=["title"])[0]:
        print(hit["id"], hit["distance"], hit["entity"]["title"])
