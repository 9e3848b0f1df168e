"""The ready adapters: what each store promises it keeps, and what it does not, the laboratory
finds. And how a user's own is named."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from walvec.crashlab.adapter import random_workload, workload
from walvec.crashlab.judge import Expectation, Judge
from walvec.crashlab.lab import run
from walvec.crashlab.proof import CONTROLS, Control, run_controls
from walvec.crashlab.ready import READY, adapter_named
from walvec.crashlab.stage import fork_child, perform
from walvec.wal.errors import ParamError

SMALL = ["lmdb", "lmdb-last-transaction", "lmdb-nosync", "plain", "plain-fsync"]
SMALL += ["sqlite3", "sqlite3-delete", "sqlite3-normal", "sqlite3-off"]
QUICK = [c for c in CONTROLS if c.level == "power" or c.adapter.startswith("plain")]
"""The others, which are killed without harm, take seconds each: `run_controls` runs them all."""
OWN = """
from walvec.crashlab.plain_adapter import PlainAdapter

class Mine(PlainAdapter):
    pass

class Greedy(PlainAdapter):
    def __init__(self, size):
        self.size = size

one = Mine()
number = 7
"""


@pytest.mark.parametrize("name", SMALL)
def test_a_store_that_was_not_disturbed_holds_what_the_model_says(
    name: str, tmp_path: Path
) -> None:
    adapter = adapter_named(name)
    ops = random_workload(adapter, Random(name), 12)
    told, code = fork_child(lambda marks: perform(adapter, tmp_path, ops, marks)).bury()
    assert (told.error, code, told.acked, told.finished) == ("", 0, len(ops), True)
    verdict = Judge(adapter).judge(tmp_path, Expectation(ops, len(ops), len(ops)))
    assert verdict.ok, verdict.wrong
    assert verdict.kept == len(ops)


def test_what_was_acknowledged_and_is_missing_is_found(tmp_path: Path) -> None:
    adapter = adapter_named("plain")
    one, two = workload(["put"]), workload(["put", "put3"])
    fork_child(lambda marks: perform(adapter, tmp_path, one, marks)).bury()
    verdict = Judge(adapter).judge(tmp_path, Expectation(two, 2, 2))
    assert verdict.wrong == ("acknowledged and lost: put3 (2)",)


@pytest.mark.parametrize("control", QUICK, ids=lambda c: f"{c.adapter}-{c.level}")
def test_a_store_of_known_worth_comes_out_as_it_must(control: Control) -> None:
    adapter = adapter_named(control.adapter)
    result = run(
        adapter,
        levels=(control.level,),
        ops=["put", "put3"],
        states=150,
        max_failures=1,
        shrink=False,
    )
    assert bool(result.failed_states) == control.must_fail, [f.wrong for f in result.failures]
    assert result.tries > (0 if control.must_fail else 20)


def test_a_control_that_comes_out_otherwise_is_said() -> None:
    lie = Control("plain", False, "power")
    (wrong,) = run_controls([lie], budget_s=20)
    assert wrong.startswith("plain must pass at the level power: caught after ")


def test_every_ready_adapter_has_the_name_that_it_is_found_by() -> None:
    assert {name: READY[name]().name for name in READY} == {name: name for name in READY}
    assert {control.adapter for control in CONTROLS} <= READY.keys()


def test_an_adapter_of_ones_own_is_found_by_its_file_or_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine_of_test_adapters.py"
    path.write_text(OWN, encoding="utf-8")
    made, again = adapter_named(f"{path}:Mine"), adapter_named(f"{path}:Mine")
    assert made.name == f"{path}:Mine"
    assert type(made) is type(again)
    assert adapter_named(f"{path}:one") is adapter_named(f"{path}:one")
    monkeypatch.syspath_prepend(tmp_path)
    assert adapter_named("mine_of_test_adapters:Mine").name == "mine_of_test_adapters:Mine"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sqlite", "there is no adapter 'sqlite'; there are "),
        ("nowhere_at_all.sub:Mine", "there is no module 'nowhere_at_all.sub'"),
        ("{}/missing.py:Mine", "there is no file "),
        ("{}/mine.py:Yours", "has nothing called Yours"),
        ("{}/mine.py:Greedy", "cannot be made without arguments"),
        ("{}/mine.py:number", "is int, not an adapter"),
    ],
)
def test_an_adapter_that_is_not_there_is_refused_in_words(
    text: str, error: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    with pytest.raises(ParamError) as refusal:
        adapter_named(text.format(tmp_path))
    assert error in refusal.value.message


def test_an_error_in_the_module_of_an_adapter_is_shown_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import walvec_needs_this_module\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="walvec_needs_this_module"):
            adapter_named(f"{path}:Mine")
