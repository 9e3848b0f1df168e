"""The plugin for pytest, in runs of their own of a small project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from walvec.tools.crash_fixture import Crashlab, refuse_options

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not there")
PROJECT = """
import pytest
from walvec.crashlab.plain_adapter import PlainAdapter, SyncedFileAdapter


class Lost(PlainAdapter):
    name = ""


class Kept(SyncedFileAdapter):
    name = "kept"


@pytest.mark.crash(level="power", model=["ext4"], ops=["put"], budget="20s")
def test_lost(crashlab):
    crashlab.run(Lost())


@pytest.mark.crash(level="power", model="ext4", ops="put,delete")
def test_kept(crashlab):
    result = crashlab.run(Kept(), budget=20)
    assert (result.levels, result.models, result.workloads) == (["power"], ["ext4"], 1)
    assert result.states > 2


def test_ready_ones_are_known_by_name(crashlab):
    assert crashlab.run("plain", levels="power", models="kill", ops="put", budget="99").ok


def test_another():
    pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the tests of a small project."""
    (tmp_path / "test_stores.py").write_text(PROJECT)
    return tmp_path


def run(project: Path, *arguments: str, code: int = 0) -> str:
    """What pytest prints; it must end with this exit code."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", "-rs"]
    done = subprocess.run(
        [*command, *arguments], cwd=project, check=False, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def outcome(text: str) -> str:
    """ "1 failed, 3 passed"."""
    return re.sub(r" in [\d.]+s.*|=+ ?", "", text.strip().splitlines()[-1])


@needs_strace
def test_a_store_that_loses_rows_fails_its_test_which_one_line_repeats(project: Path) -> None:
    text = run(project, "--crash-report=out/crash.html", code=1)
    assert outcome(text) == "1 failed, 3 passed"
    assert "acknowledged and lost: put (1)" in text
    assert "crash_fixture.py" not in text, "the failure is told without the plugin's own frames"
    assert re.search(r"crashlab: \d+ distinct states in 3 runs, report: out/crash.html", text)
    page = (project / "out" / "crash.html").read_text(encoding="utf-8")
    assert all(f"test_stores.py::{name}" in page for name in ("test_lost", "test_kept"))

    [plan] = re.findall(r"--plan=(\S+)", text)
    assert plan.startswith("test_stores:Lost/power/ext4/put/")
    again = run(project, f"--crash-plan={plan}", code=1)
    assert outcome(again) == "1 failed, 1 passed, 2 skipped"
    assert f"only {plan} is repeated" in again
    assert "crashlab: 1 distinct states in 1 runs" in again


@needs_strace
def test_a_pasted_test_repeats_a_failure_unless_another_plan_is_to_be_repeated() -> None:
    plan = "plain/power/ext4/put/6.w0.n1"
    with pytest.raises(pytest.fail.Exception, match=r"acknowledged and lost: put \(1\)"):
        Crashlab("test_it", {}, [], budget=None, plan=None).repeat(plan)
    with pytest.raises(pytest.skip.Exception, match="only another is repeated"):
        Crashlab("test_it", {}, [], budget=None, plan="another").repeat(plan)


@needs_strace
def test_a_worker_of_xdist_hands_its_results_in(project: Path) -> None:
    text = run(project, "-n1", "--crash-budget=300", "--crash-report=crash.html", code=1)
    assert outcome(text) == "1 failed, 3 passed"
    assert "in 3 runs, report: crash.html" in text
    assert "test_stores.py::test_lost" in (project / "crash.html").read_text(encoding="utf-8")


def test_what_an_option_cannot_mean_ends_the_run_at_once(project: Path) -> None:
    assert "crashlab: 'long' is no budget" in run(project, "--crash-budget=long", code=4)
    with pytest.raises(pytest.UsageError, match="crashlab: 'x' is not a plan"):
        refuse_options(None, "x")


def test_a_plan_of_no_store_that_is_tested_is_not_passed_over(project: Path) -> None:
    text = run(project, "--crash-plan=lmdb/power/ext4/put/6", code=1)
    assert "crashlab: no crash test is of the store of lmdb/power/ext4/put/6" in text
    assert outcome(text) == "1 passed, 3 skipped"


def test_a_marker_with_an_unknown_word_is_refused() -> None:
    with pytest.raises(pytest.fail.Exception, match="crash has no levels: budget, length, level"):
        Crashlab("test_it", {"levels": "power"}, [], budget=None, plan=None)


@needs_strace
def test_what_a_call_says_stands_above_the_marker_and_the_command_line_above_both() -> None:
    marked = {"level": ("kill", "point"), "model": "posix", "ops": "put", "budget": "1h"}
    lab = Crashlab("test_it", marked, results := [], budget="20", plan=None)
    found = lab.run("plain-fsync", levels="power")
    assert results == [("test_it", found)]
    assert (found.levels, found.models, found.adapter) == (["power"], ["posix"], "plain-fsync")


def test_the_options_are_in_the_help_of_pytest(project: Path) -> None:
    text = run(project, "--help")
    assert all(option in text for option in ("--crash-budget", "--crash-plan", "--crash-report"))


def test_a_run_without_crash_tests_imports_nothing_of_the_laboratory(project: Path) -> None:
    (project / "test_stores.py").write_text(
        "import sys\n\n\n"
        "def test_nothing_more_is_there():\n"
        "    there = {name for name in sys.modules if name.startswith('walvec')}\n"
        "    assert there == {'walvec', 'walvec.tools', 'walvec.tools.pytest_crashlab'}\n"
        "    assert 'numpy' not in sys.modules\n"
    )
    assert outcome(run(project)) == "1 passed"
