"""Points in time: ISO 8601 text and datetimes <-> microseconds since 1970, UTC.

The text is Milvus': `2025-05-01T23:59:59.123456+08:00`, with T or a space, any number of digits
of a second (the first six count), Z or an offset from -12:00 to +14:00, or none: then the time
is one of the collection's timezone. Years 0001 to 9999.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

import numpy as np

from walvec.wal.errors import ParamError
from walvec.wal.rows import Array
from walvec.wal.shown import shown

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LOW = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND
HIGH = (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC) - EPOCH) // MICROSECOND
MIN_OFFSET, MAX_OFFSET = timedelta(hours=-12), timedelta(hours=14)
TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:(Z)|([+-])(\d\d)(?::([0-5]\d))?)?",
    re.ASCII,
)
SHAPE = "0000-00-00T00:00:00"
T_PLACE = SHAPE.index("T")
FRACTIONS = frozenset({0, *range(2, 11)})
"""Lengths of a point and 1 to 9 digits."""
ZERO = ord("0")
OUTSIDE = "a time of the years 0001 to 9999, UTC"


class NotATime(ValueError):
    """What was expected instead, as a phrase."""


def zone_of(name: Any, subject: str = "timezone") -> tzinfo:
    """The zone of an IANA name, UTC for None. Raises ParamError for a name that is none."""
    if name is None or name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise ParamError(
            message=f"{subject} {shown(name)} is not the IANA name of a timezone, "
            "such as Europe/Berlin"
        ) from None


def microseconds_of(value: Any, zone: tzinfo) -> int:
    """Microseconds since 1970, UTC, of a text or a datetime. `zone`: of a text without an offset.

    Raises NotATime.
    """
    if isinstance(value, str):
        return _of_text(value, zone)
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise NotATime("ISO 8601 text or a datetime with tzinfo")
    return _checked((value - EPOCH) // MICROSECOND)


def _of_text(text: str, zone: tzinfo) -> int:
    match = TEXT.fullmatch(text)
    if match is None:
        raise NotATime("ISO 8601 text such as 2025-05-01T23:59:59+08:00")
    day, time, fraction, utc, sign, hours, minutes = match.groups()
    try:
        local = datetime.fromisoformat(f"{day}T{time}")
    except ValueError:
        raise NotATime("a date and a time that exist") from None
    micros = int(f"{fraction:0<6}"[:6]) if fraction else 0
    try:
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
            offset = -offset if sign == "-" else offset
            if not MIN_OFFSET <= offset <= MAX_OFFSET:
                raise NotATime("an offset from -12:00 to +14:00")
            moment = local.replace(tzinfo=UTC) - offset
        else:
            moment = local.replace(tzinfo=UTC if utc else zone)
        return _checked((moment - EPOCH) // MICROSECOND + micros)
    except OverflowError:
        raise NotATime(OUTSIDE) from None


def all_microseconds(values: Sequence[Any], zone: tzinfo) -> Array | None:
    """`microseconds_of` each, (n,) int64, if all are texts of one shape and none is wrong; None
    where each has to be looked at by itself."""
    if set(map(type, values)) != {str} or len(set(map(len, values))) != 1:
        return None
    first = values[0]
    suffix = "Z" if first.endswith("Z") else "+00:00" if first[-6:-5] in ("+", "-") else ""
    fraction = len(first) - len(SHAPE) - len(suffix)
    if fraction not in FRACTIONS or not (suffix or zone is UTC):
        return None
    shape = f"{SHAPE}{'.':0<{fraction}}{suffix}" if fraction else SHAPE + suffix
    try:
        table = np.array(values, f"S{len(shape)}").view(np.uint8).reshape(len(values), len(shape))
    except UnicodeEncodeError:
        return None
    numbers = table - np.uint8(ZERO)
    if not _has_shape(table, numbers, shape):
        return None
    texts = np.ascontiguousarray(table[:, : len(SHAPE)]).view(f"S{len(SHAPE)}").reshape(-1)
    try:
        micros = texts.astype("<M8[us]").astype(np.int64)
    except ValueError:
        return None
    for place in range(min(fraction - 1, 6)):
        micros += numbers[:, len(SHAPE) + 1 + place].astype(np.int64) * 10 ** (5 - place)
    if len(suffix) > 1:
        tens, ones, _, minute_tens, minute_ones = numbers[:, -5:].T.astype(np.int64)
        minutes = (tens * 10 + ones) * 60 + minute_tens * 10 + minute_ones
        minutes[table[:, -6] == ord("-")] *= -1
        low, high = (limit // timedelta(minutes=1) for limit in (MIN_OFFSET, MAX_OFFSET))
        if minute_tens.max() > 5 or minutes.min() < low or minutes.max() > high:
            return None
        micros -= minutes * 60_000_000
    return micros if micros.min() >= LOW and micros.max() <= HIGH else None


def _has_shape(table: Array, numbers: Array, shape: str) -> bool:
    """Whether all rows, (n, size) uint8, are as `shape`: 0 is any digit, T also a space, the + of
    an offset also a -. `numbers`: the rows less the digit 0."""
    expected = np.frombuffer(shape.encode(), np.uint8)
    digits = expected == ZERO
    if bool((numbers[:, digits] > 9).any()):
        return False
    same = table == expected
    same[:, T_PLACE] |= table[:, T_PLACE] == ord(" ")
    if shape[-6] == "+":
        same[:, -6] |= table[:, -6] == ord("-")
    return bool(same[:, ~digits].all())


def _checked(micros: int) -> int:
    if not LOW <= micros <= HIGH:
        raise NotATime(OUTSIDE)
    return micros


def iso_texts(micros: Array, zone: tzinfo = UTC) -> list[str]:
    """ISO 8601 text of each, (n,) int64, in a zone: `2025-01-01T00:00:00Z`; no zeros at the end
    of a fraction."""
    if zone is UTC:
        whole = not (micros % 1_000_000).any()
        texts = np.datetime_as_string(micros.view("<M8[us]"), unit="s" if whole else "us").tolist()
        return [f"{t}Z" if whole else f"{t.rstrip('0').rstrip('.')}Z" for t in texts]
    return [iso_text(m, zone) for m in micros.tolist()]


def iso_text(micros: int, zone: tzinfo) -> str:
    """As `iso_texts`, of one."""
    moment = EPOCH + timedelta(microseconds=micros)
    try:
        local = moment.astimezone(zone)
    except OverflowError:  # the first or last day of all, which has no local time
        local = moment
    offset = local.utcoffset() or timedelta(0)
    if offset % timedelta(minutes=1):  # of the days before timezones; the text cannot say it
        local, offset = moment, timedelta(0)
    text = local.replace(tzinfo=None).isoformat()
    if local.microsecond:
        text = text.rstrip("0")
    if not offset:
        return f"{text}Z"
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    return f"{text}{'+' if offset > timedelta(0) else '-'}{hours:02}:{minutes:02}"
