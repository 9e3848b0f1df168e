"""Times and intervals of filters: ISO 8601 text -> microseconds.

Of an interval, years and months are of the calendar in UTC, the rest is a fixed time: a day that
the month reached does not have is the last one that it has, so that 31 January and P1M give
28 or 29 February.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import NamedTuple

import numpy as np

from walvec.timestamps import microseconds_of
from walvec.wal.rows import Array

INTERVAL = re.compile(
    r"P(?=.)(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,9})D)?"
    r"(?:T(?=.)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12})(?:\.(\d{1,6}))?S)?)?",
    re.ASCII,
)
SECOND = 1_000_000
LAST = 2**63 - 1


class Moment(NamedTuple):
    """A point in time: microseconds since 1970, UTC."""

    micros: int


class Interval(NamedTuple):
    """A span of time. Negative to go back."""

    months: int
    micros: int


def moment(text: str, zone: tzinfo) -> Moment:
    """The time that ISO 8601 text means; `zone`: of one without an offset. Raises NotATime, a
    ValueError, which says what was expected."""
    return Moment(microseconds_of(text, zone))


def interval(text: str) -> Interval:
    """The span that an ISO 8601 duration means. Raises ValueError."""
    match = INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError(text)
    fraction = int((match.group(8) or "0").ljust(6, "0"))
    years, months, weeks, days, hours, minutes, seconds = (
        int(part or 0) for part in match.groups()[:7]
    )
    in_seconds = (weeks * 7 + days) * 86_400 + hours * 3600 + minutes * 60 + seconds
    micros = in_seconds * SECOND + fraction
    if micros > LAST:
        raise ValueError(text)
    return Interval(years * 12 + months, micros)


def moved(micros: Array, by: Interval) -> Array:
    """Times (n,) int64 moved by an interval."""
    if by.months:
        times = micros.view("<M8[us]") if micros.flags.c_contiguous else micros.astype("<M8[us]")
        months = times.astype("<M8[M]")
        days = times.astype("<M8[D]") - months.astype("<M8[D]")
        target = months + np.timedelta64(by.months, "M")
        length = (target + np.timedelta64(1, "M")).astype("<M8[D]") - target.astype("<M8[D]")
        days = np.minimum(days, length - np.timedelta64(1, "D"))
        in_day = times - times.astype("<M8[D]")
        micros = ((target.astype("<M8[D]") + days).astype("<M8[us]") + in_day).view(np.int64)
    moved_by: Array = micros + np.int64(by.micros)
    return moved_by
