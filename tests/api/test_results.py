"""What calls give back behaves as pymilvus' objects do."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from walvec.results import (
    ExtraList,
    Hit,
    Hits,
    LoadState,
    MutationResult,
    SearchResult,
)


def test_a_hit_is_a_dictionary_keyed_by_the_name_of_the_primary_key() -> None:
    (hit,) = Hits([7], [0.5], "my_id", [{"title": "a"}])
    assert hit == {"my_id": 7, "distance": 0.5, "entity": {"title": "a"}}
    assert json.loads(json.dumps(hit)) == hit
    assert (hit.id, hit.pk, hit.distance, hit.score) == (7, 7, 0.5, 0.5)
    assert hit.fields == {"title": "a"}


def test_a_hit_finds_the_fields_of_its_entity() -> None:
    hit = Hit({"id": 1, "distance": 0.1, "entity": {"title": "a", "meta": None}}, pk_name="id")
    assert hit["title"] == hit.title == hit.get("title") == hit.entity.get("title") == "a"
    assert hit["entity"] == {"title": "a", "meta": None}
    assert hit.get("meta", 3) is None
    assert hit.get("author") is None
    assert hit.get("author", 3) == 3
    with pytest.raises(KeyError):
        hit["author"]
    with pytest.raises(AttributeError, match="no field 'author'"):
        _ = hit.author


def test_hits_know_ids_and_distances_and_print_ten() -> None:
    hits = Hits(list(range(12)), [0.0] * 12, "id")
    assert hits.ids == list(range(12))
    assert hits.distances == [0.0] * 12
    assert str(hits).endswith("] ... and 2 entities remaining")
    assert "'id': 9" in str(hits)
    assert "'id': 10" not in str(hits)


def test_what_pymilvus_fills_late_or_by_a_server_is_there() -> None:
    result = SearchResult([Hits([7], [0.5], "id", [{"title": "a"}])])
    result.materialize()
    result[0].materialize()
    assert result[0][:1] == [{"id": 7, "distance": 0.5, "entity": {"title": "a"}}]
    assert (result[0][0].highlight, result.recalls, result.agg_buckets) == (None, None, [])
    assert result[0][0].to_dict() is result[0][0]


def test_as_many_ids_as_distances_and_entities_are_needed() -> None:
    with pytest.raises(ValueError, match="argument"):
        Hits([1, 2], [0.5], "id")
    with pytest.raises(ValueError, match="argument"):
        Hits([1, 2], [0.5, 0.5], "id", [{}])


def test_results_can_be_copied_and_pickled() -> None:
    result = SearchResult([Hits(["a"], [0.5], "k", [{"x": 1}])], {"seq": 3})
    for again in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert again == result
        assert again.extra == {"seq": 3}
        assert (again[0].ids, again[0][0].id, again[0][0].x) == (["a"], "a", 1)


def test_a_search_result_is_a_list_of_hits_with_extras() -> None:
    result = SearchResult([Hits([1], [0.5], "id")] * 12, {"seq": 3})
    assert result[0][0]["id"] == 1
    assert str(result).startswith("data: [[{'id': 1,")
    assert str(result).endswith(" ... and 2 results remaining,{'seq': 3}")
    assert SearchResult().extra == {}


def test_an_extra_list_is_a_list_that_says_more() -> None:
    rows = ExtraList([{"id": 1}], extra={"seq": 3})
    assert rows == [{"id": 1}]
    assert str(rows) == "data: [\"{'id': 1}\"], extra_info: {'seq': 3}"
    assert str(ExtraList(range(11))).endswith("'9'] ...")


def test_load_states_print_as_in_milvus() -> None:
    assert str({"state": LoadState.Loaded}) == "{'state': <LoadState: Loaded>}"
    assert repr(LoadState.NotLoad) == "<LoadState: NotLoad>"
    assert str(LoadState.NotExist) == "NotExist"
    assert [int(s) for s in LoadState] == [0, 1, 2, 3]


def test_a_mutation_result_counts_what_was_done() -> None:
    result = MutationResult([1, 2], insert_count=2, seq=9)
    assert (result.insert_count, result.succ_count, result.err_count) == (2, 2, 0)
    assert (result.primary_keys, result.succ_index, result.timestamp) == ([1, 2], [0, 1], 9)
    assert str(result) == (
        "(insert count: 2, delete count: 0, upsert count: 0, timestamp: 9, "
        "success count: 2, err count: 0)"
    )
    assert MutationResult(delete_count=3).primary_keys == []
