"""How far a run of the crash laboratory is: a bar on a terminal, a line now and then without."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from walvec.crashlab.result import Result
from walvec.tools.crash_options import Budget
from walvec.tools.tables import progress_bar

DRAWN_EVERY_S = 0.1
LINE_EVERY_S = 10.0


@contextmanager
def run_progress(budget: Budget) -> Iterator[Callable[[Result], None]]:
    """Call what it gives with the result so far, as often as there is one."""
    started = time.monotonic()
    told = started
    every = DRAWN_EVERY_S if sys.stderr.isatty() else LINE_EVERY_S
    with progress_bar("states") as bar:

        def tell(result: Result) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told < every:
                return
            told = now
            text = so_far(result, now - started)
            if not sys.stderr.isatty():
                print(text, file=sys.stderr, flush=True)
            elif budget.seconds is not None:
                bar(
                    int(min(now - started, budget.seconds)), int(budget.seconds), f"{text}; seconds"
                )
            else:
                bar(result.states, budget.states or 0, text)

        yield tell


def so_far(result: Result, seconds: float) -> str:
    """ "12,345 states, 812 a second, 0 failed"."""
    rate = result.states / max(seconds, 0.001)
    return f"{result.states:,} states, {rate:,.0f} a second, {result.failed_states:,} failed"
