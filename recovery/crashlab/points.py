"""The level "point": an error is raised at a failpoint, in process, and the store is used on.

Whoever gets the error goes on as a careful user does. He asks the same handle what the store
holds: the state after the acknowledged operations, with or without the one that failed; or the
handle says by one of the adapter's `reopen_errors` that it has to be opened again. If it can
tell, he does what comes next with it. Then he closes it, which must not fail. What is left in the
folder is judged like that of any other crash.

All this is in a child, so that the laboratory's process has no part in it. Cuts are
"error@3": at the third arrival at any of the adapter's failpoints an OSError(EIO); "memory@3": a
MemoryError; "interrupt@3": a KeyboardInterrupt, as of Ctrl-C.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NoReturn

from walvec.crashlab.adapter import Adapter, Op
from walvec.crashlab.careful import CarefulUser
from walvec.crashlab.judge import Expectation
from walvec.crashlab.level import Crash, Level
from walvec.crashlab.stage import Marks, during, fork_child, frozen_chance
from walvec.crashlab.stopping import Board, Stopped, refuse_impossible, set_deadline
from walvec.wal.failpoints import ACTIONS, Action, arm_any


def _raise_memory_error(name: str) -> NoReturn:
    raise MemoryError(f"failpoint {name}")


def _raise_interrupt(name: str) -> None:
    # Python gives it to the main thread, whoever else runs.
    if threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt(f"failpoint {name}")


ERRORS: dict[str, Action] = {
    "error": ACTIONS["error"],
    "memory": _raise_memory_error,
    "interrupt": _raise_interrupt,
}
CUT = re.compile(rf"({'|'.join(ERRORS)})@([1-9]\d*)")
MAX_ARRIVALS = 5000
"""More than any workload has: a loop that gets there would never end."""


class PointLevel(Level):
    """Errors at failpoints."""

    name = "point"

    def __init__(self, adapter: Adapter, seed: int) -> None:
        super().__init__(adapter, seed)
        self._points = sorted(adapter.failpoints)
        if not self._points:
            self.limits.append("no error was raised at a failpoint: the adapter names none")

    def crashes(self, ops: Sequence[Op], scratch: Path) -> Iterator[tuple[Crash, Path]]:
        """Raise each error at the first, the second, ... arrival, until there are no so many.

        Raises ValueError for failpoints that do not exist.
        """
        refuse_impossible(self._points)
        if not self._points:
            return
        for kind in ERRORS:
            for at in count(1):
                assert at < MAX_ARRIVALS, "the failpoints are arrived at without end"
                folder = Path(tempfile.mkdtemp(prefix="point-", dir=scratch))
                crash, arrivals = self._run(ops, kind, at, folder)
                if not crash.point:
                    for name in arrivals:
                        self.passed[name] = self.passed.get(name, 0) + 1
                    if not crash.wrong:
                        shutil.rmtree(folder)
                        break
                yield crash, folder
                if not crash.point:
                    return  # The workload fails without an error that was raised.

    def repeat(self, ops: Sequence[Op], cut: str, folder: Path) -> Crash:
        """Raise that error at that arrival once more.

        Raises ValueError for a cut that is not one or is not reached: where threads work in the
        background that may be chance.
        """
        refuse_impossible(self._points)
        match = CUT.fullmatch(cut)
        if match is None:
            raise ValueError(f"{cut!r} is no cut: {', '.join(ERRORS)}, each with @N, are")
        crash, arrivals = self._run(ops, match[1], int(match[2]), folder)
        if not crash.point and not crash.wrong:
            raise ValueError(
                f"the cut {cut} was not reached: the workload arrives {len(arrivals)} times at a "
                "failpoint; where threads work in the background, that may be chance"
            )
        return crash

    def _run(
        self, ops: Sequence[Op], kind: str, at: int, folder: Path
    ) -> tuple[Crash, tuple[str, ...]]:
        """The crash, whose point is "" where it was not reached, and the arrivals before it."""
        ops = tuple(ops)
        further = Op(self.adapter.further([op.name for op in ops]), len(ops) + 1)
        board = Board()

        def act(marks: Marks) -> None:
            set_deadline()
            struck: list[str] = []

            def strike(name: str) -> None:
                struck.append(user.place)
                ERRORS[kind](name)

            with frozen_chance(), arm_any(self._points, strike, at) as countdown:
                user = CarefulUser(self.adapter, folder, ops, further, marks, countdown)
                try:
                    user.work()
                finally:
                    board.write([countdown.fired, struck, countdown.arrivals, user.wrong])

        told, code = fork_child(act).bury()
        fired, struck, arrivals, wrong = board.read() or ("", [], [], [])
        ended = Stopped(told, code, f"failpoint {fired}" if fired else "")
        crash = Crash(
            f"{kind}@{at}",
            ended.point,
            struck[0] if struck else during(told, ops),
            Expectation(
                (*ops, further) if told.tried > len(ops) else ops,
                *(told.acked, told.tried, 0, told.fingerprints),
            ),
            (*wrong, *ended.wrong),
        )
        return crash, tuple(arrivals)
