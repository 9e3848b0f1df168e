"""What the small adapters have in common: stores of rows, each a number and a text."""

from __future__ import annotations

from collections.abc import Sequence

from walvec.crashlab.adapter import Adapter, Op

TEXT_LENGTH = 300
"""Three rows take more than a sector of 512 bytes, so that a write of them can be torn."""


class RowAdapter(Adapter):
    """A store of rows. `put` adds one, `put3` three at once, `delete` takes away what the
    operation before it has added, all or nothing each."""

    commands = ("put", "put3", "delete")

    def may_follow(self, names: Sequence[str], name: str) -> bool:
        """A delete comes after what has added rows."""
        return name != "delete" or (bool(names) and names[-1] != "delete")

    def model(self, ops: Sequence[Op]) -> dict[int, str]:
        """The rows, by their numbers."""
        rows: dict[int, str] = {}
        for op in ops:
            change(rows, changes_of(op))
        return rows


def changes_of(op: Op) -> dict[int, str | None]:
    """What an operation changes: the new text of rows by their numbers, None for no more row."""
    if op.name == "delete":
        return dict.fromkeys(_numbers(op.number - 1, 3))
    wanted = _numbers(op.number, 3 if op.name == "put3" else 1)
    return {number: f"{number} " * (TEXT_LENGTH // len(f"{number} ")) for number in wanted}


def _numbers(operation: int, n: int) -> range:
    return range(10 * operation, 10 * operation + n)


def change(rows: dict[int, str], changes: dict[int, str | None]) -> None:
    """Do to rows what an operation changes."""
    for number, text in changes.items():
        if text is None:
            rows.pop(number, None)
        else:
            rows[number] = text
