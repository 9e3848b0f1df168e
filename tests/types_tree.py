"""The types check: a tree of links that a type checker can follow, and mypy strict through it.

The package's folders lie under other names than its modules (`api/` is `walvec`, `wal/` is
`walvec.wal`), which an installed walvec resolves and a type checker cannot. So the tree

    build/types/walvec/<everything in api>
    build/types/walvec/{wal,segments,recovery,crashlab,tools}

holds links to the sources; `mypy_path` in pyproject.toml points at it. `make types` and
test_types.py both run `python tests/types_tree.py`, which lays the tree and runs mypy.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TREE = Path("build/types")
FOLDERS = ("wal", "segments", "recovery", "recovery/crashlab", "tools")


def lay(root: Path) -> Path:
    """Lay the tree under `root`, or mend the one that is there. Returns its folder."""
    package = root / TREE / "walvec"
    package.mkdir(parents=True, exist_ok=True)
    sources = [*(root / "api").iterdir(), *(root / folder for folder in FOLDERS)]
    wanted = {s.name: os.path.relpath(s, package) for s in sources if s.name != "__pycache__"}
    for link in package.iterdir():
        if wanted.get(link.name) != str(link.readlink()):
            link.unlink()
    for name, target in wanted.items():
        if not (package / name).is_symlink():
            (package / name).symlink_to(target)
    return root / TREE


def check(root: Path) -> int:
    """mypy's exit code for the whole package under `root`; what it finds goes to stdout."""
    lay(root)
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml"]
    return subprocess.run(command, cwd=root, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(check(ROOT))
