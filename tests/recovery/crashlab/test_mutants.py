"""Faults planted in walvec: the laboratory finds each of them, and nothing without them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from walvec.crashlab.adapter import Adapter
from walvec.crashlab.lab import run, run_plan
from walvec.crashlab.mutant import mutant, replaced
from walvec.crashlab.mutants import MUTANTS, mutant_named, mutated
from walvec.crashlab.proof import is_caught, run_mutants, said
from walvec.crashlab.ready import adapter_named
from walvec.crashlab.result import Result
from walvec.wal.errors import ParamError, StoreUnusableException


class Way(NamedTuple):
    """A level and a workload that find a mutant soon."""

    level: str
    ops: str
    model: str = "kill"


WAYS = {
    "log-sync-false": Way("power", "insert", "ext4"),
    "log-metasync-false": Way("power", "insert", "ext4"),
    "creation-in-place": Way("power", "create", "ext4"),
    "acknowledged-early": Way("point", "insert,delete"),
    "seal-before-rows": Way("point", "fill"),
    "torn-command": Way("point", "create"),
    "files-trusted": Way("power", "insert,built", "ext4"),
    "apply-not-replay": Way("point", "insert"),
    "tombstone-forgotten": Way("point", "insert,delete"),
    "stale-view": Way("point", "process"),
    "checkpoint-newer": Way("point", "insert"),
}
"""One for each mutant."""
DISTINCT = sorted(
    {
        way
        for way in WAYS.values()
        if not any(
            w != way and w.level == way.level and w.ops.startswith(way.ops) for w in WAYS.values()
        )
    }
)
"""Those that are not the beginning of another."""


def tried(way: Way, name: str = "", states: int = 1500) -> Result:
    return run(
        adapter_named("walvec"),
        levels=(way.level,),
        models=(way.model,),
        ops=way.ops.split(","),
        states=states,
        budget_s=30,
        mutant=name,
        max_failures=1,
        shrink=False,
    )


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(name: str) -> None:
    result = tried(WAYS[name], name)
    assert result.failed_states, said(result)


def test_without_its_mutant_a_failing_plan_passes() -> None:
    result = tried(WAYS["torn-command"], "torn-command")
    plan = result.failures[0].plan
    assert "+torn-command/" in plan
    again, sound = run_plan(plan), run_plan(plan.replace("+torn-command", ""))
    assert (again.failed_states, sound.states, sound.failed_states) == (1, 1, 0)


@pytest.mark.parametrize("way", DISTINCT, ids=lambda way: f"{way.level}-{way.ops}")
def test_walvec_without_a_mutant_passes_the_same_tries(way: Way) -> None:
    result = tried(way, states=60)
    assert result.tries > 20
    assert result.ok, [f"{f.plan}: {f.wrong}" for f in result.failures]


def everything() -> Iterator[tuple[object, str, object]]:
    """What a mutant may replace: the names of walvec's modules and classes, and what they are."""
    for module in [m for n, m in sys.modules.items() if n.startswith("walvec.")]:
        for name, value in list(vars(module).items()):
            yield module, name, value
            if isinstance(value, type) and value.__module__.startswith("walvec."):
                yield from ((value, n, v) for n, v in list(vars(value).items()))


def changes() -> set[tuple[str, str]]:
    """What is replaced, by the place of its code."""
    return {
        (str(place), name)
        for place, name, value in everything()
        if getattr(value, "__qualname__", "").startswith("_")
        and ".<locals>." in getattr(value, "__qualname__", "")
        and getattr(value, "__module__", "").endswith("_mutants")
    }


@pytest.mark.parametrize("name", MUTANTS)
def test_nothing_of_a_mutant_is_left_when_it_is_off(name: str) -> None:
    before = {(id(place), key): id(value) for place, key, value in everything()}
    with mutant_named(name).switch():
        assert changes(), "it replaces nothing"
    after = {(id(place), key): id(value) for place, key, value in everything()}
    assert before == after


def test_nothing_of_a_mutant_is_left_when_a_call_fails(tmp_path: Path) -> None:
    adapter = mutated(adapter_named("walvec"), "log-sync-false")
    (tmp_path / "log").write_text("in the way")
    before = {(id(place), key): id(value) for place, key, value in everything()}
    with pytest.raises(StoreUnusableException):
        adapter.open(tmp_path)
    assert before == {(id(place), key): id(value) for place, key, value in everything()}


def test_a_mutated_adapter_is_as_the_one_that_it_is_of() -> None:
    plain = adapter_named("walvec-last-transaction")
    adapter = mutated(plain, "stale-view")
    for name in ("name", "commands", "all_commands", "failpoints", "volatile", "may_lose"):
        assert getattr(adapter, name) == getattr(plain, name)
    asked = {name for name in vars(Adapter) if not name.startswith("_")}
    assert asked <= {*vars(type(adapter)), *vars(adapter)}, "an adapter has become more"


def test_a_name_that_is_no_mutant_is_refused_with_those_there_are() -> None:
    with pytest.raises(ParamError, match=r"no mutant 'log-sync'; there are log-sync-false, "):
        mutated(adapter_named("walvec"), "log-sync")
    with pytest.raises(ParamError, match="no mutant 'gone'"):
        run_mutants(["gone"])


def test_a_store_that_is_not_walvec_has_no_mutants() -> None:
    with pytest.raises(ParamError, match="a mutant of walvec, and sqlite3 is another store"):
        mutated(adapter_named("sqlite3"), "log-sync-false")


def test_two_mutants_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two mutants called stale-view"):
        mutant("stale-view", "another")(replaced)


def test_the_table_says_which_level_caught_a_mutant_and_which_did_not() -> None:
    told: list[str] = []
    table = run_mutants(
        ["torn-command"],
        levels=("point", "kill"),
        budget_s=10,
        progress=lambda table: told.append(repr(table)),
    )
    assert table["torn-command"]["point"].startswith("caught after ")
    assert is_caught(table["torn-command"])
    assert not is_caught({"point": "not caught in 7 states, 1.0 s", "kill": ""})
    assert len(told) == 2
