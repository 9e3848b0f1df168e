"""What is said of a run of the crash laboratory in text: budgets, levels and lists of names."""

from __future__ import annotations

import re
from typing import NamedTuple

from walvec.wal.errors import ParamError

DEFAULT_BUDGET = "60s"
SECONDS = {"s": 1, "m": 60, "h": 3600}
BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)|(\d[\d_,]*)(?:\s*states)?")


class Budget(NamedTuple):
    """How long a run goes on: so many seconds, or so many distinct states; one is None."""

    seconds: float | None
    states: int | None


def budget_of(text: str | float) -> Budget:
    """The budget that "60s", "5m", "1h", "100000" or "100000 states" says; a number that is no
    text is of seconds. Raises ParamError."""
    if not isinstance(text, str):
        text = f"{text}s"
    match = BUDGET.fullmatch(text.strip())
    if match is None:
        raise ParamError(
            message=f"{text!r} is no budget: say a time as 60s, 5m or 1h, or a number of states as "
            "100000"
        )
    amount, unit, states = match.groups()
    budget = Budget(None, int(re.sub("[_,]", "", states))) if states else None
    budget = budget or Budget(float(amount) * SECONDS[unit], None)
    if not (budget.seconds or budget.states):
        raise ParamError(
            message=f"the budget {text!r} is nothing: there must be something to spend"
        )
    return budget


def names_of(said: str | list[str] | tuple[str, ...] | None) -> list[str] | None:
    """Names from "a,b" or ["a", "b,c"]; None where nothing was said."""
    if said is None:
        return None
    texts = [said] if isinstance(said, str) else said
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]
