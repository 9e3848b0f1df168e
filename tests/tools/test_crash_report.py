"""The report of the crash laboratory: one file that loads nothing, and says what was found."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from walvec.crashlab.result import Failure, Result, Step, Timeline
from walvec.tools.crash_report import (
    command_for,
    failure_text,
    pasteable_test,
    report_html,
    write_report,
)

CHROMIUM = shutil.which("chromium")
NASTY = "</script><script>document.title='no'</script>\u2028\u2029<!-- & 'quoted' \"twice\""
PLAN = "plain/power/ext4/put/6.w0.n1"


def failed(**changes: Any) -> Result:
    """A run with one failure, on a timeline of its own."""
    steps = [
        Step(1, "try", "", number=0),
        Step(2, "create", "rows.log"),
        Step(3, "ack", "", number=0),
        Step(4, "try", "", number=1),
        Step(5, "write", "rows.log", size=300, durable_at=7),
        Step(6, "ack", "", number=1),
        Step(7, "datasync", "rows.log"),
        Step(8, "rename", "rows.log", "old.log"),
        Step(9, "truncate", "old.log", offset=10),
        Step(10, "sync-all", ""),
    ]
    failure = Failure(
        *(PLAN, "power", "ext4", ["put"], "after write rows.log", "between", "6.w0.n1"),
        **{
            "wrong": ["acknowledged and lost: put (1)"],
            "found": "{1: 'a'}",
            "expected": ["{1: 'a', 2: 'b'}", "{}"],
            "timeline": 0,
            "at": 6,
            "case": "cases/1",
            **changes,
        },
    )
    result = Result("plain", "0.1.0", 7, levels=["power"], models=["ext4"])
    result.timelines = [Timeline(["put"], "power", "ext4", steps, {5: (3, 0), 6: (4, 1)})]
    result.failures = [failure]
    result.tries = 4
    result.count("power/ext4", "after write rows.log", "between", True)
    result.faults = [{"name": "eio", "what": "EIO", "ok": True, "outcome": "told", "seconds": 0.5}]
    result.mutants = {"ack-early": {"power": "caught after 3 states, 0.1 s", "kill": ""}}
    return result


def data_in(page: str) -> Any:
    """The data that a page carries."""
    [text] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(text)


def test_the_report_carries_everything_that_the_laboratory_says() -> None:
    result = failed()
    [data] = data_in(report_html([("here", result)]))
    shown = data["failures"][0]
    assert data.pop("title") == "here"
    assert shown.pop("command") == f"walvec crashlab run --plan={PLAN}"
    assert PLAN in shown.pop("test")
    assert data == json.loads(json.dumps(result.to_data()))


def test_nothing_in_the_data_ends_the_script_or_becomes_markup() -> None:
    result = failed(wrong=[NASTY], found=NASTY)
    page = report_html([("", result)])
    [data] = data_in(page)
    assert data["failures"][0]["wrong"] == [NASTY]
    assert page.count("</script>") == report_html([("", failed())]).count("</script>")
    assert not {"\u2028", "\u2029"} & set(page)
    assert "innerHTML" not in page


def test_the_page_loads_nothing() -> None:
    page = report_html([("", failed())])
    assert "default-src 'none'" in page
    addresses = set(re.findall(r"\w+://[^\"'\s]*", page))
    assert addresses == {"http://www.w3.org/2000/svg"}, "the name of SVG is no address to load from"
    assert not re.search(r"<link|<img|\bsrc=|@import|url\((?!#)", page)


def test_the_folder_of_the_report_is_made(tmp_path: Path) -> None:
    write_report(tmp_path / "build" / "crash.html", [("", failed())])
    assert (tmp_path / "build" / "crash.html").read_text(encoding="utf-8").startswith("<!DOCTYPE")


def test_a_failure_in_words_has_the_plan_and_a_test_that_compiles() -> None:
    [failure] = failed().failures
    text = failure_text(failure)
    assert text.startswith("acknowledged and lost: put (1)\n")
    assert f"--plan={PLAN}" in text and "cases/1" in text
    names: dict[str, Any] = {}
    exec(pasteable_test(failure), names)
    called = []
    names["test_power_ext4_between_6_w0_n1"](type("Lab", (), {"repeat": called.append}))
    assert called == [PLAN]


def test_a_plan_that_a_shell_would_change_is_quoted() -> None:
    plan = "my store.py:A/power/ext4/put/6>2.w1"
    assert command_for(plan) == f"walvec crashlab run '--plan={plan}'"


def seen_by_a_browser(page: Path, script: str, place: str = "") -> Any:
    """What a script that is run in the drawn page gives, as JSON can hold it."""
    text = page.read_text(encoding="utf-8")
    told = f"setTimeout(() => {{ document.title = JSON.stringify((() => {{ {script} }})()); }}, 50)"
    changed = page.with_name("changed.html")
    changed.write_text(text.replace("</body>", f"<script>{told}</script></body>"))
    command = f"{CHROMIUM} --headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
    command += " --disable-background-networking --disable-component-update --disable-sync"
    command += f" --user-data-dir={page.parent / 'profile'} --virtual-time-budget=2000 --dump-dom"
    done = subprocess.run(
        [*command.split(), f"{changed.as_uri()}{place}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
    )
    [title] = re.findall(r"<title>(.*?)</title>", done.stdout.partition("<body")[0])
    return json.loads(html.unescape(title))


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not there")
def test_a_browser_draws_it_and_a_red_cross_opens_its_failure(tmp_path: Path) -> None:
    passed = failed()
    passed.failures, passed.failed_states = [], 0
    nasty = failed(wrong=[NASTY])
    page = tmp_path / "crash.html"
    write_report(page, [("fine", passed), ("bad", nasty)])
    script = """
      const cross = document.querySelector("svg a");
      cross.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
      const key = new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true });
      document.getElementById("scroll").dispatchEvent(key);
      const texts = (query) => [...document.querySelectorAll(query)].map((e) => e.textContent);
      return {
        run: document.getElementById("run").value, verdict: texts(".verdict"),
        wrong: texts(".details .wrong li"), difference: texts(".details pre.fold div"),
        readout: texts("#readout"), lanes: texts("#labels div"), link: cross.getAttribute("href"),
        hatched: document.querySelectorAll('#scroll rect[fill="url(#hatch)"]').length,
        cells: texts("td.bad"),
      };
    """
    seen = seen_by_a_browser(page, script)
    assert seen["run"] == "1", "the one that failed comes first"
    assert seen["verdict"] == ["✗ 1 state failed"]
    assert seen["wrong"] == [NASTY]
    assert seen["difference"] == ["- {1: 'a', 2: 'b'}", "+ {1: 'a'}"]
    assert seen["readout"][0].startswith("Step 5: write to rows.log, 300 B at 0, durable from step")
    assert seen["lanes"] == ["operations", "rows.log", "old.log", "crashes tried"]
    assert seen["link"] == "#run-1-failure-0"
    assert seen["hatched"] == 1
    assert seen["cells"] == ["✗ 1 of 1"]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not there")
def test_a_browser_draws_a_run_of_which_nothing_was_recorded(tmp_path: Path) -> None:
    page = tmp_path / "crash.html"
    write_report(page, [("", Result("walvec", "0.1.0", 0))])
    script = "return [...document.querySelectorAll('.verdict, h2')].map((e) => e.textContent);"
    assert seen_by_a_browser(page, script) == ["nothing was tried"]
