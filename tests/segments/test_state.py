"""A state as bytes: one encoding, read back equal and in the order of a replay, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import pytest
from conftest import OpenStore
from hypothesis import given
from hypothesis import strategies as st
from lab import Table, annoy_wish, flat_spec, replayed, schema, settle

from walvec.segments.apply import apply
from walvec.segments.check import check
from walvec.segments.extents import Extents
from walvec.segments.index import IndexSpec
from walvec.segments.saved_state import decode_state
from walvec.segments.state import (
    Collection,
    FileRecord,
    Segment,
    State,
    digest,
    encode_state,
    freeze,
)
from walvec.wal.entry import digest_of
from walvec.wal.errors import MilvusException
from walvec.wal.events import (
    CollectionAltered,
    CollectionCreated,
    CollectionDropped,
    CollectionLoaded,
    CollectionReleased,
    CollectionRenamed,
    Event,
    IndexCreated,
    IndexDropped,
    RowsDeleted,
    RowsInserted,
    SegmentPersisted,
    SegmentsMerged,
    SegmentsSealed,
    StoreCreated,
)
from walvec.wal.schema import DataType, Field, Schema

GOLDEN = Path(__file__).parents[1] / "golden" / "state-1.bin"
LAYOUT = ((100, "v", "<i8", 8, 80),)


def shown(state: State) -> str:
    """Everything in a state, with the order of its dictionaries."""
    names = dict(sorted(state.names.items()))
    return repr(State(**{**{f: getattr(state, f) for f in State.__slots__}, "names": names}))


def assert_comes_back(state: State) -> None:
    """From its bytes the state is equal, with equal bytes, and its parts are in the same order."""
    data = encode_state(state)
    again = decode_state(data)
    assert again == state
    assert encode_state(again) == data
    assert digest(again) == digest(state) == digest_of(data)
    for number, collection in state.collections.items():
        assert list(again.collections[number].segments) == list(collection.segments)
        assert list(again.collections[number].indexes) == list(collection.indexes)


# States that events have made


def one_of(state: State, random: Any) -> Event:
    """Some event, whether or not it may follow."""
    number = random.choice([*state.collections, 1])
    collection = state.collections.get(number)
    following = state.next_id
    name = random.choice("abc")
    if collection is None or random.random() < 0.1:
        created = (schema().to_data(), {"_default": following + 1}, {"z": "1", "a": name})
        return CollectionCreated(following, name, *created, "Strong", 1)
    segments = list(collection.segments)
    segment = random.choice([*segments, following])
    partition = following if not collection.partitions else min(collection.partitions.values())
    growing = collection.growing.get(partition, following)
    first = random.choice([None, collection.next_auto_id])
    files = ((random.choice(["columns.wvc", "index-3.bin"]), 5, random.randbytes(16)),)
    options: list[Event] = [
        RowsInserted(number, partition, growing, random.randrange(1, 9), first, LAYOUT),
        RowsInserted(number, partition, growing, 3, first, LAYOUT),
        RowsDeleted(number, random.randrange(1, 9), LAYOUT),
        SegmentsSealed(number, tuple(collection.growing.values()), "flush"),
        SegmentPersisted(number, segment, files, {}),
        SegmentsMerged(number, tuple(segments[: random.randrange(1, 4)]), following),
        IndexCreated(number, flat_spec(following, random.choice(["y", "x"])).to_data()),
        IndexDropped(number, random.choice([*collection.indexes, "none"])),
        CollectionAltered(number, {name: "1", "m": "2"}, (random.choice("abz"),)),
        CollectionRenamed(number, random.choice("def")),
        random.choice([CollectionLoaded(number), CollectionReleased(number)]),
    ]
    if random.random() < 0.03:
        return CollectionDropped(number)
    return random.choice(options)


@given(st.randoms(use_true_random=False), st.integers(0, 60))
def test_states_made_by_events_come_back_as_a_replay_makes_them(random: Any, n: int) -> None:
    state = State()
    apply(state, 1, 1, StoreCreated(0, random.randbytes(16), "x"))
    for _ in range(n):
        event = one_of(state, random)
        try:
            check(state, event)
        except MilvusException:
            continue
        apply(state, state.seq + 1, state.timestamp + random.randrange(3), event)
        frozen = freeze(state)
        assert frozen == state
        assert_comes_back(frozen)


def test_a_state_of_a_real_store_comes_back(open_store_at: OpenStore) -> None:
    store = open_store_at()
    table = Table(store, wish=annoy_wish())
    other = Table(store, "other")
    for batch in range(20):
        table.insert(range(batch * 3, batch * 3 + 5), upsert=batch % 2 == 0)
        if batch % 2:
            table.flush()
    table.delete([1, 2])
    other.insert([1])
    settle(store)
    state = store.with_state(freeze)
    assert any(len(s.extents) > 8 for s in state.collections[table.id].segments.values())
    assert_comes_back(state)
    assert shown(decode_state(encode_state(state))) == shown(replayed(store.log))


# States that hypothesis makes

TEXTS = st.text(max_size=8)
IDS = st.integers(0, 2**63 - 1)
EXTENTS = st.lists(st.tuples(IDS, IDS), max_size=5).map(Extents)
FILES = st.dictionaries(TEXTS, st.builds(FileRecord, IDS, st.binary(min_size=16, max_size=16)))
FIELDS = st.builds(
    Field,
    *(IDS, TEXTS, st.sampled_from(DataType), IDS, IDS),
    *(st.booleans(), st.booleans(), st.booleans(), TEXTS),
)
SPECS = st.builds(
    IndexSpec,
    *(IDS, IDS, TEXTS, TEXTS, TEXTS, TEXTS),
    *(st.dictionaries(TEXTS, IDS | TEXTS | st.floats(allow_nan=False), max_size=3), IDS),
)


def by_id(things: list[Any]) -> dict[Any, Any]:
    return {thing.id: thing for thing in things}


SEGMENTS = st.builds(Segment, IDS, IDS, IDS, IDS, EXTENTS.filter(lambda e: len(e) > 0), FILES)
COLLECTIONS = st.builds(
    Collection,
    *(IDS, TEXTS, st.builds(Schema, st.lists(FIELDS, max_size=3).map(tuple), TEXTS)),
    *(st.dictionaries(TEXTS, IDS), st.dictionaries(TEXTS, TEXTS), TEXTS, IDS, IDS),
    *(st.booleans(), IDS, IDS, st.lists(SEGMENTS, max_size=3).map(by_id)),
    st.dictionaries(IDS, IDS),
    st.lists(SPECS, max_size=2).map(lambda specs: {s.name: s for s in specs}),
    EXTENTS,
)
STATES = st.builds(
    State,
    *(st.binary(max_size=16), IDS, IDS, IDS),
    st.lists(COLLECTIONS, max_size=2).map(by_id),
    st.dictionaries(TEXTS, IDS),
)


@given(STATES)
def test_any_state_comes_back_equal(state: State) -> None:
    data = encode_state(state)
    again = decode_state(data)
    assert again == freeze(state) == state
    assert encode_state(again) == encode_state(freeze(state)) == data


# Freezing


def test_what_is_frozen_does_not_change_with_the_state(open_store_at: OpenStore) -> None:
    store = open_store_at()
    table = Table(store)
    table.insert(range(5))
    table.delete([1])
    table.flush()
    settle(store)
    frozen = store.with_state(freeze)
    data = encode_state(frozen)
    table.insert(range(5))
    table.delete([1])
    table.release()
    table.flush()
    settle(store)
    assert encode_state(frozen) == data != store.with_state(encode_state)


# The bytes


def golden_state() -> State:
    """A state with one of everything."""
    segment = Segment(6, 2, 5, 9, Extents([(5, 3), (258, 2)]), {"b": FileRecord(7, bytes(16))})
    growing = Segment(8, 2, 1, 0, Extents([(300, 1)]))
    collection = Collection(
        *(1, "ä", schema(), {"_default": 2}, {"a": "1"}, "Strong", 1, 1002),
        *(True, 7, 301, {6: segment, 8: growing}, {2: 8}, {"flat": flat_spec(3)}),
        Extents([(301, 2)]),
    )
    return State(bytes(range(16)), 301, 2**60, 9, {1: collection}, {"ä": 1})


def test_the_golden_bytes_are_read_and_written_again_byte_for_byte() -> None:
    golden = GOLDEN.read_bytes()
    assert encode_state(golden_state()) == golden
    assert decode_state(golden) == golden_state()


def test_extents_are_in_it_as_they_are() -> None:
    assert Extents([(5, 3), (258, 2)]).to_bytes() in encode_state(golden_state())


def test_bytes_that_are_cut_or_have_more_are_refused() -> None:
    whole = encode_state(golden_state())
    for data in (b"", whole + b"\0", *(whole[:n] for n in range(0, len(whole), 7))):
        with pytest.raises(ValueError, match="not a state"):
            decode_state(data)


def test_no_changed_byte_does_more_than_refuse_or_give_another_state() -> None:
    whole = encode_state(golden_state())
    for place in range(len(whole)):
        for bit in (0x01, 0x80):
            changed = bytearray(whole)
            changed[place] ^= bit
            try:
                assert decode_state(bytes(changed)) != golden_state(), place
            except ValueError:
                continue


def changed(change: str) -> bytes:
    """The golden state's bytes after a change of their plain data."""
    plain = msgpack.unpackb(encode_state(golden_state()))
    collection = plain["collections"][0]
    exec(change, {"s": plain, "c": collection, "g": collection["segments"][0]})
    data: bytes = msgpack.packb(plain)
    return data


@pytest.mark.parametrize(
    "change",
    [
        "s['more'] = 1",
        "del s['names']",
        "s['seq'] = '1'",
        "s['seq'] = True",
        "s['names'] = {'a': 'b'}",
        "s['store_id'] = 'text'",
        "s['collections'] = {}",
        "s['collections'][0] = 7",
        "c['loaded'] = 1",
        "c['properties'] = {'a': 1}",
        "c['partitions'] = []",
        "c['growing'] = [[1]]",
        "c['growing'] = [['a', 'b']]",
        "c['deletes'] = b'1'",
        "c['deletes'] = [[1, 2]]",
        "c['schema']['fields'][0]['type'] = 999",
        "c['schema']['fields'][0]['dim'] = None",
        "c['indexes'][0]['params'] = None",
        "g['extents'] = b''",
        "g['extents'] = b'1234567'",
        "g['files'] = {'a': [1]}",
        "g['files'] = {'a': [1, b'short']}",
        "g['files'] = {'a': ['1', bytes(16)]}",
    ],
)
def test_what_is_not_a_state_is_refused(change: str) -> None:
    with pytest.raises(ValueError, match="not a state"):
        decode_state(changed(change))


@pytest.mark.parametrize(
    "data",
    [
        msgpack.packb(msgpack.ExtType(5, b"x")),
        msgpack.packb(msgpack.Timestamp(1, 2)),
        b"\x91" * 5000,
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        msgpack.packb([1]),
    ],
)
def test_odd_msgpack_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a state"):
        decode_state(data)


def test_an_unchanged_copy_of_the_plain_data_is_a_state() -> None:
    assert decode_state(changed("pass")) == golden_state()
