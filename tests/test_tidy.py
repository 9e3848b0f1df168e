"""What can be said about the code mechanically: sizes, imports, names, words, docstrings, and that
`apply` alone changes a state.

A check takes one module and yields what it finds, as "path:line: what". Every check is run over
the sources and, so that it is known to be able to fail, over bad snippets.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("wal", "segments", "recovery", "api", "tools")
INSIDE = {"crashlab": "recovery"}
"""Packages whose folder lies in a layer's, and is imported by its own name alone."""

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
MAX_COLUMNS = 100
LONG_FILES: dict[str, int] = {}
"""Files that may be longer, and their exact number of lines: it only ever goes down."""

UPWARD = {("api/__main__.py", "tools")}
"""Imports against the direction: `python -m walvec` is the command line."""

BANNED_WORDS = ("TODO", "FIXME", "hack", "phase", "for now")
BANNED_NAMES = {"manager", "helper", "util", "base", "common", "misc"}
UNDOCUMENTED = {"to_data", "from_data"}
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|home/\w+)/")
MUTATORS = {"append", "extend", "insert", "remove", "pop", "popitem", "clear", "update"}
MUTATORS |= {"setdefault", "add", "discard", "sort", "reverse"}
STATE_CLASSES = {"State", "Collection", "Segment"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file: its path from the root, with slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def layer(self) -> str:
        return self.path.split("/")[0]

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {what}"


def python_files(*folders: str) -> list[Module]:
    """Every Python file under the folders."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [Module(p.relative_to(ROOT).as_posix(), p.read_text(encoding="utf-8")) for p in paths]


# Sizes


def long_files(module: Module) -> Iterator[str]:
    lines = module.text.count("\n")
    allowed = LONG_FILES.get(module.path)
    if allowed is not None and lines != allowed:
        yield f"{module.path}: has {lines} lines, LONG_FILES says {allowed}"
    elif allowed is None and lines > MAX_FILE_LINES:
        yield f"{module.path}: has {lines} lines, more than {MAX_FILE_LINES}"


def long_functions(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield module.at(node, f"{node.name} has {lines} lines")


def long_lines(module: Module) -> Iterator[str]:
    for number, line in enumerate(module.text.split("\n"), 1):
        if len(line) > MAX_COLUMNS:
            yield f"{module.path}:{number}: {len(line)} columns"


# Imports


def imported(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every dotted name that is imported; `from a import b` gives a.b, which covers a."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def upward_imports(module: Module) -> Iterator[str]:
    rank = LAYERS.index(module.layer)
    for node, name in imported(module.tree):
        parts = name.split(".")
        if parts[0] != "walvec":
            continue
        layer = INSIDE.get(parts[1], parts[1]) if len(parts) > 1 else "api"
        layer = layer if layer in LAYERS else "api"
        if LAYERS.index(layer) > rank and (module.path, layer) not in UPWARD:
            yield module.at(node, f"{module.layer} imports {name}, which belongs to {layer}")


def bare_imports(module: Module) -> Iterator[str]:
    for node, name in imported(module.tree):
        inside = any(name.startswith(f"walvec.{layer}.{n}") for n, layer in INSIDE.items())
        if inside or name.split(".")[0] in {*LAYERS, *INSIDE, "filter"}:
            yield module.at(node, f"import {name} makes a second copy of walvec.{name}")


def relative_imports(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            yield module.at(node, "relative import")


# Words and names


def banned_words(module: Module) -> Iterator[str]:
    pattern = re.compile(r"\b(" + "|".join(BANNED_WORDS) + r")\b", re.IGNORECASE)
    for number, line in enumerate(module.text.split("\n"), 1):
        for match in pattern.finditer(line):
            yield f"{module.path}:{number}: says {match.group()!r}"


def banned_names(module: Module) -> Iterator[str]:
    named: list[tuple[ast.AST, str]] = [(module.tree, Path(module.path).stem)]
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    named += [(node, node.name) for node in ast.walk(module.tree) if isinstance(node, kinds)]
    for node, name in named:
        words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
        if BANNED_NAMES & {word.lower().removesuffix("s") for word in words}:
            yield module.at(node, f"is called {name}")


def machine_paths(module: Module) -> Iterator[str]:
    for number, line in enumerate(module.text.split("\n"), 1):
        for match in MACHINE_PATH.finditer(line):
            yield f"{module.path}:{number}: names {match.group()}"


# Exceptions


def swallowed_exceptions(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield module.at(node, "bare except")
            elif all(isinstance(s, ast.Pass) or ast.unparse(s) == "..." for s in node.body):
                yield module.at(node, f"except {ast.unparse(node.type)}: pass")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            broad = {"Exception", "BaseException"} & {ast.unparse(a) for a in node.args}
            yield from (module.at(node, f"suppresses every {name}") for name in broad)


# Docstrings


def missing_docstrings(module: Module) -> Iterator[str]:
    if not ast.get_docstring(module.tree):
        yield module.at(module.tree, "the module has no docstring")
    yield from _undocumented(module, module.tree)


def _undocumented(module: Module, parent: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in parent.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not _needs_none(node):
            yield module.at(node, f"{node.name} has no docstring")
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(module, node)


def _needs_none(node: Function | ast.ClassDef) -> bool:
    """Conversions to and from data, overloads, setters, and properties of one statement."""
    decorators = {ast.unparse(d).split(".")[-1] for d in node.decorator_list}
    trivial = bool(decorators & {"property", "cached_property"}) and len(node.body) == 1
    return node.name in UNDOCUMENTED or trivial or bool(decorators & {"overload", "setter"})


# Only apply changes a state


def state_changes(module: Module, returning: frozenset[str] = frozenset()) -> Iterator[str]:
    """Assignments, deletions and mutating calls on something that is part of a state.

    Part of a state is: what is called `state` or `_state`; a parameter or variable annotated with
    a class of segments/state.py; what a function of `returning` (those annotated to give such a
    class) gives; and whatever is read from one of these, also through a local name.
    """
    if module.path == "segments/apply.py":
        return
    classes = {n.rsplit(".", 1)[-1] for _, n in imported(module.tree) if ".segments.state." in n}
    if module.path == "segments/state.py":
        classes = set(STATE_CLASSES)
    for scope in ast.walk(module.tree):
        if isinstance(scope, Function):
            part = StatePart(classes & STATE_CLASSES, returning)
            part.learn(scope)
            for node in ast.walk(scope):
                if part.changed_by(node):
                    yield module.at(node, f"changes the state: {ast.unparse(node)}")


def state_returning(modules: list[Module]) -> frozenset[str]:
    """The names of functions below api that are annotated to return a state or a part of one."""
    return frozenset(
        node.name
        for module in modules
        if module.layer in {"segments", "recovery"}
        for node in ast.walk(module.tree)
        if isinstance(node, Function) and node.returns and _names(node.returns) & STATE_CLASSES
    )


def _names(annotation: ast.expr) -> set[str]:
    return set(re.findall(r"\w+", ast.unparse(annotation)))


class StatePart:
    """Which expressions of one function are part of a state; the order of statements is ignored."""

    READERS = frozenset({"get", "values", "items", "next", "pop"})
    WRAPPERS = frozenset({"list", "sorted", "tuple", "reversed", "enumerate", "zip", "iter"})

    def __init__(self, classes: set[str], returning: frozenset[str]) -> None:
        self.classes = classes
        self.returning = returning
        self.names = {"state", "_state"}

    def learn(self, scope: Function) -> None:
        """Collect the local names, until no more are found."""
        known = -1
        while known != len(self.names):
            known = len(self.names)
            for node in ast.walk(scope):
                self._learn_from(node)

    def _learn_from(self, node: ast.AST) -> None:
        if isinstance(node, ast.arg) and node.annotation:
            if _names(node.annotation) & self.classes:
                self.names.add(node.arg)
        elif isinstance(node, ast.Assign) and self.covers(node.value):
            for target in node.targets:
                self._bind(target)
        elif isinstance(node, ast.NamedExpr) and self.covers(node.value):
            self._bind(node.target)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if _names(node.annotation) & self.classes or (node.value and self.covers(node.value)):
                self._bind(node.target)
        elif isinstance(node, ast.For | ast.comprehension) and self._iterated(node.iter):
            self._bind(node.target)

    def _bind(self, target: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.names.add(target.id)
        elif isinstance(target, ast.Tuple):
            for element in target.elts:
                self._bind(element)

    def _iterated(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Call) and ast.unparse(node.func) in self.WRAPPERS:
            return any(self._iterated(argument) for argument in node.args)
        return self.covers(node)

    def covers(self, node: ast.expr) -> bool:
        """Whether the expression is a state or was read from one."""
        if isinstance(node, ast.Name):
            return node.id in self.names
        if isinstance(node, ast.Attribute):
            return node.attr in {"state", "_state"} or self.covers(node.value)
        if isinstance(node, ast.Subscript):
            return self.covers(node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            read = node.func.attr in self.READERS and self.covers(node.func.value)
            return read or node.func.attr in self.returning
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "next":
                return any(self._iterated(argument) for argument in node.args)
            return node.func.id in self.returning
        return False

    def changed_by(self, node: ast.AST) -> bool:
        """Whether the node assigns to a part of a state, deletes one, or calls a mutator of it."""
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return node.func.attr in MUTATORS and self.covers(node.func.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr"):
            return bool(node.args) and self.covers(node.args[0])
        flat = [e for t in targets for e in (t.elts if isinstance(t, ast.Tuple) else [t])]
        inner = [t.value for t in flat if isinstance(t, ast.Attribute | ast.Subscript)]
        return any(self.covers(value) for value in inner)


# The tests

Check = Callable[[Module], Iterator[str]]
SHIPPED = python_files(*LAYERS)
OTHERS = [m for m in python_files("tests", "examples") if m.path != "tests/test_tidy.py"]
SHIPPED_CHECKS: list[Check] = [
    long_files,
    long_functions,
    upward_imports,
    banned_names,
    swallowed_exceptions,
    missing_docstrings,
]
ALL_CHECKS: list[Check] = [long_lines, bare_imports, relative_imports, banned_words]


def refuse(found: Iterable[str]) -> None:
    """Fail with one line for everything that was found."""
    lines = list(found)
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


@pytest.mark.parametrize("check", SHIPPED_CHECKS, ids=lambda c: c.__name__)
def test_shipped_code_has_no(check: Check) -> None:
    refuse(found for module in SHIPPED for found in check(module))


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda c: c.__name__)
def test_code_tests_and_examples_have_no(check: Check) -> None:
    refuse(found for module in SHIPPED + OTHERS for found in check(module))


def test_only_apply_changes_a_state() -> None:
    returning = state_returning(SHIPPED)
    refuse(f for m in SHIPPED if m.layer != "wal" for f in state_changes(m, returning))


def test_every_reducer_of_apply_would_be_found_in_another_file() -> None:
    text = (ROOT / "segments" / "apply.py").read_text(encoding="utf-8")
    elsewhere = Module("segments/other.py", text)
    changing = {found.split(":")[1] for found in state_changes(elsewhere)}
    reducers = [node for node in elsewhere.tree.body if isinstance(node, Function)]
    assert len(reducers) > 10
    for node in reducers:
        lines = range(node.lineno, (node.end_lineno or 0) + 1)
        assert changing & {str(line) for line in lines}, node.name


def test_the_ratchet_names_only_files_that_exist_and_are_long() -> None:
    paths = {module.path for module in SHIPPED}
    assert [p for p, n in LONG_FILES.items() if p not in paths or n <= MAX_FILE_LINES] == []


def test_no_text_file_names_a_path_of_one_machine() -> None:
    found: list[str] = []
    for path in kept_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += machine_paths(Module(path.relative_to(ROOT).as_posix(), text))
    refuse(found)


def kept_files() -> list[Path]:
    """The files that git keeps or would keep, but for this one; outside a checkout, the sources."""
    this = Path(__file__).resolve()
    if not (ROOT / ".git").exists():
        return [ROOT / m.path for m in SHIPPED + OTHERS]
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in names.split("\0") if name]
    return [path for path in paths if path.is_file() and path != this]


A_STATE = "from walvec.segments.state import Collection, State\n"
BAD: list[tuple[Check, str, str]] = [
    (long_files, "wal/x.py", "a = 1\n" * 301),
    (long_functions, "wal/x.py", "def f():\n" + "    a = 1\n" * 60),
    (long_lines, "wal/x.py", "a = '" + "x" * 100 + "'\n"),
    (upward_imports, "wal/x.py", "import walvec.segments.state\n"),
    (upward_imports, "wal/x.py", "def f():\n    from walvec.recovery.open import open_store\n"),
    (upward_imports, "segments/x.py", "from walvec import MilvusClient\n"),
    (upward_imports, "recovery/x.py", "import walvec\n"),
    (upward_imports, "recovery/x.py", "from walvec.filter.parse import parse\n"),
    (upward_imports, "api/x.py", "from walvec import tools\n"),
    (bare_imports, "api/x.py", "import wal.events\n"),
    (bare_imports, "tests/x.py", "from segments import state\n"),
    (bare_imports, "tests/x.py", "from wal.events import Event\n"),
    (relative_imports, "api/x.py", "from . import client\n"),
    (relative_imports, "api/x.py", "from .client import MilvusClient\n"),
    (banned_words, "api/x.py", "# todo: more\n"),
    (banned_words, "api/x.py", '"""Works for now."""\n'),
    (banned_names, "api/utils.py", ""),
    (banned_names, "api/index_helper.py", ""),
    (banned_names, "api/x.py", "class SegmentManager: ...\n"),
    (machine_paths, "x.md", "see /" + "root/notes\n"),
    (machine_paths, "x.md", "see /" + "home/ann/x\n"),
    (swallowed_exceptions, "api/x.py", "try:\n    f()\nexcept:\n    raise\n"),
    (swallowed_exceptions, "api/x.py", "try:\n    f()\nexcept Exception:\n    pass\n"),
    (swallowed_exceptions, "api/x.py", "try:\n    f()\nexcept OSError:\n    ...\n"),
    (swallowed_exceptions, "api/x.py", "with contextlib.suppress(Exception):\n    f()\n"),
    (missing_docstrings, "api/x.py", "a = 1\n"),
    (missing_docstrings, "api/x.py", '"""X."""\ndef f(): ...\n'),
    (missing_docstrings, "api/x.py", '"""X."""\nclass C:\n    """C."""\n    def f(self): ...\n'),
    (state_changes, "recovery/x.py", "def f(store):\n    store.state.seq = 1\n"),
    (state_changes, "recovery/x.py", "def f(self):\n    self.state.names.pop('a')\n"),
    (state_changes, "recovery/x.py", A_STATE + "def f(s: State):\n    del s.names['a']\n"),
    (state_changes, "api/x.py", A_STATE + "def f(c: Collection | None):\n    c.loaded = True\n"),
    (state_changes, "segments/x.py", "def f(state):\n    state.seq += 1\n"),
    (state_changes, "segments/x.py", "def f(state):\n    setattr(state, 'seq', 1)\n"),
    (
        state_changes,
        "segments/x.py",
        "def f(state):\n    for c in list(state.collections.values()):\n"
        "        s = c.segments.get(1)\n        s.extents.append((1, 2))\n",
    ),
]
GOOD: list[tuple[Check, str, str]] = [
    (long_files, "wal/x.py", "a = 1\n" * 300),
    (upward_imports, "tools/x.py", "from walvec import MilvusClient\n"),
    (upward_imports, "api/__main__.py", "from walvec.tools.cli import main\n"),
    (bare_imports, "api/x.py", "from walvec.wal.events import Event\n"),
    (banned_words, "api/x.py", "# hackney, phases, forbid nowhere\n"),
    (banned_names, "api/database.py", "def rebase(): ...\n"),
    (machine_paths, "x.md", "https://example.org/" + "work/x and x/" + "root/y\n"),
    (swallowed_exceptions, "api/x.py", "try:\n    f()\nexcept OSError:\n    g()\n"),
    (missing_docstrings, "api/x.py", '"""X."""\ndef _f(): ...\n'),
    (state_changes, "segments/apply.py", "def f(state):\n    state.seq = 1\n"),
    (state_changes, "recovery/x.py", "def f(self, log):\n    self.state = replay(log)\n"),
    (state_changes, "api/x.py", "def f(state):\n    found = list(state.names)\n    found.sort()\n"),
]


def ids(cases: list[tuple[Check, str, str]]) -> list[str]:
    return [f"{check.__name__}-{i}" for i, (check, _, _) in enumerate(cases)]


@pytest.mark.parametrize(("check", "path", "text"), BAD, ids=ids(BAD))
def test_a_bad_snippet_is_found(check: Check, path: str, text: str) -> None:
    assert list(check(Module(path, text)))


@pytest.mark.parametrize(("check", "path", "text"), GOOD, ids=ids(GOOD))
def test_a_good_snippet_is_not_found(check: Check, path: str, text: str) -> None:
    assert list(check(Module(path, text))) == []


def test_a_slack_entry_of_the_ratchet_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LONG_FILES, "wal/x.py", 400)
    assert list(long_files(Module("wal/x.py", "a = 1\n" * 390)))
    assert list(long_files(Module("wal/x.py", "a = 1\n" * 400))) == []


def test_what_a_function_returns_is_part_of_a_state_if_annotated_so() -> None:
    finder = Module("segments/x.py", A_STATE + "def find(name) -> Collection: ...\n")
    user = Module("api/x.py", "def f(store):\n    store.find('a').properties['x'] = 'y'\n")
    assert list(state_changes(user)) == []
    assert list(state_changes(user, state_returning([finder])))
