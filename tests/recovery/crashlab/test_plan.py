"""Plans and case folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from walvec.crashlab.adapter import workload
from walvec.crashlab.cases import is_case, kept_cases, load_case, save_case
from walvec.crashlab.judge import Expectation, Verdict
from walvec.crashlab.plan import Plan
from walvec.wal.errors import ParamError

PLANS = [
    Plan("walvec", "", "power", "ext4", ("create", "insert"), "17.w5.n3.t2-512>3.w0.n0"),
    Plan("walvec", "log-sync-false", "kill", "", ("create",), "call:pwrite64@7"),
    Plan("a/path/to/store.py:Mine", "", "point", "", (), "3"),
]


@pytest.mark.parametrize("plan", PLANS, ids=[p.level for p in PLANS])
def test_the_line_of_a_plan_is_the_plan(plan: Plan) -> None:
    assert Plan.of(str(plan)) == plan


def test_a_plan_is_short_text() -> None:
    assert str(PLANS[1]) == "walvec+log-sync-false/kill/create/call:pwrite64@7"


@pytest.mark.parametrize(
    "text",
    [
        *("", "walvec", "walvec/power/create/1.w0.n0", "walvec/kill/ext4/create/1"),
        *("walvec/steal/create/1", "/kill/create/1", "walvec/power/ntfs/create/1.w0.n0"),
    ],
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ParamError, match="plan"):
        Plan.of(text)


def test_a_case_comes_back_from_its_folder(tmp_path: Path) -> None:
    image, cases = tmp_path / "image", tmp_path / "cases"
    (image / "log").mkdir(parents=True)
    (image / "log/data").write_bytes(b"x")
    ops = workload(("create", "insert"))
    expectation = Expectation(ops[:1], 0, 1, 1, (("3", "ab"),))
    verdict = Verdict(("lost",), -1, "[]", ("[1]",))
    folder = save_case(cases, PLANS[0], image, "the trace", expectation, verdict)
    (found,) = kept_cases(cases)
    assert (found.folder, found.plan, found.expectation) == (folder, PLANS[0], expectation)
    assert (found.image / "log/data").read_bytes() == b"x"
    assert found.notes["wrong"] == ["lost"]
    assert save_case(cases, PLANS[0], image, "", expectation, verdict) == folder
    assert len(list(kept_cases(cases))) == 1


def test_a_folder_that_is_no_case_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamError, match="is not a case"):
        load_case(tmp_path)
    (tmp_path / "case.json").write_text(json.dumps({"plan": "nonsense"}))
    (tmp_path / "image").mkdir()
    assert is_case(tmp_path)
    with pytest.raises(ParamError, match="is not a"):
        load_case(tmp_path)
