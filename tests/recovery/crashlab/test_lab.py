"""The laboratory as a whole: it finds what is wrong, tells it so that it can be repeated, and finds
nothing where nothing is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from walvec import crashlab
from walvec.crashlab import lab
from walvec.crashlab.adapter import workload
from walvec.crashlab.cases import kept_cases, save_case
from walvec.crashlab.judge import Expectation, Verdict
from walvec.crashlab.plain_adapter import HEAD, PlainAdapter, SyncedFileAdapter
from walvec.crashlab.plan import Plan
from walvec.crashlab.row_adapter import changes_of
from walvec.wal.errors import ParamError


def run(adapter: Any, **more: Any) -> Any:
    """A run that ends by itself."""
    return lab.run(adapter, **{"budget_s": 60.0, **more})


def test_a_plain_file_is_found_out_and_what_is_told_is_small_and_repeats(tmp_path: Path) -> None:
    result = run("plain", levels=["power"], cases=tmp_path, max_failures=1, seed=3)
    assert not result.ok
    (failure,) = result.failures
    assert len(failure.ops) == 1
    assert failure.wrong[0].startswith(("acknowledged and lost", "what is found", "reading it"))
    again = lab.run_plan(failure.plan)
    assert [(f.plan, f.wrong) for f in again.failures] == [(failure.plan, failure.wrong)]
    (case,) = kept_cases(tmp_path)
    assert str(case.folder) == failure.case
    assert case.notes["wrong"] == failure.wrong
    assert str(case.plan) == failure.plan
    assert (case.folder / "trace.gz").stat().st_size > 0


def test_the_workload_of_what_was_kept_is_tried_first(tmp_path: Path) -> None:
    names = ("put3", "put", "put3")
    plan = Plan("plain-fsync", "", "power", "ext4", names, "3.w0.n0")
    image, verdict = tmp_path / "image", Verdict(("lost",))
    image.mkdir()
    expectation = Expectation(workload(names), 1, 1)
    save_case(tmp_path / "cases", plan, image, "", expectation, verdict)
    result = run("plain-fsync", levels=["power"], cases=tmp_path / "cases", states=30)
    assert next(t.ops for t in result.timelines) == list(names)
    assert result.ok


def test_the_same_seed_tries_the_same() -> None:
    other = run("plain-fsync", levels=["power"], ops=["put", "put3"], seed=10)
    same = run("plain-fsync", levels=["power"], ops=["put", "put3"], seed=10)
    assert (other.matrix, other.tries) == (same.matrix, same.tries)


def test_every_short_workload_is_tried_before_random_ones() -> None:
    result = run("plain-fsync", levels=["power"], length=1, models=["ext4"], states=150)
    assert result.complete == 1
    assert result.complete_by_level == {"power": 1}


def test_a_store_of_one_operation_is_done_before_its_budget() -> None:
    class OfOne(SyncedFileAdapter):
        commands = ("put",)

    result = run(OfOne(), levels=["power"], models=["ext4"])
    assert result.ok
    assert result.complete == 3
    assert result.seconds < 30


def test_a_failure_that_only_some_operations_show_is_shrunk_to_them() -> None:
    class Forgetful(SyncedFileAdapter):
        """The third operation in a row is not synced."""

        name = "forgetful"

        def apply(self, handle: Any, op: Any) -> None:
            if op.number >= 3:
                text = json.dumps(changes_of(op)).encode()
                os.write(handle, HEAD.pack(len(text), crc32(text)) + text)
            else:
                super().apply(handle, op)

    names = ["put", "put", "put", "put", "put"]
    result = run(Forgetful(), levels=["power"], ops=names, max_failures=1)
    (failure,) = result.failures
    assert failure.ops == ["put", "put", "put"]
    cut = Plan.of(failure.plan).cut
    again = lab.run_plan(failure.plan, adapter=Forgetful())
    assert [f.cut for f in again.failures] == [cut]


@pytest.mark.parametrize("honest", [True, False])
def test_a_store_may_promise_later_and_must_keep_what_it_says(honest: bool) -> None:
    class Lazy(SyncedFileAdapter):
        """Syncs with every second operation, and then promises both."""

        name = "lazy"
        promises_later = True

        def apply(self, handle: Any, op: Any) -> None:
            text = json.dumps(changes_of(op)).encode()
            os.write(handle, HEAD.pack(len(text), crc32(text)) + text)
            if op.number % 2 == 0:
                os.fsync(handle)
            if op.number % 2 == 0 or not honest:
                crashlab.ack(op)

    result = run(Lazy(), levels=["power"], ops=["put"] * 5, max_failures=1)
    lost = [line for f in result.failures for line in f.wrong if line.startswith("acknowledged")]
    assert bool(lost) is not honest
    assert result.ok is honest


def test_a_run_that_fails_without_a_crash_is_a_finding() -> None:
    class Broken(PlainAdapter):
        def apply(self, handle: Any, op: Any) -> None:
            raise OSError("out of order")

    for models in (["kill"], ["ext4", "posix"]):
        result = run(Broken(), levels=["power"], ops=["put"], models=models)
        assert "out of order" in "".join(result.failures[0].wrong)


def test_walvec_has_no_findings_at_any_level() -> None:
    result = run("walvec", ops=["create", "insert", "delete"], budget_s=12.0)
    assert result.ok, result.failures
    assert set(result.matrix) == {"point", "kill", "power/kill", "power/ext4", "power/posix"}
    assert result.limits == ["log/lock.mdb is written through a map, which is not seen"]


def test_a_result_is_json() -> None:
    result = run("plain", levels=["power"], ops=["put"], max_failures=1)
    data = json.loads(json.dumps(result.to_data()))
    assert data["ok"] is False
    assert data["failures"][0]["timeline"] >= 0
    timeline = data["timelines"][data["failures"][0]["timeline"]]
    assert [step["at"] for step in timeline["steps"]] == list(range(1, len(timeline["steps"]) + 1))


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ({"levels": ["steal"]}, "'steal' is not one of point, kill, power"),
        ({"models": ["ntfs"]}, "'ntfs' is not one of kill, ext4, posix"),
        ({"ops": ["fly"]}, "walvec has no operation 'fly'"),
        ({"ops": ["create", "create"]}, "the operation create cannot follow create"),
        ({"mutant": "x-man"}, "there is no mutant 'x-man'"),
    ],
)
def test_what_cannot_be_is_refused(wish: dict[str, Any], text: str) -> None:
    with pytest.raises(ParamError, match=text):
        lab.run("walvec", **wish)


@pytest.mark.parametrize("commands", [(), "put", ("put/x",), ("put,x",), ("",), (1,)])
def test_operations_that_no_plan_can_name_are_refused(commands: Any) -> None:
    class Odd(SyncedFileAdapter):
        pass

    Odd.commands = commands
    with pytest.raises(ParamError, match="operation"):
        run(Odd())


def test_a_class_in_place_of_an_adapter_is_refused() -> None:
    with pytest.raises(ParamError, match="is not an adapter"):
        run(SyncedFileAdapter)


def test_no_more_states_fail_than_there_are() -> None:
    result = run("plain", levels=["power"], ops=["put", "put3", "put"])
    assert 0 < result.failed_states <= result.states


def test_a_place_where_no_case_can_be_kept_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ParamError, match="no case can be kept in"):
        lab.run("plain", cases=tmp_path / "file")


def test_an_adapter_that_is_none_is_refused() -> None:
    with pytest.raises(ParamError, match="there is no adapter 'oracle'"):
        lab.run("oracle")


@pytest.mark.parametrize("cut", ["1", "999999.w0.n0"])
def test_a_plan_that_cannot_be_repeated_is_refused(cut: str) -> None:
    with pytest.raises(ParamError, match="cannot be repeated"):
        lab.run_plan(f"plain/power/ext4/put/{cut}")
