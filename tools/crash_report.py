"""The report of the crash laboratory: one HTML file that loads nothing, and a failure as text."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from walvec.crashlab.result import Failure, Result
from walvec.crashlab.tracing import TracingUnavailable
from walvec.wal.errors import ParamError

PLACE = "@DATA@"
MAX_SHOWN = 400
LOCAL = "<locals>"
"""In the name of a class that was made in a function."""


Runs = Sequence[tuple[str, Result]]
"""Results, each with a title, which is shown where there are several."""


def write_report(path: str | os.PathLike[str], runs: Runs) -> None:
    """Write the report of one or several runs. Its folder is made if it is missing."""
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(report_html(runs), encoding="utf-8")


def refuse_place(path: str | os.PathLike[str]) -> None:
    """Raise ParamError if no report can be written there: to be asked before a long run."""
    place = Path(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        was_there = place.exists()
        with place.open("a"):
            pass
        if not was_there:
            place.unlink()
    except OSError as error:
        message = f"the report cannot be written to {path}: {error.strerror}"
        raise ParamError(message=message) from error


def report_html(runs: Runs) -> str:
    """The report as text: the page of data/crash_report.html with the results in it."""
    page = files("walvec.tools").joinpath("data/crash_report.html").read_text(encoding="utf-8")
    before, after = page.split(PLACE)
    data = [{"title": title, **shown_data(result)} for title, result in runs]
    return f"{before}{_script_safe(data)}{after}"


def shown_data(result: Result) -> dict[str, Any]:
    """What the page shows, with the texts that repeat each failure."""
    data = result.to_data()
    for failure, shown in zip(result.failures, data["failures"], strict=True):
        shown["command"] = command_for(failure.plan)
        shown["test"] = pasteable_test(failure)
    return data


def _script_safe(data: Any) -> str:
    """JSON that cannot end the script element that it stands in: no "<" is left, and nothing
    beyond ASCII."""
    return json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")


def command_for(plan: str) -> str:
    """The command that repeats a plan."""
    if LOCAL in plan:
        return f"pytest {shlex.quote(f'--crash-plan={plan}')}"
    return f"walvec crashlab run {shlex.quote(f'--plan={plan}')}"


def pasteable_test(failure: Failure) -> str:
    """A test for pytest that repeats a failure, to be pasted into a file of tests."""
    # Several of them may be pasted into one file.
    words = (failure.level, failure.model, failure.during, failure.cut)
    name = re.sub(r"\W+", "_", "_".join(filter(None, words)).lower())
    # Nobody else can find a class that a function has made.
    adapter = failure.plan.split("/")[0].rpartition(".")[2] if LOCAL in failure.plan else ""
    more = f", {adapter}()" if adapter else ""
    return f"def test_{name}(crashlab):\n    crashlab.repeat({failure.plan!r}{more})\n"


def untraced(error: TracingUnavailable) -> str:
    """What is to be said where nothing can be recorded."""
    return f"the level power records with strace: {error}. The levels point and kill do without"


def failure_text(failure: Failure) -> str:
    """A failure for people: what is wrong, where it was stopped, and how it is repeated."""
    place = "/".join(filter(None, (failure.level, failure.model)))
    during = "with nothing" if failure.during == "between" else f"with {failure.during}"
    lines = [
        *failure.wrong,
        f"stopped      {failure.point} ({place}), {during} under way",
        f"operations   {', '.join(failure.ops)}",
    ]
    if failure.found:
        lines.append(f"found        {_short(failure.found)}")
    if failure.expected:
        lines.append(f"expected     {_short(failure.expected[0])}")
    if len(failure.expected) > 1:
        lines.append(f"             or one of {len(failure.expected) - 1} more")
    if failure.case:
        lines.append(f"case         {failure.case}")
    lines += [f"again        {command_for(failure.plan)}", "", pasteable_test(failure).rstrip()]
    return "\n".join(lines)


def _short(state: str) -> str:
    return state if len(state) <= MAX_SHOWN else f"{state[:MAX_SHOWN]}... (the report has it all)"
