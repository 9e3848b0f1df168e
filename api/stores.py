"""The open stores of this process: one handle a folder, shared by all clients on it."""

from __future__ import annotations

import atexit
import os
import re
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from walvec.arguments import is_encodable
from walvec.recovery.open import open_store
from walvec.segments.files import logger
from walvec.segments.follow_thread import FollowThread
from walvec.segments.settings import Settings
from walvec.segments.store import Store
from walvec.wal.errors import ParamError
from walvec.wal.shown import shown

DEFAULT_FOLDER = "walvec-store"
URI_VARIABLE = "WALVEC_URI"

FORK_WAIT_S = 30.0
_lock = threading.RLock()
_held = False
_open: dict[Path, tuple[Store, bool, int]] = {}
"""Store, whether it is read-only, and how many clients hold it, by resolved folder."""


def default_uri() -> str:
    """The store of those who name none: $WALVEC_URI, else ./walvec-store."""
    return os.environ.get(URI_VARIABLE) or f"./{DEFAULT_FOLDER}"


def folder_of(uri: str | os.PathLike[str]) -> Path:
    """The store folder that a uri stands for.

    A path or a file:// uri is itself. The address of a server (as in programs written for one)
    is a folder of its own beside the default one, and a warning says so. Raises ParamError.
    """
    if isinstance(uri, os.PathLike):
        return Path(uri)
    if not isinstance(uri, str) or not uri or "\0" in uri or not is_encodable(uri):
        raise ParamError(message=f"uri {shown(uri)} is not the path of a folder")
    try:
        return _folder_of_text(uri)
    except (ValueError, RuntimeError) as error:  # a bad address; a home that nobody has
        raise ParamError(message=f"uri {shown(uri)} is not the path of a folder: {error}") from None


def _folder_of_text(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if parts.scheme in ("http", "https", "tcp"):
        folder = Path(f"{DEFAULT_FOLDER}-{re.sub('[^A-Za-z0-9.-]+', '-', parts.netloc)}")
        logger.warning("walvec is embedded, there is no server: %s is the folder %s", uri, folder)
        return folder
    return Path(uri).expanduser()


def acquire(
    uri: str | os.PathLike[str], read_only: bool, settings: Settings, follow: bool = False
) -> Store:
    """The store of a uri, opened if this process has it not open yet; with a thread that
    follows other processes, if any of its clients wants that."""
    folder = folder_of(uri)
    try:
        key = folder.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ParamError(
            message=f"uri {shown(str(uri))} is not the path of a folder: {error}"
        ) from None
    with _lock:
        if key in _open:
            store, opened_read_only, holders = _open[key]
            if opened_read_only != read_only or store.settings != settings:
                raise ParamError(
                    message=f"{folder} is open in this process with other settings: "
                    f"{_differences(store.settings, opened_read_only, settings, read_only)}; "
                    "close that client first"
                )
        else:
            store, holders = (
                # By its resolved name: the process may change its working directory.
                open_store(
                    key,
                    read_only=read_only,
                    settings=settings,
                    walvec_version=installed_version(),
                ),
                0,
            )
        _open[key] = (store, read_only, holders + 1)
        if follow and not any(isinstance(w, FollowThread) for w in store.watchers):
            follower = FollowThread(store)
            store.add_watcher(follower)
            follower.start()
        return store


def _differences(now: Settings, now_read_only: bool, wanted: Settings, read_only: bool) -> str:
    """What differs, as "durability is 'full', not 'last-transaction'"."""
    have = {"read_only": now_read_only, **now._asdict()}
    want = {"read_only": read_only, **wanted._asdict()}
    return ", ".join(f"{k} is {have[k]!r}, not {want[k]!r}" for k in have if have[k] != want[k])


def release(store: Store) -> None:
    """One holder less; the last one closes the store."""
    with _lock:
        key = store.folder
        entry = _open.get(key)
        if entry is None or entry[0] is not store:
            return
        if entry[2] > 1:
            _open[key] = (store, entry[1], entry[2] - 1)
            return
        try:
            store.close()
        except BaseException:  # an interrupt: once more, or nobody could open it any more
            store.close()
            raise
        finally:
            del _open[key]


def installed_version() -> str:
    """walvec's version, as installed."""
    try:
        return version("walvec")
    except PackageNotFoundError:
        return "unknown"


def _close_all() -> None:
    with _lock:
        while _open:
            _, (store, _, _) = _open.popitem()
            store.close()


def _before_fork() -> None:
    """No store is half open in a child, or it could never open that."""
    global _held
    _held = _lock.acquire(timeout=FORK_WAIT_S)


def _after_fork() -> None:
    if _held:
        _lock.release()


def _forked() -> None:
    """The stores open themselves anew in a child; another thread may have held the lock."""
    global _lock
    _lock = threading.RLock()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_forked)
