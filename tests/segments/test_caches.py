"""The sweep removes what no segment wants, and nothing that somebody is making."""

from __future__ import annotations

from pathlib import Path

import pytest

from walvec.segments.build_lock import BuildLock
from walvec.segments.caches import remove_all, sweep

WANTED = {"5": {"columns.wvc", "index-3.bin"}}


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    """Segment 5 with a wanted file, a half made one and one of a dropped index; segment 6."""
    for name in ("5/columns.wvc", "5/index-3.bin.77-0.tmp", "5/index-9.bin", "6/columns.wvc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(segments: Path) -> list[str]:
    return sorted(str(p.relative_to(segments)) for p in segments.rglob("*"))


def locked(folder: Path) -> BuildLock:
    lock = BuildLock.take(folder)
    assert lock is not None
    return lock


def test_what_no_segment_wants_is_removed(segments: Path) -> None:
    (segments / "7").write_bytes(b"a file where a folder should be")
    assert sweep(segments, lambda: WANTED) is False
    assert names(segments) == ["5", "5/columns.wvc"]


def test_a_segment_at_work_is_left_alone_and_swept_later(segments: Path) -> None:
    before = names(segments)
    with locked(segments / "5"), locked(segments / "6"):
        assert sweep(segments, lambda: WANTED) is True
        assert names(segments) == before
    assert sweep(segments, lambda: WANTED) is False
    assert names(segments) == ["5", "5/columns.wvc"]


def test_a_segment_with_nothing_to_remove_is_not_locked(segments: Path) -> None:
    sweep(segments, lambda: WANTED)
    with locked(segments / "5"):
        assert sweep(segments, lambda: WANTED) is False


def test_what_is_made_after_the_listing_stays_though_the_state_is_older(segments: Path) -> None:
    def wanted() -> dict[str, set[str]]:
        # Another process seals, and makes files, after this one has listed the folder.
        (segments / "8").mkdir()
        (segments / "8" / "columns.wvc").write_bytes(b"x")
        (segments / "5" / "index-a.bin").write_bytes(b"x")
        return WANTED

    sweep(segments, wanted)
    assert names(segments) == ["5", "5/columns.wvc", "5/index-a.bin", "8", "8/columns.wvc"]


def test_the_state_is_asked_for_after_the_listing(segments: Path) -> None:
    # What is listed was committed before: a state from then on knows it.
    sweep(segments, lambda: {p.name: {"columns.wvc"} for p in segments.iterdir()})
    assert names(segments) == ["5", "5/columns.wvc", "6", "6/columns.wvc"]


def test_all_is_removed_and_counted(segments: Path) -> None:
    assert remove_all(segments) == (4, 4)
    assert list(segments.iterdir()) == []
