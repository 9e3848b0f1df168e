"""Milvus' hybrid timestamps: milliseconds since 1970 above 18 bits that count within one.

Plain arithmetic, as in pymilvus' `utility`. walvec's own writes are ordered by `seq` instead.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from walvec.arguments import check_whole
from walvec.wal.errors import ParamError
from walvec.wal.shown import shown

LOGICAL_BITS = 18
MAX_HYBRID = 2**64 - 1
MILLISECOND = timedelta(milliseconds=1)


def hybridts_to_unixtime(hybridts: int) -> float:
    """Seconds since 1970, to the millisecond."""
    return (_checked(hybridts) >> LOGICAL_BITS) / 1000


def hybridts_to_datetime(hybridts: int, tz: timezone | None = None) -> datetime:
    """The time in a timezone, without one in that of this machine, and then naive."""
    if tz is not None and not isinstance(tz, timezone):
        raise ParamError(message=f"tz must be a datetime.timezone, got {shown(tz)}")
    return datetime.fromtimestamp(hybridts_to_unixtime(hybridts), tz=tz)


def mkts_from_hybridts(
    hybridts: int, milliseconds: float = 0.0, delta: timedelta | None = None
) -> int:
    """A hybrid timestamp so much later, with the same count in its low bits."""
    count = _checked(hybridts) & ((1 << LOGICAL_BITS) - 1)
    physical = int((hybridts >> LOGICAL_BITS) + _added(milliseconds, delta))
    return (physical << LOGICAL_BITS) + count


def mkts_from_unixtime(
    epoch: float, milliseconds: float = 0.0, delta: timedelta | None = None
) -> int:
    """The hybrid timestamp of seconds since 1970, and so much later."""
    seconds = _number("epoch", epoch) + _added(milliseconds, delta) / 1000
    return int(seconds * 1000 // 1) << LOGICAL_BITS


def mkts_from_datetime(
    d_time: datetime, milliseconds: float = 0.0, delta: timedelta | None = None
) -> int:
    """The hybrid timestamp of a time, naive ones in the timezone of this machine."""
    if not isinstance(d_time, datetime):
        raise ParamError(message=f"d_time must be a datetime, got {shown(d_time)}")
    return mkts_from_unixtime(d_time.timestamp(), milliseconds, delta)


def hybrid_of_ns(time_ns: int) -> int:
    """The hybrid timestamp of a time of the log, nanoseconds since 1970."""
    return (time_ns // 1_000_000) << LOGICAL_BITS


def _checked(hybridts: int) -> int:
    return check_whole("hybridts", hybridts, 0, MAX_HYBRID)


def _number(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParamError(message=f"{name} {shown(value)} is not a number")
    return value


def _added(milliseconds: float, delta: timedelta | None) -> float:
    """Milliseconds of both together: of all of `delta`, where pymilvus drops its whole seconds."""
    if delta is not None and not isinstance(delta, timedelta):
        raise ParamError(message=f"delta must be a datetime.timedelta, got {shown(delta)}")
    whole = 0.0 if delta is None else delta / MILLISECOND
    return _number("milliseconds", milliseconds) + whole
