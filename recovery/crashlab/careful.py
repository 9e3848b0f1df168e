"""A careful user: runs a workload in which an error is raised at a failpoint, and goes on.

What he finds wrong with the handle he writes down; the folder is judged by others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from walvec.crashlab.adapter import Adapter, Op
from walvec.crashlab.judge import Judge, shown
from walvec.crashlab.stage import CLOSING, OPENING, PLACES, Marks, apply
from walvec.wal.failpoints import Countdown


class CarefulUser:
    """One run of a workload. `place` is what is under way, `wrong` what was found."""

    def __init__(
        self,
        adapter: Adapter,
        folder: Path,
        ops: Sequence[Op],
        further: Op,
        marks: Marks,
        countdown: Countdown,
    ) -> None:
        """further: what is done with a handle that works still, if nothing is left of `ops`.
        countdown: says whether and where the error was raised."""
        self.place = PLACES[OPENING]
        self.wrong: list[str] = []
        self._adapter = adapter
        self._folder = folder
        self._ops = tuple(ops)
        self._after = (*self._ops, further)
        self._marks = marks
        self._countdown = countdown
        self._judge = Judge(adapter)

    def work(self) -> None:
        """Open the store, do what there is to do, close it.

        Raises what the store raises before the error was raised in it.
        """
        self._marks.attempt(OPENING)
        try:
            handle = self._adapter.open(self._folder)
        except BaseException:
            if not self._countdown.fired:
                raise
            # It is not open, as he was told, and nothing of it may be in the way.
            try:
                handle = self._adapter.open(self._folder)
            except BaseException as error:
                self._say([f"opening it once more failed with {type(error).__name__}: {error}"])
                return
        self._marks.ack(OPENING)
        acked, tried = self._apply_all(handle)
        if self._countdown.fired:
            kept = self._look(handle, acked, tried)
            if kept is not None:
                self._go_on(handle, kept)
        self._close(handle)

    def _apply_all(self, handle: Any) -> tuple[int, int]:
        """How many operations were acknowledged, and how many tried: one more if one failed."""
        for op in self._ops:
            self.place = op.name
            try:
                self._apply(handle, op)
            except BaseException:
                if not self._countdown.fired:
                    raise
                return op.number - 1, op.number
        return len(self._ops), len(self._ops)

    def _apply(self, handle: Any, op: Op) -> None:
        apply(self._adapter, handle, op, self._marks)

    def _look(self, handle: Any, acked: int, tried: int) -> int | None:
        """How many operations the handle's state is the result of; None if it is of no use."""
        try:
            found = self._adapter.state(handle)
            self._say(self._adapter.check(handle))
        except BaseException as error:
            self._say_unless_reopen("reading from it", error)
            return None
        for kept in dict.fromkeys((tried, acked)):
            if self._judge.state_after(self._ops[:kept]) == found:
                return kept
        if found not in self._adapter.between(self._ops[:tried]):
            wanted = " or ".join(
                shown(self._judge.state_after(self._ops[:kept]))
                for kept in dict.fromkeys((acked, tried))
            )
            self._say([f"it shows {shown(found)} instead of {wanted}"])
        return None

    def _go_on(self, handle: Any, kept: int) -> None:
        """Do what comes next."""
        more = self._after[kept]
        try:
            self._apply(handle, more)
            found = self._adapter.state(handle)
        except BaseException as error:
            self._say_unless_reopen(f"the next operation ({more.name})", error)
            return
        wanted = self._judge.state_after(self._after[: kept + 1])
        if found != wanted:
            self._say([f"{more.name} left {shown(found)} instead of {shown(wanted)}"])

    def _close(self, handle: Any) -> None:
        before = self._countdown.fired
        self.place = PLACES[CLOSING]
        self._marks.attempt(CLOSING)
        try:
            self._adapter.close(handle)
        except BaseException as error:
            if not self._countdown.fired:
                raise
            if before:
                self._say_unless_reopen("closing it", error)
            return
        self._marks.ack(CLOSING)

    def _say_unless_reopen(self, what: str, error: BaseException) -> None:
        if not isinstance(error, self._adapter.reopen_errors):
            self._say(
                [
                    f"{what} failed with {type(error).__name__}: {error}, which does not say that "
                    "it has to be opened again"
                ]
            )

    def _say(self, what: Sequence[str]) -> None:
        where = self._countdown.fired
        self.wrong += [f"the handle, after the error at {where}: {text}" for text in what]
