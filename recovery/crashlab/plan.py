"""A plan: one line that says which state is to be judged, and repeats it.

    walvec+log-sync-false/power/ext4/create,insert/17.w5.n3.t2-512

adapter and mutant, level, model (of the level power alone), operations, cut. The cut's text is
the level's own.
"""

from __future__ import annotations

from typing import NamedTuple

from walvec.crashlab.disk import MODELS
from walvec.wal.errors import ParamError

POWER = "power"
LEVELS = ("point", "kill", POWER)


class Plan(NamedTuple):
    """What a line says. `mutant` and `model` are "" where there is none."""

    adapter: str
    mutant: str
    level: str
    model: str
    ops: tuple[str, ...]
    cut: str

    def __str__(self) -> str:
        who = f"{self.adapter}+{self.mutant}" if self.mutant else self.adapter
        how = f"{self.level}/{self.model}" if self.model else self.level
        # From the right, for an adapter may be a path.
        return f"{who}/{how}/{','.join(self.ops)}/{self.cut}"

    @classmethod
    def of(cls, text: str) -> Plan:
        """The plan of a line. Raises ParamError."""
        parts = text.strip().split("/")
        model = parts[-3] if len(parts) > 4 and parts[-3] in MODELS else ""
        head = "/".join(parts[: -4 if model else -3])
        if len(parts) < 4 or not head or parts[-4 if model else -3] not in LEVELS:
            raise ParamError(
                message=f"{text!r} is not a plan: ADAPTER[+MUTANT]/LEVEL[/MODEL]/OP,OP,.../CUT, "
                f"with a level of {', '.join(LEVELS)} and a model of {', '.join(MODELS)}"
            )
        level = parts[-4 if model else -3]
        if (level == POWER) != bool(model):
            raise ParamError(message=f"the plan {text!r} needs a model if its level is {POWER}")
        adapter, _, mutant = head.partition("+")
        return cls(
            adapter, mutant, level, model, tuple(filter(None, parts[-2].split(","))), parts[-1]
        )
