"""The fault cases: each ends as it must, and would not for a store that breaks its promise."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from walvec.crashlab import fault_store, mounts
from walvec.crashlab.adapter import Op
from walvec.crashlab.fault_run import FaultFailed, FaultRun, FaultSkipped
from walvec.crashlab.fault_store import EXPECTED, opened
from walvec.crashlab.faults import FAULTS, run_fault, run_faults
from walvec.crashlab.injection import each_call_failing
from walvec.crashlab.walvec_adapter import WalvecAdapter
from walvec.crashlab.walvec_hand import Hand
from walvec.wal import reader_lock
from walvec.wal.errors import LockTimeoutException


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ends_in_a_clear_error_or_full_service(name: str) -> None:
    (result,) = run_faults([name])
    if result["skipped"]:
        pytest.skip(result["outcome"])
    assert result["ok"], f"{result['what']}\n{result['outcome']}"
    assert result["outcome"]


class Forgetful(WalvecAdapter):
    """Acknowledges an operation that it does not do."""

    def apply(self, handle: Hand, op: Op) -> None:
        if op.number != 3:
            super().apply(handle, op)


class Wrong(WalvecAdapter):
    """Reads one text of a row wrongly."""

    def state(self, handle: Hand) -> Any:
        state = super().state(handle)
        for collection in state["collections"].values():
            for row in list(collection["rows"] or ())[:1]:
                collection["rows"][row] = (*collection["rows"][row][:2], "wrong")
        return state


class Unclear(WalvecAdapter):
    """Lets an error of the system through."""

    def apply(self, handle: Hand, op: Op) -> None:
        try:
            super().apply(handle, op)
        except Exception as error:
            raise OSError("something with the disk") from error


@pytest.mark.parametrize(
    ("adapter", "wrong"),
    [
        (Forgetful(), "instead of"),
        (Wrong(), "instead of"),
        (Unclear(), "no error of walvec"),
    ],
)
def test_a_store_that_breaks_its_promise_fails_a_case(
    tmp_path: Path, adapter: WalvecAdapter, wrong: str
) -> None:
    result = run_fault("enospc-file-size-limit", 0, tmp_path, adapter=adapter)
    assert not result["ok"] and not result["skipped"]
    assert wrong in result["outcome"]


@pytest.fixture
def lab(tmp_path: Path) -> FaultRun:
    """What a case is given."""
    return FaultRun(WalvecAdapter(), 0, tmp_path)


def test_a_child_that_dies_or_hangs_or_raises_is_a_failure(lab: FaultRun) -> None:
    with pytest.raises(FaultFailed, match="SIGKILL"):
        lab.in_child(lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(FaultFailed, match=r"ValueError\(.*'what was wrong'"):
        lab.in_child(lambda: int("what was wrong"))
    assert lab.ended(signal.pause, deadline_s=1).signal == signal.SIGALRM


def test_a_row_lost_or_a_file_not_made_again_is_no_full_service(lab: FaultRun) -> None:
    folder = fault_store.copied(lab.scratch / "store")

    def delete_a_row() -> None:
        with opened(folder, background=False) as store:
            store.delete([7])

    lab.in_child(delete_a_row)
    with pytest.raises(FaultFailed, match=r"lost \[7\]"):
        lab.in_child(lambda: fault_store.require_full_service(folder))
    rest = {key: text for key, text in EXPECTED.items() if key != 7}
    lab.in_child(lambda: fault_store.require_full_service(folder, rest))


def test_every_call_of_a_kind_fails_once_and_no_other(lab: FaultRun) -> None:
    def work(number: int) -> list[str]:
        said = []
        for n in range(3):
            try:
                os.mkdir(lab.scratch / f"{number}-{n}")  # noqa: PTH102
                said.append("made")
            except OSError as error:
                said.append(error.strerror)
        return said

    try:
        turns = each_call_failing(lab, "mkdir", "EDQUOT", work)
    except FaultSkipped as reason:
        pytest.skip(str(reason))
    *turns, last = turns
    assert (last.call, last.ended.value) == ("", ["made"] * 3)
    assert [turn.number for turn in turns] == [1, 2, 3]
    for turn in turns:
        wanted = ["Disk quota exceeded" if n == turn.number else "made" for n in (1, 2, 3)]
        assert turn.ended.value == wanted
        assert turn.call.endswith("(INJECTED)") and "mkdir" in turn.call


def test_without_strace_a_case_is_skipped_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run_fault("eio-on-sync", 0, tmp_path)
    assert result["skipped"]
    assert "strace" in result["outcome"]


def test_a_case_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no fault case earthquake"):
        run_fault("earthquake", 0, tmp_path)
    with pytest.raises(ValueError, match="no fault case earthquake"):
        run_faults(["earthquake"])


def test_a_handle_that_may_write_waits_for_commits_while_the_medium_is_read_only(
    lab: FaultRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fault_store.copied(lab.scratch / "store")
    monkeypatch.setattr(reader_lock, "TIMEOUT_S", 0.05)

    def read_beside_a_commit() -> bool:
        lock = os.open(folder / "writer.lock", os.O_RDONLY)
        mounts.mount_read_only(folder)
        with opened(folder, background=False) as store:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                with store.store.log.reading():
                    return False
            except LockTimeoutException:
                return True

    try:
        assert lab.in_child(read_beside_a_commit)
    except FaultSkipped as reason:
        pytest.skip(str(reason))
