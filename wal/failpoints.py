"""Named points in the code where a test can stop the process or raise an error.

Armed in process with `arm()`, or for a child process with the environment variable

    WALVEC_FAILPOINTS="commit.before=kill@3;build.before-rename=error"

which is read once at import: the third arrival at `commit.before` is a SIGKILL, the first at
`build.before-rename` an OSError(EIO). "stop" is a SIGSTOP: the process stays there until it is
sent SIGCONT, and goes on as if nothing had been. A name that is not in POINTS is refused. An
unarmed point costs one look at an empty dictionary.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

POINTS = frozenset(
    {
        "create.before-rename",
        "create.after-rename",
        "commit.begin",
        "commit.before",
        "commit.after",
        "publish.after",
        "build.after-columns",
        "build.before-rename",
        "build.after-rename",
        "build.after-persisted",
        "load.after-commit",
        "release.after-commit",
        "rebuild.after-delete",
        "checkpoint.before",
        "checkpoint.after",
    }
)
ACTIONS = ("kill", "stop", "error")
VARIABLE = "WALVEC_FAILPOINTS"

_armed: dict[str, tuple[str, int]] = {}


def hit(name: str) -> None:
    """Arrive at a point. Does nothing unless it is armed.

    Raises OSError(EIO) where the armed action is "error".
    """
    if _armed:
        _arrive(name)


def _arrive(name: str) -> None:
    assert name in POINTS, name
    if name not in _armed:
        return
    action, remaining = _armed[name]
    if remaining > 1:
        _armed[name] = (action, remaining - 1)
        return
    del _armed[name]
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    raise OSError(errno.EIO, f"failpoint {name}")


@contextmanager
def arm(name: str, action: str = "error", at: int = 1) -> Iterator[None]:
    """Arm a point for its `at`-th arrival within the block.

    Raises ValueError for an unknown name or action, AssertionError if the point never fired.
    """
    _arm(name, action, at)
    try:
        yield
        assert name not in _armed, f"failpoint {name} did not fire"
    finally:
        _armed.pop(name, None)


def _arm(name: str, action: str, at: int) -> None:
    if name not in POINTS or action not in ACTIONS or at < 1:
        raise ValueError(f"no failpoint {name}={action}@{at}; points: {', '.join(sorted(POINTS))}")
    _armed[name] = (action, at)


def arm_from(text: str) -> None:
    """Arm the points of a WALVEC_FAILPOINTS text. Raises ValueError where it cannot be read."""
    for item in filter(None, text.split(";")):
        name, _, action = item.partition("=")
        action, _, at = action.partition("@")
        _arm(name.strip(), action.strip(), int(at or 1))


arm_from(os.environ.get(VARIABLE, ""))
