"""The adapter of walvec: its commands do to a store what they do to the model, it repeats itself
byte by byte, and the judge sees what differs."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from walvec.crashlab.adapter import Op, all_workloads, random_workload, workload
from walvec.crashlab.judge import Expectation, Judge, Verdict
from walvec.crashlab.stage import Marks, fork_child, frozen_chance, perform
from walvec.crashlab.walvec_adapter import WalvecAdapter
from walvec.crashlab.walvec_commands import COMMANDS, CORE, register
from walvec.crashlab.walvec_hand import Hand
from walvec.crashlab.walvec_model import keys_written
from walvec.crashlab.walvec_reading import NUMBER, QUERIES, plan_of
from walvec.crashlab.walvec_writing import write
from walvec.segments.search import search
from walvec.segments.state import encode_state, freeze
from walvec.wal.checkpoints import encode_checkpoint, put_checkpoint

ADAPTER = WalvecAdapter()
EVERYTHING = WalvecAdapter(tuple(COMMANDS))
EVERY_KIND = (
    *("create", "insert", "create_partition", "insert_partition", "built", "upsert", "delete"),
    *(
        "add_field",
        "batch",
        "release_partition",
        "load_partition",
        "checkpoint",
        "create_index",
        "fill",
    ),
    *("threads", "release_partition"),
    *(
        "merge",
        "built",
        "alias",
        "rename",
        "process",
        "cursor",
        "expire",
        "alter",
        "release",
        "insert",
    ),
    *("drop_partition", "load", "flush", "drop_index", "drop_alias", "create_database", "move"),
    *("truncate", "insert", "built", "drop", "drop_database", "insert"),
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, in memory where that can be."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="walvec-adapter-", dir=parent) as path:
        yield Path(path)


def run(
    adapter: WalvecAdapter, folder: Path, names: tuple[str, ...], *, looks: bool = True
) -> None:
    """Do the operations, look after each of them, and judge what is left at the end."""
    folder.mkdir(exist_ok=True)
    ops = workload(names)
    hand = adapter.open(folder)
    try:
        for op in ops:
            adapter.apply(hand, op)
            if looks:
                assert adapter.state(hand) == adapter.model(ops[: op.number]), (names, op)
                assert adapter.check(hand) == [], (names, op)
    finally:
        adapter.close(hand)
    assert judged(adapter, folder, names) == ()


def judged(adapter: WalvecAdapter, folder: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """What is wrong with a store in which all operations are said to be acknowledged."""
    return verdict(adapter, folder, names).wrong


def verdict(adapter: WalvecAdapter, folder: Path, names: tuple[str, ...]) -> Verdict:
    ops = workload(names)
    return Judge(adapter).judge(folder, Expectation(ops, len(ops), len(ops)))


@pytest.mark.parametrize("first", [n for n in COMMANDS if EVERYTHING.may_follow((), n)])
def test_a_command_and_each_that_may_follow_it_do_what_the_model_says(
    first: str, folder: Path
) -> None:
    run(EVERYTHING, folder / "alone", (first,))
    for second in COMMANDS:
        if EVERYTHING.may_follow((first,), second):
            run(EVERYTHING, folder / second, (first, second), looks=False)


def test_every_command_comes_in_the_long_workload_and_does_what_the_model_says(
    folder: Path,
) -> None:
    assert set(EVERY_KIND) >= COMMANDS.keys()
    for i, name in enumerate(EVERY_KIND):
        assert EVERYTHING.may_follow(EVERY_KIND[:i], name), (i, name)
    run(EVERYTHING, folder, EVERY_KIND)


@pytest.mark.parametrize("seed", range(12))
def test_a_random_workload_does_what_the_model_says(seed: int, folder: Path) -> None:
    ops = random_workload(EVERYTHING, random.Random(seed), 16)
    run(EVERYTHING, folder, tuple(op.name for op in ops))


def test_short_workloads_of_the_core_are_a_thousand() -> None:
    assert ADAPTER.commands == CORE and set(CORE) < set(ADAPTER.all_commands)
    assert 900 < sum(1 for _ in all_workloads(ADAPTER, 3)) <= 1110


def contents(folder: Path) -> dict[str, bytes]:
    """The files that count, and folders with nothing in them."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {n: p.read_bytes() for n, p in names.items() if n not in ADAPTER.volatile}


def test_two_runs_of_a_workload_write_the_same_bytes(folder: Path) -> None:
    def play(place: Path) -> Callable[[Marks], None]:
        def run(marks: Marks) -> None:
            with frozen_chance():
                perform(ADAPTER, place, workload(EVERY_KIND), marks)

        return run

    tolds = []
    for name in "ab":
        (folder / name).mkdir()
        told, code = fork_child(play(folder / name)).bury()
        assert not code, told.error
        tolds.append(told)
    assert tolds[0] == tolds[1] and tolds[0].finished
    first, second = contents(folder / "a"), contents(folder / "b")
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []
    assert any(name.startswith("segments/") for name in first) == bool(
        list((folder / "a" / "segments").iterdir())
    )
    assert judged(ADAPTER, folder / "a", EVERY_KIND) == ()


def made(folder: Path, *acts: Callable[[Hand], Any]) -> None:
    """A store in which something was done beside the operations `insert` and `built`."""
    hand = ADAPTER.open(folder)
    for op in workload(("insert", "built")):
        ADAPTER.apply(hand, op)
    for act in acts:
        act(hand)
    ADAPTER.close(hand)


def test_the_judge_finds_nothing_in_a_store_with_just_the_operations(folder: Path) -> None:
    made(folder)
    assert judged(ADAPTER, folder, ("insert", "built")) == ()


DIFFERENCES: dict[str, Callable[[Hand], Any]] = {
    "a row is missing": lambda hand: COMMANDS["delete"].steps[-1].do(hand, 1),
    "a row is changed": lambda hand: COMMANDS["insert"].steps[-1].do(hand, 2),
    "it is not loaded": Hand.release,
    "another name": Hand.rename,
    "an alias more": Hand.set_alias,
    "a field more": Hand.add_field,
    "an index more": Hand.create_index,
    "a partition more": Hand.create_partition,
    "a database more": Hand.create_database,
    "a property": lambda hand: hand.alter(1),
    "a cursor": lambda hand: hand.move_cursor(1),
    "it is gone": Hand.drop,
}


@pytest.mark.parametrize("what", DIFFERENCES)
def test_the_judge_notices_that(what: str, folder: Path) -> None:
    made(folder, DIFFERENCES[what])
    (wrong,) = judged(ADAPTER, folder, ("insert", "built"))
    assert "is the result of no first part" in wrong or "acknowledged and lost" in wrong


def test_the_judge_notices_a_flag_that_no_entry_has_set(folder: Path) -> None:
    made(folder, _forge_a_checkpoint)
    found = verdict(ADAPTER, folder, ("insert", "built")).wrong
    assert "is the result of no first part" in found[0]
    assert any("checkpoint at entry" in wrong for wrong in found)
    assert any("state digest" in wrong for wrong in found)


def _forge_a_checkpoint(hand: Hand) -> None:
    """Save a state in which the collection is not loaded as if the log had it."""
    position, state = hand.store.with_fold(lambda fold: (fold.position, freeze(fold.state)))
    for collection in state.collections.values():
        collection.loaded = collection.loads_new = False
        collection.loaded_partitions = set()
    value = encode_checkpoint(position, encode_state(state))
    assert hand.store.side_write(lambda txn: put_checkpoint(hand.store.log, txn, value))


def test_a_torn_batch_is_not_taken_for_its_operation(folder: Path) -> None:
    hand = ADAPTER.open(folder)
    hand.create()
    write(hand, keys_written("batch", 1)[:2], 1)
    ADAPTER.close(hand)
    ops = workload(("batch",))
    found = Judge(ADAPTER).judge(folder, Expectation(ops, 0, 1)).wrong
    assert len(found) == 1 and "is the result of no first part" in found[0]


def test_only_the_first_of_several_threads_may_be_there_without_the_others(folder: Path) -> None:
    ops = workload(("threads",))
    states = [ADAPTER.model(()), *ADAPTER.between(ops), ADAPTER.model(ops)]
    counts = [next(iter(s["collections"].values()), {"rows": ()})["rows"] for s in states]
    assert [len(rows) for rows in counts] == [0, 0, 2, 8]


def test_a_missing_file_is_made_again_by_the_check_and_a_stray_one_goes(folder: Path) -> None:
    made(folder)
    (segment,) = (folder / "segments").iterdir()
    names = sorted(path.name for path in segment.iterdir())
    assert [name.partition("-")[0] for name in names] == ["columns.wvc", "index", "index"]
    (segment / names[1]).unlink()
    (segment / "columns.wvc.1-2.tmp").touch()
    assert judged(ADAPTER, folder, ("insert", "built")) == ()
    assert sorted(path.name for path in segment.iterdir()) == names


@pytest.mark.parametrize("state", ["loaded", "released"])
def test_a_damaged_file_is_not_used_and_made_again(state: str, folder: Path) -> None:
    made(folder)
    names: tuple[str, ...] = ("insert", "built")
    if state == "released":
        hand = ADAPTER.open(folder)
        hand.release()
        ADAPTER.close(hand)
        names = (*names, "release")
    (segment,) = (folder / "segments").iterdir()
    whole = {path: path.read_bytes() for path in segment.iterdir()}
    for path in whole:
        path.write_bytes(bytes(path.stat().st_size))
    assert judged(ADAPTER, folder, names) == ()
    assert {path: path.read_bytes() for path in segment.iterdir()} == whole


def test_the_files_of_a_segment_are_what_the_state_is_read_from(folder: Path) -> None:
    made(folder)
    hand = ADAPTER.open(folder)
    try:
        ADAPTER.state(hand)
        (segment,) = hand.store.view(hand.info).segments
        assert list(segment.scalars) == [NUMBER]
        assert list(segment.indexes) == [hand.info.indexes["by_v"].id]
        assert paths_of_search(hand) == ["ANNOY"]
    finally:
        ADAPTER.close(hand)


def paths_of_search(hand: Hand) -> list[str]:
    """How each segment is searched for the state."""
    steps: list[str] = []
    view, info = hand.store.view(hand.info), hand.info
    plan = plan_of(view, info)._replace(trace=lambda step: steps.append(step.path))
    search(view, plan, QUERIES)
    return steps


def test_an_operation_without_a_transaction_has_one_where_the_last_may_be_lost(
    folder: Path,
) -> None:
    weaker = WalvecAdapter(durability="last-transaction")
    names = ("insert", "load", "flush", "flush", "load")
    run(weaker, folder / "weaker", names)
    hand = weaker.open(folder / "weaker")
    seen = []
    for number in (8, 9):
        seen.append(hand.store.log.newest_txnid())
        weaker.apply(hand, Op("load", number))
    assert hand.store.log.newest_txnid() > seen[1] > seen[0]
    weaker.close(hand)


def test_what_the_store_says_of_itself_is_in_the_fingerprint(folder: Path) -> None:
    hand = ADAPTER.open(folder)
    seen = [ADAPTER.fingerprint(hand)]
    for op in workload(("insert", "delete")):
        ADAPTER.apply(hand, op)
        seen.append(ADAPTER.fingerprint(hand))
    ADAPTER.close(hand)
    assert [place.partition("@")[2] for place, _ in seen] == ["1", "6", "7"]
    assert len({digest for _, digest in seen}) == 3
    hand = ADAPTER.open(folder)
    assert ADAPTER.fingerprint(hand) == seen[-1]
    ADAPTER.close(hand)


def test_with_its_background_it_holds_the_same(folder: Path) -> None:
    background = WalvecAdapter(background=True)
    assert background.name == "walvec-background"
    names = ("insert", "built", "upsert", "checkpoint", "threads", "merge", "process")
    run(background, folder, names)


def test_the_weaker_durability_is_a_store_of_its_own_that_may_lose_one() -> None:
    weaker = WalvecAdapter(durability="last-transaction")
    assert (weaker.name, weaker.may_lose) == ("walvec-last-transaction", 1)
    assert (ADAPTER.name, ADAPTER.may_lose) == ("walvec", 0)


def test_an_unknown_command_and_one_of_a_name_that_is_taken_are_refused() -> None:
    with pytest.raises(ValueError, match="walvec has no command nonsense"):
        WalvecAdapter(("create", "nonsense"))
    with pytest.raises(ValueError, match="there is a command insert already"):
        register("insert", follows=lambda _: True)
