"""Compare outcomes: what must agree, and how a disagreement reads."""

from __future__ import annotations

import math
from typing import Any

from differential.case import ANYTHING, Case
from differential.outcome import Answer, Outcome, Refused, plain
from walvec.wal.errors import CallError

RELATIVE = 1e-4
ABSOLUTE = 1e-6
"""Tolerances of floats: the two sum in another order, in single precision."""

CODES = {
    4: {100},  # the codes of Milvus before 2.3, which milvus-lite still uses
    11: {700},
    35: {702},
    100: {100},
    101: {101},
    200: {200},
    700: {700},
}
"""A code of milvus-lite -> Milvus' codes for it today (its pkg/util/merr). milvus-lite and pymilvus
have no code of their own for most wrong arguments (1, 6): then both must refuse, and no more."""


def _codes(error: type[CallError]) -> set[int]:
    return {error.default_code}.union(*map(_codes, error.__subclasses__()))


CALLER = _codes(CallError) | {1601}  # 1601: an alias that is a collection's name
"""walvec's codes for what a caller can mend. Any other answer to a refused call is an accident."""


def disagreement(case: Case, walvec: Outcome, lite: Outcome) -> str:
    """What is wrong, in words; empty if nothing is."""
    found = (
        _undeclared(case, walvec, lite) if case.differs is None else _declared(case, walvec, lite)
    )
    return found and f"{found}\ncase {case.id}\n  walvec      {walvec}\n  milvus-lite {lite}"


def _undeclared(case: Case, walvec: Outcome, lite: Outcome) -> str:
    if not isinstance(walvec, Refused) or not isinstance(lite, Refused):
        return unlike(walvec, lite)
    if case.code is not None and walvec.code != case.code:
        return f"walvec should have refused with code {case.code}"
    return _refusals(walvec, lite)


def _declared(case: Case, walvec: Outcome, lite: Outcome) -> str:
    said = case.differs
    assert said is not None
    sides = (("walvec", walvec, said.walvec), ("milvus-lite", lite, said.lite))
    for side, outcome, expected in sides:
        if found := _unexpected(outcome, expected):
            return f"{side} does not do what the case says of it: {found}\nit says: {said.why}"
    if not _undeclared(case, walvec, lite):
        return "they agree now: take the Differs away"
    return ""


def _refusals(walvec: Refused, lite: Refused) -> str:
    if walvec.code is None and walvec.kind != "TypeError":
        return "walvec fell over instead of refusing"
    if walvec.code is not None and walvec.code not in CALLER:
        return f"walvec's code {walvec.code} is none for a wrong call"
    wanted = None if lite.code is None else CODES.get(lite.code)
    if wanted and walvec.code not in wanted:
        return f"the codes differ, Milvus' is {' or '.join(map(str, sorted(wanted)))}"
    return ""


def _unexpected(outcome: Outcome, expected: Any) -> str:
    if isinstance(expected, Refused):
        if not isinstance(outcome, Refused):
            return "it did not refuse"
        return "" if outcome.code == expected.code else f"its code is not {expected.code}"
    if expected is ANYTHING:
        return "" if isinstance(outcome, Answer) else "it refused"
    return unlike(outcome, Answer(plain(expected)))


def unlike(ours: Outcome, theirs: Outcome) -> str:
    """Where two outcomes differ first; empty if they do not."""
    if isinstance(ours, Answer) and isinstance(theirs, Answer):
        return _unlike(ours.value, theirs.value, "")
    return "" if type(ours) is type(theirs) else "one answered and the other refused"


def _unlike(ours: Any, theirs: Any, path: str) -> str:
    at = path or "the value"
    if isinstance(ours, float) and isinstance(theirs, float):
        same = math.isclose(ours, theirs, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
        same = same or (math.isnan(ours) and math.isnan(theirs))
        return "" if same else f"{at}: {ours!r} against {theirs!r}"
    if type(ours) is not type(theirs):
        return f"{at}: {type(ours).__name__} {ours!r} against {type(theirs).__name__} {theirs!r}"
    if isinstance(ours, dict):
        if ours.keys() != theirs.keys():
            only = sorted(map(str, ours.keys() - theirs.keys()))
            lacks = sorted(map(str, theirs.keys() - ours.keys()))
            return f"{at}: keys only in the first {only}, only in the second {lacks}"
        pairs = [(f"{path}[{key!r}]", ours[key], theirs[key]) for key in ours]
    elif isinstance(ours, list):
        if len(ours) != len(theirs):
            return f"{at}: {len(ours)} items against {len(theirs)}"
        pairs = [(f"{path}[{i}]", *both) for i, both in enumerate(zip(ours, theirs, strict=True))]
    else:
        return "" if ours == theirs else f"{at}: {ours!r} against {theirs!r}"
    return next((found for p, a, b in pairs if (found := _unlike(a, b, p))), "")
