"""The plugin for pytest: the marker `crash`, the fixture `crashlab`, and three options.

    def test_my_store_keeps_what_it_acknowledges(crashlab):
        crashlab.run(MyStore())

pytest imports this in every run, of whatever project: so what it needs of walvec it imports when
a test asks for it.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from walvec.tools.crash_fixture import Crashlab

DEFAULT_BUDGET = "10s"
MARKER = (
    "crash(*, level, model, ops, length, budget, seed, mutant, max_failures): how crashlab.run() "
    "tries a store in this test, where the call does not say it"
)
PLAN, BUDGET, REPORT = "--crash-plan", "--crash-budget", "--crash-report"
results_key = pytest.StashKey[list[tuple[str, Any]]]()
"""Tests and what the laboratory found in them, in the order in which they were run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    group = parser.getgroup("crashlab", "crash laboratory (walvec)")
    group.addoption(
        BUDGET, metavar="B", help="for each crash test: a time (20s, 5m) or a number of states"
    )
    group.addoption(
        PLAN,
        metavar="LINE",
        help="repeat the one state of this plan; other crash tests are skipped",
    )
    group.addoption(REPORT, metavar="FILE", help="write an HTML report of all crash tests")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and refuse options that mean nothing before any test is run."""
    config.addinivalue_line("markers", MARKER)
    config.stash[results_key] = []
    if config.getoption(BUDGET) is None and config.getoption(PLAN) is None:
        return
    from walvec.tools.crash_fixture import refuse_options

    refuse_options(config.getoption(BUDGET), config.getoption(PLAN))


@pytest.fixture
def crashlab(request: pytest.FixtureRequest) -> Iterator[Crashlab]:
    """The crash laboratory: `run(adapter)` tries a store, `repeat(plan)` one state again."""
    from walvec.tools.crash_fixture import Crashlab

    marker = request.node.get_closest_marker("crash")
    config = request.config
    yield Crashlab(
        request.node.nodeid,
        {} if marker is None else dict(marker.kwargs),
        config.stash[results_key],
        budget=config.getoption(BUDGET),
        plan=config.getoption(PLAN),
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report; a worker of xdist hands its results to the process that started it."""
    config = session.config
    results = config.stash[results_key]
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output["crashlab"] = pickle.dumps(results)
        return
    if results and config.getoption(REPORT) is not None:
        from walvec.tools.crash_report import write_report

        write_report(config.getoption(REPORT), results)
    if _is_unrepeated(config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_unrepeated(config: pytest.Config) -> bool:
    """Whether a plan was to be repeated that no test knew."""
    return config.getoption(PLAN) is not None and not config.stash[results_key]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of xdist is done: take its results."""
    found = getattr(node, "workeroutput", {}).get("crashlab")
    if found is not None:
        node.config.stash[results_key].extend(pickle.loads(found))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was tried, and where the report is."""
    results = config.stash[results_key]
    if _is_unrepeated(config):
        plan = config.getoption(PLAN)
        terminalreporter.write_line(f"crashlab: no crash test is of the store of {plan}", red=True)
    if results:
        states = sum(result.states for _, result in results)
        report = config.getoption(REPORT)
        where = f", report: {report}" if report is not None else ""
        terminalreporter.write_line(
            f"crashlab: {states:,} distinct states in {len(results)} runs{where}"
        )
