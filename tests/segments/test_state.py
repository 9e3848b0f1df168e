"""A state as bytes: one encoding, read back equal and in the order of a replay, or refused."""

from __future__ import annotations

from dataclasses import replace
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
    Database,
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
    AliasDropped,
    AliasSet,
    CollectionAltered,
    CollectionCreated,
    CollectionDropped,
    CollectionLoaded,
    CollectionReleased,
    CollectionRenamed,
    CollectionTruncated,
    DatabaseAltered,
    DatabaseCreated,
    DatabaseDropped,
    Event,
    FieldAdded,
    FieldAltered,
    IndexAltered,
    IndexCreated,
    IndexDropped,
    PartitionCreated,
    PartitionDropped,
    PartitionsLoaded,
    PartitionsReleased,
    RowsDeleted,
    RowsExpired,
    RowsInserted,
    SegmentPersisted,
    SegmentsMerged,
    SegmentsSealed,
    StoreCreated,
)
from walvec.wal.schema import DataType, Field, Schema

GOLDEN = Path(__file__).parents[1] / "golden"
LAYOUT = ((100, "v", "<i8", 8, 80),)


def shown(state: State) -> str:
    """Everything in a state, with the order of its dictionaries."""
    databases = {
        number: replace(
            one, names=dict(sorted(one.names.items())), aliases=dict(sorted(one.aliases.items()))
        )
        for number, one in state.databases.items()
    }
    return repr(replace(state, databases=databases))


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
        assert list(again.collections[number].partitions) == list(collection.partitions)
        assert list(again.collections[number].growing) == list(collection.growing)
    assert list(again.databases) == list(state.databases)


# States that events have made


def one_of(state: State, random: Any) -> Event:
    """Some event, whether or not it may follow."""
    number = random.choice([*state.collections, 1])
    collection = state.collections.get(number)
    following = state.next_id
    name = random.choice("abc")
    database = random.choice(list(state.databases))
    if collection is None or random.random() < 0.1:
        created = (schema().to_data(), {"_default": following + 1}, {"z": "1", "a": name})
        return CollectionCreated(following, name, *created, "Strong", 1, database)
    segments = list(collection.segments)
    segment = random.choice([*segments, following])
    partition = random.choice(list(collection.partitions.values()))
    growing = collection.growing.get(partition, following)
    first = random.choice([None, collection.next_auto_id])
    files = ((random.choice(["columns.wvc", "index-3.bin"]), 5, random.randbytes(16)),)
    index = random.choice([*collection.indexes.values(), flat_spec(3)])
    options: list[Event] = [
        RowsInserted(number, partition, growing, random.randrange(1, 9), first, LAYOUT),
        RowsInserted(number, partition, growing, 3, first, LAYOUT),
        RowsDeleted(number, random.randrange(1, 9), LAYOUT),
        SegmentsSealed(number, tuple(collection.growing.values()), "flush"),
        SegmentPersisted(number, segment, files, {}),
        SegmentsMerged(number, tuple(segments[: random.randrange(1, 4)]), following),
        IndexCreated(number, flat_spec(following, random.choice(["y", "x"])).to_data()),
        IndexDropped(number, random.choice([*collection.indexes, "none"])),
        IndexAltered(number, {**index.to_data(), "properties": {"a": name, "b": name}}),
        CollectionAltered(number, {name: "1", "m": "2"}, (random.choice("abz"),)),
        CollectionRenamed(number, random.choice("def"), random.choice([None, database])),
        random.choice([CollectionLoaded(number), CollectionReleased(number)]),
        *partition_events(number, partition, following, random),
        FieldAdded(number, added_field(max(collection.schema.by_id) + 1, random)),
        FieldAltered(number, {**collection.schema.fields[2].to_data(), "max_length": 7}),
        random.choice([AliasSet(number, random.choice("xyza")), AliasDropped(number, "x")]),
        RowsExpired(number, random.randrange(state.seq + 1)),
    ]
    rare: list[Event] = [
        CollectionDropped(number),
        CollectionTruncated(number),
        DatabaseCreated(0, following, random.choice("xyz"), {"z": "1", "a": name}),
        DatabaseAltered(0, database, {name: "1"}, (random.choice("abz"),)),
        DatabaseDropped(0, database),
    ]
    return random.choice(rare if random.random() < 0.15 else options)


def partition_events(number: int, partition: int, following: int, random: Any) -> list[Event]:
    """One that makes a partition, and one that changes one."""
    some = (
        PartitionDropped(number, partition),
        PartitionsLoaded(number, (partition,)),
        PartitionsReleased(number, (partition,)),
    )
    return [PartitionCreated(number, following, random.choice("pqr")), random.choice(some)]


def added_field(number: int, random: Any) -> dict[str, Any]:
    """A field with everything that a field can have."""
    field = Field(
        number,
        random.choice("nop"),
        DataType.ARRAY,
        nullable=True,
        element_type=DataType.INT8,
        max_capacity=5,
        properties=(("a", "1"), ("b", "2")),
    )
    return field.to_data()


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
PROPERTIES = st.dictionaries(TEXTS, TEXTS, max_size=3)
FIELDS = st.builds(
    Field,
    *(IDS, TEXTS, st.sampled_from(DataType), IDS, IDS),
    *(st.booleans(), st.booleans(), st.booleans(), TEXTS, st.booleans()),
    st.none() | st.booleans() | IDS | st.floats(allow_nan=False) | TEXTS,
    *(st.sampled_from(DataType), IDS, st.booleans()),
    PROPERTIES.map(lambda p: tuple(sorted(p.items()))),
)
SPECS = st.builds(
    IndexSpec,
    *(IDS, IDS, TEXTS, TEXTS, TEXTS, TEXTS),
    *(st.dictionaries(TEXTS, IDS | TEXTS | st.floats(allow_nan=False), max_size=3), IDS),
    PROPERTIES,
)


def by_id(things: list[Any]) -> dict[Any, Any]:
    return {thing.id: thing for thing in things}


SEGMENTS = st.builds(Segment, IDS, IDS, IDS, IDS, EXTENTS.filter(lambda e: len(e) > 0), FILES)
DATABASES = st.builds(
    Database,
    *(IDS, TEXTS, IDS, PROPERTIES),
    *(st.dictionaries(TEXTS, IDS, max_size=3), st.dictionaries(TEXTS, IDS, max_size=3)),
)
COLLECTIONS = st.builds(
    Collection,
    *(IDS, TEXTS, st.builds(Schema, st.lists(FIELDS, max_size=3).map(tuple), TEXTS)),
    *(st.dictionaries(TEXTS, IDS), PROPERTIES, TEXTS, IDS, IDS, IDS),
    *(st.booleans(), st.booleans(), st.sets(IDS, max_size=3), IDS),
    *(IDS, IDS, st.lists(SEGMENTS, max_size=3).map(by_id)),
    st.dictionaries(IDS, IDS),
    st.lists(SPECS, max_size=2).map(lambda specs: {s.name: s for s in specs}),
    EXTENTS,
)
STATES = st.builds(
    State,
    *(st.binary(max_size=16), IDS, IDS, IDS),
    *(st.lists(COLLECTIONS, max_size=2).map(by_id), st.lists(DATABASES, max_size=2).map(by_id)),
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
    added = Field(
        *(103, "å", DataType.ARRAY, 0, 9),
        nullable=True,
        element_type=DataType.VARCHAR,
        max_capacity=5,
        properties=(("mmap.enabled", "true"),),
    )
    key = Field(104, "k", DataType.INT64, default=-1, is_partition_key=True)
    index = replace(flat_spec(3), properties={"mmap.enabled": "false"})
    collection = Collection(
        *(1, "ä", schema().with_field(added).with_field(key), {"_default": 2, "p": 4}),
        *({"a": "1"}, "Strong", 1, 1002, 5),
        *(True, False, {2}, 4, 7, 301, {6: segment, 8: growing}, {2: 8}, {"flat": index}),
        Extents([(301, 2)]),
    )
    databases = {
        0: Database(0, "default", 1000),
        5: Database(5, "ö", 1001, {"timezone": "UTC"}, {"ä": 1}, {"auch": 1}),
    }
    return State(bytes(range(16)), 301, 2**60, 9, {1: collection}, databases)


def test_the_golden_bytes_are_read_and_written_again_byte_for_byte() -> None:
    golden = (GOLDEN / "state-2.bin").read_bytes()
    assert encode_state(golden_state()) == golden
    assert decode_state(golden) == golden_state()


def test_the_golden_bytes_of_an_older_format_are_refused() -> None:
    with pytest.raises(ValueError, match="not a state"):
        decode_state((GOLDEN / "state-1.bin").read_bytes())


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
    database = plain["databases"][1]
    exec(change, {"s": plain, "c": collection, "g": collection["segments"][0], "d": database})
    data: bytes = msgpack.packb(plain)
    return data


@pytest.mark.parametrize(
    "change",
    [
        "s['more'] = 1",
        "del s['databases']",
        "s['seq'] = '1'",
        "s['seq'] = True",
        "s['databases'] = {}",
        "d['names'] = {'a': 'b'}",
        "d['aliases'] = []",
        "d['properties'] = {'a': 1}",
        "d['more'] = 1",
        "del d['id']",
        "c['loads_new'] = 0",
        "c['loaded_partitions'] = ['a']",
        "c['loaded_partitions'] = {}",
        "del c['expired']",
        "c['schema']['fields'][0]['properties'] = []",
        "c['schema']['fields'][0]['element_type'] = 998",
        "c['indexes'][0]['properties'] = []",
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
        "c['schema']['fields'][0]['type'] = 998",
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
