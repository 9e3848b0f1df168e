"""Each example runs as its own process in an empty folder, and gives what its comments say."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CRASH_TEST = ROOT / "examples" / "crash_test_my_store.py"
EXAMPLES = sorted(set((ROOT / "examples").glob("*.py")) - {CRASH_TEST})
NOTEBOOK = """
import ast, sys
module = ast.parse(open(sys.argv[1]).read())
names = {"__name__": "__main__"}
for statement in module.body:
    code = compile(ast.Interactive([statement]), sys.argv[1], "single")
    exec(code, names)
"""
"""Runs a file statement by statement, as a notebook does: a value that nobody takes is shown."""


def run(*arguments: str, cwd: Path) -> str:
    """What a Python process prints; fails with its output if it fails."""
    environment = {k: v for k, v in os.environ.items() if k != "WALVEC_URI"}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs_and_leaves_one_store_behind(example: Path, tmp_path: Path) -> None:
    run(str(example), cwd=tmp_path)
    [store] = tmp_path.iterdir()
    assert (store / "log" / "data.mdb").exists()


def test_the_quickstart_is_the_one_of_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    example = ast.parse((ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8"))
    assert ast.dump(ast.Module(example.body[1:], [])) == ast.dump(ast.parse(block))


def test_the_quickstart_finds_the_nearest_row(tmp_path: Path) -> None:
    number, distance, title = run(str(ROOT / "examples" / "quickstart.py"), cwd=tmp_path).split()
    assert (number, title) == ("1", "chess")
    assert float(distance) > 0.9


def test_the_follower_prints_every_change_of_the_rows(tmp_path: Path) -> None:
    shown = run(str(ROOT / "examples" / "follow_changes.py"), cwd=tmp_path)
    assert shown.splitlines() == ["5: new [1, 2]", "6: gone [1]", "0 changes behind"]


def test_the_orm_page_counts_five_entities(tmp_path: Path) -> None:
    shown = run("-c", NOTEBOOK, str(ROOT / "examples" / "seed_orm.py"), cwd=tmp_path)
    assert shown.splitlines()[-1] == "5"


def test_the_client_page_shows_what_its_comments_say(tmp_path: Path) -> None:
    example = ROOT / "examples" / "seed_client.py"
    shown = flat(run("-c", NOTEBOOK, str(example), cwd=tmp_path))
    comments = re.findall(
        r"^# (?!\d|It|The|#)(.*)$", example.read_text(encoding="utf-8"), re.MULTILINE
    )
    expected = [
        flat(text)
        for text in re.findall(r"\{.*?\n\}|\{'state.*?\}", "\n".join(comments), re.DOTALL)
    ]
    assert len(expected) == 4
    for text in expected:
        assert text in shown


@pytest.mark.skipif(shutil.which("strace") is None, reason="power cuts need strace")
def test_the_store_that_is_crash_tested_loses_notes_and_mended_keeps_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--runxfail"]
    done = subprocess.run(
        [*command, CRASH_TEST], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert re.search(r"acknowledged and lost: (add|clear)", done.stdout)
    assert re.search("crash_test_my_store:Notes/power/(ext4|posix)/", done.stdout)


def flat(text: str) -> str:
    """Without white space."""
    return re.sub(r"\s", "", text)


def test_the_debian_example_finds_its_store_at_the_second_run(tmp_path: Path) -> None:
    first = run(str(ROOT / "examples" / "debian.py"), cwd=tmp_path)
    second = run(str(ROOT / "examples" / "debian.py"), cwd=tmp_path)
    assert first == second
    assert "4000" in first
    assert "gnuchess" in first
