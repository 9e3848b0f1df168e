"""A few hundred cases on walvec and on milvus-lite: same code, same answers, same refusals."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import walvec
from differential import lite
from differential.case import Side
from differential.cases import CASES
from differential.compare import disagreement
from differential.outcome import memory_folder

pytestmark = pytest.mark.xdist_group("differential")  # one server for all


def required() -> bool:
    return sys.platform == "linux" or "CI" in os.environ


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=memory_folder()) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def peer(folder: Path) -> Iterator[lite.Lite]:
    if lite.absent() and not required():
        pytest.skip(f"no milvus-lite on {sys.platform}: {lite.absent()}")
    assert not lite.absent(), f"{lite.absent()}: pip install --group dev"
    process = lite.Lite(folder)
    yield process
    assert process.close() == 0


@pytest.fixture(scope="module")
def ours(folder: Path) -> Iterator[Side]:
    side = Side(walvec, str(folder / "store"))
    yield side
    side.close()


@pytest.mark.parametrize("id", CASES)
def test_walvec_answers_as_milvus_lite_or_as_the_document_says(
    id: str, ours: Side, peer: lite.Lite
) -> None:
    case = CASES[id]
    peer.send(id)
    walvec_did = ours.run(case)
    found = disagreement(case, walvec_did, peer.receive())
    assert not found, f"\n{found}"


def test_there_are_a_few_hundred_cases() -> None:
    assert len(CASES) >= 300
