"""Which scalar index suits which field, and what AUTOINDEX is: as Milvus documents it."""

from __future__ import annotations

import pytest

from walvec.segments.index import resolve
from walvec.segments.scalar_params import SCALAR_TYPES
from walvec.wal.errors import IndexNotSupportedException, ParamError
from walvec.wal.schema import DataType, Field

PLAIN = {
    "BOOL": "INVERTED BITMAP",
    "INT8": "STL_SORT INVERTED BITMAP",
    "INT16": "STL_SORT INVERTED BITMAP",
    "INT32": "STL_SORT INVERTED BITMAP",
    "INT64": "STL_SORT INVERTED BITMAP",
    "FLOAT": "STL_SORT INVERTED",
    "DOUBLE": "STL_SORT INVERTED",
    "VARCHAR": "STL_SORT INVERTED BITMAP TRIE",
    "TIMESTAMPTZ": "STL_SORT",
    "JSON": "",
}
ELEMENTS = {
    "BOOL": "INVERTED BITMAP",
    "INT32": "INVERTED BITMAP",
    "VARCHAR": "INVERTED BITMAP",
    "DOUBLE": "INVERTED",
}
FIELDS = {name: Field(100, "f", DataType[name]) for name in PLAIN}
FIELDS |= {
    f"ARRAY of {name}": Field(100, "f", DataType.ARRAY, element_type=DataType[name])
    for name in ELEMENTS
}
SUITED = {**PLAIN, **{f"ARRAY of {name}": types for name, types in ELEMENTS.items()}}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_takes_the_types_that_milvus_documents_and_no_other(name: str) -> None:
    for index_type in SCALAR_TYPES:
        if index_type in SUITED[name].split():
            resolved = resolve(FIELDS[name], index_type.lower(), "", {}, collection="c")
            assert resolved == (index_type, "", {})
        else:
            with pytest.raises(IndexNotSupportedException, match="collection c, field f: "):
                resolve(FIELDS[name], index_type, "", {}, collection="c")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BOOL", "BITMAP"),
        ("INT8", "INVERTED"),
        ("INT64", "INVERTED"),
        ("DOUBLE", "INVERTED"),
        ("VARCHAR", "INVERTED"),
        ("TIMESTAMPTZ", "STL_SORT"),
        ("ARRAY of BOOL", "BITMAP"),
        ("ARRAY of VARCHAR", "BITMAP"),
        ("ARRAY of DOUBLE", "INVERTED"),
    ],
)
def test_autoindex_is_what_milvus_recommends(name: str, expected: str) -> None:
    for asked in ("", "AUTOINDEX", "autoindex"):
        assert resolve(FIELDS[name], asked, "", {}, collection="c") == (expected, "", {})


def test_a_primary_key_takes_no_bitmap() -> None:
    key = Field(100, "id", DataType.INT64, is_primary=True)
    assert resolve(key, "STL_SORT", "", {}, collection="c")[0] == "STL_SORT"
    with pytest.raises(IndexNotSupportedException, match="INT64, a primary key; allowed: AUTO"):
        resolve(key, "BITMAP", "", {}, collection="c")


def test_a_refusal_names_the_types_that_suit() -> None:
    with pytest.raises(
        IndexNotSupportedException,
        match="index type 'TRIE' does not suit INT64; allowed: AUTOINDEX, STL_SORT, INVERTED, BIT",
    ):
        resolve(FIELDS["INT64"], "Trie", "", {}, collection="c")
    with pytest.raises(IndexNotSupportedException, match="'HNSW' does not suit INT64"):
        resolve(FIELDS["INT64"], "HNSW", "", {}, collection="c")
    with pytest.raises(IndexNotSupportedException, match="a field of type JSON cannot be indexed"):
        resolve(FIELDS["JSON"], "", "", {"json_path": "a", "json_cast_type": "DOUBLE"},
                collection="c")  # fmt: skip
    vector = Field(100, "v", DataType.FLOAT_VECTOR, dim=4)
    with pytest.raises(IndexNotSupportedException, match="'STL_SORT' is not one for"):
        resolve(vector, "STL_SORT", "", {}, collection="c")


def test_a_scalar_index_takes_no_metric_and_no_parameters() -> None:
    with pytest.raises(ParamError, match="metric_type 'L2'"):
        resolve(FIELDS["INT64"], "STL_SORT", "L2", {}, collection="c")
    with pytest.raises(ParamError, match="unknown parameter 'nlist'"):
        resolve(FIELDS["INT64"], "STL_SORT", "", {"nlist": 3}, collection="c")
