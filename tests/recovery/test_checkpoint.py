"""Where an open begins: the newest checkpoint that is sound, the one before, or entry one."""

from __future__ import annotations

import logging
import runpy
from pathlib import Path

import damage
import lmdb
import pytest
from conftest import OpenStore
from lab import Table, assert_state_is_replayed, open_at, replayed

from walvec import MilvusClient
from walvec.recovery.checkpoint import newest_state
from walvec.recovery.open import LOG
from walvec.recovery.report import ERROR, NOTE, WARNING
from walvec.recovery.verify import verify
from walvec.segments.fold import Fold
from walvec.segments.state import State, digest, encode_state
from walvec.wal.checkpoints import HEADER, checkpoint_seqs, encode_checkpoint, put_checkpoint
from walvec.wal.entry import HEADER as ENTRY_HEADER
from walvec.wal.environment import CHECKPOINTS
from walvec.wal.errors import LogCorruptedException, ReadOnlyException
from walvec.wal.log import KEY, Log, Position

WORKLOAD = Path(__file__).with_name("workload.py")
work = runpy.run_path(str(WORKLOAD))
OLDER, NEWER, LAST = 6, 8, 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of ten entries (created; collection, index, loaded; six inserts of 200 rows), with
    checkpoints at the entries 6 and 8."""
    store = open_at(tmp_path / "store")
    table = Table(store)
    for number in range(6):
        table.insert(range(number * 200, number * 200 + 200))
    store.close()
    damage.forget_checkpoints(tmp_path / "store")
    save(tmp_path / "store", OLDER)
    save(tmp_path / "store", NEWER)
    return tmp_path / "store"


def save(folder: Path, seq: int) -> None:
    """Write a checkpoint of a store that nobody has open."""
    log = Log(folder / LOG)
    fold = Fold()
    assert fold.replay(log, seq) is None
    with log.begin(write=True) as txn:
        value = encode_checkpoint(fold.position, encode_state(fold.state))
        assert put_checkpoint(log, txn, value)
    log.close()


def values(folder: Path) -> dict[int, bytes]:
    with lmdb.open(str(folder / LOG), max_dbs=4) as env:
        database = env.open_db(CHECKPOINTS)
        with env.begin() as txn, txn.cursor(database) as cursor:
            return {KEY.unpack(key)[0]: value for key, value in cursor}


def put(folder: Path, seq: int, value: bytes) -> None:
    """Store the bytes of a checkpoint, whatever they are."""
    with lmdb.open(str(folder / LOG), max_dbs=4) as env:
        database = env.open_db(CHECKPOINTS)
        with env.begin(write=True) as txn:
            txn.put(KEY.pack(seq), value, db=database)


def start_of(folder: Path, until: int | None = None) -> int:
    """The entry after which an open begins; 0 for a replay of everything."""
    log = Log(folder / LOG, read_only=True)
    try:
        found = newest_state(log, until)
        if found is None:
            return 0
        state, position = found
        fold = Fold()
        assert fold.replay(log, position.seq) is None
        assert (fold.state, fold.position) == (state, position)
        assert digest(fold.state) == digest(state)
        return position.seq
    finally:
        log.close()


def open_and_compare(folder: Path) -> None:
    """The store opens with everything in it, as a replay from zero gives it."""
    store = open_at(folder)
    try:
        assert store.damage is None
        assert store.current().seq == LAST
        assert_state_is_replayed(store)
        assert sorted(Table(store).texts()) == list(range(1200))
    finally:
        store.close()


# The choice


def test_the_newest_is_used_and_only_the_entries_after_it_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    take = Fold._take
    monkeypatch.setattr(Fold, "_take", lambda self, e: (read.append(e.header.seq), take(self, e)))
    store = open_at(folder)
    assert read == [9, 10]
    store.close()


@pytest.mark.parametrize(
    ("until", "wanted"), [(None, 8), (10, 8), (8, 8), (7, 6), (6, 6), (5, 0), (0, 0)]
)
def test_the_newest_that_is_not_after_an_entry_is_used(
    folder: Path, until: int | None, wanted: int
) -> None:
    assert start_of(folder, until) == wanted


def test_a_replay_up_to_an_entry_starts_from_the_checkpoint_before_it(folder: Path) -> None:
    log = Log(folder / LOG, read_only=True)
    for seq in range(1, LAST + 1):
        with_checkpoints, without = Fold(newest_state), Fold()
        assert with_checkpoints.restore(log, seq) is None
        assert without.restore(log, seq) is None
        # A command counts as a whole: of the entries 2 to 4 all or none.
        assert with_checkpoints.position == without.position
        assert with_checkpoints.state == without.state
    log.close()


def flipped(value: bytes, place: int) -> bytes:
    changed = bytearray(value)
    changed[place] ^= 1
    return bytes(changed)


def foreign(folder: Path, seq: int, *, chain: bytes = b"", time: int = 0) -> bytes:
    """A checkpoint at `seq` that is sound in itself and has another chain or time."""
    log = Log(folder / LOG, read_only=True)
    fold = Fold()
    fold.replay(log, seq)
    log.close()
    position = fold.position
    position = Position(seq, chain or position.chain, time or position.timestamp)
    return encode_checkpoint(position, encode_state(fold.state))


FAULTS = [
    ("header does not match", lambda f, v: flipped(v, 3)),
    ("header does not match", lambda f, v: flipped(v, HEADER.size - 1)),
    ("body does not match", lambda f, v: flipped(v, HEADER.size)),
    ("body does not match", lambda f, v: flipped(v, len(v) - 1)),
    ("bytes, not", lambda f, v: v[:-1]),
    ("a header has 80", lambda f, v: b""),
    ("chain or time is not that", lambda f, v: foreign(f, NEWER, chain=b"c" * 16)),
    ("chain or time is not that", lambda f, v: foreign(f, NEWER, time=1)),
    ("says seq 6", lambda f, v: values(f)[OLDER]),
]


@pytest.mark.parametrize(("what", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_one_that_is_not_sound_is_named_and_the_one_before_is_used(
    folder: Path, caplog: pytest.LogCaptureFixture, what: str, fault: object
) -> None:
    put(folder, NEWER, fault(folder, values(folder)[NEWER]))  # type: ignore[operator]
    with caplog.at_level(logging.WARNING, "walvec"):
        assert start_of(folder) == OLDER
    [message] = caplog.messages
    assert f"checkpoint at entry {NEWER}" in message
    assert what in message
    assert f"the one at entry {OLDER}" in message
    open_and_compare(folder)


def test_where_none_is_sound_the_log_is_replayed_whole_and_that_is_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for seq, value in values(folder).items():
        put(folder, seq, flipped(value, HEADER.size + 5))
    with caplog.at_level(logging.WARNING, "walvec"):
        assert start_of(folder) == 0
    newer, older, whole = caplog.messages
    assert f"entry {NEWER}" in newer
    assert f"entry {OLDER}" in older
    assert "replayed whole" in whole
    open_and_compare(folder)


def test_a_body_that_is_no_state_is_passed_over(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    position = foreign(folder, NEWER)
    body = b"\x93no state"
    fold = HEADER.unpack_from(position)
    put(folder, NEWER, encode_checkpoint(Position(NEWER, fold[6], fold[4]), body))
    with caplog.at_level(logging.WARNING, "walvec"):
        assert start_of(folder) == OLDER
    assert "not a state" in caplog.text
    open_and_compare(folder)


def test_the_state_of_another_entry_is_passed_over(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fields = HEADER.unpack_from(values(folder)[NEWER])
    older = values(folder)[OLDER][HEADER.size :]
    put(folder, NEWER, encode_checkpoint(Position(NEWER, fields[6], fields[4]), older))
    assert start_of(folder) == OLDER
    assert f"holds the state after entry {OLDER}" in caplog.text


def test_one_beyond_the_logs_end_is_passed_over(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    beyond = encode_checkpoint(Position(99, bytes(16), 1), encode_state(State(seq=99)))
    put(folder, 99, beyond)
    assert start_of(folder) == NEWER
    assert "checkpoint at entry 99" in caplog.text
    assert "the log ends before it, with entry 10" in caplog.text
    open_and_compare(folder)
    save(folder, LAST)
    assert set(values(folder)) == {LAST, NEWER}


def test_those_of_another_store_are_passed_over(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = open_at(tmp_path / "other")
    table = Table(other)
    for number in range(6):
        table.insert(range(number * 200, number * 200 + 200))
    other.close()
    for seq, value in values(tmp_path / "other").items():
        put(folder, seq, value)
    assert start_of(folder) == NEWER
    assert "chain" in caplog.text
    open_and_compare(folder)


def test_a_store_without_checkpoints_says_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage.forget_checkpoints(folder)
    assert start_of(folder) == 0
    assert caplog.messages == []


def test_payloads_are_not_read_at_an_open(folder: Path) -> None:
    for place in damage.places(folder):
        if place.payload_length:
            damage.flip(damage.data_file(folder), place.payload + place.payload_length // 2)
    store = open_at(folder, read_only=True)
    assert store.current().seq == LAST
    with pytest.raises(LogCorruptedException, match=r"log entry 5 .*payload"):
        Table(store).texts()
    store.close()


# Damage before and after a checkpoint


@pytest.mark.parametrize("where", [25, 45, 70, 85, ENTRY_HEADER.size + 6])
def test_a_damaged_entry_before_the_checkpoint_is_named_when_its_rows_are_read(
    folder: Path, where: int
) -> None:
    [place] = [p for p in damage.places(folder) if p.seq == 7]
    damage.flip(damage.data_file(folder), place.start + where)
    store = open_at(folder, read_only=True)
    assert store.damage is None
    assert store.current().seq == LAST
    with pytest.raises(LogCorruptedException, match=r"log entry 7 \(RowsInserted\)") as raised:
        Table(store).texts()
    assert raised.value.seq == 7
    store.close()
    errors = [f for f in verify(folder).findings if f.severity == ERROR]
    assert [f.subject.split(" (")[0] for f in errors] == ["log entry 7"]


def test_a_damaged_entry_after_the_checkpoint_opens_read_only_up_to_it(folder: Path) -> None:
    [place] = [p for p in damage.places(folder) if p.seq == 9]
    damage.flip(damage.data_file(folder), place.start + 45)
    store = open_at(folder)
    assert isinstance(store.damage, LogCorruptedException)
    assert store.damage.seq == 9
    assert store.with_fold(lambda fold: fold.position.seq) == NEWER
    with pytest.raises(ReadOnlyException, match="log entry 9"):
        Table(store).insert([1])
    store.close()
    assert set(values(folder)) == {OLDER, NEWER}


@pytest.mark.parametrize("where", [25, 85])
def test_a_damaged_entry_at_the_checkpoint_is_never_skipped(folder: Path, where: int) -> None:
    [place] = [p for p in damage.places(folder) if p.seq == NEWER]
    damage.flip(damage.data_file(folder), place.start + where)
    store = open_at(folder)
    assert isinstance(store.damage, LogCorruptedException)
    assert store.damage.seq == NEWER
    store.close()


# verify


def test_verify_compares_each_with_a_replay(folder: Path) -> None:
    report = verify(folder)
    assert report.findings == []
    assert any(f"checkpoints at entries {OLDER}, {NEWER} with" in s for s in report.compared)


@pytest.mark.parametrize(("what", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_verify_finds_one_that_is_not_sound(folder: Path, what: str, fault: object) -> None:
    put(folder, NEWER, fault(folder, values(folder)[NEWER]))  # type: ignore[operator]
    [finding] = verify(folder).findings
    assert (finding.severity, finding.subject) == (WARNING, f"checkpoint at entry {NEWER}")
    assert what in finding.what


def test_verify_finds_a_state_that_a_replay_does_not_give(folder: Path) -> None:
    log = Log(folder / LOG, read_only=True)
    fold = Fold()
    assert fold.replay(log, NEWER) is None
    log.close()
    wrong = fold.state
    wrong.collections[1].written = 3
    put(folder, NEWER, encode_checkpoint(fold.position, encode_state(wrong)))
    [finding] = verify(folder).findings
    assert (finding.severity, finding.subject) == (ERROR, f"checkpoint at entry {NEWER}")
    assert digest(wrong).hex() in finding.what


def test_verify_notes_one_that_lies_behind_damage(folder: Path) -> None:
    [place] = [p for p in damage.places(folder) if p.seq == 7]
    damage.flip(damage.data_file(folder), place.start + 45)
    notes = [f for f in verify(folder).findings if f.severity == NOTE]
    assert [f.subject for f in notes] == [f"checkpoint at entry {NEWER}"]


# States of a real workload


@pytest.mark.parametrize("seed", range(3))
def test_after_a_workload_every_checkpoint_is_the_replayed_state(
    tmp_path: Path, seed: int, open_store_at: OpenStore
) -> None:
    settings = {
        "segment_max_bytes": work["SEGMENT_MAX_BYTES"],
        "checkpoint_events": work["CHECKPOINT_EVENTS"],
    }
    with MilvusClient(tmp_path / "store", **settings) as client:
        for command in work["commands_of"](seed):
            work["call"](client, command)
    saved = values(tmp_path / "store")
    assert saved
    log = Log(tmp_path / "store" / LOG, read_only=True)
    for seq in saved:
        found = newest_state(log, seq)
        assert found is not None
        assert found[1].seq == seq
        fold = Fold()
        assert fold.replay(log, seq) is None
        assert found == (fold.state, fold.position)
    with log.reading() as txn:
        assert checkpoint_seqs(log, txn)[0] == log.last_seq(txn) == replayed(log).seq
    log.close()
    assert_state_is_replayed(open_store_at())
