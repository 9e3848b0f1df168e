"""Every example of api/FILTERS.md does what the page says, through a client."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from walvec import MilvusClient
from walvec.wal.errors import ExpressionException

PAGE = Path(__file__).resolve().parents[3] / "api" / "FILTERS.md"
SAMPLE = re.compile(r"(\d+) of (\d+)")


def tables() -> Iterator[list[str]]:
    """The cells of every row of every table, with the heads of their columns before them."""
    head: list[str] = []
    for line in PAGE.read_text(encoding="utf-8").split("\n"):
        if not line.startswith("|"):
            head = []
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\|)\|(?!\|)", line)[1:-1]]
        if not head:
            head = cells
        elif set(cells[0]) != {"-"}:
            yield [" ".join(head), *cells]


EXAMPLES = list(tables())
FINDING = [row for row in EXAMPLES if row[0].startswith("filter finds")]
TEMPLATES = [row for row in EXAMPLES if row[0] == "filter params finds"]
REFUSED = [row for row in EXAMPLES if row[0] == "filter why"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusClient]:
    """The page's own code, run."""
    code = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    path = tmp_path_factory.mktemp("page") / "filters.db"
    names: dict[str, Any] = {}
    exec(code.replace('"filters.db"', repr(str(path))), names)
    yield names["client"]
    names["client"].close()


def ids(client: MilvusClient, text: str, params: Any = None) -> list[int]:
    rows = client.query("shop", filter=text, filter_params=params or {}, output_fields=["id"])
    return sorted(row["id"] for row in rows)


def test_the_page_has_examples_of_every_kind() -> None:
    assert len(FINDING) > 60
    assert len(TEMPLATES) > 3
    assert len(REFUSED) > 5


@pytest.mark.parametrize(("text", "finds"), [row[1:3] for row in FINDING])
def test_an_example_finds_what_the_page_says(client: MilvusClient, text: str, finds: str) -> None:
    found = ids(client, text.strip("`"))
    sample = SAMPLE.fullmatch(finds)
    if sample is None:
        assert found == [int(number) for number in finds.split(", ") if number]
    else:
        assert len(found) == int(sample[1])
        assert found == ids(client, text.strip("`"))


@pytest.mark.parametrize(("text", "params", "finds"), [row[1:4] for row in TEMPLATES])
def test_a_template_finds_what_the_page_says(
    client: MilvusClient, text: str, params: str, finds: str
) -> None:
    found = ids(client, text.strip("`"), json.loads(params.strip("`")))
    assert found == [int(number) for number in finds.split(", ")]


@pytest.mark.parametrize(("text", "why"), [row[1:3] for row in REFUSED])
def test_what_the_page_says_is_refused(client: MilvusClient, text: str, why: str) -> None:
    with pytest.raises(ExpressionException, match=re.escape(why)):
        ids(client, text.strip("`"))
