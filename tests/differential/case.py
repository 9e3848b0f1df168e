"""Case: a function that is run on both sides, and what is known of where they differ."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from differential.outcome import Answer, Outcome, Refused, plain, refusal

ANYTHING = object()
"""Some answer, where only that there is one tells anything."""


@dataclass(frozen=True)
class Differs:
    """milvus-lite departs from Milvus' documents. What each side does, as a value, a Refused or
    ANYTHING, why, and the document that decides, by its address or its path here."""

    lite: Any
    walvec: Any
    why: str
    document: str

    def __post_init__(self) -> None:
        assert self.why and self.document, "say why, and where it is written"


def lite_refuses(
    why: str, document: str, answers: Mapping[str, Any], code: int | None = 6
) -> dict[str, Differs]:
    """Cases that milvus-lite refuses, and what walvec answers as the document has it."""
    return {name: Differs(Refused(code), value, why, document) for name, value in answers.items()}


def lite_answers(why: str, document: str, *names: str, code: int = 1100) -> dict[str, Differs]:
    """Cases that walvec refuses as the document has it, and milvus-lite answers somehow."""
    return {name: Differs(ANYTHING, Refused(code), why, document) for name in names}


def lite_differs(
    why: str, document: str, answers: Mapping[str, tuple[Any, Any]]
) -> dict[str, Differs]:
    """Cases with (what milvus-lite answers, what walvec answers as the document has it)."""
    return {name: Differs(*both, why, document) for name, both in answers.items()}


@dataclass(frozen=True)
class Case:
    """`run(place)` returns a value or raises. `code`: Milvus' code, where both must refuse."""

    id: str
    run: Callable[[Place], Any]
    differs: Differs | None = None
    code: int | None = None


CASES: dict[str, Case] = {}


def case(
    function: Callable[..., Any] | None = None,
    *,
    differs: Differs | None = None,
    code: int | None = None,
) -> Any:
    """Decorator: a function of a place is a case, named as its module and itself."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _add(function, function.__name__, function, differs, code)
        return function

    return register if function is None else register(function)


def cases(
    values: Mapping[str, Any],
    *,
    differs: Mapping[str, Differs] | None = None,
    code: int | None = None,
) -> Callable[..., Any]:
    """Decorator: a function of a place and a value is a case for each named value."""
    known = differs or {}
    assert known.keys() <= values.keys(), f"no such cases: {sorted(known.keys() - values.keys())}"

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for name, value in values.items():

            def run(place: Place, value: Any = value) -> Any:
                return function(place, value)

            _add(function, f"{function.__name__}[{name}]", run, known.get(name), code)
        return function

    return register


def _add(
    function: Callable[..., Any],
    name: str,
    run: Callable[[Place], Any],
    differs: Differs | None,
    code: int | None,
) -> None:
    id = f"{function.__module__.rpartition('.')[2]}.{name}"
    assert id not in CASES, f"two cases are called {id}"
    CASES[id] = Case(id, run, differs, code)


class Side:
    """One of the two: a package with pymilvus' names, and a client of its own store."""

    def __init__(self, package: ModuleType, uri: str) -> None:
        self.package = package
        self.uri = uri
        self.client = package.MilvusClient(uri)
        self.shared: dict[str, Any] = {}
        self._numbers = itertools.count()

    def close(self) -> None:
        """Close the client."""
        self.client.close()

    def run(self, case: Case) -> Outcome:
        """Run a case, and drop what it made."""
        with contextlib.ExitStack() as after:
            after.callback(self._drop_collections)
            place = Place(self, f"c{next(self._numbers)}", after)
            try:
                value = case.run(place)
            except Exception as error:
                return refusal(error)
            return Answer(plain(value))

    def _drop_collections(self) -> None:
        for name in self.client.list_collections():
            if name not in self.shared:
                self.client.drop_collection(name)


class Place:
    """Where a case works: `mv` is the package, `client` a client, `name` a free name."""

    def __init__(self, side: Side, name: str, after: contextlib.ExitStack) -> None:
        self.mv: Any = side.package
        self.client: Any = side.client
        self.uri = side.uri
        self.name = name
        self.after = after
        self._side = side

    def shared(self, name: str, make: Callable[[Place, str], Any]) -> str:
        """A collection that many cases read: made by the first of them, never changed."""
        if name not in self._side.shared:
            self.client.drop_collection(name)
            make(self, name)
            self._side.shared[name] = True
        return name

    def quick(self, dimension: int = 4, **options: Any) -> str:
        """A collection of the quick form, with this case's name."""
        self.client.create_collection(self.name, dimension=dimension, **options)
        return self.name

    def schema(self, *fields: tuple[Any, ...], **options: Any) -> Any:
        """A schema of (name, type name, options) fields; without a primary key among them it
        begins with `pk`, INT64, and without a vector it ends with `v`, FLOAT_VECTOR of 4."""
        schema = self.client.create_schema(**options)
        given = [(name, kind, rest[0] if rest else {}) for name, kind, *rest in fields]
        if not any(more.get("is_primary") for _, _, more in given):
            given.insert(0, ("pk", "INT64", {"is_primary": True}))
        if not any("VECTOR" in kind for _, kind, _ in given):
            given.append(("v", "FLOAT_VECTOR", {"dim": 4}))
        for name, kind, more in given:
            more = {
                key: getattr(self.mv.DataType, value) if key == "element_type" else value
                for key, value in more.items()
            }
            schema.add_field(name, getattr(self.mv.DataType, kind), **more)
        return schema

    def index_params(self, **fields: tuple[str, str] | str) -> Any:
        """Index parameters: field=(type, metric), or field=type for a scalar one."""
        params = self.client.prepare_index_params()
        for name, wish in fields.items():
            kind, metric = (wish, None) if isinstance(wish, str) else wish
            more = {} if metric is None else {"metric_type": metric}
            params.add_index(name, index_type=kind, **more)
        return params

    def create(
        self,
        *fields: tuple[Any, ...],
        name: str | None = None,
        metric: str = "L2",
        load: bool = True,
        index: str = "FLAT",
        scalar: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
        **schema: Any,
    ) -> str:
        """A collection of such fields, see `schema`, indexed and loaded unless told otherwise."""
        made = self.schema(*fields, **schema)
        vectors = [field.name for field in made.fields if "VECTOR" in field.dtype.name]
        wishes: dict[str, Any] = dict.fromkeys(vectors, (index, metric)) | dict(scalar or {})
        name = name or self.name
        self.client.create_collection(name, schema=made, **(options or {}))
        if load:  # in steps: pymilvus sleeps half a second for each index that it waits for
            self.client.create_index(name, self.index_params(**wishes), sync=False)
            self.client.load_collection(name)
        return name
