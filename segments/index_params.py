"""The index types: which field, metric and parameters each takes, with ranges and defaults.

Names and ranges are those of Milvus (its index explanations: HNSW, HNSW_SQ, IVF_FLAT, IVF_SQ8,
BIN_FLAT, BIN_IVF_FLAT; ANNOY of Milvus 2.2). Defaults are Milvus' where it has one that serves,
and measured ones elsewhere: those of the search parameters stand with their measurements in
`annoy_index` and `faiss_index`. M is 16 and efConstruction 100 where Milvus has 30 and 360: on
62,666 sentence embeddings of 384 dimensions that gives recall@10 0.97 at ef 64, and builds six
times faster.
"""

from __future__ import annotations

import importlib.util
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from walvec.segments.scalar_params import AUTO, scalar_type
from walvec.wal.errors import IndexNotSupportedException, ParamError
from walvec.wal.schema import DataType, Field
from walvec.wal.shown import shown

if TYPE_CHECKING:
    from walvec.segments.index import IndexSpec

Value = int | float | str
METRICS = ("COSINE", "L2", "IP")
BINARY_METRICS = ("HAMMING", "JACCARD")
"""The first is the default."""
MAX_INT = 2**31 - 1


@dataclass(frozen=True)
class Whole:
    """An integer parameter from `low` to `high`; `default` None: chosen at each search."""

    low: int
    high: int
    default: int | None

    @property
    def allowed(self) -> str:
        """The range in words."""
        if self.high == MAX_INT:
            return f"an integer from {self.low}"
        return f"an integer from {self.low} to {self.high}"

    def read(self, value: Any) -> int | None:
        """The value, also from text ("1024") as Milvus takes it; None if it is not allowed."""
        if isinstance(value, str):
            try:
                value = int(value)
            except ValueError:
                return None
        try:
            number = None if isinstance(value, bool) else operator.index(value)
        except TypeError:
            return None
        return number if number is not None and self.low <= number <= self.high else None


@dataclass(frozen=True)
class Choice:
    """A parameter that is one of some words, in any case."""

    words: tuple[str, ...]
    default: str

    @property
    def allowed(self) -> str:
        """The words."""
        return "one of " + ", ".join(self.words)

    def read(self, value: Any) -> str | None:
        """The word in upper case; None if it is not allowed."""
        word = value.upper() if isinstance(value, str) else None
        return word if word in self.words else None


Param = Whole | Choice

_GRAPH: dict[str, Param] = {"M": Whole(2, 2048, 16), "efConstruction": Whole(1, MAX_INT, 100)}
_LISTS: dict[str, Param] = {"nlist": Whole(1, 65536, 128)}
_SQ = Choice(("SQ8", "SQ6", "SQ4U", "FP16", "BF16"), "SQ8")
_EF: dict[str, Param] = {"ef": Whole(1, MAX_INT, None)}
_NPROBE: dict[str, Param] = {"nprobe": Whole(1, 65536, None)}

VECTOR_TYPES: dict[str, tuple[dict[str, Param], dict[str, Param]]] = {
    "ANNOY": ({"n_trees": Whole(1, 1024, 32)}, {"search_k": Whole(-1, MAX_INT, None)}),
    "FLAT": ({}, {}),
    "HNSW": (_GRAPH, _EF),
    "HNSW_SQ": ({**_GRAPH, "sq_type": _SQ}, _EF),
    "IVF_FLAT": (_LISTS, _NPROBE),
    "IVF_SQ8": (_LISTS, _NPROBE),
    "BIN_FLAT": ({}, {}),
    "BIN_IVF_FLAT": (_LISTS, _NPROBE),
}
"""For each type the parameters of building and those of searching."""
BINARY_TYPES = frozenset({"BIN_FLAT", "BIN_IVF_FLAT"})
"""The types for BINARY_VECTOR; the others are for the dense ones."""
EXACT_TYPES = frozenset({"FLAT", "BIN_FLAT"})
"""What has no file: the rows serve."""
FAISS_TYPES = frozenset({"HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8", "BIN_IVF_FLAT"})
AUTO_BINARY_NLIST = 1024
"""As Milvus' AUTOINDEX has it for binary vectors (autoIndex.params.binary.build)."""


def has_faiss() -> bool:
    """Whether FAISS is installed. It is not imported: that takes a fifth of a second."""
    return importlib.util.find_spec("faiss") is not None


def metrics_of(field: Field) -> tuple[str, ...]:
    """The metrics that a vector field can be searched by, its default first."""
    return BINARY_METRICS if field.type is DataType.BINARY_VECTOR else METRICS


def implicit_type(field: Field) -> str:
    """The index of a vector field for which nobody asked for one: what needs no extra library."""
    return "BIN_FLAT" if field.type is DataType.BINARY_VECTOR else "ANNOY"


def resolve(
    field: Field,
    index_type: str,
    metric_type: str,
    params: dict[str, Any],
    *,
    collection: str,
) -> tuple[str, str, dict[str, Value]]:
    """What an index is to be, from what a user asked for: (type, metric, all parameters).

    "" or AUTOINDEX is HNSW where FAISS is installed, else ANNOY; for a binary vector
    BIN_IVF_FLAT, else BIN_FLAT; for a scalar field see `scalar_params`. "" as metric is COSINE,
    of a binary vector HAMMING; a scalar index has metric "". Types and metrics are taken in any
    case, integers also as text.

    Raises IndexNotSupportedException for a type that is unknown, does not suit the field, or
    lacks its library; ParamError for a metric or parameter that is unknown or out of range.
    """
    wanted = str(index_type or "").upper()
    where = f"collection {collection}, field {field.name}"
    if field.is_vector:
        kind = _vector_type(wanted, field, where)
        metric = read_metric(field, metric_type, where)
        known = VECTOR_TYPES[kind][0]
        if wanted in AUTO and kind == "BIN_IVF_FLAT":
            params = {"nlist": AUTO_BINARY_NLIST, **(params or {})}
    else:
        kind = scalar_type(wanted, field, where)
        if metric_type:
            raise ParamError(
                message=f"{where}: metric_type {shown(metric_type)} given for a scalar index; "
                "leave it out"
            )
        metric, known = "", {}
    given = _read(dict(params or {}), known, f"{where}, index type {kind}")
    complete = {n: given.get(n, p.default) for n, p in known.items()}
    return kind, metric, {n: v for n, v in complete.items() if v is not None}


def _vector_type(wanted: str, field: Field, where: str) -> str:
    binary = field.type is DataType.BINARY_VECTOR
    if wanted in AUTO:
        if has_faiss():
            return "BIN_IVF_FLAT" if binary else "HNSW"
        return implicit_type(field)
    suited = [name for name in VECTOR_TYPES if (name in BINARY_TYPES) == binary]
    if wanted not in suited:
        names = ", ".join(("AUTOINDEX", *suited))
        raise IndexNotSupportedException(
            message=f"{where}: index type {shown(wanted)} is not one for {field.type.name}; "
            f"allowed: {names}"
        )
    if wanted in FAISS_TYPES and not has_faiss():
        others = ", ".join(name for name in suited if name not in FAISS_TYPES)
        raise IndexNotSupportedException(
            message=f"{where}: index type {wanted} needs FAISS: pip install 'walvec[faiss]', or "
            f"choose {others} or AUTOINDEX"
        )
    return wanted


def read_metric(field: Field, metric_type: Any, where: str) -> str:
    """The metric that a user named for a vector field, in upper case; for none the default.

    where: what the error speaks of. Raises ParamError for one that does not suit the field.
    """
    known = metrics_of(field)
    if metric_type is None or (isinstance(metric_type, str) and not metric_type):
        return known[0]
    metric = str(metric_type).upper()
    if metric not in known:
        raise ParamError(
            message=f"{where}: metric_type {shown(metric_type)} is not one of {', '.join(known)}, "
            f"by which {field.type.name} is searched"
        )
    return metric


def _read(given: dict[str, Any], known: dict[str, Param], where: str) -> dict[str, Value]:
    """The values given, each checked. Raises ParamError naming the first that is wrong."""
    values: dict[str, Value] = {}
    for name, value in given.items():
        if name not in known:
            names = ", ".join(known) or "none"
            raise ParamError(
                message=f"{where}: unknown parameter {shown(name)} (value {shown(value)}); "
                f"allowed: {names}"
            )
        read = known[name].read(value)
        if read is None:
            raise ParamError(
                message=f"{where}: parameter {name} is {shown(value)}, "
                f"allowed is {known[name].allowed}"
            )
        values[name] = read
    return values


def search_params(spec: IndexSpec, params: dict[str, Any] | None) -> dict[str, Value]:
    """The parameters of a search by this index, checked; those not given are left out.

    params: flat, {"ef": 64}, or nested, {"metric_type": "L2", "params": {"ef": 64}}, or both.
    What is not about the index (radius, round_decimal, ...) is for the caller to take out.

    Raises ParamError for an unknown or out-of-range parameter, one given twice with different
    values, or a metric that is not the index's.
    """
    where = f"search on field {spec.field_name}, index {spec.name} ({spec.index_type})"
    given = dict(params or {})
    nested = given.pop("params", None)
    nested = {} if nested is None else nested
    if not isinstance(nested, dict):
        raise ParamError(message=f"{where}: params is {shown(nested)}, not a dict")
    for name, value in nested.items():
        present = given.setdefault(name, value)
        if shown(present) != shown(value):  # == of arrays is an array
            raise ParamError(
                message=f"{where}: parameter {name} is given twice, {shown(present)} "
                f"and {shown(value)}"
            )
    metric = given.pop("metric_type", None)
    if metric is None or (isinstance(metric, str) and not metric):
        metric = spec.metric_type
    if str(metric).upper() != spec.metric_type:
        raise ParamError(
            message=f"{where}: metric_type is {shown(metric)}, but the index has {spec.metric_type}"
        )
    known = dict(VECTOR_TYPES[spec.index_type][1]) if spec.index_type in VECTOR_TYPES else {}
    if "nprobe" in known:
        known["nprobe"] = Whole(1, int(spec.params["nlist"]), None)
    values = _read(given, known, where)
    if values.get("search_k") == 0:
        raise ParamError(message=f"{where}: parameter search_k is 0, allowed is -1 or more than 0")
    if values.get("search_k") == -1:
        del values["search_k"]
    return values
