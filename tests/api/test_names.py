"""The names that the package exports, pinned; and those of pymilvus that it has not."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import walvec
from walvec.exceptions import NotSupportedException
from walvec.missing import PACKAGE_NAMES

EXPORTED = """
AnnSearchRequest AsyncMilvusClient Collection CollectionSchema ConsistencyLevel DataType FieldSchema
Group Hit Hits Index IndexParams LoadState MilvusClient MilvusException MilvusUnavailableException
MutationFuture MutationResult Partition PyMilvusDeprecationWarning RRFRanker Replica SearchFuture
SearchResult SegmentState Shard Status WeightedRanker connections db drop_collection has_collection
has_partition hybridts_to_datetime hybridts_to_unixtime index_building_progress list_collections
loading_progress mkts_from_datetime mkts_from_hybridts mkts_from_unixtime utility
wait_for_index_building_complete wait_for_loading_complete
"""


def test_the_package_exports_these_names() -> None:
    assert walvec.__all__ == EXPORTED.split()


def test_every_exported_name_is_there() -> None:
    for module in ("walvec", "walvec.exceptions", "walvec.utility"):
        found = importlib.import_module(module)
        assert list(found.__all__) == sorted(found.__all__)
        assert all(hasattr(found, name) for name in found.__all__)


@pytest.mark.parametrize("name", sorted(PACKAGE_NAMES))
def test_what_walvec_has_not_is_imported_and_refused_when_used(name: str) -> None:
    assert name not in walvec.__all__
    found = getattr(walvec, name)
    with pytest.raises(NotSupportedException, match=f"walvec has no {name}, as pymilvus has") as at:
        found("x")
    assert at.value.code == 2200
    with pytest.raises(NotSupportedException, match=name):
        found.SOME_MEMBER  # noqa: B018
    assert name in repr(found)


def test_a_name_that_pymilvus_has_not_is_no_name() -> None:
    for name in ("no_such_name", "no.such", "wal.errors", "_client", "__no_such__", ""):
        assert not hasattr(walvec, name)
    with pytest.raises(ImportError):
        exec("from walvec import no_such_name")


def test_a_name_is_imported_when_it_is_asked_for_and_not_before() -> None:
    script = (
        "import sys, walvec\n"
        "assert not {'numpy', 'lmdb', 'walvec.client'} & sys.modules.keys()\n"
        "from walvec import *\n"
        "assert [n for n in walvec.__all__ if n not in globals()] == []\n"
        "import walvec.client, walvec.changes, walvec.connection_names\n"
        "assert walvec.connections is connections is walvec.connection_names.connections\n"
        "assert set(walvec.__all__) < set(dir(walvec))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_names_that_type_checkers_see_are_those_that_are_found() -> None:
    tree = ast.parse(Path(walvec.__file__).read_text())
    [seen] = [n for n in tree.body if isinstance(n, ast.If) and "not" not in ast.unparse(n.test)]
    imported = [n for n in seen.body if isinstance(n, ast.ImportFrom)]
    homes = {alias.name: node.module for node in imported for alias in node.names}
    assert sorted(homes) == walvec.__all__
    for name, module in homes.items():
        assert getattr(walvec, name) is getattr(importlib.import_module(str(module)), name)


def test_no_module_of_the_package_has_the_name_of_something_else() -> None:
    modules = {path.stem for path in Path(walvec.__file__).parent.glob("*.py")}
    same = modules.intersection(walvec.__all__)
    assert all(inspect.ismodule(getattr(walvec, name)) for name in same), same
