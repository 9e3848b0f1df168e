"""The page that compares walvec with pymilvus, written from their code and the differential cases.

    python tests/compatibility.py        writes api/COMPATIBILITY.md

A note on a method, what differs beyond its arguments, stands in NOTES, in compatibility_notes.py.
"""

from __future__ import annotations

import inspect
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import pymilvus
from compatibility_notes import ABSENT, INTERNAL, NOTES, RULES
from differential import documents
from differential.case import Side
from differential.cases import CASES
from differential.outcome import Answer, memory_folder
from signatures import differences, keywords

import walvec.exceptions
from walvec import missing
from walvec.load_calls import NOT_LOADED_SO

PAGE = Path(__file__).parents[1] / "api" / "COMPATIBILITY.md"
WIDTH = 120


@dataclass(frozen=True)
class Surface:
    """A class or module of both, and the names of pymilvus that ours refuses."""

    title: str
    theirs: Any
    ours: Any
    refused: dict[str, str]
    sample: Any = None
    """One of ours, for attributes that only an object has."""

    def names(self) -> list[str]:
        """What pymilvus shows here."""
        found = [n for n in dir(self.theirs) if not n.startswith("_") and self._shown(n)]
        made = inspect.isclass(self.theirs) and self.title != "connections"
        return ["__init__", *found] if made else found

    def _shown(self, name: str) -> bool:
        thing = inspect.getattr_static(self.theirs, name)
        if isinstance(self.theirs, ModuleType):
            return inspect.isfunction(thing) and thing.__module__ == self.theirs.__name__
        return callable(thing) or isinstance(thing, property | classmethod | staticmethod)

    def has(self, name: str) -> bool:
        """Whether ours has a name, other than to refuse it."""
        if name in self.refused or f"{self.title}.{name}" in ABSENT:
            return False
        return inspect.getattr_static(self.sample or self.ours, name, ABSENT) is not ABSENT


SURFACES = (
    Surface("MilvusClient", pymilvus.MilvusClient, walvec.MilvusClient, missing.CLIENT_METHODS),
    Surface(
        "AsyncMilvusClient",
        pymilvus.AsyncMilvusClient,
        walvec.AsyncMilvusClient,
        missing.CLIENT_METHODS,
    ),
    Surface("Collection", pymilvus.Collection, walvec.Collection, missing.COLLECTION_METHODS),
    Surface("Partition", pymilvus.Partition, walvec.Partition, {}),
    Surface("Index", pymilvus.Index, walvec.Index, {}),
    Surface("CollectionSchema", pymilvus.CollectionSchema, walvec.CollectionSchema, {}),
    Surface("FieldSchema", pymilvus.FieldSchema, walvec.FieldSchema, {}),
    Surface(
        "AnnSearchRequest",
        pymilvus.AnnSearchRequest,
        walvec.AnnSearchRequest,
        {},
        walvec.AnnSearchRequest([[1.0]], "v", {}, 3),
    ),
    Surface("utility", pymilvus.utility, walvec.utility, missing.UTILITY_FUNCTIONS),
    Surface("connections", pymilvus.Connections, type(walvec.connections), {}),
    Surface("db", pymilvus.db, walvec.db, {}),
)


def lacking() -> list[str]:
    """What pymilvus has, and walvec neither has nor refuses with a reason."""
    found = [
        f"{surface.title}.{name}"
        for surface in SURFACES
        for name in surface.names()
        if name not in surface.refused and not surface.has(name)
    ]
    names = [n for n in pymilvus.__all__ if n not in dir(walvec)]
    found += [f"pymilvus.{n}" for n in names if n not in missing.PACKAGE_NAMES]
    found += [f"exceptions.{n}" for n in _errors() if not hasattr(walvec.exceptions, n)]
    return [name for name in found if name not in ABSENT]


def _errors() -> list[str]:
    """The exceptions of pymilvus."""
    kinds = inspect.getmembers(pymilvus.exceptions, inspect.isclass)
    return [name for name, kind in kinds if issubclass(kind, Exception)]


def compared() -> set[str]:
    """What the differential cases call and are answered, as "MilvusClient.insert"."""
    called: set[str] = set()
    package = SimpleNamespace(**{name: getattr(walvec, name) for name in dir(walvec)})
    for name in ("MilvusClient", "Collection"):
        setattr(package, name, _recorded(getattr(walvec, name), name, called))
    for name in ("utility", "connections", "db"):
        setattr(package, name, _Recorded(getattr(walvec, name), name, called))
    answered: set[str] = set()
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        side = Side(package, folder + "/store")  # type: ignore[arg-type]
        for case in CASES.values():
            called.clear()
            if isinstance(side.run(case), Answer):
                answered |= called
        side.close()
    return answered


def _recorded(kind: type, title: str, called: set[str]) -> type:
    """A subclass that notes which of its methods are looked up."""

    def look_up(self: Any, name: str) -> Any:
        called.add(f"{title}.{name}")
        return super(recorded, self).__getattribute__(name)

    recorded: Any = type(kind.__name__, (kind,), {"__getattribute__": look_up})
    return recorded  # type: ignore[no-any-return]


class _Recorded:
    """An object that notes which attributes of another are looked up."""

    def __init__(self, thing: Any, title: str, called: set[str]) -> None:
        self._thing, self._title, self._called = thing, title, called

    def __getattr__(self, name: str) -> Any:
        self._called.add(f"{self._title}.{name}")
        return getattr(self._thing, name)


def page() -> str:
    """The whole page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checked = compared()
    parts = [_head()]
    described: dict[str, str] = {}
    for surface in SURFACES:
        parts += _section(surface, checked, described)
    parts += _package()
    return "\n".join(parts) + "\n"


def _head() -> str:
    differing = [c.differs for c in CASES.values() if c.differs is not None]
    own = sorted({d.why for d in differing if d.document == documents.OURS})
    theirs = sum(d.document != documents.OURS for d in differing)
    texts = (
        f"Written by `python tests/compatibility.py` from the code of walvec and of pymilvus "
        f"{pymilvus.__version__}, and from {len(CASES)} cases that the tests run on walvec and on "
        f"milvus-lite. In {theirs} of them milvus-lite departs from Milvus' documents and walvec "
        "follows those: each says so in `tests/differential/cases`, and names the document.",
        "What holds everywhere:",
        _bullets(RULES),
        "Where walvec departs on purpose from what pymilvus does with Milvus:",
        _bullets(own),
        "Below, *same* is: same name, arguments, order and defaults. A name with ° is called by no "
        "differential case; tests of walvec's own look at it. `x` *more*: an argument that "
        "pymilvus has not, or has as a keyword. `x` *raises*: so does any value but None. "
        "*Keywords*: what is honoured beyond the arguments.",
    )
    shown = (text if text.startswith("- ") else _wrapped(text) for text in texts)
    return "\n\n".join(("# walvec and pymilvus, argument by argument", *shown))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(_wrapped(f"- {line[0].upper()}{line[1:]}.", "  ") for line in lines)


def _section(surface: Surface, checked: set[str], described: dict[str, str]) -> list[str]:
    same, rows = [], []
    for name in surface.names():
        if not surface.has(name):
            continue
        title = f"{surface.title}.{name}"
        text = _described(surface, name)
        sync = described.get(f"MilvusClient.{name}")
        described[title] = text
        mark = "" if _is_checked(title, checked) else "°"
        shown = f"`{surface.title}()`" if name == "__init__" else f"`{name}`"
        if not text or (surface.title == "AsyncMilvusClient" and text == sync):
            same.append(f"{shown}{mark}")
        else:
            rows.append(f"| {shown}{mark} | {text} |")
    more = [
        f"`{name}`"
        for name in dir(surface.ours)
        if name not in surface.names() and _is_public(surface, name)
    ]
    listed = [
        f"`{name}`: {', '.join(f'`{k}`' + ' *raises*' * (k in NOT_LOADED_SO) for k in found)}"
        for name in surface.names()
        if surface.has(name) and (found := keywords(_both(surface, name)[1]))
    ]
    parts = ["", f"## {surface.title}", ""]
    told = "Same, or as in MilvusClient" if surface.title == "AsyncMilvusClient" else "Same"
    if same:
        parts += [_wrapped(f"{told}: {', '.join(same)}.")]
    if rows:
        parts += ["", "| | differs |", "|---|---|", *rows]
    if listed and surface.title != "AsyncMilvusClient":
        parts += ["", "Keywords:", "", *(_wrapped(f"- {line}", "  ") for line in listed)]
    if more:
        parts += ["", _wrapped(f"More than pymilvus: {', '.join(more)}.")]
    absent = [
        _wrapped(f"- `{name.partition('.')[2]}`: {reason}", "  ")
        for name, reason in ABSENT.items()
        if name.startswith(f"{surface.title}.")
    ]
    if absent:
        parts += ["", "Not there:", "", *absent]
    if surface.refused and surface.title != "AsyncMilvusClient":
        parts += ["", "Raises `NotSupportedException` (2200):", "", *_refusals(surface)]
    return parts


def _described(surface: Surface, name: str) -> str:
    theirs, ours = _both(surface, name)
    title = f"{surface.title}.{name}"
    found = differences(theirs, ours)
    if title in NOTES and name == "__init__":  # its note says what the arguments of both mean
        found = [text for text in found if text.endswith(" more")]
    note = NOTES.get(title) or (
        NOTES.get(f"MilvusClient.{name}") if surface.title == "AsyncMilvusClient" else None
    )
    return "; ".join([*found, *([note] if note else [])])


def _both(surface: Surface, name: str) -> tuple[Any, Any]:
    """What the two have by a name; an attribute that only an object has counts as a property."""
    theirs = inspect.getattr_static(surface.theirs, name)
    return theirs, inspect.getattr_static(surface.ours, name, property())


def _is_public(surface: Surface, name: str) -> bool:
    if isinstance(surface.ours, ModuleType):
        return name in getattr(surface.ours, "__all__", ())
    hidden = name.startswith("_") or name in surface.refused
    return not hidden and f"{surface.title}.{name}" not in INTERNAL


def _is_checked(title: str, checked: set[str]) -> bool:
    surface, _, name = title.partition(".")
    if surface == "AsyncMilvusClient":  # a coroutine of what MilvusClient does
        return f"MilvusClient.{name}" in checked or name == "__init__"
    if surface in ("MilvusClient", "Collection", "utility", "connections", "db"):
        return title in checked or name == "__init__"
    return True


def _refusals(surface: Surface) -> list[str]:
    theirs = set(surface.names())
    by_reason: dict[str, list[str]] = {}
    for name, reason in surface.refused.items():
        if name in theirs:
            by_reason.setdefault(reason, []).append(f"`{name}`")
    return [
        _wrapped(f"- {reason}: {', '.join(names)}", "  ") for reason, names in by_reason.items()
    ]


def _package() -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for name in pymilvus.__all__:
        if name in missing.PACKAGE_NAMES:
            by_reason.setdefault(missing.PACKAGE_NAMES[name], []).append(f"`{name}`")
    here = [f"`{n}`" for n in pymilvus.__all__ if n in dir(walvec)]
    listed = [_wrapped(f"- {r}: {', '.join(names)}", "  ") for r, names in by_reason.items()]
    errors = [f"`{n}`" for n in _errors() if hasattr(walvec.exceptions, n)]
    return [
        "",
        "## Exceptions",
        "",
        _wrapped(f"In `walvec.exceptions`, with Milvus' codes: {', '.join(errors)}."),
        "",
        _wrapped(f"Not there: {', '.join(_absent('exceptions'))}."),
        "",
        "## Names of the package",
        "",
        _wrapped(f"There: {', '.join(here)}."),
        "",
        _wrapped(f"Not there: {', '.join(_absent('pymilvus'))}."),
        "",
        "Importing these is allowed, using them raises:",
        "",
        *listed,
    ]


def _absent(title: str) -> list[str]:
    names = (name.partition(".") for name in ABSENT)
    return [f"`{name}`" for owner, _, name in names if owner == title]


def _wrapped(text: str, indent: str = "") -> str:
    return "\n".join(
        textwrap.wrap(
            text, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
        )
    )


if __name__ == "__main__":
    PAGE.write_text(page())
