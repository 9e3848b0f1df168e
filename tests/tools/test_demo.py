"""The demo: runs in under a minute, keeps what was acknowledged, touches no folder of others."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from walvec import MilvusClient
from walvec.recovery.verify import verify

pytestmark = pytest.mark.xdist_group("demo")


def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run walvec demo, which must end with this exit code."""
    command = [sys.executable, "-m", "walvec", "demo", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def without_numbers(text: str) -> str:
    return re.sub(r"[\d.,]+( [kM]?B)?|\s{2,}|[0-9a-f]{8,}\S*", "", text)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, float]:
    """A demo's folder, its output, and the seconds it took."""
    folder = tmp_path_factory.mktemp("demo") / "store"
    started = time.monotonic()
    output = run(folder).stdout
    return folder, output, time.monotonic() - started


def test_it_takes_less_than_a_minute(kept: tuple[Path, str, float]) -> None:
    assert kept[2] < 60


def test_it_answers_with_and_without_a_filter(kept: tuple[Path, str, float]) -> None:
    output = kept[1]
    question = '--- "approximate nearest neighbour search"'
    plain, filtered = (
        output.split(f"{question}{rest}\n")[1].split("---")[0]
        for rest in ("", ' where section == "libdevel"')
    )
    assert plain.split()[:5] == ["rank", "score", "package", "section", "summary"]
    assert re.search(r"^ *1 +0\.\d{3} +libann0 +libs ", plain, re.MULTILINE)
    assert re.search(r"^ *1 +0\.\d{3} +gnuchess +games ", output, re.MULTILINE)
    sections = [line.split()[3] for line in filtered.splitlines() if re.match(" *\\d", line)]
    assert set(sections) == {"libdevel"}


def test_it_shows_the_log_the_kill_and_the_release(kept: tuple[Path, str, float]) -> None:
    output = kept[1]
    for text in ("CollectionLoaded", "SegmentsSealed", "load state Loaded, as before"):
        assert text in output
    assert re.search(r"killed; it had acknowledged \d+ batches of \d+ rows", output)
    assert re.search(r"all [\d,]+ acknowledged rows are there", output)
    assert re.search(r"before load +\S+ [kM]B\n *loaded +\S+ [kM]B\n *released +\S+ [kM]B", output)


def test_its_store_is_sound_and_holds_every_acknowledged_row(
    kept: tuple[Path, str, float],
) -> None:
    folder, output, _ = kept
    match = re.search(r"batches of \d+ rows, ([\d,]+) rows", output)
    assert match is not None
    with MilvusClient(folder, read_only=True) as client:
        count = client.get_collection_stats("packages")["row_count"]
    assert count >= 4000 + int(match[1].replace(",", ""))
    assert verify(folder).ok


def test_a_second_run_in_its_folder_says_the_same_but_for_numbers(
    kept: tuple[Path, str, float],
) -> None:
    folder, output, _ = kept
    second = run(folder).stdout
    shared = [line for line in output.splitlines() if line.startswith(("---", "all ", "killed"))]
    for line in shared:
        assert without_numbers(line.split(", and")[0]) in without_numbers(second)


def test_without_a_folder_it_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    output = run().stdout
    assert str(tmp_path) in output.splitlines()[0]
    assert "is removed" in output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    done = run(tmp_path, code=1)
    assert done.stderr.startswith("walvec: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_store_of_somebody_is_refused_and_untouched(tmp_path: Path) -> None:
    with MilvusClient(tmp_path / "mine") as client:
        client.create_collection("packages", dimension=4)
    before = verify(tmp_path / "mine").chain
    assert "data of yours" in run(tmp_path / "mine", code=1).stderr
    assert verify(tmp_path / "mine").chain == before


def test_a_child_that_cannot_write_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from walvec.tools import demo

    monkeypatch.setattr(demo, "WRITER", "raise SystemExit(3)")
    with pytest.raises(demo.MilvusException, match="ended with 3"):
        demo._kill_a_writer(tmp_path, 0)
