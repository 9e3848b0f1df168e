"""The comparison itself: what counts as a disagreement, and how it is told."""

from __future__ import annotations

import enum
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from peer import state_of, wait_until

from differential.case import ANYTHING, Case, Differs
from differential.compare import disagreement
from differential.lite import TESTS, Lite, absent
from differential.outcome import Answer, Outcome, Refused, plain, refusal
from walvec.wal.errors import CollectionNotExistException


def told(ours: Any, theirs: Any, differs: Differs | None = None, code: int | None = None) -> str:
    def outcome(value: Any) -> Outcome:
        return value if isinstance(value, Refused) else Answer(value)

    return disagreement(Case("a", lambda _: None, differs, code), outcome(ours), outcome(theirs))


@pytest.mark.parametrize(
    "value", [None, 1, 1.5, "a", [1, [2.0]], {"a": {"b": b"x"}}, float("nan"), float("inf")]
)
def test_the_same_value_agrees(value: Any) -> None:
    assert not told(value, value)


def test_floats_agree_within_the_tolerance() -> None:
    assert not told([1.00000001], [1.0])
    assert "[0]" in told([1.01], [1.0])


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (1, 2, "1 against 2"),
        (1, 1.0, "int 1 against float 1.0"),
        (1, True, "int 1 against bool True"),
        ([1], [1, 2], "1 items against 2"),
        ({"a": 1}, {"b": 1}, "only in the first ['a']"),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "['a'][1]['b']"),
        (1, Refused(6), "one answered and the other refused"),
        (Refused(1100), 1, "one answered and the other refused"),
    ],
)
def test_a_difference_is_told_with_its_place(ours: Any, theirs: Any, said: str) -> None:
    assert said in told(ours, theirs)


def test_both_refusing_agrees_where_milvus_lite_has_no_code_of_its_own() -> None:
    assert not told(Refused(1100), Refused(6))
    assert not told(Refused(1804), Refused(1))
    assert not told(Refused(None, "TypeError"), Refused(None, "TypeError"))


def test_codes_of_milvus_must_be_the_same() -> None:
    assert not told(Refused(100), Refused(100))
    assert "Milvus' is 100" in told(Refused(1100), Refused(100))
    assert "code 101" in told(Refused(100), Refused(1), code=101)


def test_walvec_falling_over_is_no_refusal() -> None:
    assert "fell over" in told(Refused(None, "KeyError"), Refused(6))
    assert "none for a wrong call" in told(Refused(1001), Refused(6))


def test_a_declared_difference_is_checked_on_both_sides() -> None:
    differs = Differs([1], Refused(1100), "why", "where")
    assert not told(Refused(1100), [1], differs)
    assert "milvus-lite does not do" in told(Refused(1100), [2], differs)
    assert "walvec does not do" in told([1], [1], differs)
    assert not told([1], Refused(6), Differs(Refused(6), ANYTHING, "why", "where"))


def test_a_declared_difference_that_is_gone_is_told() -> None:
    assert "take the Differs away" in told([1], [1], Differs([1], [1], "why", "where"))


def test_values_become_plain_data() -> None:
    class Kind(enum.IntEnum):
        A = 1

    value = {"a": (numpy.float32(0.5), Kind.A), "seq": 7, "b": {2, 1}}
    assert plain(value) == {"a": [0.5, "<A>"], "b": [1, 2]}
    with pytest.raises(TypeError, match="object"):
        plain(object())


def test_errors_are_told_by_code_and_class() -> None:
    assert refusal(CollectionNotExistException(message="no c")) == Refused(
        100, "CollectionNotExistException", "no c"
    )
    assert refusal(KeyError("k")) == Refused(None, "KeyError", "'k'")


@pytest.mark.skipif(bool(absent()), reason="no milvus-lite")
@pytest.mark.xdist_group("differential")
def test_the_process_of_milvus_lite_ends_with_its_parent(tmp_path: Path) -> None:
    code = f"""
import sys; sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from differential.lite import Lite
lite = Lite(Path({str(tmp_path)!r}))
lite.send("collections.load_states"); lite.receive()
print(lite._process.pid)
"""
    pid = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    wait_until(lambda: state_of(pid) in ("", "Z"), f"process {pid} ends")


def test_a_process_that_was_never_asked_is_never_started(tmp_path: Path) -> None:
    assert Lite(tmp_path).close() == 0
