"""The shipped data: what it holds, and that it is small."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from walvec.tools.sample import load_folder, load_packages, load_queries
from walvec.tools.select_sample import PER_SECTION, choose

DATA = Path(__file__).resolve().parents[2] / "tools" / "data"


def test_packages_and_queries_are_of_unit_norm_and_in_every_section() -> None:
    packages, vectors = load_packages()
    queries, query_vectors = load_queries()
    assert vectors.shape == (len(packages), 384) == (4000, 384)
    assert query_vectors.shape == (len(queries), 384) == (64, 384)
    assert np.allclose(np.linalg.norm(np.vstack([vectors, query_vectors]), axis=1), 1, atol=1e-3)
    assert set(packages[0]) == {"name", "section", "version", "priority", "size", "summary"}
    sections = Counter(package["section"] for package in packages)
    assert len(sections) == 58
    assert min(sections.values()) >= PER_SECTION


def test_a_question_has_its_real_answers() -> None:
    packages, vectors = load_packages()
    queries, query_vectors = load_queries()
    scores = vectors @ query_vectors[queries.index("play chess against the computer")]
    nearest = [packages[row] for row in np.argsort(-scores)[:3].tolist()]
    assert [package["name"] for package in nearest] == ["gnuchess", "gnome-chess", "stockfish"]


def test_the_data_stays_below_four_and_a_half_megabytes() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) <= 4_500_000


def test_the_choice_is_repeatable_and_holds_nearest_packages_and_all_sections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("walvec.tools.select_sample.PACKAGES", 2_500)
    data = load_folder(DATA)
    rows = choose(data).tolist()
    assert rows == choose(data).tolist() == sorted(set(rows))
    assert len(rows) == 2_500
    nearest = np.argsort(-(data.query_vectors @ data.vectors.T), axis=1)[:, :3]
    assert set(nearest.ravel().tolist()) <= set(rows)
    assert min(Counter(data.packages[row]["section"] for row in rows).values()) >= PER_SECTION


def test_a_folder_whose_files_disagree_is_refused(tmp_path: Path) -> None:
    for path in DATA.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lines = (tmp_path / "queries.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "queries.jsonl").write_text("".join(lines[1:]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"63 rows and queries\.f16\.npy 64"):
        load_folder(tmp_path)
