"""What calls tell of a collection: its indexes, its segments and its replica."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class SegmentState(IntEnum):
    """Milvus' states. A segment is flushed when its files are there."""

    SegmentStateNone = 0
    NotExist = 1
    Growing = 2
    Sealed = 3
    Flushed = 4
    Flushing = 5
    Dropped = 6
    Importing = 7


@dataclass
class SegmentInfo:
    """A segment of a collection; `num_rows` counts deleted ones too."""

    segment_id: int
    collection_id: int
    collection_name: str
    num_rows: int
    is_sorted: bool
    state: SegmentState
    level: int
    storage_version: int
    partition_id: int = 0

    @property
    def state_name(self) -> str:
        """The state in words."""
        return self.state.name

    @property
    def level_name(self) -> str:
        """There are no levels of compaction here."""
        return "Legacy"


@dataclass
class LoadedSegmentInfo(SegmentInfo):
    """A segment in memory, with the vector index that serves it, if one does."""

    index_name: str = ""
    index_id: int = 0
    node_ids: tuple[int, ...] = (1,)
    mem_size: int = 0


@dataclass(frozen=True)
class QuerySegmentInfo:
    """A segment in memory, with the names of `utility.get_query_segment_info`."""

    segmentID: int
    collectionID: int
    partitionID: int
    mem_size: int
    num_rows: int
    index_name: str
    indexID: int
    state: SegmentState
    nodeID: int = 1
    nodeIds: tuple[int, ...] = (1,)

    @classmethod
    def of(cls, segment: LoadedSegmentInfo) -> QuerySegmentInfo:
        """The same of a segment as `list_loaded_segments` has it."""
        return cls(
            segment.segment_id,
            segment.collection_id,
            segment.partition_id,
            segment.mem_size,
            segment.num_rows,
            segment.index_name,
            segment.index_id,
            segment.state,
        )


@dataclass(frozen=True)
class Shard:
    """The one shard of a collection, which this process leads."""

    channel_name: str
    shard_nodes: tuple[int, ...]
    shard_leader: int


@dataclass(frozen=True)
class ReplicaInfo:
    """The one replica of a loaded collection, as `describe_replica` gives it."""

    id: int
    shards: tuple[Shard, ...]
    group_nodes: tuple[int, ...]
    resource_group: str
    num_outbound_node: dict[str, int]

    @classmethod
    def of(cls, collection_id: int, name: str) -> ReplicaInfo:
        """That of a collection."""
        shard = Shard(f"{name}_shard0", (1,), 1)
        return cls(collection_id, (shard,), (1,), "__default_resource_group", {})


Group = ReplicaInfo
"""The ORM's name of it."""


@dataclass(frozen=True)
class Replica:
    """Replica groups of a loaded collection, none of another."""

    groups: list[Group]


class State(IntEnum):
    """Milvus' states of a compaction; one is completed when `compact` returns."""

    UndefiedState = 0
    Executing = 1
    Completed = 2


@dataclass(frozen=True)
class CompactionState:
    """What became of a compaction. The merges of one are done as one: `completed` is 1."""

    compaction_id: int
    state: State = State.Completed
    in_executing: int = 0
    in_timeout: int = 0
    completed: int = 1

    @property
    def state_name(self) -> str:
        """The state in words."""
        return self.state.name


@dataclass(frozen=True)
class Status:
    """What a call of the ORM says that has nothing to give back; one that fails raises."""

    code: int = 0
    message: str = ""

    def OK(self) -> bool:
        """Always, see above."""
        return self.code == 0
