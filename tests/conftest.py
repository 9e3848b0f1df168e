"""Fixtures of all tests: stores that are closed at the end, and closed without a trace."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import lab

from walvec.segments.store import Store

OpenStore = Callable[..., Store]

# The same examples in every run; WALVEC_TEST_RANDOM=1 looks for new ones, and prints the blob
# that repeats a failure.
hypothesis.settings.register_profile(
    "walvec",
    derandomize="WALVEC_TEST_RANDOM" not in os.environ,
    print_blob=True,
    deadline=None,
)
hypothesis.settings.load_profile("walvec")


def handles_into(folder: Path) -> list[str]:
    """What this process still has open or mapped below a folder. Empty where it cannot be told."""
    inside = str(folder.resolve()) + "/"
    found = []
    for link in Path("/proc/self/fd").glob("*"):
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue
        if target.startswith(inside):
            found.append(target)
    if os.path.exists("/proc/self/maps"):  # noqa: PTH110
        maps = Path("/proc/self/maps").read_text(errors="replace").splitlines()
        found += [line.split(maxsplit=5)[-1] for line in maps if inside in line]
    return found


@pytest.fixture
def open_store_at(tmp_path: Path) -> Iterator[OpenStore]:
    """open_store_at(name="store", read_only=False, **settings): closed at the end of the test,
    which fails if the process still has a file of it open or mapped."""
    opened: list[Store] = []

    def open_named(name: str = "store", **settings: object) -> Store:
        store = lab.open_at(tmp_path / name, **settings)  # type: ignore[arg-type]
        opened.append(store)
        return store

    yield open_named
    for store in opened:
        store.close()
    left = handles_into(tmp_path)
    opened.clear()
    assert not left, f"still open after close: {left}"


@pytest.fixture
def store(open_store_at: OpenStore) -> Store:
    """An empty store in tmp_path / "store"."""
    return open_store_at()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the tests were started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
