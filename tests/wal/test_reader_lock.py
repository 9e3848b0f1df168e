"""Reading on a medium without a reader table: no commit comes between, and none is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from walvec.wal import reader_lock
from walvec.wal.errors import LockTimeoutException
from walvec.wal.reader_lock import no_commit
from walvec.wal.writer_lock import WriterLock


def test_nobody_commits_while_such_a_reader_reads_and_readers_read_together(
    tmp_path: Path,
) -> None:
    lock = WriterLock(tmp_path / "writer.lock", 0)
    with lock.held():
        pass
    with no_commit(lock.path), no_commit(lock.path), pytest.raises(LockTimeoutException):
        lock.held().__enter__()
    with lock.held():
        pass
    lock.close()


def test_a_reader_waits_for_a_commit_and_names_the_store_if_it_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_lock, "TIMEOUT_S", 0.05)
    lock = WriterLock(tmp_path / "writer.lock", 0)
    with lock.held(), pytest.raises(LockTimeoutException, match=str(tmp_path)):
        no_commit(lock.path).__enter__()
    lock.close()


def test_a_store_that_was_never_written_here_has_no_lock_to_wait_for(tmp_path: Path) -> None:
    with no_commit(tmp_path / "writer.lock"):
        assert not list(tmp_path.iterdir())
