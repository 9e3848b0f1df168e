"""Named points in the code where a test can stop the process or raise an error.

Armed in process with `arm()`, at any of several points with `arm_any()`, or for a child process
with the environment variable

    WALVEC_FAILPOINTS="commit.before=kill@3;build.before-rename=error"

which is read once at import: the third arrival at `commit.before` is a SIGKILL, the first at
`build.before-rename` an OSError(EIO). "stop" is a SIGSTOP: the process stays there until it is
sent SIGCONT, and goes on as if nothing had been. A name that does not exist is refused. A point
fires once and is then unarmed. One that has not fired when the process ends is named on
standard error. An unarmed point costs one look at an empty dictionary.

POINTS are walvec's own. Who brings code of their own registers their points and arrives at them:

    failpoints.register("mystore.before-rename")
    ...
    failpoints.hit("mystore.before-rename")
"""

from __future__ import annotations

import atexit
import errno
import itertools
import os
import re
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

POINTS = frozenset(
    {
        "create.half-made",
        "create.before-rename",
        "create.after-rename",
        "open.after-lock",
        "open.after-fold",
        "commit.begin",
        "commit.before",
        "commit.after",
        "publish.after",
        "side.before",
        "side.after",
        "build.after-lock",
        "build.after-columns",
        "build.before-rename",
        "build.after-rename",
        "build.after-persisted",
        "sweep.before",
        "sweep.after",
        "load.after-commit",
        "release.after-commit",
        "rebuild.after-delete",
        "checkpoint.before",
        "checkpoint.after",
    }
)
VARIABLE = "WALVEC_FAILPOINTS"
NAME = re.compile(r"[\w.-]+")

Action = Callable[[str], None]
"""What is done at a point, whose name it is given."""


def _kill(name: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(name: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise_error(name: str) -> None:
    raise OSError(errno.EIO, f"failpoint {name}")


ACTIONS: dict[str, Action] = {"kill": _kill, "stop": _stop, "error": _raise_error}


class Countdown:
    """Counts the arrivals at the points it is armed for, and acts at one of them.

    `arrivals` are the names of the points arrived at so far, in order; `fired` is the one where
    it acted, "" before that. Without an action it counts for as long as it is armed.
    """

    def __init__(self, action: Action | None, at: int) -> None:
        self.arrivals: list[str] = []
        self.fired = ""
        self._action = action
        self._at = at
        # Handed out by C code: two threads never get the same number.
        self._numbers = itertools.count(1)

    def arrive(self, name: str) -> None:
        """Count this arrival, and act if it is the one."""
        self.arrivals.append(name)
        if next(self._numbers) == self._at and self._action is not None:
            self.fired = name
            _disarm(self)
            self._action(name)


_points = set(POINTS)
_armed: dict[str, Countdown] = {}
_from_text: dict[str, Countdown] = {}
"""What arm_from has armed, by its text: nobody else looks whether it fires."""


def register(*names: str) -> None:
    """Make points of one's own known. Does nothing for those that are.

    Raises ValueError for a name that WALVEC_FAILPOINTS could not hold.
    """
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot name a failpoint: use letters, digits, '.', '-', '_'"
            )
    _points.update(names)


def registered() -> frozenset[str]:
    """The names of all points: walvec's and those that were registered."""
    return frozenset(_points)


def hit(name: str) -> None:
    """Arrive at a point. Does nothing unless it is armed.

    Raises OSError(EIO) where the armed action is "error".
    """
    if _armed:
        _arrive(name)


def _arrive(name: str) -> None:
    if name not in _points:
        raise ValueError(f"the code arrives at the failpoint {name}, which nobody has registered")
    countdown = _armed.get(name)
    if countdown is not None:
        countdown.arrive(name)


@contextmanager
def arm(name: str, action: str | Action = "error", at: int = 1) -> Iterator[None]:
    """Arm a point for its `at`-th arrival within the block.

    Raises ValueError for an unknown name or action, AssertionError if the point never fired.
    """
    with arm_any([name], action, at) as countdown:
        yield
        assert countdown.fired, f"failpoint {name} did not fire"


@contextmanager
def arm_any(
    points: Collection[str] | None = None, action: str | Action = "error", at: int = 1
) -> Iterator[Countdown]:
    """Arm points, all there are by default, for the `at`-th arrival at any of them in the block.

    Whether it fired, and where, the countdown says: a loop over `at` ends where it does not.
    Raises ValueError for an unknown name or action.
    """
    countdown = _arm(registered() if points is None else points, action, at)
    try:
        yield countdown
    finally:
        _disarm(countdown)


@contextmanager
def recorded(points: Collection[str] | None = None) -> Iterator[list[str]]:
    """The names of the points arrived at in the block, in order. Raises ValueError for an unknown
    name."""
    countdown = Countdown(None, 0)
    _put(registered() if points is None else points, countdown)
    try:
        yield countdown.arrivals
    finally:
        _disarm(countdown)


def unfired() -> list[str]:
    """The points that arm_from or WALVEC_FAILPOINTS has armed and that have not fired."""
    waiting = list(_armed.values())
    return [text for text, countdown in _from_text.items() if countdown in waiting]


def arm_from(text: str) -> None:
    """Arm the points of a WALVEC_FAILPOINTS text. Raises ValueError where it cannot be read."""
    for item in filter(None, text.split(";")):
        name, _, action = item.partition("=")
        action, _, at = action.partition("@")
        number = int(at) if at.strip().isdecimal() else 0 if at else 1
        _from_text[item] = _arm([name.strip()], action.strip(), number)


def _arm(points: Collection[str], action: str | Action, at: int) -> Countdown:
    known = ACTIONS.get(action) if isinstance(action, str) else action
    if known is None or at < 1:
        name = ", ".join(sorted(points))
        raise ValueError(
            f"no failpoint {name}={action}@{at}: the actions are {', '.join(ACTIONS)}, arrivals "
            "count from 1"
        )
    countdown = Countdown(known, at)
    _put(points, countdown)
    return countdown


def _put(points: Collection[str], countdown: Countdown) -> None:
    strangers = sorted(set(points) - _points)
    if strangers:
        raise ValueError(
            f"no failpoint {', '.join(strangers)}; there are {', '.join(sorted(_points))}"
        )
    _armed.update(dict.fromkeys(points, countdown))


def _disarm(countdown: Countdown) -> None:
    """Of a point that was armed anew meanwhile the newer one stays."""
    for name, other in list(_armed.items()):
        if other is countdown:
            _armed.pop(name, None)


def _say_unfired() -> None:
    """At the end of the process."""
    for text in unfired():
        print(
            f"walvec: the failpoint {text} never fired: the code did not get there", file=sys.stderr
        )


atexit.register(_say_unfired)
# A forked child has armed nothing of this: its parent will say it.
os.register_at_fork(after_in_child=_from_text.clear)
arm_from(os.environ.get(VARIABLE, ""))
