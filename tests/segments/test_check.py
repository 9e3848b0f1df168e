"""check: what may not happen is refused by name, and a refusal changes nothing."""

from __future__ import annotations

import pytest
from lab import ID, VECTOR, flat_spec, schema

from walvec.segments.apply import apply
from walvec.segments.check import check
from walvec.segments.state import State, digest
from walvec.wal.errors import (
    CallError,
    CollectionAlreadyExistException,
    CollectionNotExistException,
    IndexAlreadyExistException,
    IndexNotExistException,
    ParamError,
    PartitionNotExistException,
)
from walvec.wal.events import (
    CollectionCreated,
    CollectionDropped,
    CollectionLoaded,
    CollectionRenamed,
    Event,
    IndexCreated,
    IndexDropped,
    RowsDeleted,
    RowsInserted,
    RowsUpserted,
    SegmentPersisted,
    SegmentsMerged,
    SegmentsSealed,
    StoreCreated,
)

LAYOUT = ((ID, "v", "<i8", 0, 8),)
SEALED = (4, 5, 6)
GROWING, NEXT = 7, 8


def collection(number: int, name: str) -> CollectionCreated:
    return CollectionCreated(number, name, schema().to_data(), {"_default": number + 1}, {}, "x", 1)


@pytest.fixture
def state() -> State:
    """Collection 1 `c` with index 3, sealed segments 4, 5, 6 and the growing 7."""
    result = State()
    events: list[Event] = [
        StoreCreated(0, bytes(16), ""),
        collection(1, "c"),
        IndexCreated(1, flat_spec(3).to_data()),
    ]
    for segment in SEALED:
        events.append(RowsInserted(1, 2, segment, 1, 10 * segment, LAYOUT))
        events.append(SegmentsSealed(1, (segment,), "flush"))
    events.append(RowsInserted(1, 2, GROWING, 1, None, LAYOUT))
    for seq, event in enumerate(events, 1):
        check(result, event)
        apply(result, seq, seq, event)
    assert result.next_id == NEXT
    return result


REFUSED: list[tuple[Event, type[CallError], str]] = [
    (StoreCreated(0, bytes(16), ""), ParamError, "created already"),
    (collection(NEXT, "c"), CollectionAlreadyExistException, "c exists already"),
    (collection(1, "d"), ParamError, "id 1 was used before, the next is 8"),
    (CollectionRenamed(1, "c"), CollectionAlreadyExistException, "c exists already"),
    (CollectionRenamed(9, "d"), CollectionNotExistException, "9"),
    (CollectionDropped(9), CollectionNotExistException, "9"),
    (CollectionLoaded(9), CollectionNotExistException, "9"),
    (RowsDeleted(9, 1, LAYOUT), CollectionNotExistException, "9"),
    (RowsInserted(9, 2, GROWING, 1, None, LAYOUT), CollectionNotExistException, "9"),
    (RowsInserted(1, 5, GROWING, 1, None, LAYOUT), PartitionNotExistException, "5"),
    (RowsInserted(1, 2, 4, 1, None, LAYOUT), ParamError, "segment 4 of c does not grow"),
    (RowsUpserted(1, 2, NEXT, 1, None, LAYOUT), ParamError, "segment 8 of c does not grow"),
    (RowsInserted(1, 2, GROWING, 1, 60, LAYOUT), ParamError, "auto id 60 of c was used"),
    (SegmentsSealed(1, (4,), "flush"), ParamError, "segment 4 of c does not grow"),
    (SegmentsSealed(1, (GROWING, 9), "flush"), ParamError, "segment 9 of c does not grow"),
    (SegmentPersisted(1, GROWING, (), {}), ParamError, "no sealed segment 7"),
    (SegmentPersisted(1, 99, (), {}), ParamError, "no sealed segment 99"),
    (SegmentsMerged(1, (4, GROWING), NEXT), ParamError, "no sealed segment 7"),
    (SegmentsMerged(1, (4, 5), 6), ParamError, "id 6 was used before"),
    (SegmentsMerged(1, (5, 4), NEXT), ParamError, "in the order of their rows"),
    (SegmentsMerged(1, (4, 4), NEXT), ParamError, "in the order of their rows"),
    (SegmentsMerged(1, (4, 6), NEXT), ParamError, "are not neighbours"),
    (SegmentsMerged(1, (), NEXT), ParamError, "no segments"),
    (IndexCreated(1, flat_spec(NEXT).to_data()), IndexAlreadyExistException, "named flat already"),
    (
        IndexCreated(1, flat_spec(NEXT, "other").to_data()),
        IndexAlreadyExistException,
        "field v of c has the index flat",
    ),
    (IndexCreated(1, flat_spec(3, "other").to_data()), ParamError, "id 3 was used before"),
    (IndexDropped(1, "absent"), IndexNotExistException, "absent"),
]


@pytest.mark.parametrize(
    ("event", "error", "words"), REFUSED, ids=[f"{type(e).__name__}-{w}" for e, _, w in REFUSED]
)
def test_refused(state: State, event: Event, error: type[CallError], words: str) -> None:
    before = digest(state)
    with pytest.raises(error, match=words):
        check(state, event)
    assert digest(state) == before


@pytest.mark.parametrize(
    "event",
    [
        collection(NEXT, "d"),
        CollectionRenamed(1, "d"),
        CollectionDropped(1),
        RowsInserted(1, 2, GROWING, 5, 61, LAYOUT),
        RowsUpserted(1, 2, GROWING, 5, None, LAYOUT),
        RowsDeleted(1, 1, LAYOUT),
        SegmentsSealed(1, (GROWING,), "flush"),
        SegmentPersisted(1, 4, (), {}),
        SegmentsMerged(1, (4, 5), NEXT),
        SegmentsMerged(1, (4, 5, 6), NEXT),
        IndexDropped(1, "flat"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_allowed_without_a_change(state: State, event: Event) -> None:
    before = digest(state)
    check(state, event)
    assert digest(state) == before
    apply(state, state.seq + 1, state.timestamp, event)
    assert digest(state) != before


def test_the_ids_of_the_fixture_are_those_of_its_schema(state: State) -> None:
    assert state.collections[1].index_of(VECTOR) == flat_spec(3)
