"""What differs between walvec and pymilvus beyond the arguments, by method, for the page."""

from walvec import missing

RULES = (
    "A keyword that walvec does not honour, and an argument of a wrong type, raise `ParamError` "
    "(1100)",
    "`consistency_level` is taken everywhere, and every level is served as `Strong`",
    "`timeout` limits waiting, for another process that writes or for indexes, not computing",
    "What a call changed is durable when it returns. Answers of writes have a key `seq`, their "
    "place in the log, and answers of reads have it in `.extra`",
)

INTERNAL = frozenset({"MilvusClient.info", "MilvusClient.write_rows", "connections.client"})
"""Public names of ours that are for walvec itself."""

_TRANSPORT = "a part of how pymilvus speaks to a server"
ABSENT = {
    "CollectionSchema.external_source": missing.NO_IMPORTS,
    "CollectionSchema.external_spec": missing.NO_IMPORTS,
    "exceptions.SchemaMismatchRetryableException": _TRANSPORT,
    "exceptions.ServerVersionIncompatibleException": _TRANSPORT,
    "pymilvus.Connections": _TRANSPORT,
    "pymilvus.DefaultConfig": _TRANSPORT,
    "pymilvus.ExceptionsMessage": _TRANSPORT,
    "pymilvus.IndexType": "index types are named by texts",
    "pymilvus.Prepare": _TRANSPORT,
}
"""What pymilvus shows, and walvec neither has nor refuses by name, and why not."""

NOTES = {
    "MilvusClient.__init__": "`uri` is a folder, `$WALVEC_URI` or `./walvec-store` without one; "
    "`user`, `password`, `token` and what else reaches a server mean nothing",
    "AsyncMilvusClient.__init__": "as MilvusClient. Calls run in threads; one whose task is "
    "cancelled is not made if no thread has begun it, and goes on to its end if one has",
    "MilvusClient.insert": "a row whose key is there replaces it",
    "MilvusClient.flush": "seals; rows are durable without it",
    "MilvusClient.get_collection_stats": "the count is exact at once, without a flush",
    "MilvusClient.load_collection": "what is loaded stays loaded when the store is opened again",
    "MilvusClient.get_server_version": "walvec's own",
    "MilvusClient.describe_index": (
        "raises 700 where pymilvus answers None; of AUTOINDEX it says what was chosen"
    ),
    "Collection.insert": "a row whose key is there replaces it",
    "Collection.num_entities": "the count is exact at once, without a flush",
}
