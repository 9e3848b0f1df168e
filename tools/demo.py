"""The demo: the store at work on real data, killed and opened again, in under a minute."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from walvec import DataType, MilvusClient
from walvec.recovery.open import LOG
from walvec.recovery.verify import child_environment
from walvec.tools.log_lines import Choice, heading, lines_of
from walvec.tools.sample import Vectors, load_packages, load_queries
from walvec.tools.tables import print_table, progress_bar, size_text
from walvec.wal.errors import MilvusException, ParamError
from walvec.wal.log import Log

COLLECTION = "packages"
DESCRIPTION = "the collection of walvec demo"
"""By this a store of a former demo is known: no other is ever written to."""
BATCH = 200
QUESTIONS = (
    ("play chess against the computer", ""),
    ("approximate nearest neighbour search", ""),
    ("approximate nearest neighbour search", 'section == "libdevel"'),
    ("draw vector graphics", ""),
    ("draw vector graphics", 'section in ["java", "haskell"]'),
)
LIMIT = 4
SUMMARY_WIDTH = 56
WRITER = "from walvec.tools.demo_writer import main; main()"
ACKNOWLEDGED_BEFORE_KILL = 40


def run_demo(folder: str | os.PathLike[str] | None = None) -> None:
    """Run the demo on a store in `folder`, or in a temporary folder that is removed at the end.

    Raises ParamError where the folder holds anything but the store of a former demo.
    """
    with _place(folder) as path:
        print(f"The store is in {path}\n")
        packages, vectors = load_packages()
        with MilvusClient(path) as client:
            _ingest(client, packages, vectors)
            _index_and_load(client)
            _answer(client, QUESTIONS)
        _show_log(path)
        batches, size = _kill_a_writer(path, len(packages))
        with MilvusClient(path) as client:
            _look_after_the_kill(client, len(packages), batches, size)
            _answer(client, QUESTIONS[:1])
            _release(client)
        if folder is not None:
            print(f"The store stays in {path}: walvec info {path}")


@contextmanager
def _place(folder: str | os.PathLike[str] | None) -> Iterator[Path]:
    if folder is None:
        temporary = Path(tempfile.mkdtemp(prefix="walvec-demo-"))
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary)
        print(f"{temporary} is removed; walvec demo FOLDER keeps the store")
        return
    path = Path(folder)
    _refuse_foreign(path)
    yield path


def _refuse_foreign(path: Path) -> None:
    """Raise ParamError unless the folder is new, empty, or the store of a former demo."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / LOG).is_dir():
        raise ParamError(message=f"{path} is not empty and not a store of a demo: choose another")
    with MilvusClient(path, read_only=True) as client:
        for name in client.list_collections():
            if client.describe_collection(name)["description"] != DESCRIPTION:
                raise ParamError(message=f"{path} is a store with data of yours: choose another")


def _heading(text: str) -> None:
    print(f"--- {text}\n")


def _ingest(client: MilvusClient, packages: list[dict[str, Any]], vectors: Vectors) -> None:
    number, dim = vectors.shape
    _heading(f"Insert {number:,} Debian packages, {BATCH} at a time, each batch durable")
    client.drop_collection(COLLECTION)
    schema = MilvusClient.create_schema(description=DESCRIPTION)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("name", DataType.VARCHAR, max_length=100)
    schema.add_field("section", DataType.VARCHAR, max_length=32)
    schema.add_field("summary", DataType.VARCHAR, max_length=400)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    client.create_collection(COLLECTION, schema=schema)
    rows = [
        {"id": i, **{key: p[key] for key in ("name", "section", "summary")}, "vector": vectors[i]}
        for i, p in enumerate(packages)
    ]
    started = time.perf_counter()
    with progress_bar("packages") as progress:
        for start in range(0, number, BATCH):
            client.insert(COLLECTION, rows[start : start + BATCH])
            progress(min(start + BATCH, number), number)
    took = time.perf_counter() - started
    print(f"{number:,} rows of {dim} dimensions in {took:.2f} s, {number / took:,.0f} a second\n")


def _index_and_load(client: MilvusClient) -> None:
    _heading("Flush, build an Annoy index, load")
    client.flush(COLLECTION)
    params = client.prepare_index_params()
    params.add_index("vector", index_type="ANNOY", metric_type="COSINE", params={"n_trees": 50})
    started = time.perf_counter()
    client.create_index(COLLECTION, params)
    client.wait_for_files()
    print(f"flushed; 50 trees built in {time.perf_counter() - started:.2f} s")
    started = time.perf_counter()
    client.load_collection(COLLECTION)
    state = client.get_load_state(COLLECTION)["state"]
    print(f"load state {state} after {time.perf_counter() - started:.2f} s\n")


def _answer(client: MilvusClient, questions: tuple[tuple[str, str], ...]) -> None:
    texts, vectors = load_queries()
    output = ["name", "section", "summary"]
    for text, condition in questions:
        _heading(f'"{text}"' + (f" where {condition}" if condition else ""))
        query = vectors[texts.index(text)]
        hits = client.search(COLLECTION, [query], condition, LIMIT, output)[0]
        rows = [
            (rank, f"{hit['distance']:.3f}", hit["name"], hit["section"], _cut(hit["summary"]))
            for rank, hit in enumerate(hits, 1)
        ]
        print_table(("rank", "score", "package", "section", "summary"), rows, "rank score")
        print()


def _cut(text: str) -> str:
    return text if len(text) <= SUMMARY_WIDTH else f"{text[: SUMMARY_WIDTH - 3].rstrip()}..."


def _show_log(path: Path) -> None:
    _heading("The end of the log, which is the database: walvec log STORE --tail")
    log = Log(path / LOG, read_only=True)
    try:
        print(heading())
        for line in lines_of(log, Choice(tail=8)):
            print(line.text())
    finally:
        log.close()
    print()


def _kill_a_writer(path: Path, first_id: int) -> tuple[int, int]:
    """Let a child insert and kill it; how many batches it had acknowledged, and their size."""
    _heading("Another process inserts, and is killed (SIGKILL) in the middle of it")
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path.resolve()), str(first_id)],
        stdout=subprocess.PIPE,
        env=child_environment(),
        text=True,
    ) as child:
        assert child.stdout is not None
        batches = size = 0
        for line in child.stdout:
            if not line.endswith("\n"):
                break
            size = int(line)
            batches += 1
            if batches == ACKNOWLEDGED_BEFORE_KILL:
                child.send_signal(signal.SIGKILL)
    if child.returncode != -signal.SIGKILL:
        raise MilvusException(message=f"the writing process ended with {child.returncode}")
    print(
        f"killed; it had acknowledged {batches} batches of {size} rows, {batches * size:,} rows\n"
    )
    return batches, size


def _look_after_the_kill(client: MilvusClient, first_id: int, batches: int, size: int) -> None:
    _heading("Open the store again")
    started = time.perf_counter()
    state = client.get_load_state(COLLECTION)["state"]
    found = client.query(COLLECTION, f"id >= {first_id}", ["id"])
    took = time.perf_counter() - started
    stored = {row["id"] for row in found}
    promised = set(range(first_id, first_id + batches * size))
    if promised - stored or len(stored) % size:
        raise MilvusException(message=f"rows are lost or cut: {len(stored)} of {len(promised)}")
    print(f"load state {state}, as before; read into memory in {took:.2f} s")
    more = len(stored) - len(promised)
    print(f"all {len(promised):,} acknowledged rows are there", end="")
    print(f", and {more} that were durable before they could be acknowledged\n" if more else "\n")


def _release(client: MilvusClient) -> None:
    _heading("Release gives memory back")
    client.release_collection(COLLECTION)
    count = client.get_collection_stats(COLLECTION)["row_count"]
    before = resident_bytes()
    client.load_collection(COLLECTION)
    loaded = resident_bytes()
    client.release_collection(COLLECTION)
    released = resident_bytes()
    dim = load_queries()[1].shape[1]
    print(
        f"{count:,} rows, {size_text(count * dim * 4)} of vectors; resident memory of this process"
    )
    rows = [
        (name, size_text(size))
        for name, size in zip(
            ("before load", "loaded", "released"), (before, loaded, released), strict=True
        )
    ]
    print_table(("", "resident"), rows, "resident")
    print()


def resident_bytes() -> int:
    """Resident memory of this process, 0 where the system does not say (it is Linux' statm)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        return 0
    return pages * os.sysconf("SC_PAGESIZE")
