"""The choice of the shipped packages: `python -m walvec.tools.select_sample FOLDER OUT`.

From a folder of the full data (see sample.py) it takes 4,000 packages and writes a folder of
the same form. The nearest packages of every question are in, so that the questions have good
answers; every section is in with at least 15; the rest is in proportion to the sections. The
same folder gives the same choice.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from walvec.tools.sample import Sample, load_folder

PACKAGES = 4_000
PER_QUERY = 10
PER_SECTION = 15
SEED = 7


def choose(data: Sample) -> npt.NDArray[np.int64]:
    """The rows to take, ascending."""
    scores = data.query_vectors @ data.vectors.T
    nearest = np.unique(np.argsort(-scores, axis=1, kind="stable")[:, :PER_QUERY])
    taken = dict.fromkeys(nearest.tolist())
    by_section: dict[str, list[int]] = {}
    for row in np.random.default_rng(SEED).permutation(len(data.packages)).tolist():
        by_section.setdefault(data.packages[row]["section"], []).append(row)
    for rows in by_section.values():
        taken |= dict.fromkeys(rows[:PER_SECTION])
    # The i-th row of a section of m comes at i / m, so that any prefix is in proportion.
    places = [(i / len(rows), row) for rows in by_section.values() for i, row in enumerate(rows)]
    for _, row in sorted(places):
        if len(taken) == PACKAGES:
            break
        taken[row] = None
    return np.array(sorted(taken), dtype=np.int64)


def main() -> None:
    """Read the two folders from the command line, choose, write."""
    parser = argparse.ArgumentParser(prog="python -m walvec.tools.select_sample")
    parser.add_argument("folder", type=Path, help="the full data")
    parser.add_argument("out", type=Path, help="the folder to write")
    arguments = parser.parse_args()
    folder, out = arguments.folder, arguments.out
    data = load_folder(folder)
    rows = choose(data)
    out.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(data.packages[row], ensure_ascii=False) + "\n" for row in rows.tolist()]
    (out / "debian-packages.jsonl").write_text("".join(lines), encoding="utf-8")
    np.save(out / "debian-packages.f16.npy", data.vectors[rows].astype(np.float16))
    for name in ("queries.jsonl", "queries.f16.npy"):
        shutil.copyfile(folder / name, out / name)


if __name__ == "__main__":
    main()
