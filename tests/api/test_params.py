"""Index parameters as users write them."""

from __future__ import annotations

from typing import Any

import pytest

from walvec.params import IndexParam, IndexParams
from walvec.wal.errors import ParamError


def test_params_and_flat_keywords_are_the_same() -> None:
    nested = IndexParam("v", "HNSW", metric_type="L2", params={"M": 16, "efConstruction": 100})
    flat = IndexParam("v", "HNSW", metric_type="L2", M=16, efConstruction=100)
    inner = IndexParam("v", "HNSW", params={"metric_type": "L2", "M": 16, "efConstruction": 100})
    for param in (nested, flat, inner):
        assert (param.field_name, param.index_type, param.index_name) == ("v", "HNSW", "")
        assert param.metric_type == "L2"
        assert param.params == {"M": 16, "efConstruction": 100}
    assert nested == flat == inner == flat.to_dict()


def test_add_index_appends() -> None:
    params = IndexParams()
    params.add_index("my_id", "STL_SORT")
    params.add_index(field_name="v", index_type="IVF_FLAT", metric_type="L2", params={"nlist": 9})
    assert [p.field_name for p in params] == ["my_id", "v"]
    assert params[1].get_index_configs() == {
        "metric_type": "L2",
        "nlist": 9,
        "index_type": "IVF_FLAT",
    }
    assert str(params[0]) == "{'field_name': 'my_id', 'index_type': 'STL_SORT', 'index_name': ''}"


def test_an_index_type_and_params_may_be_left_out() -> None:
    param = IndexParam("v", params=None)
    assert (param.index_type, param.metric_type, param.params) == ("", "", {})
    assert param.get_index_configs() == {}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"params": [1]}, "params must be a dict with names as keys, got [1]"),
        ({"index_type": 3}, "index_type must be a string, got 3"),
        ({"field_name": None}, "field_name must be a string"),
        ({"metric_type": 3}, "metric_type must be a string, got 3"),
        ({"M": 8, "params": {"M": 16}}, "M is 8 and, in params, 16"),
    ],
)
def test_wrong_parameters_are_refused_by_name(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamError) as raised:
        IndexParam(**{"field_name": "v", **keywords})
    assert message in raised.value.message


def test_params_given_back_are_a_copy() -> None:
    param = IndexParam("v", M=8)
    param.params["M"] = 9
    param.get_index_configs()["M"] = 9
    assert param.params == {"M": 8}
