"""The names that the package exports, pinned; and those of pymilvus that it has not."""

from __future__ import annotations

import importlib

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
    assert not hasattr(walvec, "no_such_name")
    with pytest.raises(ImportError):
        exec("from walvec import no_such_name")
