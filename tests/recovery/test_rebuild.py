"""rebuild: every segment file is deleted and made again, whatever its condition was."""

from __future__ import annotations

import logging
from pathlib import Path

import damage
import lab
import numpy as np
import pytest
from damage import data_file, fill, flip, place, segment_files

from walvec import MilvusClient
from walvec.recovery.rebuild import rebuild
from walvec.recovery.report import WARNING
from walvec.recovery.verify import verify
from walvec.wal.errors import (
    LogCorruptedException,
    StoreUnusableException,
)

QUERY = np.linspace(-1, 1, damage.DIM, dtype=np.float32)


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


def answer(folder: Path) -> list[tuple[int, float]]:
    """Ids and scores of a search, in a new handle."""
    with MilvusClient(folder) as client:
        return [(hit["id"], hit["distance"]) for hit in client.search("docs", [QUERY], limit=20)[0]]


def test_all_files_are_made_again_with_the_same_bytes(docs: Path) -> None:
    before = {path: path.read_bytes() for path in segment_files(docs)}
    segment_files(docs)[0].unlink()
    rebuilt = rebuild(docs)
    assert {path: path.read_bytes() for path in segment_files(docs)} == before
    assert rebuilt.segments == 1
    assert rebuilt.files == len(before) == 2
    assert rebuilt.file_bytes == sum(map(len, before.values()))
    assert rebuilt.deleted_files == 1
    assert rebuilt.failed == []
    assert verify(docs).findings == []


def test_scalar_indexes_are_verified_and_made_again_with_the_same_bytes(docs: Path) -> None:
    with MilvusClient(docs) as client:
        params = client.prepare_index_params()
        params.add_index("id", "STL_SORT")
        client.create_index("docs", params, sync=True)
    before = {path: path.read_bytes() for path in segment_files(docs)}
    (index,) = [path for path, content in before.items() if content.startswith(b"WVS1")]
    flip(index, index.stat().st_size // 2)
    (finding,) = verify(docs).findings
    assert index.name in finding.subject
    assert finding.severity == WARNING
    assert rebuild(docs).files == len(before) == 3
    assert {path: path.read_bytes() for path in segment_files(docs)} == before
    assert verify(docs).findings == []


def test_damaged_files_and_orphans_are_gone_and_answers_the_same(docs: Path) -> None:
    before = answer(docs)
    for path in segment_files(docs):
        flip(path, path.stat().st_size // 2)
    (docs / "segments" / "ffff").mkdir(mode=0o700)
    (docs / "segments" / "ffff" / "columns.wvc.tmp").touch(mode=0o600)
    (docs / "segments" / "stray").touch(mode=0o600)
    (segment_files(docs)[0].parent / "folder").mkdir(mode=0o700)
    assert not verify(docs).ok
    rebuild(docs)
    assert verify(docs).findings == []
    assert answer(docs) == before


def test_no_warning_is_logged_and_progress_ends_with_all_files(
    docs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[tuple[int, int]] = []
    with caplog.at_level(logging.WARNING, "walvec"):
        rebuild(docs, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (2, 2)
    assert caplog.messages == []


def test_the_segments_folder_may_be_missing(docs: Path) -> None:
    for path in segment_files(docs):
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    (docs / "segments").rmdir()
    assert rebuild(docs).files == 2
    assert verify(docs).findings == []


@pytest.mark.parametrize(
    "point", ["rebuild.after-delete", "build.after-columns", "build.after-rename"]
)
def test_a_rebuild_killed_at_any_point_costs_nothing_and_can_be_done_again(
    docs: Path, point: str
) -> None:
    before = answer(docs)
    code = "import sys; from walvec.recovery.rebuild import rebuild; rebuild(sys.argv[1])"
    killed = lab.run_child(code, docs, check=False, WALVEC_FAILPOINTS=f"{point}=kill")
    assert killed.returncode == -9, killed.stderr
    assert all(finding.severity == WARNING for finding in verify(docs).findings)
    # A search between the two is right, if slower: it scores every row.
    assert [pk for pk, _ in answer(docs)] == [pk for pk, _ in before]
    assert rebuild(docs).files == 2
    assert verify(docs).findings == []
    assert answer(docs) == before


@pytest.mark.parametrize("part", ["start", "payload"])
def test_a_damaged_log_is_refused_and_keeps_its_files(docs: Path, part: str) -> None:
    entry = place(docs, "RowsInserted", 1)
    flip(data_file(docs), getattr(entry, part) + 24)
    before = {path: path.read_bytes() for path in segment_files(docs)}
    with pytest.raises(LogCorruptedException, match=f"nothing was deleted.* entry {entry.seq} "):
        rebuild(docs)
    assert {path: path.read_bytes() for path in segment_files(docs)} == before


def test_a_folder_that_is_no_store_is_refused_and_not_made_one(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusableException):
        rebuild(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_file_in_the_place_of_a_segments_folder_is_replaced(docs: Path) -> None:
    folder = segment_files(docs)[0].parent
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.touch(mode=0o600)
    assert rebuild(docs).files == 2
    assert verify(docs).findings == []


def test_an_open_for_writing_sweeps_what_verify_calls_orphans(docs: Path) -> None:
    (docs / "segments" / "stray").touch(mode=0o600)
    (docs / "segments" / "ffff").mkdir(mode=0o700)
    assert not verify(docs).ok
    with MilvusClient(docs) as client:
        client.wait_for_files()
    assert verify(docs).findings == []
