"""The real data that ships with walvec: Debian packages, and questions people would ask of them.

A folder of such data holds four files, in the order of their rows:

    debian-packages.jsonl      one JSON object a line: name, section, version, priority (str),
                               size (int, KiB installed), summary (str)
    debian-packages.f16.npy    (n, 384) float16, the embedding of "name: summary", unit norm
    queries.jsonl              one JSON object a line: text (str)
    queries.f16.npy            (q, 384) float16, the embedding of the text, unit norm

The shipped folder holds 4,000 packages (see its README.md); the full set has 63,666.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """One folder of data. `vectors` (n, dim) and `query_vectors` (q, dim), float32, C order."""

    packages: list[dict[str, Any]]
    vectors: Vectors
    queries: list[str]
    query_vectors: Vectors


def load_packages() -> tuple[list[dict[str, Any]], Vectors]:
    """The 4,000 shipped packages and their embeddings, (4000, 384) float32, row by row."""
    return _packages(_shipped())


def load_queries() -> tuple[list[str], Vectors]:
    """The 64 shipped questions and their embeddings, (64, 384) float32, row by row."""
    return _queries(_shipped())


def load_folder(path: str | Path) -> Sample:
    """Everything in a folder that has the four files named above.

    Raises FileNotFoundError where a file is missing, and ValueError where a file of lines and
    its file of vectors do not have the same number of rows.
    """
    folder = Path(path)
    packages, vectors = _packages(folder)
    queries, query_vectors = _queries(folder)
    return Sample(packages, vectors, queries, query_vectors)


def _shipped() -> Path:
    return Path(str(files("walvec.tools") / "data"))


def _packages(folder: Path) -> tuple[list[dict[str, Any]], Vectors]:
    return _rows(folder, "debian-packages")


def _queries(folder: Path) -> tuple[list[str], Vectors]:
    rows, vectors = _rows(folder, "queries")
    return [row["text"] for row in rows], vectors


def _rows(folder: Path, name: str) -> tuple[list[dict[str, Any]], Vectors]:
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    vectors = np.load(folder / f"{name}.f16.npy", allow_pickle=False).astype(np.float32, order="C")
    if len(rows) != len(vectors):
        raise ValueError(
            f"{folder}: {name}.jsonl has {len(rows)} rows and {name}.f16.npy {len(vectors)}; "
            f"take both from one version of the data"
        )
    return rows, vectors
