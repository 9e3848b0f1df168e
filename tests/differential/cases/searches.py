"""Searches: metrics, vector types, indexes, ranges, groups, several fields, iterators."""

from __future__ import annotations

import struct
from typing import Any

import numpy

from differential import documents
from differential.case import (
    ANYTHING,
    Differs,
    Place,
    case,
    cases,
    lite_answers,
    lite_refuses,
)

N, DIM = 24, 8


def dense(seed: int, n: int = N) -> list[list[float]]:
    """Fixed vectors, of which no two are equally far from anything."""
    made: list[list[float]] = numpy.random.default_rng(seed).normal(size=(n, DIM)).tolist()
    return made


ROWS = [{"pk": i, "g": i % 4, "t": f"t{i % 3}", "x": i, "v": v} for i, v in enumerate(dense(1))]
QUERY = dense(2, 1)[0]


def make(at: Place, name: str, metric: str = "L2", index: str = "FLAT") -> None:
    at.create(
        ("g", "INT64"),
        ("t", "VARCHAR", {"max_length": 8}),
        ("x", "INT64"),
        ("v", "FLOAT_VECTOR", {"dim": DIM}),
        name=name,
        metric=metric,
        index=index,
        enable_dynamic_field=True,
    )
    rows = [{**row, "dyn": row["pk"]} for row in ROWS]
    at.client.insert(name, rows[: N // 2])
    at.client.flush(name)
    at.client.insert(name, rows[N // 2 :])


def shown(found: Any) -> Any:
    """Hits as (key, distance, other fields), whatever the key is called."""
    return [[(hit["pk"], hit["distance"], dict(hit["entity"])) for hit in hits] for hits in found]


INDEXES = ("FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8", "AUTOINDEX")


@cases({f"{m} {i}": (m, i) for m in ("L2", "IP", "COSINE") for i in INDEXES})
def nearest(at: Place, given: tuple[str, str]) -> Any:
    metric, index = given
    made = at.shared(f"near_{metric}_{index}", lambda at, name: make(at, name, metric, index))
    more = {"IVF_FLAT": {"nprobe": 128}, "IVF_SQ8": {"nprobe": 128}, "HNSW": {"ef": 64}}.get(
        index, {}
    )
    found = at.client.search(
        made, [QUERY], limit=5, search_params={"metric_type": metric, "params": more}
    )
    digits = 1 if index == "IVF_SQ8" else 4
    return [(hit["pk"], round(hit["distance"], digits)) for hit in found[0]]


def flat(at: Place) -> str:
    return at.shared("near_L2_FLAT", make)


@cases(
    {metric: metric for metric in ("L2", "IP", "COSINE")},
    differs=lite_answers(
        "the metric is that of the index, or left out", documents.SEARCH, "IP", "COSINE"
    ),
)
def metric_in_search_params(at: Place, metric: str) -> Any:
    found = at.client.search(
        flat(at), [QUERY], limit=2, output_fields=["x"], search_params={"metric_type": metric}
    )
    return shown(found)


SEARCHES: dict[str, dict[str, Any]] = {
    "limit 1": {"limit": 1},
    "limit beyond the rows": {"limit": 100},
    "default limit": {},
    "limit 0": {"limit": 0},
    "limit -1": {"limit": -1},
    "limit 16385": {"limit": 16385},
    "limit as text": {"limit": "3"},
    "offset": {"limit": 3, "offset": 2},
    "offset beyond": {"limit": 3, "offset": 100},
    "offset -1": {"limit": 3, "offset": -1},
    "limit and offset too large": {"limit": 16384, "offset": 1},
    "offset in search_params": {"limit": 3, "search_params": {"offset": 2}},
    "two vectors": {"data": dense(3, 2), "limit": 2},
    "no vectors": {"data": []},
    "wrong dimension": {"data": [[1.0, 2.0]]},
    "texts": {"data": [["a"] * DIM]},
    "numpy rows": {"data": numpy.asarray(dense(3, 2), "f4"), "limit": 2},
    "list of numpy vectors": {"data": [numpy.asarray(QUERY, "f4")], "limit": 2},
    "one vector not in a list": {"data": QUERY, "limit": 2},
    "anns_field": {"anns_field": "v", "limit": 2},
    "unknown anns_field": {"anns_field": "nope", "limit": 2},
    "scalar anns_field": {"anns_field": "x", "limit": 2},
    "fields": {"output_fields": ["x", "t"], "limit": 2},
    "all fields": {"output_fields": ["*"], "limit": 2},
    "the vector": {"output_fields": ["v"], "limit": 1},
    "the key": {"output_fields": ["pk"], "limit": 2},
    "a dynamic field": {"output_fields": ["dyn"], "limit": 2},
    "$meta": {"output_fields": ["$meta"], "limit": 2},
    "unknown field": {"output_fields": ["nope"], "limit": 2},
    "filter": {"filter": "x > 5 and g == 1", "limit": 10},
    "filter that matches nothing": {"filter": "x > 500", "limit": 10},
    "bad filter": {"filter": "x >"},
    "filter of another type": {"filter": "x == 'a'"},
    "round_decimal": {"limit": 3, "round_decimal": 2},
    "round_decimal 7": {"limit": 3, "round_decimal": 7},
    "flat params": {"limit": 3, "search_params": {"nprobe": 4}},
    "nested params": {"limit": 3, "search_params": {"metric_type": "L2", "params": {}}},
    "radius": {"limit": 10, "search_params": {"params": {"radius": 12.0}}},
    "radius and range": {
        "limit": 10,
        "search_params": {"params": {"radius": 14.0, "range_filter": 9.0}},
    },
    "range without radius": {"limit": 10, "search_params": {"params": {"range_filter": 9.0}}},
    "range the wrong way": {
        "limit": 10,
        "search_params": {"params": {"radius": 9.0, "range_filter": 14.0}},
    },
    "flat radius": {"limit": 10, "search_params": {"radius": 12.0}},
    "group": {"limit": 4, "group_by_field": "g", "output_fields": ["g"]},
    "group of texts": {"limit": 2, "group_by_field": "t", "output_fields": ["t"]},
    "strict group size": {
        "limit": 2,
        "group_by_field": "g",
        "group_size": 3,
        "strict_group_size": True,
        "output_fields": ["g"],
    },
    "group with offset": {"limit": 2, "offset": 1, "group_by_field": "g"},
    "group by an unknown field": {"limit": 2, "group_by_field": "nope"},
    "group by a vector": {"limit": 2, "group_by_field": "v"},
    "group with a filter": {"limit": 3, "group_by_field": "g", "filter": "g != 2"},
    "ids": {"data": None, "ids": [3, 5], "limit": 2},
    "absent ids": {"data": None, "ids": [3000], "limit": 2},
    "ids and data": {"ids": [3], "limit": 2},
    "unknown partition": {"partition_names": ["nope"], "limit": 2},
    "default partition": {"partition_names": ["_default"], "limit": 2},
    "consistency level": {"consistency_level": "Strong", "limit": 2},
    "unknown consistency level": {"consistency_level": "Sometimes", "limit": 2},
}


def _nearest(vector: Any, limit: int) -> list[Any]:
    """Rows by their L2 distance, in plain Python."""
    rows = [(sum((a - b) ** 2 for a, b in zip(vector, row["v"], strict=True)), row) for row in ROWS]
    rows.sort(key=lambda pair: pair[0])
    return [[(row["pk"], distance, {"x": row["x"]}) for distance, row in rows[:limit]]]


@cases(
    SEARCHES,
    differs=lite_answers(
        "limit is 1 to 16,384, together with an offset from 0 on",
        documents.LIMITS,
        *("limit 16385", "offset -1", "limit and offset too large"),
    )
    | lite_answers(
        "range_filter lies between the best distance and radius, and needs a radius",
        documents.RANGE,
        *("range without radius", "range the wrong way"),
    )
    | lite_answers("a partition that there is not", documents.ERRORS, "unknown partition", code=200)
    | lite_answers(
        "a parameter of another index type (`nprobe` for FLAT) raises; Milvus passes over it",
        documents.OURS,
        "flat params",
    )
    | lite_refuses(
        "one query vector may come without a list around it; pymilvus raises",
        documents.OURS,
        {"one vector not in a list": _nearest(QUERY, 2)},
        code=1,
    )
    | lite_refuses(
        "milvus-lite cannot search by primary keys",
        documents.BY_IDS,
        {"ids": [*_nearest(ROWS[3]["v"], 2), *_nearest(ROWS[5]["v"], 2)]},
    ),
)
def search(at: Place, options: dict[str, Any]) -> Any:
    given = {"data": [QUERY], "output_fields": ["x"], **options}
    return shown(at.client.search(flat(at), **given))


@cases({"IP": "IP", "COSINE": "COSINE"})
def range_of_a_similarity(at: Place, metric: str) -> Any:
    name = at.shared(f"near_{metric}_FLAT", lambda at, name: make(at, name, metric))
    ranges = {"IP": {"radius": 0.5, "range_filter": 3.0}}.get(
        metric, {"radius": 0.1, "range_filter": 0.5}
    )
    found = at.client.search(
        name, [QUERY], limit=20, output_fields=["x"], search_params={"params": ranges}
    )
    return shown(found)


@case
def group_size_is_an_upper_limit_unless_strict(at: Place) -> Any:
    found = at.client.search(
        flat(at), [QUERY], limit=2, group_by_field="g", group_size=2, output_fields=["g"]
    )
    groups = [hit["entity"]["g"] for hit in found[0]]
    return sorted(set(groups)), max(map(groups.count, groups)) <= 2


@case
def hits_behave(at: Place) -> Any:
    found = at.client.search(flat(at), [QUERY], limit=2, output_fields=["x", "t"])
    hits = found[0]
    hit = hits[0]
    return {
        "sizes": (len(found), len(hits)),
        "dict access": (hit["pk"], hit["distance"], hit["entity"]["x"], hit["x"]),
        "get": (hit.get("x"), hit.get("nope"), hit.get("nope", 7)),
        "attributes": (hit.id, hit.distance, hit.score),
        "entity": (hit.entity.get("t"), hit.entity["t"], sorted(hit.entity)),
        "fields": dict(hit.fields),
        "ids": (list(hits.ids), list(hits.distances)),
        "keys": sorted(hit),
        "in": ("pk" in hit, "entity" in hit, "nope" in hit),
        "to_dict": hit.to_dict(),
        "slices": (len(hits[:1]), hits[-1]["pk"]),
        "as a list": [h["pk"] for h in hits],
    }


@case
def hit_of_a_key_called_id(at: Place) -> Any:
    at.create(("id", "INT64", {"is_primary": True}))
    at.client.insert(at.name, [{"id": 7, "v": [1, 2, 3, 4]}])
    hit = at.client.search(at.name, [[1, 2, 3, 4]], limit=1, output_fields=["id"])[0][0]
    return dict(hit), hit.id, hit["id"]


@case
def hit_of_a_text_key(at: Place) -> Any:
    at.create(("key", "VARCHAR", {"is_primary": True, "max_length": 9}))
    at.client.insert(at.name, [{"key": "k", "v": [1, 2, 3, 4]}])
    hit = at.client.search(at.name, [[1, 2, 3, 4]], limit=1, output_fields=["key"])[0][0]
    return dict(hit), hit.id


@case(
    differs=Differs(
        ANYTHING,
        [[(0, 5.049017906188965, {})]],
        "fields come out where output_fields names them; milvus-lite puts out all",
        documents.SEARCH,
    )
)
def hits_without_output_fields_have_an_empty_entity(at: Place) -> Any:
    return shown(at.client.search(flat(at), [QUERY], limit=1))


@case
def search_of_an_empty_collection(at: Place) -> Any:
    at.create()
    return shown(at.client.search(at.name, [[1, 2, 3, 4], [4, 3, 2, 1]], limit=2))


def half(vector: list[float]) -> Any:
    return numpy.asarray(vector, numpy.float16)


def bfloat(vector: list[float]) -> bytes:
    return b"".join(struct.pack("<f", value)[2:] for value in vector)


def int8(vector: list[float]) -> Any:
    return numpy.asarray(numpy.asarray(vector) * 20, numpy.int8)


def bits(vector: list[float]) -> bytes:
    return bytes(int(abs(value) * 100) % 256 for value in vector)


KINDS: dict[str, tuple[str, int, Any, tuple[str, ...]]] = {
    "FLOAT16": ("FLOAT16_VECTOR", DIM, half, ("L2", "IP", "COSINE")),
    "BFLOAT16": ("BFLOAT16_VECTOR", DIM, bfloat, ("L2", "IP", "COSINE")),
    "INT8": ("INT8_VECTOR", DIM, int8, ("L2", "IP", "COSINE")),
    "BINARY": ("BINARY_VECTOR", DIM * 8, bits, ("HAMMING", "JACCARD")),
}


def _expected(kind: str, metric: str) -> list[tuple[int, float]]:
    """The nearest rows of a vector type by the metric's definition."""
    query, *rows = (_numbers(kind, vector) for vector in (QUERY, *(row["v"] for row in ROWS)))
    measured = [(i, METRICS[metric](query, row)) for i, row in enumerate(rows)]
    sign = 1 if metric in ("L2", "HAMMING", "JACCARD") else -1
    return [(i, round(d, 2)) for i, d in sorted(measured, key=lambda p: (sign * p[1], p[0]))[:5]]


def _numbers(kind: str, vector: list[float]) -> Any:
    """A vector as it is stored, as numbers or bits."""
    if kind == "BINARY":
        return numpy.unpackbits(numpy.frombuffer(bits(vector), numpy.uint8))
    if kind == "BFLOAT16":
        halves = numpy.frombuffer(bfloat(vector), numpy.uint16)
        return (halves.astype(numpy.uint32) << 16).view(numpy.float32).astype(float)
    return numpy.asarray(KINDS[kind][2](vector), dtype=float)


METRICS: dict[str, Any] = {
    "L2": lambda a, b: float(((a - b) ** 2).sum()),
    "IP": lambda a, b: float(a @ b),
    "COSINE": lambda a, b: float(a @ b / (a @ a * (b @ b)) ** 0.5),
    "HAMMING": lambda a, b: float((a != b).sum()),
    "JACCARD": lambda a, b: 1 - float((a & b).sum() / (a | b).sum()),
}
KIND_METRICS = {f"{k} {m}": (k, m) for k, kind in KINDS.items() for m in kind[3]}
NO_SUCH_TYPE = "milvus-lite has FLOAT_VECTOR and SPARSE_FLOAT_VECTOR only"


@cases(
    KIND_METRICS,
    differs=lite_refuses(
        NO_SUCH_TYPE,
        documents.VECTORS,
        {name: _expected(*given) for name, given in KIND_METRICS.items()},
    ),
)
def nearest_of_a_vector_type(at: Place, given: tuple[str, str]) -> Any:
    kind, metric = given
    at.create(("v", KINDS[kind][0], {"dim": KINDS[kind][1]}), metric=metric, index=_flat(kind))
    rows = [{"pk": row["pk"], "v": KINDS[kind][2](row["v"])} for row in ROWS]
    at.client.insert(at.name, rows)
    found = at.client.search(at.name, [KINDS[kind][2](QUERY)], limit=5)
    return [(hit["pk"], round(hit["distance"], 2)) for hit in found[0]]


def _flat(kind: str) -> str:
    return {"BINARY": "BIN_FLAT", "INT8": "HNSW"}.get(kind, "FLAT")


def _bytes(kind: str) -> bytes:
    stored = KINDS[kind][2](QUERY)
    return stored if isinstance(stored, bytes) else bytes(stored.tobytes())


@cases(
    {kind: kind for kind in KINDS},
    differs=lite_refuses(
        NO_SUCH_TYPE,
        documents.VECTORS,
        {kind: [{"pk": 1, "v": [_bytes(kind)]}] for kind in KINDS},
    ),
)
def vector_comes_back(at: Place, kind: str) -> Any:
    type_name, dim, convert, metrics = KINDS[kind]
    at.create(("v", type_name, {"dim": dim}), metric=metrics[0], index=_flat(kind))
    at.client.insert(at.name, [{"pk": 1, "v": convert(QUERY)}])
    return at.client.get(at.name, [1], output_fields=["v"])


@case
def float_vector_comes_back(at: Place) -> Any:
    return at.client.get(flat(at), [1], output_fields=["v"])


@case(
    differs=Differs(
        [
            [1, 2, 3],
            [{"pk": 1, "v": [1.0, 2.0, 3.0, 4.0]}, *({"pk": i, "v": [0.0] * 4} for i in (2, 3))],
        ],
        [[1], [{"pk": 1, "v": [1.0, 2.0, 3.0, 4.0]}, *({"pk": i, "v": None} for i in (2, 3))]],
        "a null vector is null, and near to nothing; milvus-lite stores zeros",
        documents.NULLS,
    )
)
def null_vector_comes_back_and_is_not_found(at: Place) -> Any:
    at.create(("v", "FLOAT_VECTOR", {"dim": 4, "nullable": True}))
    at.client.insert(at.name, [{"pk": 1, "v": [1, 2, 3, 4]}, {"pk": 2, "v": None}, {"pk": 3}])
    hits = at.client.search(at.name, [[1, 2, 3, 4]], limit=5)[0]
    return [hit["pk"] for hit in hits], at.client.query(at.name, "pk > 0", output_fields=["v"])


def make_two(at: Place, name: str) -> None:
    at.create(
        ("x", "INT64"),
        ("a", "FLOAT_VECTOR", {"dim": DIM}),
        ("b", "FLOAT_VECTOR", {"dim": DIM}),
        name=name,
        metric="COSINE",
    )
    pairs = zip(dense(5), dense(6), strict=True)
    at.client.insert(name, [{"pk": i, "x": i, "a": a, "b": b} for i, (a, b) in enumerate(pairs)])


@cases(
    {"a": "a", "b": "b", "unnamed": None},
    differs=lite_answers("of several vector fields one is named", documents.HYBRID, "unnamed"),
)
def search_of_one_of_two_vector_fields(at: Place, field: str | None) -> Any:
    name = at.shared("two_vectors", make_two)
    more = {} if field is None else {"anns_field": field}
    return shown(at.client.search(name, [QUERY], limit=3, output_fields=["x"], **more))


HYBRID: dict[str, Any] = {
    "RRF": lambda mv: mv.RRFRanker(),
    "RRF 10": lambda mv: mv.RRFRanker(10),
    "weighted": lambda mv: mv.WeightedRanker(0.7, 0.3),
    "weighted without norm": lambda mv: mv.WeightedRanker(0.7, 0.3, norm_score=False),
    "weighted with norm": lambda mv: mv.WeightedRanker(0.7, 0.3, norm_score=True),
    "too few weights": lambda mv: mv.WeightedRanker(0.7),
    "weight above 1": lambda mv: mv.WeightedRanker(0.7, 1.3),
    "no ranker": lambda mv: None,
}


def requests(mv: Any, limit: int = 6, **second: Any) -> list[Any]:
    param = {"metric_type": "COSINE", "params": {}}
    return [
        mv.AnnSearchRequest([QUERY], "a", param, limit),
        mv.AnnSearchRequest([QUERY], "b", param, limit, **second),
    ]


@cases(
    HYBRID,
    differs=lite_answers("weights are 0 to 1", documents.WEIGHTED, "weight above 1"),
)
def hybrid_search(at: Place, ranker: Any) -> Any:
    name = at.shared("two_vectors", make_two)
    found = at.client.hybrid_search(
        name, requests(at.mv), ranker(at.mv), limit=4, output_fields=["x"]
    )
    return shown(found)


@cases(
    {
        "filter": {"expr": "x > 10"},
        "unknown field": {"expr": "nope > 10"},
    }
)
def hybrid_search_with_a_filter_in_a_request(at: Place, second: dict[str, Any]) -> Any:
    name = at.shared("two_vectors", make_two)
    asked = requests(at.mv, **second)
    found = at.client.hybrid_search(name, asked, at.mv.RRFRanker(), limit=4, output_fields=["x"])
    return shown(found)


@cases({"offset": {"limit": 3, "offset": 2}, "limit 0": {"limit": 0}, "no requests": {"reqs": []}})
def hybrid_search_with(at: Place, options: dict[str, Any]) -> Any:
    name = at.shared("two_vectors", make_two)
    given = {"reqs": requests(at.mv), "ranker": at.mv.RRFRanker(), "output_fields": ["x"]}
    given |= options
    return shown(at.client.hybrid_search(name, **given))


@cases(
    {
        "batches": {"batch_size": 7},
        "limit": {"batch_size": 7, "limit": 10},
        "one batch": {"batch_size": 100},
        "filter": {"batch_size": 4, "filter": "x > 12"},
        "batch 0": {"batch_size": 0},
    }
)
def search_iterator(at: Place, options: dict[str, Any]) -> Any:
    iterator = at.client.search_iterator(
        flat(at), data=[QUERY], search_params={"metric_type": "L2"}, **options
    )
    batches = []
    while batch := iterator.next():
        batches.append([hit.id for hit in batch])
    iterator.close()
    return batches
