"""The process that the demo kills: it inserts until then, and says what was acknowledged."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from walvec import MilvusClient
from walvec.tools.sample import load_queries

COLLECTION = "packages"
ROWS = 25


def main() -> None:
    """Insert batches for ever. Arguments: the store's folder, the first id.

    After each acknowledged batch the number of its rows goes to stdout, a line each.
    """
    folder, first = sys.argv[1], int(sys.argv[2])
    dim = load_queries()[1].shape[1]
    random = np.random.default_rng(first)
    with MilvusClient(folder) as client:
        while True:
            client.insert(COLLECTION, made_up_rows(first, dim, random))
            sys.stdout.write(f"{ROWS}\n")
            sys.stdout.flush()
            first += ROWS


def made_up_rows(first: int, dim: int, random: np.random.Generator) -> list[dict[str, Any]]:
    """Rows with random vectors, which are near to no question."""
    vectors = random.standard_normal((ROWS, dim), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [
        {"id": i, "name": f"made-up-{i}", "section": "made-up", "summary": "", "vector": vector}
        for i, vector in enumerate(vectors, first)
    ]
