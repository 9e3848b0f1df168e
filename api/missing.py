"""What pymilvus has and walvec has not: calling it raises an error that says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from walvec.wal.errors import NotSupportedException

NO_USERS = "there are no users and roles: who may read the folder may read the store"
ONE_MACHINE = "a store has one replica on one machine: there are no nodes and resource groups"
NO_FUNCTIONS = (
    "there are no functions and analyzers: texts are embedded by who inserts them, and results are "
    "fused by RRFRanker() and WeightedRanker()"
)
NO_STRUCTS = "there are no struct fields"
NO_IMPORTS = "there are no bulk files and external sources: insert the rows"
NO_SNAPSHOTS = "there are no snapshots: the log has every state the store was in"
NO_FIELD_DROPS = "a field stays: leave it out of output_fields"
NO_AGGREGATIONS = (
    "searches are grouped by group_by_field, and query() counts, sums and averages by groups"
)
NO_SETS = 'a set of values is a list: filter_params={"ids": [1, 2, 3]}'
NO_OPERATIONS = "an upsert takes the new values of fields, not operations on the old ones"
NO_PLANS = "merges are done when they are asked for: there are no plans to look at"

Names = dict[str, str]


def _all(reason: str, names: str) -> Names:
    return dict.fromkeys(names.split(), reason)


CLIENT_METHODS: Names = {
    **_all(
        NO_USERS,
        "add_privileges_to_group alter_role create_privilege_group create_role create_user "
        "describe_role describe_user drop_privilege_group drop_role drop_user grant_privilege "
        "grant_privilege_v2 grant_role list_privilege_groups list_roles list_users "
        "remove_privileges_from_group revoke_privilege revoke_privilege_v2 revoke_role "
        "update_password update_user",
    ),
    **_all(
        ONE_MACHINE,
        "create_resource_group describe_resource_group drop_resource_group dump_messages "
        "get_replicate_configuration get_replicate_info list_resource_groups session "
        "transfer_replica update_replicate_configuration update_resource_groups",
    ),
    **_all(
        NO_FUNCTIONS,
        "add_collection_function add_file_resource add_function_field alter_collection_function "
        "drop_collection_function drop_function_field list_file_resources remove_file_resource "
        "run_analyzer",
    ),
    **_all(NO_STRUCTS, "add_collection_struct_field create_struct_field_schema"),
    **_all(
        NO_IMPORTS,
        "get_refresh_external_collection_progress list_refresh_external_collection_jobs "
        "refresh_external_collection",
    ),
    **_all(
        NO_SNAPSHOTS,
        "create_snapshot describe_snapshot drop_snapshot get_restore_snapshot_state "
        "list_restore_snapshot_jobs list_snapshots pin_snapshot_data restore_snapshot "
        "unpin_snapshot_data",
    ),
    **_all(NO_FIELD_DROPS, "drop_collection_field"),
    **_all(NO_PLANS, "get_compaction_plans list_compaction_tasks"),
}

COLLECTION_METHODS: Names = _all(NO_PLANS, "get_compaction_plans")

UTILITY_FUNCTIONS: Names = {
    **_all(
        NO_USERS,
        "create_user delete_user list_roles list_user list_usernames list_users reset_password "
        "update_password",
    ),
    **_all(
        ONE_MACHINE,
        "create_resource_group describe_resource_group drop_resource_group list_resource_groups "
        "load_balance transfer_node transfer_replica update_resource_groups",
    ),
    **_all(NO_IMPORTS, "do_bulk_insert get_bulk_insert_state list_bulk_insert_tasks"),
}

PACKAGE_NAMES: Names = {
    **_all(NO_USERS, "Role create_user delete_user list_usernames reset_password update_password"),
    **_all(
        ONE_MACHINE,
        "ResourceGroupInfo create_resource_group describe_resource_group drop_resource_group "
        "list_resource_groups transfer_node transfer_replica update_resource_groups",
    ),
    **_all(
        NO_FUNCTIONS,
        "Function FunctionChain FunctionChainStage FunctionScore FunctionType LexicalHighlighter "
        "SemanticHighlighter",
    ),
    **_all(NO_STRUCTS, "StructFieldSchema"),
    **_all(NO_IMPORTS, "BulkInsertState"),
    **_all(NO_PLANS, "CompactionTaskState CompactionType"),
    **_all(NO_AGGREGATIONS, "AggregationBucket AggregationHit SearchAggregation TopHits"),
    **_all(
        NO_SETS,
        "BloomFilterBuilder RoaringBitmapBuilder build_bloom_filter build_roaring_bitmap",
    ),
    **_all(NO_OPERATIONS, "FieldOp FieldOpType"),
}
"""Classes and functions of the package itself: importing one is allowed, using it is not."""


def missing(owner: object, names: Names, name: str) -> Callable[..., NoReturn]:
    """The method `name` of pymilvus, which raises NotSupportedException when called.

    owner: an object, or the name of a module.
    Raises AttributeError for a name that pymilvus has not either.
    """
    kind = owner if isinstance(owner, str) else type(owner).__name__
    if name not in names:
        raise AttributeError(f"{kind!r} has no attribute {name!r}")

    def refuse(*arguments: Any, **kwargs: Any) -> NoReturn:
        raise NotSupportedException(
            message=f"walvec has no {kind}.{name}(), as pymilvus has: {names[name]}"
        )

    return refuse


class MissingName:
    """A class or a function of pymilvus that walvec has not: any use of it raises."""

    def __init__(self, name: str) -> None:
        self._text = f"walvec has no {name}, as pymilvus has: {PACKAGE_NAMES[name]}"

    def __repr__(self) -> str:
        return f"<{self._text}>"

    def __call__(self, *arguments: Any, **kwargs: Any) -> NoReturn:
        raise NotSupportedException(message=self._text)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # what Python itself looks for
            raise AttributeError(name)
        raise NotSupportedException(message=self._text)


def missing_name(name: str) -> MissingName:
    """A name of the package. Raises AttributeError for one that pymilvus has not either."""
    if name not in PACKAGE_NAMES:
        raise AttributeError(f"module 'walvec' has no attribute {name!r}")
    return MissingName(name)


class PyMilvusDeprecationWarning(FutureWarning):
    """What pymilvus says of its ORM. walvec never does; filters of warnings may name it."""
