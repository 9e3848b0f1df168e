"""What pymilvus has and walvec has not: calling it raises an error that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from walvec.wal.errors import NotSupportedException

CLIENT_METHODS = frozenset(
    [
        "add_collection_field",
        "add_collection_function",
        "add_collection_struct_field",
        "add_file_resource",
        "add_function_field",
        "add_privileges_to_group",
        "alter_alias",
        "alter_collection_field",
        "alter_collection_function",
        "alter_database_properties",
        "alter_index_properties",
        "alter_role",
        "compact",
        "create_alias",
        "create_database",
        "create_partition",
        "create_privilege_group",
        "create_resource_group",
        "create_role",
        "create_snapshot",
        "create_struct_field_schema",
        "create_user",
        "describe_alias",
        "describe_database",
        "describe_replica",
        "describe_resource_group",
        "describe_role",
        "describe_snapshot",
        "describe_user",
        "drop_alias",
        "drop_collection_field",
        "drop_collection_function",
        "drop_database",
        "drop_database_properties",
        "drop_function_field",
        "drop_index_properties",
        "drop_partition",
        "drop_privilege_group",
        "drop_resource_group",
        "drop_role",
        "drop_snapshot",
        "drop_user",
        "dump_messages",
        "flush_all",
        "get_compaction_plans",
        "get_compaction_state",
        "get_flush_all_state",
        "get_partition_stats",
        "get_refresh_external_collection_progress",
        "get_replicate_configuration",
        "get_replicate_info",
        "get_restore_snapshot_state",
        "get_server_type",
        "grant_privilege",
        "grant_privilege_v2",
        "grant_role",
        "has_partition",
        "hybrid_search",
        "list_aliases",
        "list_compaction_tasks",
        "list_databases",
        "list_file_resources",
        "list_loaded_segments",
        "list_partitions",
        "list_persistent_segments",
        "list_privilege_groups",
        "list_refresh_external_collection_jobs",
        "list_resource_groups",
        "list_restore_snapshot_jobs",
        "list_roles",
        "list_segments",
        "list_snapshots",
        "list_users",
        "load_partitions",
        "optimize",
        "pin_snapshot_data",
        "query_iterator",
        "refresh_external_collection",
        "release_partitions",
        "remove_file_resource",
        "remove_privileges_from_group",
        "restore_snapshot",
        "revoke_privilege",
        "revoke_privilege_v2",
        "revoke_role",
        "run_analyzer",
        "search_iterator",
        "session",
        "transfer_replica",
        "truncate_collection",
        "unpin_snapshot_data",
        "update_password",
        "update_replicate_configuration",
        "update_resource_groups",
        "update_user",
        "use_database",
        "using_database",
    ]
)

COLLECTION_METHODS = frozenset(
    [
        "aliases",
        "alter_index",
        "compact",
        "construct_from_dataframe",
        "create_partition",
        "drop_partition",
        "get_compaction_plans",
        "get_compaction_state",
        "has_partition",
        "hybrid_search",
        "partition",
        "partitions",
        "query_iterator",
        "search_iterator",
        "truncate",
        "wait_for_compaction_completed",
    ]
)

UTILITY_FUNCTIONS = frozenset(
    [
        "alter_alias",
        "create_alias",
        "create_resource_group",
        "create_user",
        "delete_user",
        "describe_resource_group",
        "do_bulk_insert",
        "drop_alias",
        "drop_resource_group",
        "flush_all",
        "get_bulk_insert_state",
        "get_query_segment_info",
        "get_server_type",
        "has_partition",
        "hybridts_to_datetime",
        "hybridts_to_unixtime",
        "list_aliases",
        "list_bulk_insert_tasks",
        "list_indexes",
        "list_resource_groups",
        "list_roles",
        "list_user",
        "list_usernames",
        "list_users",
        "load_balance",
        "mkts_from_datetime",
        "mkts_from_hybridts",
        "mkts_from_unixtime",
        "reset_password",
        "transfer_node",
        "transfer_replica",
        "truncate_collection",
        "update_password",
        "update_resource_groups",
    ]
)


def missing(owner: object, names: frozenset[str], name: str) -> Callable[..., NoReturn]:
    """The method `name` of pymilvus, which raises NotSupportedException when called.

    Raises AttributeError for a name that pymilvus has not either.
    """
    kind = type(owner).__name__
    if name not in names:
        raise AttributeError(f"{kind!r} object has no attribute {name!r}")

    def refuse(*arguments: Any, **kwargs: Any) -> NoReturn:
        raise NotSupportedException(
            message=f"{kind}.{name}() of pymilvus is not supported by this version of walvec"
        )

    return refuse
