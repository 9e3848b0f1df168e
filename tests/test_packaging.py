"""What is built: an sdist, a wheel from it, and what the wheel puts into site-packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "api": "walvec",
    "wal": "walvec/wal",
    "segments": "walvec/segments",
    "recovery": "walvec/recovery",
    "recovery/crashlab": "walvec/crashlab",
    "tools": "walvec/tools",
}
FILES = ("pyproject.toml", "README.md", "LICENSE")

# One process builds for all tests of this file.
pytestmark = pytest.mark.xdist_group("packaging")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel, built from a copy of the sources without network."""
    sources = tmp_path_factory.mktemp("sources")
    for name in FILES:
        shutil.copyfile(ROOT / name, sources / name)
    for folder in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, sources / folder, ignore=ignore, dirs_exist_ok=True)
    out = tmp_path_factory.mktemp("dist")
    run("-m", "build", "--no-isolation", "--outdir", str(out), str(sources), cwd=sources)
    return out


@pytest.fixture(scope="module")
def wheel_names(built: Path) -> set[str]:
    """The names of the files in the wheel, but for its dist-info."""
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        return {name for name in wheel.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def site(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel is installed, without its dependencies."""
    target = tmp_path_factory.mktemp("site")
    wheel = str(next(built.glob("*.whl")))
    options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(target)]
    run("-m", "pip", "install", *options, wheel, cwd=target)
    return target


def run(*arguments: str, cwd: Path, **environment: str) -> str:
    """What Python prints, run as a child process; fails with its output if it fails."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources() -> Iterator[str]:
    """The name in a wheel of every source and data file."""
    for folder, package in PACKAGES.items():
        inside = [ROOT / other for other in PACKAGES if other.startswith(f"{folder}/")]
        for path in (ROOT / folder).rglob("*"):
            elsewhere = any(path.is_relative_to(other) for other in inside)
            if path.is_file() and "__pycache__" not in path.parts and not elsewhere:
                yield f"{package}/{path.relative_to(ROOT / folder).as_posix()}"


def test_the_wheel_holds_every_source_and_data_file_and_nothing_else(wheel_names: set[str]) -> None:
    assert wheel_names == set(sources())


def test_the_wheel_puts_one_name_into_site_packages(built: Path, site: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        tops = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"walvec"}
    installed = {path.name for path in site.iterdir() if path.suffix != ".dist-info"}
    assert installed - {"bin"} == {"walvec"}


def test_the_wheel_is_typed_and_carries_data_and_licence(
    built: Path, wheel_names: set[str]
) -> None:
    assert "walvec/py.typed" in wheel_names
    assert "walvec/tools/data/debian-packages.f16.npy" in wheel_names
    grammars = {name for name in sources() if name.endswith(".lark")}
    assert grammars <= wheel_names
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())


def test_the_sdist_holds_what_the_wheel_is_built_from(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {*FILES, "api/py.typed", "tools/data/queries.jsonl", "wal/events.py"} <= names


def test_the_installed_wheel_is_imported_from_any_folder(site: Path, tmp_path: Path) -> None:
    script = (
        "import walvec, walvec.wal.errors, walvec.tools.sample as sample;"
        "print(walvec.__file__); packages, vectors = sample.load_packages();"
        "queries, query_vectors = sample.load_queries();"
        "print(len(packages), vectors.shape, vectors.dtype, len(queries), query_vectors.shape)"
    )
    path, shapes = run("-c", script, cwd=tmp_path, PYTHONPATH=str(site)).splitlines()
    assert Path(path).is_relative_to(site)
    assert shapes == "4000 (4000, 384) float32 64 (64, 384)"


@pytest.mark.parametrize(
    "name", ["api", "tools", "wal", "segments", "recovery", "filter", "crashlab"]
)
def test_no_folder_is_importable_under_its_own_name(site: Path, tmp_path: Path, name: str) -> None:
    script = f"import importlib.util as u; print(u.find_spec({name!r}))"
    assert run("-c", script, cwd=tmp_path, PYTHONPATH=str(site)) == "None\n"
