"""make bench: how fast walvec is, as ratios against a bare library in the same run.

Every number is the median of several rounds, and walvec and what it is compared with take
turns within a round, so that a noisy machine slows both. The table is printed; all numbers go
to bench.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from walvec.tools import (
    bench_ingest,
    bench_memory,
    bench_million,
    bench_model,
    bench_open,
    bench_replica,
    bench_search,
)
from walvec.tools.bench_result import Result
from walvec.tools.sample import load_folder, load_packages, load_queries
from walvec.wal.rows import Array

LIBRARIES = ("walvec", "lmdb", "numpy", "annoy", "faiss-cpu", "blake3")
SECTIONS: dict[str, Callable[[Array, Array, Path], list[Result]]] = {
    "ingest": bench_ingest.run,
    "search": bench_search.run,
    "replica": bench_replica.run,
    "open": bench_open.run,
    "million": bench_million.run,
    "memory": bench_memory.run,
    "model": bench_model.run,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="walvec.tools.bench", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with the full data instead of the sample")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="where the JSON goes")
    parser.add_argument("--only", choices=sorted(SECTIONS), action="append", help="one section")
    options = parser.parse_args(arguments)
    vectors, queries = _data(options.data)
    print(f"{len(vectors)} vectors of {vectors.shape[1]} dimensions, {len(queries)} queries")
    results: list[Result] = []
    for name in options.only or SECTIONS:
        with tempfile.TemporaryDirectory(prefix="walvec-bench-") as folder:
            for result in SECTIONS[name](vectors, queries, Path(folder)):
                print(result.line(), flush=True)
                results.append(result)
    options.out.write_text(json.dumps(_document(vectors, results), indent=1))
    print(f"written to {options.out}")
    return 0


def _data(folder: Path | None) -> tuple[Array, Array]:
    if folder is None:
        return load_packages()[1], load_queries()[1]
    sample = load_folder(folder)
    return sample.vectors, sample.query_vectors


def _document(vectors: Array, results: list[Result]) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "rows": len(vectors),
        "dim": vectors.shape[1],
        "results": [result._asdict() for result in results],
    }


if __name__ == "__main__":
    raise SystemExit(main())
