"""JSON values -> the text that is stored: compact UTF-8, keys in the order given.

As pymilvus: a string given for a JSON field *is* JSON text; anything else is encoded.
Accepted within: dict with string keys, list, tuple, str, bool, None, integers of 64 bits,
finite floats, and numpy scalars and arrays of these. Limits: 65,536 bytes (Milvus'), 256
levels (a reader in any language has some limit, and Python's own is not far above).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from walvec.wal.shown import shown

MAX_BYTES = 65_536
MAX_DEPTH = 256
INT_LOW, INT_HIGH = -(2**63), 2**64 - 1

PLAIN = frozenset({str, bool, type(None), int, float, dict, list, tuple})
TEXT_KEYS = frozenset({str})
SEPARATOR = "\x1e"
ENCODED_SEPARATOR = ',"\\u001e",'

_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode


class NotJson(ValueError):
    """What was expected instead, as a phrase."""


def json_bytes(value: Any, *, parse_text: bool = True) -> bytes:
    """The JSON text of a value. `parse_text`: a string is JSON text already.

    Raises NotJson.
    """
    if parse_text and isinstance(value, str):
        value = _parsed(value)
    elif value is None:
        raise NotJson("a JSON value (the field is not nullable)")
    try:
        data = _encode(_plain(value, 0)).encode()
    except UnicodeEncodeError:
        raise NotJson("JSON whose text is valid UTF-8") from None
    if len(data) > MAX_BYTES:
        raise NotJson(f"JSON of at most {MAX_BYTES} bytes, not {len(data)}")
    return data


def all_json_bytes(values: Sequence[Any], *, parse_text: bool = True) -> list[bytes] | None:
    """What `json_bytes` makes of each value, if all of them are JSON in plain Python types; None
    where each has to be looked at by itself."""
    kinds = set(map(type, values))
    if not kinds or type(None) in kinds:
        return None
    if parse_text and str in kinds:
        try:
            values = [_parsed(v) if type(v) is str else v for v in values]
        except NotJson:
            return None
    if not _all_plain(values):
        return None
    # One call of the encoder for all: it takes three times as long to call it for each. The
    # separators between the values are told from texts of users by their number.
    parted = [SEPARATOR] * (2 * len(values) - 1)
    parted[::2] = values
    try:
        texts = _encode(parted)[1:-1].split(ENCODED_SEPARATOR)
        data = [text.encode() for text in texts]
    except (ValueError, RecursionError):
        return None
    return data if len(data) == len(values) and max(map(len, data)) <= MAX_BYTES else None


def _all_plain(values: Sequence[Any]) -> bool:
    """Whether the values are of plain Python types, within the limits, down to the last level."""
    level = values
    for _ in range(MAX_DEPTH):
        kinds = set(map(type, level))
        if not kinds <= PLAIN:
            return False
        numbers = _of_type(level, int, kinds)
        if numbers and (min(numbers) < INT_LOW or max(numbers) > INT_HIGH):
            return False
        dicts, lists = _of_type(level, dict, kinds), _of_type(level, list, kinds)
        if not set(map(type, chain.from_iterable(dicts))) <= TEXT_KEYS:
            return False
        nested = [*map(dict.values, dicts), *lists, *_of_type(level, tuple, kinds)]
        level = list(chain.from_iterable(nested))
        if not level:
            return True
        if len(level) > MAX_BYTES * len(values):
            return False
    return False


def _of_type(values: Sequence[Any], kind: type, kinds: set[type]) -> Sequence[Any]:
    """The values of exactly this type; `kinds`: the types of all."""
    if kind not in kinds:
        return ()
    return values if len(kinds) == 1 else [v for v in values if type(v) is kind]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise NotJson("JSON text (use json.dumps for a plain string)") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _plain(value: Any, depth: int) -> Any:
    """The value in plain Python types; new containers, so the caller's are never touched."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        if not INT_LOW <= value <= INT_HIGH:
            raise NotJson("JSON with integers of at most 64 bits")
        return value
    if kind is float:
        if not math.isfinite(value):
            raise NotJson("JSON without NaN and Infinity")
        return value
    if depth >= MAX_DEPTH:
        raise NotJson(f"JSON of at most {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise NotJson(f"JSON whose keys are strings, not {shown(key)}")
        return {k: _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, depth + 1) for v in value]
    return _plain(_plain_of_other(value), depth + 1)


def _plain_of_other(value: Any) -> Any:
    """numpy values, and subclasses of Python's own types."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufUO":
        return value.tolist()
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)[:]
    raise NotJson(f"a JSON value, not {type(value).__name__} within it")
