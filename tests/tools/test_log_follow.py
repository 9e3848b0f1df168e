"""walvec log --follow: what is there, and what other processes do next, as they do it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import damage
import pytest

from walvec import MilvusClient

LONG_S = 30.0


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MilvusClient]:
    with MilvusClient(tmp_path / "store") as opened:
        opened.create_collection("docs", dimension=4)
        yield opened


@contextmanager
def following(folder: Path, *options: object) -> Iterator[subprocess.Popen[str]]:
    """A process that follows; killed at the end if it still runs."""
    command = [sys.executable, "-m", "walvec", "log", str(folder), "--follow", *map(str, options)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def next_lines(child: subprocess.Popen[str], number: int) -> list[str]:
    """So many lines, as soon as they are printed."""
    assert child.stdout is not None
    return [child.stdout.readline() for _ in range(number)]


def next_data(child: subprocess.Popen[str], number: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in next_lines(child, number)]


def insert(client: MilvusClient, number: int) -> int:
    seq: int = client.insert("docs", {"id": number, "vector": [0.0] * 4})["seq"]
    return seq


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_lines_come_as_the_events_happen_and_are_those_of_the_log(
    client: MilvusClient, options: list[str]
) -> None:
    lags = []
    with following(client.folder, *options) as child:
        lines = next_lines(child, 4)
        for number in range(20):
            insert(client, number)
            started = time.monotonic()
            lines += next_lines(child, 1)
            lags.append(time.monotonic() - started)
    print(f"lag of a line, ms: worst {max(lags) * 1000:.1f}")
    command = [sys.executable, "-m", "walvec", "log", str(client.folder), *options]
    assert lines == subprocess.check_output(command, text=True).splitlines(keepends=True)


def test_a_tail_is_printed_and_then_followed(client: MilvusClient) -> None:
    with following(client.folder, "--json", "--tail", 2) as child:
        assert [line["seq"] for line in next_data(child, 2)] == [3, 4]
        insert(client, 1)
        assert [line["seq"] for line in next_data(child, 1)] == [5]


def test_it_ends_with_the_last_seq_that_was_asked_for(client: MilvusClient) -> None:
    with following(client.folder, "--json", "--from", 4, "--to", 6) as child:
        for number in range(3):
            insert(client, number)
        out, errors = child.communicate(timeout=LONG_S)
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [4, 5, 6]
    assert (child.returncode, errors) == (0, "")


def test_a_collection_may_be_made_and_renamed_while_it_is_waited_for(client: MilvusClient) -> None:
    with following(client.folder, "--json", "--collection", "dogs") as child:
        insert(client, 1)
        client.create_collection("dogs", dimension=4)
        assert {line["collection"] for line in next_data(child, 3)} == {"dogs"}
        client.rename_collection("dogs", "cats")
        client.release_collection("cats")
        kinds = [(line["kind"], line["collection"]) for line in next_data(child, 2)]
        assert kinds == [("CollectionRenamed", "dogs"), ("CollectionReleased", "cats")]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_a_signal_ends_it_cleanly(client: MilvusClient, number: signal.Signals, code: int) -> None:
    with following(client.folder) as child:
        next_lines(child, 4)
        child.send_signal(number)
        out, errors = child.communicate(timeout=LONG_S)
    assert (child.returncode, out, errors) == (code, "", "")


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_it_ends_when_nobody_reads_any_more(client: MilvusClient, busy: bool) -> None:
    with following(client.folder) as child:
        next_lines(child, 4)
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        if busy:
            insert(client, 1)
        assert child.wait(LONG_S) == 0
        assert child.stderr.read() == ""


def test_a_damaged_entry_ends_it_after_all_lines_before(client: MilvusClient) -> None:
    for number in range(3):
        insert(client, number)
    folder = client.folder
    client.close()
    place = damage.place(folder, "RowsInserted", 1)
    damage.flip(damage.data_file(folder), place.start + 24)
    with following(folder, "--json") as child:
        out, errors = child.communicate(timeout=LONG_S)
    assert [json.loads(line)["seq"] for line in out.splitlines()] == list(range(1, place.seq))
    assert child.returncode == 1
    assert f"log entry {place.seq}" in errors
