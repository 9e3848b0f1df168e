"""Times come in as ISO 8601 text or datetimes, and go out as the text that Milvus writes."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from walvec.timestamps import (
    HIGH,
    LOW,
    UTC,
    NotATime,
    all_microseconds,
    iso_text,
    iso_texts,
    microseconds_of,
    zone_of,
)
from walvec.wal.errors import ParamError

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YEAR = 1_735_689_600_000_000
"""2025-01-01, UTC."""


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        ("2025-01-01T00:00:00Z", NEW_YEAR),
        ("2025-01-01T08:00:00+08:00", NEW_YEAR),
        ("2025-01-01 08:00:00+08", NEW_YEAR),
        ("2024-12-31 18:30:00-05:30", NEW_YEAR),
        ("2025-01-01T00:00:00.5Z", NEW_YEAR + 500_000),
        ("2025-01-01T00:00:00.123456789Z", NEW_YEAR + 123_456),
        ("2025-01-01T08:00:00", NEW_YEAR),
        ("2025-01-01 08:00:00.000001", NEW_YEAR + 1),
        ("0001-01-01T00:00:00Z", LOW),
        ("9999-12-31T23:59:59.999999Z", HIGH),
        (datetime(2025, 1, 1, tzinfo=timezone.utc), NEW_YEAR),
        (datetime(2025, 1, 1, 8, tzinfo=SHANGHAI), NEW_YEAR),
    ],
)
def test_a_time_in_any_form_is_microseconds_and_naive_text_is_of_the_zone(
    value: Any, micros: int
) -> None:
    assert microseconds_of(value, SHANGHAI) == micros


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("yesterday", "ISO 8601 text such as"),
        ("2025-01-01", "ISO 8601 text such as"),
        ("2025-01-01T00:00Z", "ISO 8601 text such as"),
        ("2025-1-1T00:00:00Z", "ISO 8601 text such as"),
        ("٢٠٢٥-01-01T00:00:00Z", "ISO 8601 text such as"),
        ("2025-01-01T00:00:00.1234567890Z", "ISO 8601 text such as"),
        ("2025-01-01T00:00:00+08:60", "ISO 8601 text such as"),
        ("2025-01-01T00:00:00Z\0", "ISO 8601 text such as"),
        ("2025-02-29T00:00:00Z", "a date and a time that exist"),
        ("2025-01-01T24:00:00Z", "a date and a time that exist"),
        ("2025-01-01T00:00:00+14:01", "an offset from -12:00 to +14:00"),
        ("2025-01-01T00:00:00-13:00", "an offset from -12:00 to +14:00"),
        ("0000-01-01T00:00:00Z", "a date and a time that exist"),
        ("0001-01-01T00:00:00+01:00", "the years 0001 to 9999"),
        ("9999-12-31T23:59:59-01:00", "the years 0001 to 9999"),
        (datetime(2025, 1, 1), "a datetime with tzinfo"),
        (NEW_YEAR, "ISO 8601 text or a datetime"),
        (None, "ISO 8601 text or a datetime"),
        (np.datetime64("2025-01-01"), "ISO 8601 text or a datetime"),
    ],
)
def test_what_is_no_time_is_refused_and_told_why(value: Any, wanted: str) -> None:
    with pytest.raises(NotATime) as raised:
        microseconds_of(value, UTC)
    assert wanted in str(raised.value)
    assert all_microseconds([value, value], UTC) is None


moments = st.datetimes(timezones=st.just(UTC))
fractions = st.sampled_from(["", ".5", ".123", ".123456", ".123456789", ".0000000001"])
suffixes = st.sampled_from(["", "Z", "+08:00", "-12:00", "+14:00", "-05:30", "+14:01", "+03:75"])


@given(moments, st.sampled_from("T "), fractions, suffixes, st.data())
def test_all_at_once_gives_what_one_by_one_gives(
    moment: datetime, letter: str, fraction: str, suffix: str, data: st.DataObject
) -> None:
    text = f"{moment.replace(microsecond=0, tzinfo=None).isoformat(letter)}{fraction}{suffix}"
    if data.draw(st.booleans()):  # one character wrong
        place = data.draw(st.integers(0, len(text) - 1))
        text = text[:place] + data.draw(st.sampled_from("09:-+Z T.\0ä")) + text[place + 1 :]
    try:
        expected = microseconds_of(text, UTC)
    except NotATime:
        assert all_microseconds([text], UTC) is None
    else:
        at_once = all_microseconds([text, text], UTC)
        assert at_once is None or at_once.tolist() == [expected, expected]


def test_texts_of_one_shape_are_read_at_once() -> None:
    texts = ["2025-01-01T00:00:00.25Z", "1969-12-31T23:59:59.75Z"]
    at_once = all_microseconds(texts, SHANGHAI)
    assert at_once is not None
    assert at_once.tolist() == [NEW_YEAR + 250_000, -250_000]
    assert all_microseconds(["2025-01-01T00:00:00"], SHANGHAI) is None
    assert all_microseconds(["2025-01-01T00:00:00Z", "2025-01-01T00:00:00"], UTC) is None


@given(st.lists(st.integers(LOW, HIGH), max_size=5), st.sampled_from([UTC, SHANGHAI]))
def test_text_of_a_time_means_that_time(micros: list[int], zone: Any) -> None:
    texts = iso_texts(np.array(micros, np.int64), zone)
    assert [microseconds_of(text, UTC) for text in texts] == micros
    assert texts == [iso_text(m, zone) for m in micros]


def test_text_has_no_zeros_at_the_end_of_its_fraction() -> None:
    micros = np.array([0, 500_000, 1_000_001], np.int64)
    assert iso_texts(micros) == [
        "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.5Z", "1970-01-01T00:00:01.000001Z",
    ]  # fmt: skip
    assert iso_texts(micros, SHANGHAI)[:2] == [
        "1970-01-01T08:00:00+08:00", "1970-01-01T08:00:00.5+08:00",
    ]  # fmt: skip
    assert iso_texts(np.array([10_000_000], np.int64)) == ["1970-01-01T00:00:10Z"]


def test_an_offset_that_text_cannot_say_is_told_in_utc() -> None:
    assert iso_text(-3_000_000_000_000_000, SHANGHAI) == "1874-12-07T18:40:00Z"  # +08:05:43 then
    assert iso_text(HIGH, SHANGHAI) == "9999-12-31T23:59:59.999999Z"


@pytest.mark.parametrize("name", ["Mars", "", "../etc/passwd", 8, b"UTC", "a\0b"])
def test_a_timezone_is_an_iana_name(name: Any) -> None:
    with pytest.raises(ParamError, match=r"timezone .* is not the IANA name of a timezone"):
        zone_of(name)


def test_no_timezone_is_utc() -> None:
    assert zone_of(None) is zone_of("UTC") is UTC
    assert zone_of("Asia/Shanghai") is SHANGHAI
