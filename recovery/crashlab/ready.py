"""The adapters that are there, by name, and those of others, by the place of their code."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from walvec.crashlab.adapter import Adapter
from walvec.crashlab.lmdb_adapter import LmdbAdapter
from walvec.crashlab.plain_adapter import PlainAdapter, SyncedFileAdapter
from walvec.crashlab.sqlite_adapter import SqliteAdapter
from walvec.crashlab.walvec_adapter import WalvecAdapter
from walvec.wal.errors import ParamError

READY: dict[str, Callable[[], Adapter]] = {
    "walvec": WalvecAdapter,
    "walvec-last-transaction": partial(WalvecAdapter, durability="last-transaction"),
    "walvec-background": partial(WalvecAdapter, background=True),
    "sqlite3": SqliteAdapter,
    "sqlite3-normal": partial(SqliteAdapter, synchronous="NORMAL", name="sqlite3-normal"),
    "sqlite3-off": partial(SqliteAdapter, synchronous="OFF", name="sqlite3-off"),
    "sqlite3-delete": partial(SqliteAdapter, journal_mode="delete", name="sqlite3-delete"),
    "sqlite3-delete-extra": partial(
        SqliteAdapter, journal_mode="delete", synchronous="EXTRA", name="sqlite3-delete-extra"
    ),
    "lmdb": LmdbAdapter,
    "lmdb-nometasync": partial(LmdbAdapter, metasync=False, name="lmdb-nometasync"),
    "lmdb-last-transaction": partial(
        LmdbAdapter, metasync=False, may_lose=1, name="lmdb-last-transaction"
    ),
    "lmdb-nosync": partial(LmdbAdapter, sync=False, name="lmdb-nosync"),
    "plain": PlainAdapter,
    "plain-fsync": SyncedFileAdapter,
}
"""What makes the adapter of a name."""


def adapter_named(text: str) -> Adapter:
    """A ready adapter by its name, or that of a user: "module:attribute" or
    "path/to/file.py:attribute", where the attribute is a class of adapters or an instance.

    Raises ParamError. What the user's code raises when it is imported comes through.
    """
    if text in READY:
        return READY[text]()
    place, colon, attribute = text.rpartition(":")
    if not colon or not place or not attribute:
        raise ParamError(
            message=f"there is no adapter {text!r}; there are {', '.join(READY)}, and yours as "
            "MODULE:CLASS or path/to/file.py:CLASS"
        )
    module = _module_of_file(Path(place)) if place.endswith(".py") else _module_named(place)
    if not hasattr(module, attribute):
        raise ParamError(message=f"{place} has nothing called {attribute}")
    adapter = _made(getattr(module, attribute), text)
    # By this name a plan finds it again.
    adapter.name = text
    return adapter


def _made(found: Any, text: str) -> Adapter:
    if isinstance(found, type) and issubclass(found, Adapter):
        try:
            found = found()
        except TypeError as error:
            raise ParamError(
                message=f"{text} cannot be made without arguments ({error}): name an instance"
            ) from error
    if not isinstance(found, Adapter):
        raise ParamError(
            message=f"{text} is {type(found).__name__}, not an adapter: it must be a class that "
            "inherits walvec.crashlab.adapter.Adapter, or an instance of one"
        )
    return found


def _module_named(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # it is there, and lacks another one
        raise ParamError(
            message=f"there is no module {name!r}: is its folder in PYTHONPATH?"
        ) from error


def _module_of_file(path: Path) -> ModuleType:
    """A module of its own, once a process, whatever else has its name."""
    if not path.is_file():
        raise ParamError(message=f"there is no file {path}")
    path = path.resolve()
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "it ends in .py"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
