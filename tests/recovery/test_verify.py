"""verify: silent on a sound store, and names every damage without stopping at the first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import damage
import lmdb
import pytest
from damage import BATCH, data_file, fill, flip, place, places, segment_files

from walvec import MilvusClient
from walvec.recovery import verify as verify_module
from walvec.recovery.report import ERROR, NOTE, WARNING, Finding, Pin, Report
from walvec.recovery.verify import verify
from walvec.segments.state import digest
from walvec.tools.info import store_info
from walvec.wal.errors import StoreUnusableException


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that no test changes."""
    folder = tmp_path_factory.mktemp("filled") / "store"
    fill(folder)
    return folder


@pytest.fixture
def docs(filled: Path, tmp_path: Path) -> Path:
    """A copy of it to be damaged."""
    return damage.copy_store(filled, tmp_path / "store")


def found(report: Report, severity: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.severity == severity]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but LMDB's reader table."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "lock.mdb"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


# A sound store


def test_a_sound_store_has_no_findings_and_is_not_changed(docs: Path) -> None:
    before = contents(docs)
    report = verify(docs)
    assert report.findings == []
    assert report.ok
    assert contents(docs) == before


def test_the_report_counts_what_is_there_and_says_what_was_compared(docs: Path) -> None:
    report = verify(docs)
    info = store_info(docs)
    assert report.rows == 4 * BATCH
    assert report.entries == report.last_seq == info["last_seq"] == len(places(docs))
    assert report.chain == info["chain"]
    assert report.state_digest == info["state_digest"]
    assert report.store_id == info["store_id"]
    assert report.log_bytes == data_file(docs).stat().st_size
    sizes = [path.stat().st_size for path in segment_files(docs)]
    assert (report.files, report.file_bytes) == (len(sizes), sum(sizes))
    assert len(sizes) == 2
    assert any("no pin was given" in line for line in report.compared)
    assert any(f"{3 * BATCH} rows in them with the log" in line for line in report.compared)


def test_a_store_that_is_open_for_writing_here_and_elsewhere_is_verified(docs: Path) -> None:
    with MilvusClient(docs) as client:
        client.insert("docs", damage.rows(1000, 1))
        assert verify(docs).findings == []


def test_a_store_being_written_all_the_time_has_no_errors_and_no_warnings(docs: Path) -> None:
    script = (
        "import sys, damage\nfrom walvec import MilvusClient\n"
        "client = MilvusClient(sys.argv[1])\nnumber = 10_000\n"
        "while True:\n    client.insert('docs', damage.rows(number, 5))\n"
        "    client.flush('docs')\n    number += 5\n    print(number, flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(damage.__file__).parent)}
    command = [sys.executable, "-c", script, str(docs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        reports = [verify(docs) for _ in range(3)]
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
    assert [found(r, ERROR) + found(r, WARNING) for r in reports] == [[], [], []]
    assert reports[0].last_seq < reports[-1].last_seq


def test_progress_ends_with_all_entries(docs: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = verify(docs, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (report.entries, report.entries)


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusableException, match="not a walvec store"):
        verify(tmp_path)


# Pins


def test_pins_of_chain_and_state_digest_hold_after_more_was_appended(docs: Path) -> None:
    info = store_info(docs)
    with MilvusClient(docs) as client:
        client.insert("docs", damage.rows(500, 1))
    for value in (info["chain"], info["state_digest"]):
        report = verify(docs, pins=[Pin(info["last_seq"], bytes.fromhex(value))])
        assert report.ok
        assert any(f"after seq {info['last_seq']} with a pin" in line for line in report.compared)


def test_a_log_replaced_as_a_whole_is_found_by_a_pin_alone(docs: Path, tmp_path: Path) -> None:
    info = store_info(docs)
    pin = Pin(info["last_seq"], bytes.fromhex(info["chain"]))
    fill(tmp_path / "other")
    assert verify(tmp_path / "other").ok
    [error] = found(verify(tmp_path / "other", pins=[pin]), ERROR)
    assert error.subject == f"log entry {pin.seq}"
    assert info["chain"] in error.what


def test_a_pin_beyond_the_end_is_an_error(docs: Path) -> None:
    [error] = found(verify(docs, pins=[Pin(10_000, bytes(16))]), ERROR)
    assert "10000" in error.what


# The log


@pytest.mark.parametrize("offset", [0, 5, 6, 16, 24, 32, 40, 56, 64, 80])
def test_a_flipped_bit_in_a_header_names_that_entry_alone(docs: Path, offset: int) -> None:
    entry = place(docs, "RowsInserted", 1)
    flip(data_file(docs), entry.start + offset)
    report = verify(docs)
    assert [e.subject for e in found(report, ERROR)] == [f"log entry {entry.seq}"]
    assert report.entries == len(places_by_seq(docs))
    assert report.state_seq == entry.seq - 1


def places_by_seq(folder: Path) -> list[int]:
    """The keys of the log, read past any damage."""
    with lmdb.open(str(folder / "log"), max_dbs=4, readonly=True) as env, env.begin() as txn:
        return [int.from_bytes(k, "big") for k, _ in txn.cursor(db=env.open_db(b"entries", txn))]


def test_a_flipped_bit_in_a_body_names_that_entry_alone(docs: Path) -> None:
    entry = place(docs, "RowsDeleted")
    flip(data_file(docs), entry.body + 3)
    [error] = found(verify(docs), ERROR)
    assert error.subject == f"log entry {entry.seq}"
    assert "chain" in error.what


def test_a_flipped_bit_in_a_payload_names_that_entry_and_the_fold_goes_on(docs: Path) -> None:
    entry = place(docs, "RowsInserted", 3)
    flip(data_file(docs), entry.payload + 100)
    report = verify(docs)
    [error] = found(report, ERROR)
    assert error.subject == f"log entry {entry.seq} (RowsInserted)"
    assert "payload" in error.what
    assert report.state_seq == report.last_seq


def test_an_intact_segment_file_with_the_rows_of_a_damaged_entry_is_named(docs: Path) -> None:
    entry = place(docs, "RowsInserted", 0)
    flip(data_file(docs), entry.payload + 100)
    report = verify(docs)
    [note] = found(report, NOTE)
    assert note.subject.endswith("columns.wvc")
    assert f"[{entry.seq}]" in note.what


def test_every_damaged_entry_is_named_and_not_only_the_first(docs: Path) -> None:
    first, second = place(docs, "RowsInserted", 0), place(docs, "RowsInserted", 2)
    last = place(docs, "RowsDeleted")
    flip(data_file(docs), first.start + 24)
    flip(data_file(docs), second.payload)
    flip(data_file(docs), last.body + 1)
    report = verify(docs)
    subjects = [error.subject.split(" (")[0] for error in found(report, ERROR)]
    assert subjects == [f"log entry {p.seq}" for p in (first, second, last)]
    assert report.state_seq == first.seq - 1


def test_a_missing_entry_is_named_and_the_ones_after_it_are_read(docs: Path) -> None:
    entry = place(docs, "RowsInserted", 1)
    total = len(places(docs))
    with lmdb.open(str(docs / "log"), max_dbs=4) as env:
        entries = env.open_db(b"entries")
        with env.begin(write=True) as txn:
            assert txn.delete(entry.seq.to_bytes(8, "big"), db=entries)
    report = verify(docs)
    [error] = found(report, ERROR)
    assert (error.subject, error.what) == (f"log entry {entry.seq}", "missing")
    assert report.entries == total - 1


def test_an_entry_of_a_newer_walvec_is_not_called_damage(docs: Path) -> None:
    with MilvusClient(docs) as client:
        client.release_collection("docs")
    entry = places(docs)[-1]
    rewrite_kind(docs, entry.seq, 999)
    [error] = found(verify(docs), ERROR)
    assert error.next_step == "use a newer walvec"


def rewrite_kind(folder: Path, seq: int, kind: int) -> None:
    """Give the last entry another kind, with a right chain."""
    from blake3 import blake3

    with lmdb.open(str(folder / "log"), max_dbs=4) as env:
        entries = env.open_db(b"entries")
        with env.begin(write=True) as txn:
            before = txn.get((seq - 1).to_bytes(8, "big"), db=entries)
            value = bytearray(txn.get(seq.to_bytes(8, "big"), db=entries))
            value[6:8] = kind.to_bytes(2, "little")
            length = int.from_bytes(value[12:16], "little")
            covered = before[80:96] + bytes(value[:80]) + bytes(value[96 : 96 + length])
            value[80:96] = blake3(covered).digest(16)
            txn.put(seq.to_bytes(8, "big"), bytes(value), db=entries)


def test_a_log_that_was_cut_off_is_reported_with_its_sizes(docs: Path) -> None:
    size = data_file(docs).stat().st_size
    os.truncate(data_file(docs), size - 8192)
    [error] = found(verify(docs), ERROR)
    assert error.subject == "log/data.mdb"
    assert str(size - 8192) in error.what


def test_a_file_that_is_not_lmdbs_is_reported(docs: Path) -> None:
    data_file(docs).write_bytes(b"x" * 100_000)
    [error] = found(verify(docs), ERROR)
    assert "not an LMDB file" in error.what


def test_damaged_pages_are_findings_and_this_process_lives_on(docs: Path) -> None:
    data = bytearray(data_file(docs).read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 16] = bytes(16)
    data_file(docs).write_bytes(data)
    errors = found(verify(docs), ERROR)
    assert any(error.subject == "log pages" for error in errors)


def test_a_checking_process_that_is_killed_is_a_finding(
    docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGBUS)"
    monkeypatch.setattr(verify_module, "INSPECTION", script)
    [error] = found(verify(docs), ERROR)
    assert "SIGBUS" in error.what


def test_a_checking_process_that_breaks_off_is_a_finding(
    docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_module, "INSPECTION", "raise ValueError('of ours')")
    [error] = found(verify(docs), ERROR)
    assert "ValueError: of ours" in error.what


def test_a_file_that_may_not_be_read_is_a_finding(
    docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A fault instead of a mode: tests may run as root, whom no mode stops.
    script = (
        "from walvec.recovery import inspection\n"
        "def refuse(*_): raise PermissionError(13, 'Permission denied', 'segments/4')\n"
        "inspection.inspect_files = refuse\n"
        "inspection.main()"
    )
    monkeypatch.setattr(verify_module, "INSPECTION", script)
    [error] = found(verify(docs), ERROR)
    assert (error.subject, error.what) == ("segments/4", "cannot be read")


# Segment files


@pytest.mark.parametrize("number", [0, 1], ids=["columns", "index"])
def test_a_segment_file_that_is_missing_cut_or_changed_is_a_warning(
    docs: Path, number: int
) -> None:
    path = segment_files(docs)[number]
    name = path.relative_to(docs).as_posix()
    size = path.stat().st_size
    flip(path, size // 2)
    [changed] = verify(docs).findings
    os.truncate(path, size - 1)
    [cut] = verify(docs).findings
    path.unlink()
    [missing] = verify(docs).findings
    assert {f.severity for f in (changed, cut, missing)} == {WARNING}
    assert {f.subject for f in (changed, cut, missing)} == {name}
    assert changed.what == "does not match its digest"
    assert cut.what == f"has {size - 1} bytes, not {size}"
    assert missing.what == "is missing"


def test_orphans_are_warnings_and_notes_while_a_writer_is_at_work(docs: Path) -> None:
    orphans = ["segments/ffff", f"{segment_files(docs)[0].parent.relative_to(docs)}/index-ff.bin"]
    with MilvusClient(docs) as client:
        client.list_collections()
        client.wait_for_files()
        make_orphans(docs, orphans)
        report = verify(docs)
        assert report.ok
        assert {note.subject for note in found(report, NOTE)} == set(orphans)
    report = verify(docs)
    assert {warning.subject for warning in found(report, WARNING)} == set(orphans)
    assert len(report.findings) == 2


def test_what_a_broken_off_build_leaves_is_a_note(docs: Path) -> None:
    draft = segment_files(docs)[0].with_name("columns.wvc.tmp")
    draft.touch(mode=0o600)
    [note] = verify(docs).findings
    assert note.severity == NOTE
    assert note.subject == draft.relative_to(docs).as_posix()


def make_orphans(folder: Path, names: list[str]) -> None:
    (folder / names[0]).mkdir(mode=0o700)
    (folder / names[1]).touch(mode=0o600)


def test_a_file_whose_digest_is_right_and_whose_rows_are_wrong_is_an_error(
    docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [columns] = [p for p in segment_files(docs) if p.name == "columns.wvc"]
    flip(columns, columns.stat().st_size - 70)
    script = (
        "from walvec.recovery import file_inspection, inspection\n"
        "from walvec.segments import files, state\n"
        "file_inspection._difference = lambda path, record: ''\n"
        "read = file_inspection.read_columns\n"
        "file_inspection.read_columns = lambda path, record, mapped: "
        "read(path, files.record_of(path), mapped=mapped)\n"
        "inspection.main()"
    )
    monkeypatch.setattr(verify_module, "INSPECTION", script)
    [error] = found(verify(docs), ERROR)
    assert "other rows than the log" in error.what


# Modes


def test_modes_that_let_others_in_are_warnings(docs: Path) -> None:
    columns = segment_files(docs)[0]
    docs.chmod(0o755)
    data_file(docs).chmod(0o644)
    columns.chmod(0o640)
    warnings = found(verify(docs), WARNING)
    assert [w.subject for w in warnings] == [
        str(docs.resolve()),
        "log/data.mdb",
        columns.relative_to(docs).as_posix(),
    ]
    assert [w.next_step for w in warnings] == ["chmod 700 it", "chmod 600 it", "chmod 600 it"]


def test_a_strange_file_is_a_note_and_a_link_a_warning(docs: Path, tmp_path: Path) -> None:
    (docs / "notes.txt").touch(mode=0o600)
    elsewhere = tmp_path / "elsewhere"
    columns = segment_files(docs)[0]
    columns.rename(elsewhere)
    columns.symlink_to(elsewhere)
    report = verify(docs)
    assert [f.subject for f in found(report, NOTE)] == ["notes.txt"]
    assert [f.what for f in found(report, WARNING)] == ["is a symbolic link"]


def test_the_state_digest_is_that_of_the_open_store(docs: Path) -> None:
    from walvec.recovery.open import open_store

    store = open_store(docs, read_only=True)
    live = store.with_state(digest).hex()
    store.close()
    assert verify(docs).state_digest == live
