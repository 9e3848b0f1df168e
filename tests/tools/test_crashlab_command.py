"""`walvec crashlab` and `walvec replay`: what they print, keep and refuse."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from damage import data_file, fill, flip, forget_checkpoints, place

from walvec.crashlab.result import Result
from walvec.tools import cli, crash_progress
from walvec.tools.crash_options import Budget, budget_of, names_of
from walvec.wal.errors import ParamError

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not there")
Capture = pytest.CaptureFixture[str]
LOUD = """
from walvec.crashlab.plain_adapter import SyncedFileAdapter

class Loud(SyncedFileAdapter):
    def apply(self, handle, op):
        print(op, flush=True)
        super().apply(handle, op)
"""


def told(capsys: Capture, *arguments: object, code: int = 0) -> str:
    """What the command prints; it must end with this exit code."""
    assert cli.main([*map(str, arguments)]) == code, capsys.readouterr()
    return capsys.readouterr().out


def refused(capsys: Capture, *arguments: object) -> str:
    """What a command that is used wrongly says."""
    assert cli.main([*map(str, arguments)]) == 2
    return capsys.readouterr().err


# run


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The case of a plain file that lost what it had acknowledged."""
    cases = tmp_path_factory.mktemp("cases")
    arguments = ["--adapter", "plain", "--level", "power", "--ops", "put", "--cases", str(cases)]
    assert cli.main(["crashlab", "run", *arguments]) == 1
    return next(cases.iterdir())


@needs_strace
def test_a_store_that_loses_rows_is_found_told_and_repeated(
    capsys: Capture, tmp_path: Path
) -> None:
    arguments = ["--adapter", "plain", "--level", "power", "--model", "ext4,kill", "--ops", "put"]
    report = tmp_path / "crash.html"
    text = told(capsys, "crashlab", "run", *arguments, "--report", report, code=1)
    assert text.startswith("failure 1\nacknowledged and lost: put (1)\n")
    assert "states failed" in text.splitlines()[-2]
    assert "acknowledged and lost: put (1)" in report.read_text(encoding="utf-8")
    [plan] = re.findall(r"walvec crashlab run --plan=(\S+)", text)
    assert plan.startswith("plain/power/ext4/put/")
    assert f"crashlab.repeat({plan!r})" in text
    again = json.loads(told(capsys, "crashlab", "run", f"--plan={plan}", "--json", code=1))
    assert (again["states"], again["failed_states"]) == (1, 1)
    assert again["failures"][0]["plan"] == plan


@needs_strace
def test_a_store_that_keeps_its_promise_passes(capsys: Capture) -> None:
    arguments = ["--adapter", "plain-fsync", "--level", "power", "--ops", "put", "--budget", "20s"]
    text = told(capsys, "crashlab", "run", *arguments)
    assert text.splitlines()[-1] == "nothing was found"
    assert re.search(r"plain-fsync: \d+ distinct states of \d+ stops, [\d,]+ a second", text)


@needs_strace
def test_an_adapter_of_ones_own_is_found_in_the_folder_one_works_in(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from walvec.crashlab.plain_adapter import SyncedFileAdapter as Mine\n"
    (tmp_path / "their_own_store.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    arguments = ["--level", "power", "--ops", "put", "--budget", "20s"]
    for name in ("their_own_store:Mine", "their_own_store.py:Mine"):
        text = told(capsys, "crashlab", "run", "--adapter", name, *arguments)
        assert f"{name}: " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--adapter", "nothing"], "there is no adapter 'nothing'; there are walvec, "),
        (["--level", "moon"], "'moon' is not one of point, kill, power"),
        (["--model", "ntfs"], "'ntfs' is not one of kill, ext4, posix"),
        (["--adapter", "plain", "--ops", "put,fly"], "no operation 'fly'"),
        (["--adapter", "plain", "--ops", "delete"], "delete cannot follow nothing"),
        (["--budget", "long"], "'long' is no budget: say a time as 60s"),
        (["--mutant", "none-such"], "there is no mutant 'none-such'"),
        (["--plan", "x"], "'x' is not a plan: ADAPTER"),
        (["--plan", "plain/kill/put/1", "--seed", "0"], "--plan says what --seed says"),
        (["--length", "-1"], "--length -1 is less than 0"),
    ],
)
def test_what_cannot_be_is_refused(capsys: Capture, arguments: list[str], message: str) -> None:
    assert message in refused(capsys, "crashlab", "run", *arguments)


def test_a_report_that_cannot_be_written_is_refused_before_the_run(
    capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "report.html"
    said = refused(capsys, "crashlab", "run", "--budget", "1h", "--report", place)
    assert f"the report cannot be written to {place}: " in said


def test_an_adapter_that_cannot_be_made_is_wrong_usage_and_says_where(
    capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("import nothing_like_it\n")
    said = refused(capsys, "crashlab", "run", "--adapter", f"{tmp_path / 'broken.py'}:Mine")
    assert "broken.py" in said
    assert "line 1" in said
    assert "cannot be made: ModuleNotFoundError" in said


@needs_strace
def test_what_a_store_prints_is_not_in_the_json(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(LOUD)
    arguments = ["--level", "power", "--ops", "put", "--budget", "20s", "--json"]
    place = f"{tmp_path / 'loud.py'}:Loud"
    command = [sys.executable, "-m", "walvec", "crashlab", "run", "--adapter", place, *arguments]
    run = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(run.stdout)["ok"]
    assert b"Op(name='put', number=1)" in run.stderr


def test_without_strace_the_level_that_needs_it_says_so(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["crashlab", "run", "--adapter", "plain-fsync", "--ops", "put", "--level"]
    assert cli.main([*arguments, "power"]) == 1
    assert "the level power records with strace: strace is missing" in capsys.readouterr().err
    assert "strace is missing" in told(capsys, *arguments, "kill"), "as a limit"


def test_list_has_all_that_can_be_named(capsys: Capture) -> None:
    lists = json.loads(told(capsys, "crashlab", "list", "--json"))
    assert lists.keys() == {"adapters", "levels", "models", "mutants", "faults", "failpoints"}
    assert all(lists.values())
    assert "insert" in lists["adapters"]["walvec"]
    text = told(capsys, "crashlab", "list")
    assert all(name in text for names in lists.values() for name in names)


# Faults and mutants


def test_a_fault_case_is_run_and_told(capsys: Capture, tmp_path: Path) -> None:
    names = json.loads(told(capsys, "crashlab", "faults", "--list", "--json"))
    report = tmp_path / "faults.html"
    name = "read-only-folder" if "read-only-folder" in names else min(names)
    [found] = json.loads(told(capsys, "crashlab", "faults", name, "--json", "--report", report))
    assert (found["name"], found["ok"]) == (name, True)
    assert name in report.read_text(encoding="utf-8")
    assert "no-such-case" in refused(capsys, "crashlab", "faults", "no-such-case")


@needs_strace
def test_a_mutant_is_caught_and_told(capsys: Capture) -> None:
    arguments = ["--level", "power", "--budget", "30s"]
    table = json.loads(told(capsys, "crashlab", "mutants", "log-sync-false", *arguments, "--json"))
    assert table["log-sync-false"]["power"].startswith("caught after ")
    assert "is no time" in refused(capsys, "crashlab", "mutants", "--budget", "100")


# Budgets and progress


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("60s", Budget(60, None)),
        (" 1.5 m ", Budget(90, None)),
        ("2h", Budget(7200, None)),
        ("100_000", Budget(None, 100_000)),
        ("100,000 states", Budget(None, 100_000)),
        (2.5, Budget(2.5, None)),
    ],
)
def test_a_budget_is_a_time_or_a_number_of_states(text: str | float, budget: Budget) -> None:
    assert budget_of(text) == budget


@pytest.mark.parametrize("text", ["", "s", "0", "0s", "-5s", "5 days", "1e3"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ParamError, match="budget"):
        budget_of(text)


def test_names_are_given_one_by_one_or_with_commas() -> None:
    assert names_of(["power,kill", "point"]) == ["power", "kill", "point"]
    assert names_of("put, put") == ["put", "put"]
    assert names_of(None) is None


def test_without_a_terminal_progress_is_a_line_now_and_then(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash_progress, "LINE_EVERY_S", 0.0)
    result = Result("plain", "", 0)
    with crash_progress.run_progress(Budget(None, 10)) as tell:
        result.count("kill", "here", "put", True)
        tell(result)
    assert re.fullmatch(r"1 states, [\d,]+ a second, 1 failed\n", capsys.readouterr().err)


# Cases and replay


@needs_strace
def test_a_case_is_judged_again_and_fails_as_it_did(capsys: Capture, case: Path) -> None:
    found = json.loads(told(capsys, "replay", case, "--json", code=1))
    assert found["wrong"] == found["now"]["wrong"] != []
    text = told(capsys, "replay", case, code=1)
    assert text.count(f"  {found['wrong'][0]}\n") == 2
    assert "from the beginning: walvec crashlab run --plan=plain/power/" in text
    before = sorted(path.name for path in (case / "image").iterdir())
    assert before == ["rows.log"], "a case is judged in a copy"


def test_what_looks_at_a_store_looks_at_the_image_of_a_case(
    capsys: Capture, filled: Path, tmp_path: Path
) -> None:
    case = tmp_path / "case"
    shutil.copytree(filled, case / "image")
    notes = {"plan": "walvec/kill/create,insert/now", "tried": 2, "acked": 2, "may_lose": 0}
    (case / "case.json").write_text(json.dumps({**notes, "fingerprints": []}))
    for command in ("log", "info", "verify"):
        of_case = told(capsys, command, case, "--json")
        of_store = told(capsys, command, filled, "--json")
        assert without_paths(of_case) == without_paths(of_store)


def without_paths(text: str) -> list[Any]:
    return [
        {name: value for name, value in json.loads(line).items() if name != "path"}
        for line in text.splitlines()
    ]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that no test changes."""
    folder = tmp_path_factory.mktemp("filled") / "store"
    fill(folder)
    return folder


def test_a_store_is_folded_up_to_any_entry_as_it_was_then(capsys: Capture, filled: Path) -> None:
    info = json.loads(told(capsys, "info", filled, "--json"))
    now = json.loads(told(capsys, "replay", filled, "--json"))
    assert (now["seq"], now["chain"]) == (info["last_seq"], info["chain"])
    assert now["state_digest"] == info["state_digest"]
    rows = {each["name"]: each["rows"] for each in info["collections"]}
    assert {each["name"]: each["rows"] for each in now["collections"]} == rows
    first = json.loads(told(capsys, "replay", filled, "--to", 1, "--json"))
    assert (first["seq"], first["collections"]) == (1, [])
    assert f"seq {now['seq']}, " in told(capsys, "replay", filled)
    assert "has no entry" in refused_by_store(capsys, "replay", filled, "--to", 10**6)


def refused_by_store(capsys: Capture, *arguments: object) -> str:
    assert cli.main([*map(str, arguments)]) == 1
    return capsys.readouterr().err


def test_replay_stops_at_a_damaged_entry_and_names_it(
    capsys: Capture, filled: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(filled, store)
    forget_checkpoints(store)
    entry = place(store, "RowsInserted", 1)
    flip(data_file(store), entry.start + 40)
    assert cli.main(["replay", str(store)]) == 1
    out, err = capsys.readouterr()
    assert f"seq {entry.seq - 1}, " in out
    assert f"log entry {entry.seq}" in err


def test_replay_of_what_is_neither_store_nor_case_says_so(capsys: Capture, tmp_path: Path) -> None:
    assert "neither a walvec store nor a case" in refused_by_store(capsys, "replay", tmp_path)


def test_a_case_that_cannot_be_read_is_named(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "case.json").write_text("{")
    assert "is not a case of the crash laboratory" in refused_by_store(capsys, "replay", tmp_path)
    assert "is not a walvec store" in refused_by_store(capsys, "info", tmp_path)
