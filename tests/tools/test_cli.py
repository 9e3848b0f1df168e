"""The command line, as a process of its own: output, exit codes, errors in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import damage
import pytest
from damage import BATCH, data_file, fill, flip, forget_checkpoints, place, segment_files

from walvec import MilvusClient, __version__
from walvec.tools import cli
from walvec.tools.log_lines import KINDS


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that no test changes: docs, and letters, which was called drafts and was dropped."""
    folder = tmp_path_factory.mktemp("filled") / "store"
    fill(folder)
    with MilvusClient(folder) as client:
        client.create_collection("drafts", dimension=damage.DIM)
        client.rename_collection("drafts", "letters")
        client.insert("letters", damage.rows(0, 3))
        client.drop_collection("letters")
        client.release_collection("docs")
    return folder


@pytest.fixture
def docs(filled: Path, tmp_path: Path) -> Path:
    """A copy of it to be damaged."""
    return damage.copy_store(filled, tmp_path / "store")


def walvec(*arguments: object, code: int = 0, module: str = "walvec") -> tuple[str, str]:
    """Output and errors of a run, which must end with this exit code."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def log(*arguments: object) -> list[dict[str, Any]]:
    """The lines of walvec log --json."""
    return [json.loads(line) for line in walvec("log", *arguments, "--json")[0].splitlines()]


# Help and usage


def test_the_version_is_the_packages() -> None:
    assert walvec("--version")[0] == f"walvec {__version__}\n"


def test_the_installed_command_and_the_module_are_the_same() -> None:
    command = Path(sys.executable).with_name("walvec")
    installed = subprocess.run([command, "--help"], check=True, capture_output=True, text=True)
    assert installed.stdout == walvec("--help")[0]


@pytest.mark.parametrize("command", ["demo", "info", "log", "verify", "rebuild"])
def test_every_command_is_in_the_help_and_has_its_own(command: str) -> None:
    assert f"    {command}" in walvec("--help")[0]
    assert f"usage: walvec {command}" in walvec(command, "--help")[0]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["break"],
        ["info"],
        ["log", "x", "--from", "0"],
        ["log", "x", "--tail", "-1"],
        ["log", "x", "--from", "5", "--to", "4"],
        ["verify", "x", "--pin", "7"],
        ["verify", "x", "--pin", "7:zz"],
    ],
)
def test_wrong_usage_is_exit_code_two(arguments: list[str]) -> None:
    out, errors = walvec(*arguments, code=2)
    assert out == ""
    assert errors.startswith("usage: walvec")


@pytest.mark.parametrize("command", ["info", "log", "verify", "rebuild"])
def test_a_folder_that_is_no_store_is_one_line_and_exit_code_one(
    command: str, tmp_path: Path
) -> None:
    out, errors = walvec(command, tmp_path / "none", code=1)
    assert out == ""
    assert errors.startswith("walvec: ")
    assert errors.count("\n") == 1
    assert "not a walvec store" in errors
    assert list(tmp_path.iterdir()) == []


# info


def test_info_says_what_a_store_holds(filled: Path) -> None:
    info = json.loads(walvec("info", filled, "--json")[0])
    assert info["damage"] is None
    assert len(bytes.fromhex(info["chain"])) == len(bytes.fromhex(info["state_digest"])) == 16
    assert info["log_bytes"] == data_file(filled).stat().st_size
    assert info["segments_bytes"] == sum(path.stat().st_size for path in segment_files(filled))
    [docs] = info["collections"]
    assert docs["name"] == "docs"
    assert docs["rows"] == 4 * BATCH - 2
    assert (docs["growing"], docs["sealed"]) == (1, 1)
    assert docs["load_state"] == "NotLoad"
    assert docs["file_bytes"] == info["segments_bytes"]
    assert docs["vector_bytes"] == 4 * BATCH * damage.DIM * 4 < docs["log_bytes"]
    [index] = docs["indexes"]
    assert (index["field"], index["metric_type"], index["built"], index["of"]) == (
        *("vector", "COSINE"),
        *(1, 1),
    )


def test_info_for_people_has_the_same_numbers(filled: Path) -> None:
    text = walvec("info", filled)[0]
    info = json.loads(walvec("info", filled, "--json")[0])
    for key in ("store_id", "chain", "state_digest"):
        assert info[key] in text
    [row] = [line.split() for line in text.splitlines() if line.startswith("docs ")]
    assert row[1:4] == [str(4 * BATCH - 2), "1", "1"]
    assert "\x1b" not in text


def test_info_works_while_another_process_writes_and_changes_nothing(docs: Path) -> None:
    with MilvusClient(docs) as client:
        client.load_collection("docs")
        client.insert("docs", damage.rows(900, 1))
        before = data_file(docs).read_bytes()
        [info] = json.loads(walvec("info", docs, "--json")[0])["collections"]
        assert data_file(docs).read_bytes() == before
    assert (info["rows"], info["load_state"]) == (4 * BATCH - 1, "Loaded")


def test_info_of_a_damaged_store_is_what_is_before_the_damage_and_exit_code_one(
    docs: Path,
) -> None:
    forget_checkpoints(docs)
    entry = place(docs, "RowsInserted", 2)
    flip(data_file(docs), entry.start + 24)
    info = json.loads(walvec("info", docs, "--json", code=1)[0])
    assert info["last_seq"] == entry.seq - 1
    assert f"entry {entry.seq}" in info["damage"]
    assert info["collections"][0]["rows"] == 2 * BATCH
    assert f"entry {entry.seq}" in walvec("info", docs, code=1)[0]


def test_info_names_damage_before_a_checkpoint_and_shows_the_whole_store(docs: Path) -> None:
    entry = place(docs, "RowsInserted", 2)
    before = json.loads(walvec("info", docs, "--json")[0])
    flip(data_file(docs), entry.start + 24)
    info = json.loads(walvec("info", docs, "--json", code=1)[0])
    assert info["last_seq"] == before["last_seq"] == info["checkpoints"][0]["seq"]
    assert (info["chain"], info["state_digest"]) == (before["chain"], before["state_digest"])
    assert f"entry {entry.seq}" in info["damage"]
    assert info["collections"][0]["rows"] is None


def test_info_shows_the_checkpoints(docs: Path) -> None:
    [newest, *_] = json.loads(walvec("info", docs, "--json")[0])["checkpoints"]
    assert f"checkpoints   at {newest['seq']} (" in walvec("info", docs)[0]
    forget_checkpoints(docs)
    assert "checkpoints   none" in walvec("info", docs)[0]


# log


def test_log_is_one_line_an_event_in_order(filled: Path) -> None:
    lines = log(filled)
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert {line["kind"] for line in lines} <= set(KINDS.values())
    assert [line["kind"] for line in lines[:2]] == ["StoreCreated", "CollectionCreated"]
    assert lines[-1]["digest"] == json.loads(walvec("info", filled, "--json")[0])["chain"]
    texts = walvec("log", filled)[0].splitlines()
    assert len(texts) == len(lines)
    for text, line in zip(texts, lines, strict=True):
        seq, time, kind, collection, rows, size, digest = text.split()[:7]
        assert (int(seq), time, kind, int(size)) == (
            *(line["seq"], line["time"], line["kind"]),
            line["bytes"],
        )
        assert collection == (line["collection"] or "-")
        assert rows == ("-" if line["rows"] is None else str(line["rows"]))
        assert line["digest"].startswith(digest)


def test_rows_bytes_and_payload_digest_are_those_of_the_payload(filled: Path) -> None:
    inserted = [line for line in log(filled) if line["kind"] == "RowsInserted"]
    assert [line["rows"] for line in inserted] == [BATCH] * 4 + [3]
    assert all(line["bytes"] > line["rows"] * damage.DIM * 4 for line in inserted)
    assert all(line["payload_digest"] for line in inserted)
    assert log(filled, "--kind", "storecreated")[0]["payload_digest"] is None


def test_from_to_and_tail_choose_lines(filled: Path) -> None:
    last = log(filled)[-1]["seq"]
    assert [line["seq"] for line in log(filled, "--from", 3, "--to", 5)] == [3, 4, 5]
    assert [line["seq"] for line in log(filled, "--tail", 2)] == [last - 1, last]
    assert [line["seq"] for line in log(filled, "--tail")] == list(range(last - 9, last + 1))
    assert [line["seq"] for line in log(filled, "--to", 5, "--tail", 1)] == [5]
    assert log(filled, "--from", last + 1) == []


def test_kinds_are_taken_in_any_case_and_together(filled: Path) -> None:
    lines = log(filled, "--kind", "rowsdeleted", "--kind", "ROWSINSERTED")
    assert {line["kind"] for line in lines} == {"RowsDeleted", "RowsInserted"}


def test_an_unknown_kind_is_refused_with_the_known_ones(filled: Path) -> None:
    errors = walvec("log", filled, "--kind", "RowsEaten", code=2)[1]
    assert "RowsEaten" in errors
    assert "RowsInserted" in errors


@pytest.mark.parametrize("name", ["drafts", "letters"])
def test_a_collection_is_found_by_every_name_it_had_and_shown_as_it_was_called(
    filled: Path, name: str
) -> None:
    lines = log(filled, "--collection", name)
    called = {line["kind"]: line["collection"] for line in lines}
    assert called["CollectionCreated"] == called["CollectionRenamed"] == "drafts"
    assert called["RowsInserted"] == called["CollectionDropped"] == "letters"
    assert len({line["collection_id"] for line in lines}) == 1


def test_an_unknown_collection_is_an_error_that_names_the_known_ones(filled: Path) -> None:
    errors = walvec("log", filled, "--collection", "dogs", code=1)[1]
    assert "dogs" in errors
    assert "docs, drafts, letters" in errors


def test_a_damaged_log_is_printed_up_to_the_damage(docs: Path) -> None:
    entry = place(docs, "RowsInserted", 2)
    flip(data_file(docs), entry.start + 24)
    for arguments in ([], ["--tail"], ["--collection", "docs"]):
        out, errors = walvec("log", docs, *arguments, code=1)
        assert int(out.splitlines()[-1].split()[0]) == entry.seq - 1
        assert errors.startswith(f"walvec: log entry {entry.seq} ")
        assert errors.count("\n") == 1


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(filled: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "walvec", "log", str(filled)]
    done = subprocess.run(command, check=False, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


# verify and rebuild


@pytest.mark.parametrize("stream", [">&-", "2>&-"])
@pytest.mark.parametrize("command", ["info", "log", "verify"])
def test_an_output_that_is_closed_is_no_failure(filled: Path, command: str, stream: str) -> None:
    line = f'"$1" -m walvec {command} "$2" {stream}'
    shell = ["sh", "-c", line, "sh", sys.executable, str(filled)]
    done = subprocess.run(shell, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_output_that_is_full_is_one_line_that_does_not_blame_the_store(filled: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "walvec", "info", filled],
            check=False, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "walvec: No space left on device\n")


def test_verify_of_a_sound_store_is_exit_code_zero(filled: Path) -> None:
    report = json.loads(walvec("verify", filled, "--json")[0])
    assert report["ok"] is True
    assert report["findings"] == []
    assert report["last_seq"] == len(log(filled))
    assert "no errors and no warnings" in walvec("verify", filled)[0]


def test_verify_prints_its_findings_and_is_exit_code_one(docs: Path) -> None:
    segment_files(docs)[0].unlink()
    entry = place(docs, "RowsInserted", 1)
    flip(data_file(docs), entry.payload)
    report = json.loads(walvec("verify", docs, "--json", code=1)[0])
    assert [f["severity"] for f in report["findings"]] == ["error", "warning"]
    text = walvec("verify", docs, code=1)[0]
    assert f"log entry {entry.seq}" in text
    assert "1 error, 1 warning\n" in text


def test_verify_with_a_pin_of_info_and_with_a_wrong_one(filled: Path) -> None:
    info = json.loads(walvec("info", filled, "--json")[0])
    walvec("verify", filled, "--pin", f"{info['last_seq']}:{info['chain']}")
    wrong = f"{info['last_seq']}:{info['store_id']}"
    assert "pinned" in walvec("verify", filled, "--pin", wrong, code=1)[0]


def test_rebuild_heals_what_verify_finds(docs: Path) -> None:
    for path in segment_files(docs):
        flip(path, 100)
    walvec("verify", docs, code=1)
    assert json.loads(walvec("rebuild", docs, "--json")[0])["files"] == 2
    walvec("verify", docs)
    out, errors = walvec("rebuild", docs)
    assert "made 2 files of 1 segments" in out
    assert errors == ""


# In process


def test_an_unreadable_folder_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied", "/store")

    monkeypatch.setattr(cli, "store_info", refuse)
    assert cli.main(["info", "/store"]) == 1
    assert capsys.readouterr().err == "walvec: /store: Permission denied\n"


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "store_info", interrupt)
    assert cli.main(["info", "/store"]) == 130
