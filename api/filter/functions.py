"""The functions of the filter language, by their names in lower case."""

from __future__ import annotations

SAMPLE = "random_sample"
CONTAINMENT = {
    "json_contains": "one",
    "json_contains_all": "all",
    "json_contains_any": "any",
    "array_contains": "one",
    "array_contains_all": "all",
    "array_contains_any": "any",
}
"""What of the second argument an array must have: it as one element, or all or any of a list."""

_NO_ANALYZERS = "walvec has no text analyzers; like finds parts of texts"
_GEOMETRY = (
    "st_equals", "st_touches", "st_overlaps", "st_crosses", "st_contains", "st_intersects",
    "st_within", "st_dwithin", "st_isvalid",
)  # fmt: skip
_STRUCTS = (
    "element_filter", "match_all", "match_any", "match_least", "match_most", "match_exact",
)  # fmt: skip
REFUSED = {
    **dict.fromkeys(("text_match", "phrase_match"), _NO_ANALYZERS),
    **dict.fromkeys(_GEOMETRY, "walvec has no GEOMETRY fields"),
    **dict.fromkeys(_STRUCTS, "walvec has no arrays of structs"),
}
"""Functions of Milvus that walvec has not, and why."""
