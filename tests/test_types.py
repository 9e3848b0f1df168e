"""The whole package passes mypy strict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TYPES_TREE = Path(__file__).with_name("types_tree.py")


def test_the_whole_package_passes_mypy_strict() -> None:
    command = [sys.executable, str(TYPES_TREE)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_a_type_error_is_found(tmp_path: Path) -> None:
    root = TYPES_TREE.parents[1]
    (tmp_path / "pyproject.toml").write_text((root / "pyproject.toml").read_text())
    for folder in ("api", "wal", "segments", "recovery", "tools"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "wal" / "seq.py").write_text('def first() -> int:\n    return "1"\n')
    client = "from walvec.wal.seq import first\n\nx = first(1)\n"
    (tmp_path / "api" / "client.py").write_text(client)
    script = f"import runpy; t = runpy.run_path({str(TYPES_TREE)!r}); "
    script += f"raise SystemExit(t['check'](t['Path']({str(tmp_path)!r})))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "walvec/wal/seq.py:2: error: Incompatible return value type" in done.stdout
    assert 'walvec/client.py:3: error: Too many arguments for "first"' in done.stdout
