"""Arguments of calls, looked at before they are used: a wrong one is named by a ParamError."""

from __future__ import annotations

import math
from typing import Any

from walvec.wal.errors import ParamError
from walvec.wal.shown import shown

MAX_SECONDS = 1e9
"""Thirty years; the waits of the system refuse times that are far longer, and infinity."""


def check_text(name: str, value: Any) -> str:
    """The value, if it is a string that can be stored as UTF-8. Raises ParamError."""
    if not isinstance(value, str):
        raise ParamError(message=f"{name} must be a string, got {shown(value)}")
    if not value.isascii() and not is_encodable(value):
        raise ParamError(message=f"{name} must be text that is valid UTF-8, got {shown(value)}")
    return value


def is_encodable(text: str) -> bool:
    """Whether a text has no half of a surrogate pair, which no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_texts(name: str, value: Any) -> list[str]:
    """The value as a list, if it is a list or tuple of strings; None is no strings."""
    if value is None:
        return []
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise ParamError(message=f"{name} must be a list of strings, got {shown(value)}")
    return list(value)


def check_dict(name: str, value: Any) -> dict[str, Any]:
    """The value, if it is a dictionary with strings as keys; None is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(k, str) for k in value):
        raise ParamError(message=f"{name} must be a dict with names as keys, got {shown(value)}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """The value, if it is a bool. Raises ParamError."""
    if not isinstance(value, bool):
        raise ParamError(message=f"{name} must be True or False, got {shown(value)}")
    return value


def check_whole(name: str, value: Any, low: int, high: int) -> int:
    """The value, if it is an integer in low..high. Raises ParamError."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ParamError(message=f"{name} {shown(value)} is not an integer in {low}..{high}")
    return value


def check_seconds(name: str, value: Any) -> float:
    """The value as a float, at most MAX_SECONDS, if it is a number of seconds.

    Raises ParamError.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        seconds = float(value) if number else math.nan
    except OverflowError:
        seconds = math.inf
    if not seconds >= 0:
        raise ParamError(message=f"{name} {shown(value)} is not a number of seconds from 0 on")
    return min(seconds, MAX_SECONDS)
