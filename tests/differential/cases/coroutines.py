"""AsyncMilvusClient, in an event loop of each case's own."""

from __future__ import annotations

import asyncio
from typing import Any

from differential.case import Place, cases

V = [1.0, 2.0, 3.0, 4.0]


async def _rows(client: Any, name: str) -> Any:
    await client.insert(name, [{"pk": i, "v": [i, 0, 0, 1]} for i in range(4)])
    return await client.query(name, "pk >= 0", output_fields=["pk"])


async def _at_once(client: Any, name: str) -> Any:
    await asyncio.gather(*(client.insert(name, {"pk": i, "v": V}) for i in range(8)))
    return await client.query(name, output_fields=["count(*)"])


CALLS: dict[str, Any] = {
    "insert and query": _rows,
    "many at once": _at_once,
    "search": lambda c, n: c.search(n, [V], limit=2),
    "get": lambda c, n: c.get(n, [1]),
    "upsert": lambda c, n: c.upsert(n, [{"pk": 1, "v": V}]),
    "delete by nothing": lambda c, n: c.delete(n),
    "list_collections": lambda c, n: c.list_collections(),
    "has_collection": lambda c, n: c.has_collection(n),
    "describe_collection": lambda c, n: c.describe_collection("nope"),
    "release_collection": lambda c, n: c.release_collection(n),
    "create_partition": lambda c, n: c.create_partition(n, "p"),
    "drop_collection": lambda c, n: c.drop_collection(n),
    "bad filter": lambda c, n: c.query(n, "pk >"),
    "unknown collection": lambda c, n: c.search("nope", [V]),
}


@cases(CALLS)
def awaited(at: Place, call: Any) -> Any:
    at.create()

    async def main() -> Any:
        client = at.mv.AsyncMilvusClient(at.uri)
        try:
            found = await call(client, at.name)
        finally:
            await client.close()
        return [at.name in found] if isinstance(found, list) and at.name in found else found

    return asyncio.run(main())
