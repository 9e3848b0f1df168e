"""A store with rows in it, made through the API, and ways to damage it where one wants."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lmdb
import numpy as np

from walvec import MilvusClient
from walvec.recovery.open import LOG
from walvec.wal.entry import ALIGNMENT, HEADER
from walvec.wal.log import Log, Position

DIM = 32
BATCH = 50


class Place(NamedTuple):
    """Where one log entry lies in data.mdb."""

    seq: int
    kind: str
    start: int
    body_length: int
    payload_length: int

    @property
    def body(self) -> int:
        return self.start + HEADER.size

    @property
    def payload(self) -> int:
        return self.body + self.body_length + -self.body_length % ALIGNMENT


def fill(folder: Path, *, batches: int = 4, flush_after: int = 3) -> None:
    """Batches of rows, the first ones flushed and their files made, two deletes."""
    with MilvusClient(folder) as client:
        client.create_collection("docs", dimension=DIM, metric_type="COSINE")
        for batch in range(batches):
            client.insert("docs", rows(batch * BATCH, BATCH))
            if batch + 1 == flush_after:
                client.flush("docs", wait=True)
        client.delete("docs", ids=[1, 2])


def rows(first: int, n: int) -> list[dict[str, object]]:
    """Rows whose vectors depend on their ids."""
    random = np.random.default_rng(first)
    vectors = random.standard_normal((n, DIM)).astype(np.float32)
    return [{"id": i, "vector": v, "text": f"ä{i}"} for i, v in enumerate(vectors, first)]


def copy_store(source: Path, target: Path) -> Path:
    """Copy a store that nobody has open, with the modes that it must have."""
    target.mkdir(mode=0o700)
    for path in sorted(source.rglob("*")):
        to = target / path.relative_to(source)
        if path.is_dir():
            to.mkdir(mode=0o700)
        elif path.name != "lock.mdb":
            to.touch(mode=0o600)
            to.write_bytes(path.read_bytes())
    return target


def places(folder: Path) -> list[Place]:
    """Where every entry of a log lies: in LMDB's map, so not one of the older copies that lie
    about in the file."""
    log = Log(folder / LOG, read_only=True)
    entries = log.env.open_db(b"entries")
    found = []
    try:
        with log.begin() as txn:
            for header, event in log.scan(Position(), txn):
                value = txn.get(header.seq.to_bytes(8, "big"), db=entries)
                start = _file_offset(np.frombuffer(value, np.uint8).ctypes.data)
                kind = type(event).__name__
                sizes = (header.body_length, header.payload_length)
                found.append(Place(header.seq, kind, start, *sizes))
    finally:
        log.close()
    return found


def _file_offset(address: int) -> int:
    """Where in its file a byte of a map lies."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, offset = line.split()[:3]
        first, last = (int(number, 16) for number in span.split("-"))
        if first <= address < last:
            return address - first + int(offset, 16)
    raise AssertionError(f"nothing is mapped at {address:x}")


def forget_checkpoints(folder: Path) -> None:
    """Take the checkpoints out of a store that nobody has open: the next open replays its log."""
    with lmdb.open(str(folder / LOG), max_dbs=4) as env:
        checkpoints = env.open_db(b"checkpoints")
        with env.begin(write=True) as txn:
            txn.drop(checkpoints, delete=False)


def place(folder: Path, kind: str, number: int = 0) -> Place:
    """Where an entry of a kind lies."""
    return [p for p in places(folder) if p.kind == kind][number]


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


def data_file(folder: Path) -> Path:
    """The log's file."""
    return folder / LOG / "data.mdb"


def segment_files(folder: Path) -> list[Path]:
    """All segment files, sorted."""
    return sorted(p for p in (folder / "segments").rglob("*") if p.is_file())


FILE_DAMAGES: dict[str, Callable[[Path], None]] = {
    "deleted": Path.unlink,
    "emptied": lambda path: os.truncate(path, 0),
    "truncated": lambda path: os.truncate(path, path.stat().st_size - 8),
    "extended": lambda path: os.truncate(path, path.stat().st_size + 8),
    "bit flipped": lambda path: flip(path, path.stat().st_size // 2),
}
"""What can happen to a file of a segment."""
