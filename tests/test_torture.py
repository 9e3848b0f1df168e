"""The short form of the torture test, and proof that its judge finds what it looks for.

`make torture` is the long form; tests/torture says what is done.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from torture import invariants, report
from torture.batches import SHARED, Batch, batch_of, content_hash, rows_of, stamp_of, torn
from torture.history import History, Stored
from torture.plan import STEADY, TOGGLED, Plan
from torture.record import Recorder, read_record
from torture.runner import torture
from torture.testimony import (
    Account,
    Attempt,
    Read,
    Refusal,
    StateSeen,
    Stop,
    read_account,
)

SECONDS = float(os.environ.get("WALVEC_TORTURE_SECONDS", "20"))
SEED = int(os.environ.get("WALVEC_TEST_SEED", "7"))
MS = 1_000_000
FIRST, SECOND = Batch(1, 1, 3), Batch(2, 1, 2)
ONE, TWO, THREE = stamp_of(1, 1), stamp_of(2, 1), stamp_of(1, 2)


@pytest.mark.xdist_group("torture")
def test_processes_that_are_killed_and_stopped_at_random_keep_all_invariants(
    tmp_path: Path,
) -> None:
    plan = Plan(seed=SEED, seconds=SECONDS, long_stop_every_s=SECONDS / 2)
    outcome = torture(plan, tmp_path / "run")
    print("\n".join(report.lines(outcome)))
    assert not outcome.violations, "\n".join(report.lines(outcome))
    faults, account = outcome.processes.faults, outcome.account
    assert faults["killed"] and faults["stopped"], "nothing was done to them"
    done = {attempt.kind for attempt in account.attempts if attempt.end is not None}
    assert {"insert", "upsert", "delete", "load", "release", "flush"} <= done
    assert {read.kind for read in account.reads} == {"all", "count", "search", "get"}
    assert any(read.process.startswith("observer") for read in account.reads)


# The judge


def written(batch: Batch, stamp: int, at: int, kind: str = "insert") -> Stored:
    return Stored(at, at, kind, STEADY, list(batch.pks), [stamp] * batch.size)


def deleted(batch: Batch, at: int) -> Stored:
    return Stored(at, at, "delete", STEADY, list(batch.pks))


def history() -> History:
    """Create and load (1 to 3), two batches (4, 5), one rewritten (6), the other gone (7)."""
    return History(
        [
            Stored(1, 1, "other", ""),
            Stored(2, 3, "load", STEADY),
            written(FIRST, ONE, 4),
            written(SECOND, TWO, 5),
            written(FIRST, THREE, 6, "upsert"),
            deleted(SECOND, 7),
        ],
        last_seq=7,
    )


def attempts() -> list[Attempt]:
    """The four commands of the history, 10 ms apart, each 5 ms long; then one that was killed."""
    first, second = "writer-1", "writer-2"
    return [
        Attempt(first, 1, "insert", STEADY, 10 * MS, FIRST, ONE, 4, 15 * MS),
        Attempt(second, 1, "insert", STEADY, 20 * MS, SECOND, TWO, 5, 25 * MS),
        Attempt(first, 2, "upsert", STEADY, 30 * MS, FIRST, THREE, 6, 35 * MS),
        Attempt(second, 2, "delete", STEADY, 40 * MS, SECOND, 0, 7, 45 * MS),
        Attempt(first, 3, "insert", STEADY, 50 * MS, Batch(1, 2, 2), stamp_of(1, 3)),
    ]


def pairs(*written: tuple[Batch, int]) -> list[tuple[int, int]]:
    return [(pk, stamp) for batch, stamp in written for pk in batch.pks]


def read_all(
    seq: int,
    at: int,
    rows: list[tuple[int, int]],
    *,
    process: str = "reader-3",
    level: str = "Strong",
) -> Read:
    what = {"n": len(rows), "hash": content_hash(rows)}
    return Read(process, at, "all", STEADY, at * MS, at * MS + 1, seq, level, what)


BOTH = pairs((FIRST, ONE), (SECOND, TWO))


def found(violations: Iterable[str], *words: str) -> None:
    """Something was found, and each finding says what."""
    lines = list(violations)
    assert lines, "the violation was not found"
    for line in lines:
        assert all(word in line for word in words), line


def test_a_run_in_which_all_is_well_has_no_violation() -> None:
    reads = [read_all(5, 26, BOTH), read_all(7, 46, pairs((FIRST, THREE)))]
    account = Account(attempts(), reads)
    assert not list(invariants.acknowledged_is_stored(account.attempts, history()))
    assert not list(invariants.stored_is_attempted(account.attempts, history()))
    assert not list(invariants.reads_are_states(reads, history()))
    assert not list(invariants.reads_are_fresh(reads, account.attempts))
    assert not list(invariants.no_reader_goes_back(reads))
    assert not list(invariants.loads_hold_for_all(account, history()))
    assert not list(invariants.seqs_have_no_gaps(history()))


def test_a_lost_acknowledged_command_is_found() -> None:
    lost = history()
    del lost.commands[4]
    found(invariants.acknowledged_is_stored(attempts(), lost), "writer-1 op 2", "seq 6")


@pytest.mark.parametrize("change", ["a row less", "other stamps", "another collection"])
def test_a_command_that_is_stored_otherwise_than_acknowledged_is_found(change: str) -> None:
    other = history()
    stored = other.commands[2]
    if change == "a row less":
        del stored.pks[-1], stored.stamps[-1]
    elif change == "other stamps":
        stored.stamps = [TWO] * 3
    else:
        stored.collection = TOGGLED
    found(invariants.acknowledged_is_stored(attempts(), other), "writer-1 op 1", "something else")


def test_what_nobody_attempted_is_found() -> None:
    more = history()
    more.commands.append(written(Batch(3, 1, 2), stamp_of(3, 1), 8))
    found(invariants.stored_is_attempted(attempts(), more), "entry 8", "not attempted")


@pytest.mark.parametrize("place", [2, 5])
def test_what_is_stored_twice_is_found(place: int) -> None:
    twice = history()
    again = copy.copy(twice.commands[place])
    again.first = again.last = 8
    twice.commands.append(again)
    found(invariants.stored_is_attempted(attempts(), twice), "entry 8", "twice")


def test_a_killed_command_may_be_stored_or_not_and_a_refused_one_may_not() -> None:
    more = history()
    killed = attempts()[-1]
    assert killed.batch is not None
    more.commands.append(written(killed.batch, killed.stamp, 8))
    assert not list(invariants.stored_is_attempted(attempts(), more))
    refused = attempts()
    refused[-1].refused = "LockTimeoutException"
    found(invariants.stored_is_attempted(refused, more), "entry 8", "refused")


def test_a_missing_seq_is_found() -> None:
    gap = history()
    gap.seqs_missing = [3]
    found(invariants.seqs_have_no_gaps(gap), "entry 3")


HALF = pairs((FIRST, ONE))[:-1]


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (HALF, "half seen"),
        ([*pairs((FIRST, ONE)), pairs((FIRST, ONE))[0]], "twice"),
        ([*HALF, (FIRST.pks[-1], THREE)], "half rewritten"),
    ],
)
def test_a_read_that_contradicts_itself_is_found(rows: list[tuple[int, int]], word: str) -> None:
    found(torn(rows), word)
    assert not list(torn(BOTH))


@pytest.mark.parametrize(
    "rows",
    [HALF, [*BOTH, (9, 9)], pairs((FIRST, ONE)), pairs((FIRST, THREE), (SECOND, TWO))],
    ids=["half a batch", "a row too many", "a lost batch", "a later rewrite"],
)
def test_a_read_that_is_no_state_of_the_log_is_found(rows: list[tuple[int, int]]) -> None:
    found(invariants.reads_are_states([read_all(5, 26, rows)], history()), "reader-3", "seq 5")


def test_a_read_within_a_command_is_found() -> None:
    read = read_all(2, 26, [])
    found(invariants.reads_are_states([read], history()), "half of a command")


def test_a_read_beyond_the_log_is_found() -> None:
    found(invariants.reads_are_states([read_all(8, 26, BOTH)], history()), "the log ends with 7")


@pytest.mark.parametrize(
    ("kind", "what", "word"),
    [
        ("count", {"n": 4}, "4 rows"),
        ("search", {"limit": 5, "pairs": BOTH[:4]}, "found 4"),
        ("search", {"limit": 5, "pairs": [*BOTH[:4], BOTH[0]]}, "twice"),
        ("search", {"limit": 5, "pairs": [*BOTH[:4], (77, 1)]}, "does not have"),
        ("get", {"batch": SECOND, "pairs": BOTH[3:4]}, "1 rows of the batch"),
        ("get", {"batch": SECOND, "pairs": pairs((SECOND, ONE))}, "does not have"),
    ],
)
def test_a_wrong_answer_of_each_kind_is_found(
    kind: str, what: dict[str, object], word: str
) -> None:
    read = Read("reader-3", 1, kind, STEADY, 26 * MS, 27 * MS, 5, what=what)
    lines = list(invariants.reads_are_states([read], history()))
    assert any(word in line for line in lines), lines


def test_a_read_that_does_not_see_what_was_acknowledged_before_it_is_found() -> None:
    late = read_all(4, 26, pairs((FIRST, ONE)))
    found(invariants.reads_are_fresh([late], attempts()), "seq 5", "1.000 ms")
    during = read_all(4, 24, pairs((FIRST, ONE)))
    assert not list(invariants.reads_are_fresh([during], attempts()))
    weaker = read_all(4, 26, pairs((FIRST, ONE)), level="Bounded")
    assert not list(invariants.reads_are_fresh([weaker], attempts()))
    own = read_all(4, 26, pairs((FIRST, ONE)), level="Session", process="writer-2")
    found(invariants.reads_are_fresh([own], attempts()), "seq 5", "Session")


def test_a_reader_that_goes_back_is_found() -> None:
    reads = [read_all(6, 36, BOTH), read_all(5, 37, BOTH)]
    found(invariants.no_reader_goes_back(reads), "went back")
    reads[1].process = "reader-4"
    assert not list(invariants.no_reader_goes_back(reads))


def released_in_between() -> tuple[Account, History]:
    """Released at seq 5 (between 15 and 25 ms), loaded again at seq 7 (between 35 and 45 ms)."""
    told = history()
    told.commands[3] = Stored(5, 5, "release", STEADY)
    told.commands[5] = Stored(7, 7, "load", STEADY)
    return Account(attempts()), told


@pytest.mark.parametrize(("at", "wrong"), [(11, False), (22, False), (30, True), (47, False)])
def test_a_read_of_a_released_collection_is_found(at: int, wrong: bool) -> None:
    account, told = released_in_between()
    account.reads = [read_all(4, at, BOTH)]
    violations = list(invariants.loads_hold_for_all(account, told))
    assert bool(violations) == wrong, violations


@pytest.mark.parametrize(("at", "wrong"), [(11, True), (22, False), (30, False), (47, True)])
def test_a_refused_read_of_a_loaded_collection_is_found(at: int, wrong: bool) -> None:
    account, told = released_in_between()
    name = "CollectionNotLoadedException"
    refusal = Refusal("reader-3", 1, "all", STEADY, at * MS, at * MS + 1, name, "")
    account.refusals = [refusal]
    violations = list(invariants.loads_hold_for_all(account, told))
    assert bool(violations) == wrong, violations


PLAN = Plan(lock_timeout_s=3, long_stop_s=4.5, slack_s=1)


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "pid", "explained"),
    [
        (1000, 5500, 77, True),
        (2200, 7000, 77, True),
        (1000, 1400, 77, False),
        (1000, 5500, 78, False),
        (3700, 8000, 77, False),
    ],
    ids=["stopped", "a little later", "shortly", "another process", "too late"],
)
def test_a_timeout_that_no_stopped_process_explains_is_found(
    start_ms: int, end_ms: int, pid: int, explained: bool
) -> None:
    text = "process 77 on here has had the writer lock for 3.0 s"
    name = "LockTimeoutException"
    refusal = Refusal("writer-1", 1, "insert", STEADY, 1200 * MS, 4300 * MS, name, text)
    stops = [Stop("writer-2", pid, start_ms * MS, end_ms * MS)]
    violations = list(invariants.timeouts_are_explained([refusal], stops, PLAN))
    assert bool(violations) != explained, violations


def test_a_reader_that_waits_for_a_stopped_process_is_found() -> None:
    stop = Stop("writer-2", 77, 1000 * MS, 5500 * MS)
    reads = [read_all(4, at, BOTH) for at in (500, 900, 5600)]
    account = Account(reads=reads, stops=[stop])
    found(invariants.readers_go_on(account, PLAN), "reader-3 read nothing", "writer-2")
    reads.insert(2, read_all(4, 3000, BOTH))
    assert not list(invariants.readers_go_on(account, PLAN))


def test_a_digest_that_is_not_that_of_the_replay_is_found() -> None:
    states = [StateSeen("reader-3", 5, "ab", 0)]
    assert not list(invariants.digests_are_replayed(states, {5: "ab"}))
    found(invariants.digests_are_replayed(states, {5: "cd"}), "reader-3", "not cd")
    found(invariants.digests_are_replayed(states, {}), "where no command ends")


def test_processes_that_end_differently_are_found() -> None:
    states = [StateSeen("a", 5, "ab", 1), StateSeen("b", 5, "ab", 1)]
    assert not list(invariants.all_end_alike(states, ["a", "b"]))
    found(invariants.all_end_alike(states, ["a", "b", "c"]), "c did not tell")
    states[1] = StateSeen("b", 5, "cd", 1)
    found(invariants.all_end_alike(states, ["a", "b"]), "different states")


def test_a_record_that_a_kill_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "writer-1.jsonl")
    recorder.write("try", op=1, kind="insert", collection=STEADY, batch=FIRST, stamp=ONE)
    recorder.write("ack", op=1, seq=4)
    recorder.write("try", op=2, kind="delete", collection=STEADY, batch=FIRST)
    recorder.close()
    whole = (tmp_path / "writer-1.jsonl").read_bytes()
    (tmp_path / "writer-1.jsonl").write_bytes(whole[:-5])
    assert [line["e"] for line in read_record(tmp_path / "writer-1.jsonl")] == ["try", "ack"]
    (attempt,) = read_account(tmp_path).attempts
    assert (attempt.batch, attempt.stamp, attempt.seq) == (FIRST, ONE, 4)


def test_keys_say_their_batch() -> None:
    for batch in (FIRST, Batch(SHARED, 2, 5), Batch(70_000, 60_000, 15)):
        assert {batch_of(pk) for pk in batch.pks} == {batch}
        assert max(batch.pks) < 1 << 63
    assert [row["id"] for row in rows_of(FIRST, ONE)] == FIRST.pks
